#!/usr/bin/env bash
# reap sweep: each row is what eval says of that plan; limits and the plan that is written; going on; what is refused.
. "$(dirname "$0")/lib.bash"
m=$MODELS/qwen3_moe/model.gguf
text=$SRC/tests/data/perplexity/text.txt
head -c 1500 "$text" >"$T/one.txt"
f32=(-fa off -ctk f32 -ctv f32 -q --ctx 64 -t 1)
ok profile "$m" -c "$MODELS/qwen3_moe/texts.jsonl" -o "$T/stats.json" -q
value() { "$JSON" get "$@"; }

# ---- the table against eval ----
sweep=("$m" --stats "$T/stats.json" --text "$T/one.txt" "${f32[@]}" --criteria reap,random --ratios 0.25,0.3,0.5)
ok sweep "${sweep[@]}"
has "$T/.out" '^\(whole model\) .* 8 ' '^reap +25.0 % +6 ' '^reap +50.0 % +4 ' '^random +25.0 % +6 ' '^random +50.0 % +4 '
expect 'equal counts once' test "$(grep -cE '^(reap|random) ' "$T/.out")" = 4
ok sweep "${sweep[@]}" --json
cp "$T/.out" "$T/sweep.json"
has "$T/sweep.json" '"schema": "reap.sweep/1"' '"chosen": null'
i=0
for c in reap random; do
    for n in 6 4; do
        ok plan "$T/stats.json" --keep $n --criterion $c -o "$T/$c$n.json" -q
        ok eval "$m" --plan "$T/$c$n.json" --against "$m" --text "$T/one.txt" "${f32[@]}" --json
        # eval adds the means of texts up once more
        for key in ppl base_ppl kl/mean kl/stderr top1_agreement dp_rms ln_ppl_ratio_stderr; do
            near "$T/sweep.json" "$T/.out" 1e-12 points/$i/$key=total/$key
        done
        expect "$c $n n_keep" test "$(value "$T/sweep.json" points/$i/n_keep)" = $n
        i=$((i + 1))
    done
done
ok prune "$m" --plan "$T/reap6.json" -o "$T/pruned.gguf" -q
ok inspect "$T/pruned.gguf" --json
equal "$T/.out" "$T/sweep.json" bytes=points/0/bytes

# ---- limits ----
kl=$(value "$T/sweep.json" points/0/kl/mean)
ok sweep "${sweep[@]}" --max-kl "$kl" -o "$T/chosen.json" --json
expect 'the first point is chosen' test "$(value "$T/.out" chosen)" = 0
equal "$T/chosen.json" "$T/reap6.json" keep
equal "$T/chosen.json" "$T/sweep.json" measured/kl/mean=points/0/kl/mean
absent "$T/chosen.json.state"
ok prune "$m" --plan "$T/chosen.json" -o "$T/pruned2.gguf" -q
ok sweep "${sweep[@]}" --pass "kl<=$kl" --json # the same bound under its general name
expect 'the same point' test "$(value "$T/.out" chosen)" = 0
expect 'as a limit' test "$(value "$T/.out" limits/max_kl)" = "$kl"
rc 3 sweep "${sweep[@]}" --max-kl 1000 --pass 'top1>=1'
fails 2 "'kl<=2' bounds what was bounded before" -- sweep "${sweep[@]}" --max-kl 1 --pass 'kl<=2'
ok sweep "${sweep[@]}" --max-kl 1000 --max-ppl-increase 900%
has "$T/.out" 'the smallest within the limits: 4 of 8 experts'
rc 3 sweep "${sweep[@]}" --max-kl 0 -o "$T/none.json"
has "$T/.err" 'no plan is within the limits' "none.json.state' holds the figures"
has "$T/.out" '^reap '
absent "$T/none.json"
# other limits: the figures are there already
ok sweep "${sweep[@]}" --max-kl "$kl" -o "$T/none.json" --json
expect 'the same choice' test "$(value "$T/.out" chosen)" = 0
absent "$T/none.json.state"

# ---- going on ----
cat "$TEXT"/code/{herringbone,lexer}.txt >"$T/two.txt"
two=("$m" --stats "$T/stats.json" --text "$T/one.txt" --text "$T/two.txt" "${f32[@]}" --ratios 0.25,0.5 --json)
ok sweep "${two[@]}"
cp "$T/.out" "$T/whole.json"
"${heeds_int[@]}" "$REAP" sweep "${two[@]}" --state "$T/state.json" >"$T/.out" 2>"$T/.err" </dev/null &
pid=$!
wait_for 60 test -e "$T/state.json" || say_bad 'no state appears'
kill -STOP $pid
kill -INT $pid
kill -CONT $pid
wait $pid
expect "exit status 130, not $?" test $? = 130
has "$T/.err" 'interrupted' 'goes on from there'
expect "the second text is not done" test "$(value "$T/state.json" texts_done)" -lt 2
fails 2 'another model, text, plans, types or options' -- sweep "${sweep[@]}" --state "$T/state.json"
ok sweep "${two[@]}" --state "$T/state.json"
expect 'as if never interrupted' cmp "$T/.out" "$T/whole.json"
ok sweep "${two[@]}" --state "$T/state.json"
expect 'and once more' cmp "$T/.out" "$T/whole.json"
no_parts

# ---- refused ----
echo '{"schema": "reap.sweep-state/1"}' >"$T/bad.json"
fails 2 'bad.json' 'key' -- sweep "${sweep[@]}" --state "$T/bad.json"
fails 2 'chosen.json' 'not the state of a sweep' -- sweep "${sweep[@]}" --state "$T/chosen.json"
fails 2 'stats is missing' -- sweep "$m" --text "$T/one.txt" -q
fails 2 'text is missing' -- sweep "$m" --stats "$T/stats.json" -q
fails 2 '--ratios: 1 is out of range' -- sweep "$m" --stats "$T/stats.json" --text "$T/one.txt" --ratios 0.5,1 -q
fails 2 "'x' is not a number" -- sweep "$m" --stats "$T/stats.json" --text "$T/one.txt" --ratios x -q
fails 2 'list is empty' -- sweep "$m" --stats "$T/stats.json" --text "$T/one.txt" --ratios , -q
fails 2 "'best' is not known" -- sweep "$m" --stats "$T/stats.json" --text "$T/one.txt" --criteria reap,best -q
fails 2 'needs a limit' -- sweep "$m" --stats "$T/stats.json" --text "$T/one.txt" -o "$T/new.json" -q
fails 2 'expected a share such as 0.25 or 25%' -- sweep "$m" --stats "$T/stats.json" --text "$T/one.txt" --max-ppl-increase much -q
fails 2 'exists' -- sweep "${sweep[@]}" --max-kl 1 -o "$T/chosen.json"
fails 2 'is the stats file' -- sweep "${sweep[@]}" --max-kl 1 -o "$T/stats.json" -f
fails 2 'is the text' -- sweep "${sweep[@]}" --state "$T/one.txt"
fails 2 'no-such' -- sweep "$m" --stats "$T/stats.json" --text "$T/no-such.txt" -q
fails 2 'stats file' -- sweep "$MODELS/glm4_moe/model.gguf" --stats "$T/stats.json" --text "$T/one.txt" -q
printf 'too short' >"$T/tiny.txt"
fails 2 'tiny.txt' 'two windows of 512' -- sweep "$m" --stats "$T/stats.json" --text "$T/tiny.txt" -q
finish
