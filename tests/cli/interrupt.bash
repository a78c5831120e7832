# interrupt.bash - a program that is stopped at a known point and then gets a signal. Sourced behind lib.bash; $got is the exit status.
#
#   start FILE COMMAND...   in the background ($pid), stopped as soon as FILE is there
#   stop_early              $pid, stopped as soon as it has its handlers
#   end SIGNAL...           sends them, lets it go on, waits

# What follows does not depend on the machine's speed.
start() { # FILE COMMAND...
    local f=$1
    shift
    "${heeds_int[@]}" "$@" >.out 2>.err </dev/null &
    pid=$!
    if ! wait_for 20 test -e "$f"; then
        say_bad "$f does not appear"
        show .err
    fi
    kill -STOP $pid 2>/dev/null
}
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
stop_early() {
    wait_for 20 ready || say_bad 'the program has no handlers'
    kill -STOP $pid 2>/dev/null
}

