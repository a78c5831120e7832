# profile --show-samples: what the model would be given, without the model's tensors; and texts that no stack was made for.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
cat >rows.jsonl <<'EOF'
{"id": "first", "messages": [{"role": "user", "content": "Hi\tthere"}, {"role": "assistant", "content": "\u001b[31mYes", "more": "some more text"}]}
{"text": "plain <|end|> text"}
{"tokens": [72, 73]}
EOF
M=$MODELS/gpt_oss

# ---- for people ----
ok profile "$M/model.gguf" --calib rows.jsonl --no-shuffle --show-samples 2 -o s.json
sed -E 's/[0-9]+ (tokens|in the mean|at most)/N \1/g' .out >got
expect 'text' diff - got <<'EOF'
--- 1: rows.jsonl:1, id first, category rows, N tokens
<|start|>user<|message|>Hi	there<|end|><|start|>assistant<|message|>?[31mYes<|end|>
--- 2: rows.jsonl:2, category rows, N tokens
plain <|end|> text
--- 3 samples, N tokens, N in the mean, N at most; 3 windows of up to 2,048
EOF
has .err "'messages.more' \\(1 message\\)"
refuse 'nothing is written' test -e s.json
cp .out want

# ---- of the model the vocabulary is read, and no tensor ----
garbage() { # FILE
    local n
    n=$(stat -c %s "$1")
    tr '\0' '\377' </dev/zero | dd of="$1" bs=1000 seek=$(((n - 300000) / 1000)) count=300 iflag=fullblock conv=notrunc 2>/dev/null
    truncate -s "$n" "$1"
}
cp "$M/model.gguf" bad.gguf
cp -r "$M/hf" bad
garbage bad.gguf
garbage bad/model.safetensors
for model in bad.gguf bad; do
    ok profile "$model" --calib rows.jsonl --no-shuffle --show-samples 2
    expect "$model: the same" cmp .out want
    rc 1 profile "$model" --calib rows.jsonl -o s.json
done
rm -f s.json

# ---- for programs: the tokens that transformers gives ----
ok profile "$M/hf" --calib "$M/texts.jsonl" --no-shuffle --show-samples 99 --json
equal .out "$M/golden_tokens.json" n_tokens samples/0/tokens=samples/0/ids samples/1/tokens=samples/1/ids samples/7/tokens=samples/7/ids
ok profile "$M/hf" --calib rows.jsonl --no-shuffle --show-samples 9 --ctx 10 --json
json .out 'command="profile"' n_samples=3  ctx=10 'samples/0/id="first"' \
    'samples/1/text="plain <|end|> text"' samples/2/tokens/1=73 || say_bad '--json'
ok profile "$M/hf" --calib rows.jsonl --show-samples 0
expect 'totals alone' test "$(wc -l <.out)" = 1

# ---- refused ----
fails 2 '--output is missing' -- profile "$M/hf" --calib rows.jsonl
echo '{"tokens": [1, 99999]}' >out.jsonl
fails 2 'out.jsonl:1: token id 99999 is outside' -- profile "$M/hf" --calib out.jsonl --show-samples 1
fails 2 '--calib is missing' -- profile "$M/hf" --show-samples 1

# ---- a SentencePiece vocabulary that lacks a byte: what it cannot spell is said ----
sed 's/<0xF0>/<0xf0>/' "$MODELS/mixtral/model.gguf" >spm.gguf
printf 'plain \xc3\xa9 text\n' >plain.txt
printf 'an \xf0\x9f\x8e\x89 emoji\n' >emoji.txt
ok profile "$MODELS/mixtral/model.gguf" --calib emoji.txt --show-samples 1
ok profile spm.gguf --calib plain.txt --show-samples 1
fails 2 "emoji.txt: the model's tokenizer has no token for '.*', and none for its byte 0xF0" -- profile spm.gguf --calib emoji.txt --show-samples 1

# ---- 40,000 of one character in a row, with the families' pre-tokenizers that recurse ----
for unit in - '\n' '\xe4\xb8\xad'; do
    printf 'Report\n' >long.txt
    printf -- "$unit%.0s" $(seq 40000) >>long.txt
    printf '\nend\n' >>long.txt
    for name in gpt_oss deepseek_v2 deepseek_v3 llama4 nemotron_h; do
        ok profile "$MODELS/$name/model.gguf" --calib long.txt --show-samples 0
    done
done
finish
