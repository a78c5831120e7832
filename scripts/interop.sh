#!/bin/sh
# Prunes the checkpoint of every family (those with MTP layers once more without) and loads the result in Hugging Face transformers, which must give the
# numbers of the reference. Before, tests/interop/classes.tsv is held against the models that transformers has. Then renders every chat template of the engine's sources with every conversation of
# tests/data/chat by both. First reap quantize against the engine's llama-quantize, which is built once. Not part of `make test`: it needs root and, the first time, 2.5 GB from Debian,
# kept in $REAP_REFERENCE (default ~/.cache/reap/reference).
#
# REAP: the program, SRC: the repository.
set -eu
: "${REAP:?}" "${SRC:?}"
reference=${REAP_REFERENCE:-${REAP_CACHE:-$HOME/.cache/reap}/reference}
families=$SRC/tests/data/families
env=$SRC/tests/interop/reference-env.sh

status=0
bash "$SRC/tests/interop/llama_tools.sh" || status=1
sh "$env" build "$reference"
work=$(mktemp -d "${TMPDIR:-/tmp}/reap-interop.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

# what there is to cover, and that it is
"$REAP" families --json >"$work/families.json"
sh "$env" run "$reference" "/host$SRC/tests/interop/check_classes.py" "/host$SRC/tests/interop/classes.tsv" "/host$SRC/tests/data" \
    "/host$work/families.json" || status=1
rm "$work/families.json"

prune() { # NAME CHECKPOINT PLAN prune|drop
    out=$work/$1
    # one that fails is reported below: an empty folder cannot be loaded
    "$REAP" prune "$2" --plan "$3" -o "$out" --mtp "$4" --quiet >/dev/null || mkdir -p "$out"
}
for hf in "$families"/*/hf; do
    dir=${hf%/hf}
    name=${dir##*/}
    prune "$name" "$hf" "$dir/plan.json" prune
    if grep -q num_nextn_predict_layers "$hf/config.json"; then
        prune "$name,no-mtp" "$hf" "$dir/plan.json" drop
    fi
done
sh "$env" run "$reference" "/host$SRC/tests/interop/check_checkpoint.py" "/host$families" "/host$work" || status=1


# those whose weights are made from a seed (tests/data/seeded), as far as transformers has the class
mkdir "$work.seeded"
trap 'rm -rf "$work" "$work.seeded"' EXIT
for golden in "$SRC"/tests/data/seeded/*/pruned_golden_logprobs.json; do
    dir=${golden%/*}
    hf=$work.seeded/hf
    mkdir "$hf"
    for f in tokenizer.json tokenizer_config.json vocab.json merges.txt; do cp "$families/qwen3_moe/hf/$f" "$hf"; done
    cp "$dir"/hf/* "$hf"
    "${REAP%/*}/seed_checkpoint" "$dir/tensors.tsv" "$hf/model.safetensors" "$(sed -n 's/^seed //p' "$dir/tensors.tsv")"
    out=$work.seeded/${dir##*/}
    "$REAP" prune "$hf" --plan "$dir/plan.json" -o "$out" --quiet >/dev/null || mkdir -p "$out"
    rm -rf "$hf"
done
sh "$env" run "$reference" "/host$SRC/tests/interop/make_seeded.py" check "/host$SRC/tests/data/seeded" "/host$work.seeded" || status=1

engine=$(bash "$SRC/scripts/engine.sh" --source)
check=/host$SRC/tests/interop/check_chats.py
sh "$env" run "$reference" "$check" write "/host$engine" "/host$work/cases.jsonl"
"${REAP%/*}/chat_render" 1785340805 "$engine/models/templates" <"$work/cases.jsonl" >"$work/chats.jsonl"
sh "$env" run "$reference" "$check" compare "/host$work/cases.jsonl" "/host$work/chats.jsonl" \
    "/host$SRC/tests/interop/chats_differ.txt" || status=1
bash "$SRC/tests/interop/mtp.sh" || status=1
exit $status
