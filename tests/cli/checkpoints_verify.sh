# Checkpoints: verify sees every change.
. "$(dirname "$0")/lib.bash"
. "$SRC/tests/cli/checkpoint.bash"
M=$FORMS/mixtral
plan=$M/pruned/plan.json
ok prune "$M" --plan "$plan" -o out

# ---- verify sees every change
differs() { # NAME PATTERNS... (of "bad", made from "good")
    local name=$1
    shift
    call 3 verify "$model" bad --plan "$model/pruned/plan.json" --quiet || say_bad "not noticed: $name"
    cat .out .err >both
    has both "$@"
    call 3 verify "$model" bad --quiet || say_bad "not noticed without a plan: $name"
    rm -rf both bad
    cp -r good bad
}
model=$M
cp -r out good
cp -r good bad
W=model.layers.1.block_sparse_moe.experts.2.w3.weight
"$TOOL" flip bad/model.safetensors $W 17
differs 'a byte of an expert' "${W//./\\.}" 'expert 2'
"$TOOL" flip bad/model.safetensors model.norm.weight 3
differs 'a byte of a norm' 'model\.norm\.weight'
"$TOOL" flip bad/model.safetensors model.layers.0.block_sparse_moe.gate.weight 0
differs 'a byte of a router' 'model\.layers\.0\.block_sparse_moe\.gate\.weight'
sed -i 's/"num_experts_per_tok": 2/"num_experts_per_tok": 1/' bad/config.json
differs 'a number in config.json' 'num_experts_per_tok'
sed -i '0,/{/s//{ "new": 1,/' bad/config.json
differs 'a new key in config.json' 'new'
sed -i '/"vocab_size"/d; s/\(.*"use_cache".*\),$/\1/' bad/config.json
if "$JSON" check bad/config.json 2>/dev/null; then
    differs 'a key of config.json is gone' 'vocab_size'
fi
rm -rf good bad
model=$FORMS/qwen3moe-fused
ok prune "$model" --plan "$model/pruned/plan.json" -o good
cp -r good bad
W=model.layers.1.mlp.experts.down_proj
file=bad/$("$TOOL" list bad | awk -v n="$W" '$1 == n { print $5 }')
size=$((16 * 2)) # somewhere in the first expert
"$TOOL" flip "$file" $W $size
differs 'a byte of stacked experts' "${W//./\\.}" 'expert 0'
rm -rf good bad
# the lists of the quantisation, with an expert's old number
model=$FORMS/nemotron-h-nvfp4-mixed
ok prune "$model" --plan "$model/pruned/plan.json" -o good
cp -r good bad
cp "$model/hf_quant_config.json" bad
differs 'hf_quant_config.json of the parent' 'hf_quant_config\.json'
rm -rf good bad
# of another model, and of another plan
keep_first "$M" 6 first.json
call 3 verify "$M" out --plan first.json --quiet
model=$FORMS/qwen3moe-fused
rc 3 verify "$model" out --quiet
has .out 'architecture'
no_parts
expect 'no file with a name of ours is left' test -z "$(find . -maxdepth 1 -name '.reap*' -o -maxdepth 1 -name '*.part*')"
untouched
finish
