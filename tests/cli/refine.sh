#!/usr/bin/env bash
# reap refine: what stays, the figures of the check are those of choose, the same call gives the same plan, however often it is killed;
# what is refused. Seeds, limits, the order in which swaps are tried: tests/fake/test_refine.c; its arithmetic: unit-worth.
. "$(dirname "$0")/lib.bash"
. "$SRC/tests/cli/interrupt.bash"
m=$MODELS/qwen3_moe/model.gguf
text=$SRC/tests/data/perplexity/text.txt
head -c 3000 "$text" >"$T/dev.txt"
tail -c 1500 "$text" >"$T/other.txt"
value() { "$JSON" get "$@"; }
less() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a != "" && b != "" && a < b) }'; }
cd "$T" || exit 1
ok profile "$m" -c "$MODELS/qwen3_moe/texts.jsonl" -o stats.json -q
ok plan stats.json --keep 5 -o plan.json -q
refine=(refine "$m" --plan plan.json --stats stats.json --text dev.txt -q --ctx 64 -t 1)

ok "${refine[@]}" --trials 8 --check other.txt -o a.json --json
cp .out report.json
expect 'some swap stayed' test "$(value report.json swaps)" -gt 0
expect 'a gain is more than two errors' less "$(value report.json gain_stderr)" "$(awk -v g="$(value report.json gain)" 'BEGIN { print g / 2 }')"
expect 'the check is better' less "$(value report.json check/after/kl)" "$(value report.json check/before/kl)"
# the first plan on the other text, as choose measures it
ok choose "$m" --stats stats.json --text other.txt --criteria reap --keep 5 --ctx 64 -t 1 -o c.json --json -q
near report.json .out 1e-4 check/before/kl=rows/0/kl/mean
# the file says what was done, and its swaps lead from the one plan to the other
expect 'no more swaps were tried than allowed' test "$(value a.json refined/trials)" -le 8 -a "$(value a.json refined/trials)" -ge "$(value report.json swaps)"
for key in check gain gain_stderr; do
    value report.json $key >x
    value a.json refined/$key >y
    expect "the plan says the same of $key" cmp -s x y
done
n=$(value report.json swaps)
expect 'the swaps are listed' test -n "$(value a.json refined/swaps/$((n - 1))/layer)"
refuse 'and no more' "$JSON" check a.json "refined/swaps/$n"
refuse 'what the first plan lost is not told of this one' "$JSON" check a.json lost
absent a.json.state
ok prune "$m" --plan a.json -o pruned.gguf -q
ok verify "$m" pruned.gguf --plan a.json -q

# who is protected stays: here those that went
for i in $(seq 0 $((n - 1))); do
    echo "$(value a.json "refined/swaps/$i/layer"): $(value a.json "refined/swaps/$i/out")"
done | awk -F': ' '{ l[$1] = l[$1] " " $2 } END { for (i in l) print i ":" l[i] }' >protect.txt
expect 'somebody is' test -s protect.txt
ok plan stats.json --keep 5 --protect protect.txt -o guarded.json -q
equal plan.json guarded.json keep
ok "${refine[@]/plan.json/guarded.json}" --trials 8 -o kept.json
while IFS=': ' read -r layer ids; do
    for id in $ids; do
        expect "expert $id of layer $layer stays" grep -qw "$id" <(value kept.json "keep/$layer")
    done
done <protect.txt
equal guarded.json kept.json protected

# a criterion that chooses a set ranks nobody: another one says who is near the cut
ok run "$m" -c "$MODELS/qwen3_moe/texts.jsonl" -c dev.txt --set-aside 0.3 --criterion hope --refine 2s --keep 5 -o set.gguf -q -t 1
# so the best that was measured for the plan does, as when it is named
ok choose "$m" --stats stats.json --text other.txt --criteria hope,frequency,reap_sum --keep 5 --ctx 64 -t 1 -o auto.json -q --json
cp .out auto.txt
sed 's/"criterion": "[a-z_]*"/"criterion": "hope"/' auto.json >sets.json
expect 'the lowest row is of hope and of one that ranks' test "$(value auto.txt lowest) $(value auto.txt rows/0/criteria/0) $(value auto.txt rows/0/criteria/1)" = '0 hope reap_sum'
ok "${refine[@]/plan.json/sets.json}" --near 1 --trials 4 -o said-not.json
ok "${refine[@]/plan.json/sets.json}" --near 1 --trials 4 --criterion reap_sum -o said.json
ok "${refine[@]/plan.json/sets.json}" --near 1 --trials 4 --criterion reap -o default.json
refuse 'the default ranks otherwise' "$JSON" same said.json default.json
equal said.json said-not.json keep refined
expect 'it was refined' test "$(value set.gguf.work/plan.json criterion)" = hope -a -n "$(value set.gguf.work/plan.json refined/trials)"

