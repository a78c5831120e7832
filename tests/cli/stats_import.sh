# Statistics of other tools: in and out.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
D=$SRC/tests/data/import
S=$SRC/examples/stats.json

# ---- llama-expert-profile: out and in again gives the same plan
ok stats export "$S" -o p.json
json p.json 0/total_tokens=3556 0/activation_counts 0/activation_frequency 0/avg_gate_weight 0/ean_mean 0/reap 5/never_activated=0
ok stats import p.json --model "$TINY" -o in.json
has .out 'from llama-expert-profile; can be ranked by reap, reap_sum, ean_mean, ean_sum, frequency, gate_mean, gate_sum, random$'
for c in reap reap_sum ean_sum frequency gate_mean; do
    ok plan "$S" --keep 20 --criterion $c --model "$TINY" -o "a-$c.json"
    ok plan in.json --keep 20 --criterion $c --model "$TINY" -o "b-$c.json"
    equal "a-$c.json" "b-$c.json" keep
done
for c in reap_l2 ean_l2 max_activation; do
    fails 2 "criterion $c needs" 'possible are reap, reap_sum' in.json -- plan in.json --keep 20 --criterion $c -o x.json
    fails 2 "criterion $c needs" -- stats in.json --criterion $c
done
ok stats in.json
has .out 'imported from llama-expert-profile'
lacks .out 'nan' 'Super experts' 'Tokens of a text'
json in.json import/format=\"llama-expert-profile\" 'import/unknown=["gate_sq_sum","ean_sq_sum","reap_sq_sum","max_activation"]'
ok stats import p.json --architecture qwen3moe -o arch.json
json arch.json model/n_experts_used=4 model/n_experts=32
ok stats import p.json --model "$TINY" --format llama-expert-profile -o in2.json
expect 'the same file' cmp in.json in2.json
# counts that no router makes
"$JSON" set p.json 0/activation_counts "[$(yes 444 | head -16 | paste -sd,),$(yes 445 | head -16 | paste -sd,)]" >even.json
for l in 1 2 3 4 5; do
    "$JSON" set even.json $l/activation_counts "$("$JSON" get even.json 0/activation_counts)" >e2.json && mv e2.json even.json
done
fails 2 'even.json' 'random choices would' '--force' -- stats import even.json --model "$TINY" -o x.json
ok stats import even.json --model "$TINY" -o even.out.json --force
has .err 'warning: .*random choices'
fails 2 'another|experts' -- stats import p.json --model "$MODELS/qwen3_moe/model.gguf" -o x.json
"$JSON" set p.json 5 - >five.json
fails 2 'lacks layer 5' -- stats import five.json --model "$TINY" -o x.json
fails 2 'not valid JSON' -- stats import "$D/imatrix.txt" --model "$TINY" -o x.json

# ---- imatrix: its counts are those of a profile of the same text
ok stats import "$D/imatrix.gguf" --model "$TINY" -o im.json
has .out '512 tokens, from imatrix; can be ranked by frequency, random$'
has .err 'output norms are not estimated'
ok profile "$TINY" --calib "$D/imatrix.txt" --ctx 256 -t 1 -o own.json
for l in 0 1 2 3 4 5; do # another CPU may send a token elsewhere
    expect "counts of layer $l" "$JSON" near own.json im.json 0.03 layers/$l/count
done
fails 2 'criterion reap needs' 'imatrix' 'possible are frequency, random' -- plan im.json --keep 20 -o x.json
fails 2 'criterion reap needs' -- stats im.json
ok plan im.json --keep 20 --criterion frequency --model "$TINY" -o f.json
lacks f.json 'reap_sum_lost'
ok stats im.json --criterion frequency
fails 2 'experts does a token use' -- stats import "$D/imatrix.gguf" --architecture qwen3moe -o x.json
ok stats import "$D/imatrix.gguf" --architecture qwen3moe --experts-used 4 -o im4.json
fails 2 'no multiple of 3' -- stats import "$D/imatrix.gguf" --architecture qwen3moe --experts-used 3 -o x.json
fails 2 "general.type is" -- stats import "$TINY" --model "$TINY" -o x.json
fails 2 'lacks sums' -- stats export im.json -o x.json
fails 2 'different things' -- stats merge im.json in.json -o x.json

# ---- usage
fails 2 'of which model' -- stats import p.json -o x.json
fails 2 'are for imports without --model' -- stats import p.json --model "$TINY" --architecture x -o x.json
fails 2 "'x' is not known" -- stats import p.json --model "$TINY" --format x -o x.json
fails 2 'imatrix cannot be written' -- stats export "$S" --format imatrix -o x.json
fails 2 'unexpected operand' -- stats export "$S" "$S" -o x.json
fails 2 'format does not go with' -- stats "$S" --format imatrix
fails 2 'model does not go with stats export' -- stats export "$S" --model "$TINY" -o x.json
fails 2 'is an input' -- stats export in.json -o in.json --force
fails 2 'exists' -- stats export in.json -o p.json
finish
