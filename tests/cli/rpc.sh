# Layers on other machines: two RPC servers of the engine on loopback; one that ends, one that stands still, one of another version.
. "$(dirname "$0")/lib.bash"
. "$SRC/tests/cli/interrupt.bash"
cd "$T" || exit 1
backends=$("$REAP" doctor | sed -n 's/^build.*backends://p')
expect 'doctor names the backends' test -n "$backends"
if [[ " $backends " != *' RPC '* ]]; then
    left_out 'layers on other machines: the engine has no RPC backend'
    finish
fi
RPC_PEER=$(tool rpc_peer)
pids=()
trap '[[ $BASHPID != $$ ]] || { kill -9 $pid "${pids[@]}" 2>/dev/null; cleanup; }' EXIT
pid=

# ---- servers that are none
peer() { # WHAT...: its port is $port
    rm -f port
    "$RPC_PEER" port "$@" &
    pids+=($!)
    wait_for 20 test -s port || say_bad 'rpc_peer does not listen'
    port=$(<port)
}
no_peer() { # the last one ends
    kill "${pids[-1]}"
    wait "${pids[-1]}" 2>/dev/null
    unset 'pids[-1]'
}
E1() { fails 1 "$@" -- eval "$TINY" --text "$TEXT/code/lexer.txt" -t 1 -o x.json --rpc "127.0.0.1:$port"; }
peer 3
E1 "^reap: --rpc 127.0.0.1:$port: .*another version.*\(RPC server version mismatch: 3.0.0\)$"
peer hangup
E1 '^reap: --rpc: a server has ended, was lost, or speaks another version'

# ---- one that says nothing: told of once, with its name; one Ctrl-C ends it
told_of() { # PORT: .err has a line about that server
    local told="^reap: warning: --rpc: 127.0.0.1:$1 has not answered for [0-9.]+ s; waiting for it, Ctrl-C ends this$"
    wait_for 20 grep -qE "$told" .err || say_bad "nothing is said of a silent server: $(<.err)"
}
quiet() { # COMMAND...: $pid, which waits for the server at $port
    "${heeds_int[@]}" "$REAP" "$@" --rpc "127.0.0.1:$port" --rpc-silence 1 >.out 2>.err </dev/null &
    pid=$!
    told_of "$port"
}
one_int() {
    kill -INT $pid
    wait_for 20 ended || { say_bad 'it does not end'; kill -9 $pid; }
    wait $pid
    got=$?
    expect "one Ctrl-C ends it: exit status 130, not $got" test $got = 130
}
ended() { ! kill -0 $pid; }
stops() { # it waits until it is ended
    sleep 1.2
    expect 'said once' test "$(grep -c 'has not answered' .err)" = 1
    expect 'it waits' kill -0 $pid
    one_int
    expect 'nothing stays behind' test ! -e "$1"
}
peer silent
if [[ ${REAP_EMULATED-} ]]; then
    left_out 'a server that says nothing: whom a thread waits for is seen by the number of its system call, which is not that of the emulated processor'
else
    quiet eval "$TINY" --text "$TEXT/code/lexer.txt" -t 1 -o x.json -q
    stops x.json
fi
kill "${pids[@]}"
wait "${pids[@]}" 2>/dev/null
pids=()
E1 "^reap: --rpc 127.0.0.1:$port: no server answers there$"
for list in 127.0.0.1 :50052 127.0.0.1:x 127.0.0.1:0 127.0.0.1:65536 127.0.0.1:1x; do
    fails 2 "--rpc '$list': expected host:port" -- eval "$TINY" --text "$TEXT/code/lexer.txt" -o x.json --rpc "$list"
done

# ---- real ones, where the engine's cache has the program or it was given
[[ ${RPC_SERVER-} ]] || engine=$(bash "$SRC/scripts/engine.sh" 2>/dev/null | tail -1)
SERVER=${RPC_SERVER:-${engine%/prefix}/tools/ggml-rpc-server}
if [[ ! -x $SERVER ]]; then
    left_out 'RPC servers: scripts/engine.sh --tools ggml-rpc-server builds the program'
    finish
fi
serve() { # PORT: no other program has it
    "$SERVER" -H 127.0.0.1 -p "$1" -t 1 >"server-$1.log" 2>&1 &
    server=$!
    pids+=($server)
    disown $server
    up() { kill -0 $server 2>/dev/null && : 2>/dev/null <>"/dev/tcp/127.0.0.1/$1"; }
    wait_for 20 up "$1"
}
some_port() { # a free one, or what is left of four tries
    local i
    for i in 1 2 3 4; do
        port=$((20000 + (RANDOM * 4 + $$) % 12000))
        serve $port && return
    done
    say_bad 'no server begins'
}
some_port
one=$port
some_port
two=$port second=$server
SERVERS=127.0.0.1:$one,127.0.0.1:$two
args=("$TINY" --calib "$TEXT/code/lexer.txt" -t 1 --ctx 128 -ub 128 --sequences 1)
# A server multiplies as the engine does: so does this run, since the least rounding sends a token of Q8_0 elsewhere.
REAP_BENCH_ENGINE_PRODUCTS=1 ok profile "${args[@]}" -o local.json -q
ok profile "${args[@]}" -o whole.json --rpc "$SERVERS"
has .err "engine: RPC0 \(127.0.0.1:$one\), RPC1 \(127.0.0.1:$two\) with 7 of 7 layers"
for l in 0 3 5; do
    near local.json whole.json 1e-3 layers/$l/reap_sum
    equal local.json whole.json layers/$l/total_tokens
