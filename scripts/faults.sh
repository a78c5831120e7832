#!/bin/sh
# The fault injector and every script of tests/faults, over a build folder; the last line is 'N passed, N failed', of these.
#
#   scripts/faults.sh BUILD [JOBS]
#
# Each prints a line for a promise that was broken, and ends with its own figures.

set -eu

build=$(cd "$1" && pwd) jobs=${2:-1}
here=$(cd "$(dirname "$0")/.." && pwd)
REAP=$build/reap SRC=$here BIN=$build
export REAP SRC BIN
passed=0 failed=0 skipped=0

try() { # NAME COMMAND...
    echo "== $1"
    name=$1 status=0
    shift
    "$@" || status=$?
    case $status in
    0) passed=$((passed + 1)) ;;
    77) skipped=$((skipped + 1)) ;;
    *)
        failed=$((failed + 1))
        echo "FAIL $name: exit status $status"
        ;;
    esac
}

[ -x "$build/faults" ] || { echo "no $build/faults: this needs Linux and a build without sanitizers"; exit 1; }
try faults "$build/faults" --jobs "$jobs"
for script in "$here"/tests/faults/*.sh; do
    [ ! -f "$script" ] || try "$(basename "$script" .sh)" bash "$script"
done
[ "$skipped" = 0 ] || echo "$skipped skipped"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
