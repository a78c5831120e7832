# Sums over pairs of experts: the second file of a profile, and the criterion that needs it.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
Q=$MODELS/qwen3_moe/model.gguf
texts=$MODELS/qwen3_moe/texts.jsonl
P() { ok profile "$Q" --calib "$texts" -t 1 "$@"; }
hash_of() { sha256sum "$1" | cut -d' ' -f1; }

P -o s.json
json s.json "pairs/sha256=\"$(hash_of s.json.pairs)\""
expect '16 L E (E - 1) bytes and the head' test "$(stat -c %s s.json.pairs)" -eq $((16 * 3 * 8 * 7 + 8 * (4 + 4 * 3)))

# ---- without it the stats file serves all but one criterion
ok plan s.json --keep 4 --criterion hope -o p.json
json p.json criterion=\"hope\" lost/0/score_lost lost/0/highest_removed=null
ok plan s.json --keep 4 --criterion hope -o p2.json
expect 'the same again' cmp p.json p2.json
echo '{"0": [0], "2": [7]}' >keep.json
ok plan s.json --keep 4 --criterion hope --protect keep.json --protect-super -o p3.json
json p3.json keep/0/0=0 keep/2/3=7
ok sweep "$Q" --stats s.json --text "$texts" --ctx 64 -r 0.25 --criteria hope,loo -t 1
has .out '^hope '
cp s.json alone.json
fails 2 'criterion hope' "'alone.json.pairs' is not there" -- plan alone.json --keep 4 --criterion hope -o x.json
for c in reap loo loo_mean reap_sq_sum; do ok plan alone.json --keep 4 --criterion $c -o x.json -f; done
ok stats alone.json
cp s.json.pairs alone.json.pairs
printf 'x' | dd of=alone.json.pairs bs=1 seek=200 conv=notrunc status=none
fails 2 'alone.json.pairs' -- plan alone.json --keep 4 --criterion hope -o x.json -f
P -o other.json --max-samples 3
cp other.json.pairs alone.json.pairs
fails 2 'not those of the stats file' -- plan alone.json --keep 4 --criterion hope -o x.json -f

# ---- what needs a score of each expert says so
fails 2 'chooses a set of experts' -- stats s.json --criterion hope
fails 2 'chooses a set' 'use --blend mean' -- plan --stats s.json --stats other.json --keep 4 --criterion hope --blend maxmin -o x.json -f
ok plan --stats s.json --stats other.json --keep 4 --criterion hope -o blend.json
json blend.json blend=\"mean\"

# ---- the stats file was removed or renamed: what lies beside its name stops nobody and is not lost
P -o gone.json
mv gone.json moved.json
cp gone.json.pairs kept
P -o gone.json --max-samples 3
has .err "'gone.json.pairs' lay there without 'gone.json'.*it is 'gone.json.pairs.old' now"
expect 'the old sums are there' cmp gone.json.pairs.old kept
expect 'and the new ones' cmp gone.json.pairs other.json.pairs
mv gone.json.pairs.old moved.json.pairs
ok plan moved.json --keep 4 --criterion hope -o moved.plan.json
expect 'they still serve the file that was renamed' "$JSON" same p.json moved.plan.json sources
rm gone.json
: >gone.json.pairs.old
P -o gone.json --resume
expect 'no name is taken that is there' cmp gone.json.pairs.old2 other.json.pairs
expect 'empty as it was' test ! -s gone.json.pairs.old
rm gone.json
ok stats merge s.json other.json -o gone.json
has .err "it is 'gone.json.pairs.old3' now"
ok plan gone.json --keep 4 --criterion hope -o x.json -f
rm gone.json
P -o gone.json --pairs off -q
expect 'a profile without touches them not' test -s gone.json.pairs

# ---- an output is not the second file of an input
not_onto() { fails 2 's.json.pairs. is the sums over pairs of the stats file' -- "$@" -o s.json.pairs -f; }
not_onto plan s.json --keep 4
not_onto stats merge s.json other.json
not_onto report --stats s.json
not_onto sweep "$Q" --stats s.json --text "$texts" -r 0.25 --max-kl 1
not_onto choose "$Q" --stats s.json --text "$texts" --keep 4
not_onto refine "$Q" --stats s.json --plan p.json --calib "$texts"

# ---- left out
P -o off.json --pairs off
refuse 'no second file' test -e off.json.pairs
lacks off.json '"pairs"'
fails 2 'criterion hope' 'profile --pairs on keeps them' -- plan off.json --keep 4 --criterion hope -o x.json -f
expect 'the sums are the same' "$JSON" same off.json s.json pairs

# ---- shards
for i in 1 2; do P -o "h$i.json" --shard "$i/2"; done
ok stats merge h1.json h2.json -o sum.json
json sum.json "pairs/sha256=\"$(hash_of sum.json.pairs)\""
ok plan sum.json --keep 4 --criterion hope -o sum.plan.json
expect 'the shards choose as the whole does' "$JSON" same p.json sum.plan.json sources lost
rm h2.json.pairs
ok stats merge h1.json h2.json -o sum3.json
has .err 'warning: h2.json comes without sums over pairs'
refuse 'no second file' test -e sum3.json.pairs
: >sum4.json.pairs
fails 2 'sum4.json.pairs' 'force' -- profile "$Q" --calib "$texts" -t 1 -o sum4.json
refuse 'none of both' test -e sum4.json
rc 2 stats merge s.json other.json -o sum4.json
has .err 'sum4.json.pairs'
refuse 'none of both' test -e sum4.json
P -o sum4.json -f
expect 'replaced' cmp s.json.pairs sum4.json.pairs
fails 2 'input' -- stats merge s.json other.json -o s.json -f

# ---- routers that give it no meaning
ok profile "$MODELS/olmoe/model.gguf" --calib "$MODELS/olmoe/texts.jsonl" -t 1 -o olmoe.json
json olmoe.json gate=\"softmax\" layers/0/gate_mass/0
fails 2 'the criterion loo needs sums' 'does not renormalise' -- plan olmoe.json --keep 8 --criterion loo -o x.json -f
ok plan olmoe.json --keep 8 --criterion hope -o x.json -f
ok profile "$MODELS/llama4/model.gguf" --calib "$MODELS/llama4/texts.jsonl" -t 1 -o llama4.json
json llama4.json gate=\"input\"
fails 2 'the criterion loo_mean needs sums' "multiplies the experts' input" -- plan llama4.json --keep 4 --criterion loo_mean -o x.json -f
finish
