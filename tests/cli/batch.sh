#!/usr/bin/env bash
# reap batch against a server that misbehaves on purpose (tests/tools/bad_server.c): what is an answer, what is an error and how it reads,
# what is tried again, what is kept when something dies in the middle. And reap compare on what came out.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
unset REAP_API_KEY OPENAI_API_KEY http_proxy HTTP_PROXY all_proxy ALL_PROXY no_proxy NO_PROXY

BAD=$BIN/bad_server
[[ -x $BAD ]] || skip "no $BAD"
D=$(mktemp -d "${TMPDIR:-/tmp}/reap-bad.XXXXXX") || exit 1 # what the server writes, apart from what reap writes
log=$D/log
server=
stop_server() {
    [[ -z $server ]] || { kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; }
    server=
}
trap '[[ $BASHPID != $$ ]] || { stop_server; rm -rf "$D"; cleanup; }' EXIT
start_server() {
    rm -f "$D/port"
    "$BAD" "$D/port" "$log" </dev/null 2>"$D/err" &
    server=$!
    wait_for 20 test -s "$D/port" || { echo "FAIL the bad server does not start"; cat "$D/err"; exit 1; }
    url=http://127.0.0.1:$(cat "$D/port")
}
start_server

mkdir -p three/math three/code
echo 'What is 1+1?' >three/math/add.txt
echo 'What is 2*3?' >three/math/mul.txt
echo 'Write hello world.' >three/code/hello.md
echo hidden >three/.hidden
echo '{"prompt":"hi"}' >one.jsonl

quick=(--retry-wait 0.01 --retries 2)
# run RC SCENARIO ARGS...: one prompt into run.json, anew
run() {
    local want=$1 scenario=$2
    shift 2
    rm -f run.json
    : >"$log"
    rc "$want" batch --server "$url/$scenario" --prompts one.jsonl -o run.json "${quick[@]}" "$@"
}
asked() { grep -c '/v1/.*completions' "$log"; }
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
run 0 good --system 'Be short.' --top-p 0.9 --top-k 5 --max-tokens 9 --temperature 0.5 --seed 7
has "$log" '"role":"system","content":"Be short\."' '"top_p":0\.9' '"top_k":5' '"max_tokens":9' '"temperature":0\.5' '"seed":7'
# what a model says does not drive the terminal, and the file has it as it is
run 0 escape
lacks .out $'\x1b' $'\x07'
has .out '^a\?\[2Jb\?c$' '^d$'
json run.json $result/response='"a\u001b[2Jb\u0007c\nd"'
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
failed 429-long 1 'asks to wait 99999 s' 'status 429: slow down' --
failed garbage 1 '' --
# ---- and where it may
failed 500 3 'status 500: out of \?\[31mluck\?here' --
lacks .err $'\x1b'
has .err '^hi|one.jsonl:1: .*again in 0.01 s'
failed reset 3 'reset|RST|closed|recv|Recv' --
failed cut 3 'the stream ended before the answer was complete' --
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
        echo 'openssl s_server does not start: certificates are not checked here'
    fi
    kill $other 2>/dev/null
    wait $other 2>/dev/null
fi

# ---- folders, rows and their own parameters, repetitions
ok batch --server "$url/good" --prompts three -o run3.json --repeat 2
json run3.json n_prompts=6 results/0/id='"code/hello.md"' results/0/category='"code"' results/1/id='"math/add.txt"' \
    results/2/id='"math/mul.txt"' results/2/category='"math"' results/3/id='"code/hello.md"' results/3/repeat=1
has "$log" '"seed":42' '"seed":43'
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