# once more the same; more trials go on from a state that was asked for
ok "${refine[@]}" --trials 8 --check other.txt -o b.json
equal a.json b.json keep refined
ok "${refine[@]}" --trials 3 --check other.txt --state st.json -o few.json
expect 'the state stays' test -s st.json
ok "${refine[@]}" --trials 3 --check other.txt --state st.json -o few2.json
equal few.json few2.json keep refined
fails 2 'st.json' 'another model, plan, text or options' -- "${refine[@]}" --near 1 --state st.json -o x.json
# a state that says what cannot be
for what in 'near 0' 'near 99999' 'hopes [{"swap":[0,1e300,1],"gain":0,"error":0}]' 'hopes [[1e300,0,1,0,0]]' 'hopes [{"swap":[0,0,1],"gain":1,"error":-1}]' 'enough -1'; do
    "$JSON" set st.json "${what%% *}" "${what#* }" >hostile.json
    cp hostile.json before.json
    fails 2 'hostile.json' "${what%% *}|swap" -- "${refine[@]}" --trials 9 --check other.txt --state hostile.json -o x.json
    expect "the state stays as it was: $what" cmp -s hostile.json before.json
done
echo '{"schema": "reap.refine-state/1"' >st.json
fails 2 'st.json' 'line' -- "${refine[@]}" --state st.json -o x.json
absent x.json
# groups: equal numbers must stay in each
g=$MODELS/deepseek_v3
ok profile "$g/model.gguf" -c "$g/texts.jsonl" -o groups.json -q
ok refine "$g/model.gguf" --plan "$g/plan.json" --stats groups.json --text dev.txt --ctx 64 -t 1 -q --trials 2 -o g.json
ok prune "$g/model.gguf" --plan g.json -o g.gguf -q

# ---- interrupted: the same call goes on, and ends as it would have ----
start i.json.state.reap-lock "$REAP" "${refine[@]}" --trials 8 --check other.txt -o i.json
end INT
expect "exit status 130 or 0, not $got" test "$got" = 130 -o "$got" = 0
if [ "$got" = 130 ]; then
    one_line interrupted
    absent i.json
    no_parts
    ok "${refine[@]}" --trials 8 --check other.txt -o i.json
fi
equal a.json i.json keep refined
absent i.json.state

# ---- a model that was trained, in a few seconds ----
for kind in code prose; do
    for f in "$TEXT/$kind"/*.txt; do
        iconv -c -f UTF-8 -t ASCII "$f" | tr -c 'a-zA-Z0-9 .,;(){}=+\n-' ' ' | tr '\n' ' ' | head -c 4800 | fold -w 400 |
            sed 's/.*/{"text": "&"}/'
        echo
    done | grep -v '^$' | head -n 24 >"$kind.jsonl"
done
calib=(-c code.jsonl -c prose.jsonl)
ok profile "$TINY" "${calib[@]}" --set-aside 0.25 -o tiny.json -q -t 1
ok plan tiny.json --keep 16 -o tiny-plan.json -q
ok refine "$TINY" -p tiny-plan.json -s tiny.json "${calib[@]}" --ctx 32 --near 1 --tokens 4000 -t 1 -o tiny-better.json --json -q
expect 'text that was set aside is the check' test "$(value .out check/n_categories)" = 2
expect 'the limit holds' less "$(value .out tokens)" 5600

# ---- refused ----
fails 2 'plan is missing' -- refine "$m" --stats stats.json --text dev.txt -o x.json -q
fails 2 'output is missing' -- "${refine[@]}"
fails 2 'text is missing' -- refine "$m" --plan plan.json --stats stats.json -o x.json -q
fails 2 'expected a time' -- "${refine[@]}" --budget soon -o x.json
fails 2 'budget' 'out of range' -- "${refine[@]}" --budget 0 -o x.json
fails 2 '--set-aside: 1 is out of range' -- "${refine[@]}" --set-aside 1 -o x.json
fails 2 "'best' is not known" -- "${refine[@]}" --criterion best -o x.json
fails 2 'one of the texts' -- "${refine[@]}" --check dev.txt -o x.json
fails 2 'is an input' -- "${refine[@]}" -o plan.json -f
fails 2 'dev.txt' -- "${refine[@]}" -o dev.txt -f
fails 2 'dev.txt' -- "${refine[@]}" --state dev.txt -o x.json
fails 2 'exists' -- "${refine[@]}" -o a.json
fails 2 'windows of up to 2048 tokens' 'at least' -- "${refine[@]}" --ctx 2048 -o x.json
fails 2 'layers of' -- refine "$m" --plan plan.json --stats groups.json --text dev.txt -o x.json -q
ok plan stats.json --keep 8 -o all.json -q
fails 2 'nothing to swap' -- refine "$m" --plan all.json --stats stats.json --text dev.txt -o x.json -q
finish
