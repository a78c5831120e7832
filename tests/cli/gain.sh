#!/usr/bin/env bash
# One gain per layer: what prune, verify and gain make of it, and what is refused. That a mask with gains and a file with them compute the
# same: unit/test_gain.c.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
m=$MODELS/qwen3_moe/model.gguf # 3 layers of 8 experts
value() { "$JSON" get "$@"; }
E() { "$EDIT" "$@" || say_bad "gguf_edit $*"; }
hash_of() { value "$1" keep | tr -d '\n' | sha256sum | cut -d' ' -f1; }
ok profile "$m" -c "$MODELS/qwen3_moe/texts.jsonl" -o stats.json -t 1 -q
ok plan stats.json --keep 5 -o plan.json
ok plan stats.json --keep 4 -o other.json
printf '{"schema": "reap.gain/1", "model": %s, "keep_sha256": "%s", "gain": {"0": 0.5, "1": 0.9, "2": 1.25}}' \
    "$(value plan.json model)" "$(hash_of plan.json)" >gain.json

# ---- written, and verified by what it should be
ok prune "$m" --plan plan.json -o plain.gguf
ok prune "$m" --plan plan.json --gain gain.json -o pruned.gguf
has .out 'it does not compute what its parent computes'
ok verify "$m" pruned.gguf --plan plan.json --gain gain.json
has .out 'but those of the gains' '3 layers are scaled' 'it does not compute what its parent computes'
ok verify "$m" pruned.gguf --plan plan.json --gain gain.json --json
json .out layers_with_gain=3 ok=true
ok inspect pruned.gguf --json
ok eval pruned.gguf --against plain.gguf --text "$SRC/tests/data/perplexity/text.txt" --ctx 64 -t 1 --json
expect 'the engine applies it' awk -v kl="$(value .out total/kl/mean)" 'BEGIN { exit !(kl > 1e-4) }'
rc 3 verify "$m" pruned.gguf --plan plan.json
has .out "'blk.0.ffn_down_exps.scale' is not in the parent [(]a gain[?] --plan PLAN --gain GAIN[)]"
rc 3 verify "$m" pruned.gguf # the kept experts are found by their bytes nevertheless
has .out "'blk.0.ffn_down_exps.scale' is not in the parent [(]a gain[?] --plan PLAN --gain GAIN[)]"
lacks .out 'has the bytes of no expert'
E pruned.gguf scaled.gguf f32 blk.1.ffn_down_exps.scale 2 0.91
rc 3 verify pruned.gguf scaled.gguf
has .out 'layer 1: expert 2 has the bytes of no expert of the parent [(]gains[?] --plan PLAN --gain GAIN[)]'
rc 3 verify "$m" plain.gguf --plan plan.json --gain gain.json
has .out "the gain of layer 0, is missing"
E pruned.gguf bad.gguf f32 blk.1.ffn_down_exps.scale 2 0.91
rc 3 verify "$m" bad.gguf --plan plan.json --gain gain.json
has .out "'blk.1.ffn_down_exps.scale': expert 2 is scaled by 0.91" 'it should be 0.899'
E pruned.gguf bad.gguf flip blk.1.ffn_up_exps.weight 5
rc 3 verify "$m" bad.gguf --plan plan.json --gain gain.json
has .out "'blk.1.ffn_up_exps.weight'"
E pruned.gguf bad.gguf drop blk.2.ffn_down_exps.scale
rc 3 verify "$m" bad.gguf --plan plan.json --gain gain.json
has .out "the gain of layer 2, is missing"
fails 2 'goes with --plan' -- verify "$m" pruned.gguf --gain gain.json
# of a split model: the count of all tensors counts the scales
E --split 2 "$m" split
ok prune split-00001-of-00002.gguf --plan plan.json --gain gain.json -o s.gguf
ok verify split-00001-of-00002.gguf s-00001-of-00002.gguf --plan plan.json --gain gain.json
ok eval s-00001-of-00002.gguf --against pruned.gguf --text "$SRC/tests/data/perplexity/text.txt" --ctx 64 -t 1 --json
json .out total/kl/max=0.0
ok prune split-00001-of-00002.gguf --merge --plan plan.json --gain gain.json -o merged.gguf
ok verify "$m" merged.gguf --plan plan.json --gain gain.json