# ---- the key: sent, and nowhere else
: >"$log"
REAP_API_KEY=secret-key ok batch --server "$url/good" --prompts one.jsonl -o key.json
has "$log" '/chat/completions key '
lacks "$log" 'nokey'
OPENAI_API_KEY=secret-key ok batch --server "$url/good" --prompts one.jsonl -o key2.json -v
refuse 'the key is in no file and on no terminal' grep -l secret-key key.json key2.json .out .err
REAP_API_KEY=$'a\nb' fails 1 'not one line' -- batch --server "$url/good" --prompts one.jsonl -o x.json

# ---- what is answered stays answered
rm -f run.json
ok batch --server "$url/good" --prompts three -o run.json
: >"$log"
ok batch --server "$url/good" --prompts three -o run.json
expect 'nothing is asked again' test "$(asked)" = 0
has .out '3 of 3 prompts answered, 3 of them before'
ok batch --server "$url/good" --prompts three -o run.json --repeat 2
expect 'only what is new' test "$(asked)" = 3
sum=$(sha256sum run.json)
fails 2 'holds 6 answers to other prompts or parameters' -- batch --server "$url/good" --prompts three -o run.json --temperature 1
fails 2 "answers of another model \('bad-model', the server has 'x'\)" -- batch --server "$url/good" --prompts three -o run.json --model x
fails 2 'holds 3 answers' -- batch --server "$url/good" --prompts three -o run.json
expect 'untouched' test "$sum" = "$(sha256sum run.json)"
ok batch --server "$url/good" --prompts three -o run.json --temperature 1 --force
json run.json n_prompts=3 parameters/temperature=1.0
echo '{"schema":"reap.plan/1"}' >plan.json
fails 2 "plan.json.*'reap.plan/1', expected 'reap.batch/1'" -- batch --server "$url/good" --prompts three -o plan.json
# some fail, the others are kept, and the same command tries again
rm -f run.json
rc 1 batch --server "$url/400" --prompts three -o run.json "${quick[@]}"
has .err '3 of 3 prompts failed'
rc 0 batch --server "$url/good" --prompts three -o run.json "${quick[@]}"
json run.json results/2/status='"ok"'

for i in $(seq 1 12); do echo "{\"prompt\":\"question $i\"}"; done >many.jsonl
answered() { [[ $(grep -c '"status": "ok"' run.json 2>/dev/null) -ge $1 ]]; }
begin() { # ARGS: in the background, until three answers are in the file
    rm -f run.json
    : >"$log"
    "$REAP" batch --server "$url/paced" --prompts many.jsonl -o run.json --brief "$@" >.out 2>.err </dev/null &
    pid=$!
    wait_for 20 answered 3 || say_bad 'no answers appear'
}
for s in KILL INT TERM; do
    for parallel in 1 4; do
        begin --parallel $parallel
        kill -$s $pid
        wait $pid 2>/dev/null
        got=$?
        n_checks=$((n_checks + 1))
        if [[ $s = KILL ]]; then
            expect "killed, not $got" test $got = 137
        else
            expect "SIG$s: exit status 130, not $got" test $got = 130
            has .err '^reap: interrupted; [0-9]+ of 12 prompts are not answered'
            no_parts
        fi
        n=$(grep -c '"status": "ok"' run.json)
        expect "the file is whole after SIG$s" "$JSON" check run.json
        expect "SIG$s: in the middle ($n answers)" test "$n" -ge 3 -a "$n" -lt 12
        : >"$log"
        ok batch --server "$url/paced" --prompts many.jsonl -o run.json --parallel 4
        expect "SIG$s: $n are kept, the rest is asked" test "$(asked)" = $((12 - n))
        expect 'all are there' test "$(grep -c '"status": "ok"' run.json)" = 12
    done
