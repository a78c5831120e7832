# Calibration text: what is refused, with the place; what is left out, and that it is said; names of files; standard input.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
Q=$MODELS/qwen3_moe/model.gguf
texts=$MODELS/qwen3_moe/texts.jsonl
bad_text() { # SOURCE WORDS...
    local f=$1
    shift
    fails 2 "$@" -- profile "$Q" --calib "$f" -o s.json -t 1
    fails 2 "$@" -- eval "$Q" --calib "$f" -o s.json -t 1
}
good() { # NUMBER OF SAMPLES, ARGS: a profile with exactly so many samples
    local n=$1
    shift
    rm -f g.json
    ok profile "$Q" -o g.json -t 1 --json "$@" && json .out "n_samples=$n"
}

# ---- no text at all
bad_text missing.jsonl missing.jsonl 'No such file'
bad_text missing/ missing 'No such file'
: >empty.jsonl
bad_text empty.jsonl empty.jsonl 'no rows'
printf '\n \n\t\n\r\n' >blank.jsonl
bad_text blank.jsonl blank.jsonl 'no rows'
: >empty.txt
bad_text empty.txt empty.txt 'empty file'
mkdir emptydir
bad_text emptydir "no samples in 'emptydir'"
bad_text ''
fails 2 "$Q" 'NUL' 'not a text file' -- profile "$Q" --calib "$Q" -o s.json
mkfifo pipe.jsonl
bad_text pipe.jsonl 'pipe.jsonl' 'not a regular file'
ln -s nowhere.jsonl dangling.jsonl
bad_text dangling.jsonl 'dangling.jsonl' 'No such file'
mkdir -p loop/a
ln -s .. loop/a/up
bad_text loop 'link back'

# ---- rows
n=0
row() { # ROW WORDS...
    local r=$1
    shift
    n=$((n + 1))
    { sed -n 1,2p "$texts"; printf '%s\n' "$r"; sed -n 3p "$texts"; } >"bad$n.jsonl"
    bad_text "bad$n.jsonl" "bad$n.jsonl:3: " "$@"
    rm -f g.json
    ok profile "$Q" --calib "bad$n.jsonl" -o g.json -t 1 --skip-bad --json &&
        json .out n_samples=3 warnings/0 && json g.json calibration/files/0/n_bad=1 calibration/files/0/n_rows=3
    has .err "^reap: warning: bad$n.jsonl: 1 malformed row left out.*bad$n.jsonl:3"
}
row '{"text": "a b c"' 'not valid JSON'
row '{"text": "a"} {"text": "b"}' 'not valid JSON'
row "{'text': 'a'}" 'not valid JSON' 'column 2'
row '{"text": "a", "text": "b"}' 'duplicate'
row '{"words": "a b c"}' "row has 'words', which is no form that is known; --map user=KEY,assistant=KEY"
row '{"Question": "a", "Response": "b"}' 'the nearest form is question/' '--map user=Question,assistant=Response'
row '{"text": null}' "'text' \(null\)"
row '{}' 'an empty object'
row '["text"]' 'a list' 'an object'
row '"text"' 'a string' 'an object'
row 'text' 'not valid JSON'
row '{"text": ""}' "'text' is empty"
row '{"text": 3}' "'text' is an integer" 'a string'
row '{"text": "a\u0000b"}' 'not valid JSON|NUL'
row '{"text": "\ud800"}' 'not valid JSON'
row $'{"text": "\xff\xfe"}' 'not valid JSON'
row '{"response": "b"}' "row has 'response'"
row '{"prompt": ""}' "'prompt' is empty"
row '{"prompt": "a", "response": ""}' "'response' is empty"
row '{"prompt": ["a"]}' 'message 1 is a string'
row '{"messages": []}' "'messages' is empty"
row '{"messages": {"role": "user"}}' "'messages' is an object" 'a list'
row '{"messages": [{"content": "a"}]}' ":3: message 1: 'role' is missing"
row '{"messages": [{"role": "user"}]}' "'messages' is empty"
row '{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}' 'part 1' "'image_url'" --skip-media
row '{"tokens": []}' "'tokens' is empty"
row '{"tokens": [1, 2.5]}' 'entry 2' 'an integer'
row '{"tokens": [1, -2]}' 'entry 2' '-2'
row '{"tokens": [1, 99999999999]}' 'entry 2' '99999999999'
row '{"tokens": "1 2 3"}' "'tokens' is a string"
rm -f bad*.jsonl
# a token that the vocabulary does not have is known only when the model is there
{ head -2 "$texts"; echo '{"tokens": [1, 2, 640]}'; } >vocab.jsonl
bad_text vocab.jsonl 'vocab.jsonl:3' '640' '639|640 tokens'
# all rows bad: nothing is left
printf 'x\ny\n' >allbad.jsonl
rc 2 profile "$Q" --calib allbad.jsonl -o s.json -t 1 --skip-bad
has .err '^reap: warning: allbad.jsonl: 2 malformed rows' '^reap: (allbad.jsonl: )?no (samples|rows)'
absent s.json
# a text cannot drive the terminal through an error message
printf '{"text": "a", "\x1b[31m": 1}\n{"\x1b[2J": "a"}\n' >esc.jsonl
bad_text esc.jsonl 'esc.jsonl:[12]'
lacks .err $'\x1b'

