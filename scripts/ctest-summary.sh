#!/bin/sh
# Run the tests of a build folder with ctest; the last line is 'N passed, N failed'.
#
#   scripts/ctest-summary.sh BUILD [CTEST OPTION]...
#
# Before it stand the tests that failed, those that were skipped (exit status 77), which count as neither, and the parts
# that tests left out. No test at all is a failure.

set -eu

build=$1
shift
xml=$build/tests.xml
rm -f "$xml"

status=0
ctest --test-dir "$build" --output-on-failure --output-junit "$(cd "$build" && pwd)/tests.xml" "$@" ||
    status=$?

if [ ! -s "$xml" ]; then
    echo "ctest gave no result (exit status $status)"
    echo "0 passed, 1 failed"
    exit 1
fi

# Output of tests is escaped in the file, so that only real elements begin with '<'.
awk -v status="$status" '
    match($0, /<testcase name="[^"]*"/) { name = substr($0, RSTART + 16, RLENGTH - 17); total++ }
    /<testcase / && /status="fail"/ { failed++; print "FAIL  " name }
    match($0, /left out: [^<]*/) { print name " " substr($0, RSTART, RLENGTH) }
    /<testcase / && /status="(notrun|disabled)"/ { waiting = 1; skip_name = name }
    waiting && /<skipped|status="disabled"/ { skipped++; names = names " " skip_name; waiting = 0 }
    waiting && /<failure/ { failed++; print "FAIL  " skip_name; waiting = 0 }
    END {
        if (skipped)
            printf "%d skipped:%s\n", skipped, names
        if (total == 0 || (status != 0 && failed == 0))
            failed++
        printf "%d passed, %d failed\n", total - failed - skipped < 0 ? 0 : total - failed - skipped, failed
        exit failed > 0
    }' "$xml"
