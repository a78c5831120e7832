#!/bin/sh
# Run every libFuzzer program of a build folder for some seconds each, or for TOTAL seconds in all.
#
#   scripts/fuzz.sh BUILD SECONDS [TOTAL]
#
# Starts from the stored inputs tests/data/fuzz/X; new ones go to BUILD/corpus/X, crashes to BUILD/crashes. A target that
# failed is named once more before the last line, 'N passed, N failed', with what it failed by and, if short, on what input.

set -eu

build=$1 seconds=$2 total=${3:-}
here=$(cd "$(dirname "$0")/.." && pwd)
passed=0 failed=0 named= timeout=-timeout=25
export ASAN_OPTIONS=allocator_may_return_null=1
mkdir -p "$build/crashes"

# A property that did not hold (MUST), else the sanitizer's or libFuzzer's own word; and the input.
told()
{
    grep -m 1 -a 'fuzz: ' "$log" || grep -m 1 -aE '(ERROR|SUMMARY): |runtime error: ' "$log" ||
        echo "ended without a word (exit status $status)"
    grep -m 1 -aE '^Base64: .{1,600}$' "$log" || true
}

# The input that took too long ends in time. The clock goes on while the machine stands still.
once_more()
{
    input=$(ls -t "$build/crashes/$subject-timeout-"* 2>/dev/null | head -n 1)
    [ -n "$input" ] && "$program" "$timeout" "$input" >>"$log" 2>&1 && echo "slow once, and not again: $input"
}

# Programs that stand there from an earlier state of the sources do not count.
set --
for source in "$here"/tests/fuzz/fuzz_*.c; do
    name=${source##*/}
    set -- "$@" "$build/${name%.c}"
done
if [ -n "$total" ]; then
    seconds=$((total / $#))
    [ "$seconds" -ge 1 ] || seconds=1
fi

for program; do
    subject=${program##*/fuzz_}
    stored=$here/tests/data/fuzz/$subject
    mkdir -p "$build/corpus/$subject"
    set -- "$build/corpus/$subject"
    [ ! -d "$stored" ] || set -- "$@" "$stored"
    printf '%s: %s s\n' "$subject" "$seconds"
    log=$build/fuzz-$subject.log status=0
    "$program" -max_total_time="$seconds" -print_final_stats=1 "$timeout" -rss_limit_mb=4096 -verbosity=0 \
        -artifact_prefix="$build/crashes/$subject-" "$@" >"$log" 2>&1 || status=$?
    if [ "$status" = 0 ] || { [ "$status" = 70 ] && once_more; }; then
        passed=$((passed + 1))
        grep number_of_executed_units "$log" || true
    else
        failed=$((failed + 1))
        tail -n 40 "$log"
        named="$named$(told | sed "s/^/FAIL  fuzz-$subject: /")
"
    fi
done

printf %s "$named"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
