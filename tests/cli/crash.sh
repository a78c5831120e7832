# What cannot be foreseen: the program crashes, whatever it was doing. One line, status 1, and nothing half-written is left.
. "$(dirname "$0")/lib.bash"
grep -qs __asan_init "$REAP" && skip 'a sanitizer reports crashes itself'
cd "$T" || exit 1
[[ -f $TINY ]] || skip "no $TINY"
cp "$TINY" m.gguf
hand_plan m.gguf 16 plan.json
for ((i = 0; i < 30; i++)); do cat "$TEXT"/code/*.txt; done >long.txt # goes on for as long as is needed
cat "$TEXT"/code/*.txt >short.txt
printf 'precious\n' >mine.txt

one_line() { # NAME WORDS...
    local name=$1
    shift
    expect "$name: exit status 1, not $got" test "$got" = 1
    expect "$name: one line" test "$(grep -c . .err)" = 1
    has .err '^reap: ' "$@"
}
crash() { # SIGNAL LOCK COMMAND...: once it computes
    local s=$1 lock=$2
    shift 2
    rm -f "$lock"
    "${heeds_int[@]}" "$@" >.out 2>.err </dev/null &
    pid=$!
    wait_for 20 test -e "$lock" || say_bad "$lock does not appear"
    sleep 0.3
    [[ -z ${REAP_EMULATED-} ]] || sleep 2 # the lock is there a moment before it is in the list of what is removed
    kill -"$s" $pid
    wait $pid 2>/dev/null
    got=$?
}
profile=(profile m.gguf --calib long.txt --ctx 128 -t 1 -o s.json --quiet)
signals=(SEGV:SIGSEGV BUS:SIGBUS FPE:SIGFPE ILL:SIGILL)
if [[ ${REAP_EMULATED-} ]]; then
    left_out 'SIGABRT of another program: an emulator takes it for its own'
else
    signals+=(ABRT:SIGABRT)
fi
for s in "${signals[@]}"; do
    crash "${s%:*}" s.json.reap-lock "$REAP" "${profile[@]}"
    one_line "a profile and $s" "${s#*:}"
    absent s.json s.json.reap-lock s.json.reap-part
    crash "${s%:*}" e.json.reap-part "$REAP" eval m.gguf --text long.txt --ctx 128 -t 1 -o e.json --quiet
    one_line "an eval and $s" "${s#*:}"
    absent e.json e.json.reap-part
done

# ---- a signal that comes in ignored stays so: nohup, and what a shell starts in the background
for s in HUP INT TERM; do
    rm -f s.json s.json.pairs
    (
        trap '' "$s"
        exec "$REAP" profile m.gguf --calib short.txt --ctx 128 -t 1 -o s.json --quiet
    ) >.out 2>.err </dev/null &
    pid=$!
    wait_for 20 test -e s.json.reap-lock || say_bad 'the lock does not appear'
    kill -"$s" $pid
    wait $pid 2>/dev/null
    got=$?
    expect "ignored SIG$s: exit status 0, not $got" test $got = 0
    expect "ignored SIG$s: the statistics are there" test -s s.json
done

# ---- memory is gone in the engine's C++, before main and behind it
shim=$(preloadable libshim.so)
if [[ $shim ]]; then
    for n in 1 100; do
        rm -f counts
        SHIM_COUNTS=counts SHIM_FAULT="malloc $n fail:12" SHIM_FROM=libstdc++.so.6 LD_PRELOAD=$shim "$REAP" --version >.out 2>.err
        got=$?
        if grep -qs '^hit 0$' counts; then
            left_out "memory gone at allocation $n of libstdc++: this libstdc++ makes fewer"
            continue
        fi
        one_line "memory gone at allocation $n of libstdc++" 'out of memory'
    done
else
    left_out 'memory that is gone before main: no shim in this build'
fi

# ---- what is not ours has other names
cp mine.txt o.gguf.part
ok prune m.gguf --plan plan.json -o o.gguf
expect "somebody's OUT.part is theirs" cmp mine.txt o.gguf.part
finish
