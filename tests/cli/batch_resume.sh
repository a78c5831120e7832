#!/usr/bin/env bash
# reap batch, called again: what is answered stays answered, whatever ended the call before.
. "$(dirname "$0")/lib.bash"
. "$SRC/tests/cli/batch.bash"

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
    "${heeds_int[@]}" "$REAP" batch --server "$url/paced" --prompts many.jsonl -o run.json --brief "$@" >.out 2>.err </dev/null &
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
begin --retry-wait 0.01
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
no_parts
finish
