#!/bin/sh
# build.sh FOLDER [OPTION OF cmake --build]...: builds. On a terminal with ninja's status line; elsewhere with a line for each tenth of the
# steps, and all that compilers say. V=1: with every command.
set -eu
folder=$1
shift
if [ "${V:-0}" = 1 ]; then
    exec cmake --build "$folder" "$@" -- --verbose
elif [ -t 1 ]; then
    exec cmake --build "$folder" "$@"
fi
{
    status=0
    cmake --build "$folder" "$@" 2>&1 || status=$?
    echo "build.sh: status $status"
} | awk '
    /^build\.sh: status [0-9]+$/ { status = $3; next }
    /^ninja: no work to do\.$/ { next }
    match($0, /^\[[0-9]+\/[0-9]+\] /) {
        split(substr($0, 2, RLENGTH - 3), n, "/")
        tenth = int(10 * n[1] / n[2])
        if (tenth > told)
            printf "build: %d of %d steps\n", n[1], n[2]
        told = tenth > told ? tenth : told
        fflush()
        next
    }
    { print; fflush() }
    END { exit status }'
