#!/usr/bin/env bash
# reap batch with many prompts and a server that answers at once: what keeping an answer safe costs must not depend on how many there are.
#
#   bench/batch.sh        environment: REAP, SRC, BIN, TMPDIR (50 MB); ROUNDS (default 5)
. "$(dirname "$0")/common.sh"

rounds=${ROUNDS:-5}
unset REAP_API_KEY OPENAI_API_KEY http_proxy HTTP_PROXY all_proxy ALL_PROXY
"$BIN/bad_server" "$work/port" "$work/log" &
server=$!
trap 'kill $server; rm -rf "$work"' EXIT
while [ ! -s "$work/port" ]; do sleep 0.05; done
url=http://127.0.0.1:$(cat "$work/port")/good

# Seconds a prompt, from the first request to the last byte that is kept: asking N
asking() {
    : >"$work/log"
    rm -f "$work"/run.json*
    seq 1 "$1" | sed 's/.*/{"prompt":"question &"}/' >"$work/prompts.jsonl"
    "$REAP" batch --server "$url" --prompts "$work/prompts.jsonl" -o "$work/run.json" --parallel 8 -q --json |
        sed -n 's/^ *"seconds": \([0-9.e+-]*\),*$/\1/p' | awk -v n="$1" '{ print $1 / n }'
}

echo '== batch, 8 requests at a time, answers of three words, a server that answers at once'
alternate "$rounds" 'asking 200' 'asking 2000' 'asking 10000'
verdict 'prompts/s, 2,000 / 200 prompts' 1 0.8
verdict 'prompts/s, 10,000 / 200 prompts' 2 0.8
echo "    prompts/s: $(for i in 0 1 2; do per_sec 1 "$(least_of $i)"; printf ' '; done)at best"
