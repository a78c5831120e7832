#!/usr/bin/env bash
# Strings of others on the terminal: whatever a model, a file's name, a row, an answer, a server, a template or the command line brings,
# nothing of it drives the terminal, turns its text or hides in it. `call` in lib.bash looks at both streams of every command; here each
# command is given such strings, and their harmless part, "pwn", has to be seen.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
m=$MODELS/qwen3_moe

# Every class: title and colour, BEL, BS, CR, VT, DEL, C1 (CSI, NEL), soft hyphen, joiner, ALM, fillers, ZWSP, LRM, RLM, line and
# paragraph separator, embeddings and overrides, word joiner, isolates, deprecated ones, BOM, interlinear, musical, tags, selectors.
parts=('\e]0;t\a' '\e[31m' '\b' '\r' '\v' '\x7f' '\u009b31m' '\u0085' '\u00ad' '\u034f' '\u061c' '\u115f' '\u17b4' '\u200b' '\u200e'
    '\u200f' '\u2028' '\u2029' '\u202a' '\u202e' '\u2060' '\u2066' '\u2069' '\u206f' '\u3164' '\ufeff' '\uffa0' '\ufff9' '\U0001bca0'
    '\U0001d173' '\U000e0041' '\U000e0100')
bytes() { LC_ALL=C.UTF-8 printf "${1//\\e/\\x1b}"; }
h=pwn
for p in "${parts[@]}"; do
    h+=$(bytes "$p")
    expect "the check knows $p" bash -c '! grep -qaE -- "$1" <<<"$2"; [[ $? = 1 ]]' - "$MISLEADING" "x$(bytes "$p")x"