# ---- forms of rows and shapes of files (all of them: unit-row, unit-corpus): what goes into the file of statistics
printf '%s\n' '{"prompt": "How?", "chosen": "So.", "rejected": "Not so."}' '{"id": 7.0, "prompt": "Why?", "chosen": "Therefore.", "rejected": "No.", "score": NaN}' >pairs.jsonl
good 2 --calib pairs.jsonl --chat-template chatml
tokens=$("$JSON" get g.json layers/0/count)
gzip -n <pairs.jsonl >pairs.jsonl.gz
good 2 --calib pairs.jsonl.gz --chat-template chatml
expect 'a packed file counts as the same rows' test "$tokens" = "$("$JSON" get g.json layers/0/count)"
json g.json "calibration/files/0/sha256=\"$(sha256sum pairs.jsonl.gz | cut -d' ' -f1)\""
printf '[{"Q": "How?", "A": "So."}, {"Q": "Why?", "A": "Therefore."}]' >other.json
bad_text other.json 'other.json:1: row 1 of the list: row has' "'Q', 'A'" '--map user=KEY'
good 2 --calib other.json --map user=Q,assistant=A --chat-template chatml
expect 'a map reads the same chats' test "$tokens" = "$("$JSON" get g.json layers/0/count)"
printf '{"messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}]}\n' >image.jsonl
good 1 --calib image.jsonl --skip-media --chat-template chatml
has .err '1 part of 1 chat left out: images, audio or video'
# a template that knows no lists of parts, one that refuses a chat
printf '{"messages": [{"role": "user", "content": [{"type": "text", "text": "How"}, {"type": "text", "text": " much?"}]}]}\n' >parts.jsonl
echo '{% for m in messages %}{% if m.role == "tool" %}{{ raise_exception("no tools here") }}{% endif %}{{ m.content }}{% endfor %}' >strings.jinja
good 1 --calib parts.jsonl --chat-template-file strings.jinja
has .err '--join-parts makes one text of it'
good 1 --calib parts.jsonl --chat-template-file strings.jinja --join-parts
lacks .err 'join-parts'
json g.json 'calibration/samples/0/text="How much?"'
echo '{"messages": [{"role": "user", "content": [{"text": "How?", "type": "text"}]}]}' >order.jsonl
good 1 --calib order.jsonl --chat-template-file strings.jinja
has .err '--join-parts makes one text of it'
echo '{% for m in messages %}{{ m.role + m.content }}{% endfor %}' >adds.jinja
fails 2 'parts.jsonl:1: ' 'can only concatenate str' '--join-parts makes one text of each' -- profile "$Q" --calib parts.jsonl --chat-template-file adds.jinja -o s.json -t 1
echo '{"messages": [{"role": "user", "content": "a"}, {"role": "tool", "content": "b"}]}' >>parts.jsonl
fails 2 'parts.jsonl:2: ' 'no tools here' -- profile "$Q" --calib parts.jsonl --join-parts --chat-template-file strings.jinja -o s.json -t 1
good 1 --calib parts.jsonl --join-parts --chat-template-file strings.jinja --skip-bad
has .err '1 row left out, the first: parts.jsonl:2: .*no tools here'
json g.json calibration/files/0/n_bad=1 calibration/files/0/n_used=1
printf 'PAR1....PAR1' >data.parquet
bad_text data.parquet 'a Parquet file' 'read_parquet.sys.argv' 'data.parquet data.jsonl'
mkdir -p cloned/data && cp data.parquet cloned/data/ && cp pairs.jsonl cloned/ && echo '# About' >cloned/README.md
bad_text cloned 'cloned/data/data.parquet: a Parquet file'
rm cloned/data/data.parquet
good 2 --calib cloned --chat-template chatml
has .err 'cloned/README.md: about a data set'
cp "$texts" rows.txt
gzip -nk rows.txt
ok eval "$Q" --text rows.txt.gz --ctx 16 -t 1
cp .out packed
printf 'What \367\277\277\277 is no UTF-8 ends the engine.\n' >latin.txt
printf '%040d what is cut in the middle of a character: \303' 0 >cut.txt
ok eval "$Q" --text cut.txt --ctx 16 -t 1
fails 2 'latin.txt: not valid UTF-8 at byte 5' -- eval "$Q" --text latin.txt --ctx 16 -t 1
ok eval "$Q" --text rows.txt --ctx 16 -t 1
expect 'a packed text has the same score' test "$(cut -d' ' -f2- packed | tr -s ' ')" = "$(cut -d' ' -f2- .out | tr -s ' ')"
has .err 'warning: rows.txt: looks like rows'
rm pairs.jsonl* parts.jsonl other.json image.jsonl data.parquet rows.txt

