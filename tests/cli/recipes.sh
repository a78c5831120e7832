# The recipes of docs/recipes/ on small models: statistics of a 4-bit file prune the checkpoint, and gpt-oss stays in MXFP4.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1

# ---- low-memory.md
Q=$MODELS/qwen3_moe
ok convert "$Q/hf" -o full.gguf --name m
ok quantize full.gguf q4_0 -o q4.gguf
has .out 'q4.gguf: '
expect 'Q4_0 is smaller' test "$(stat -c %s q4.gguf)" -lt "$(($(stat -c %s full.gguf) / 4))"
ok profile q4.gguf --calib "$Q/texts.jsonl" -t 1 -o stats.json
ok plan stats.json --prune-ratio 0.25 -o plan.json --model "$Q/hf"
ok prune "$Q/hf" --plan plan.json -o pruned
ok verify "$Q/hf" pruned --plan plan.json
ok prune q4.gguf --plan plan.json -o q4-pruned.gguf
ok verify q4.gguf q4-pruned.gguf --plan plan.json
json pruned/config.json num_experts=6
ok prune full.gguf --plan plan.json -o full-pruned.gguf
# cutting and converting may change places
ok convert pruned -o pruned.gguf --name m
ok verify full.gguf pruned.gguf --plan plan.json
ok verify full.gguf pruned.gguf
has .out 'found by their bytes: 6 per layer'
# statistics of another model are refused, by the router hash
fails 2 'another model' 'router_hash|architecture' -- plan stats.json --prune-ratio 0.25 -o other.json --model "$MODELS/mixtral/hf"
sed 's/"router_hash": "[0-9a-f]\{8\}/"router_hash": "00000000/' stats.json >foreign.json
ok plan foreign.json --prune-ratio 0.25 -o foreign-plan.json
fails 2 'another model' 'router_hash' -- prune "$Q/hf" --plan foreign-plan.json -o foreign --quiet
# quantising while loading: the same routers, so the same identity
ok profile "$Q/hf" --type q8_0 --calib "$Q/texts.jsonl" -t 1 -o q8.json
equal stats.json q8.json model/router_hash
fails 2 'checkpoint' -- profile q4.gguf --type q8_0 --calib "$Q/texts.jsonl" -t 1 -o no.json
fails 2 "type 'q4_k_x' is not known" 'did you mean Q4_K_' -- quantize full.gguf q4_k_x -o no.gguf
fails 2 "type 'q9'" -- quantize full.gguf q9 -o no.gguf
fails 2 'folder' -- quantize "$Q/hf" q8_0 -o no.gguf
fails 2 'quantised already' -- quantize q4.gguf q8_0 -o no.gguf
expect 'nothing is left' test ! -e no.gguf -a ! -e no.gguf.reap-part
fails 2 'exists' -- quantize full.gguf q8_0 -o q4.gguf
fails 2 'model itself' -- quantize full.gguf q8_0 -o full.gguf --force

# ---- gpt-oss.md
G=$MODELS/gpt_oss_mxfp4
ok run "$G/hf" --calib "$G/texts.jsonl" --prune-ratio 0.25 --text "$TEXT/code/lexer.txt" --eval-ctx 128 -t 1 -o small
json small/config.json num_local_experts=9
ok inspect "$G/hf" --json
before=$("$JSON" get .out expert_bytes)
ok inspect small --json
expect 'three quarters of the experts' test "$("$JSON" get .out expert_bytes)" -eq $((before * 3 / 4))
"$JSON" check .out expert_types/U8 || say_bad 'MXFP4 stays MXFP4'
ok convert "$G/hf" -o oss.gguf --name m
ok convert small -o small.gguf --name m
ok verify oss.gguf small.gguf --plan small.work/plan.json
ok inspect small.gguf --json
"$JSON" check .out expert_types/mxfp4 || say_bad 'MXFP4 stays MXFP4 in GGUF'
ok run "$G/hf" --calib "$G/texts.jsonl" --prune-ratio 0.25 --text "$TEXT/code/lexer.txt" --eval-ctx 128 -t 1 -o small/
has .err 'prune +already done' 'evaluate the result already done'
fails 2 'exists' -- run "$G/hf" --calib "$G/texts.jsonl" --prune-ratio 0.5 -t 1 -o "$T" --quiet
finish
