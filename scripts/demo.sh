#!/usr/bin/env bash
# The main job on the small model that ships here: profile, plan at 25 % and 50 %, prune, verify, perplexity before and after.
# Called by `make demo`. Calibrates on C sources and prose of tests/data/text, and evaluates on files of them that the calibration does
# not see. Results stay in demo-work/.
set -euo pipefail
cd "$(dirname "$0")/.."
REAP=build/reap
MODEL=models/tinymoe-Q8_0.gguf
WORK=demo-work

say() { printf '\n\033[1m$ %s\033[0m\n' "$*" | if [ -t 1 ]; then cat; else sed 's/\x1b\[[0-9;]*m//g'; fi; }
run() { say "$@"; "$@"; }

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

run $REAP inspect $MODEL
run $REAP profile $MODEL --calib $WORK/calib --ctx 512 -o $WORK/stats.json

# one number of an evaluation file: ppl FILE NAME
ppl() {
    awk -v name="$2" -F'[:,]' '/"name"/ { hit = index($2, "\"" name "\"") } hit && /"ppl":/ { gsub(/ /, "", $2); print $2; exit }' "$1"
}
evaluate() {
    run $REAP eval "$1" --text $WORK/heldout/code.txt --text $WORK/heldout/prose.txt --ctx 512 -o "$2"
}

evaluate $MODEL $WORK/eval-full.json
for percent in 25 50; do
    run $REAP plan $WORK/stats.json --prune-ratio 0.$percent --model $MODEL -o $WORK/plan-$percent.json
    run $REAP prune $MODEL --plan $WORK/plan-$percent.json -o $WORK/pruned-$percent.gguf
    run $REAP verify $MODEL $WORK/pruned-$percent.gguf --plan $WORK/plan-$percent.json
    evaluate $WORK/pruned-$percent.gguf $WORK/eval-$percent.json
    $REAP plan $WORK/stats.json --prune-ratio 0.$percent --criterion random -o $WORK/random-$percent.json --quiet >/dev/null
    $REAP prune $MODEL --plan $WORK/random-$percent.json -o $WORK/random-$percent.gguf --quiet >/dev/null
    say "the same with a random choice, as a control"
    evaluate $WORK/random-$percent.gguf $WORK/eval-random-$percent.json
done

size() { stat -c %s "$1" | awk '{ printf "%.1f MB", $1 / 1e6 }'; }
line() { # line LABEL MODEL EVAL
    printf '%-30s %9s   %8.2f  x%.2f   %8.2f  x%.2f\n' "$1" "$(size "$2")" \
        "$(ppl "$3" code.txt)" "$(echo "$(ppl "$3" code.txt) $(ppl $WORK/eval-full.json code.txt)" | awk '{ print $1 / $2 }')" \
        "$(ppl "$3" prose.txt)" "$(echo "$(ppl "$3" prose.txt) $(ppl $WORK/eval-full.json prose.txt)" | awk '{ print $1 / $2 }')"
}
printf '\n%-30s %9s   %s\n' "" "size" "perplexity on held-out text (lower is better)"
printf '%-30s %9s   %15s   %15s\n' "" "" "C code" "prose"
line "full model, 32 experts" $MODEL $WORK/eval-full.json
line "25 % pruned by REAP, 24 stay" $WORK/pruned-25.gguf $WORK/eval-25.json
line "25 % pruned at random" $WORK/random-25.gguf $WORK/eval-random-25.json
line "50 % pruned by REAP, 16 stay" $WORK/pruned-50.gguf $WORK/eval-50.json
line "50 % pruned at random" $WORK/random-50.gguf $WORK/eval-random-50.json
printf '\nEvery pruned file was verified: the bytes of its experts are those of the parent.\nStats, plans and models are in %s/.\n' "$WORK"
