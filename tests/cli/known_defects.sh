# Mistakes that tools of this kind have made, as checks on ours. README.md beside this file lists them all, with the test that watches each.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
exact=(-fa off -ctk f32 -ctv f32)
golden() { # FAMILY: our sums against those of an independent program, and the invariants
    local f=$1 layers il paths=()
    ok profile "$MODELS/$f/model.gguf" --calib "$MODELS/$f/texts.jsonl" "${exact[@]}" -o "$f.json" --quiet
    layers=$("$REAP" inspect "$MODELS/$f/model.gguf" --json | "$JSON" get - model/moe_layers | tr -d '[]' | tr , ' ')
    for il in $layers; do
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
expect 'reap = reap_sum / count' awk -v s="$("$JSON" get qwen3_moe.json layers/1/reap_sum)" -v c="$("$JSON" get qwen3_moe.json layers/1/count)" \
    -v r="$("$JSON" get qwen3_moe.json layers/1/reap)" 'function num(x) { return x + 0 }
    BEGIN { gsub(/[][]/, "", s); gsub(/[][]/, "", c); gsub(/[][]/, "", r); n = split(s, a, ","); split(c, b, ","); split(r, d, ",")
            for (i = 1; i <= n; i++) if ((a[i] / b[i] - d[i]) ^ 2 > 1e-14 * d[i] ^ 2) exit 1; exit n != 8 }'

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
    ok profile "$Q" --calib "$texts" "${exact[@]}" --sequences $n -o "seq$n.json" -t 1
    expect "packed $n at a time: the same counts and sums" "$JSON" near "seq$n.json" qwen3_moe.json 1e-5 \
        layers/{0,1,2}/{count,reap_sum,gate_sum,ean_sum}
done

# ---- with several sources, files and categories all of them count
head -3 "$texts" >a.jsonl
sed -n '4,$p' "$texts" >b.jsonl
mkdir -p cat/x cat/y
cp a.jsonl cat/x
cp b.jsonl cat/y
ok profile "$Q" --calib a.jsonl --calib b.jsonl "${exact[@]}" -o ab.json -t 1
ok profile "$Q" --calib cat "${exact[@]}" -o cat.json -t 1
for f in ab cat; do
    json $f.json layers/0/total_tokens="$tokens" calibration/n_samples=8
    expect "$f: the sums of all" "$JSON" near $f.json qwen3_moe.json 1e-5 layers/{0,1,2}/{count,reap_sum}
done

# ---- a larger component with a minus sign is larger
json qwen3_moe.json layers/0/max_activation/0     # compared with the reference above, which takes the absolute value
# ---- float64 sums, all digits: what is read back is what was written, and the halves add up to the whole
expect 'the halves add up' awk -v e="$("$JSON" get qwen3_moe.json layers/0/halves/even/count)" -v o="$("$JSON" get qwen3_moe.json layers/0/halves/odd/count)" \
    -v t="$("$JSON" get qwen3_moe.json layers/0/count)" 'BEGIN { gsub(/[][]/, "", e); gsub(/[][]/, "", o); gsub(/[][]/, "", t)
    n = split(e, a, ","); split(o, b, ","); split(t, c, ","); for (i = 1; i <= n; i++) if (a[i] + b[i] != c[i]) exit 1 }'
has qwen3_moe.json '[0-9]\.[0-9]{13,}'

# ---- experts that no token reached: said, not silently first; ties by a rule
echo '{"tokens": [5]}' >one.jsonl
ok profile "$Q" --calib one.jsonl -o one.json -t 1
has .out '18 of 24 experts were never routed to'
ok stats one.json
has .out 'no token was routed to' 'layer 0:' 'layer 2:'
ok plan one.json --keep 4 -o one-plan.json --json
json .out never_routed=18 never_routed_kept=6
json one-plan.json lost/0/never_routed/5
expect 'a tie: the lowest ids stay' awk -v k="$("$JSON" get one-plan.json keep/0)" -v c="$("$JSON" get one.json layers/0/count)" 'BEGIN {
    gsub(/[][]/, "", k); gsub(/[][]/, "", c); n = split(c, a, ","); for (i = 1; i <= n && left < 2; i++) if (!a[i]) { want[i - 1]; left++ }
    for (i = 1; i <= n; i++) if (a[i]) want[i - 1]
    m = split(k, b, ","); if (m != 4) exit 1; for (i = 1; i <= m; i++) if (!(b[i] in want)) exit 1 }'

