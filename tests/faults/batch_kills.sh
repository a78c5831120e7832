#!/usr/bin/env bash
# reap batch, killed by SIGKILL again and again and called again until it is done: every prompt is answered once, nobody was asked for
# much more than that, and the file is the one of a run that nobody killed.
#
#   batch_kills.sh [PROMPTS] [KILLS]      environment: REAP, SRC, BIN; default 2000 prompts, 12 kills. At most 8 requests are on their
#                                         way when a run is killed, so that many may be asked again for each kill.
. "$SRC/tests/cli/lib.bash"
. "$SRC/tests/cli/batch.bash"

n=${1:-2000} kills=${2:-12} parallel=8
RANDOM=${SEED:-1}
seq 1 "$n" | sed 's/.*/{"prompt":"question &"}/' >many.jsonl
args=(batch --server "$url/good" --prompts many.jsonl -q --json --parallel $parallel)
# the file without what a clock says
timeless() { grep -vE '^ *"(started|seconds|first_token_seconds|tokens_per_second)": ' "$1" | sed 's/,$//'; }

ok "${args[@]}" -o whole.json
: >"$log"
done_at=0
for ((k = 0; k < kills; k++)); do
    "$REAP" "${args[@]}" -o run.json >.out 2>.err </dev/null &
    pid=$!
    # the log tells how far it is: somewhere within the next part of the prompts
    next=$((done_at + 1 + RANDOM % (n / kills))) # of requests
    there() { [[ $(asked) -ge $next ]] || ! kill -0 $pid; }
    wait_for 60 there || say_bad "kill $k: it does not go on"
    sleep "0.00$((RANDOM % 10))"
    kill -KILL $pid 2>/dev/null
    wait $pid 2>/dev/null
    done_at=$(asked)
    [[ ! -e run.json ]] || expect "kill $k: the file is whole" "$JSON" check run.json schema='"reap.batch/1"'
done
ok "${args[@]}" -o run.json
total=$(asked)
expect "$total requests for $n prompts and $kills kills" test "$total" -ge "$n" -a "$total" -le $((n + kills * parallel))
expect 'the file of a run that nobody killed' cmp -s <(timeless whole.json) <(timeless run.json)
expect 'each prompt once' test "$(grep '"id": "many' run.json | sort -u | wc -l)/$(grep -c '"status": "ok"' run.json)" = "$n/$n"
absent run.json.reap-journal
finish
