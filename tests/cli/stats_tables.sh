# The tables of stats: one file, several, sizes, expert groups, JSON.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
S=$SRC/examples/stats.json

ok stats "$S"
has .out 'tinymoe, 6 layers with 32 experts' 'Gini' 'rank corr' 'Same choice from each half' 'Every expert was routed to'
lacks .out 'Tensor data' '[?]'
has .out '^experts that both keep, of the score' '^and in brackets how much' # lines end where they are meant to
ok stats "$S" --model "$TINY"
# sizes are those that inspect gives, and that a pruned file has
ok inspect "$TINY" --json
cp .out i.json
ok stats "$S" --model "$TINY" --json
cp .out s.json
for k in 0 1 2 3 4; do
    equal s.json i.json sizes/$((k + 1))/n_keep=ratios/$k/n_keep sizes/$((k + 1))/bytes=ratios/$k/bytes
done
json s.json 'n_keep=[28,24,20,16,8]' 'random_kept=[0.875,0.75,0.625,0.5,0.25]' layers/5/super_experts tokens_for_95_percent sizes/0/estimated/q8_0
# the share kept is what plan says it keeps
ok plan "$S" --prune-ratio 0.25 -o p.json
lost=$("$JSON" get p.json lost/3/score_lost) kept=$("$JSON" get s.json layers/3/score_kept/1)
expect 'share kept + share lost = 1' awk -v a="$lost" -v b="$kept" 'BEGIN { exit !(a + b > 1 - 1e-9 && a + b < 1 + 1e-9) }'
fails 2 'another model' -- stats "$S" --model "$MODELS/qwen3_moe/model.gguf"
fails 2 "criterion 'x'" -- stats "$S" --criterion x

# ---- halves that say the same: how few tokens would do cannot be told
row=$(head -n 1 "$MODELS/qwen3_moe/texts.jsonl")
printf '%s\n' "$row" "$row" >twice.jsonl
ok profile "$MODELS/qwen3_moe/model.gguf" --calib twice.jsonl --ctx 16 -t 1 -o twice.json
ok stats twice.json
has .out '^   25.0 %    100.0 %    100.00 %   far fewer$'

# ---- expert groups: equal numbers of each, the counts that the router allows
G=$MODELS/deepseek_v3/model.gguf
ok profile "$G" --calib "$MODELS/deepseek_v3/texts.jsonl" -t 1 -o g.json
ok inspect "$G" --json
cp .out i.json
ok stats g.json --model "$G" --json
cp .out s.json
for k in 0 1 2 3 4; do
    equal s.json i.json sizes/$((k + 1))/n_keep=ratios/$k/n_keep
done
ok plan g.json --prune-ratio 0.5 -o g.plan.json
il=$("$JSON" get i.json model/moe_layers/0)
lost=$("$JSON" get g.plan.json "lost/$il/score_lost") kept=$("$JSON" get s.json "layers/$il/score_kept/3")
expect 'groups: share kept + share lost = 1' awk -v a="$lost" -v b="$kept" 'BEGIN { exit !(a + b > 1 - 1e-9 && a + b < 1 + 1e-9) }'

