#!/usr/bin/env bash
# reap families: what the records say, all of it, and nothing else.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1

ok families
has .out '^qwen3moe +Qwen3-MoE +cut$' '^ +Qwen3MoeForCausalLM +cut +numbers$' 'GroveMoeForCausalLM +refused +no$' 'refused: its chunk experts are shared' \
    '^grovemoe +GroveMoE +refused$' '^llada-moe +LLaDA-MoE +cut$'
has .out 'not natively: the engine weights both experts by one softmax'
# whatever their names, classes stand in columns
awk 'NR == 1 { at = index($0, "as checkpoint") }
     /^  +[A-Za-z0-9_]+ +(cut|refused) +(numbers|file|no)$/ { n++; if (substr($0, at - 1) !~ /^ [cr]/) print }
     END { if (n < 60) print n }' .out >crooked
expect 'columns are straight' test ! -s crooked
ok families phimoe --json
has .out '"reason_native": *"the engine weights'
ok families MIXTRAL --json
expect 'one family, by any of its names' test "$("$JSON" get .out families/0/architecture) $("$JSON" get .out families/0/classes/0/runs)" = 'llama true'
refuse 'no second one' "$JSON" get .out families/1
has .out 'numbers of transformers' '"checked_by": *"numbers"'
fails 2 "no family has 'llama-2' in its names" -- families llama-2
fails 2 -- families a b

# ---- a folder of each class that is refused is refused, for the record's reason
. "$SRC/tests/cli/checkpoint.bash"
ok families
awk '$2 == "refused" { classes[n++] = $1 }
     $1 == "refused:" { sub(/^ *refused: /, ""); while (n) print classes[--n] "\t" $0 }' .out >refused
expect 'there are some' test -s refused
while IFS=$'\t' read -r class why; do
    rm -rf folder
    cp -r "$FORMS/unknown-numbered" folder
    sed -i "s/ZebraMoeForCausalLM/$class/" folder/config.json
    mapfile -t words < <(literally "$why")
    fails 2 "${words[@]}" -- prune folder --plan "$FORMS/unknown-numbered/pruned/plan.json" -o out
    fails 2 -- convert folder -o out.gguf
done <refused
finish
