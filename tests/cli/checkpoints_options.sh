# Checkpoints: shards, aliases of the count, MTP blocks left out, names and places that are odd, what lies beside the weights.
. "$(dirname "$0")/lib.bash"
. "$SRC/tests/cli/checkpoint.bash"
M=$FORMS/mixtral
plan=$M/pruned/plan.json
D=$FORMS/deepseek-v3-fp8
ok prune "$M" --plan "$plan" -o out

# ---- a class that transformers spelled otherwise is the same family: its selection bias is cut too
f=$FORMS/ernie4.5-moe
cp -r "$f" spelled
sed -i 's/Ernie4_5_MoeForCausalLM/Ernie4_5_MoEForCausalLM/' spelled/config.json
ok prune "$f" --plan "$f/pruned/plan.json" -o one
ok prune spelled --plan "$f/pruned/plan.json" -o other
lacks .err 'not known'
same_tensors 'another spelling of the class' one other
rm -rf spelled one other

# ---- figures: no scale is a parameter, no router is in the experts; shared experts are shown
count() { # weights whose names match, without scales
    "$TOOL" list "$D" | awk -v p="$1" '
        $1 ~ p && $1 !~ /scale/ { n = 1; gsub(/[^0-9]+/, " ", $3); m = split($3, d, " "); for (i = 1; i <= m; i++) n *= d[i]; sum += n }
        END { print sum }'
}
ok inspect "$D" --json
json .out parameters="$(count .)" expert_parameters="$(count '[.]experts[.]')" shared_expert_parameters="$(count shared_experts)"
ok inspect "$D"
has .out "^parameters .*, in experts .*, in shared experts 2,304$" 'shared experts beside them, 2.34 kB'
ok inspect "$M"
lacks .out 'shared'

# ---- Mistral's own layout: files without an index, others than the input's, a folder with both layouts, none of the weights
O=$FORMS/mistral-own-fp8
cp -r "$O" own
rm -r own/pruned own/consolidated.safetensors.index.json
ok prune own --plan "$O/pruned/plan.json" -o one
ok prune "$O" --plan "$O/pruned/plan.json" -o other --max-shard-size 10K
same_tensors 'files without an index' one other
expect 'files of the same kind' test -s other/consolidated-00002-of-00004.safetensors -a -s other/consolidated.safetensors.index.json
absent other/model.safetensors.index.json other/config.json
ok verify "$O" other --plan "$O/pruned/plan.json"
ok inspect other
has .out "^checkpoint +Mistral's own layout"
fails 2 "Mistral's own layout .*cannot be converted" -- convert "$O" -o own.gguf
sed 's/"num_experts": 8/"num_experts": 9/' "$O/params.json" >own/params.json
fails 2 "but params.json says 9 experts" -- inspect own
sed 's/"num_experts": 8/"experts": 8/' "$O/params.json" >own/params.json
fails 2 'params.json: the number of experts is missing' -- inspect own
cp "$O/params.json" own
cp "$M/config.json" "$M/model.safetensors" own
ok inspect own --json
json .out 'class="MixtralForCausalLM"' n_files=1
# the config of the other layout states the count too; what is no object states none
ok prune own --plan "$plan" -o both
expect 'params.json has the count of config.json' test "$("$JSON" get both/params.json moe/num_experts)" = "$("$JSON" get both/config.json num_local_experts)"
absent both/consolidated.safetensors.index.json
ok verify own both --plan "$plan"
cp own/params.json both/params.json
call 3 verify own both --plan "$plan"
has .out "params.json"
rm -rf both
echo '["any", "thing"' >own/params.json
ok prune own --plan "$plan" -o both
expect 'params.json that is no object is copied' cmp -s own/params.json both/params.json
rm -rf both
cp "$O/params.json" own
rm own/model.safetensors own/config.json own/consolidated-*
fails 2 'own' 'consolidated.safetensors is missing' -- inspect own
rm -rf own one other

# ---- how tensors are spread over files is free
ok prune "$M" --plan "$plan" -o shards --max-shard-size 10K
# more shards, out and in, than a process may have open at first
n_many=40
(ulimit -Sn 32 && "$REAP" prune "$M" --plan "$plan" -o many --max-shard-size 200 --quiet >.out 2>.err)
got=$?
expect "more shards than open files: exit status 0, not $got" test $got = 0
expect 'there are more of them' test "$(find many -name '*.safetensors' | wc -l)" -ge "$n_many"
(ulimit -Sn 32 && "$REAP" verify "$M" many --plan "$plan" >.out 2>.err)
got=$?
expect "they are read again: exit status 0, not $got" test $got = 0
rm -rf many
compare "$M/pruned" shards
n=$(find shards -name 'model-0000?-of-0000?.safetensors' | wc -l)
expect "10 kB of 43 each: 5 files or more, not $n" test "$n" -ge 5
expect 'with an index' test -s shards/model.safetensors.index.json
absent shards/model.safetensors
expect 'no file of more than 10 kB and its header' test -z "$(find shards -name '*.safetensors' -size +20k)"
ok verify "$M" shards --plan "$plan"
ok inspect shards --json
json .out n_files="$n" model/n_experts=6
ok prune "$D" --plan "$D/pruned/plan.json" -o whole --max-shard-size 1G
compare "$D/pruned" whole
expect 'one file' test "$(find whole -name '*.safetensors' | wc -l)" = 1
ok verify "$D" whole --plan "$D/pruned/plan.json"
ok prune "$D" --plan "$D/pruned/plan.json" -o merged --merge
expect 'merged: one file' test "$(find merged -name '*.safetensors' | wc -l)" = 1
same_tensors merged whole merged
rm -rf shards whole merged

