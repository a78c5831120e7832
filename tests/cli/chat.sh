#!/usr/bin/env bash
# Which chat template a conversation is written by, with which variables, and what is said of what it leaves. What templates make of
# conversations: unit/test_chat.c against transformers; the same text as llama-server's: serve.sh.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
Q=$MODELS/qwen3_moe/model.gguf

give() { # KEY FILE: a model with this template
    "$EDIT" "$Q" m.gguf del tokenizer.chat_template set "$1" str "$(cat "$2")" || say_bad "no model with $1"
}
text() { # WANT ARGS: what the model is given for the first row of chat.jsonl
    local want got
    want=$(printf %b "$1")
    shift
    ok profile --calib chat.jsonl --no-shuffle --show-samples 1 --json "$@" || return
    got=$("$JSON" get .out samples/0/text)
    expect "$* gives '$got', expected '$want'" test "$got" = "$want"
}

cat >chat.jsonl <<'X'
{"messages": [{"role": "user", "content": "hi", "thinking": "who is it"}, {"role": "assistant", "content": "yo"}], "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}], "chat_template_kwargs": {"mood": "row"}}
X
printf '{%% for m in messages %%}<{{ m.role }}>{{ m.content }}{%% endfor %%}{{ mood }}{{ other }}\n' >own.jinja
printf 'tools:{{ tools | length }}{{ messages | length }}' >tools.jinja
printf 'file:{{ messages[0].content }}{{ bos_token }}|{{ eos_token }}' >file.jinja
give tokenizer.chat_template own.jinja
cp m.gguf own.gguf

# ---- whose template
text '<user>hi<assistant>yorow' own.gguf
text 'hi\nyo' own.gguf --chat-template none
text '<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nyo<|im_end|>\n' own.gguf --chat-template chatml
ok profile own.gguf --calib chat.jsonl --show-samples 1 --json --chat-template-file file.jinja
has .out '"text": "file:hi.*\|'
# special tokens by name: those that the model has, and no other
printf '[{{ bos_token }}][{{ eos_token }}][{{ nothing }}]' >special.jinja
text '[][<|im_end|>][]' own.gguf --chat-template-file special.jinja
text '[<b>][<|im_end|>][]' own.gguf --chat-template-file special.jinja --chat-template-kwargs '{"bos_token": "<b>"}'
"$EDIT" own.gguf bos.gguf set tokenizer.ggml.bos_token_id u32 596 || say_bad 'no BOS'
text '[<|im_start|>][<|im_end|>][]' bos.gguf --chat-template-file special.jinja
"$EDIT" own.gguf both.gguf set tokenizer.chat_template.tool_use str "$(cat tools.jinja)" || say_bad 'no second template'
text 'tools:12' both.gguf
sed 's/"tools"/"no_tools"/' chat.jsonl >no.jsonl && mv chat.jsonl with.jsonl && cp no.jsonl chat.jsonl
text '<user>hi<assistant>yorow' both.gguf
cp with.jsonl chat.jsonl
fails 2 'exclude each other' -- profile own.gguf --calib chat.jsonl -o s.json --chat-template chatml --chat-template-file file.jinja
fails 2 'nothere.jinja' 'No such file' -- profile own.gguf --calib chat.jsonl -o s.json --chat-template-file nothere.jinja
fails 2 "'chatmll' is not known: did you mean chatml" -- profile own.gguf --calib chat.jsonl -o s.json --chat-template chatmll
ok profile --help && has .out 'chat-template NAME' 'none, bailing' 'chatml'

# ---- variables: those of the row win
text '<user>hi<assistant>yorow2' own.gguf --chat-template-kwargs '{"mood": "option", "other": 2}'
fails 2 'chat-template-kwargs' 'column' -- profile own.gguf --calib chat.jsonl -o s.json --chat-template-kwargs '{"mood"'
fails 2 'chat-template-kwargs is a list, expected an object' -- profile own.gguf --calib chat.jsonl -o s.json --chat-template-kwargs '[1]'
fails 2 "^reap: --chat-template-kwargs: 'tools' is a row's own" -- profile own.gguf --calib chat.jsonl -o s.json --chat-template-kwargs '{"tools": []}'
fails 2 "'add_generation_prompt' is always false" -- profile own.gguf --calib chat.jsonl -o s.json --chat-template-kwargs '{"add_generation_prompt": true}'
sed 's/"mood": "row"/"messages": "lost", "add_generation_prompt": true/' chat.jsonl >lost.jsonl
ok profile own.gguf --calib lost.jsonl --show-samples 1 && has .err "'chat_template_kwargs.messages' \(1 row\)"
has .out '<user>hi<assistant>yo$'

# ---- what is left is said once, and stands in the file, with what wrote the chats
ok profile own.gguf --calib chat.jsonl -o s.json -t 1
has .err "not used for calibration: 'tools' \(1 row\), 'messages.thinking' \(1 message"
json s.json calibration/unused/tools=1 calibration/unused/messages.thinking=1 calibration/chat/from='"model"' \
    "calibration/chat/sha256=\"$(printf %s "$(cat own.jinja)" | sha256sum | cut -d' ' -f1)\""
ok profile own.gguf --calib chat.jsonl -o s.json -t 1 -f --chat-template-file file.jinja --chat-template-kwargs '{"x": 1}'
json s.json calibration/chat/from='"file"' calibration/chat/kwargs/x=1
ok profile own.gguf --calib chat.jsonl -o s.json -t 1 -f --chat-template chatml
json s.json calibration/chat/name='"chatml"' calibration/chat_template='"chatml"' calibration/unused/messages.thinking=1

cat >parts.jsonl <<'X'
{"messages": [{"role": "user", "content": [{"type": "text", "text": "q"}]}, {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}]}]}
X
printf '{%% for m in messages %%}<{{ m.role }}>{%% for p in m.content %%}{{ p.text }}{%% endfor %%}{%% endfor %%}' >parts.jinja
printf '{%% for m in messages %%}{{ m.content|tojson }}{%% endfor %%}' >all.jinja
for how in '--chat-template none' '--chat-template chatml' '--chat-template-file parts.jinja'; do
    # shellcheck disable=SC2086
    ok profile own.gguf --calib parts.jsonl --show-samples 1 $how
    has .err "not used for calibration: 'messages.content.thinking' \(1 message\)$"
