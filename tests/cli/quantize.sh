# reap quantize: importance matrices, types of single tensors, what is refused before any work, what comes out otherwise than asked for. That the
# bytes are those of llama-quantize is tried by tests/interop/llama_tools.sh, which needs it.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
M=$MODELS/qwen3_moe/model.gguf
IM=$SRC/tests/data/imatrix
cp "$IM/qwen3_moe.gguf" im.gguf

# ---- the matrix: other bytes, and what llama-quantize writes into the header
ok quantize "$M" q4_0 -o plain.gguf -q
ok quantize "$M" Q4_0 --imatrix im.gguf -o with.gguf -q
refuse 'the matrix changes something' cmp -s plain.gguf with.gguf
expect 'the key of the file' grep -qa 'quantize.imatrix.file.\{12\}im.gguf' with.gguf
expect 'the key of the text' grep -qa 'quantize.imatrix.dataset.\{12\}imatrix.txt' with.gguf
expect 'how many entries' grep -qa quantize.imatrix.entries_count with.gguf
expect 'how many chunks' grep -qa quantize.imatrix.chunks_count with.gguf
refuse 'none without' grep -qa quantize.imatrix plain.gguf
# the old form holds the same numbers, but for a rounding: most bytes are the same
cp "$IM/qwen3_moe.dat" old.dat
ok quantize "$M" Q4_0 --imatrix old.dat -o old.gguf -q
refuse 'the old form is used' cmp -s plain.gguf old.gguf
expect 'and says nearly the same' test "$(cmp -l with.gguf old.gguf | wc -l)" -lt 400
# for some weights alone
ok quantize "$M" q4_0 --imatrix im.gguf --exclude-weights blk. -o none.gguf -q
refuse 'of none' grep -qa quantize.imatrix none.gguf
ok quantize "$M" q4_0 --imatrix im.gguf --include-weights ffn_down_exps -o some.gguf -q
refuse 'of some' cmp -s some.gguf with.gguf
fails 2 'include' 'exclude' -- quantize "$M" q4_0 --imatrix im.gguf --include-weights a --exclude-weights b -o no.gguf
fails 2 'imatrix, which is not given' -- quantize "$M" q4_0 --include-weights a -o no.gguf

# ---- experts that were never hit
"$EDIT" im.gguf never.gguf f32 blk.1.ffn_up_exps.weight.counts 3 0 f32 blk.1.ffn_up_exps.weight.counts 5 0 \
    f32 blk.2.ffn_down_exps.weight.counts 0 0
ok quantize "$M" q4_0 --imatrix never.gguf -o n.gguf --json
json .out never_hit=3 n_fallbacks=1
has .err '3 of 24 experts were never hit \(2 of layer 1, 1 of layer 2\)'

# ---- types of single tensors
ok quantize "$M" q4_0 --tensor-type 'ffn_(up|gate)_exps=q8_0' --tensor-type ffn_down_exps=Q5_1 --tensor-type exps=f16 -o t.gguf
ok inspect t.gguf --json
json .out expert_types/q8_0 expert_types/q5_1
refuse 'the first that matches counts' "$JSON" check .out expert_types/f16
printf 'ffn_(up|gate)_exps=q8_0\n ffn_down_exps=q5_1 exps=f16' >types.txt
ok quantize "$M" q4_0 --tensor-type-file types.txt -o t2.gguf
expect 'the same from a file' cmp -s t.gguf t2.gguf
ok quantize "$M" q4_0 --output-tensor-type q5_0 --token-embedding-type q8_0 -o o.gguf
ok quantize "$M" q4_0 --leave-output-tensor -o l.gguf
refuse 'the output matrix' cmp -s o.gguf l.gguf
fails 2 'PATTERN=TYPE' -- quantize "$M" q4_0 --tensor-type exps -o no.gguf
fails 2 "'q9' is no type of tensors" -- quantize "$M" q4_0 --tensor-type exps=q9 -o no.gguf
fails 2 "'i32' is no type of tensors" -- quantize "$M" q4_0 --tensor-type exps=i32 -o no.gguf
echo exps >bad-types.txt
fails 2 'bad-types.txt' 'PATTERN=TYPE' -- quantize "$M" q4_0 --tensor-type-file bad-types.txt -o no.gguf
fails 2 'arenthes|egular|match' -- quantize "$M" q4_0 --tensor-type '(exps=q8_0' -o no.gguf
fails 2 'output-tensor-type' 'q9' -- quantize "$M" q4_0 --output-tensor-type q9 -o no.gguf