# ---- --add-count-aliases
ok prune "$M" --plan "$plan" -o aliases --add-count-aliases
json aliases/config.json num_local_experts=6 num_experts=6 n_experts=6
"$JSON" set aliases/config.json num_experts - n_experts - >without.json
expect 'nothing else in config.json' "$JSON" same without.json "$M/pruned/config.json"
same_tensors aliases out aliases
ok verify "$M" aliases --plan "$plan"
rm -rf aliases

# ---- --mtp drop: no tensor is left, the count says 0, all else is as it was
while read -r form prefix key; do
    f=$FORMS/$form
    rm -rf dropped expected pruned
    cp -r "$f/pruned" expected
    if [[ $key ]]; then
        sed -i "s/\"$key\": 1/\"$key\": 0/" expected/config.json
        refuse "$form has $key" cmp -s "$f/pruned/config.json" expected/config.json
    fi
    ok prune "$f" --plan "$f/pruned/plan.json" -o dropped --mtp drop
    compare expected dropped "$prefix"
    ok inspect dropped --json
    json .out n_mtp_blocks=0
    ok verify "$f" dropped --plan "$f/pruned/plan.json"
    ok prune "$f" --plan "$f/pruned/plan.json" -o pruned --mtp prune
    compare "$f/pruned" pruned
done <<'END'
deepseek-v3-fp8 model.layers.3. num_nextn_predict_layers
glm4-moe model.layers.3. num_nextn_predict_layers
bailing-moe-v2 model.layers.3. num_nextn_predict_layers
qwen3-next-mtp mtp.
nemotron-h mtp. num_nextn_predict_layers
qwen3.5-moe-nvfp4 mtp. mtp_num_hidden_layers
END
rm -rf dropped expected pruned

# ---- odd places
cp -r "$M" 'mit Leerzeichen & Ümläut – 专家'
ok prune 'mit Leerzeichen & Ümläut – 专家' --plan "$plan" -o 'aus gabe é'
compare "$M/pruned" 'aus gabe é'
ok verify 'mit Leerzeichen & Ümläut – 专家' 'aus gabe é' --plan "$plan"
rm -rf mit* aus*
ok prune "$M/" --plan "$plan" -o slash
compare "$M/pruned" slash
ok prune "$M//" --plan "$plan" -o slash2/
compare "$M/pruned" slash2
expect 'the folder one stands in' bash -c 'cd "$1" && "$2" prune . --plan "$3" -o "$4" --quiet' _ "$M" "$REAP" "$plan" "$T/dot"
compare "$M/pruned" dot
rm -rf slash slash2 dot
# the hub's cache: links to files with other names
mkdir -p hub/blobs hub/snapshots/abc
for f in "$D"/*; do
    [[ -f $f ]] || continue
    sum=$(sha256sum <"$f" | cut -c1-64)
    cp "$f" hub/blobs/"$sum"
    ln -s ../../blobs/"$sum" hub/snapshots/abc/"${f##*/}"
done
ok prune hub/snapshots/abc --plan "$D/pruned/plan.json" -o cached
compare "$D/pruned" cached
expect 'copies, not links' test -z "$(find cached -type l)"
ok verify hub/snapshots/abc cached --plan "$D/pruned/plan.json"
ln -s "$T/hub/snapshots/abc" abc
ok prune abc --plan "$D/pruned/plan.json" -o cached2
compare "$D/pruned" cached2
rm -rf hub abc cached cached2

# ---- what lies beside the weights
cp -r "$M" beside
rm -r beside/pruned
echo weights >beside/pytorch_model.bin
echo weights >beside/model.gguf
mkdir -p beside/original beside/additional_chat_templates
echo weights >beside/original/consolidated.00.pth
cp "$M/model.safetensors" beside/original/consolidated.safetensors
echo '{{ messages }}' >beside/additional_chat_templates/tool_use.jinja
echo '{{ messages }}' >beside/chat_template.jinja
printf 'do as you like\n' >beside/LICENSE
printf -- '---\nlicense: mit\n---\n# Card\n' >beside/README.md
ok prune beside --plan "$plan" -o kept --no-card
has .err 'pytorch_model\.bin' 'original' 'model\.gguf'
absent kept/pytorch_model.bin kept/model.gguf kept/original
for f in additional_chat_templates/tool_use.jinja chat_template.jinja LICENSE README.md; do
    expect "$f is copied" cmp beside/$f kept/$f
done
compare "$M/pruned" kept
ok verify beside kept --plan "$plan"
ok prune beside --plan "$plan" -o card
has card/README.md '^license: mit' '^# Card'
expect 'only --no-card leaves the card alone' test "$(wc -c <card/README.md)" -gt "$(wc -c <beside/README.md)"
chmod 644 beside/* 2>/dev/null
rm -rf beside kept card
# a file that may only be read: the copy can be changed
cp -r "$M" ro
chmod 444 ro/*.json ro/*.safetensors
ok prune ro --plan "$plan" -o rw
expect 'can be written' test -w rw/config.json -a -w rw/generation_config.json
rm -rf ro rw
no_parts
expect 'no file with a name of ours is left' test -z "$(find . -maxdepth 1 -name '.reap*' -o -maxdepth 1 -name '*.reap-*')"
untouched
finish
