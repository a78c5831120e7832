# reap convert: a checkpoint becomes a file that the other commands take; what cannot be is refused, and nothing is left behind.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1

# The pruned GGUF of a converted checkpoint is what pruning the reference's file gives, but for its name.
cp -r "$MODELS/qwen3_moe/hf" 'qwen3 ü'
ok convert 'qwen3 ü' -o c.gguf --type f32 -t 4
has .out '^c\.gguf: qwen3moe, 39 tensors'
ok convert 'qwen3 ü/' -o same.gguf --type F32 -t 1
expect 'the same with one thread' cmp c.gguf same.gguf
cp "$MODELS/qwen3_moe/model.gguf" ref.gguf
hand_plan ref.gguf 6 plan.json
ok prune c.gguf --plan plan.json -o pruned.gguf
ok verify c.gguf pruned.gguf --plan plan.json
cp "$MODELS/qwen3_moe/texts.jsonl" texts.jsonl
ok eval c.gguf --calib texts.jsonl -t 1 --json
cp .out a.json
ok eval ref.gguf --calib texts.jsonl -t 1 --json
expect 'the same likelihood as the reference' \
    test "$(grep -o '"nll": [0-9.]*' a.json | head -n 1)" = "$(grep -o '"nll": [0-9.]*' .out | head -n 1)"

# Types, names, and --json.
ok convert 'qwen3 ü' -o q8.gguf --type q8_0 --name 'My model' --json
has .out '"architecture": "qwen3moe"' '"tensors": 39' '"file": "q8.gguf"'
expect 'q8_0 is smaller' test "$(stat -c %s q8.gguf)" -lt "$(($(stat -c %s c.gguf) / 2))"
has q8.gguf 'My model'
has c.gguf 'qwen3 ü'
ok inspect q8.gguf

# Of few bits: every value as it is takes more room, and a note says what to give instead.
SEEDED=$SRC/tests/data/seeded
cp -r "$SEEDED/qwen3_moe_awq/hf" awq
cp "$MODELS"/qwen3_moe/hf/tokenizer*.json awq
expect 'the weights' "$BIN/seed_checkpoint" "$SEEDED/qwen3_moe_awq/tensors.tsv" awq/model.safetensors
ok convert awq -o awq.gguf
has .err 'note: weights of .* in few bits become .* of f16, .*--type q8_0 takes about half'
ok convert awq -o awq8.gguf --type q8_0
lacks .err 'few bits'
expect 'q8_0 is smaller' test "$(stat -c %s awq8.gguf)" -lt "$(stat -c %s awq.gguf)"
ok eval awq --calib texts.jsonl -t 1
has .err 'few bits'
sed -i 's/"group_size": 32/"group_size": 128/' awq/config.json
fails 2 "config.json: 'quantization_config.group_size' is 128, but tensor '.*scales' has 1 group" -- convert awq -o x.gguf
sed -i 's/"quant_method": "awq"/"quant_method": "hqq"/' awq/config.json
fails 2 'such weights cannot be converted: .*give the checkpoint that it was made from' -- convert awq -o x.gguf
ok inspect awq

# Scales of FP8 in other blocks than the config says.
cp -r "$SEEDED/mimo2_fp8/hf" fp8
cp -n "$MODELS"/qwen3_moe/hf/tokenizer*.json fp8
sed 's/\(layers.0.mlp.down_proj.weight_scale_inv\tF32\t\)1,1/\11,2/' "$SEEDED/mimo2_fp8/tensors.tsv" >fp8.tsv
expect 'the weights' "$BIN/seed_checkpoint" fp8.tsv fp8/model.safetensors
fails 2 'down_proj.weight_scale_inv. has 2 scales, expected blocks of 128 x 128' -- convert fp8 -o x.gguf

# Refused, in one line, with nothing written.
fails 2 'output is missing' -- convert 'qwen3 ü'
fails 2 "c.gguf' exists" -- convert 'qwen3 ü' -o c.gguf
fails 2 "'q9' is not known" -- convert 'qwen3 ü' -o x.gguf --type q9
fails 2 'nosuch' -- convert nosuch -o x.gguf
fails 2 -- convert ref.gguf -o x.gguf
fails 2 'is a file of the checkpoint' -- convert 'qwen3 ü' -o 'qwen3 ü/config.json' --force
fails 2 'is a file of the checkpoint' -- convert 'qwen3 ü' -o 'qwen3 ü/tokenizer.json' --force
fails 2 'is a file of the checkpoint' -- convert 'qwen3 ü' -o 'qwen3 ü/model-00001-of-00003.safetensors' --force
cp -r 'qwen3 ü' broken
sed -i 's/"norm_topk_prob": true/"norm_topk_prob": false/' broken/config.json
fails 2 'broken' 'norm_topk_prob' 'always makes the weights' -- convert broken -o x.gguf
sed -i 's/Qwen3MoeForCausalLM/BertModel/' broken/config.json
fails 2 "class 'BertModel' cannot be converted; .*reap families" -- convert broken -o x.gguf
sed -i 's/BertModel/PhiMoEForCausalLM/' broken/config.json
fails 2 "class 'PhiMoEForCausalLM' cannot be converted: the engine weights" -- convert broken -o x.gguf
cp 'qwen3 ü/config.json' broken/config.json
rm broken/tokenizer.json
fails 2 'tokenizer' -- convert broken -o x.gguf
fails 2 'broken' -- convert broken -o x.gguf --pretokenizer nosuch
rm broken/model-00002-of-00003.safetensors
fails 2 'model-00002-of-00003' -- convert broken -o x.gguf
ok convert 'qwen3 ü' -o c.gguf --force
# ---- words that llama.cpp splits otherwise than the model's own tokenizer: said once, of the models that it is true of ----
for name in gpt_oss llama4 nemotron_h qwen3_moe; do
    ok convert "$MODELS/$name/hf" -o words.gguf -f
    n=$(grep -c 'otherwise than this model.s own tokenizer' .err)
    expect "$name: $n warnings" test "$n" = "$([[ $name = qwen3_moe ]] && echo 0 || echo 1)"
done
# and of a text that is touched by it
printf '{"text": "plain words"}\n{"text": "नमस्ते दुनिया"}\n{"text": "FRANÇAIS"}\n' >hindi.jsonl
for name in gpt_oss qwen3_moe; do
    ok eval "$MODELS/$name/model.gguf" --calib hindi.jsonl -t 1
    n=$(grep -c "words such as '.*' that the engine splits otherwise than the model's own tokenizer" .err)
    expect "$name: $n warnings of a text" test "$n" = "$([[ $name = gpt_oss ]] && echo 1 || echo 0)"
done
head -1 hindi.jsonl >plain.jsonl
ok eval "$MODELS/gpt_oss/model.gguf" --calib plain.jsonl -t 1
lacks .err 'words such as'
finish
