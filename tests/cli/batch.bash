# batch.bash - the bad server, and prompts for it. Sourced behind lib.bash; enters $T.
#
#   start_server, stop_server   at $url, which logs what it is asked to $log
#   three, one.jsonl            a folder of three prompts, a file of one
#   run RC SCENARIO ARGS...     that one prompt into run.json, anew
#   asked                       how many completions were asked for since $log was emptied
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
run() {
    local want=$1 scenario=$2
    shift 2
    rm -f run.json
    : >"$log"
    rc "$want" batch --server "$url/$scenario" --prompts one.jsonl -o run.json "${quick[@]}" "$@"
}
asked() { grep -c '/v1/.*completions' "$log"; }
