# Blocks that predict further tokens: cut like the last layer, or left out; in GGUF files and in checkpoint folders.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
G=$MODELS/glm4_moe

logprobs() { # MODEL FILE
    ok eval "$1" --calib "$G/texts.jsonl" --logprobs "$2" -t 1 --flash-attn off --cache-type-k f32 --cache-type-v f32
}

# ---- GGUF
ok prune "$G/model.gguf" --plan "$G/plan.json" -o cut.gguf
ok prune "$G/model.gguf" --plan "$G/plan.json" -o dropped.gguf --mtp drop
ok inspect cut.gguf --json
json .out n_mtp_blocks=1 model/n_layers=4
ok inspect dropped.gguf --json
json .out n_mtp_blocks=0 model/n_layers=3
ok verify "$G/model.gguf" cut.gguf --plan "$G/plan.json"
ok verify "$G/model.gguf" dropped.gguf --plan "$G/plan.json"
ok verify "$G/model.gguf" dropped.gguf
# the engine loads it, and computes the same: the block is not part of a normal run
logprobs cut.gguf cut.jsonl
logprobs dropped.gguf dropped.jsonl
expect 'the same log-probabilities' cmp cut.jsonl dropped.jsonl
# another tool's mistakes: the count lowered and the tensors left, a list too long
E() { "$EDIT" "$@" || say_bad "gguf_edit $*"; }
E dropped.gguf wrong.gguf set glm4moe.block_count u32 2
fails 2 wrong.gguf -- verify "$G/model.gguf" wrong.gguf --plan "$G/plan.json"
E dropped.gguf wrong.gguf set glm4moe.nextn_predict_layers u32 1 set glm4moe.block_count u32 4
rc 3 verify "$G/model.gguf" wrong.gguf --plan "$G/plan.json"
has .out 'is missing'
# nothing to drop
fails 2 'MTP' -- prune "$MODELS/qwen3_moe/model.gguf" --plan "$MODELS/qwen3_moe/plan.json" -o no.gguf --mtp drop --quiet
fails 2 'MTP' -- prune "$MODELS/qwen3_moe/hf" --plan "$MODELS/qwen3_moe/plan.json" -o no --mtp drop --quiet
fails 2 "'keep'" 'one of prune, drop' -- prune "$G/model.gguf" --plan "$G/plan.json" -o no.gguf --mtp keep --quiet

# ---- lists with a value per block
E "$G/model.gguf" lists.gguf set glm4moe.feed_forward_length u32s 1,2,3,4 set glm4moe.other u32s 7,8,9
ok prune lists.gguf --plan "$G/plan.json" -o short.gguf --mtp drop
ok verify lists.gguf short.gguf --plan "$G/plan.json"
E short.gguf wrong.gguf set glm4moe.feed_forward_length u32s 1,2,4
rc 3 verify lists.gguf wrong.gguf --plan "$G/plan.json"
has .out 'glm4moe.feed_forward_length'
E short.gguf wrong.gguf set glm4moe.feed_forward_length u32s 1,2,3,4
rc 3 verify lists.gguf wrong.gguf --plan "$G/plan.json"
E short.gguf wrong.gguf set glm4moe.other u32s 7,8
rc 3 verify lists.gguf wrong.gguf --plan "$G/plan.json"
has .out 'glm4moe.other'

# ---- checkpoint
ok prune "$G/hf" --plan "$G/plan.json" -o dropped --mtp drop
json dropped/config.json num_nextn_predict_layers=0
ok verify "$G/hf" dropped --plan "$G/plan.json"
ok convert dropped -o converted.gguf
ok inspect converted.gguf --json
json .out n_mtp_blocks=0
finish
