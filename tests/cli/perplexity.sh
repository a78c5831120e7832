#!/usr/bin/env bash
# reap eval --text agrees with llama-perplexity: the figures in golden.txt are that tool's output on the same text.
set -euo pipefail
data=$SRC/tests/data/perplexity
close() { # close A B TOLERANCE: relative
    awk -v a="$1" -v b="$2" -v t="$3" 'BEGIN { d = a - b; if (d < 0) d = -d; exit !(d <= t * b) }'
}
field() { sed -n "s/^ *\"$1\": \([0-9.e+-]*\),*\$/\1/p" | head -n 1; }
# What kernels of other processors change, see eval_against.sh.
n=0
while read -r model ctx ppl err; do
    [ "$model" != "#" ] || continue
    got=$("$REAP" eval "$SRC/$model" --text "$data/text.txt" --ctx "$ctx" -t 1 --json --quiet)
    p=$(field ppl <<<"$got")
    e=$(field ppl_stderr <<<"$got")
    echo "$model ctx $ctx: llama-perplexity $ppl +/- $err, reap $p +/- $e"
    close "$p" "$ppl" 2e-3 || { echo "perplexity differs"; exit 1; }
    close "$e" "$err" 3e-2 || { echo "standard error differs"; exit 1; }
    n=$((n + 1))
done <"$data/golden.txt"
[ $n = 5 ] || { echo "golden.txt has $n rows, expected 5"; exit 1; }
