# SIGINT, SIGTERM and SIGKILL at work: no half a file under the final name, inputs untouched, the work can be done again or gone on with.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
texts=$MODELS/qwen3_moe/texts.jsonl

free=$(df --output=avail -k "$T" | tail -1)
((free > 3000000)) || skip "needs 3 GB of disk under $T, $((free / 1024)) MB are free"
"$EDIT" --big big.gguf 4 32 1000000000 || exit 1
hand_plan big.gguf 16 plan.json
sum=$(stat -c '%s %Y' big.gguf)

# Starts COMMAND in the background; as soon as FILE is there, it is stopped: what follows does not depend on the machine's speed.
start() { # FILE COMMAND...
    local f=$1
    shift
    "$@" >.out 2>.err </dev/null &
    pid=$!
    if ! wait_for 20 test -e "$f"; then
        say_bad "$f does not appear"
        show .err
    fi
    kill -STOP $pid 2>/dev/null
}
# Sends signals, lets it go on, and waits; $got is its status.
end() { # SIGNAL...
    local s
    for s; do kill -"$s" $pid 2>/dev/null; done
    kill -CONT $pid 2>/dev/null
    wait $pid 2>/dev/null
    got=$?
    n_checks=$((n_checks + 1))
}

# It is the program, and has its handlers.
ready() {
    [[ $(cat /proc/$pid/comm) != bash ]] && ((16#$(sed -n 's/^SigCgt:[[:space:]]*//p' /proc/$pid/status) & 2))
}
# Starts nothing, but stops $pid as early as its handlers are there.
stop_early() {
    wait_for 5 ready || true
    kill -STOP $pid 2>/dev/null
}

# bash starts background commands of a script with SIGINT ignored; a program that installs a handler gets it nevertheless
for s in INT TERM HUP; do
    start out.gguf.part "$REAP" prune big.gguf --plan plan.json -o out.gguf
    end $s
    expect "SIG$s while pruning: exit status 130, not $got" test $got = 130
    one_line 'interrupted'
    absent out.gguf out.gguf.part
done
start out.gguf.part "$REAP" prune big.gguf --plan plan.json -o out.gguf --json
end INT INT
expect "twice: exit status 130, not $got" test $got = 130
absent out.gguf out.gguf.part
# over a file that is there: it stays what it was
echo precious >out.gguf
start out.gguf.part "$REAP" prune big.gguf --plan plan.json -o out.gguf --force
end TERM
expect "exit status 130, not $got" test $got = 130
expect 'the old output is still there' grep -qx precious out.gguf
absent out.gguf.part
rm out.gguf
# killed outright: a .part may stay, the name does not appear, and the next run is not disturbed by it
start out.gguf.part "$REAP" prune big.gguf --plan plan.json -o out.gguf
end KILL
absent out.gguf
expect 'killed by a signal' test $got = 137
rm -f out.gguf.part

# ---- two at once on one output: whatever wins, what lies under the name is whole
start out.gguf.part "$REAP" prune big.gguf --plan plan.json -o out.gguf
one=$pid
inode=$(stat -c %i out.gguf.part)
"$REAP" prune big.gguf --plan plan.json -o out.gguf >.out2 2>.err2 </dev/null &
two=$!
other() { [[ -e out.gguf.part && $(stat -c %i out.gguf.part) != "$inode" ]] || ! kill -0 $two; }
wait_for 10 other
kill -STOP $two 2>/dev/null
kill -CONT $one
wait $one
r1=$?
if [[ -e out.gguf ]]; then
    expect "two runs on one output: what is there is whole (status $r1)" "$REAP" inspect out.gguf
fi
kill -CONT $two 2>/dev/null
wait $two
r2=$?
n_checks=$((n_checks + 1))
[[ $r1 = 0 || $r2 = 0 ]] || say_bad "two runs on one output: both failed ($r1, $r2)"
if [[ -e out.gguf ]]; then
    expect 'whole in the end' "$REAP" verify big.gguf out.gguf --plan plan.json
fi
rm -f out.gguf out.gguf.part .err2 .out2

# ---- with closed descriptors the output is none of 0, 1 and 2
"$REAP" prune big.gguf --plan plan.json -o out.gguf <&- >&- 2>&- &
pid=$!
wait_for 20 test -e out.gguf.part
kill -STOP $pid 2>/dev/null
n_checks=$((n_checks + 1))
for fd in 0 1 2; do
    [[ $(readlink /proc/$pid/fd/$fd) != *out.gguf.part ]] || say_bad "the output has descriptor $fd: a message would be written into it"
done
end INT
absent out.gguf out.gguf.part

# ---- verify and split outputs
"$EDIT" --big p.gguf 4 32 1000000000
"$REAP" verify big.gguf p.gguf >.out 2>.err </dev/null &
pid=$!
stop_early
end INT
expect "SIGINT while verifying: exit status 130, not $got" test $got = 130
one_line interrupted
rm -f p.gguf
expect 'the input is what it was' test "$sum" = "$(stat -c '%s %Y' big.gguf)"
rm -f big.gguf

# ---- a profile that is interrupted is saved and gone on with, to the same bytes
[[ -f $TINY ]] || { echo "no $TINY: the profile is not interrupted here"; finish; }
mkdir calib
cp "$SRC"/src/base/{file,json,opt,text}.c calib
args=(profile "$TINY" --calib calib --ctx 512 -t 1)
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
    rm -f part.json
    stop_profile $s
    absent part.json.part
    ok stats part.json --json
    json .out complete=false
    ok stats part.json
    has .out 'not ended'
    json part.json progress/batches_done progress/batches
    ok plan part.json --keep 16 -o plan2.json --force
    has .err '^reap: warning: .*part.json.*has not ended'
    fails 2 part.json exists -- "${args[@]}" -o part.json
    fails 2 part.json 'cannot resume' ctx -- profile "$TINY" --calib calib --ctx 256 -t 1 -o part.json --resume
    before=$("$JSON" get part.json layers/0/total_tokens)
    if [[ $s = INT ]]; then     # once more
        "$REAP" "${args[@]}" -o part.json --resume --save-every 0 >.out 2>.err </dev/null &
        pid=$!
        sleep 0.5
        end INT
        [[ $got = 0 || $got = 130 ]] || say_bad "interrupted again: $got"
        after=$("$JSON" get part.json layers/0/total_tokens)
        expect "goes forward ($before, $after)" test "$after" -ge "$before"
    fi
    ok "${args[@]}" -o part.json --resume --json
    [[ $s = TERM ]] && json .out tokens_resumed="$before"
    expect "SIG$s: interrupted and resumed gives the bytes of one run" cmp part.json whole.json
done
ok "${args[@]}" -o part.json --resume
has .out 'is complete'
expect 'resuming what is complete changes nothing' cmp part.json whole.json
# killed outright between two saves: the last save is whole
rm -f part.json
start part.json "$REAP" "${args[@]}" -o part.json --save-every 0.001
end KILL
ok stats part.json
ok "${args[@]}" -o part.json --resume
expect 'killed and resumed gives the bytes of one run' cmp part.json whole.json
rm -f part.json.part
# before the first batch: either nothing, or a file that says that it holds nothing
"$REAP" "${args[@]}" -o early.json >.out 2>.err </dev/null &
pid=$!
stop_early
end INT
if [[ $got = 130 ]]; then
    if [[ -e early.json ]]; then
        ok stats early.json
        lacks .out nan
    fi
    ok "${args[@]}" -o early.json --resume
    expect 'interrupted at once and resumed' cmp early.json whole.json
fi
# a plan and an evaluation leave nothing
"$REAP" eval "$TINY" --text "$SRC/src/gguf/gg_read.c" -o ev.json -t 1 >.out 2>.err </dev/null &
pid=$!
stop_early
end INT
[[ $got = 130 ]] && { one_line interrupted; absent ev.json; }
no_parts
finish
