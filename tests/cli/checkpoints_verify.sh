# Checkpoints: verify sees every change.
. "$(dirname "$0")/lib.bash"
. "$SRC/tests/cli/checkpoint.bash"

# ---- verify sees every change
pruned "$FORMS/mixtral" mixtral
W=model.layers.1.block_sparse_moe.experts.2.w3.weight
"$TOOL" flip bad/model.safetensors $W 17
noticed 'a byte of an expert' "${W//./\\.}" 'expert 2'
"$TOOL" flip bad/model.safetensors model.norm.weight 3
noticed 'a byte of a norm' 'model\.norm\.weight'
"$TOOL" flip bad/model.safetensors model.layers.0.block_sparse_moe.gate.weight 0
noticed 'a byte of a router' 'model\.layers\.0\.block_sparse_moe\.gate\.weight'
sed -i 's/"num_experts_per_tok": 2/"num_experts_per_tok": 1/' bad/config.json
noticed 'a number in config.json' 'num_experts_per_tok'
sed -i '0,/{/s//{ "new": 1,/' bad/config.json
noticed 'a new key in config.json' 'new'
sed -i '/"vocab_size"/d; s/\(.*"use_cache".*\),$/\1/' bad/config.json
json bad/config.json
noticed 'a key of config.json is gone' 'vocab_size'
mv good mixtral
pruned "$FORMS/qwen3moe-fused" qwen3moe-fused
W=model.layers.1.mlp.experts.down_proj
file=bad/$("$TOOL" list bad | awk -v n="$W" '$1 == n { print $5 }')
size=$((16 * 2)) # somewhere in the first expert
"$TOOL" flip "$file" $W $size
noticed 'a byte of stacked experts' "${W//./\\.}" 'expert 0'
# a router's entries for experts that do nothing stand behind those of the experts, and stay
S=$SRC/tests/data/seeded/longcat_flash
mkdir idle
cp "$S/hf/config.json" idle
expect 'the weights' "$BIN/seed_checkpoint" "$S/tensors.tsv" idle/model.safetensors
ok inspect idle --tensors
has .out 'router\.classifier\.weight +BF16 +\[8 experts and 4 idle, 64\]'
model=idle plan=$S/plan.json
rm -rf good bad
ok prune "$model" --plan "$plan" -o good
ok verify "$model" good --plan "$plan"
cp -r good bad
W=model.layers.0.mlp.router.classifier.weight
"$TOOL" flip bad/model.safetensors $W $((6 * 64 * 2 + 5)) # in the first of four behind the six
noticed 'a byte behind the experts' "${W//./\\.}" 'what is behind the experts differs at byte 5'
sed 's/"zero_expert_num": 4/"zero_expert_num": 3/' "$S/hf/config.json" >bad/config.json
fails 2 'its shape is \[10,64\]' 'says 8 experts and 3 that do nothing' -- verify "$model" bad --quiet
sed 's/"zero_expert_num": 4/"zero_expert_num": -4/' "$S/hf/config.json" >idle/config.json
fails 2 "'zero_expert_num' is no whole number" -- inspect idle
# the lists of the quantisation, with an expert's old number
pruned "$FORMS/nemotron-h-nvfp4-mixed" nemotron-h-nvfp4-mixed
cp "$model/hf_quant_config.json" bad
noticed 'hf_quant_config.json of the parent' 'hf_quant_config\.json'
rm -rf good bad
# of another model, and of another plan
keep_first "$FORMS/mixtral" 6 first.json
rc 3 verify "$FORMS/mixtral" mixtral --plan first.json --quiet
rc 3 verify "$FORMS/qwen3moe-fused" mixtral --quiet
has .out 'architecture'
no_parts
expect 'no file with a name of ours is left' test -z "$(find . -maxdepth 1 -name '.reap*' -o -maxdepth 1 -name '*.reap-*')"
untouched
finish
