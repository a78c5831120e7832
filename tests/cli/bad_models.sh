# Files that are no model, half of one, or one that must not be pruned: one line that says what is wrong, and nothing is written.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
Q=$MODELS/qwen3_moe/model.gguf
hand_plan "$Q" 6 plan.json
texts=$MODELS/qwen3_moe/texts.jsonl
E() { "$EDIT" "$@" || say_bad "gguf_edit $*"; }

# each command that takes a model refuses it alike
everywhere() { # FILE WORDS...
    local f=$1
    shift
    fails 2 "$f" "$@" -- inspect "$f"
    fails 2 "$f" "$@" -- prune "$f" --plan plan.json -o out.gguf
    fails 2 "$f" "$@" -- profile "$f" --calib "$texts" -t 1 -o out.json
    fails 2 "$f" "$@" -- verify "$f" "$Q"
    fails 2 "$f" "$@" -- verify "$Q" "$f"
    fails 2 "$f" "$@" -- eval "$f" --calib "$texts" -t 1 -o out.json
    fails 2 "$f" "$@" -- run "$f" --calib "$texts" -t 1 -o out.gguf
}
# only what reads the header
reads() {
    local f=$1
    shift
    fails 2 "$f" "$@" -- inspect "$f"
    fails 2 "$f" "$@" -- prune "$f" --plan plan.json -o out.gguf
}

# ---- not a GGUF file
everywhere missing.gguf 'No such file'
mkdir folder.gguf
everywhere folder.gguf 'config.json is missing, expected a folder with config.json and safetensors files'
: >empty.gguf
everywhere empty.gguf
echo "once upon a time" >text.gguf
reads text.gguf 'not a GGUF file' "expected 'GGUF'"
printf 'GGUF' >magic.gguf
reads magic.gguf 'ends inside the header'
printf 'gguf\3\0\0\0' >lower.gguf
reads lower.gguf 'not a GGUF file'
head -c 8 "$Q" | tr G '\033' >escape.gguf
reads escape.gguf 'not a GGUF file'
lacks .err $'\x1b'
mkfifo pipe.gguf
fails 2 pipe.gguf 'not a regular file' -- inspect pipe.gguf
fails 2 '/dev/null' 'not a regular file' -- inspect /dev/null
ln -s missing.gguf dangling.gguf
fails 2 dangling.gguf 'No such file' -- inspect dangling.gguf
ln -s loop.gguf loop.gguf
fails 2 loop.gguf 'symbolic links' -- inspect loop.gguf
fails 2 'Not a directory|not a folder' -- inspect "$Q/model.gguf"
fails 2 -- inspect ''

