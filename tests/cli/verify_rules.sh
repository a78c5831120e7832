# What verify finds in a checkpoint by rules of its own: what prune would have to have written wrongly.
. "$(dirname "$0")/lib.bash"
. "$SRC/tests/cli/checkpoint.bash"

hides() { # NAME: "bad" does not even open, so verify ends with 2
    expect "$1: something was changed" refuse_same good bad
    fails 2 -- verify "$model" bad --plan "$plan" --quiet
    rm -rf bad
    cp -r good bad
}

# ---- the index: how many bytes there are, and which experts
pruned "$FORMS/kimi-k2-w4a16" kimi-k2-w4a16
index=bad/model.safetensors.index.json
sed -i -E 's/("total_size": )[0-9]+/\117/' $index
noticed 'the size of all tensors' 'total_size' 'is 17'
sed -i 's/experts\.1\.up_proj/experts.9.up_proj/' $index
hides "an expert's number in the index"

# ---- counts: each key, each entry of a list
pruned "$FORMS/hunyuan-moe-list" hunyuan-moe-list
count=$("$JSON" get "$plan" n_keep)
tr -d '\n' <good/config.json >flat
sed -E "s/\"num_experts\": *\[[^]]*\]/\"num_experts\": [$count, $count, $count]/" flat >bad/config.json
noticed 'a list per layer of another length' 'num_experts' 'length'
pruned "$FORMS/ernie4.5-moe" ernie4.5-moe
count=$("$JSON" get "$plan" n_keep)
tr -d '\n' <good/config.json >flat
sed -E "s/\"moe_capacity\": *\[[^]]*\]/\"moe_capacity\": [$count, $count, 8]/" flat >bad/config.json
noticed 'an entry of a list that states the count' 'moe_capacity\[2\]'
sed -E "s/\"moe_num_experts\": *$count/\"moe_num_experts\": $count, \"num_experts\": 8/" flat >bad/config.json
hides 'a second key of the count that says something else'

# ---- a number that only looks like a count: it is left alone, and verify would see it if it were not
cp -r "$FORMS/ernie4.5-moe" capacity
rm -rf capacity/pruned
tr -d '\n' <"$FORMS/ernie4.5-moe/config.json" | sed -E 's/"moe_capacity": *\[[^]]*\]/"moe_capacity": 1.25/' >capacity/config.json
pruned "$T/capacity" ernie4.5-moe
has good/config.json '"moe_capacity": 1\.25'
sed -i "s/\"moe_capacity\": 1\.25/\"moe_capacity\": $count/" bad/config.json
noticed 'a number that was no count became one' 'moe_capacity'

# ---- texts in lists, empty ones too
cp -r "$FORMS/mixtral" text
rm -rf text/pruned
sed -i '0,/{/s//{ "": "", "texts": ["", "a", {"": []}],/' text/config.json
pruned "$T/text" mixtral
sed -i 's/\["", "a"/["a", "a"/' bad/config.json
noticed 'a text in a list' 'texts\[0\]'
sed -i 's/\["", "a"/["", "a", "a"/' bad/config.json
noticed 'one text more in a list' 'texts' 'length'

# ---- names of modules in lists and as keys: an expert's number off by one, out of range
renamed() { # FILE NEW: the last part "experts.N." of the first name in bad/FILE that has one
    name=$(grep -oE '"[^"]*experts\.[0-9]+\.[^"]*"' "bad/$1" | head -1)
    sed -i "s/${name//./\\.}/$(sed -E "s/experts\.[0-9]+/experts.$2/" <<<"$name")/" "bad/$1"
}
for form in qwen3moe-nvfp4-modelopt nemotron-h-nvfp4-mixed; do
    pruned "$FORMS/$form" $form
    count=$("$JSON" get "$plan" n_keep)
    renamed hf_quant_config.json "$count"
    noticed "$form: an expert that is not there" 'hf_quant_config\.json'
done
pruned "$FORMS/qwen3moe-nvfp4-modelopt" qwen3moe-nvfp4-modelopt
number=$(grep -oE 'experts\.[0-9]+\.' good/hf_quant_config.json | head -1 | tr -dc 0-9)
renamed hf_quant_config.json $((number + 1))
noticed "an expert's number in a list, off by one" 'hf_quant_config\.json'

untouched
finish
