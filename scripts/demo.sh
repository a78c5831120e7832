#!/usr/bin/env bash
# The main job on the small model that ships here: profile, then a table that grows: plan, prune, verify and perplexity for 25 % and 50 %, each
# with a random choice as a control; at the end the report. Called by `make demo`. Calibrates on C sources and prose of tests/data/text, and
# evaluates on files of them that the calibration does not see. REAP is the program, DEMO_WORK the folder of the results.
set -euo pipefail
cd "$(dirname "$0")/.."
REAP=${REAP:-build/reap}
WORK=${DEMO_WORK:-demo-work}
MODEL=models/tinymoe-Q8_0.gguf
LOG=$WORK/log.txt

bold=$'\033[1m' off=$'\033[0m'
if [ ! -t 1 ] || [ -n "${NO_COLOR:-}" ] || [ "${TERM:-dumb}" = dumb ]; then
    bold='' off=''
fi
say() { printf '%s$ %s%s\n' "$bold" "$*" "$off"; }
run() { printf '\n'; say "$@"; "$@"; }
logged() { # what a command says goes to the log, and to the terminal when it fails
    say "$@" >>"$LOG"
    "$@" >>"$LOG" 2>&1 || { tail -n 5 "$LOG" >&2; exit 1; }
}

rm -rf "$WORK"
mkdir -p "$WORK/calib/code" "$WORK/calib/prose" "$WORK/heldout"

# Two categories; of each one text is held out.
for f in tests/data/text/code/*.txt tests/data/text/prose/*.txt; do
    case $f in
    */sprintf.txt) cp "$f" "$WORK/heldout/code.txt" ;;
    */lecture.txt) cp "$f" "$WORK/heldout/prose.txt" ;;
    */code/*) cp "$f" "$WORK/calib/code/" ;;
    *) cp "$f" "$WORK/calib/prose/" ;;
    esac
done
heldout=(--text "$WORK/heldout/code.txt" --text "$WORK/heldout/prose.txt")

run "$REAP" inspect $MODEL
run "$REAP" profile $MODEL --calib "$WORK/calib" -o "$WORK/stats.json"
printf '\nThen, for each row of the table (what they say is in %s):\n' "$LOG"
say "$REAP plan $WORK/stats.json --prune-ratio 25% --model $MODEL -o $WORK/plan-25.json"
say "$REAP prune $MODEL --plan $WORK/plan-25.json -o $WORK/pruned-25.gguf"
say "$REAP verify $MODEL $WORK/pruned-25.gguf --plan $WORK/plan-25.json"
say "$REAP eval $WORK/pruned-25.gguf ${heldout[*]} -o $WORK/eval-25.json"

# One number of an evaluation file: ppl EVAL TEXT
ppl() {
    awk -v name="$2" -F'[:,]' '/"name"/ { hit = index($2, "\"" name "\"") } hit && /"ppl":/ { gsub(/ /, "", $2); print $2; exit }' "$WORK/eval-$1.json"
}
row() { # row LABEL FILE EVAL
    logged "$REAP" eval "$2" "${heldout[@]}" -o "$WORK/eval-$3.json"
    awk -v label="$1" -v bytes="$(stat -c %s "$2")" -v code="$(ppl "$3" code.txt)" -v code0="$(ppl full code.txt)" \
        -v prose="$(ppl "$3" prose.txt)" -v prose0="$(ppl full prose.txt)" 'BEGIN {
        printf "%-30s %6.1f MB   %8.2f  x%.2f   %8.2f  x%.2f\n", label, bytes / 1e6, code, code / code0, prose, prose / prose0 }'
}
pruned() { # pruned LABEL NAME OPTIONS OF plan
    local label=$1 name=$2
    shift 2
    logged "$REAP" plan "$WORK/stats.json" --model $MODEL -o "$WORK/plan-$name.json" "$@"
    logged "$REAP" prune $MODEL --plan "$WORK/plan-$name.json" -o "$WORK/pruned-$name.gguf"
    logged "$REAP" verify $MODEL "$WORK/pruned-$name.gguf" --plan "$WORK/plan-$name.json"
    row "$label" "$WORK/pruned-$name.gguf" "$name"
}
printf '\n%s%-30s %9s   %s\n%-30s %9s   %15s   %15s%s\n' "$bold" '' size 'perplexity on held-out text (lower is better)' '' '' 'C code' prose "$off"
row 'full model, 32 experts' $MODEL full
pruned '25 % pruned by REAP, 24 stay' 25 --prune-ratio 25%
pruned '25 % pruned at random' random-25 --prune-ratio 25% --criterion random
pruned '50 % pruned by REAP, 16 stay' 50 --prune-ratio 50%
pruned '50 % pruned at random' random-50 --prune-ratio 50% --criterion random
printf '\nEvery pruned file was verified: the bytes of its experts are those of the parent.\n'

logged "$REAP" report --stats "$WORK/stats.json" --plan "$WORK/plan-25.json" --eval "$WORK/eval-full.json" --eval "$WORK/eval-25.json" \
    --model $MODEL -o "$WORK/report.html"
printf 'The report, for a browser: %s/report.html\n' "$WORK"
printf '\nNow with a model of yours:\n'
say "$REAP run MODEL.gguf --calib PROMPTS --prune-ratio 25% --text HELDOUT.txt -o PRUNED.gguf"
