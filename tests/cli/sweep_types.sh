#!/usr/bin/env bash
# reap sweep --types: each row is what eval says of the quantised file under that plan, and as large as what quantize and prune write; what
# fits, and the commands that make it; nothing stays in the cache; what is refused.
. "$(dirname "$0")/lib.bash"
m=$MODELS/qwen3_moe/model.gguf
export REAP_CACHE=$T/cache
head -c 1500 "$SRC/tests/data/perplexity/text.txt" >"$T/one.txt"
f32=(-fa off -ctk f32 -ctv f32 -q --ctx 64 -t 1)
ok profile "$m" -c "$MODELS/qwen3_moe/texts.jsonl" -o "$T/stats.json" -q
value() { "$JSON" get "$@"; }
cache_is_empty() { [[ -z $(find "$T/cache" -type f) ]]; }

# ---- the table against quantize, prune and eval ----
sweep=("$m" --stats "$T/stats.json" --text "$T/one.txt" "${f32[@]}" --ratios 0.25,0.5 --types q8_0,Q4_0,q8_0)
ok sweep "${sweep[@]}" --json --state "$T/state.json"
cp "$T/.out" "$T/sweep.json"
expect 'nothing stays in the cache' cache_is_empty
expect 'nine points: each type once' test "$(grep -c '"n_keep"' "$T/sweep.json")" = 9
expect 'the first is the model' test "$(value "$T/sweep.json" points/0/kl/mean)" = 0.0
expect 'and on the front' test "$(value "$T/sweep.json" points/0/front)" = true
ok plan "$T/stats.json" --keep 6 -o "$T/keep6.json" -q
i=3
for type in Q8_0 Q4_0; do
    ok quantize "$m" $type -o "$T/$type.gguf" -q
    expect "$type" test "$(value "$T/sweep.json" points/$i/type)" = $type
    ok eval "$T/$type.gguf" --against "$m" --text "$T/one.txt" "${f32[@]}" --json
    for key in ppl base_ppl kl/mean top1_agreement; do
        near "$T/sweep.json" "$T/.out" 1e-12 points/$i/$key=total/$key
    done
    ok inspect "$T/$type.gguf" --json
    equal "$T/.out" "$T/sweep.json" bytes=points/$i/bytes
    ok eval "$T/$type.gguf" --plan "$T/keep6.json" --against "$m" --text "$T/one.txt" "${f32[@]}" --json
    near "$T/sweep.json" "$T/.out" 1e-12 points/$((i + 1))/kl/mean=total/kl/mean
    ok prune "$T/$type.gguf" --plan "$T/keep6.json" -o "$T/$type-pruned.gguf" -q
    ok inspect "$T/$type-pruned.gguf" --json
    equal "$T/.out" "$T/sweep.json" bytes=points/$((i + 1))/bytes
    i=$((i + 3))
done

# ---- with what is said meanwhile
cp "$m" "$T/it's a m.gguf"
ok sweep "$T/it's a m.gguf" --stats "$T/stats.json" --text "$T/one.txt" --ctx 64 -t 1 --ratios 0.25 --types q4_0
has "$T/.err" 'quantising to Q4_0 in the cache'

# ---- in words, what fits, and how it is made ----
ok sweep "${sweep[@]}" --state "$T/state.json" # no new run
has "$T/.out" '^type +criterion ' '^as it is +\(whole model\) +0.0 % ' '^Q8_0 +\(whole model\) ' '^Q4_0 +reap +50.0 % +4 ' \
    'nothing measured is smaller and nearer' '^at [0-9.]+ kB: Q8_0 of the whole model .* is better than 25 % pruned as it is ' \
    '^quantising alone is better than pruning alone at every size measured$'
refuse 'nothing else is said' grep -q 'reap quantize' "$T/.out"
cd "$T" || exit 1
fit=$(value sweep.json points/7/bytes)
ok sweep "${sweep[@]}" --state state.json --fit "$fit" -o fits.json
has .out "^the best that fits: .*Q4_0, .* by reap -> fits.json$" ' <-$'
grep '^  reap ' .out >commands
expect 'two commands make it' test "$(wc -l <commands)" = 2
while read -r _ line; do
    eval "ok $line -q"
done <commands
made=$(sed -n 's/.* -o //p' commands | tail -1)
ok inspect "$made" --json
expect 'of the size that was said' test "$(value .out bytes)" = "$fit"
expect 'the type is in the plan' test "$(value fits.json measured/type)" = Q4_0
rc 3 sweep "${sweep[@]}" --state state.json --fit 1k
has .err 'no variant is within the limits'
rc 3 sweep "${sweep[@]}" --state state.json --fit "$fit" --pass 'kl<=0'
ok sweep "${sweep[@]}" --state state.json --fit 1G
has .out '^the best that fits: the model as it is'

# ---- plan --fit says that there is another way ----
ok plan stats.json --model "$m" --fit 900k -o fit.json
has .err 'warning: .* % of the experts go from a file of [0-9.]+ bits a weight, where a smaller type mostly loses less' \
    "reap sweep .*model.gguf'? --stats stats.json --text FILE --types q8_0,q6_k,q5_k_m,q4_k_m,q3_k_m --fit 900000"
ok plan stats.json --model "$m" --keep 6 -o keep.json # nobody asked what fits
lacks .err 'bits a weight'
ok plan stats.json --model "$m" --fit 1G -o all.json # nothing goes
lacks .err 'bits a weight'

ok plan stats.json --model "it's a m.gguf" --fit 900k -o quoted.json # as a shell takes it
has .err "reap sweep 'it'\\\\''s a m.gguf' --stats stats.json "

# ---- what is refused ----
fails 2 'iq2_xxs' 'needs an importance matrix' -- sweep "$m" --stats stats.json --text one.txt --types q8_0,iq2_xxs -q
fails 2 "'q9' is not known" -- sweep "$m" --stats stats.json --text one.txt --types q9 -q
fails 2 'another model, text, plans, types or options' -- sweep "${sweep[@]}" --types q4_0 --state state.json
ok profile Q8_0.gguf -c "$MODELS/qwen3_moe/texts.jsonl" -o stats8.json -q
fails 2 'is quantised already' 'allow-requantize' -- sweep Q8_0.gguf --stats stats8.json --text one.txt "${f32[@]}" --types q4_0
ok sweep Q8_0.gguf --stats stats8.json --text one.txt "${f32[@]}" --types q4_0 --allow-requantize --ratios 0.5
has .out '^as it is +\(whole model\)' '^Q4_0 +\(whole model\)'
expect 'nothing stays in the cache' cache_is_empty

# ---- interrupted ----
"${heeds_int[@]}" "$REAP" sweep "${sweep[@]}" --state cut.json >.out 2>.err </dev/null &
pid=$!
wait_for 60 grep -q '"texts_done": 1' cut.json || say_bad 'no state appears'
kill -INT $pid 2>/dev/null
wait $pid
expect 'nothing stays in the cache' cache_is_empty
ok sweep "${sweep[@]}" --state cut.json --json
expect 'as if never interrupted' cmp .out sweep.json
no_parts
finish
