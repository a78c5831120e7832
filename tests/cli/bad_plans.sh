# Plans that are damaged, written by hand with a mistake, or made for another model.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
Q=$MODELS/qwen3_moe/model.gguf
hand_plan "$Q" 4 good.json
P() { "$JSON" set good.json "$@" >bad.json || say_bad "json_tool set $*"; }
ok prune "$Q" --plan good.json -o kept.gguf

bad_plan() {
    fails 2 bad.json "$@" -- prune "$Q" --plan bad.json -o out.gguf
    fails 2 bad.json "$@" -- prune "$Q" --plan bad.json -o out.gguf --force
    fails 2 bad.json "$@" -- prune "$Q" --plan bad.json -o out.gguf --dry-run
    fails 2 bad.json "$@" -- verify "$Q" kept.gguf --plan bad.json
}

# ---- the file
fails 2 missing.json 'No such file' -- prune "$Q" --plan missing.json -o out.gguf
fails 2 'a folder' -- prune "$Q" --plan . -o out.gguf
: >bad.json
bad_plan 'not valid JSON'
head -c 200 good.json >bad.json
bad_plan 'not valid JSON'
echo '[]' >bad.json
bad_plan 'expected a JSON object' 'reap.plan/1'
P schema '"reap.plan/2"'
bad_plan "schema is 'reap.plan/2'" "expected 'reap.plan/1'"
P schema -
bad_plan "'schema' is missing"
cp "$MODELS/qwen3_moe/golden_stats.json" bad.json
bad_plan schema
P keep -
bad_plan "'keep' is missing"
P keep '{}'
bad_plan 'no layers'
P keep '[[0,1]]'
bad_plan "'keep' is a list"
P n_keep -
bad_plan "'n_keep' is missing"
for v in 0 -1 65537 4.0 '"4"' null; do
    P n_keep "$v"
    bad_plan n_keep
done
sed 's/"keep"/"n_keep"/' good.json >bad.json
bad_plan duplicate

# ---- layers
P keep/7 '[0,1,2,3]'
bad_plan 'layer 7' 'not a layer with experts' '0 to 2'
P keep/1 -
bad_plan 'layer 1' 'no entry'
P keep/2 -
bad_plan 'layer 2' 'no entry'
P keep/01 '[0,1,2,3]'
bad_plan "'01'" 'layer number'
P keep/x '[0,1,2,3]'
bad_plan "'x'" 'layer number'
P keep/-1 '[0,1,2,3]'
bad_plan "'-1'" 'layer number'
P keep/1 '{}'
bad_plan 'keep.1' 'a list'
P keep/1 null
bad_plan 'keep.1' 'a list'
"$JSON" set good.json 'keep/3 ' '[0,1,2,3]' >bad.json
bad_plan 'layer number'

# ---- ids
P keep/1 '[0,1,1,3]'
bad_plan 'layer 1' 'expert 1' 'twice'
P keep/1 '[0,1,2,8]'
bad_plan 'layer 1' 'expert 8' 'out of range' '0 to 7'
P keep/1 '[0,1,2,4294967295]'
bad_plan 'layer 1' 'entry 3|expert 4294967295'
P keep/1 '[0,1,2,-1]'
bad_plan 'layer 1' 'entry 3'
P keep/1 '[0,1,2,3.0]'
bad_plan 'layer 1' 'entry 3'
P keep/1 '[0,1,2,"3"]'
bad_plan 'layer 1' 'entry 3'
P keep/1 '[0,2,1,3]'
bad_plan 'layer 1' 'expert 1' 'behind 2' 'ascending'
P keep/1 '[0,1,2]'
bad_plan 'layer 1' '3 experts' 'n_keep is 4'
P keep/1 '[0,1,2,3,4]'
bad_plan 'layer 1' '5 experts' 'n_keep is 4'
P keep/1 '[]'
bad_plan 'layer 1' '0 experts'
P n_keep 5
bad_plan 'layer 0' 'n_keep is 5'

# ---- counts
P n_keep 1 keep/0 '[0]' keep/1 '[0]' keep/2 '[0]'
bad_plan '1 of 8' 'routed to 2' 'top-k'
P n_keep 9 keep/0 '[0,1,2,3,4,5,6,7,8]' keep/1 '[0,1,2,3,4,5,6,7,8]' keep/2 '[0,1,2,3,4,5,6,7,8]'
bad_plan '9 experts' 'has 8'

