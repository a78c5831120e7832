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
has .out '100.0 % = .* one$' '^ 75.0 % .* two$' ' -- +LR   three$' 'equal answers +33.3 % \(6.1-79.2\) of 3' '1 answers of the base and 0'
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
ok compare b.json b.json
has .out 'equal answers +100.0 % .* of 4'
finish
