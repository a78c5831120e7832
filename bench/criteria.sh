#!/usr/bin/env bash
# Compares criteria on a model of yours: for each criterion and ratio, perplexity on held-out texts over that of the unpruned model.
#
#   bench/criteria.sh MODEL.gguf CALIBRATION HELDOUT_FOLDER [RATIO...]        (default ratios: 0.25 0.5)
#
# CALIBRATION is anything that `reap profile --calib` takes; every .txt file in HELDOUT_FOLDER is one column. Windows of CTX tokens (512),
# each scored from its first token on. CRITERIA and SEEDS (of the criterion random) can be set in the environment.
set -euo pipefail
REAP=${REAP:-build/reap}
MODEL=$1 CALIB=$2 HELDOUT=$3
shift 3
RATIOS=("$@")
[ ${#RATIOS[@]} -gt 0 ] || RATIOS=(0.25 0.5)
CTX=${CTX:-512}
CRITERIA=${CRITERIA:-reap reap_sum ean_mean frequency gate_mean}
SEEDS=${SEEDS-0 1 2}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

texts=("$HELDOUT"/*.txt)
nll() { # nll MODEL TEXT
    "$REAP" eval "$1" --calib "$2" --ctx "$CTX" --quiet --json | sed -n 's/^   *"nll": \([0-9.e+-]*\),*$/\1/p' | head -n 1
}

[ -n "${STATS:-}" ] || { STATS=$work/stats.json; "$REAP" profile "$MODEL" --calib "$CALIB" --ctx "$CTX" -o "$STATS" --quiet >/dev/null; }
base=()
for t in "${texts[@]}"; do base+=("$(nll "$MODEL" "$t")"); done

row() { # row NAME CRITERION SEED RATIO
    "$REAP" plan "$STATS" --prune-ratio "$4" --criterion "$2" --seed "$3" -o "$work/plan.json" --force --quiet >/dev/null
    "$REAP" prune "$MODEL" --plan "$work/plan.json" -o "$work/pruned.gguf" --force --quiet >/dev/null
    local i=0 values=()
    for t in "${texts[@]}"; do
        values+=("$(nll "$work/pruned.gguf" "$t") ${base[$i]}")
        i=$((i + 1))
    done
    printf '%s\n' "${values[@]}" | awk -v name="$1" '
        { r = exp($1 - $2); line = line sprintf(" | %.4f", r); sum += r }
        END { printf "| %s%s | %.4f |\n", name, line, sum / NR }'
}

for r in "${RATIOS[@]}"; do
    printf '\n%s of the experts removed: perplexity over that of the full model\n\n| criterion |' "$r"
    for t in "${texts[@]}"; do printf ' %s |' "$(basename "$t" .txt)"; done
    printf ' mean |\n|---|'
    for t in "${texts[@]}"; do printf -- '---:|'; done
    printf -- '---:|\n'
    for c in $CRITERIA; do row "$c" "$c" 0 "$r"; done
    for s in $SEEDS; do row "random (seed $s)" random "$s" "$r"; done
done
