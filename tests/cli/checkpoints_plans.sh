# Checkpoints: plans that are made one after the other, and plans from statistics of the GGUF file of the same model.
. "$(dirname "$0")/lib.bash"
. "$SRC/tests/cli/checkpoint.bash"
M=$FORMS/mixtral
plan=$M/pruned/plan.json

# ---- pruned again: 8 to 6 to 4 is 8 to 4
for form in mixtral qwen3moe-fused deepseek-v3-fp8; do
    f=$FORMS/$form
    rm -rf once twice direct
    ok prune "$f" --plan "$f/pruned/plan.json" -o once
    composed='' k=$("$JSON" get "$f/pruned/plan.json" n_keep)
    # the second plan drops the first of the kept ones in each group of two halves: equal numbers stay in groups
    second=$(seq -s, 1 $((k / 2 - 1))),$(seq -s, $((k / 2 + 1)) $((k - 1)))
    keep=''
    each_of "layers in $form" $(layers_of once)
    for il in "${each[@]}"; do
        keep+="${keep:+,}\"$il\":[$second]"
        ids=''
        for i in ${second//,/ }; do
            ids+="${ids:+,}$("$JSON" get "$f/pruned/plan.json" "keep/$il/$i")"
        done
        composed+="${composed:+,}\"$il\":[$ids]"
    done
    count=$((k - 2))
    printf '{"schema":"reap.plan/1","n_keep":%d,"keep":{%s}}' $count "$keep" >second.json
    printf '{"schema":"reap.plan/1","n_keep":%d,"keep":{%s}}' $count "$composed" >direct.json
    want=0
    [[ $form != deepseek-v3-fp8 ]] || want=2 # its groups forbid the count, in both
    rc $want prune once --plan second.json -o twice
    rc $want prune "$f" --plan direct.json -o direct
    if [[ $want = 0 ]]; then
        same_tensors "$form, twice" twice direct
        expect "$form, twice: config.json" cmp twice/config.json direct/config.json
    else
        absent twice direct
    fi
done
rm -rf once twice direct

# ---- statistics of the GGUF file serve the checkpoint of the same model, and no other
Q=$MODELS/qwen3_moe
ok profile "$Q/model.gguf" --calib "$Q/texts.jsonl" -t 1 -o s.json
ok plan s.json --keep 6 -o p.json
ok plan s.json --model "$Q/hf" --keep 6 -o p2.json
expect 'the same plan with the checkpoint at hand' cmp p.json p2.json
equal p.json "$Q/plan.json" keep
ok prune "$Q/hf" --plan p.json -o cross
lacks .err warning
compare "$Q/hf/pruned" cross
ok verify "$Q/hf" cross --plan p.json
ok profile "$MODELS/mixtral/model.gguf" --calib "$MODELS/mixtral/texts.jsonl" -t 1 -o other.json
fails 2 other.json 'another model' -- plan other.json --model "$Q/hf" --keep 6 -o p3.json --quiet
ok plan other.json --keep 6 -o p3.json
fails 2 p3.json 'another model' -- prune "$Q/hf" --plan p3.json -o cross2 --quiet
# one number of a router is another: another model
cp -r "$Q/hf" changed
W=model.layers.1.mlp.gate.weight
"$TOOL" flip "changed/$("$TOOL" list changed | awk -v n="$W" '$1 == n { print $5 }')" $W 3
fails 2 s.json 'another model' router_hash -- plan s.json --model changed --keep 6 -o p4.json --quiet
fails 2 p.json 'another model' router_hash -- prune changed --plan p.json -o cross2 --quiet
fails 2 p.json 'another model' router_hash -- verify changed cross --plan p.json --quiet
ok prune changed --plan p.json -o cross2 --force
has .err 'warning: .*another model'
# an order of the plan's layers, a remark in it: nothing changes
"$JSON" set p.json remark '"by hand"' >p5.json
ok prune "$Q/hf" --plan p5.json -o cross3
same_tensors 'a plan with a remark' cross cross3
rm -rf changed cross cross2 cross3
no_parts
expect 'no file with a name of ours is left' test -z "$(find . -maxdepth 1 -name '.reap*' -o -maxdepth 1 -name '*.reap-*')"
untouched
finish
