# Mistakes that tools of this kind have made, as checks on ours. README.md beside this file lists them all, with the test that watches each.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
exact=(-fa off -ctk f32 -ctv f32 -t 1)
Q=$MODELS/qwen3_moe/model.gguf
for f in qwen3_moe mixtral gpt_oss nemotron_h deepseek_v3 llama4; do
    ok profile "$MODELS/$f/model.gguf" --calib "$MODELS/$f/texts.jsonl" "${exact[@]}" -o "$f.json" --quiet
done

# ---- experts that no token reached: said, not silently first; ties by a rule
echo '{"tokens": [5]}' >one.jsonl
ok profile "$Q" --calib one.jsonl -o one.json -t 1
has .out '18 of 24 experts were never routed to'
ok stats one.json
has .out 'no token was routed to' 'layer 0:' 'layer 2:'
ok plan one.json --keep 4 -o one-plan.json --json
json .out never_routed=18 never_routed_kept=6
json one-plan.json lost/0/never_routed/5
# ids with equal counts of 0: the lowest stay
for il in 0 1 2; do
    expect 'a tie: the lowest ids stay' test "$("$JSON" get one-plan.json keep/$il)" = "$("$JSON" highest one.json layers/$il/count 4)"
done

# ---- every criterion that is offered works, also under the names of other tools
ok --dump-options
mapfile -t criteria < <(awk -F'\t' '$1 == "criterion" { for (i = 2; i <= 4; i++) if ($i != "") print $i }' .out)
expect 'the program names its criteria' test ${#criteria[@]} -ge 16
for c in ${criteria[@]+"${criteria[@]}"}; do
    ok plan qwen3_moe.json --keep 5 --criterion "$c" -o "crit-$c.json"
    if [[ $c = hope ]]; then # chooses a set: there is no score for a table
        fails 2 'chooses a set' -- stats qwen3_moe.json --criterion "$c" --json
        continue
    fi
    ok stats qwen3_moe.json --criterion "$c" --json
    lacks .out nan inf
done
# frequency and reap are two things
json crit-frequency.json keep
json crit-reap.json keep
refuse 'frequency is another choice than reap' "$JSON" equal crit-frequency.json crit-reap.json keep

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
    # and what was pruned routes as it must: its sums are those of the reference, in every layer
    ok profile p.gguf --calib "$MODELS/$f/texts.jsonl" "${exact[@]}" -o "after-$f.json" --quiet
    each_of "layers in the pruned $f" $(layers_of p.gguf)
    for il in "${each[@]}"; do
        near "after-$f.json" "$MODELS/$f/pruned_golden_stats.json" 1e-5 layers/$il/{count,gate_sum,ean_sum,reap_sum,max_activation}
    done
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
if memory_can_be_limited; then
    "$EDIT" --big big.gguf 2 16 400000000
    hand_plan big.gguf 8 big.json
    n_checks=$((n_checks + 1))
    # the data segment only: the program itself and its libraries are not counted
    prlimit --data=67108864 "$REAP" prune big.gguf --plan big.json -o big2.gguf >.out 2>.err </dev/null ||
        { say_bad 'pruning 400 MB with 64 MiB of memory'; show .err; }
    rm -f big.gguf big2.gguf
else
    left_out 'memory while pruning: no prlimit, or a sanitizer or an emulator with memory of its own'
fi

# ---- scores do not depend on the ratio: one profile, any plan; nothing is calibrated behind layers that are pruned already
ok profile "$Q" --calib "$MODELS/qwen3_moe/texts.jsonl" "${exact[@]}" -o again.json --quiet
expect 'two calls, one profile' cmp qwen3_moe.json again.json
no_parts
finish
