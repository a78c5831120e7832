#!/usr/bin/env bash
# reap choose: what is set aside, the table and the plan that holds it, the same figures each time; what is refused. What is taken and
# what is decoded: tests/fake/test_choice.c; losses: tests/fake/test_trial.c.
. "$(dirname "$0")/lib.bash"
# rows of 240 bytes, of two kinds
for kind in code prose; do
    for f in "$TEXT/$kind"/*.txt; do
        iconv -c -f UTF-8 -t ASCII "$f" | tr -c 'a-zA-Z0-9 .,;(){}=+\n-' ' ' | tr '\n' ' ' | head -c 2880 | fold -w 240 |
            sed 's/.*/{"text": "&"}/'
        echo
    done | grep -v '^$' | head -n 24 >"$T/$kind.jsonl"
done
cd "$T" || exit 1
calib=(-c code.jsonl -c prose.jsonl)
ok profile "$TINY" "${calib[@]}" --set-aside 0.25 -o stats.json -q -t 1
expect 'the file says what is in no sum' test "$("$JSON" get stats.json calibration/set_aside/n_choice) $("$JSON" get stats.json calibration/set_aside/n_check) $("$JSON" get stats.json calibration/n_samples)" = '6 6 36'
choose=(choose "$TINY" -s stats.json "${calib[@]}" -q -t 1)

ok "${choose[@]}" --criteria reap,frequency,reap_sum --keep 16 -o plan.json --json
cp .out a.json
expect 'the set-aside part' test "$("$JSON" get a.json measured_on)" = set_aside
expect 'a row for each plan' test -n "$("$JSON" get a.json rows/2/kl/mean)"
for key in rows lowest chosen categories n_scored; do
    "$JSON" get a.json $key >x
    "$JSON" get plan.json measured/$key >y
    expect "the plan says the same of $key" cmp -s x y
done
chosen=$("$JSON" get a.json chosen)
expect 'the plan is of what was chosen' test "$("$JSON" get plan.json criterion)" = "$("$JSON" get a.json "rows/$chosen/criteria/0")"
ok plan stats.json --criterion "$("$JSON" get plan.json criterion)" --keep 16 -o same.json -q
equal plan.json same.json keep
ok prune "$TINY" --plan plan.json -o pruned.gguf -q

# sums over pairs that cannot be read: told, since nobody would miss a candidate
cp stats.json cut.json
head -c 1000 stats.json.pairs >cut.json.pairs
ok choose "$TINY" -s cut.json "${calib[@]}" --max-samples 48 --budget 0.001 -ub 64 --keep 16 -o cut.plan -t 1
has .err 'warning: cut.json: left out: criterion hope: cut.json.pairs: has 1000 bytes'
lacks .out '^hope'
has .out '^loo '
fails 2 'are the same text, its windows would count twice' -- choose "$TINY" -s stats.json --text code.jsonl --text ./code.jsonl --keep 16 -o x.json -q
# a row is as far from the whole model as the table says: on text that is given, scored whole, by eval's rows of log-probabilities
tr -d '\n' <"$TEXT/prose/story.txt" | head -c 1200 >story.txt
ok choose "$TINY" -s stats.json --text story.txt --criteria frequency --keep 16 -o f.json --json --ctx 4096 -fa off -q -t 1
cp .out f.table
ok eval "$TINY" --calib story.txt --logprobs whole.jsonl -o whole.json -fa off -q -t 1
ok eval "$TINY" --plan f.json --calib story.txt --logprobs masked.jsonl -o masked.json -fa off -q -t 1
ratio=$(awk -v a="$("$JSON" get masked.json total/nll)" -v b="$("$JSON" get whole.json total/nll)" 'BEGIN { printf "%.9f", exp(a - b) }')
expect "ratio of perplexities $ratio" awk -v a="$ratio" -v b="$("$JSON" get f.table rows/0/ppl_ratio)" 'BEGIN { d = a - b; exit !(a > 1 && d < 1e-6 && d > -1e-6) }'
# one window tells no error
head -c 400 story.txt >one.txt
ok choose "$TINY" -s stats.json --text one.txt --criteria reap,frequency,ean_mean,loo --keep 16 -o one.plan -q -t 1
lacks .out 'nan' 'below two'
has .err 'warning: 1 window in 1 category: errors of so few are rough'
has .out '^reap +[0-9.]+ +[0-9.]+ one '
if grep -qE '^reap .*a tie' .out; then has .out 'one window tells no error'; fi


