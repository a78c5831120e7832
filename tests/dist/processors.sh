#!/usr/bin/env bash
# The portable program on processors that this machine is not (qemu-x86_64): which of the engine's code it takes, and that a perplexity
# is the same with each.
#
#   tests/dist/processors.sh REAP
cd "$(dirname "$0")/../.." || exit 1
reap=$(realpath "$1") || exit 2
export GOMP_SPINCOUNT=300 GLIBC_TUNABLES=glibc.malloc.hugetlb=0 # else reap starts itself again with them, and not under qemu
command -v qemu-x86_64 >/dev/null || {
    echo 'skipped: no qemu-x86_64 (package qemu-user)'
    exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
head -c 1500 tests/data/text/prose/story.txt >"$work/text.txt"

check() { # WHAT COMMAND...
    local what=$1
    shift
    if "$@"; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAILED: $what" >&2
    fi
}
uses() { grep -oE 'code uses.*' "$work/doctor" | grep -qw "$1"; }
lacks() { ! uses "$1"; }
# on PROCESSOR COMMAND...: ends as ours, or the test fails
on() { if [ "$1" = this ]; then "${@:2}"; else qemu-x86_64 -cpu "$@"; fi; }

for processor in this Conroe Nehalem Haswell; do
    case $processor in
    this) has=() none=() ;;
    Conroe | Nehalem) has=(REPACK) none=(SSE3 AVX AVX2 FMA AVX512) ;;
    Haswell) has=(AVX AVX2 FMA F16C BMI2) none=(AVX512 AVX_VNNI) ;;
    esac
    on "$processor" "$reap" doctor >"$work/doctor" 2>&1
    check "$processor: doctor" test $? = 0
    for f in "${has[@]}"; do check "$processor: code uses $f" uses "$f"; done
    for f in "${none[@]}"; do check "$processor: code does not use $f" lacks "$f"; done
    on "$processor" "$reap" eval models/tinymoe-Q8_0.gguf --text "$work/text.txt" --ctx 128 -q -o "$work/$processor.json" --force
    check "$processor: eval" test $? = 0
    ppl=$(sed -n 's/.*"ppl": *\([0-9.]*\).*/\1/p' "$work/$processor.json" | head -n 1)
    [ "$processor" != this ] || ours=$ppl
    check "$processor: perplexity $ppl is this processor's, $ours" awk -v a="$ppl" -v b="$ours" 'BEGIN { exit !(a > 0 && a / b > 0.99 && a / b < 1.01) }'
    echo "$processor: perplexity $ppl, $(grep -oE 'code uses.*' "$work/doctor")" >&2
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
