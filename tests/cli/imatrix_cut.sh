# reap prune IMATRIX: an importance matrix that fits the pruned model. Yardsticks: quantising and cutting may change places, and a plan that keeps
# all gives back the bytes that llama-imatrix wrote.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
M=$MODELS/qwen3_moe/model.gguf
plan=$MODELS/qwen3_moe/plan.json
cp "$SRC/tests/data/imatrix/qwen3_moe.gguf" im.gguf

# ---- a plan that keeps all
all='[0,1,2,3,4,5,6,7]'
echo "{\"schema\": \"reap.plan/1\", \"n_keep\": 8, \"keep\": {\"0\": $all, \"1\": $all, \"2\": $all}}" >all.json
ok prune im.gguf --plan all.json -o same.gguf
expect 'keeping all changes no byte' cmp im.gguf same.gguf

# ---- the same numbers for those that stay: quantise with the matrix, then cut; or cut both, then quantise
mkdir a b
cp im.gguf a/
ok prune im.gguf --plan "$plan" -o b/im.gguf --json
json .out n_experts=8 n_keep=6 tensors_cut=18 dry_run=false
expect 'bytes_out is the size' test "$("$JSON" get .out bytes_out)" -eq "$(stat -c %s b/im.gguf)"
ok prune "$M" --plan "$plan" -o b/m.gguf
for type in iq4_nl q4_0; do
    (cd a && "$REAP" quantize "$M" $type --pure --imatrix im.gguf -o q.gguf -f -q >q.log 2>&1) || say_bad "$type: quantise"
    (cd b && "$REAP" quantize m.gguf $type --pure --imatrix im.gguf -o q.gguf -f -q >q.log 2>&1) || say_bad "$type: quantise"
    ok verify a/q.gguf b/q.gguf --plan "$plan"
done
ok quantize b/m.gguf q4_0 --pure -o plain.gguf
refuse 'and the matrix is used' test "$(cmp -l plain.gguf b/q.gguf 2>/dev/null | wc -l)" -lt 1000
# the matrix of the whole model is told apart
fails 2 'is of 8 experts, and the model has 6' -- quantize b/m.gguf q4_0 --imatrix im.gguf -o no.gguf

# ---- dry, force, what does not go with it
ok prune im.gguf --plan "$plan" -o d.gguf -n
has .out 'would write d.gguf: importance matrix, 8 -> 6 experts'
expect 'nothing is written' test ! -e d.gguf
fails 2 'exists' -- prune im.gguf --plan "$plan" -o same.gguf
fails 2 'matrix itself' -- prune im.gguf --plan "$plan" -o im.gguf --force
fails 2 'importance matrix, with which --merge' -- prune im.gguf --plan "$plan" -o no.gguf --merge
fails 2 'importance matrix, with which --mtp' -- prune im.gguf --plan "$plan" -o no.gguf --mtp drop
fails 2 'importance matrix, with which --name' -- prune im.gguf --plan "$plan" -o no.gguf --name x

# ---- made of the old form: one row for all experts
"$EDIT" im.gguf old.gguf $(for il in 0 1 2; do
    for w in up gate down; do
        n=blk.$il.ffn_${w}_exps.weight
        f=$([ $w = down ] && echo 32 || echo 64)
        echo "dim $n.in_sum2 2 1 dim $n.in_sum2 1 $((f * 8)) dim $n.counts 2 1"
    done
done)
ok inspect "$M" --json
fails 2 'does not say of how many' -- prune old.gguf --plan "$plan" -o no.gguf
sed 's/"n_keep"/"n_experts": 8, "n_keep"/' "$plan" >known.json
ok prune old.gguf --plan known.json -o old-cut.gguf

# ---- plans and matrices that do not fit
echo '{"schema": "reap.plan/1", "n_keep": 1, "keep": {"0": [8], "1": [0], "2": [0]}}' >far.json
fails 2 'keeps expert 8 of layer 0, and there are 8' -- prune im.gguf --plan far.json -o no.gguf
echo '{"schema": "reap.plan/1", "n_keep": 1, "keep": {"1": [0], "2": [0]}}' >few.json
fails 2 'layer 0 has experts in the matrix, and none in the plan' -- prune im.gguf --plan few.json -o no.gguf
echo '{"schema": "reap.plan/1", "n_keep": 1, "keep": {"0": [3], "1": [2]}}' >mtp.json
ok prune im.gguf --plan mtp.json -o mtp.gguf
has .err 'layers behind 1 have its choice'
"$EDIT" im.gguf bad.gguf rename blk.0.ffn_up_exps.weight.in_sum2 blk.0.ffn_up_chexps.weight.in_sum2
fails 2 'bad.gguf' 'chunk experts' -- prune bad.gguf --plan "$plan" -o no.gguf
"$EDIT" im.gguf bad.gguf dim blk.0.ffn_up_exps.weight.counts 2 5
fails 2 'bad.gguf' 'ffn_up_exps.weight.counts. is \[1, 5\], expected 8 experts' -- prune bad.gguf --plan "$plan" -o no.gguf
finish
