# Checkpoints: options, outputs, odd folders, and what verify must notice.
. "$(dirname "$0")/lib.bash"
. "$SRC/tests/cli/checkpoint.bash"
M=$FORMS/mixtral
plan=$M/pruned/plan.json

# ---- --dry-run writes nothing
before=$(picture)
ok prune "$M" --plan "$plan" -o dry --dry-run --json
expect 'a dry run writes nothing' test "$before" = "$(picture)"
json .out dry_run=true n_experts=8 n_keep=6 bytes_out
dry=$("$JSON" get .out bytes_out)
ok prune "$M" --plan "$plan" -o made --json
json .out dry_run=false "bytes_out=$dry" n_experts=8 n_keep=6
rm -rf made
ok prune "$M" --plan "$plan" -o made --no-provenance
absent made/reap.json
compare "$M/pruned" made
rm -rf made

# ---- an output that exists
ok prune "$M" --plan "$plan" -o out
sum_of() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum); }
hash=$(sum_of out)
fails 2 "out" 'exists' -- prune "$M" --plan "$plan" -o out --quiet
fails 2 "out" 'exists' -- prune "$M" --plan "$plan" -o out --quiet --dry-run
echo stale >out/model-00001-of-00009.safetensors
ok prune "$M" --plan "$plan" -o out --force
compare "$M/pruned" out                                 # the stale file is gone
expect 'the same bytes again' test "$hash" = "$(sum_of out)"
mkdir mine
echo precious >mine/thesis.txt
fails 2 mine -- prune "$M" --plan "$plan" -o mine --quiet
fails 2 mine 'reap' -- prune "$M" --plan "$plan" -o mine --quiet --force     # nothing that reap made
expect 'a folder of somebody else stays' grep -qx precious mine/thesis.txt
echo precious >file
fails 2 file -- prune "$M" --plan "$plan" -o file --quiet
fails 2 "missing" 'No such file|does not exist' -- prune "$M" --plan "$plan" -o missing/out --quiet
fails 2 -- prune "$M" --plan "$plan" -o '' --quiet
fails 2 "file" -- prune "$M" --plan "$plan" -o file/out --quiet

# ---- never onto the model, by no name
cp -r out model                                         # has a reap.json: --force alone would replace it
keep_first model 4 four.json
ln -s model link
for name in model ./model model/ link link/ "$T/model" mine/../model; do
    fails 2 -- prune model --plan four.json -o "$name" --quiet
    fails 2 -- prune model --plan four.json -o "$name" --quiet --force
done
expect 'the model is what it was' test "$hash" = "$(sum_of model)"
fails 2 -- prune model --plan four.json -o model/config.json --quiet --force
rm -rf link mine file

# ---- a class that transformers spelled otherwise is the same family: its selection bias is cut too
f=$FORMS/ernie4.5-moe
cp -r "$f" spelled
sed -i 's/Ernie4_5_MoeForCausalLM/Ernie4_5_MoEForCausalLM/' spelled/config.json
ok prune "$f" --plan "$f/pruned/plan.json" -o one
ok prune spelled --plan "$f/pruned/plan.json" -o other
lacks .err 'not known'
same_tensors 'another spelling of the class' one other
rm -rf spelled one other