done
h+=z
t=() # the same in pieces that are short enough for tensors
for ((i = 0; i < ${#parts[@]}; i += 8)); do
    t+=("pwn$i$(for p in "${parts[@]:i:8}"; do bytes "$p"; done)")
done
printf '%s' 'ä € 🌱 👨‍👩‍👧 ❤️ می‌خواهم नमस्ते' >plain # needed by scripts and emoji: ZWJ, ZWNJ, FE0F
expect 'the check lets text be' fit_for_terminal plain
# the same as a JSON string, raw where JSON allows it and escaped where it has to be
json_of() { printf '%s' "$1" | od -An -v -tx1 | tr -d ' \n' | sed 's/../&\n/g' | while read -r x; do
    if ((16#$x < 32)); then printf '\\u00%s' "$x"; else printf "\\x$x"; fi
done; }
j=$(json_of "$h")

shows() { # RC ARGS...
    rc "$@"
    grep -qa pwn "$T/.out" "$T/.err" || say_bad "the string is not seen, so this tries nothing: reap ${*:2}"
}

# ---- the command line ----
shows 2 "$h"
shows 2 help "$h"
shows 2 inspect "--$h"
shows 2 inspect "$TINY" "$h"
shows 2 plan --criterion "$h" s.json
shows 2 plan --keep "$h" s.json
shows 2 eval "$TINY" --text "$h"
shows 2 inspect "$h.gguf"
shows 2 profile "$TINY" --calib "$h" -o s.json
shows 2 profile "$TINY" --calib "$m/texts.jsonl" --map "$h" -o s.json
shows 2 profile "$TINY" --calib "$m/texts.jsonl" --chat-template-kwargs "{$j" -o s.json
shows 2 profile "$TINY" --calib "$m/texts.jsonl" --cache-type-k "$h" -o s.json
shows 2 profile "$TINY" --calib "$m/texts.jsonl" --device "$h" -o s.json
shows 2 batch --server http://127.0.0.1:9 --prompts "$h" -o b.json

# ---- a model with such strings in every place ----
"$EDIT" "$m/model.gguf" "$h.gguf" set general.name str "$h" set "x.$h" str "$h" set tokenizer.chat_template str "{{ raise_exception('$h') }}" || say_bad gguf_edit
"$EDIT" "$h.gguf" tensors.gguf add "blk.0.${t[0]}" f32 32 add "blk.0.${t[1]}" f32 32 add "blk.0.${t[2]}" f32 32 add "blk.0.${t[3]}" f32 32 || say_bad gguf_edit
g=$h.gguf
shows 0 inspect "$g"
shows 0 inspect "$g" --json
shows 0 inspect tensors.gguf --tensors
has .out 'blk.0.pwn0' 'blk.0.pwn24'
shows 0 inspect tensors.gguf --tensors --json
shows 0 inspect "$g" -v
mkdir "$h" && head -c 300 "$TEXT/prose/erzaehlung.txt" >"$h/$h.txt"
printf '{"id":"%s","text":"one two three %s","%s":"some text that is not used"}\n' "$j" "$j" "$j" >"$h/$h.jsonl"
shows 0 profile "$g" --calib "$h" --show-samples 2
shows 0 profile "$g" --calib "$h" --show-samples 2 --json
shows 0 profile "$g" --calib "$h" -o "$h.stats" -v
has .err 'general.name.*pwn'
shows 0 stats "$h.stats"
shows 0 stats "$h.stats" --json
shows 0 plan "$h.stats" --keep 6 -o "$h.plan"
shows 2 plan "$h.stats" --keep 6 -o "$h.plan"
shows 0 plan "$h.stats" --keep 6 -o "p-$h" --json
shows 0 prune "$g" -p "$h.plan" -o "pruned-$h.gguf"
shows 0 verify "$g" "pruned-$h.gguf" -p "$h.plan"
"$EDIT" "pruned-$h.gguf" other.gguf set "x.$h" str other add "blk.0.${t[1]}" f32 32
shows 3 verify "$g" other.gguf -p "$h.plan"
shows 3 verify "$g" other.gguf -p "$h.plan" --json
shows 0 eval "$g" --text "$h/$h.txt" --ctx 64
shows 0 eval "$g" --text "$h/$h.txt" --ctx 64 --json -v
shows 0 eval "$g" --calib "$h/$h.jsonl" --ctx 64 --logprobs "$h.logprobs"
shows 0 eval "$g" --plan "$h.plan" --against "$g" --text "$h/$h.txt" --ctx 64 -o "$h.eval"
shows 0 sweep "$g" --stats "$h.stats" --text "$h/$h.txt" --ctx 64 --ratios 0.25 --json
shows 0 refine "$g" --plan "$h.plan" --stats "$h.stats" --text "$h/$h.txt" --ctx 16 --trials 1 -o "refined-$h"
shows 0 stats export "$h.stats" -o "$h.export"
shows 0 stats import "$h.export" --model "$g" -o "$h.import"
shows 2 stats merge "$h.stats" "$h.export" -o x
printf '{"%s": [0]}\n' "$j" >"$h.lists"
shows 2 plan --from "$h.lists" --model "$g" -o x
printf '{"messages": [{"role": "%s", "content": "x"}]}\n' "$j" >roles.jsonl
shows 2 profile "$g" --calib roles.jsonl -o x
printf '{"messages": [{"role": "user", "content": "x"}]}\n' >chat.jsonl
shows 2 profile "$g" --calib chat.jsonl -o x
printf '{"%s": "x"}\n' "$j" >keys.jsonl
shows 2 profile "$g" --calib keys.jsonl -o x
for edit in "set general.architecture str $h" "set qwen3moe.rope.scaling.type str $h" "rename blk.1.ffn_up_exps.weight blk.1.${t[0]}exps.weight" \
    "set tokenizer.ggml.model str $h" "set tokenizer.ggml.pre str $h" "add blk.1.${t[3]}exps.weight f32 32"; do
    read -r op a b c <<<"$edit" # what is in the string is no blank
    "$EDIT" "$m/model.gguf" bad.gguf $op "$a" "$b" ${c:+"$c"}
    "$REAP" profile bad.gguf --calib "$m/texts.jsonl" -o x -v -f >.out 2>.err </dev/null && continue
    expect "$op $a" fit_for_terminal .out .err
    grep -qa pwn .err || say_bad "the string is not seen: $edit"
done

# ---- a checkpoint folder ----
cp -r "$m/hf" "hf-$h" && chmod -R u+w "hf-$h"
printf -- '---\nlicense: mit\nbase_model: "%s"\n---\n# %s\n' "$j" "$h" >"hf-$h/README.md"
shows 0 inspect "hf-$h"
shows 0 convert "hf-$h" -o "hf-$h.gguf"
shows 0 prune "hf-$h" -p "$h.plan" -o "out-$h" --force
expect 'the card says no more of it than the old one did' bash -c 'diff "$1" "$2" | grep "^>" >added; grep -q pwn added' - "hf-$h/README.md" "out-$h/README.md"
expect 'what the card adds is fit to be read' fit_for_terminal added
shows 0 verify "hf-$h" "out-$h" -p "$h.plan"
"$JSON" set "hf-$h/config.json" architectures "[\"$j\"]" model_type "\"$j\"" >c.json && mv c.json "hf-$h/config.json"
rc 2 convert "hf-$h" -o x.gguf
has .err pwn

# ---- result files ----
answer() { printf '{"schema":"reap.batch/1","model":{"name":"%s"},"results":[{"id":"%s","category":"%s","key":"k","prompt_sha256":"p","repeat":0,"status":"ok","messages":[{"role":"user","content":"%s"}],"response":"%s%s","finish_reason":"%s","tool_calls":[{"function":{"name":"%s","arguments":"%s"}}]}]}\n' "$j" "$j" "$j" "$j" "$1" "$j" "$j" "$j" "$j"; }
answer a >"a-$h.json"
answer b >"b-$h.json"
shows 0 compare "a-$h.json" "b-$h.json" -o "c-$h.json"
shows 0 compare "a-$h.json" "b-$h.json" -o c.json --json
shows 0 report --stats "$h.stats" --plan "$h.plan" --eval "$h.eval" --compare "c-$h.json" --title "$h" -o "$h.html"
expect 'the page holds none of it' fit_for_terminal "$h.html"
expect 'no file of ours holds it raw' fit_for_terminal "$h.stats" "$h.plan" "$h.eval" "c-$h.json" "$h.logprobs"
json "c-$h.json" rows/0/id="\"$j\""
for kind in plan stats eval sweep compare; do
    printf '{"schema":"reap.%s/1%s"}\n' "$kind" "$j" >wrong.json
    case $kind in
    stats) shows 2 stats wrong.json ;;
    plan) shows 2 prune "$g" -p wrong.json -o x ;;
    *) shows 2 report --plan "$h.plan" --$kind wrong.json -o x ;;
    esac
done

# ---- names with a line end: nobody writes a line in our place ----
own_line() { # RC ARGS...: FAKE is seen, and begins no line
    rc "$@"
    grep -q FAKE .out .err || say_bad "the name is not seen: reap ${*:2}"
    ! grep -qh '^FAKE' .out .err || say_bad "a name begins a line: $(grep -h '^FAKE' .out .err | head -1)"
}
l=$'one\nFAKE: verified'
mkdir "$l" && cp "$h/$h.txt" "$l/$l.txt"
printf '{"id":"one\\nFAKE","text":"one two three","one\\nFAKE":"not used here"}\n' >"$l/$l.jsonl"
own_line 0 profile "$m/model.gguf" --calib "$l" --show-samples 2
own_line 0 profile "$m/model.gguf" --calib "$l" -o "$l.stats"
own_line 0 stats "$l.stats"
own_line 0 plan "$l.stats" --keep 6 -o "$l.plan"
own_line 0 eval "$m/model.gguf" --text "$l/$l.txt" --ctx 64
own_line 0 prune "$m/model.gguf" -p "$l.plan" -o "$l.gguf"
own_line 0 verify "$m/model.gguf" "$l.gguf"
own_line 3 verify "$g" "$l.gguf"
own_line 0 stats export "$l.stats" -o "$l.export"
own_line 0 stats import "$l.export" --model "$m/model.gguf" -o "$l.import"
own_line 0 report --stats "$l.stats" -o "$l.html"
own_line 0 convert "$m/hf" -o "$l.converted"
pair() { printf '{"schema":"reap.batch/1","results":[{"id":"one\\nFAKE","category":"one\\nFAKE","key":"k","prompt_sha256":"p","repeat":0,"status":"ok","messages":[{"role":"user","content":"u"}],"response":"%s","finish_reason":"stop"}]}\n' "$1"; }
pair a >a.json
pair b >b.json
own_line 0 compare a.json b.json -o "$l.compare"

# ---- a server, and a program in the place of llama-server ----
export BAD_STRING=$j
. "$SRC/tests/cli/batch.bash"
printf '{"id":"%s","prompt":"hi %s","category":"%s"}\n' "$j" "$j" "$j" >"$h.prompts.jsonl"
shows 1 batch --server "$url/hostile" --prompts "$h.prompts.jsonl" -o "batch-$h.json" "${quick[@]}" --retries 0
shows 1 batch --server "$url/hostile" --prompts "$h.prompts.jsonl" -o "batch-$h.json" "${quick[@]}" --retries 0 -v
shows 1 batch --server "$url/hostile" --prompts "$h.prompts.jsonl" -o "batch-$h.json" "${quick[@]}" --json --retries 0
fit_for_terminal "batch-$h.json" || say_bad 'the file of answers holds it raw'
grep -q pwn "batch-$h.json" || say_bad 'the file of answers holds nothing of it'
printf '#!/bin/sh\necho "$PWN"; echo "error: $PWN" >&2; exit 1\n' >fake && chmod +x fake
export REAP_LLAMA_SERVER=$T/fake PWN=$h
shows 1 serve "$TINY" -v
shows 1 serve "$TINY" --json
finish
