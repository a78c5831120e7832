#!/usr/bin/env bash
# reap families: what the records say, all of it, and nothing else.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1

ok families
has .out '^qwen3moe +Qwen3-MoE +cut$' '^ +Qwen3MoeForCausalLM +cut +numbers$' 'GroveMoeForCausalLM +refused +no$' 'refused: its chunk experts are shared' \
    '^grovemoe +GroveMoE +refused$' '^llada-moe +LLaDA-MoE +cut$'
has .out 'not natively: the engine weights both experts by one softmax'
ok families phimoe --json
has .out '"reason_native": *"the engine weights'
ok families MIXTRAL --json
expect 'one family, by any of its names' test "$("$JSON" get .out families/0/architecture) $("$JSON" get .out families/0/classes/0/runs)" = 'llama true'
refuse 'no second one' "$JSON" get .out families/1
has .out 'numbers of transformers' '"checked_by": *"numbers"'
fails 2 "no family has 'llama-2' in its names" -- families llama-2
fails 2 -- families a b
finish