# for people; and with less time
ok "${choose[@]}" --criteria reap,frequency --prune-ratio 0.5 --budget 0.001 -ub 64 -o b.json
has .out '^reap +0\.[0-9]+ \+/- ' '^frequency ' ' (code|prose) ' 'in 4 of 6 windows' 'categories of equal weight, on text that was set aside' '16 of 32 experts stay, chosen by (reap|frequency)'
ok "${choose[@]}" --criteria reap,frequency,reap_sum --keep 16 -o again.json
equal plan.json again.json keep measured

# ---- in the report, where names of others stand for themselves, and as a step of a run ----
sed -E 's/"(prose|code)"/"<b>pro\&se"/g' plan.json >named.json
ok report --stats stats.json --plan named.json -o report.html
has report.html 'Choice of the criterion' '<b>\(chosen\)</b>' '&lt;b&gt;pro&amp;se'
lacks report.html '<b>pro'
sed 's/"lowest": [0-9]*/"lowest": 9/' plan.json >bad.json
fails 2 "bad.json: measured: 'lowest' is 9" -- report --stats stats.json --plan bad.json -o x.html
ok run "$TINY" "${calib[@]}" --criterion auto --set-aside 0.25 --keep 16 -o small.gguf --choose-budget 1h -t 1
has .out '^reap +0' 'on text that was set aside' 'chosen by'
has .err '^choose +\.\.\.' '^profile +\.\.\.'
equal small.gguf.work/stats.json stats.json layers calibration/set_aside
has small.gguf.work/report.html 'Choice of the criterion'
ok run "$TINY" "${calib[@]}" --criterion auto --set-aside 0.25 --keep 16 -o small.gguf --choose-budget 1h -t 1 --json
has .err '^choose +already done'
"$JSON" get .out choice >x
"$JSON" get small.gguf.work/plan.json measured >y
expect 'the run says the same as its plan' cmp -s x y
fails 2 'choose-budget is for --criterion auto' -- run "$TINY" "${calib[@]}" --choose-budget 1h --keep 16 -o x.gguf
fails 2 'nothing is set aside' -- run "$TINY" "${calib[@]}" --criterion auto --set-aside 0.001 --keep 16 -o x.gguf

# ---- refused ----
fails 2 'exists' -- "${choose[@]}" --keep 16 -o plan.json
fails 2 'others than those of its profile' -- choose "$TINY" -s stats.json -c code.jsonl --keep 16 -o x.json -q
fails 2 'others than those of its profile' -- "${choose[@]}" --max-samples 40 --keep 16 -o x.json
fails 2 'exclude each other' -- "${choose[@]}" --text story.txt --keep 16 -o x.json
fails 2 'give the --calib of the profile' -- choose "$TINY" -s stats.json --keep 16 -o x.json -q
fails 2 'keep' -- "${choose[@]}" -o x.json
fails 2 'there is nothing to choose' -- "${choose[@]}" --keep 32 -o x.json
fails 2 'is an input|stats' -- "${choose[@]}" --keep 16 -o stats.json -f
fails 2 'code.jsonl' -- "${choose[@]}" --keep 16 -o code.jsonl -f
ok profile "$TINY" -c code.jsonl -o plain.json -q -t 1
fails 2 'nothing of its text was set aside' -- choose "$TINY" -s plain.json -c code.jsonl --keep 16 -o x.json -q
sed 's/"n_choice": 6/"n_choice": "6"/' stats.json >broken.json
fails 2 'broken.json: .*n_choice' -- choose "$TINY" -s broken.json "${calib[@]}" --keep 16 -o x.json -q
fails 2 '--set-aside: 1 is out of range' -- profile "$TINY" "${calib[@]}" --set-aside 1 -o x.json -q
head -n 1 code.jsonl >one.jsonl
rc 2 profile "$TINY" -c one.jsonl --set-aside 0.9 -o x.json -q
has .err 'all samples are set aside'
ok profile "$TINY" -c one.jsonl --set-aside 0.1 -o one.json -q
has .err 'nothing is set aside: no category has enough samples'
finish
