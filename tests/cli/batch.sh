#!/usr/bin/env bash
# reap batch against a server that misbehaves on purpose (tests/tools/bad_server.c): what is an answer, what is an error and how it reads,
# what is tried again, what prompts may be.
. "$(dirname "$0")/lib.bash"
. "$SRC/tests/cli/batch.bash"

result=results/0
# failed SCENARIO TRIES WORDS -- ARGS: it fails so, after so many tries, and the file says why
failed() {
    local scenario=$1 tries=$2 words=()
    shift 2
    while (($#)) && [[ $1 != -- ]]; do words+=("$1"); shift; done
    shift
    run 1 "$scenario" "$@"
    has .err '^reap: .*1 of 1 prompts'
    json run.json $result/status='"failed"' $result/attempts="$tries"
    "$JSON" get run.json $result/error >error
    has error "${words[@]}"
    expect "$scenario: $tries requests" test "$(asked)" = "$tries"
}

# ---- answers
run 0 good
json run.json schema='"reap.batch/1"' $result/response='"Hello, world"' $result/finish_reason='"stop"' $result/prompt_tokens=7 \
    $result/completion_tokens=3 $result/response_tokens=3 $result/attempts=1 $result/seconds $result/first_token_seconds \
    model/id='"bad-model"' model/n_params=5 parameters/temperature=0.0 parameters/max_tokens=1024 parameters/seed=42
has .out '^hi$' '^Hello, world$' 'stop; 7 tokens in, 3 out' '1 of 1 prompts answered'
has "$log" '"stream":true' '"include_usage":true' '"model":"bad-model"' '"messages":\[\{"role":"user","content":"hi"\}\]' '"seed":42'
no_parts
run 0 odd
json run.json $result/response='"grüß 🌍"' $result/finish_reason='"stop"'
run 0 whole
json run.json $result/response='"whole"' $result/completion_tokens=1
run 0 reasoning
json run.json $result/response='"42"' $result/reasoning='"let me think"'
run 0 nodone
json run.json $result/response='"no done"'
run 0 empty
json run.json $result/response='""' $result/finish_reason='"stop"'
run 0 slow
json run.json $result/response='"Hello, world"'
run 0 nomodels --model mine
has "$log" '"model":"mine"'
run 0 good --completions
has "$log" 'POST /good/v1/completions .*"prompt":"hi"'
run 0 good/v1/
json run.json server="\"$url/good\""
for s in "${url#http://}" ":${url##*:}" "localhost:${url##*:}"; do
    rm -f run.json
    ok batch --server "$s/good/v1" --prompts one.jsonl -o run.json
    json run.json $result/response='"Hello, world"'
done
run 0 good --system 'Be short.' --top-p 0.9 --top-k 5 --max-tokens 9 --temperature 0.5 --seed 7
has "$log" '"role":"system","content":"Be short\."' '"top_p":0\.9' '"top_k":5' '"max_tokens":9' '"temperature":0\.5' '"seed":7'
# what a model says does not drive the terminal, and the file has it as it is
run 0 escape
lacks .out $'\x1b' $'\x07'
has .out '^a\?\[2Jb\?c$' '^d$'
json run.json $result/response='"a\u001b[2Jb\u0007c\nd"'
# calls are answers, and stand in the file as the interface has them
run 0 call
json run.json $result/response='""' $result/finish_reason='"tool_calls"' $result/tool_calls/0/id='"c1"' $result/tool_calls/0/type='"function"' \
    $result/tool_calls/0/function/name='"get_weather"' $result/tool_calls/0/function/arguments='"{\"city\": \"Rome\"}"' $result/first_token_seconds
has .out '^\[call\] get_weather \{"city": "Rome"\}$' '^---- tool_calls;'
lacks .out '^\[answer\]$'
run 0 call-whole
json run.json $result/function_call/name='"f"' $result/refusal='"not that"'
has .out '^\[call\] f \{\}$' '^not that$'
# what llama-server cannot read is the model's answer, as far as it came
run 0 malformed
json run.json $result/status='"ok"' $result/finish_reason='"malformed"' $result/response='"so "' $result/tool_calls/0/function/arguments='"{"' $result/attempts=1
run 0 malformed-500
json run.json $result/finish_reason='"malformed"' $result/response='""' $result/attempts=1
# nothing is refused or cut short for a character
run 0 nul
json run.json $result/response='"a␀b��"' $result/replaced/nul=1 $result/replaced/invalid=2
has .out '^a␀b��$' '; 3 characters replaced'
has .err 'warning: 1 answers held characters that a text cannot hold'
run 0 good --json
json .out command='"batch"' n_answered=1 n_failed=0
run 0 good --brief
expect 'two lines' test "$(wc -l <.out)" = 2

# ---- errors that trying again does not help
failed 400 1 'status 400: the prompt is too long' --
failed 401 1 'status 401: no key' 'set REAP_API_KEY' --
failed 302 1 'status 302' --
failed notjson 1 'not valid JSON' --
failed html 1 'not valid JSON' --
failed types 1 "'content' is an integer, expected a string" --
failed nochoices 1 "'choices' is missing" --
failed error 1 'the server reports an error: kaput' --
failed endless-text 1 'longer than 16777216 bytes' --
failed endless-line 1 'event of more than 16777216 bytes' --
failed endless-body 1 'more than 67108864 bytes' --
failed hang 1 'no complete answer within 0.3 s' -- --timeout 0.3
failed slow 1 'no complete answer within 0.3 s' -- --timeout 0.3
failed 429-long 1 'asks to wait 20000 s' 'status 429: slow down' --
failed garbage 1 '' -- # '': the words are libcurl's
# ---- and where it may
failed 500 3 'status 500: out of \?\[31mluck\?here' --
lacks .err $'\x1b'
has .err '^hi|one.jsonl:1: .*again in 0.01 s'
failed reset 3 'reset|RST|closed|recv|Recv' --
failed cut 3 'the stream ended before the answer was complete' --
failed call-cut 3 'the stream ended before the answer was complete' --
failed short 3 '' --
failed nothing 3 '' --
failed 500 1 'status 500' -- --retries 0
long_words='the stream ended|not valid JSON|outstanding|closed'
failed long 3 "$long_words" --
for s in reset-once 500-once 503-once 429-once; do
    run 0 "$s"
    json run.json $result/response='"Hello, world"' $result/attempts=2
    expect "$s: two requests" test "$(asked)" = 2
done
has .err 'status 429: slow down; again in 1 s'

# ---- wrong usage, wrong input
fails 2 'server is missing' -- batch --prompts one.jsonl -o x.json
fails 2 'prompts is missing' -- batch --server "$url" -o x.json
fails 2 'output is missing' -- batch --server "$url" --prompts one.jsonl
fails 2 'http' -- batch --server ftp://127.0.0.1/ --prompts one.jsonl -o x.json
fails 2 "'8080' is not the address of a server.* :8080" -- batch --server 8080 --prompts one.jsonl -o x.json
fails 2 'not the address' -- batch --server 'http://' --prompts one.jsonl -o x.json
fails 2 'user name' -- batch --server http://me:pass@127.0.0.1:1 --prompts one.jsonl -o x.json
lacks .err pass
fails 2 'no.such' -- batch --server "$url/good" --prompts no.such -o x.json
fails 2 'prompts itself' -- batch --server "$url/good" --prompts one.jsonl -o one.jsonl
fails 1 'nomodels/v1/models.*404' -- batch --server "$url/nomodels" --prompts one.jsonl -o x.json "${quick[@]}" -q
mkdir empty
fails 2 'holds no prompts' -- batch --server "$url/good" --prompts empty -o x.json
: >blank.txt
fails 2 'blank.txt.*is empty' -- batch --server "$url/good" --prompts blank.txt -o x.json
printf 'a\xff\n' >latin.txt
fails 2 'latin.txt: not valid UTF-8 at byte 1' -- batch --server "$url/good" --prompts latin.txt -o x.json
bad_row() { # ROW WORDS
    printf '{"prompt":"fine"}\n\n%s\n' "$1" >row.jsonl
    fails 2 'row.jsonl: line 3: ' "$2" -- batch --server "$url/good" --prompts row.jsonl -o x.json
}
bad_row '{"text":"x"}' "'prompt' or 'messages'"
bad_row '{"prompt":"x","messages":[{"role":"user","content":"x"}]}' "'prompt' or 'messages'"
bad_row '{"prompt":5}' "'prompt' is an integer"
bad_row '{"prompt":""}' "'prompt' is empty"
bad_row '{"messages":[]}' "'messages' is empty"
bad_row '{"messages":[{"role":"user"}]}' "message 1: 'content' is missing"
bad_row '{"messages":["x"]}' 'message 1 is a string'
bad_row '{"prompt":"x","parameters":{"stream":false}}' "may not hold 'stream'"
bad_row '{"prompt":"x","parameters":[]}' "'parameters' is a list"
bad_row '{"prompt":"x","id":[]}' "'id' is a list"
bad_row '[]' 'is a list'
bad_row '{"prompt":' 'row.jsonl: line 3: column 10: not valid JSON'
printf '{"id":"a","prompt":"x"}\n{"id":"a","prompt":"y"}\n' >row.jsonl
fails 2 "two prompts have the id 'a'" -- batch --server "$url/good" --prompts row.jsonl -o x.json
echo '{"messages":[{"role":"user","content":"x"}]}' >row.jsonl
fails 2 'messages cannot go to /v1/completions' -- batch --server "$url/good" --prompts row.jsonl -o x.json --completions
# nothing listens there (the port was ours a moment ago)
"$BAD" "$D/port2" "$D/log2" & other=$!
wait_for 20 test -s "$D/port2"
kill $other
wait $other 2>/dev/null
fails 1 'refused|connect' -- batch --server "http://127.0.0.1:$(cat "$D/port2")" --prompts one.jsonl -o x.json "${quick[@]}" -q

# a certificate that nobody vouches for
if command -v openssl >/dev/null &&
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$D/key" -out "$D/cert" -days 2 -subj /CN=localhost 2>/dev/null; then
    openssl s_server -accept "$(cat "$D/port2")" -key "$D/key" -cert "$D/cert" -www </dev/null >/dev/null 2>&1 & other=$!
    up() { openssl s_client -connect "127.0.0.1:$(cat "$D/port2")" </dev/null >/dev/null 2>&1; }
    if wait_for 5 up; then
        fails 1 'SSL certificate|certificate' -- batch --server "https://localhost:$(cat "$D/port2")" --prompts one.jsonl -o x.json -q
    else
        left_out 'certificates: openssl s_server does not start'
    fi
    kill $other 2>/dev/null
    wait $other 2>/dev/null
else
    left_out 'certificates: no openssl'
fi

# ---- folders, rows and their own parameters, repetitions
ok batch --server "$url/good" --prompts three -o run3.json --repeat 2
json run3.json n_prompts=6 results/0/id='"code/hello.md"' results/0/category='"code"' results/1/id='"math/add.txt"' \
    results/2/id='"math/mul.txt"' results/2/category='"math"' results/3/id='"code/hello.md"' results/3/repeat=1
has "$log" '"seed":42' '"seed":43'
for i in 1 2; do # answers beside the prompts are no prompts when the command goes on
    ok batch --server "$url/good" --prompts three -o three/answers.json
    json three/answers.json n_prompts=3
done
rm three/answers.json
cat >rows.jsonl <<'X'
{"id":"r1","prompt":"p1","category":"c","temperature":0.7,"max_tokens":3,"stop":["x"],"other":1}
{"id":2,"messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"part"}]}],"parameters":{"min_p":0.1}}
{"prompt":"p3","system":"own"}
X
: >"$log"
ok batch --server "$url/good" --prompts rows.jsonl -o rows.json --system common
json rows.json results/0/id='"r1"' results/1/id='"2"' results/2/id='"rows.jsonl:3"' results/0/parameters/temperature=0.7
has "$log" '"content":"common"\},\{"role":"user","content":"p1"' '"temperature":0.7' '"max_tokens":3' '"stop":\["x"\]' '"min_p":0.1' \
    '\[\{"role":"system","content":"s"\},\{"role":"user","content":\[\{"type":"text","text":"part"\}\]' '\[\{"role":"system","content":"own"\}'
lacks "$log" '"other"'
has .out '^part$'
has .err "not sent, with the number of rows: 'other' \(1\)"

# ---- rows with tools, as they are in OpenAI's interface; all of it tells one request from another
tool='[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object"}}}]'
cat >tools.jsonl <<X
{"id":"t1","prompt":"Weather?","tools":$tool,"tool_choice":"required","response_format":{"type":"text"},"parallel_tool_calls":true}
{"custom_id":"t2","method":"POST","url":"/v1/chat/completions","body":{"model":"other","max_completion_tokens":6,"messages":[{"role":"user","content":"And?"},{"role":"assistant","tool_calls":[{"id":"x","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"x","content":"sun"},{"role":"assistant","content":null}],"tools":$tool}}
X
: >"$log"
ok batch --server "$url/call" --prompts tools.jsonl -o tools.json
has "$log" "\"tools\":\\[\\{\"type\":\"function\",\"function\":\\{\"name\":\"get_weather\"" '"tool_choice":"required"' '"response_format":\{"type":"text"\}' \
    '"parallel_tool_calls":true' '\{"role":"assistant","tool_calls":\[\{"id":"x","type":"function","function":\{"name":"f","arguments":"\{\}"\}\}\]\}' \
    '"role":"tool","tool_call_id":"x"' '\{"role":"assistant","content":null\}' '"model":"bad-model","messages":\[\{"role":"user","content":"And\?".*"max_completion_tokens":6'
expect 'one limit of tokens a request' test "$(grep -c '"max_tokens"' "$log")" = 1
json tools.json results/0/parameters/tool_choice='"required"' results/1/id='"t2"' results/1/parameters/tools/0/function/name='"get_weather"'
has .out '^\[call\] f \{\}$'
has .err '1 prompts end with a turn of the assistant'
: >"$log"
ok batch --server "$url/call" --prompts tools.jsonl -o tools.json
expect 'nothing is asked again' test "$(asked)" = 0
"$JSON" get tools.json results/0/tool_calls >/dev/null && sed -i 's/"tool_calls": \[$/"gone": [/' tools.json # as a version that kept no calls left it
: >"$log"
ok batch --server "$url/call" --prompts tools.jsonl -o tools.json
expect 'lost calls are asked for again' test "$(asked)" = 2
json tools.json results/0/tool_calls/0/function/name='"get_weather"'
sed -i 's/"type":"object"/"type":"object","required":["city"]/' tools.jsonl
fails 2 '2 answers to other prompts or parameters' -- batch --server "$url/call" --prompts tools.jsonl -o tools.json
head -1 tools.jsonl >tool1.jsonl
fails 2 "'tools' cannot go to /v1/completions" -- batch --server "$url/good" --prompts tool1.jsonl -o x.json --completions

# ---- the key: sent, and nowhere else
: >"$log"
REAP_API_KEY=secret-key ok batch --server "$url/good" --prompts one.jsonl -o key.json
has "$log" '/chat/completions key '
lacks "$log" 'nokey'
OPENAI_API_KEY=secret-key ok batch --server "$url/good" --prompts one.jsonl -o key2.json -v
refuse 'the key is in no file and on no terminal' grep -l secret-key key.json key2.json .out .err
# nor where the server repeats it, or a model that was told it
unsaid() { # RC SCENARIO ARGS...: with the key, no word of it anywhere
    REAP_API_KEY=secret-key run "$@" -v
    refuse "$2: no word of the key" grep -rlE 'secret|ecret-key|ecr' .
}
unsaid 0 key-answer
json run.json $result/response='"Your key is Bearer [REAP_API_KEY], [REAP_API_KEY]."' $result/reasoning='"it is [REAP_API_KEY]!"' \
    $result/tool_calls/0/id='"[REAP_API_KEY]"' $result/tool_calls/0/function/arguments='"{\"k\":\"[REAP_API_KEY]\"}"' $result/replaced/key=5 $result/replaced/nul=0
has .out '^Your key is Bearer \[REAP_API_KEY\], \[REAP_API_KEY\]\.$' '; the key replaced 5 times$'
has .err 'warning: 1 answers held the key of the interface'
each_of 'answers with a key' key-error key-plain key-cut key-event key-near key-type key-status
for s in "${each[@]}"; do unsaid 1 "$s"; done
unsaid 1 key-error
has .err "prompts failed"
json run.json $result/error='"the server answers with status 401: bad key: Bearer [REAP_API_KEY] (the key in REAP_API_KEY or OPENAI_API_KEY was sent)"'
unsaid 1 key-plain
has .err 'status 500: no such key: \[REAP_API_KEY\]; again in'
unsaid 0 key-models
json run.json model/id='"m-[REAP_API_KEY]"' model/ftype='"[REAP_API_KEY]"'
has "$log" '"model":"m-secret-key"'
REAP_API_KEY=secret-key fails 2 "another model \('m-\[REAP_API_KEY\]', the server has 'x'\)" -- batch --server "$url/key-models" --prompts one.jsonl -o run.json --model x
unsaid 0 good/secret-key
json run.json server="\"$url/good/[REAP_API_KEY]\""
echo '{"prompt":"is it secret-key?"}' >told.jsonl
REAP_API_KEY=secret-key ok batch --server "$url/good" --prompts told.jsonl -o told.json
has "$log" '"content":"is it secret-key\?"' # the request is the user's
json told.json results/0/messages/0/content='"is it [REAP_API_KEY]?"'
lacks .out secret-key
# an id, a category, a key that is not sent, and what is wrong with a row
echo '{"id":"of secret-key","category":"c-secret-key","prompt":"x","secret-key":1}' >told.jsonl
unsaid_id() { lacks .out ecret-key; lacks .err ecret-key; }
REAP_API_KEY=secret-key ok batch --server "$url/good" --prompts told.jsonl -o told2.json -v
unsaid_id
has .err "not sent, with the number of rows: '\[REAP_API_KEY\]' \(1\)"
json told2.json results/0/id='"of [REAP_API_KEY]"' results/0/category='"c-[REAP_API_KEY]"'
lacks told2.json secret-key
: >"$log"
REAP_API_KEY=secret-key ok batch --server "$url/good" --prompts told.jsonl -o told2.json
expect 'an answer with a hidden id is found again' test "$(asked)" = 0
echo '{"id":"of secret-key","prompt":"y"}' >>told.jsonl
REAP_API_KEY=secret-key fails 2 "two prompts have the id 'of \[REAP_API_KEY\]'" -- batch --server "$url/good" --prompts told.jsonl -o x.json
rm told.jsonl
OPENAI_API_KEY=secret-key run 0 key-answer
json run.json $result/reasoning='"it is [OPENAI_API_KEY]!"'
# what is too short for a key is a word like others
REAP_API_KEY=key run 0 key-answer
json run.json $result/response='"Your key is Bearer secret-key, secret-key."'
REAP_API_KEY='' run 0 key-answer
json run.json $result/response='"Your key is Bearer secret-key, secret-key."'
rm run.json
# an address that may hold a secret is not repeated
for a in 'http://me:hidden@h:99999' 'ftp://me:hidden@h' 'http://me:hidden@h/' 'http://h/?k=hidden' 'me:hidden@h' 'http:/me:hidden@h' 'http://h:x/?hidden' 'http://me:hid/hidden@h'; do
    fails 2 . -- batch --server "$a" --prompts one.jsonl -o x.json
    lacks .err hid
done
REAP_API_KEY=$'a\nb' fails 1 'not one line' -- batch --server "$url/good" --prompts one.jsonl -o x.json
# a folder that cannot be written
if [[ $(id -u) != 0 ]]; then
    mkdir locked && chmod a-w locked
    fails 1 'locked' -- batch --server "$url/good" --prompts one.jsonl -o locked/run.json
else
    left_out 'a folder without the right to write: root may always'
fi
fails 2 'no/run.json|folder' -- batch --server "$url/good" --prompts one.jsonl -o no/run.json
n_checks=$((n_checks + 1))
"$REAP" batch --server "$url/good" --prompts three -o full.json >/dev/full 2>.err
[[ $? = 1 ]] && grep -q 'standard output' .err || say_bad 'a full standard output is an error'
finish
