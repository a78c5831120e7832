#!/usr/bin/env bash
# Makes the files of folders of tests/data/seeded anew, from hf/config.json and make.json of each: the table of tensors, what transformers
# computes, what llama.cpp's converter writes. Seeds are tried until one gives a clear plan.
#
#   REAP=build/reap SRC=. bash tests/interop/seeded.sh NAME...
#
# Root and the reference (reference-env.sh). About half a minute each.
set -eu
: "${REAP:?the program}" "${SRC:?the source tree}"
SRC=$(cd "$SRC" && pwd)
reference=${REAP_REFERENCE:-${REAP_CACHE:-$HOME/.cache/reap}/reference}
tool=${REAP%/*}/seed_checkpoint
engine=$(bash "$SRC/scripts/engine.sh" --source)
work=$(mktemp -d "${TMPDIR:-/tmp}/reap-seeded.XXXXXX")
trap 'rm -rf "$work"' EXIT

reference() {
    sh "$SRC/tests/interop/reference-env.sh" run "$reference" "/host$SRC/tests/interop/make_seeded.py" "$@"
}
for name; do
    dir=$SRC/tests/data/seeded/$name
    rm -rf "$work/hf"
    mkdir "$work/hf"
    cp "$SRC"/tests/data/families/qwen3_moe/hf/{tokenizer.json,tokenizer_config.json,vocab.json,merges.txt} "$work/hf"
    cp "$dir"/hf/* "$work/hf"
    reference tables "/host$dir"
    status=4
    for seed in 1 2 3 4 5 6 7 8 9 10 11 12; do
        "$tool" "$dir/tensors.tsv" "$work/hf/model.safetensors" "$seed"
        status=0
        reference goldens "/host$dir" "/host$work/hf" "$seed" || status=$?
        [ $status -eq 4 ] || break
    done
    [ $status -eq 0 ] || { echo "$name: no goldens"; exit 1; }
    sed -i "s/^seed .*/seed $seed/" "$dir/tensors.tsv"
    reference converted "/host$dir" "/host$work/hf" "/host$engine"
    echo "$name: $(du -sb "$dir" | cut -f1) bytes"
done
