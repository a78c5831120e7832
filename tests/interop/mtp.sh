#!/usr/bin/env bash
# A full-width MTP block beside a pruned model (reap prune --mtp keep), in the engine's own server: it loads the two files, drafts with
# the block, and greedy answers are those that it gives without.
#
# Environment: REAP, SRC; LLAMA_TOOLS: a folder with llama-server. Some seconds.
set -u
export LC_ALL=C
: "${REAP:?the program}" "${SRC:?the source tree}"
REAP=$(realpath "$REAP")
SRC=$(realpath "$SRC")
tools=${LLAMA_TOOLS:-$(bash "$SRC/scripts/engine.sh" --tools llama-server)} || exit 1
[ -x "$tools/llama-server" ] || { echo "there is no $tools/llama-server"; exit 1; }
dir=$(mktemp -d "${TMPDIR:-/tmp}/reap-mtp.XXXXXX") || exit 1
pid=
trap 'kill $pid 2>/dev/null; rm -rf "$dir"' EXIT
cd "$dir" || exit 1

answer() { # OPTIONS...: 40 tokens into the file `answer`, the server's log into `log`
    local port=$((20000 + RANDOM % 20000))
    timeout 120 "$tools/llama-server" "$@" --host 127.0.0.1 --port $port -t 1 -c 256 -np 1 --no-webui >log 2>&1 &
    pid=$!
    for _ in $(seq 200); do
        kill -0 $pid 2>/dev/null || break
        curl -sf "http://127.0.0.1:$port/health" >/dev/null 2>&1 && break
        sleep 0.2
    done
    curl -s "http://127.0.0.1:$port/completion" -d '{"prompt": "The quick brown fox", "n_predict": 40, "temperature": 0, "ignore_eos": true,
        "return_tokens": true}' | grep -oE '"tokens":\[[-0-9,]*\]' >answer
    kill $pid
    wait $pid 2>/dev/null
    pid=
}

M=$SRC/tests/data/families/glm4_moe
"$REAP" prune "$M/model.gguf" --plan "$M/plan.json" -o out.gguf --mtp keep --quiet >prune.log 2>&1 || { echo "FAIL prune"; exit 1; }
answer -m out.gguf
mv answer alone
answer -m out.gguf --model-draft mtp-out.gguf --spec-type draft-mtp
drafted=$(sed -nE 's/.*accepted \/ *([0-9]+) generated.*/\1/p' log | tail -n 1)
if [ -s alone ] && cmp -s alone answer && [ "${drafted:-0}" -ge 20 ]; then
    echo "ok   a kept MTP block: ${drafted} tokens drafted, the same 40 tokens"
else
    echo "FAIL a kept MTP block: ${drafted:-no} tokens drafted"
    tail -n 5 log
    exit 1
fi