done
no_parts
# the server dies in the middle: what was answered is kept, the rest is not tried one by one
begin
stop_server
wait $pid
got=$?
expect "a server that dies: exit status 1, not $got" test $got = 1
has .err '^reap: .*prompts are not answered, the same command goes on'
n=$(grep -c '"status": "ok"' run.json)
expect "answers are kept ($n)" test "$n" -ge 3
expect 'it ends at the first prompt that cannot be asked' test "$(grep -c '"status": "failed"' run.json)" -le 1
start_server
: >"$log"
ok batch --server "$url/paced" --prompts many.jsonl -o run.json --parallel 3
expect 'it goes on with the server at another port' test "$(asked)" = $((12 - n))
# a folder that cannot be written
if [[ $(id -u) != 0 ]]; then
    mkdir locked && chmod a-w locked
    fails 1 'locked' -- batch --server "$url/good" --prompts one.jsonl -o locked/run.json
fi
fails 2 'no/run.json|folder' -- batch --server "$url/good" --prompts one.jsonl -o no/run.json
n_checks=$((n_checks + 1))
"$REAP" batch --server "$url/good" --prompts three -o full.json >/dev/full 2>.err
[[ $? = 1 ]] && grep -q 'standard output' .err || say_bad 'a full standard output is an error'

# ---- compare
stop_server
answer() { # ID TEXT FINISH [CATEGORY]
    printf '{"id":"%s","category":%s,"repeat":0,"key":"k","prompt_sha256":"s","messages":[{"role":"user","content":"Q %s"}],"status":"ok","response":"%s","finish_reason":"%s","completion_tokens":10,"tokens_per_second":20.0,"first_token_seconds":0.5}' \
        "$1" "${4-null}" "$1" "$2" "$3"
}
file() { # ANSWERS...
    local IFS=,
    printf '{"schema":"reap.batch/1","model":{"id":"m"},"parameters":{},"results":[%s]}\n' "$*"
}
loop=$(for _ in $(seq 10); do printf 'and so on '; done)
file "$(answer one 'a b c d' stop '"x"')" "$(answer two 'a b c d' stop '"y"')" "$(answer three 'p q' stop)" "$(answer gone z stop)" >b.json
file "$(answer two 'a x c d' stop '"y"')" "$(answer one 'a b c d' stop '"x"')" "$(answer three "$loop" length)" >p.json
ok compare b.json p.json --json
# two: longest common subsequence a c d, 2 * 3 / 8
json .out total/n=3 total/exact/count=1 rows/0/id='"one"' rows/0/exact=true rows/0/similarity=1.0 rows/1/similarity=0.75 \
    rows/1/common_prefix_words=1 rows/2/similarity=0.0 total/pruned/endless/count=1 total/base/endless/count=0 total/pruned/loops/count=1 \
    rows/2/pruned/loop_period=3 rows/2/pruned/loop_copies=10 n_only_base=1 n_only_pruned=0 total/similarity_median=0.75
ok compare b.json p.json -o c.json
has .out '100.0 % = .* one$' '^ 75.0 % .* two$' ' -- +LR   three$' 'equal answers +33.3 % \(6.1-79.2\) of 3' '1 answers of the base and 0'
json c.json schema='"reap.compare/1"' rows/1/prompt='"Q two"' rows/1/base/response='"a b c d"' rows/1/pruned/response='"a x c d"'
fails 2 exists -- compare b.json p.json -o c.json
fails 2 'one of the inputs' -- compare b.json p.json -o b.json --force
fails 2 'missing operand' -- compare b.json
fails 2 nothere -- compare b.json nothere.json
sed 's/"prompt_sha256":"s"/"prompt_sha256":"t"/g' p.json >q.json
fails 2 "messages of 'one' are not the same" -- compare b.json q.json
file "$(answer other z stop)" >q.json
fails 2 'no prompt is answered in both' -- compare b.json q.json
file "$(answer one z stop)" "$(answer one z stop)" >q.json
fails 2 "two answers to 'one'" -- compare b.json q.json
echo '{"schema":"reap.batch/1","results":[{"id":"x"}]}' >q.json
fails 2 'q.json: result 0' -- compare b.json q.json
ok compare run.json run.json
has .out 'equal answers +100.0 % .* of 12'
finish
