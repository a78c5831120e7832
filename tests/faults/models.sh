# Every key, the vocabulary and every kind of tensor of a model of each family set to what nobody meant, one at a time. EVERY: only each
# so many-th (default all); FAMILIES: of these; SEEDED: of these folders of tests/data/seeded (default: some with graphs of their own), every
# fourth unless EVERY says otherwise.
. "$SRC/tests/cli/lib.bash"
. "$SRC/tests/cli/hostile.bash"
cd "$T" || exit 1
each_of 'families' ${FAMILIES:-$(ls "$MODELS" | grep -v README)}
sweep() { # NAME MODEL TEXTS EVERY
    local before=$n_checks
    hostile "$2" "$3" "$4"
    echo "$1: $((n_checks - before)) runs"
}
for m in "${each[@]}"; do
    sweep "$m" "$MODELS/$m/model.gguf" "$MODELS/$m/texts.jsonl" "${EVERY:-1}"
done
for m in ${SEEDED-deepseek_v4 qwen4exp kimi_k3 dots3note}; do
    seeded "$m"
    sweep "$m" "$m.gguf" "$MODELS/qwen3_moe/texts.jsonl" "${EVERY:-4}"
done
finish
