# Every key, the vocabulary and every kind of tensor of a model of each family set to what nobody meant, one at a time. EVERY: only each
# so many-th (default all); FAMILIES: of these.
. "$SRC/tests/cli/lib.bash"
. "$SRC/tests/cli/hostile.bash"
cd "$T" || exit 1
each_of 'families' ${FAMILIES:-$(ls "$MODELS" | grep -v README)}
for m in "${each[@]}"; do
    before=$n_checks
    hostile "$MODELS/$m/model.gguf" "$MODELS/$m/texts.jsonl" "${EVERY:-1}"
    echo "$m: $((n_checks - before)) runs"
done
finish
