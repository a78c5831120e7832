#!/usr/bin/env bash
# How much calibration text is enough, on a model and text of yours: plans by samples of a text against the plan by all of it.
#
#   bench/calibration.sh MODEL CALIBRATION HELDOUT_FOLDER [SAMPLES...]        (default: 4 16 64 256 samples)
#
# CALIBRATION is anything that `reap profile --calib` takes; every .txt file in HELDOUT_FOLDER is evaluated on. SEEDS (default "1 2 3"), RATIOS
# ("0.25 0.5") and CTX (512, of the evaluation) can be set in the environment. Needs jq. The table is that of docs/calibration.md, a row per ratio:
# tokens, tokens for each expert of a layer, experts and score that are kept of the plan by all text, the same between the halves, KL divergence.
set -euo pipefail
REAP=${REAP:-build/reap}
MODEL=$1 CALIB=$2 HELDOUT=$3
shift 3
COUNTS=("$@")
[ ${#COUNTS[@]} -gt 0 ] || COUNTS=(4 16 64 256)
SEEDS=${SEEDS:-1 2 3} RATIOS=${RATIOS:-0.25 0.5} CTX=${CTX:-512}
command -v jq >/dev/null || { echo 'calibration.sh: needs jq' >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

texts=()
for t in "$HELDOUT"/*.txt; do texts+=(--text "$t"); done

# profile NAME [OPTION]...: its statistics, and a line "RATIO KL" for each ratio
profile() {
    local name=$1
    shift
    "$REAP" profile "$MODEL" --calib "$CALIB" -o "$work/$name.json" --quiet "$@" >/dev/null 2>&1
    "$REAP" sweep "$MODEL" --stats "$work/$name.json" "${texts[@]}" --ctx "$CTX" --ratios "${RATIOS// /,}" --quiet --json 2>/dev/null |
        jq -r '.points[] | "\(.ratio) \(.kl.mean)"' >"$work/$name.kl"
}

# line NAME: for each ratio "RATIO TOKENS FOR_EACH EXPERTS SCORE HALVES_EXPERTS HALVES_SCORE KL"
line() {
    "$REAP" stats "$work/$1.json" --json >"$work/one.json"
    if [ "$1" = all ]; then echo '{}'; else "$REAP" stats "$work/$1.json" "$work/all.json" --json; fi >"$work/two.json"
    while read -r ratio kl; do
        jq -rn --argjson r "$ratio" --argjson kl "$kl" --slurpfile one "$work/one.json" --slurpfile two "$work/two.json" '
            $one[0] as $o | ($o.prune_ratios | map(. - $r | fabs) | index(min)) as $k |
            ($o.layers | to_entries) as $l | $l[0].value.total_tokens as $n |
            def mean(f): ($l | map(.value | f) | add) / ($l | length);
            [$r, $n, $n * $o.model.n_experts_used / $o.model.n_experts, ($two[0].pairs[0].overlap[$k] // 1), ($two[0].pairs[0].score_of_b_kept_by_a[$k] // 1),
             (mean(.halves_agree[$k]) // 0), (mean(.halves_score_kept[$k]) // 0), $kl] | join(" ")'
    done <"$work/$1.kl"
}

echo '| samples | pruned | tokens | for each expert | experts of all | score of all | halves: experts | halves: score | KL divergence |'
echo '|---:|---:|---:|---:|---:|---:|---:|---:|---:|'
profile all
for n in "${COUNTS[@]}" all; do
    for seed in $SEEDS; do
        [ "$n" = all ] || profile "$n-$seed" --max-samples "$n" --seed "$seed"
        if [ "$n" = all ]; then line all; break; else line "$n-$seed"; fi
    done | awk -v name="$n" '
        { r[$1]; m[$1]++; for (i = 2; i <= NF; i++) s[$1, i] += $i }
        END { for (x in r) printf "| %s | %.1f %% | %.0f | %.0f | %.1f %% | %.2f %% | %.1f %% | %.2f %% | %.4f |\n", name, 100 * x, s[x, 2] / m[x], s[x, 3] / m[x],
              100 * s[x, 4] / m[x], 100 * s[x, 5] / m[x], 100 * s[x, 6] / m[x], 100 * s[x, 7] / m[x], s[x, 8] / m[x] }' | sort
done
