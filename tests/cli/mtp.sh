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
fails 2 "'sum'" 'one of prune, drop, keep' -- prune "$G/model.gguf" --plan "$G/plan.json" -o no.gguf --mtp sum --quiet

# ---- kept whole: a file of its own, which is the parent without the blocks of the trunk
trunk=()
for name in $(grep -aoE 'blk\.[0-2]\.[a-z0-9_]+\.(weight|bias)' "$G/model.gguf" | sort -u); do trunk+=(drop "$name"); done
expect 'tensors of the trunk' test ${#trunk[@]} -gt 60
E "$G/model.gguf" wanted.gguf "${trunk[@]}"
mkdir kept
ok prune "$G/model.gguf" --plan "$G/plan.json" -o kept/dropped.gguf --mtp keep --json
json .out 'files/0="kept/dropped.gguf"' 'mtp_file="kept/mtp-dropped.gguf"' "mtp_bytes=$(wc -c <wanted.gguf)" \
    "bytes_out=$(($(wc -c <wanted.gguf) + $(wc -c <dropped.gguf)))"
expect 'the model is that without the blocks' cmp kept/dropped.gguf dropped.gguf
expect 'the blocks are whole' cmp kept/mtp-dropped.gguf wanted.gguf
rm kept/dropped.gguf
fails 2 'mtp-dropped.gguf' 'exists' -- prune "$G/model.gguf" --plan "$G/plan.json" -o kept/dropped.gguf --mtp keep --quiet
expect 'nothing is written without the other' test ! -e kept/dropped.gguf
# what it is, and that it is the parent's; what needs a model refuses it
whole=kept/mtp-dropped.gguf
ok inspect $whole
has .out '^blocks        of 4 the last 1 alone, which predicts further tokens' '^experts       8 per layer, 2 per token' \
    'cannot be pruned: has experts in MTP blocks alone' '--model-draft'
lacks .out 'pruned   experts     size' 'quantised'
ok inspect $whole --json
json .out n_mtp_blocks=1 model/moe_layers=[] model/router_hash=null model/n_experts=8
refuses() {
    fails 2 "$whole" 'MTP blocks alone' 'give the model itself' -- "$@" --quiet
}
refuses prune $whole --plan "$G/plan.json" -o no.gguf
refuses profile $whole --calib "$G/texts.jsonl" -o no.json
refuses verify $whole "$G/model.gguf"
refuses eval $whole --text "$G/texts.jsonl"
ok verify "$G/model.gguf" $whole
n_keys=$(grep -oE '[0-9]+ keys' .out)
has .out "^$whole: the MTP blocks with all their experts, every byte is the parent's: [0-9]+ tensors, [0-9]+ keys; "
ok verify "$G/model.gguf" $whole --plan "$G/plan.json" --json
json .out ok=true plan_found=false tensors_cut=0 n_differences=0
fails 2 'no plan to find' -- verify "$G/model.gguf" $whole --write-plan no.json --quiet
differs() { # WORDS EDIT...
    E $whole wrong.gguf "${@:2}"
    rc 3 verify "$G/model.gguf" wrong.gguf
    has .out "$1"
}
differs "tensor 'blk.3.nextn.eh_proj.weight' is missing" drop blk.3.nextn.eh_proj.weight
differs "tensor 'blk.3.ffn_down_exps.weight' differs at byte 5" flip blk.3.ffn_down_exps.weight 5
differs "tensor 'token_embd.weight' differs at byte 0" flip token_embd.weight 0
differs "tensor 'blk.0.attn_norm.weight' is not in the parent" add blk.0.attn_norm.weight f32 64
differs "key 'general.name' has another type or value" set general.name str other
differs "key 'glm4moe.nextn_predict_layers' has another type or value" set glm4moe.nextn_predict_layers u32 2
differs "key 'glm4moe.more' is not in the parent" set glm4moe.more u32 1
differs "key 'glm4moe.attention.head_count' is missing" del glm4moe.attention.head_count
cat $whole - <<<more >wrong.gguf
rc 3 verify "$G/model.gguf" wrong.gguf
has .out "'wrong.gguf' goes on behind its last tensor"
# a name that the model was given is not this file's
ok prune "$G/model.gguf" --plan "$G/plan.json" -o kept/named.gguf --mtp keep --name Other
expect 'it is called what the parent is' cmp kept/mtp-named.gguf wanted.gguf
ok verify "$G/model.gguf" kept/mtp-named.gguf --name Other
has .err '^note: --name has no say in a file of MTP blocks'
ok prune "$G/model.gguf" --plan "$G/plan.json" -o dry.gguf --mtp keep --dry-run
has .out 'would write mtp-dry.gguf: the MTP blocks with all 8 experts'
expect 'a dry run writes nothing' test ! -e mtp-dry.gguf
"$EDIT" --split 2 "$G/model.gguf" parts || say_bad split
ok prune parts-00001-of-00002.gguf --plan "$G/plan.json" -o less --mtp keep --json
json .out 'files/0="less-00001-of-00002.gguf"' 'mtp_file="mtp-less.gguf"'
expect 'of a split model it is one file' cmp mtp-less.gguf wanted.gguf
# neither file is put in the place of the plan, and the card says what is beside it
cp "$G/plan.json" mtp-over.gguf
fails 2 "the output 'mtp-over.gguf' is the plan itself" -- prune "$G/model.gguf" --plan mtp-over.gguf -o over.gguf --mtp keep -f --quiet
cp "$G/plan.json" over-00001-of-00002.gguf
fails 2 "the output 'over-00001-of-00002.gguf' is the plan itself" -- prune parts-00001-of-00002.gguf --plan over-00001-of-00002.gguf -o over -f --quiet
ok prune "$G/model.gguf" --plan "$G/plan.json" -o kept/card.gguf --mtp keep --card
has kept/README.md 'a file of their own, whose name begins with mtp-\.$'
has .err 'hf upload YOU/[^ ]* kept/mtp-card\.gguf'
ok prune parts-00001-of-00002.gguf --plan "$G/plan.json" -o kept/split --mtp keep
has .err "include='split-\*\.gguf' --include=mtp-split\.gguf"
# the whole job: the model's own size, the file is named, and what cannot be is said before the first step
ok run "$G/model.gguf" --calib "$G/texts.jsonl" --keep 5 -t 1 --mtp keep -o kept/run.gguf
has .out "file size .* $(($(wc -c <kept/run.gguf) / 1000)).*kB\$" '^kept/mtp-run.gguf: the MTP blocks with all 8 experts'
expect 'the blocks are whole' cmp kept/mtp-run.gguf wanted.gguf
ok run "$G/model.gguf" --calib "$G/texts.jsonl" --keep 5 -t 1 --mtp keep -o kept/run.gguf --json
json .out bytes_after="$(wc -c <kept/run.gguf)" 'mtp_file="kept/mtp-run.gguf"' mtp_bytes="$(wc -c <wanted.gguf)"
# an earlier call's, where this one keeps none: it is named, and stays
whole_run=(run "$G/model.gguf" --calib "$G/texts.jsonl" --keep 5 -t 1 -o kept/run.gguf)
cp -p kept/mtp-run.gguf was.gguf
ok "${whole_run[@]}" --mtp drop
has .err '^ +kept/mtp-run.gguf is of an earlier call, and no part of this result$'
expect 'it is as it was' cmp kept/mtp-run.gguf wanted.gguf
fails 2 'kept/mtp-run.gguf' exists -- "${whole_run[@]}" --mtp keep --quiet
rm kept/mtp-run.gguf
ok "${whole_run[@]}" --mtp keep
lacks .err 'earlier call'
echo more >>kept/mtp-run.gguf # it is somebody's own now
ok "${whole_run[@]}"
lacks .err 'earlier call'
rm kept/mtp-run.gguf
ok "${whole_run[@]}" --mtp keep --json
# it is verified as well: a byte of it changes behind the step that wrote it
E kept/mtp-run.gguf flipped.gguf flip blk.3.ffn_down_exps.weight 5
cp -p kept/mtp-run.gguf was.gguf
cat flipped.gguf >kept/mtp-run.gguf
touch -r was.gguf kept/mtp-run.gguf
"$JSON" set kept/run.gguf.work/run.json steps/verify - >record.json && mv record.json kept/run.gguf.work/run.json
rc 3 run "$G/model.gguf" --calib "$G/texts.jsonl" --keep 5 -t 1 --mtp keep -o kept/run.gguf
has .err "kept/mtp-run.gguf differs from its parent: tensor 'blk.3.ffn_down_exps.weight' differs at byte 5"
fails 2 'none to drop or keep' -- run "$MODELS/qwen3_moe/model.gguf" --calib "$G/texts.jsonl" --keep 6 --mtp keep -o kept/no.gguf --quiet
fails 2 "'kept/mtp-no.gguf' is the output, and the folder of work" -- run "$G/model.gguf" --calib "$G/texts.jsonl" --keep 5 --mtp keep -o kept/no.gguf --work kept/mtp-no.gguf --quiet
# one count of experts for all layers, and no file of their own
fails 2 'MTP' 'none to drop or keep' -- prune "$MODELS/qwen3_moe/model.gguf" --plan "$MODELS/qwen3_moe/plan.json" -o no.gguf --mtp keep --quiet
fails 2 "config.json has one count of experts for all layers" -- prune "$G/hf" --plan "$G/plan.json" -o no --mtp keep --quiet
E "$MODELS/qwen3_moe/model.gguf" other.gguf set qwen3moe.nextn_predict_layers u32 1
hand_plan other.gguf 6 plan.json
fails 2 "'qwen3moe' has one count of experts for all blocks" 'no file of their own' -- prune other.gguf --plan plan.json -o no.gguf --mtp keep

# ---- by statistics of its own: the same in one step and in many, resumed, and in shards
profiled() { # OUT OPTIONS...
    ok profile "$G/model.gguf" --calib "$G/texts.jsonl" -t 1 --flash-attn off --cache-type-k f32 --cache-type-v f32 -o "$@"
}
same_block() { # FILE
    equal own.json "$1" mtp_layers/3/count mtp_layers/3/halves/even/count mtp_layers/3/halves/odd/count
}
profiled own.json
json own.json mtp_layers/3/total_tokens=498 mtp_layers/3/n_experts_used=2
profiled steps.json -ub 16
same_block steps.json
profiled one.json --shard 1/2
profiled two.json --shard 2/2
ok stats merge one.json two.json -o sum.json
same_block sum.json
"$JSON" set two.json mtp_layers - >lacks.json
ok stats merge one.json lacks.json -o part.json
has .err 'statistics of other MTP blocks: the sum has none of them'
expect 'the sum has none' bash -c '! grep -q mtp_layers part.json'
profiled matrix.json --imatrix im.gguf
same_block matrix.json
profiled own.json --resume
ok stats own.json
has .out 'MTP block    3'
ok stats own.json --json
json .out mtp_blocks=[3]
ok plan own.json -m "$G/model.gguf" --keep 5 -o own-plan.json
json own-plan.json n_keep=5 "keep_mtp/3=$("$JSON" highest own.json mtp_layers/3/reap 5)"
expect 'another choice than that of the last layer' test "$("$JSON" get own-plan.json keep_mtp/3)" != "$("$JSON" get own-plan.json keep/2)"
for model in model.gguf hf; do
    ok prune "$G/$model" --plan own-plan.json -o "own-$model"
    ok verify "$G/$model" "own-$model" --plan own-plan.json
    ok verify "$G/$model" "own-$model" --write-plan found.json
    equal found.json own-plan.json keep keep_mtp
    rm found.json
    [ "$model" = hf ] || expect 'the file says which' grep -aqE "reap.keep_mtp.{12}\{\"3\":\[[0-7](,[0-7]){4}\]\}" own-model.gguf
    sed 's/"keep_mtp"/"other"/' own-plan.json >last.json
    rc 3 verify "$G/$model" "own-$model" --plan last.json
done
json own-hf/reap.json 'mtp="pruned by statistics of their own"'
fails 2 "$whole" 'give the model itself' -- plan own.json -m $whole --keep 5 -o no.json --quiet
# said of a plan: by what such blocks are pruned
ok plan own.json -m "$G/model.gguf" --keep 5 -o said.json
has .out '^MTP block 3: by statistics of its own$'
ok plan own.json --keep 5 -o said.json -f --json
json .out mtp_blocks=[3]
lacks .out n_mtp_follow
"$JSON" set own.json mtp_layers - >lacks.json
ok plan lacks.json -m "$G/model.gguf" --keep 5 -o said.json -f
has .out '^1 MTP block has the choice of layer 2$'
ok plan lacks.json -m "$G/model.gguf" --keep 5 -o said.json -f --json
json .out n_mtp_follow=1
lacks .out mtp_blocks
# another tool's form has no place for them
ok stats export own.json -o foreign.json
has .err '^note: the statistics of 1 MTP block are not in it'
ok stats export lacks.json -o foreign.json -f
lacks .err 'MTP'
# statistics and a plan of the model serve a copy that lost the block
hand_plan "$G/model.gguf" 8 all.json
ok prune "$G/model.gguf" --plan all.json -o lost.gguf --mtp drop --no-provenance
ok plan own.json -m lost.gguf --keep 5 -o said.json -f
lacks .out MTP
equal said.json own-plan.json keep
expect 'nothing of a block that is not there' bash -c '! grep -q keep_mtp said.json'
ok prune lost.gguf --plan own-plan.json -o lost-cut.gguf
has .err 'note: own-plan.json has a choice for MTP blocks, of which the model has none'
expect 'nor in the file' bash -c '! grep -aq reap.keep_mtp lost-cut.gguf'
ok verify lost.gguf lost-cut.gguf --plan own-plan.json
ok verify "$G/model.gguf" lost-cut.gguf --plan own-plan.json
# a dry run knows what goes, and what is kept
dry() { # HOW SIZE OF TENSORS, AND OF STEP prune
    ok run "$G/model.gguf" --calib "$G/texts.jsonl" --keep 5 -t 1 --mtp "$1" -o dry-run.gguf --dry-run --json
    json .out bytes_after="$2" "steps/2/bytes=$3" 'steps/2/step="prune"'
}
tensor_bytes() { ok inspect "$1" --json; "$JSON" get .out bytes; }
cut=$(tensor_bytes cut.gguf) without=$(tensor_bytes dropped.gguf) alone=$(tensor_bytes wanted.gguf)
dry prune "$cut" "$cut"
dry drop "$without" "$without"
dry keep "$without" $((without + alone))
json .out 'mtp_file="mtp-dry-run.gguf"' "mtp_bytes=$alone"
ok run "$G/model.gguf" --calib "$G/texts.jsonl" --keep 5 -t 1 --mtp keep -o dry-run.gguf --dry-run
has .out '^would write mtp-dry-run.gguf: the MTP blocks with all 8 experts'
# a size is that of the model as it is written: blocks that are left out take nothing of it (another --mtp makes another plan)
E "$G/model.gguf" light.gguf drop blk.3.nextn.embed_tokens.weight drop blk.3.nextn.shared_head_head.weight
fitted() { # HOW SIZE EXPERTS THAT STAY
    ok run light.gguf --stats own.json --fit "$2" --mtp "$1" -o fit.gguf --json --quiet
    json .out n_keep="$3"
    size=$(tensor_bytes fit.gguf)
    expect "--mtp $1: $size bytes of tensors in $2" test "$size" -le "$2"
}
fitted prune 900000 3
fitted drop 900000 7
expect 'to the byte' test "$size" -gt 850000
fitted drop "$size" 7
fitted drop $((size - 1)) 6
fitted keep 900000 7
dry_fit=(run "$G/model.gguf" --calib "$G/texts.jsonl" -t 1 --mtp drop -o dry-run.gguf --dry-run --json --quiet --fit)
ok "${dry_fit[@]}" "$without"
json .out n_keep=5 bytes_after="$without"
fails 2 'nothing would be removed: the model fits into' 'without its MTP blocks' -- "${dry_fit[@]}" "$(tensor_bytes lost.gguf)"
fails 2 '--fit 1.00 kB: even with 2 of 8 experts the model has 635.5 kB' -- "${dry_fit[@]}" 1000
# refused: no such block, an expert that is none, a list that is too short
bad_plan() { # JSON WORDS...
    local json=$1
    shift
    "$JSON" set own-plan.json keep_mtp "$json" >bad.json
    fails 2 bad.json "$@" -- prune "$G/model.gguf" --plan bad.json -o no.gguf --quiet
}
bad_plan '{"4": [0, 1, 2, 3, 4]}' "layer 4 of 'keep_mtp' is no MTP block"
bad_plan '{"2": [0, 1, 2, 3, 4]}' "keep_mtp: '2' is not the number of a layer behind 2"
bad_plan '{"3": [0, 1, 2, 3, 8]}' 'layer 3: expert 8 is out of range'
bad_plan '{"3": [0, 1, 2, 3]}' 'layer 3 keeps 4 experts, but n_keep is 5'
bad_plan '{"3": 5}' 'expected a list'
# as of layers, the order of the keys says nothing
bad_plan '{"10": [0, 1, 2, 3, 4], "3": [0, 1, 2, 3, 4]}' "layer 10 of 'keep_mtp' is no MTP block"
# statistics of a block that the model has not; of another one they are not added up
"$JSON" set own.json mtp_layers/9 "$("$JSON" get own.json mtp_layers/3)" >nine.json
fails 2 'MTP block 9' -- plan nine.json -m "$G/model.gguf" --keep 5 -o no.json --quiet
block=$("$JSON" get own.json mtp_layers/3)
"$JSON" set own.json mtp_layers "{\"10\": $block, \"3\": $block}" >turned.json
ok stats turned.json
"$JSON" set own.json mtp_layers "{\"2\": $block}" >trunk.json
fails 2 "mtp_layers: layer 2 is none behind the last of 'layers', 2" -- stats trunk.json
"$JSON" set own.json mtp_layers/3/halves/even/count/0 1 >wrong.json
fails 2 'mtp_layers' -- plan wrong.json -m "$G/model.gguf" --keep 5 -o no.json --quiet

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
