#!/usr/bin/env bash
# reap refine: the loss falls by what eval measures, the same call gives the same plan, the plan stays legal; what is refused.
. "$(dirname "$0")/lib.bash"
m=$MODELS/qwen3_moe/model.gguf
text=$SRC/tests/data/perplexity/text.txt
head -c 3000 "$text" >"$T/dev.txt"
tail -c 3000 "$text" >"$T/other.txt"
f32=(-fa off -ctk f32 -ctv f32 -q --ctx 64)
value() { "$JSON" get "$@"; }
less() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a != "" && b != "" && a < b) }'; }
ok profile "$m" -c "$MODELS/qwen3_moe/texts.jsonl" -o "$T/stats.json" -q
ok plan "$T/stats.json" --keep 5 -o "$T/plan.json" -q
refine=(refine "$m" --plan "$T/plan.json" --stats "$T/stats.json" --text "$T/dev.txt" "${f32[@]}")

ok "${refine[@]}" --trials 12 --check "$T/other.txt" -o "$T/a.json" --json
cp "$T/.out" "$T/report.json"
before=$(value "$T/report.json" text/before/kl/mean) after=$(value "$T/report.json" text/after/kl/mean)
expect "the loss falls: $before to $after" less "$after" "$before"
expect 'some swap stayed' test "$(value "$T/report.json" swaps)" -gt 0
for which in before:plan after:a; do
    for part in text:dev check:other; do
        ok eval "$m" --plan "$T/${which#*:}.json" --against "$m" --text "$T/${part#*:}.txt" "${f32[@]}" --json
        for key in kl/mean ppl base_ppl top1_agreement; do
            a=$(value "$T/report.json" "${part%:*}/${which%:*}/$key") b=$(value "$T/.out" "total/$key")
            expect "$which $part $key: $a, eval says $b" awk -v a="$a" -v b="$b" \
                'BEGIN { d = a - b; if (d < 0) d = -d; exit !(a != "" && d <= 1e-9 * b) }'
        done
    done
done
# the file says what was done, and its swaps lead from the one plan to the other
expect 'trials' test "$(value "$T/a.json" refined/trials)" = 12
n=$(value "$T/report.json" swaps)
expect 'the swaps are listed' test -n "$(value "$T/a.json" refined/swaps/$((n - 1))/layer)"
refuse 'and no more' "$JSON" check "$T/a.json" "refined/swaps/$n"
refuse 'what the first plan lost is not told of this one' "$JSON" check "$T/a.json" lost
ok prune "$m" --plan "$T/a.json" -o "$T/pruned.gguf" -q
ok verify "$m" "$T/pruned.gguf" --plan "$T/a.json" -q

# once more the same; from other seeds other ways
ok "${refine[@]}" --trials 12 -o "$T/b.json"
expect 'the same plan' test "$(value "$T/a.json" keep)" = "$(value "$T/b.json" keep)"
for seed in 1 2 3 4 5; do
    ok "${refine[@]}" --trials 2 --near 3 --seed $seed -o "$T/seed$seed.json"
    value "$T/seed$seed.json" refined/swaps
done >"$T/swaps"
expect 'other seeds, other swaps' test "$(sort -u "$T/swaps" | grep -c .)" -gt 1
# all there is near the cut
ok "${refine[@]}" --trials 100000 --near 1 -o "$T/f.json"
has "$T/.out" 'nothing near the cut is left to try'
ok "${refine[@]}" --trials 100000 --budget 0.001s -o "$T/e.json"
expect 'no round begins after the time' test "$(value "$T/e.json" refined/trials)" -le 8

# groups: equal numbers must stay in each
g=$MODELS/deepseek_v3
ok profile "$g/model.gguf" -c "$g/texts.jsonl" -o "$T/groups.json" -q
ok refine "$g/model.gguf" --plan "$g/plan.json" --stats "$T/groups.json" --text "$T/dev.txt" "${f32[@]}" --trials 8 -o "$T/g.json"
ok prune "$g/model.gguf" --plan "$T/g.json" -o "$T/g.gguf" -q

# ---- interrupted: nothing, or a plan that can be used ----
timeout -s INT 3 "$REAP" "${refine[@]}" --near 4 --trials 1000000 --text "$text" -o "$T/i.json" >"$T/.out" 2>"$T/.err" </dev/null
got=$?
expect "exit status 130, not $got" test $got = 130 -o $got = 124
[ ! -e "$T/i.json" ] || ok prune "$m" --plan "$T/i.json" -o "$T/i.gguf" -q
no_parts

# ---- refused ----
fails 2 'plan is missing' -- refine "$m" --stats "$T/stats.json" --text "$T/dev.txt" -o "$T/x.json" -q
fails 2 'output is missing' -- "${refine[@]}"
fails 2 'expected a time' -- "${refine[@]}" --budget soon -o "$T/x.json"
fails 2 'budget' 'out of range' -- "${refine[@]}" --budget 0 -o "$T/x.json"
fails 2 "'best' is not known" -- "${refine[@]}" --criterion best -o "$T/x.json"
fails 2 'one of the texts' -- "${refine[@]}" --check "$T/dev.txt" -o "$T/x.json"
fails 2 'is an input' -- "${refine[@]}" -o "$T/plan.json" -f
fails 2 'is the text' -- "${refine[@]}" -o "$T/dev.txt" -f
fails 2 'exists' -- "${refine[@]}" -o "$T/a.json"
fails 2 'layers of' -- refine "$m" --plan "$T/plan.json" --stats "$T/groups.json" --text "$T/dev.txt" -o "$T/x.json" -q
ok plan "$T/stats.json" --keep 8 -o "$T/all.json" -q
fails 2 'nothing to swap' -- refine "$m" --plan "$T/all.json" --stats "$T/stats.json" --text "$T/dev.txt" -o "$T/x.json" -q
finish
