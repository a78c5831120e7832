#!/usr/bin/env bash
# reap compare: what two files of answers have in common, with figures worked out by hand; what cannot be compared.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1

answer() { # ID TEXT FINISH [CATEGORY]
    printf '{"id":"%s","category":%s,"repeat":0,"key":"k","prompt_sha256":"s","messages":[{"role":"user","content":"Q %s"}],"status":"ok","response":"%s","finish_reason":"%s","completion_tokens":10,"tokens_per_second":20.0,"first_token_seconds":0.5}' \
        "$1" "${4-null}" "$1" "$2" "$3"
}
file() { # ANSWERS...
    local IFS=,
    printf '{"schema":"reap.batch/1","model":{"id":"m"},"parameters":{},"results":[%s]}\n' "$*"
}
loop=$(for _ in $(seq 10); do printf 'and so on '; done)
file "$(answer one 'a b c d' stop '"x"')" "$(answer two 'a b c d' stop '"y"')" "$(answer three 'p q' stop)" "$(answer gone z stop)" >b.json
file "$(answer two 'a x c d' stop '"y"')" "$(answer one 'a b c d' stop '"x"')" "$(answer three "$loop" length)" >p.json
ok compare b.json p.json --json
# two: longest common subsequence a c d, 2 * 3 / 8
json .out total/n=3 total/exact/count=1 rows/0/id='"one"' rows/0/exact=true rows/0/similarity=1.0 rows/1/similarity=0.75 \
    rows/1/common_prefix_words=1 rows/2/similarity=0.0 total/pruned/endless/count=1 total/base/endless/count=0 total/pruned/loops/count=1 \
    rows/2/pruned/loop_period=3 rows/2/pruned/loop_copies=10 n_only_base=1 n_only_pruned=0 total/similarity_median=0.75
ok compare b.json p.json -o c.json
has .out '100.0 % = .* one$' '^ 75.0 % .* two$' ' ---- +LR--   three$' 'equal answers +33.3 % \(6.1-79.2\) of 3' '1 answers of the base and 0'
json c.json schema='"reap.compare/1"' rows/1/prompt='"Q two"' rows/1/base/response='"a b c d"' rows/1/pruned/response='"a x c d"'
fails 2 exists -- compare b.json p.json -o c.json
fails 2 'one of the inputs' -- compare b.json p.json -o b.json --force
fails 2 'missing operand' -- compare b.json
fails 2 nothere -- compare b.json nothere.json
sed 's/"prompt_sha256":"s"/"prompt_sha256":"t"/g' p.json >q.json
fails 2 "messages of 'one' are not the same" -- compare b.json q.json
file "$(answer other z stop)" >q.json
fails 2 'no prompt is answered in both' -- compare b.json q.json
file "$(answer one z stop)" "$(answer one z stop)" >q.json
fails 2 "two answers to 'one'" -- compare b.json q.json
echo '{"schema":"reap.batch/1","results":[{"id":"x"}]}' >q.json
fails 2 'q.json: result 0' -- compare b.json q.json
# what they were made with: the first parameter that differs, with both values
sed 's|"parameters":{}|"endpoint":"/v1/completions","parameters":{"seed":1,"temperature":0}|' b.json >e.json
sed 's|"parameters":{}|"endpoint":"/v1/chat","parameters":{"seed":1,"temperature":0.7}|' p.json >f.json
ok compare e.json f.json
has .err "different 'parameters' \('temperature': found 0.7, expected 0\): differences may" "different 'endpoint' \(found /v1/chat, expected /v1/completions\)"
ok compare e.json e.json
lacks .err 'different'
ok compare b.json b.json
has .out 'equal answers +100.0 % .* of 4'
lacks .out 'calls of tools'