# ---- refused: nothing is written
bad() { # WORDS EDITS...
    local words=$1
    shift
    "$JSON" set gain.json "$@" >g.json || say_bad "json_tool $*"
    fails 2 "g.json" "$words" -- prune "$m" --plan plan.json --gain g.json -o x.gguf
    absent x.gguf
}
bad "schema is 'reap.gain/2'" schema '"reap.gain/2"'
bad "'gain' lacks layer 1" gain '{"0": 1, "2": 1, "3": 1}'
bad "'gain' has 2 layers, the plan has 3" gain '{"0": 1, "2": 1}'
for x in 0 -1 1e-60 1001 '"1"' null; do
    bad 'gain of layer 2: expected a number above 0 and at most 1000' gain/2 "$x"
done
bad 'keep_sha256' keep_sha256 -
bad 'is of another plan' keep_sha256 '"0"'
bad "'gain' is a list" gain '[1, 1, 1]'
bad 'architecture' model/architecture '"other"'
fails 2 'gain.json' 'is of another plan' -- prune "$m" --plan other.json --gain gain.json -o x.gguf
fails 2 'the gain file itself' -- prune "$m" --plan plan.json --gain gain.json -o gain.json --force
fails 2 'none.json' -- prune "$m" --plan plan.json --gain none.json -o x.gguf
E "$m" bad.gguf add blk.1.ffn_down_exps.scale f16 8
fails 2 'is no float32 row of 8' -- prune bad.gguf --plan plan.json --gain gain.json -o x.gguf
# where nothing would apply it
olmoe=$MODELS/olmoe
"$JSON" set "$olmoe/plan.json" model "$("$REAP" inspect "$olmoe/model.gguf" --json | "$JSON" get - model)" >o.json
printf '{"schema": "reap.gain/1", "model": %s, "keep_sha256": "%s", "gain": {"0": 1, "1": 1}}' "$(value o.json model)" "$(hash_of o.json)" >olmoe.json
fails 2 "graph of 'olmoe' does not apply ffn_down_exps.scale" -- prune "$olmoe/model.gguf" --plan o.json --gain olmoe.json -o x.gguf
fails 2 "graph of 'olmoe' does not apply" -- gain "$olmoe/model.gguf" --plan o.json -c "$olmoe/texts.jsonl" -o x.json
fails 2 'only a GGUF file holds a gain' -- prune "$MODELS/qwen3_moe/hf" --plan plan.json --gain gain.json -o x
absent x.gguf x.json x

# ---- measured: a plan that loses much gains; one that loses nothing does not
mkdir -p text
head -c 5600 "$SRC/tests/data/perplexity/text.txt" | split -C 700 --additional-suffix=.txt - text/p
ok plan "$SRC/examples/stats.json" --keep 8 -o eight.json
gain=(gain "$TINY" --plan eight.json -c text --set-aside 0.6 --tokens 400 -t 1 -q)
ok "${gain[@]}" -o found.json --json
json .out helps=true 'output="found.json"' measured/layers/5/least_squares measured/check/n_windows
json found.json 'schema="reap.gain/1"' measured/share "keep_sha256=\"$(hash_of eight.json)\""
expect 'it helps on text that it was not found on' awk -v d="$(value found.json measured/check/difference)" -v e="$(value found.json measured/check/stderr)" 'BEGIN { exit !(d < -2 * e && e > 0) }'
ok "${gain[@]}" -o h.json
equal found.json h.json gain measured
ok prune "$TINY" --plan eight.json --gain found.json -o g.gguf
ok verify "$TINY" g.gguf --plan eight.json --gain found.json
ok plan "$SRC/examples/stats.json" --keep 32 -o all.json
rc 3 gain "$TINY" --plan all.json -c text --set-aside 0.6 --tokens 400 -t 1 -q -o none.json
has .err 'does not help beyond 2 errors; nothing is written'
absent none.json
# ---- too little text to decide: known before anything is measured
printf '{"text": "%s"}\n' 'one two three' 'four five six' 'seven eight nine' >three.jsonl
fails 2 'the part that decides: nothing is set aside for checks' -- gain "$TINY" --plan eight.json -c three.jsonl --set-aside 0.3 -t 1 -o x.json
lacks .err 'matching'
{ cat three.jsonl && cat three.jsonl; } | sed 's/one/won/' >six.jsonl
fails 2 'one window of text is set aside to decide' -- gain "$TINY" --plan eight.json -c six.jsonl --set-aside 0.3 -t 1 -o x.json
fails 2 '--set-aside: 1 is out of range' -- "${gain[@]}" --set-aside 1 -o x.json
fails 2 'exists' -- "${gain[@]}" -o found.json
fails 2 'is an input' -- "${gain[@]}" -o eight.json --force
finish