# ---- messages want a template
echo '{"messages": [{"role": "user", "content": "Hello there"}]}' >chat.jsonl
echo '{"prompt": "Hello", "response": "there"}' >prompt.jsonl
"$EDIT" "$Q" bare.gguf del tokenizer.chat_template || say_bad 'the template cannot be taken out'
for f in chat.jsonl prompt.jsonl; do
    fails 2 "$f:1" 'chat.template' -- profile bare.gguf --calib $f -o s.json -t 1
    ok profile bare.gguf --calib $f -o s.json -t 1 --chat-template chatml
    rm s.json
done

# ---- names
mkdir 'a folder' 'Bücher 書'
cp "$texts" 'a folder/some texts.jsonl'
cp "$texts" 'Bücher 書/größe 🚀.jsonl'
cp "$texts" 'colon:2.jsonl'
cp "$texts" 'colon:2'
mv 'colon:2' 'colon:3'
cp "$texts" -- -dash.jsonl
cp "$texts" $'new\nline.jsonl'
cp "$texts" $'latin\xfc.jsonl'
good 8 --calib 'a folder/some texts.jsonl'
json g.json 'calibration/files/0/file="a folder/some texts.jsonl"' "calibration/files/0/sha256=\"$(sha256sum "$texts" | cut -d' ' -f1)\""
good 8 --calib 'Bücher 書/größe 🚀.jsonl'
json g.json 'calibration/files/0/file="Bücher 書/größe 🚀.jsonl"'
good 8 --calib 'Bücher 書'
good 3 --calib 'Bücher 書/größe 🚀.jsonl:3'
good 8 --calib colon:2.jsonl
good 5 --calib colon:2.jsonl:5
good 1 --calib colon:3          # the file, not a file "colon" with a limit of 3; no .jsonl: one text
good 8 --calib=-dash.jsonl
good 8 --calib $'new\nline.jsonl'
good 8 --calib $'latin\xfc.jsonl'
json g.json calibration/files/0/file
cp "$Q" $'m\xfc.gguf'
ok inspect $'m\xfc.gguf' --json
json .out 'file="m?.gguf"'
good 8 --calib "$texts":100
good 16 --calib "$texts" --calib 'a folder'
good 4 --calib "$texts:1" --calib 'a folder:3'
bad_text "$texts:0" 'limit is 0'
bad_text "$texts:99999999999999999999999" 'too large'
bad_text "$texts:-1" 'No such file'
bad_text "$texts:x" 'No such file'

# ---- standard input
stdin() { # WANTED, ARGS
    local want=$1
    shift
    n_checks=$((n_checks + 1))
    "$REAP" profile "$Q" -o i.json --json -t 1 "$@" >.out 2>.err
    got=$?
    [[ $got = "$want" ]] || { say_bad "exit status $got, expected $want: $*"; show .err; }
}
stdin 0 --calib - <"$texts"
json .out n_samples=8
rm -f i.json
stdin 0 --calib -:2 < <(cat "$texts")
json .out n_samples=2
rm -f i.json
stdin 2 --calib - </dev/null
has .err '^reap: standard input: '
stdin 2 --calib - --calib - <"$texts"
has .err 'standard input is named twice'
stdin 2 --calib - <&-
has .err '^reap: standard input: '
absent i.json
fails 2 'calib -' 'must be a file' -- run "$Q" --calib - -o out.gguf

# ---- folders: categories, hidden files, files that are no text
mkdir -p lib/code lib/chat lib/.hidden
head -4 "$texts" >lib/code/a.jsonl
sed -n 5,8p "$texts" >lib/chat/b.jsonl
cp "$texts" lib/.hidden/c.jsonl
cp "$texts" lib/code/.d.jsonl
echo 'plain words' >lib/code/e.txt
good 9 --calib lib
good 4 --calib lib --samples-per-category 2
good 3 --calib lib --max-samples 3
head -c 5000 "$Q" >lib/code/model.bin
good 9 --calib lib
has .err '^reap: warning: lib/code/model.bin: not a text file; left out'
printf 'caf\xe9\n' >lib/code/latin.txt
bad_text lib 'lib/code/latin.txt' 'not valid UTF-8'
rm lib/code/latin.txt
mkfifo lib/pipe
good 9 --calib lib
has .err '^reap: warning: lib/pipe: not a regular file'
rm lib/pipe
# the choice: by seed, the same again, another with another seed; the order of the arguments does not matter to it
ids() { "$JSON" get g.json layers/0/count; }
good 3 --calib "$texts" --max-samples 3
a=$(ids)
good 3 --calib "$texts" --max-samples 3
expect 'the same choice' test "$a" = "$(ids)"
differs=0
for seed in 1 2 3 4; do
    good 3 --calib "$texts" --max-samples 3 --seed $seed
    [[ $a = "$(ids)" ]] || differs=1
done
expect 'another seed, another choice' test $differs = 1
no_parts
finish
