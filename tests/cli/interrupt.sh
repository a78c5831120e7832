# A profile that is interrupted or killed: what lies there is whole, and going on from it gives the bytes of a run that was not.
# Where it may come is tried out in tests/fake/test_profile.c; here it is the engine's own program.
. "$(dirname "$0")/lib.bash"
. "$SRC/tests/cli/interrupt.bash"
cd "$T" || exit 1
[[ -f $TINY ]] || skip "no $TINY"
mkdir calib
cp "$TEXT"/code/{leakcheck,lexer}.txt calib
args=(profile "$TINY" --calib calib --ctx 256 -ub 256 --sequences 1 -t 1)
"$REAP" "${args[@]}" -o whole.json >.out 2>.err </dev/null || { say_bad 'profile'; show .err; }
stop_profile() { # SIGNAL, ARGS: interrupted once the unfinished file is there for the first time
    local s=$1
    shift
    start part.json "$REAP" "${args[@]}" -o part.json --save-every 0.001 "$@"
    end "$s"
    expect "SIG$s while profiling: exit status 130, not $got" test $got = 130
    one_line part.json resume 'tokens'
}
for s in INT TERM; do
    rm -f part.json part.json.pairs
    stop_profile $s
    absent part.json.reap-part
    ok stats part.json --json
    json .out complete=false
    ok stats part.json
    has .out 'not ended'
    json part.json progress/batches_done progress/batches
    ok plan part.json --keep 16 -o plan2.json --force
    has .err '^reap: warning: .*part.json.*has not ended'
    fails 2 part.json exists -- "${args[@]}" -o part.json
    fails 2 part.json 'cannot resume' ctx -- profile "$TINY" --calib calib --ctx 128 -t 1 -o part.json --resume
    before=$("$JSON" get part.json layers/0/total_tokens)
    if [[ $s = INT ]]; then     # once more, when another batch is saved
        mv part.json before.json
        cp before.json part.json
        newer() { [[ part.json -nt before.json && $(stat -c %i part.json) != "$inode" ]]; }
        inode=$(stat -c %i part.json)
        "${heeds_int[@]}" "$REAP" "${args[@]}" -o part.json --resume --save-every 0.001 >.out 2>.err </dev/null &
        pid=$!
        wait_for 20 newer || say_bad 'it does not go on'
        kill -STOP $pid
        end INT
        expect "interrupted again: exit status 130, not $got" test $got = 130
        after=$("$JSON" get part.json layers/0/total_tokens)
        expect "goes forward ($before, $after)" test "$after" -gt "$before"
        before=$after
        rm before.json
    fi
    ok "${args[@]}" -o part.json --resume --json
    json .out tokens_resumed="$before"
    expect "SIG$s: interrupted and resumed gives the bytes of one run" cmp part.json whole.json
done
ok "${args[@]}" -o part.json --resume
has .out 'is complete'
expect 'resuming what is complete changes nothing' cmp part.json whole.json
# killed outright between two saves: the last save is whole
rm -f part.json part.json.pairs
start part.json "$REAP" "${args[@]}" -o part.json --save-every 0.001
end KILL
expect 'killed by a signal' test $got = 137
# between the renames of two files the first of them is absent, until the next run puts it back
[[ ! -e part.json ]] || ok stats part.json
ok "${args[@]}" -o part.json --resume
expect 'killed and resumed gives the bytes of one run' cmp part.json whole.json
expect 'and the same pairs' cmp part.json.pairs whole.json.pairs
rm -f part.json.reap-part
# before the first batch: either nothing, or a file that says that it holds nothing
"${heeds_int[@]}" "$REAP" "${args[@]}" -o early.json >.out 2>.err </dev/null &
pid=$!
stop_early
end INT
expect "interrupted at once: exit status 130, not $got" test $got = 130
if [[ -e early.json ]]; then
    ok stats early.json
    lacks .out nan
fi
ok "${args[@]}" -o early.json --resume
expect 'interrupted at once and resumed' cmp early.json whole.json
# quantising is the engine's own, which nobody can ask to stop: it is left, not ended with the program
start q.gguf.reap-part "$REAP" quantize "$TINY" iq4_nl --pure --allow-requantize -t 1 -o q.gguf
end INT
expect "quantising: exit status 130, not $got" test $got = 130
one_line interrupted
absent q.gguf q.gguf.reap-part
# an evaluation leaves nothing
"${heeds_int[@]}" "$REAP" eval "$TINY" --text "$TEXT/code/sprintf.txt" --ctx 128 -o ev.json -t 1 >.out 2>.err </dev/null &
pid=$!
stop_early
end INT
expect "SIGINT while evaluating: exit status 130, not $got" test $got = 130
one_line interrupted
absent ev.json
no_parts
# The program starts itself again for the engine's sake. A signal that comes just before is no less heard: nothing is done yet, so it ends by it.
shim=$(preloadable libshim.so)
if [[ $shim ]] && LD_PRELOAD=$shim "$REAP" --version >/dev/null 2>&1; then
    "${heeds_int[@]}" -u GOMP_SPINCOUNT -u OMP_WAIT_POLICY SHIM_FAULT='execv 1 wait:600' SHIM_HELD=held LD_PRELOAD="$shim" "$REAP" \
        eval "$TINY" --text "$TEXT/code/sprintf.txt" --ctx 128 -o ev.json -t 1 >.out 2>.err </dev/null &
    pid=$!
    wait_for 20 test -e held || say_bad 'it does not start itself again'
    end INT
    expect "SIGINT while it starts again: exit status 130, not $got" test $got = 130
    absent ev.json
    no_parts
else
    left_out 'a signal while the program starts itself again: nothing can be preloaded'
fi
finish