done
ok profile own.gguf --calib parts.jsonl --show-samples 1 --chat-template-file all.jinja && lacks .err 'not used'

# ---- a template that writes the date: the clock's, or the one that is asked for
printf 'on {{ strftime_now("%%Y-%%m-%%d") }}' >date.jinja
SOURCE_DATE_EPOCH=86400 TZ=UTC text 'on 1970-01-02' own.gguf --chat-template-file date.jinja
text "on $(date +%Y-%m-%d)" own.gguf --chat-template-file date.jinja
SOURCE_DATE_EPOCH=86400 TZ=UTC ok profile own.gguf --calib chat.jsonl -o s.json -f -t 1 --chat-template-file date.jinja
json s.json calibration/chat/date='"1970-01-02"'
shards() { # TIME-1 TIME-2
    for i in 1 2; do
        env TZ=UTC "SOURCE_DATE_EPOCH=${!i}" "$REAP" profile own.gguf --calib chat.jsonl -o "p$i.json" -f -t 1 --shard $i/2 --chat-template-file date.jinja \
            >.out 2>.err || say_bad "shard $i"
    done
}
shards 86400 172800
fails 2 'shard 2 of 2 is missing .of the run of p1.json.: p2.json was made on another day, 1970-01-03,' SOURCE_DATE_EPOCH -- stats merge p1.json p2.json -o s.json -f
shards 86400 100000
ok stats merge p1.json p2.json -o s.json -f
# --resume keeps the day
SOURCE_DATE_EPOCH=172800 TZ=UTC ok profile own.gguf --calib chat.jsonl -o p1.json -t 1 --shard 1/2 --chat-template-file date.jinja --resume
for epoch in tomorrow -1 99999999999999999; do
    SOURCE_DATE_EPOCH=$epoch fails 2 "SOURCE_DATE_EPOCH is '$epoch', expected seconds since 1970" -- profile own.gguf --calib chat.jsonl -o s.json -f
done

# ---- a row that the template refuses is a malformed row, in the template's own words
printf '{{ raise_exception("no \x1b[31m" ~ messages[0].role ~ " here") }}' >raise.jinja
fails 2 '^reap: chat.jsonl:1: ' 'no .*user here' -- profile own.gguf --calib chat.jsonl -o s.json -f --chat-template-file raise.jinja
lacks .err $'\x1b'
for broken in '{% if %}' '{{ messages' '{% for m in messages %}' '{% nothing %}' $'\xff'; do
    printf %s "$broken" >broken.jinja
    fails 2 'broken.jinja: ' -- profile own.gguf --calib chat.jsonl -o s.json -f --chat-template-file broken.jinja
    [[ $broken = $'\xff' ]] && continue
    give tokenizer.chat_template broken.jinja
    fails 2 'chat.jsonl:1: the chat template is not valid' -- profile m.gguf --calib chat.jsonl -o s.json -f
done
# a model whose template is broken still reads text
echo '{"text": "a b c"}' >text.jsonl
ok profile m.gguf --calib text.jsonl -o t.json -t 1
# neither endless nor bottomless
printf '{%% for a in range(99999) %%}{%% for b in range(99999) %%}{%% endfor %%}{%% endfor %%}' >long.jinja
fails 2 'steps' -- profile -q own.gguf --calib chat.jsonl -o s.json -f -q --chat-template-file long.jinja
printf '{%% macro f() %%}{{ f() }}{%% endmacro %%}{{ f() }}' >deep.jinja
fails 2 'calls itself' -- profile own.gguf --calib chat.jsonl -o s.json -f --chat-template-file deep.jinja
{ printf '{{ '; head -c 100000 /dev/zero | tr '\0' '('; } >paren.jinja
fails 2 'paren.jinja' 'more than 400 parts' -- profile own.gguf --calib chat.jsonl -o s.json -f --chat-template-file paren.jinja
yes '{% if 1 %}' | head -20000 >nested.jinja
fails 2 'nested.jinja' 'nested more than 64 deep' -- profile own.gguf --calib chat.jsonl -o s.json -f --chat-template-file nested.jinja
finish