done

ok eval "$TINY" --text "$TEXT/code/lexer.txt" -t 1 --ctx 256 -o local.eval.json -q
ok eval "$TINY" --text "$TEXT/code/lexer.txt" -t 1 --ctx 256 -o eval.json --rpc "$SERVERS" -q
near local.eval.json eval.json 1e-3 total/nll
sweep=("$TINY" -s whole.json --text "$TEXT/code/lexer.txt" -t 1 --ctx 256 -r 0.5 -q)
ok sweep "${sweep[@]}" --rpc "$SERVERS"
ok plan whole.json --keep 16 -o plan.json -q
ok refine "$TINY" -p plan.json -s whole.json -c "$TEXT/code/lexer.txt" --ctx 64 --near 1 --tokens 3000 -t 1 -q --check "$TEXT/code/sprintf.txt" \
    -o better.json --rpc "$SERVERS"

# ---- one stands still for a while, then goes on: the run waits, and gives the same bytes
slow() { # a part of the run is there
    start slow.json "$REAP" profile "${args[@]}" -o slow.json --save-every 0.001 --rpc "$SERVERS" &&
        kill -STOP "$second" && kill -CONT $pid
}
slow
sleep 1
expect 'it waits for the server' kill -0 $pid
kill -CONT "$second"
wait $pid
expect 'and ends well' test $? = 0
expect 'the bytes of a run without a pause' cmp slow.json whole.json

# ---- one that stands still for good
rm slow.json
port=$two
start slow.json "$REAP" profile "${args[@]}" -o slow.json --save-every 0.001 --rpc "$SERVERS" --rpc-silence 1 -q
kill -STOP "$second"
kill -CONT $pid
if [[ ${REAP_EMULATED-} ]]; then # as above
    sleep 1
    kill -9 $pid
    wait $pid 2>/dev/null
else
    told_of "$two"
    one_int
fi
kill -9 "$second"
serve "$two" || some_port
second=$server SERVERS=127.0.0.1:$one,127.0.0.1:$port
ok profile "${args[@]}" -o slow.json --resume --rpc "$SERVERS" -q
expect 'resumed, the bytes of one run' cmp slow.json whole.json

# ---- one falls silent, at whichever request: the first of each kind that is answered, and the last before the memory is cleared (what
# a step left to be done is waited for there), after the trial decode, after a step, and at the end
requests_of() { # COMMAND...: a letter for each in $log
    peer "$real" log 0
    ok "$@" --rpc "127.0.0.1:$port"
    no_peer
    log=$(<log)
}
silent_at() { # N COMMAND...
    kill -0 "$second" 2>/dev/null || { serve "$real" && second=$server; }
    peer "$real" log "$1"
    quiet "${@:2}"
}
last_get() { # the number of the last GET_TENSOR
    local before=${log%i*}
    echo $((${#before} + 1))
}
if [[ ! ${REAP_EMULATED-} ]]; then
    real=$port
    run=(profile "${args[@]}" -o silent.json -q)
    requests_of "${run[@]}"
    rm silent.json*
    at=()
    for kind in o p l b c a d n i if iiif; do # HELLO, DEVICE_COUNT, ... GET_TENSOR, BUFFER_CLEAR behind it: ggml-rpc.cpp, enum rpc_cmd
        before=${log%%"$kind"*} answered=${kind%f}
        expect "there are requests '$kind'" test "$before" != "$log"
        at+=($((${#before} + ${#answered})))
    done
    for n in "${at[@]}" "$(last_get)"; do
        silent_at "$n" "${run[@]}"
        one_int
        no_parts
        no_peer
        rm -f silent.json*
    done

    # two models at once: said once all the same
    against=(eval "$TINY" --against "$TINY" --text "$TEXT/code/lexer.txt" -t 1 --ctx 256 -o against.json -q)
    requests_of "${against[@]}"
    rm against.json
    silent_at "$(last_get)" "${against[@]}"
    stops against.json
    no_peer
    port=$real
fi

# ---- one is killed in mid-run: a line, and what was saved goes on when there is a server again
start part.json "$REAP" profile "${args[@]}" -o part.json --save-every 0.001 --rpc "$SERVERS"
kill -9 "$second"
end
expect "a lost server: exit status 1, not $got" test $got = 1
has .err '^reap: --rpc: a server has ended.*--resume goes on from it'
lacks .err 'ggml-rpc'
ok stats part.json
has .out 'not ended'
serve "$port" || some_port
SERVERS=127.0.0.1:$one,127.0.0.1:$port
ok profile "${args[@]}" -o part.json --resume --rpc "$SERVERS"
expect 'killed and resumed gives the bytes of one run' cmp part.json whole.json
finish