# ---- groups: equal numbers of each, or experts would move between groups
D=$MODELS/deepseek_v3/model.gguf
"$JSON" set "$MODELS/deepseek_v3/plan.json" keep/1 '[0,1,2,3,5,6,9,11]' >bad.json
fails 2 bad.json 'layer 1' '3 experts of group 0' 'ids 0 to 2' 'expected 2' -- prune "$D" --plan bad.json -o out.gguf --quiet
printf '{"schema":"reap.plan/1","n_keep":6,"keep":{"1":[0,1,2,3,4,5],"2":[0,1,2,3,4,5]}}' >bad.json
fails 2 bad.json '6 of 12' 'multiple of the 4' -- prune "$D" --plan bad.json -o out.gguf --quiet
printf '{"schema":"reap.plan/1","n_keep":4,"keep":{"1":[0,3,6,9],"2":[0,3,6,9]}}' >bad.json
fails 2 bad.json '4 of 12' 'groups' -- prune "$D" --plan bad.json -o out.gguf --quiet
"$JSON" set "$MODELS/deepseek_v3/plan.json" keep/0 '[0,1,2,3,5,6,9,11]' >bad.json     # block 0 is dense
fails 2 bad.json 'layer 0' 'not a layer with experts' '1 to 2' -- prune "$D" --plan bad.json -o out.gguf --quiet
"$JSON" set "$MODELS/llama4/plan.json" keep/2 '[0,1,2,3,4]' >bad.json     # blocks 1 and 3 have experts
fails 2 bad.json 'layer 2' 'not a layer with experts' 'not all' -- prune "$MODELS/llama4/model.gguf" --plan bad.json -o out.gguf --quiet
# MTP block: has no entry of its own
G=$MODELS/glm4_moe/model.gguf
"$JSON" set "$MODELS/glm4_moe/plan.json" keep/3 '[0,1,2,3,4]' >bad.json
fails 2 bad.json 'layer 3' -- prune "$G" --plan bad.json -o out.gguf --quiet

# ---- for another model
"$EDIT" "$Q" other.gguf f32 blk.1.ffn_gate_inp.weight 3 0.75
fails 2 good.json other.gguf 'another model' router_hash -- prune other.gguf --plan good.json -o out.gguf
fails 2 good.json other.gguf 'another model' router_hash -- verify other.gguf kept.gguf --plan good.json
fails 2 good.json 'another model' architecture qwen3moe llama -- prune "$MODELS/mixtral/model.gguf" --plan good.json -o out.gguf
ok prune other.gguf --plan good.json -o forced.gguf --force
has .err '^reap: warning: .*another model.*force'
ok verify other.gguf forced.gguf
ok verify other.gguf forced.gguf --plan good.json --force
ok prune other.gguf --plan good.json -o forced.gguf --force --json --quiet
json .out warnings/0
rm forced.gguf
P model/n_experts 16
fails 2 bad.json 'another model' n_experts 16 8 -- prune "$Q" --plan bad.json -o out.gguf
P model/n_experts '"8"'
fails 2 bad.json n_experts -- prune "$Q" --plan bad.json -o out.gguf
# what --force never accepts: a plan that does not fit
hand_plan "$D" 8 bad.json
rc 2 prune "$Q" --plan bad.json -o out.gguf --force --quiet
has .err '^reap: warning: .*architecture' '^reap: bad.json: layer 0 has experts, but no entry'
# a plan for one layer more of another model with the same ids
"$JSON" set "$MODELS/olmoe/plan.json" keep/9 '[0,1]' >bad.json
fails 2 bad.json -- prune "$Q" --plan bad.json -o out.gguf --force --quiet

# ---- without an identity: said once, accepted
P model -
ok prune "$Q" --plan bad.json -o anon.gguf
has .err '^note: .*bad.json does not say which model'
lacks .err 'warning'
expect 'the identity of a plan does not change the weights' "$REAP" verify "$Q" anon.gguf --plan good.json
P model null
ok prune "$Q" --plan bad.json -o anon.gguf --force
P model/router_hash null
ok prune "$Q" --plan bad.json -o anon.gguf --force
has .err 'warning: .*no router hash'
# the order of the layers in the file means nothing
printf '{"keep":{"2":[0,1,2,3],"0":[0,1,2,3],"1":[0,1,2,3]},"n_keep":4,"schema":"reap.plan/1","my_remark":{"any":["thing"]}}' >order.json
ok prune "$Q" --plan order.json -o o1.gguf --no-provenance
P model -
ok prune "$Q" --plan bad.json -o o2.gguf --no-provenance
expect 'a permuted plan gives the same file' cmp o1.gguf o2.gguf
absent out.gguf
no_parts
finish
