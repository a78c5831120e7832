# Signals while a model of 1 GB is pruned or verified: no half a file under the final name, inputs untouched, the work can be done again.
. "$(dirname "$0")/lib.bash"
. "$SRC/tests/cli/interrupt.bash"
cd "$T" || exit 1

free=$(df --output=avail -k "$T" | tail -1)
((free > 3000000)) || skip "needs 3 GB of disk under $T, $((free / 1024)) MB are free"
"$EDIT" --big big.gguf 4 32 1000000000 || exit 1
hand_plan big.gguf 16 plan.json
sum=$(stat -c '%s %Y' big.gguf)

# bash starts background commands of a script with SIGINT ignored; a program that installs a handler gets it nevertheless
for s in INT TERM HUP; do
    start out.gguf.reap-part "$REAP" prune big.gguf --plan plan.json -o out.gguf
    end $s
    expect "SIG$s while pruning: exit status 130, not $got" test $got = 130
    one_line 'interrupted'
    absent out.gguf out.gguf.reap-part
done
start out.gguf.reap-part "$REAP" prune big.gguf --plan plan.json -o out.gguf --json
end INT INT
expect "twice: exit status 130, not $got" test $got = 130
absent out.gguf out.gguf.reap-part
# over a file that is there: it stays what it was
echo precious >out.gguf
start out.gguf.reap-part "$REAP" prune big.gguf --plan plan.json -o out.gguf --force
end TERM
expect "exit status 130, not $got" test $got = 130
expect 'the old output is still there' grep -qx precious out.gguf
absent out.gguf.reap-part
rm out.gguf
# killed outright: a .reap-part may stay, the name does not appear, and the next run is not disturbed by it
start out.gguf.reap-part "$REAP" prune big.gguf --plan plan.json -o out.gguf
end KILL
absent out.gguf
expect 'killed by a signal' test $got = 137
rm -f out.gguf.reap-part

# ---- two at once on one output: whatever wins, what lies under the name is whole
start out.gguf.reap-part "$REAP" prune big.gguf --plan plan.json -o out.gguf
one=$pid
inode=$(stat -c %i out.gguf.reap-part)
"${heeds_int[@]}" "$REAP" prune big.gguf --plan plan.json -o out.gguf >.out2 2>.err2 </dev/null &
two=$!
other() { [[ -e out.gguf.reap-part && $(stat -c %i out.gguf.reap-part) != "$inode" ]] || ! kill -0 $two; }
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
[[ $r1 = 0 || $r2 = 0 ]] || say_bad "two runs on one output: both failed ($r1, $r2)" # which one wins is the scheduler's choice
expect 'whole in the end' "$REAP" verify big.gguf out.gguf --plan plan.json
rm -f out.gguf out.gguf.reap-part .err2 .out2

# ---- with closed descriptors the output is none of 0, 1 and 2
"${heeds_int[@]}" "$REAP" prune big.gguf --plan plan.json -o out.gguf <&- >&- 2>&- &
pid=$!
wait_for 20 test -e out.gguf.reap-part
kill -STOP $pid 2>/dev/null
n_checks=$((n_checks + 1))
for fd in 0 1 2; do
    [[ $(readlink /proc/$pid/fd/$fd) != *out.gguf.reap-part ]] || say_bad "the output has descriptor $fd: a message would be written into it"
done
end INT
absent out.gguf out.gguf.reap-part

# ---- verify and split outputs
"$EDIT" --big p.gguf 4 32 1000000000
"${heeds_int[@]}" "$REAP" verify big.gguf p.gguf >.out 2>.err </dev/null &
pid=$!
stop_early
end INT
expect "SIGINT while verifying: exit status 130, not $got" test $got = 130
one_line interrupted
rm -f p.gguf
expect 'the input is what it was' test "$sum" = "$(stat -c '%s %Y' big.gguf)"
rm -f big.gguf
no_parts
finish