# ---- versions and byte order
patch() { # FILE OFFSET BYTES
    cp "$Q" "$1"
    printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
patch v1.gguf 4 '\1\0\0\0'
reads v1.gguf 'version 1' 'expected 2 or 3'
patch v4.gguf 4 '\4\0\0\0'
reads v4.gguf 'version 4' 'expected 2 or 3'
patch v0.gguf 4 '\0\0\0\0'
reads v0.gguf 'version 0'
patch be.gguf 4 '\0\0\0\3'
reads be.gguf 'big-endian'
patch tensors.gguf 8 '\377\377\377\377\377\377\377\177'
reads tensors.gguf 'number of tensors' 'room for'
patch keys.gguf 16 '\377\377\377\377\377\377\377\177'
reads keys.gguf 'number of keys' 'room for'
E "$Q" v2.gguf version 2
ok inspect v2.gguf

# ---- cut short, anywhere
size=$(stat -c %s "$Q")
for n in 5 12 23 24 25 40 100 1000 5000; do
    head -c $n "$Q" >cut.gguf
    reads cut.gguf 'ends inside the header|has room for'
done
for n in $((size / 2)) $((size - 4096)) $((size - 33)); do
    head -c $n "$Q" >cut.gguf
    reads cut.gguf 'truncated' "bytes are missing" "it has $n" 'first tensor that is cut'
done

# ---- counts that disagree with the tensors
E "$Q" count.gguf set qwen3moe.expert_count u32 16
everywhere count.gguf "tensor 'blk\.0\.ffn_[a-z_]+\.weight'" 'dimension [23] is 8' '16 experts'
E "$Q" count.gguf set qwen3moe.expert_count u32 4
reads count.gguf 'is 8' '4 experts'
E "$Q" count.gguf set qwen3moe.expert_count u32 4294967295
reads count.gguf expert_count 4294967295 'at most'
E "$Q" count.gguf set qwen3moe.expert_count str eight
reads count.gguf expert_count 'type str' 'integer'
E "$Q" count.gguf set qwen3moe.expert_count u32s 8,8,8
reads count.gguf expert_count 'arr' 'one unsigned integer'
E "$Q" count.gguf set qwen3moe.expert_count i32 -8
reads count.gguf expert_count
E "$Q" layer.gguf dim blk.1.ffn_up_exps.weight 3 7
reads layer.gguf "'blk.1.ffn_up_exps.weight'" 'dimension 3 is 7' '8 experts'
E "$Q" router.gguf dim blk.2.ffn_gate_inp.weight 2 9
reads router.gguf "'blk.2.ffn_gate_inp.weight'" 'dimension 2 is 9' '8 experts'
E "$Q" four.gguf dim blk.1.ffn_up_exps.weight 4 2
reads four.gguf "'blk.1.ffn_up_exps.weight'" 'dimension 4 is 2' 'expected 1'
E "$MODELS/glm4_moe/model.gguf" bias.gguf dim blk.1.exp_probs_b.bias 1 7
reads bias.gguf "'blk.1.exp_probs_b.bias'" 'is 7' '8 experts'
E "$MODELS/gpt_oss/model.gguf" bias.gguf dim blk.1.ffn_up_exps.bias 2 11
reads bias.gguf "'blk.1.ffn_up_exps.bias'" 'is 11' '12 experts'
for k in 9 4000000000; do
    E "$Q" topk.gguf set qwen3moe.expert_used_count u32 $k
    everywhere topk.gguf expert_used_count "$k" '1 to 8'
done
E "$Q" topk.gguf set qwen3moe.expert_used_count u32 0
reads topk.gguf expert_used_count '1 to 8'
E "$Q" topk.gguf set qwen3moe.expert_used_count u32s 2,2
reads topk.gguf expert_used_count 'block 2'
E "$Q" topk.gguf del qwen3moe.expert_used_count
reads topk.gguf expert_used_count 'missing'
E "$Q" blocks.gguf del qwen3moe.block_count
reads blocks.gguf block_count 'missing'
E "$Q" blocks.gguf set qwen3moe.block_count u32 2
reads blocks.gguf "'blk.2\." '2 blocks'
E "$Q" blocks.gguf set qwen3moe.block_count u32 0
reads blocks.gguf block_count
E "$Q" blocks.gguf set qwen3moe.block_count u32 100000
reads blocks.gguf block_count 100000

# ---- groups
D=$MODELS/deepseek_v3/model.gguf
E "$D" g.gguf set deepseek2.expert_group_count u32 5
everywhere g.gguf expert_group_count '5' '12 experts'
E "$D" g.gguf set deepseek2.expert_group_count u32 12
reads g.gguf expert_group_count '12'
E "$D" g.gguf set deepseek2.expert_group_used_count u32 4
reads g.gguf expert_group_used_count '4' '1 to 3'
E "$D" g.gguf set deepseek2.expert_group_used_count u32 0
reads g.gguf expert_group_used_count
E "$D" g.gguf set deepseek2.expert_group_used_count u32 1
reads g.gguf 'groups hold 3 experts' '4'
E "$D" g.gguf del deepseek2.expert_group_used_count
reads g.gguf expert_group_used_count 'expected 1 to 3'

# ---- tensors that are missing, unknown, or there twice
E "$Q" t.gguf drop blk.1.ffn_gate_inp.weight
reads t.gguf 'block 1' "'ffn_gate_inp.weight'"
E "$Q" t.gguf drop blk.1.ffn_down_exps.weight
reads t.gguf 'block 1' "'ffn_down_exps.weight'"
E "$Q" t.gguf drop blk.1.ffn_up_exps.weight
reads t.gguf 'block 1' "'ffn_up_exps.weight'"
E "$Q" t.gguf drop blk.1.ffn_gate_exps.weight      # Nemotron has none; but then no layer of it has
reads t.gguf "ffn_gate_exps.weight"
E "$Q" t.gguf add blk.1.ffn_side_exps.weight f32 64,32,8
everywhere t.gguf "'blk.1.ffn_side_exps.weight'" 'not known'
E "$Q" t.gguf rename blk.0.ffn_up_exps.weight blk.0.ffn_up_exps.weights
reads t.gguf "'blk.0.ffn_up_exps.weights'" 'not known'
E "$Q" t.gguf add blk.0.attn_q.weight f32 64
reads t.gguf "'blk.0.attn_q.weight' is there twice"
E "$Q" t.gguf add blk.7.attn_q.weight f32 64
reads t.gguf "'blk.7.attn_q.weight'" 'block 7' '3 blocks'
E "$Q" t.gguf add 'blk.0.\x1b[31mexps' f32 64
reads t.gguf 'not known'
lacks .err $'\x1b'
E "$Q" t.gguf align 3
reads t.gguf general.alignment 'power of two'

# ---- architectures
E "$Q" a.gguf set general.architecture str llama set llama.block_count u32 3
everywhere a.gguf 'dense' "llama.expert_count"
E "$Q" a.gguf set general.architecture str nosucharch
everywhere a.gguf 'dense' 'nosucharch'
E "$Q" a.gguf set general.architecture str qwen9moe set qwen9moe.expert_count u32 8
everywhere a.gguf "'qwen9moe' is not supported" 'nearest' "'qwen[0-9]moe'"
E "$Q" a.gguf set general.architecture str ''
reads a.gguf
E "$Q" a.gguf set general.architecture str $'x\x1b[2Jy'
reads a.gguf
lacks .err $'\x1b'
E "$Q" a.gguf set general.architecture u32 3
reads a.gguf general.architecture 'not a string'
E "$Q" a.gguf del general.architecture
reads a.gguf general.architecture 'missing'
E "$Q" a.gguf set general.architecture str "$(head -c 300 /dev/zero | tr '\0' q)"
reads a.gguf

# ---- can be read, but not pruned: inspect says so, the others refuse
refused() { # FILE WORDS...
    local f=$1
    shift
    ok inspect "$f"
    has .out 'cannot be pruned' "$@"
    ok inspect "$f" --json
    refuse "$f: refused is null" "$JSON" check .out refused=null
    n=$("$JSON" get .out model/n_experts)
    fails 2 "$f" 'cannot be pruned' "$@" -- profile "$f" --calib "$texts" -t 1 -o out.json
    fails 2 "$f" 'cannot be pruned' "$@" -- run "$f" --calib "$texts" -t 1 -o out.gguf
    hand_plan "$f" $((n - 1)) refused.json
    fails 2 "$f" 'cannot be pruned' "$@" -- prune "$f" --plan refused.json -o out.gguf
    fails 2 "$f" 'cannot be pruned' "$@" -- prune "$f" --plan refused.json -o out.gguf --force --dry-run
    rm -f refused.json
}
L=$MODELS/llama4/model.gguf
maverick=(set llama4.expert_count u32 128)
for il in 1 3; do
    maverick+=(dim blk.$il.ffn_gate_inp.weight 2 128)
    for t in up gate down; do maverick+=(dim blk.$il.ffn_${t}_exps.weight 3 128); done
done
E "$L" maverick.gguf "${maverick[@]}"
refused maverick.gguf 'QK norm'
E "$Q" table.gguf add blk.0.ffn_gate_tid2eid.weight f32 2,640
everywhere table.gguf 'blk.0.ffn_gate_tid2eid.weight' 'expected a table of expert ids'
E "$Q" table.gguf add blk.0.ffn_gate_tid2eid.weight i32 9,640
everywhere table.gguf 'blk.0.ffn_gate_tid2eid.weight' '9 ids in a row, expected 1 to 8'
grove=(set general.architecture str grovemoe)
for k in block_count:u32:3 expert_count:u32:8 expert_used_count:u32:2; do
    IFS=: read -r key kind v <<<"$k"
    grove+=(set grovemoe.$key $kind $v)
done
E "$Q" grove.gguf "${grove[@]}"
refused grove.gguf 'chunk experts'
E "$Q" chunk.gguf add blk.0.ffn_up_chexps.weight f32 64,16,4
refused chunk.gguf 'blk.0.ffn_up_chexps.weight' 'chunk experts'

# ---- the engine would die over these, so they never reach it
three=(set llama4.block_count u32 3)
each_of 'tensors in block 3' $("$REAP" inspect "$L" --tensors | awk '$1 ~ /^blk\.3\./ { print $1 }')
for t in "${each[@]}"; do three+=(drop "$t"); done
E "$L" l3.gguf "${three[@]}"
everywhere l3.gguf 'llama4.block_count' 'is 3' 'at least 4'

# ---- the same: what only running a model asks (docs/formats.md, what the engine takes for granted). It can be read all the same.
runs_not() { # FILE WORDS...
    local f=$1
    shift
    ok inspect "$f"
    fails 2 "$f" "$@" -- profile "$f" --calib "$texts" -t 1 -o out.json
}
runs_not_at_all() { # FILE WORDS...: whatever hands it to the engine
    local f=$1
    shift
    runs_not "$f" "$@"
    fails 2 "$f" "$@" -- eval "$f" --calib "$texts" -t 1 -o out.json
    fails 2 "$f" "$@" -- quantize "$f" Q8_0 -o out.gguf
    rc 2 run "$f" --calib "$texts" -t 1 -o out.gguf
    has .err "$@"
    rm -rf out.gguf.work # what a run leaves that was not done, to go on with
}
each_of 'types without a dot product' q8_1 i8 i16 i32 i64 f64
for type in "${each[@]}"; do
    for t in blk.0.attn_q.weight blk.1.ffn_up_exps.weight token_embd.weight; do
        E "$Q" x.gguf type $t $type
        runs_not x.gguf "'$t' is of type $type" 'multiply'
    done
    E "$Q" x.gguf type blk.2.ffn_gate_inp.weight $type
    rc 2 profile x.gguf --calib "$texts" -t 1 -o out.json # with a warning, that such a router names no model
    has .err "^reap: x.gguf: tensor 'blk.2.ffn_gate_inp.weight' is of type $type"
done
E "$Q" x.gguf type output_norm.weight f16
runs_not x.gguf "'output_norm.weight' is of type f16" 'expected f32'
E "$Q" x.gguf type blk.1.attn_norm.weight q8_0
runs_not x.gguf "'blk.1.attn_norm.weight' is of type q8_0" 'expected f32'
E "$MODELS/gpt_oss/model.gguf" x.gguf type blk.1.ffn_up_exps.bias f16
runs_not x.gguf "'blk.1.ffn_up_exps.bias' is of type f16" 'expected f32'
E "$MODELS/nemotron_h/model.gguf" x.gguf type blk.0.ssm_conv1d.weight f16
runs_not x.gguf "'blk.0.ssm_conv1d.weight' is of type f16" 'expected f32'
E "$MODELS/deepseek_v3/model.gguf" x.gguf type blk.2.exp_probs_b.bias bf16
runs_not x.gguf "'blk.2.exp_probs_b.bias' is of type bf16" 'expected f32'
E "$MODELS/nemotron_h/model.gguf" x.gguf drop blk.0.ssm_conv1d.bias
runs_not x.gguf "'blk.0.ssm_conv1d.bias' is missing" ssm_d
E "$Q" x.gguf dim blk.0.attn_q.weight 2 0
runs_not x.gguf "'blk.0.attn_q.weight': dimension 2 is 0"

E "$MODELS/nemotron_h/model.gguf" x.gguf add blk.0.ple_norm_key.weight q8_0 64,2
runs_not x.gguf "'blk.0.ple_norm_key.weight' is of type q8_0" 'expected f32'
# no vectors, though they begin like some: ours let them pass, the engine finds that this family has none
for t in ssm_alpha ssm_dt; do
    E "$MODELS/nemotron_h/model.gguf" x.gguf add blk.0.$t.weight q8_0 64,2
    fails 1 'wrong number of tensors' -- profile x.gguf --calib "$texts" -t 1 -o out.json
done

bad_key() { # MODEL KEY KIND VALUE WORDS...
    local m=$1 key=$2
    E "$MODELS/$m/model.gguf" x.gguf set "$key" "$3" "$4"
    shift 4
    runs_not x.gguf "${key%%.*}" "$@"
}
for x in nan inf -1; do
    bad_key qwen3_moe qwen3moe.attention.layer_norm_rms_epsilon f32 $x "is $x" 'not negative'
done
bad_key qwen3_moe qwen3moe.rope.freq_base f32 nan 'is nan' 'finite'
for x in 0 -10000; do
    bad_key qwen3_moe qwen3moe.rope.freq_base f32 $x "is $x, expected a number above 0"
    bad_key gpt_oss gpt-oss.rope.freq_base_swa f32 $x "is $x, expected a number above 0"
done
bad_key glm4_moe glm4moe.rope.dimension_count u32 0 '0 of 16' 'even'
runs_not_at_all x.gguf 'rope.dimension_count' '0 of 16'
bad_key glm4_moe glm4moe.rope.dimension_count u32 7 '7 of 16' 'even'
bad_key glm4_moe glm4moe.rope.dimension_count u32 18 '18 of 16'
bad_key qwen3_moe qwen3moe.rope.dimension_count u32 8 'is 8' 'the size of a head'
bad_key deepseek_v3 deepseek2.rope.dimension_count u32 4294967294 'even'
bad_key gpt_oss gpt-oss.attention.value_length u32 2 'values of 2' 'one size'
bad_key gpt_oss gpt-oss.attention.sliding_window u32 2147483647 'is 2147483647' 'expected 0 to'
bad_key gpt_oss gpt-oss.attention.sliding_window_pattern u32 1 'no block a window'
bad_key qwen3_moe qwen3moe.attention.head_count_kv u32 3 'is 3 in block 0' 'divide'
bad_key qwen3_moe qwen3moe.rope.scaling.type str odd "is 'odd'" 'yarn'
bad_key deepseek_v3 deepseek2.attention.temperature_scale f32 0.5 'temperature_length'
E "$MODELS/mixtral/model.gguf" x.gguf set tokenizer.ggml.model str bert
runs_not x.gguf 'tokenizer.ggml.token_type' 'stands for a byte' bert
E "$Q" x.gguf set tokenizer.ggml.model str test item tokenizer.ggml.tokens 7 twice item tokenizer.ggml.tokens 9 twice
runs_not x.gguf "'twice' is there twice, as token 7 and 9"
dbrx=(set general.architecture str dbrx set dbrx.embedding_length u32 64 set dbrx.attention.key_length u32 16 set dbrx.attention.value_length u32 16)
for k in block_count:3 expert_count:8 expert_used_count:2 attention.head_count:8 attention.head_count_kv:2; do
    dbrx+=(set dbrx.${k%:*} u32 ${k#*:})
done
E "$Q" x.gguf "${dbrx[@]}"
runs_not x.gguf "'dbrx.attention.head_count': 8 heads of 16" '64 together'
ocr=(set general.architecture str deepseek2-ocr set deepseek2-ocr.embedding_length u32 64 set deepseek2-ocr.rope.dimension_count u32 0)
for k in block_count:3 expert_count:8 expert_used_count:2 attention.head_count:4 attention.head_count_kv:4; do
    ocr+=(set deepseek2-ocr.${k%:*} u32 ${k#*:})
done
E "$Q" x.gguf "${ocr[@]}" set deepseek2-ocr.rope.freq_base f32 500000
runs_not x.gguf "'deepseek2-ocr.rope.freq_base' is 500000, expected 10000"
E "$Q" x.gguf "${ocr[@]}" set deepseek2-ocr.attention.head_count_kv u32 2
runs_not x.gguf "'deepseek2-ocr.attention.head_count_kv' is 2, expected 4"
dots=(set general.architecture str dots1)
for k in block_count:u32:3 expert_count:u32:8 expert_used_count:u32:2; do
    IFS=: read -r key kind v <<<"$k"
    dots+=(set dots1.$key $kind $v)
done
E "$Q" x.gguf "${dots[@]}"
runs_not x.gguf "'dots1.expert_gating_func' is missing" 'expected 1 to 4'
E "$Q" x.gguf "${dots[@]}" set dots1.expert_gating_func u32 0
runs_not x.gguf "'dots1.expert_gating_func' is 0" 'expected 1 to 4'
dsa=(set general.architecture str glm-dsa)
for k in block_count:3 expert_count:8 expert_used_count:2 embedding_length:64 attention.{head_count:4,head_count_kv:4,key_length:16,value_length:16} \
    rope.dimension_count:8 attention.indexer.{head_count:4,top_k:8,key_length:96}; do
    dsa+=(set glm-dsa.${k%:*} u32 ${k#*:})
done
E "$Q" x.gguf "${dsa[@]}"
runs_not x.gguf "'glm-dsa.attention.indexer.key_length' is 96" 'power of two'
k3=(set general.architecture str kimi-k3)
for k in block_count:3 expert_count:8 expert_used_count:2 expert_gating_func:2 embedding_length:64 attn_res.block_size:0; do
    k3+=(set kimi-k3.${k%:*} u32 ${k#*:})
done
E "$Q" x.gguf "${k3[@]}"
runs_not x.gguf "'kimi-k3.attn_res.block_size' is 0" 'expected 1'
each_of 'bounds that are none' 0 0.5 inf nan
for bound in "${each[@]}"; do
    E "$Q" x.gguf set qwen3moe.kda.gate_lower_bound f32 "$bound"
    runs_not x.gguf "'qwen3moe.kda.gate_lower_bound' is $bound, expected a number below 0"
done
# what the engine saves has all keys, 0 where a model has no such thing
saved=(set qwen3moe.kda.gate_lower_bound f32 -inf)
each_of 'keys of other families' attention.temperature_length attention.indexer.{head_count,key_length,top_k,block_size} \
    expert_gating_func attn_res.block_size hyper_connection.count shortconv.l_cache kda.head_dim \
    ssm.{conv_kernel,inner_size,state_size,time_step_rank,group_count}
for key in "${each[@]}"; do saved+=(set qwen3moe.$key u32 0); done
E "$Q" x.gguf "${saved[@]}"
ok profile x.gguf --calib "$texts" -t 1 -o saved.json
bad_key glm4_moe glm4moe.expert_gating_func u32 7 'is 7' 'expected 0 to 4'
bad_key ernie4_5_moe ernie4_5-moe.interleave_moe_layer_step u32 0 'is 0' 'expected 1'
bad_key qwen3_moe qwen3moe.vocab_size u32 4294967295 'is 4294967295'
bad_key deepseek_v2 deepseek2.attention.head_count_kv u32 2 'is 2' 'expected 1'
bad_key deepseek_v2 deepseek2.attention.key_length u32 7 'is 7' 'kv_lora_rank'
bad_key nemotron_h nemotron_h_moe.ssm.group_count u32 3 '3 groups'
bad_key nemotron_h nemotron_h_moe.ssm.time_step_rank u32 0 'is 0'
bad_key qwen3_moe qwen3moe.rope.dimension_sections i32s 1,-1,0,0 'number 2'
E "$Q" x.gguf align 16
fails 2 "'general.alignment'" 'multiple of 32' '--no-mmap' -- eval x.gguf --calib "$texts" -t 1 --load-mode mmap
for how in '' --no-mmap '--load-mode mlock'; do # read into memory it is as good as any other
    ok eval "$Q" --calib "$texts" -t 1 $how
    cp .out want.txt
    ok eval x.gguf --calib "$texts" -t 1 $how
    expect "alignment 16 $how: the same perplexity" cmp .out want.txt
done

bad_vocab() { # EDIT... -- WORDS...
    local edits=()
    while [ "$1" != -- ]; do edits+=("$1"); shift; done
    shift
    E "$Q" x.gguf "${edits[@]}"
    runs_not x.gguf "$@"
}
bad_vocab item tokenizer.ggml.tokens 300 twice item tokenizer.ggml.tokens 305 twice -- tokenizer.ggml.tokens "'twice' is there twice, as token 300 and 305"
bad_vocab item tokenizer.ggml.tokens 300 '' item tokenizer.ggml.tokens 305 '[EMPTY_300]' -- tokenizer.ggml.tokens "'.EMPTY_300.' is there twice"
bad_vocab set tokenizer.ggml.model str gemma4 -- tokenizer.ggml.bos_token_id
bad_vocab set tokenizer.ggml.pre str glm4 set tokenizer.ggml.add_bos_token bool 1 -- tokenizer.ggml.bos_token_id
bad_vocab set tokenizer.ggml.model str rwkv -- tokenizer.ggml.model "is 'rwkv'" 'does not come back'
bad_vocab set general.name str 'My Phi-3 merge' -- general.name "wants the token '</s>'"

# ---- the old form, one tensor per expert
old=()
for il in 0 1 2; do
    for t in up gate down; do
        old+=(drop blk.$il.ffn_${t}_exps.weight)
        for ((j = 0; j < 8; j++)); do old+=(add blk.$il.ffn_$t.$j.weight f32 64,32); done
    done
done
E "$MODELS/mixtral/model.gguf" old.gguf "${old[@]}"
everywhere old.gguf "'blk.0.ffn_[a-z]+.0.weight'" 'one tensor per expert' 'convert'

# ---- weights that are not numbers: a profile of them would rank NaN
E "$Q" nan.gguf f32 blk.1.ffn_gate_inp.weight 70 nan
fails 1 'layer 1' 'not finite' -- profile nan.gguf --calib "$texts" -t 1 -o out.json
E "$Q" inf.gguf f32 blk.1.ffn_down_exps.weight 70 inf
rc 1 profile inf.gguf --calib "$texts" -t 1 -o out.json
one_line 'layer' 'not finite'
rm -f out.json
# a shape that the engine does not expect is the engine's error, told in one line
E "$Q" shape.gguf dim blk.0.attn_q.weight 2 32
fails 1 shape.gguf 'blk.0.attn_q.weight' -- profile shape.gguf --calib "$texts" -t 1 -o out.json
E "$Q" notok.gguf del tokenizer.ggml.tokens
fails 1 notok.gguf vocab -- profile notok.gguf --calib "$texts" -t 1 -o out.json
absent out.json out.gguf out.gguf.work
no_parts
finish
