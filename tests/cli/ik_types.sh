# Tensor types of ik_llama.cpp: cut as bytes, a scale of each row and woven rows included; not run.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
M=$MODELS/qwen3_moe/model.gguf
hand_plan "$M" 5 plan.json
"$JSON" set plan.json keep/1 '[0,2,4,6,7]' >p2.json && mv p2.json plan.json

# Rows of 256, so that blocks fill them: up and gate are 32 rows, down 64. In each slice the first and the last byte are marked,
# at places worked out here: rows x (scale + blocks).
n=0
while read -r type row; do
    args=()
    for il in 0 1 2; do
        for w in up:32 gate:32 down:64; do
            t=blk.$il.ffn_${w%:*}_exps.weight slice=$((${w#*:} * row))
            args+=(dim "$t" 1 256 type "$t" f32 type "$t" "$type")
            for x in 0 1 2 3 4 5 6 7; do
                args+=(flip "$t" $((x * slice + x)) flip "$t" $(((x + 1) * slice - 1 - x)))
            done
        done
    done
    "$EDIT" "$M" ik.gguf "${args[@]}" || say_bad "cannot make $type"
    ok inspect ik.gguf
    has .out "expert types .*$type"
    ok prune ik.gguf --plan plan.json -o out.gguf
    ok verify ik.gguf out.gguf --plan plan.json
    ok verify ik.gguf out.gguf --write-plan found.json
    equal plan.json found.json keep
    rm -f ik.gguf out.gguf found.json
    n=$((n + 1))
done <<'END'
iq4_ks 140
iq3_ks 104
iq2_kl 88
iq5_k 176
iq1_s_r4 50
iq4_ks_r4 140
q8_KV 264
END
expect 'all types' test $n = 7

# ---- not run, and said so; what cannot be cut
"$EDIT" "$M" ik.gguf dim blk.1.ffn_up_exps.weight 1 256 type blk.1.ffn_up_exps.weight iq5_ks
fails 2 'blk.1.ffn_up_exps.weight' 'iq5_ks, which ik_llama.cpp alone' -- eval ik.gguf --calib "$MODELS/qwen3_moe/texts.jsonl"
fails 2 'iq5_ks, which ik_llama.cpp alone' -- quantize ik.gguf Q8_0 -o q.gguf --allow-requantize
"$EDIT" "$M" woven.gguf dim blk.1.ffn_gate_inp.weight 1 256 type blk.1.ffn_gate_inp.weight q4_k_r4
fails 2 'blk.1.ffn_gate_inp.weight' 'woven into each other' -- prune woven.gguf --plan plan.json -o out.gguf
"$EDIT" "$M" odd.gguf dim blk.1.ffn_up_exps.weight 1 256 dim blk.1.ffn_up_exps.weight 2 30 type blk.1.ffn_up_exps.weight iq5_ks_r4
fails 2 'blk.1.ffn_up_exps.weight' '30 rows are not a multiple of the 4' -- inspect odd.gguf
no_parts
finish
