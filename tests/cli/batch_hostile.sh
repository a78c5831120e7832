#!/usr/bin/env bash
# reap batch against a server that never ends: memory and time stay within bounds; and one that sends it elsewhere, where nothing of it
# arrives.
. "$(dirname "$0")/lib.bash"
. "$SRC/tests/cli/batch.bash"

# ---- bodies, lines, texts without an end: what is kept of them is bounded
peak=0
watched() { # SCENARIO WORDS: fails so; peak is the most memory it had, in kB (VmHWM only grows, so the last look is the best)
    local pid kb
    rm -f run.json
    peak=0
    "$REAP" batch --server "$url/$1" --prompts one.jsonl -o run.json --retries 0 >.out 2>.err </dev/null &
    pid=$!
    while kb=$(awk '/^VmHWM:/ { print $2 }' "/proc/$pid/status" 2>/dev/null) && [[ -n $kb ]]; do
        peak=$kb
        sleep 0.02
    done
    wait $pid
    expect "$1: exit status 1" test $? = 1
    "$JSON" get run.json results/0/error >error
    has error "$2"
}
most=200000
grep -qs 'REAP_SANITIZE:BOOL=ON' "$BIN/CMakeCache.txt" && most=900000 # what was freed is kept for a while there
watched 400 'status 400'
small=$peak
expect "a first look at memory: $small kB" test "$small" -gt 0
each_of 'endless answers' 'endless-body 67108864 bytes' 'endless-line 16777216 bytes' 'endless-text 16777216 bytes'
for s in "${each[@]}"; do
    watched "${s%% *}" "${s#* }"
    expect "${s%% *}: $((peak - small)) kB more than for a short one" test $((peak - small)) -gt 0 -a $((peak - small)) -lt $most
done

# ---- time: whatever comes, it must be complete in --timeout
each_of 'dripping answers' drip drip-head hang
for s in "${each[@]}"; do
    SECONDS=0
    run 1 "$s" --timeout 0.5 --retries 3
    json run.json results/0/status='"failed"' results/0/attempts=1
    "$JSON" get run.json results/0/error >error
    has error 'no complete answer within 0.5 s'
    expect "$s: not longer" test $SECONDS -lt 20
done

# ---- elsewhere: no request goes there, with the key or without
OTHER=
"$BAD" "$D/port2" "$D/log2" </dev/null 2>/dev/null &
other=$!
wait_for 20 test -s "$D/port2" || say_bad 'the second server does not start'
stop_server
export OTHER=http://127.0.0.1:$(cat "$D/port2")
start_server
export REAP_API_KEY=secret-key
run 1 307
json run.json results/0/status='"failed"' results/0/attempts=1
"$JSON" get run.json results/0/error >error
has error 'status 307'
expect 'one request, with the key' test "$(grep -c 'completions key' "$log")" = 1
rc 1 batch --server "$url/307-models" --prompts one.jsonl -o other.json "${quick[@]}"
has .err 'status 307'
absent other.json other.json.reap-journal
expect 'the other server hears nothing' test ! -s "$D/log2"
ok batch --server "$OTHER/good" --prompts one.jsonl -o other.json
expect 'and would have' grep -q 'completions key' "$D/log2"
kill $other
wait $other 2>/dev/null
no_parts
finish