# ---- several files
each_of categories "$SRC"/examples/calibration/by-category/*/
for c in "${each[@]}"; do
    ok profile "$TINY" --calib "$c" -t 1 -o "$(basename "$c").json"
    files+=("$(basename "$c").json")
done
ok stats "${files[@]}"
has .out 'files +rank corr' '^   1  2 ' 'in every file'
ok stats "${files[0]}" "${files[0]}" --json
json .out 'pairs/0/overlap=[1.0,1.0,1.0,1.0,1.0]' 'pairs/0/score_of_b_kept_by_a=[1.0,1.0,1.0,1.0,1.0]' 'pairs/0/score_of_a_kept_by_b=[1.0,1.0,1.0,1.0,1.0]' pairs/0/rank_correlation=1.0 files/1/file
fails 2 'another model' -- stats "${files[0]}" g.json
# a single sample: no second half, nothing is said about stability
printf '{"text":"one sample"}\n' >one.jsonl
ok profile "$TINY" --calib one.jsonl -t 1 -o one.json
ok stats one.json --json
json .out 'tokens_for_95_percent=[null,null,null,null,null]' 'layers/0/halves_agree=[null,null,null,null,null]' layers/0/halves_rank_correlation=null
ok stats one.json
has .out '\( -  \)'
lacks .out 'nan' 'Same choice from each half'

# ---- a router that does not renormalise: how far the gates of the experts that stay grow
o=$MODELS/olmoe
ok profile "$o/model.gguf" -c "$o/texts.jsonl" -t 1 -q -o olmoe.json
ok stats olmoe.json
has .out 'The router does not renormalise' '  mean  '
ok stats olmoe.json --json
cp .out olmoe.stats
ok plan olmoe.json --prune-ratio 0.5 -o olmoe.plan --json
kept=$("$JSON" get .out gate_mass_kept)
m0=$("$JSON" get olmoe.stats layers/0/gate_mass_kept/3) m1=$("$JSON" get olmoe.stats layers/1/gate_mass_kept/3)
expect 'plan and stats agree' awk -v k="$kept" -v a="$m0" -v b="$m1" 'BEGIN { d = k - (a + b) / 2; exit !(k > 0.4 && k < 0.8 && d < 1e-12 && d > -1e-12) }'
ok plan olmoe.json --prune-ratio 0.5 -o olmoe.plan --force -v
has .out 'of its softmax: their gates grow by a factor of 1[.][0-9]+ [(]' '  layer 1: [0-9.]+ %, [12][.]'
has .err 'warning: the router does not renormalise'
ok plan olmoe.json --keep 15 -o olmoe.plan --force
lacks .err 'renormalise'
ok report --stats olmoe.json --plan olmoe.plan -o olmoe.html
has olmoe.html 'Gates grow by' 'gates grow by'
M=$MODELS/qwen3_moe
ok profile "$M/model.gguf" -c "$M/texts.jsonl" -t 1 -q -o qwen.json
ok stats qwen.json
lacks .out 'renormalise'
ok plan qwen.json --keep 4 -o qwen.plan --json
refuse 'renormalised: no mass' "$JSON" check .out gate_mass_kept
ok report --stats qwen.json --plan qwen.plan -o qwen.html
lacks qwen.html '[Gg]ates grow by'

# ---- the hottest experts: what the file counts, in order, in each form
Q=$MODELS/qwen3_moe
ok profile "$Q/model.gguf" --calib "$Q/texts.jsonl" -t 1 -o hot-stats.json -q
ok stats hot-stats.json --hot 3 --format json
cp .out hot.json
json hot.json hot=3 layers/0/layer=0 layers/2/layer=2
for il in 0 1 2; do
    want=$(for x in 0 1 2 3 4 5 6 7; do echo "$("$JSON" get hot-stats.json layers/$il/count/$x) $x"; done | sort -k1,1nr -k2,2n | head -n 3)
    got=$(for r in 0 1 2; do echo "$("$JSON" get hot.json layers/$il/counts/$r) $("$JSON" get hot.json layers/$il/experts/$r)"; done)
    expect "layer $il: the three with most tokens" test "$got" = "$want"
done
ok stats hot-stats.json --hot 3 --format csv
expect 'a head and three rows a layer' test "$(wc -l <.out)" = 10
expect 'csv says the same' test "$(sed -n 2p .out | cut -d, -f3)" = "$("$JSON" get hot.json layers/0/experts/0)"
ok stats hot-stats.json --hot 99 --format csv
expect 'shares of all add up' test "$(awk -F, '$1 == 1 {s += $5} END {printf "%.3f", s}' .out)" = 1.000
ok stats hot-stats.json --hot 3 --format llama.cpp
expect 'the hottest stands in 100 rows' test "$(grep -c "^[0-9]*,1,$("$JSON" get hot.json layers/1/experts/0)\$" .out)" = 100
expect 'three numbers a row' test "$(grep -cvE '^[0-9]+,[0-9]+,[0-9]+$' .out)" = 0
ok stats hot-stats.json --hot 3
has .out '^layer 0 +[0-9.]+ %: [0-7] [0-7] [0-7]$'
ok stats hot-stats.json --hot 3 --json
json .out hot=3
fails 2 'one stats file' -- stats hot-stats.json hot-stats.json --hot 2
fails 2 'format does not go with stats FILE without --hot' -- stats hot-stats.json --format csv
fails 2 'csv goes with --hot alone' -- stats export hot-stats.json --format csv -o no.json
fails 2 'goes with stats import and export alone' -- stats hot-stats.json --hot 2 --format imatrix
fails 2 'does not go with stats merge' -- stats merge hot-stats.json --hot 2 -o no.json
fails 2 'criterion does not go with --hot' -- stats hot-stats.json --hot 2 --criterion frequency
finish
