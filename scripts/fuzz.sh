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
passed=0 failed=0 named=
mkdir -p "$build/crashes"

# told LOG STATUS: a property that did not hold (MUST), else the sanitizer's or libFuzzer's own word; and the input.
told()
{
    grep -m 1 -a 'fuzz: ' "$1" || grep -m 1 -aE '(ERROR|SUMMARY): |runtime error: ' "$1" ||
        echo "ended without a word (exit status $2)"
    grep -m 1 -aE '^Base64: .{1,600}$' "$1" || true
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
    status=0
    ASAN_OPTIONS=allocator_may_return_null=1 "$program" -max_total_time="$seconds" -print_final_stats=1 \
        -timeout=25 -rss_limit_mb=4096 -verbosity=0 -artifact_prefix="$build/crashes/$subject-" "$@" \
        >"$build/fuzz-$subject.log" 2>&1 || status=$?
    if [ "$status" = 0 ]; then
        passed=$((passed + 1))
        grep number_of_executed_units "$build/fuzz-$subject.log" || true
    else
        failed=$((failed + 1))
        tail -n 40 "$build/fuzz-$subject.log"
        named="$named$(told "$build/fuzz-$subject.log" "$status" | sed "s/^/FAIL  fuzz-$subject: /")
"
    fi
done

printf %s "$named"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
