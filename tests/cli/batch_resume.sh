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
kept() { # how many answers are safe: in the file, and in the journal beyond it
    cat run.json run.json.reap-journal 2>/dev/null | grep -oE '"key": ?"[0-9a-f]{64}"' | tr -d ' ' | sort -u | wc -l
}
answered() { [[ $(kept) -ge $1 ]]; }
n_begun=0
begin() { # ARGS: in the background, until three answers are safe; it gets no more than six
    rm -f run.json
    : >"$log"
    n_begun=$((n_begun + 1))
    "${heeds_int[@]}" "$REAP" batch --server "$url/six/$n_begun" --prompts many.jsonl -o run.json --brief "$@" >.out 2>.err </dev/null &
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
            absent run.json.reap-journal
        fi
        n=$(kept)
        expect "the file is whole after SIG$s" "$JSON" check run.json
        expect "SIG$s: in the middle ($n answers)" test "$n" -ge 3 -a "$n" -le 6
        : >"$log"
        ok batch --server "$url/paced" --prompts many.jsonl -o run.json --parallel 4
        expect "SIG$s: $n are kept, the rest is asked" test "$(asked)" = $((12 - n))
        expect 'all are there' test "$(grep -c '"status": "ok"' run.json)" = 12
        absent run.json.reap-journal
    done
done
no_parts

# ---- the journal that a killed run leaves: what it holds comes into the file before all else, even when no server answers
journal() { # made anew from a whole run.json: the file with the first two answers, the others in the journal
    rm -f run.json run.json.reap-journal
    cp whole.json run.json
    cp whole.journal run.json.reap-journal
}
ok batch --server "$url/good" --prompts many.jsonl -o all.json
rm run.json
head -4 many.jsonl >four.jsonl # the last of which the server does not answer
"$REAP" batch --server "$url/journal" --prompts four.jsonl -o run.json >.out 2>.err </dev/null &
pid=$!
last_hangs() { [[ $(asked) -ge 1 ]] && grep -q 'question 4' "$log" && answered 3; }
: >"$log"
wait_for 20 last_hangs || say_bad 'the server that hangs is not asked'
# a second one is refused at once, whatever it asks
echo '{"prompt":"other"}' >other.jsonl
fails 1 "^reap: 'run.json' is being written by another program \(it holds 'run.json.reap-journal'\)\$" -- \
    batch --server "$url/good" --prompts other.jsonl -o run.json
fails 1 'is being written by another program' -- batch --server "$url/good" --prompts four.jsonl -o ./run.json -f
rc 2 compare run.json all.json
has .err "^reap: warning: 'run.json' is not finished, answers stand beside it in 'run.json.reap-journal'"
kill -9 $pid
wait $pid 2>/dev/null
cp run.json whole.json
cp run.json.reap-journal whole.journal
n=$(grep -c '"status": "ok"' whole.json)
rc 1 batch --server http://127.0.0.1:1 --prompts four.jsonl -o run.json --retries 0
has .err 'answers that a killed run left in its journal are taken in'
absent run.json.reap-journal
expect 'without a server, too' test "$(grep -c '"status": "ok"' run.json)" = 3
: >"$log"
ok batch --server "$url/good" --prompts four.jsonl -o run.json
expect 'only the one that is left is asked' test "$(asked)" = 1
expect 'each prompt once' test "$(grep -c '"id"' run.json)" = 5 # and the model
# a line that is not whole, or never reached the disk
journal
printf '{"id":"torn' >>run.json.reap-journal
rc 1 batch --server http://127.0.0.1:1 --prompts four.jsonl -o run.json --retries 0
expect 'a torn line is dropped' test "$(grep -c '"status": "ok"' run.json)" = 3
journal
{ head -c 100 /dev/zero; printf '\n{"id"\n'; } >>run.json.reap-journal
rc 1 batch --server http://127.0.0.1:1 --prompts four.jsonl -o run.json --retries 0
expect 'a hole is the end' test "$(grep -c '"status": "ok"' run.json)" = 3
broken() { # WORDS: the journal is an error, and stays; --force gives it up
    fails 2 "$1" 'put right what was changed, or move the journal away' -- batch --server "$url/good" --prompts four.jsonl -o run.json
    ok batch --server "$url/good" --prompts four.jsonl -o run.json -f
    absent run.json.reap-journal
}
journal
sed -i '2s/"status":"ok"/"status":5/' run.json.reap-journal
broken "reap: run.json.reap-journal: line 2: result 0: 'status' is an integer, expected a string"
journal
sed -i '2s/^./[/' run.json.reap-journal
broken 'run.json.reap-journal: line 2: column [0-9]+: not valid JSON'
journal
cp all.json run.json
broken 'run.json.reap-journal: line 1: belongs to another file of answers'
journal
rm run.json
broken "'run.json' is not there, of which 'run.json.reap-journal' holds answers"
journal
sed -i '1s/reap.batch-journal/reap.plan/' run.json.reap-journal
broken "line 1: .*'reap.plan/1', expected 'reap.batch-journal/1'"
rm -f run.json
mkdir run.json.reap-journal
fails 2 "'run.json.reap-journal' is no journal of 'run.json': move it away" -- batch --server "$url/good" --prompts four.jsonl -o run.json
rmdir run.json.reap-journal
ln -s other.jsonl run.json.reap-journal
fails 2 "is no journal of 'run.json': move it away" -- batch --server "$url/good" --prompts four.jsonl -o run.json
rm run.json.reap-journal
# an end before the first answer leaves nothing
fails 1 '127.0.0.1' -- batch --server http://127.0.0.1:1 --prompts four.jsonl -o fresh.json --retries 0 -q
# the same request under two ids is two answers, also when the run goes on
printf '{"id":"a","prompt":"same"}\n{"id":"b","prompt":"same"}\n' >twins.jsonl
ok batch --server "$url/good" --prompts twins.jsonl -o twins.json
: >"$log"
ok batch --server "$url/good" --prompts twins.jsonl -o twins.json
expect 'nothing is asked again' test "$(asked)" = 0
json twins.json results/0/id='"a"' results/1/id='"b"'
no_parts
# the server dies in the middle: what was answered is kept, the rest is not tried one by one
begin --retry-wait 0.01
stop_server
wait $pid
got=$?
expect "a server that dies: exit status 1, not $got" test $got = 1
has .err '^reap: .*prompts are not answered, the same command goes on'
n=$(grep -c '"status": "ok"' run.json)
absent run.json.reap-journal
expect "answers are kept ($n)" test "$n" -ge 3 -a "$n" -le 6
expect 'it ends at the first prompt that cannot be asked' test "$(grep -c '"status": "failed"' run.json)" -le 1
start_server
: >"$log"
ok batch --server "$url/paced" --prompts many.jsonl -o run.json --parallel 3
expect 'it goes on with the server at another port' test "$(asked)" = $((12 - n))
no_parts
finish
