# Stats files that are damaged, edited, unfinished or of another model.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
Q=$MODELS/qwen3_moe/model.gguf
ok profile "$Q" --calib "$MODELS/qwen3_moe/texts.jsonl" -t 1 -o s.json
S() { "$JSON" set s.json "$@" >bad.json || say_bad "json_tool set $*"; }

# stats, plan and profile --resume refuse it alike
bad_file() {
    fails 2 bad.json "$@" -- stats bad.json
    fails 2 bad.json "$@" -- plan bad.json --keep 4 -o p.json
    fails 2 bad.json "$@" -- profile "$Q" --calib "$MODELS/qwen3_moe/texts.jsonl" -t 1 -o bad.json --resume
}

fails 2 missing.json 'No such file' -- stats missing.json
fails 2 missing.json 'No such file' -- plan missing.json --keep 4 -o p.json
fails 2 'a folder' -- stats .
fails 2 "$Q" 'not valid JSON' -- stats "$Q"

# ---- not the JSON it should be
: >bad.json
bad_file 'not valid JSON' 'line 1'
head -c 3000 s.json >bad.json
bad_file 'not valid JSON' 'line [0-9]+, column [0-9]+'
head -c -3 s.json >bad.json
bad_file 'not valid JSON'
{ cat s.json; echo '{}'; } >bad.json
bad_file 'not valid JSON'
echo '[1, 2]' >bad.json
bad_file 'expected a JSON object' 'reap.stats/1'
echo '"reap.stats/1"' >bad.json
bad_file 'expected a JSON object'
sed '0,/"version"/s//"schema"/' s.json >bad.json
bad_file 'duplicate'
tr '\n' '\0' <s.json >bad.json
bad_file 'not valid JSON'
{ printf '{"schema":"'; printf '\377\376'; printf '"}'; } >bad.json
bad_file 'not valid JSON'
head -c 100000 /dev/zero | tr '\0' '[' >bad.json
bad_file 'not valid JSON'

# ---- another schema
S schema '"reap.stats/2"'
bad_file "schema is 'reap.stats/2'" "expected 'reap.stats/1'"
S schema '"reap.plan/1"'
bad_file "schema is 'reap.plan/1'" "expected 'reap.stats/1'"
S schema -
bad_file "'schema' is missing"
S schema 1
bad_file "'schema' is an integer" 'expected a string'
S schema '"\u001b[31mred"'
bad_file 'schema'
lacks .err $'\x1b'
hand_plan "$Q" 4 bad.json
bad_file "schema is 'reap.plan/1'"

# ---- members that are missing or of another kind
S model -
bad_file "'model' is missing"
S layers -
bad_file "'layers' is missing"
S layers '{}'
bad_file '0 layers'
S layers '[]'
bad_file "'layers' is a list"
S layers/1 '3'
bad_file 'layers.1' 'an object'
S layers/1/halves -
bad_file 'layers.1' "'halves' is missing"
S layers/1/halves/odd -
bad_file 'layers.1' "'odd' is missing"
S layers/2/halves/even/reap_sum -
bad_file 'layers.2.halves.even' "'reap_sum' is missing"
S layers/2/total_tokens -
bad_file 'layers.2' "'total_tokens' is missing"
S layers/2/n_experts_used 9
bad_file 'layers.2' "'n_experts_used' is 9" '1 to 8'
S layers/2/count/7 -
bad_file 'layers.2' "'count' has 7 entries" 'expected 8'
S layers/2/halves/odd/gate_sum/7 -
bad_file 'layers.2.halves.odd' "'gate_sum' has 7 entries" 'expected 8'
S model/n_experts 7
bad_file "has 8 entries, expected 7"
S model/n_experts -8
bad_file "'n_experts'"
S model/n_experts 100000
bad_file '100000 experts'
S model/n_experts '"8"'
bad_file "'n_experts' is a string"
sed 's/"2": {/"two": {/' s.json >bad.json
bad_file 'layers.two' 'number'
sed 's/"2": {/"02": {/' s.json >bad.json
bad_file 'layers.02' 'number'
sed 's/"2": {/"2\\u001b[31m": {/' s.json >bad.json
bad_file 'number'
lacks .err $'\x1b'
sed 's/"2": {/"-2": {/' s.json >bad.json
bad_file 'number'

# ---- numbers that cannot be
for v in '"x"' null true '[]' '{}'; do
    S layers/0/halves/even/ean_sum/3 "$v"
    bad_file 'layers.0.halves.even' "'ean_sum' entry 3" 'finite number'
    S layers/0/halves/even/count/3 "$v"
    bad_file 'layers.0.halves.even' "'count' entry 3" 'integer'
done
for v in NaN Infinity -Infinity 1e999; do
    S layers/0/halves/even/ean_sum/3 777777
    sed -i "s/777777/$v/" bad.json
    bad_file 'not valid JSON'
done
S layers/0/halves/even/count/3 1.5
bad_file "'count' entry 3" 'integer'
S layers/0/halves/even/count/3 -1
bad_file "'count' entry 3" '0 or more'
S layers/0/halves/even/reap_sum/3 -1.0 layers/0/reap_sum/3 -1.0
bad_file 'layer'
lacks .err '-nan'