# ---- every criterion that is offered works, also under the names of other tools
ok --dump-options
mapfile -t criteria < <(awk -F'\t' '$1 == "criterion" { for (i = 2; i <= 4; i++) if ($i != "") print $i }' .out)
expect 'the program names its criteria' test ${#criteria[@]} -ge 16
for c in ${criteria[@]+"${criteria[@]}"}; do
    ok plan qwen3_moe.json --keep 5 --criterion "$c" -o "crit-$c.json"
    ok stats qwen3_moe.json --criterion "$c" --json
    lacks .out nan inf
done
# frequency and reap are two things
"$JSON" get crit-frequency.json keep >f.keep
"$JSON" get crit-reap.json keep >r.keep
refuse 'frequency is another choice than reap' cmp f.keep r.keep

# ---- the number of experts comes from the file; the ratio is of it
for f in mixtral:8 gpt_oss:12 nemotron_h:12 deepseek_v3:12; do
    ok plan "${f%:*}.json" --prune-ratio 0.5 -o "half-${f%:*}.json"
    n=$(("${f#*:}" / 2))
    [[ ${f%:*} = deepseek_v3 ]] && n=8
    json "half-${f%:*}.json" n_keep=$n n_experts="${f#*:}"
done

# ---- no tensor of an expert is forgotten: of the pruned file, none has the old count on its expert axis
for f in qwen3_moe gpt_oss glm4_moe nemotron_h ernie4_5_moe llama4 deepseek_v3; do
    ok prune "$MODELS/$f/model.gguf" --plan "$MODELS/$f/plan.json" -o p.gguf --quiet
    k=$("$JSON" get "$MODELS/$f/plan.json" n_keep)
    ok inspect p.gguf --tensors
    expect "$f: all parts of an expert are cut alike" awk -v k="$k" '
        / experts\]/ { if ($0 !~ "[[ ]" k " experts]") exit 1; n++ }
        / blk\./ && /exps|ffn_gate_inp\.|exp_probs/ && !/ experts/ { exit 1 } END { exit !n }' .out
    # the bias of the selection keeps its type and bytes: rounding it moves the routing
    ok verify "$MODELS/$f/model.gguf" p.gguf --plan "$MODELS/$f/plan.json" --quiet
    # and what was pruned routes as the engine does it: counts and sums fit the tokens, in every layer
    ok profile p.gguf --calib "$MODELS/$f/texts.jsonl" -o "after-$f.json" --quiet
    expect "$f: the pruned model against the reference's" "$JSON" near "after-$f.json" "$MODELS/$f/pruned_golden_stats.json" 2e-2 \
        "layers/$("$REAP" inspect p.gguf --json | "$JSON" get - model/moe_layers/0)/count"
    rm -f p.gguf
done
# MTP blocks: their experts are cut as well, the keys that count the blocks stay
ok prune "$MODELS/glm4_moe/model.gguf" --plan "$MODELS/glm4_moe/plan.json" -o mtp.gguf --quiet --json
ok inspect mtp.gguf --json
json .out n_mtp_blocks=1 model/n_layers="$("$REAP" inspect "$MODELS/glm4_moe/model.gguf" --json | "$JSON" get - model/n_layers)"

# ---- layers have their numbers, not their places: dense blocks before them shift nothing
for f in deepseek_v3:1 llama4:1 nemotron_h:1; do
    refuse "${f%:*} has no layer 0" "$JSON" check "${f%:*}.json" layers/0
    json "${f%:*}.json" layers/1
done

# ---- keys keep their kinds (u8, u16, u32 above 2^31, f64, empty lists): properties.sh; here that a hard link is not written through
cp "$Q" m.gguf
ln m.gguf linked.gguf
ok prune m.gguf --plan "$MODELS/qwen3_moe/plan.json" -o m2.gguf --quiet
ln m2.gguf linked2.gguf
h=$(hash_of linked.gguf linked2.gguf)
ok prune m.gguf --plan one-plan.json -o m2.gguf --force --quiet
expect 'hard links of input and output are untouched' test "$h" = "$(hash_of linked.gguf linked2.gguf)"

# ---- memory while pruning is that of the header, not of the tensors
if command -v prlimit >/dev/null && ! grep -qs __asan_init "$REAP"; then
    "$EDIT" --big big.gguf 2 16 400000000
    hand_plan big.gguf 8 big.json
    n_checks=$((n_checks + 1))
    # the data segment only: the program itself and its libraries are not counted
    prlimit --data=67108864 "$REAP" prune big.gguf --plan big.json -o big2.gguf >.out 2>.err </dev/null ||
        { say_bad 'pruning 400 MB with 64 MiB of memory'; show .err; }
    rm -f big.gguf big2.gguf
fi

# ---- scores do not depend on the ratio: one profile, any plan; nothing is calibrated behind layers that are pruned already
expect 'two calls, one profile' "$JSON" near qwen3_moe.json ab.json 1e-5 layers/2/reap
no_parts
finish