# ---- pruned again: 8 to 6 to 4 is 8 to 4
for form in mixtral qwen3moe-fused deepseek-v3-fp8; do
    f=$FORMS/$form
    rm -rf once twice direct
    ok prune "$f" --plan "$f/pruned/plan.json" -o once
    composed='' k=$("$JSON" get "$f/pruned/plan.json" n_keep)
    # the second plan drops the first of the kept ones in each group of two halves: equal numbers stay in groups
    second=$(seq -s, 1 $((k / 2 - 1))),$(seq -s, $((k / 2 + 1)) $((k - 1)))
    keep=''
    each_of "layers in $form" $(layers_of once)
    for il in "${each[@]}"; do
        keep+="${keep:+,}\"$il\":[$second]"
        ids=''
        for i in ${second//,/ }; do
            ids+="${ids:+,}$("$JSON" get "$f/pruned/plan.json" "keep/$il/$i")"
        done
        composed+="${composed:+,}\"$il\":[$ids]"
    done
    count=$((k - 2))
    printf '{"schema":"reap.plan/1","n_keep":%d,"keep":{%s}}' $count "$keep" >second.json
    printf '{"schema":"reap.plan/1","n_keep":%d,"keep":{%s}}' $count "$composed" >direct.json
    want=0
    [[ $form != deepseek-v3-fp8 ]] || want=2 # its groups forbid the count, in both
    rc $want prune once --plan second.json -o twice
    rc $want prune "$f" --plan direct.json -o direct
    if [[ $want = 0 ]]; then
        same_tensors "$form, twice" twice direct
        expect "$form, twice: config.json" cmp twice/config.json direct/config.json
    else
        absent twice direct
    fi
done
rm -rf once twice direct

# ---- how tensors are spread over files is free
ok prune "$M" --plan "$plan" -o shards --max-shard-size 10K
compare "$M/pruned" shards
n=$(find shards -name 'model-0000?-of-0000?.safetensors' | wc -l)
expect "10 kB of 43 each: 5 files or more, not $n" test "$n" -ge 5
expect 'with an index' test -s shards/model.safetensors.index.json
absent shards/model.safetensors
expect 'no file of more than 10 kB and its header' test -z "$(find shards -name '*.safetensors' -size +20k)"
ok verify "$M" shards --plan "$plan"
ok inspect shards --json
json .out n_files="$n" model/n_experts=6
D=$FORMS/deepseek-v3-fp8
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

# ---- verify sees every change
differs() { # NAME PATTERNS... (of "bad", made from "good")
    local name=$1
    shift
    call 3 verify "$model" bad --plan "$model/pruned/plan.json" --quiet || say_bad "not noticed: $name"
    cat .out .err >both
    has both "$@"
    call 3 verify "$model" bad --quiet || say_bad "not noticed without a plan: $name"
    rm -rf both bad
    cp -r good bad
}
model=$M
cp -r out good
cp -r good bad
W=model.layers.1.block_sparse_moe.experts.2.w3.weight
"$TOOL" flip bad/model.safetensors $W 17
differs 'a byte of an expert' "${W//./\\.}" 'expert 2'
"$TOOL" flip bad/model.safetensors model.norm.weight 3
differs 'a byte of a norm' 'model\.norm\.weight'
"$TOOL" flip bad/model.safetensors model.layers.0.block_sparse_moe.gate.weight 0
differs 'a byte of a router' 'model\.layers\.0\.block_sparse_moe\.gate\.weight'
sed -i 's/"num_experts_per_tok": 2/"num_experts_per_tok": 1/' bad/config.json
differs 'a number in config.json' 'num_experts_per_tok'
sed -i '0,/{/s//{ "new": 1,/' bad/config.json
differs 'a new key in config.json' 'new'
sed -i '/"vocab_size"/d; s/\(.*"use_cache".*\),$/\1/' bad/config.json
if "$JSON" check bad/config.json 2>/dev/null; then
    differs 'a key of config.json is gone' 'vocab_size'
fi
rm -rf good bad
model=$FORMS/qwen3moe-fused
ok prune "$model" --plan "$model/pruned/plan.json" -o good
cp -r good bad
W=model.layers.1.mlp.experts.down_proj
file=bad/$("$TOOL" list bad | awk -v n="$W" '$1 == n { print $5 }')
size=$((16 * 2)) # somewhere in the first expert
"$TOOL" flip "$file" $W $size
differs 'a byte of stacked experts' "${W//./\\.}" 'expert 0'
rm -rf good bad
# the lists of the quantisation, with an expert's old number
model=$FORMS/nemotron-h-nvfp4-mixed
ok prune "$model" --plan "$model/pruned/plan.json" -o good
cp -r good bad
cp "$model/hf_quant_config.json" bad
differs 'hf_quant_config.json of the parent' 'hf_quant_config\.json'
rm -rf good bad
# of another model, and of another plan
keep_first "$M" 6 first.json
call 3 verify "$M" out --plan first.json --quiet
model=$FORMS/qwen3moe-fused
rc 3 verify "$model" out --quiet
has .out 'architecture'

# ---- statistics of the GGUF file serve the checkpoint of the same model, and no other
Q=$MODELS/qwen3_moe
ok profile "$Q/model.gguf" --calib "$Q/texts.jsonl" -t 1 -o s.json
ok plan s.json --keep 6 -o p.json
ok plan s.json --model "$Q/hf" --keep 6 -o p2.json
expect 'the same plan with the checkpoint at hand' cmp p.json p2.json
equal p.json "$Q/plan.json" keep
ok prune "$Q/hf" --plan p.json -o cross
lacks .err warning
compare "$Q/hf/pruned" cross
ok verify "$Q/hf" cross --plan p.json
ok profile "$MODELS/mixtral/model.gguf" --calib "$MODELS/mixtral/texts.jsonl" -t 1 -o other.json
fails 2 other.json 'another model' -- plan other.json --model "$Q/hf" --keep 6 -o p3.json --quiet
ok plan other.json --keep 6 -o p3.json
fails 2 p3.json 'another model' -- prune "$Q/hf" --plan p3.json -o cross2 --quiet
# one number of a router is another: another model
cp -r "$Q/hf" changed
W=model.layers.1.mlp.gate.weight
"$TOOL" flip "changed/$("$TOOL" list changed | awk -v n="$W" '$1 == n { print $5 }')" $W 3
fails 2 s.json 'another model' router_hash -- plan s.json --model changed --keep 6 -o p4.json --quiet
fails 2 p.json 'another model' router_hash -- prune changed --plan p.json -o cross2 --quiet
fails 2 p.json 'another model' router_hash -- verify changed cross --plan p.json --quiet
ok prune changed --plan p.json -o cross2 --force
has .err 'warning: .*another model'
# an order of the plan's layers, a remark in it: nothing changes
"$JSON" set p.json remark '"by hand"' >p5.json
ok prune "$Q/hf" --plan p5.json -o cross3
same_tensors 'a plan with a remark' cross cross3
rm -rf changed cross cross2 cross3

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

# ---- no right to write
if [[ $(id -u) != 0 ]]; then
    as() { "$@"; }
elif command -v setpriv >/dev/null && setpriv --reuid 65534 --regid 65534 --clear-groups true 2>/dev/null; then
    as() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
fi
mkdir locked
cp "$REAP" reap-copy 2>/dev/null
cp -r "$M" model2
cp "$plan" plan.json
chmod 755 "$T" reap-copy
chmod 555 locked
chmod -R a+rX model2
if declare -F as >/dev/null && as ./reap-copy --version >/dev/null 2>&1; then
    as ./reap-copy prune model2 --plan plan.json -o locked/out --quiet >.out 2>.err </dev/null
    expect 'a folder without the right to write: exit status 1 or 2' grep -qE '^[12]$' <<<$?
    one_line 'locked' '[Pp]ermission'
    expect 'nothing in it' test -z "$(ls -A locked)"
fi
chmod 755 locked
rm -rf locked model2 reap-copy

# ---- many tensors
"$TOOL" make many --tensors 100000 --experts 128 --hidden 8 --ffn 4 --shards 3
keep_first many 64 half.json
ok inspect many --json
json .out n_tensors
ok prune many --plan half.json -o fewer
n=$(find fewer -name '*.safetensors' -exec head -c 8 {} \; | wc -c)
expect 'three files again' test "$n" = 24
ok verify many fewer --plan half.json
ok inspect fewer --json
layers=$("$JSON" get .out model/n_layers)
expect 'their number' test "$("$JSON" get .out n_tensors)" = $((layers * (9 + 3 * 64) + 3))
rm -rf many fewer

# ---- interrupted: nothing is left
free=$(df --output=avail -k "$T" | tail -1)
if ((free > 2000000)); then
    "$TOOL" make big --layers 4 --experts 32 --hidden 1024 --ffn 1024 --shards 2 --sparse 1
    keep_first big 16 half.json
    rm -rf new
    begun() { compgen -G 'new*' >/dev/null; }
    for s in INT TERM HUP; do
        "$REAP" prune big --plan half.json -o new --quiet >.out 2>.err </dev/null &
        pid=$!
        wait_for 20 begun || say_bad 'no output appears'
        kill -STOP $pid 2>/dev/null
        kill -$s $pid 2>/dev/null
        kill -CONT $pid 2>/dev/null
        wait $pid 2>/dev/null
        expect "SIG$s: exit status 130" test $? = 130
        one_line interrupted
        expect "SIG$s: nothing left: $(compgen -G 'new*')" test -z "$(compgen -G 'new*')"
    done
    # over an older output: that one stays whole
    cp -r out new
    "$REAP" prune big --plan half.json -o new --force --quiet >.out 2>.err </dev/null &
    pid=$!
    wait_for 20 test -e new.part || true
    kill -INT $pid 2>/dev/null
    wait $pid 2>/dev/null
    if [[ $? = 130 ]]; then
        compare "$M/pruned" new
    fi
    rm -rf new
    if command -v prlimit >/dev/null && ! grep -qs __asan_init "$REAP"; then # weights are not gathered in memory
        expect '800 MB pruned with 64 MiB of memory' prlimit --data=67108864 "$REAP" prune big --plan half.json -o new
    fi
    rm -rf new big
fi

no_parts
expect 'no file with a name of ours is left' test -z "$(find . -maxdepth 1 -name '.reap*' -o -maxdepth 1 -name '*.part*')"
untouched

# ---- no command writes onto a file of the folder, not even with --force
cp -r "$MODELS/qwen3_moe/hf" mine.hf
for f in config.json tokenizer.json model-00002-of-00003.safetensors; do
    fails 2 "$f" 'the model' -- profile mine.hf --calib "$MODELS/qwen3_moe/texts.jsonl" -t 1 -o "mine.hf/$f" --force
    fails 2 "$f" 'the model' -- eval mine.hf --calib "$MODELS/qwen3_moe/texts.jsonl" -t 1 -o "mine.hf/$f" --force
done
expect 'the folder is as it was' diff -r "$MODELS/qwen3_moe/hf" mine.hf
finish
