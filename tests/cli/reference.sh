# What a profile adds up, against sums that an independent program computed (tests/data/families), and what must not change them: the size of the
# windows, packing, the number of files. README.md beside this file says which mistakes of other tools this would catch.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
exact=(-fa off -ctk f32 -ctv f32 -t 1)
golden() { # FAMILY: our sums against those of an independent program, and the invariants
    local f=$1 il paths=()
    ok profile "$MODELS/$f/model.gguf" --calib "$MODELS/$f/texts.jsonl" "${exact[@]}" -o "$f.json" --quiet
    each_of "layers in $f" $(layers_of "$MODELS/$f/model.gguf")
    for il in "${each[@]}"; do
        for k in count gate_sum gate_sq_sum ean_sum ean_sq_sum reap_sum reap_sq_sum max_activation; do paths+=("layers/$il/$k"); done
        json "$f.json" "layers/$il/total_tokens=$("$JSON" get "$MODELS/$f/golden_stats.json" n_tokens)"
    done
    expect "$f: the sums of the reference" "$JSON" near "$f.json" "$MODELS/$f/golden_stats.json" 1e-5 "${paths[@]}"
}
# strided routing read as if it were contiguous: the counts would come out even, and still add up
# gates taken before renormalisation or scaling; one formula of the gate for all models; the correction bias in the gate;
# the selection recomputed without bias and groups; biases of experts left out; only the last token of the last layer seen
for f in qwen3_moe olmoe mixtral deepseek_v3 glm4_moe gpt_oss ernie4_5_moe nemotron_h llama4; do golden $f; done

# a name that says one score and a number that is another: reap is the mean over the expert's tokens of gate x norm, nothing else
for il in 0 1 2; do
    expect 'reap = reap_sum / count' "$JSON" ratio qwen3_moe.json layers/$il/reap_sum layers/$il/count layers/$il/reap
done

# ---- samples cut at the context size, the rest thrown away; packed samples that see each other; tokens between them
Q=$MODELS/qwen3_moe/model.gguf
texts=$MODELS/qwen3_moe/texts.jsonl
tokens=$("$JSON" get "$MODELS/qwen3_moe/golden_stats.json" n_tokens)
for ctx in 7 16 64 2048; do
    ok profile "$Q" --calib "$texts" --ctx $ctx -o "ctx$ctx.json" -t 1 --json
    json .out n_tokens="$tokens"
    json "ctx$ctx.json" layers/0/total_tokens="$tokens" layers/2/total_tokens="$tokens"
done
for n in 1 2 3 8; do
    ok profile "$Q" --calib "$texts" "${exact[@]}" --sequences $n -o "seq$n.json"
    expect "packed $n at a time: the same counts and sums" "$JSON" near "seq$n.json" qwen3_moe.json 1e-5 \
        layers/{0,1,2}/{count,reap_sum,gate_sum,ean_sum}
done

# ---- with several sources, files and categories all of them count
head -3 "$texts" >a.jsonl
sed -n '4,$p' "$texts" >b.jsonl
mkdir -p cat/x cat/y
cp a.jsonl cat/x
cp b.jsonl cat/y
ok profile "$Q" --calib a.jsonl --calib b.jsonl "${exact[@]}" -o ab.json
ok profile "$Q" --calib cat "${exact[@]}" -o cat.json
for f in ab cat; do
    json $f.json layers/0/total_tokens="$tokens" calibration/n_samples=8
    expect "$f: the sums of all" "$JSON" near $f.json qwen3_moe.json 1e-5 layers/{0,1,2}/{count,reap_sum}
done

# ---- a larger component with a minus sign is larger
json qwen3_moe.json layers/0/max_activation/0     # compared with the reference above, which takes the absolute value
# ---- float64 sums, all digits: what is read back is what was written, and the halves add up to the whole
for il in 0 1 2; do
    expect 'the halves add up' "$JSON" sum qwen3_moe.json layers/$il/halves/{even,odd}/count = qwen3_moe.json layers/$il/count
done
has qwen3_moe.json '[0-9]\.[0-9]{13,}'
no_parts
finish