# ---- edited: the sums do not fit each other any more
c=$("$JSON" get s.json layers/1/count/3)
S layers/1/count/3 $((c + 5))
bad_file 'layers.1' "'count' of expert 3 is $((c + 5))" "$c"
h=$("$JSON" get s.json layers/1/halves/odd/count/3)
S layers/1/count/3 $((c + 5)) layers/1/halves/odd/count/3 $((h + 5))
bad_file 'layer 1' 'counts add up to' 'top-2'
S layers/1/reap_sum/3 123456.5
bad_file 'layers.1' "'reap_sum' of expert 3"
S layers/1/total_tokens 5
bad_file 'layers.1' "'total_tokens' is 5"
S layers/1/halves/even/total_tokens 5
bad_file 'layers.1' 'total_tokens'
a=$("$JSON" get s.json layers/1/halves/even/total_tokens)
t=$("$JSON" get s.json layers/1/total_tokens)
S layers/1/halves/even/total_tokens $((a + 4)) layers/1/total_tokens $((t + 4))
bad_file 'layer 1'
# 2^62 tokens x top-2 is 0 in 64 bits
zero='[0,0,0,0,0,0,0,0]'
edits=()
for il in 0 1 2; do
    for at in layers/$il layers/$il/halves/even layers/$il/halves/odd; do
        edits+=("$at/total_tokens" 0)
        for k in count gate_sum gate_sq_sum ean_sum ean_sq_sum reap_sum reap_sq_sum max_activation loo_sum loo_sq_sum; do edits+=("$at/$k" "$zero"); done
    done
    edits+=("layers/$il/n_experts_used" 4 layers/$il/total_tokens 4611686018427387904 layers/$il/halves/odd/total_tokens 4611686018427387904)
done
S "${edits[@]}"
fails 2 bad.json 'counts' -- stats bad.json
# a file of no tokens at all decides nothing
edits+=()
S "${edits[@]}" layers/0/total_tokens 0 layers/0/halves/odd/total_tokens 0 layers/1/total_tokens 0 layers/1/halves/odd/total_tokens 0 \
    layers/2/total_tokens 0 layers/2/halves/odd/total_tokens 0
fails 2 bad.json 'token' -- plan bad.json --keep 4 -o p.json
ok stats bad.json --json
json .out layers/0/score_kept/4
ok stats bad.json
lacks .out nan inf

# ---- whole, but of another model
fails 2 s.json 'another model' "architecture is 'qwen3moe'" "'llama'" -- plan s.json --keep 4 --model "$MODELS/mixtral/model.gguf" -o p.json
"$EDIT" "$Q" other.gguf f32 blk.1.ffn_gate_inp.weight 3 0.75
fails 2 s.json 'another model' router_hash -- plan s.json --keep 4 --model other.gguf -o p.json
ok plan s.json --keep 4 --model other.gguf -o forced.json --force
has .err '^reap: warning: .*another model.*force'
fails 2 'another model' router_hash other.gguf -- prune other.gguf --plan forced.json -o o.gguf    # --force once does not hold for ever
fails 2 'cannot resume' 'another model' router_hash -- profile other.gguf --calib "$MODELS/qwen3_moe/texts.jsonl" -t 1 -o s.json --resume
fails 2 'cannot resume' 'other calibration' -- profile "$Q" --calib "$MODELS/qwen3_moe/texts.jsonl" -t 1 -o s.json --resume --ctx 64
fails 2 'cannot resume' 'other calibration' files -- profile "$Q" --calib "$TEXT/prose/story.txt" -t 1 -o s.json --resume
# counts that fit by number but not by layer: --force cannot help
sed 's/"2": {/"5": {/' s.json >bad.json
fails 2 bad.json 'layer' -- plan bad.json --keep 4 --model "$Q" -o p.json
fails 2 bad.json 'layer' -- plan bad.json --keep 4 --model "$Q" -o p.json --force
S layers/2 -
fails 2 bad.json 'layers' -- plan bad.json --keep 4 --model "$Q" -o p.json

# ---- a text in it cannot drive the terminal
S model/name '"x\u001b[31mred\u0007"'
ok stats bad.json
lacks .out $'\x1b' $'\x07'
lacks .err $'\x1b'

# ---- counts that the router forbids
fails 2 s.json '1 of 8' 'top-k' -- plan s.json --keep 1 -o p.json
fails 2 s.json '9' 'has 8' -- plan s.json --keep 9 -o p.json
fails 2 'round-to' '9' '8 experts' -- plan s.json --keep 4 --round-to 9 -o p.json
fails 2 'multiple of 5' -- plan s.json --keep 6 --round-to 5 -o p.json
fails 2 -- plan s.json --fit 1G -o p.json
has .err '--fit needs the model'
fails 2 '--fit' '2 of 8' -- plan s.json --fit 1k --model "$Q" -o p.json
for r in 0 0.1 0.125 0.13 0.25 0.5 0.74 0.75 0.9 1; do
    ok plan s.json --prune-ratio $r -o "r$r.json"
    n=$("$JSON" get "r$r.json" n_keep)
    expect "prune ratio $r keeps $n: never more than asked is pruned, never fewer stay than top-k" awk -v n="$n" -v r=$r \
        'BEGIN { exit !(n >= 2 && n >= (1 - r) * 8 - 1e-6 && (n == 2 || n - 1 < (1 - r) * 8 - 1e-6)) }'
done
ok profile "$MODELS/deepseek_v3/model.gguf" --calib "$MODELS/deepseek_v3/texts.jsonl" -t 1 -o g.json
fails 2 g.json '10 of 12' 'multiple of the 4 expert groups' '8' '12' -- plan g.json --keep 10 -o p.json
fails 2 g.json '4 of 12' 'groups' 'at least 2|top-k' -- plan g.json --keep 4 -o p.json
ok plan g.json --prune-ratio 0.2 -o gp.json     # 10 would be wanted, 12 is possible
json gp.json n_keep=12
has .err '12 stay'
no_parts
finish
