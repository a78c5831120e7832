# Shards of a profile, and runs over different texts, added up.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
C=$SRC/examples/calibration/by-category
P() { ok profile "$TINY" --calib "$C" -t 1 "$@"; }

# ---- shards: together they are the whole run; counts and maxima exactly, sums but for the order in which they are added
P -o all.json
for i in 1 2 3; do P -o "p$i.json" --shard "$i/3"; done
ok stats merge p3.json p1.json p2.json -o sum.json
ok stats merge p1.json p2.json p3.json -o sum2.json
expect 'the order of the operands does not matter' cmp sum.json sum2.json
expect 'calibration and model are those of the whole run' "$JSON" same all.json sum.json layers
for l in 0 3 5; do
    for k in count max_activation; do
        for h in even odd; do
            equal all.json sum.json layers/$l/halves/$h/$k
        done
    done
    expect 'sums' "$JSON" near all.json sum.json 1e-13 layers/$l/reap_sum layers/$l/ean_sq_sum layers/$l/gate_sum
done
P -o p9.json --shard 1000/1000
has .err 'shard 1000 of 1000 is empty'
ok plan p1.json --keep 8 -o p1.plan.json
has .err 'warning: .p1.json. is one shard'
ok stats p1.json
has .out 'shard 1 of 3'
ok plan sum.json --keep 8 -o sum.plan.json
lacks .err 'shard'
fails 2 'no token' -- plan p9.json --keep 8 -o p.json
for shard in 0/3 4/3 1 1/ /3 a/3 1/3x -1/3 1/0; do
    fails 2 '--shard' -- profile "$TINY" --calib "$C" -o x.json --shard "$shard"
done
# an unfinished shard, another shard, another run
fails 2 "'shard' differs" -- profile "$TINY" --calib "$C" -t 1 -o p1.json --shard 2/3 --resume
ok profile "$TINY" --calib "$C" -t 1 -o p1.json --shard 1/3 --resume
has .out 'is complete'

fails 2 'shard 2 of 3 is missing' -- stats merge p1.json p3.json -o x.json
cp p1.json p1b.json
fails 2 'shard 1 of 3 is there twice' p1b -- stats merge p1.json p1b.json p2.json p3.json -o x.json
fails 2 "'mrege' does not exist" 'did you mean stats merge' -- stats mrege p1.json p2.json -o x.json
fails 2 'is given twice' -- stats merge p1.json ./p1.json -o x.json
fails 2 'its text would count twice' -- stats merge all.json p1.json p2.json p3.json -o x.json

# ---- different texts
ok profile "$TINY" --calib "$SRC/examples/calibration/text.jsonl" -t 1 -o text.json
ok stats merge all.json text.json -o both.json --json
json .out 'command="stats"' n_files=2
n=$(($("$JSON" get all.json calibration/n_tokens) + $("$JSON" get text.json calibration/n_tokens)))
json both.json calibration/n_tokens=$n layers/0/total_tokens=$n
ok plan both.json --keep 16 --model "$TINY" -o p.json
ok profile "$TINY" --calib "$SRC/examples/calibration/text.jsonl" -t 1 -o ctx.json --ctx 64
fails 2 "another 'ctx'" -- stats merge all.json ctx.json -o x.json
ok stats merge all.json ctx.json -o x.json --force
has .err "warning: ctx.json was made with another 'ctx'"
ok stats merge text.json ctx.json -o x.json --force
has .err 'may count twice'
ok profile "$MODELS/qwen3_moe/model.gguf" --calib "$MODELS/qwen3_moe/texts.jsonl" -t 1 -o q.json
fails 2 'another model' -- stats merge all.json q.json -o x2.json
"$JSON" set all.json progress '{"batches_done":1,"batches":2}' >open.json
fails 2 'not ended' -- stats merge open.json text.json -o x2.json

# ---- usage
fails 2 '--output is missing' -- stats merge all.json text.json
fails 2 'missing operand' -- stats merge -o x2.json
fails 2 'exists' -- stats merge all.json text.json -o both.json
fails 2 'is an input' -- stats merge all.json text.json -o text.json --force
fails 2 '--output does not go with' -- stats all.json -o x2.json
fails 2 '--criterion does not go with' -- stats merge all.json --criterion reap -o x2.json
cp all.json merge
ok stats ./merge
has .out 'tinymoe'
finish