# ---- calls: never equal when they differ, in whatever; parameters name the tools
tools='"parameters":{"tools":[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string","pattern":"^[A-Z]"}},"required":["city"]}}}]}'
calls() { # ID TEXT FINISH CALLS, as NAME=ARGUMENTS
    local list= c args
    for c in "${@:4}"; do
        args=${c#*=}
        list+=${list:+,}$(printf '{"id":"%d","type":"function","function":{"name":"%s","arguments":"%s"}}' $RANDOM "${c%%=*}" "${args//\"/\\\"}")
    done
    printf '{"id":"%s","repeat":0,"key":"k","prompt_sha256":"s","messages":[],%s,"status":"ok","response":"%s","finish_reason":"%s"%s}' \
        "$1" "$tools" "$2" "$3" "${list:+,\"tool_calls\":[$list]}"
}
rome='get_weather={"city": "Rome", "days": 2}'
file "$(calls same '' tool_calls "$rome")" "$(calls name '' tool_calls "$rome")" "$(calls value '' tool_calls "$rome")" \
    "$(calls text '' tool_calls "$rome")" "$(calls broken '' tool_calls "$rome")" "$(calls none 'no call' stop)" >cb.json
file "$(calls same '' tool_calls 'get_weather={"days":2.0,"city":"Rome"}')" "$(calls name '' tool_calls 'delete_all_files={"city": "Rome", "days": 2}')" \
    "$(calls value '' tool_calls 'get_weather={"city": 7, "days": 2}')" "$(calls text 'get_weather(Rome)' stop)" \
    "$(calls broken '' tool_calls 'get_weather={"city": "Rome", "days": 2')" "$(calls none 'no call' stop)" >cp.json
ok compare cb.json cp.json -o cc.json
has .out '^100.0 % = .*--C- +--C-   same$' '^  0.0 %   .*--C- +--C-   name$' '^ +[0-9.]+ %   .*--C- +----   text$' '^ +[0-9.]+ %   .*--C- +--C-   broken$' '^100.0 % = .*---- +----   none$' \
    'equal answers +33.3 % .* of 6' 'calls of tools +in 5 of 6 pairs' 'same functions +60.0 % \(23.1-88.2\)' 'and the same arguments +20.0 % \(3.6-62.4\)' \
    'answers with a call +83.3 % \([0-9.-]+\) +66.7 %' 'arguments fit the tool +100.0 % \([0-9.-]+\) +25.0 %' '^  of answers +5 +4$' '^calls +5 +4$' \
    '^  with arguments that are no JSON +0 +1$' '^  of a tool that there is not +0 +1$' '^not checked in the schemas: pattern \([0-9]+\)$'
json cc.json total/calls/n=5 total/calls/same_names/count=3 total/calls/same_arguments/count=1 total/pruned/calls/fit/count=1 total/pruned/calls/n_checked=4 \
    rows/0/exact=true rows/0/same_arguments=true rows/1/exact=false rows/1/same_names=false rows/1/similarity=0.0 rows/1/pruned/unknown_tool=1 rows/2/same_names=true \
    rows/2/same_arguments=false rows/2/pruned/fit=false rows/3/same_names=false rows/4/pruned/no_json=1 schema_ignored/pattern rows/0/base/tool_calls/0/function/name='"get_weather"'
# what the server could not read is a call that failed, and equal to nothing
file "$(calls same 'so' malformed)" "$(calls none 'no call' stop)" >cm.json
ok compare cm.json cp.json
has .out '---X +--C-   same$' 'equal answers +50.0 % .* of 2$' '^malformed +1 +0$' 'calls of tools +in 1 of 2 pairs' 'same functions +0.0 %' 'arguments fit the tool +0.0 % .* 100.0 %'
ok compare cm.json cm.json
has .out '---X +---X   same$' 'equal answers +50.0 % .* of 2$' 'same functions +0.0 %' '^malformed +1 +1$'
# a file of a version that kept no calls
file "$(calls same '' tool_calls)" "$(calls none 'no call' stop)" >cl.json
ok compare cl.json cp.json
has .out 'equal answers +100.0 % .* of 1$'
has .err 'warning: 1 pairs are left out: an answer ended with a call'
sed 's/"required":\["city"\]/"required":[]/g' cp.json >cq.json
ok compare cb.json cq.json
has .err 'warning: 6 prompts were asked with other tools'
finish
