#!/usr/bin/env bash
# reap refine: the loss falls by what eval measures, the same call gives the same plan, the plan stays legal; what is refused. Seeds, limits,
# what is tried and what an interruption leaves: tests/fake/test_refine.c.
. "$(dirname "$0")/lib.bash"
. "$SRC/tests/cli/interrupt.bash"
m=$MODELS/qwen3_moe/model.gguf
text=$SRC/tests/data/perplexity/text.txt
head -c 1500 "$text" >"$T/dev.txt"
tail -c 1500 "$text" >"$T/other.txt"
f32=(-fa off -ctk f32 -ctv f32 -q --ctx 64 -t 1)
value() { "$JSON" get "$@"; }
less() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a != "" && b != "" && a < b) }'; }
ok profile "$m" -c "$MODELS/qwen3_moe/texts.jsonl" -o "$T/stats.json" -q
ok plan "$T/stats.json" --keep 5 -o "$T/plan.json" -q
refine=(refine "$m" --plan "$T/plan.json" --stats "$T/stats.json" --text "$T/dev.txt" "${f32[@]}")

ok "${refine[@]}" --trials 8 --check "$T/other.txt" -o "$T/a.json" --json
cp "$T/.out" "$T/report.json"
before=$(value "$T/report.json" text/before/kl/mean) after=$(value "$T/report.json" text/after/kl/mean)
expect "the loss falls: $before to $after" less "$after" "$before"
expect 'some swap stayed' test "$(value "$T/report.json" swaps)" -gt 0
for which in before:plan after:a; do
    for part in text:dev check:other; do
        ok eval "$m" --plan "$T/${which#*:}.json" --against "$m" --text "$T/${part#*:}.txt" "${f32[@]}" --json
        at=${part%:*}/${which%:*}
        near "$T/report.json" "$T/.out" 1e-9 $at/{kl/mean=total/kl/mean,ppl=total/ppl,base_ppl=total/base_ppl,top1_agreement=total/top1_agreement}
    done
done
# the file says what was done, and its swaps lead from the one plan to the other
expect 'trials' test "$(value "$T/a.json" refined/trials)" = 8
n=$(value "$T/report.json" swaps)
expect 'the swaps are listed' test -n "$(value "$T/a.json" refined/swaps/$((n - 1))/layer)"
refuse 'and no more' "$JSON" check "$T/a.json" "refined/swaps/$n"
refuse 'what the first plan lost is not told of this one' "$JSON" check "$T/a.json" lost
ok prune "$m" --plan "$T/a.json" -o "$T/pruned.gguf" -q
ok verify "$m" "$T/pruned.gguf" --plan "$T/a.json" -q

# once more the same
ok "${refine[@]}" --trials 8 --check "$T/other.txt" -o "$T/b.json"
equal "$T/a.json" "$T/b.json" keep refined
# groups: equal numbers must stay in each
g=$MODELS/deepseek_v3
ok profile "$g/model.gguf" -c "$g/texts.jsonl" -o "$T/groups.json" -q
ok refine "$g/model.gguf" --plan "$g/plan.json" --stats "$T/groups.json" --text "$T/dev.txt" "${f32[@]}" --trials 2 -o "$T/g.json"
ok prune "$g/model.gguf" --plan "$T/g.json" -o "$T/g.gguf" -q

# ---- interrupted before anything was measured: nothing ----
cd "$T" || exit 1
"${heeds_int[@]}" "$REAP" "${refine[@]}" --near 4 --trials 1000000 -o i.json >.out 2>.err </dev/null &
pid=$!
stop_early
end INT
expect "exit status 130, not $got" test $got = 130
one_line interrupted
absent i.json
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