# ---- rows that fill no blocks, said in one line
ok quantize "$M" Q4_K -o k.gguf --json
expect 'tensors fall back' test "$("$JSON" get .out n_fallbacks)" -gt 10
has .err 'Q4_K_M: .* get another type' 'q5_0 instead of q4_K' 'q8_0 instead of q6_K'
ok quantize "$M" q8_0 -o k8.gguf
lacks .err 'another type'

# ---- what a type needs, before any work, with the command that makes it
fails 2 'IQ2_XS needs an importance matrix' 'reap profile .*--imatrix' -- quantize "$TINY" iq2_xs --allow-requantize -o no.gguf
fails 2 'Q2_K_S needs an importance matrix' -- quantize "$TINY" q2_k_s --allow-requantize -o no.gguf
fails 2 'needs an importance matrix' -- quantize "$TINY" q4_0 --tensor-type attn=iq2_xxs --allow-requantize -o no.gguf
# what is quantised already
fails 2 'are quantised already \(q8_0\)' 'allow-requantize' -- quantize "$TINY" q4_0 -o no.gguf
fails 2 'are quantised already \(mxfp4\)' 'allow-requantize' 'MXFP4 experts are better left alone' 'tensor-type exps=mxfp4' -- \
    quantize "$MODELS/gpt_oss_mxfp4/model.gguf" q4_0 -o no.gguf
ok quantize "$MODELS/gpt_oss_mxfp4/model.gguf" q4_0 --allow-requantize --tensor-type exps=mxfp4 -o oss.gguf
ok inspect oss.gguf --json
json .out expert_types/mxfp4
refuse 'experts are left alone' "$JSON" check .out expert_types/q4_0

# ---- dry
ok quantize "$M" q4_0 --dry-run --json
json .out file=null
expect 'the size' test "$("$JSON" get .out bytes_out)" -gt 100000
ok quantize "$M" q4_0 -n
has .out 'would write'

# ---- matrices that are none, or another model's
ok prune "$M" --plan "$MODELS/qwen3_moe/plan.json" -o pruned.gguf -q
fails 2 'is of 8 experts, and the model has [0-9]' 'reap prune .*--plan' -- quantize pruned.gguf q4_0 --imatrix im.gguf -o no.gguf
fails 2 "another model's" -- quantize "$TINY" q4_0 --allow-requantize --imatrix im.gguf -o no.gguf
fails 2 'does not exist|No such file' -- quantize "$M" q4_0 --imatrix there-is-none -o no.gguf
fails 2 'no importance matrix' -- quantize "$M" q4_0 --imatrix "$M" -o no.gguf
fails 2 'no importance matrix' -- quantize "$M" q4_0 --imatrix types.txt -o no.gguf
fails 2 'importance matrix itself' -- quantize "$M" q4_0 --imatrix im.gguf -o im.gguf --force
edit() { # WORDS... -- EDIT...: refused with the words
    local words=()
    while [[ $1 != -- ]]; do words+=("$1") && shift; done
    shift
    "$EDIT" im.gguf bad.gguf "$@"
    fails 2 bad.gguf "${words[@]}" -- quantize "$M" q4_0 --imatrix bad.gguf -o no.gguf
}
edit 'general.type' -- set general.type str model
edit 'chunk_size' -- del imatrix.chunk_size
edit 'datasets' -- del imatrix.datasets
edit 'counts. is missing' -- drop blk.0.attn_k.weight.counts
edit 'in_sum2. is missing' -- drop blk.0.attn_k.weight.in_sum2
edit 'is nan' -- f32 blk.0.attn_k.weight.in_sum2 1 nan
edit 'is -1' -- f32 blk.0.ffn_up_exps.weight.counts 1 -1
edit 'expected f32' -- type blk.0.attn_k.weight.in_sum2 f16
edit 'expected \[1, 8\]' -- dim blk.0.ffn_up_exps.weight.counts 2 4
head -c 3000 "$IM/qwen3_moe.dat" >cut.dat
fails 2 cut.dat 'ends at|are left' -- quantize "$M" q4_0 --imatrix cut.dat -o no.gguf
finish
