# Plans from several stats files, protected experts.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
for c in code prose; do
    ok profile "$TINY" --calib "$SRC/examples/calibration/by-category/$c" -t 1 -o $c.json
done
num() { "$JSON" get "$1" "$2"; }
above() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a > b + 1e-9) }'; }

# ---- one file, however it is given
ok plan code.json --keep 16 -o a.json
ok plan --stats code.json --keep 16 -o b.json
expect 'the operand and --stats are the same' cmp a.json b.json
ok plan --stats code.json:7.5 --keep 16 -o c.json
expect 'one file: its weight changes nothing' cmp a.json c.json
json code.json calibration/samples/0/text
lacks a.json '"samples"' "$SRC" # nothing private goes with a plan
lacks a.json '"blend"' '"weight"' 'score_kept_by_source' 'protected'

# ---- two: weights pull, maxmin lifts the worse
ok plan code.json --stats prose.json --keep 16 --model "$TINY" -o mean.json --json
json .out 'blend="mean"' sources/0/score_kept sources/1/stats=\"prose.json\" sources/1/weight=1.0
ok plan --stats code.json:4 --stats prose.json:1 --keep 16 -o code4.json
has .out 'of code.json' 'of prose.json'
ok plan --stats code.json:1 --stats prose.json:4 --keep 16 -o prose4.json
ok plan code.json --stats prose.json --blend maxmin --keep 16 --model "$TINY" -o maxmin.json
json maxmin.json 'blend="maxmin"' lost/0/score_kept_by_source
expect 'weight on code keeps more of code' above "$(num code4.json sources/0/score_kept)" "$(num prose4.json sources/0/score_kept)"
expect 'weight on prose keeps more of prose' above "$(num prose4.json sources/1/score_kept)" "$(num code4.json sources/1/score_kept)"
for l in 0 1 2 3 4 5; do
    for f in mean maxmin; do
        a=$(num $f.json lost/$l/score_kept_by_source/0) b=$(num $f.json lost/$l/score_kept_by_source/1)
        printf -v "worst_$f" '%s' "$(awk -v a="$a" -v b="$b" 'BEGIN { printf "%.12f", a < b ? a : b }')"
    done
    refuse "layer $l: the mean's worst domain is better off" above "$worst_mean" "$worst_maxmin"
done
ok plan code.json --stats prose.json --blend maxmin --keep 16 --model "$TINY" -o maxmin2.json
expect 'again: the same' cmp maxmin.json maxmin2.json
ok prune "$TINY" --plan maxmin.json --dry-run -o x.gguf
fails 2 'weights mean nothing' -- plan code.json --stats prose.json:2 --blend maxmin --keep 16 -o x.json
fails 2 "'x' is not known" -- plan code.json --stats prose.json --blend x --keep 16 -o x.json
fails 2 'given twice' -- plan code.json --stats ./code.json --keep 16 -o x.json
fails 2 'weight must be above 0' -- plan --stats code.json:0 --keep 16 -o x.json
fails 2 'weight must be above 0' -- plan --stats code.json:-1 --keep 16 -o x.json
fails 2 'none.json' 'No such file' -- plan code.json --stats none.json --keep 16 -o x.json
fails 2 'is an input' -- plan code.json --stats prose.json --keep 16 -o prose.json --force
ok profile "$MODELS/qwen3_moe/model.gguf" --calib "$MODELS/qwen3_moe/texts.jsonl" -t 1 -o q.json
fails 2 'another model' -- plan code.json --stats q.json --keep 16 -o x.json
# a stats file whose name ends like a weight
cp code.json odd:2
ok plan --stats ./odd:2:1 --stats prose.json --keep 16 -o odd.json
json odd.json 'sources/0/stats="odd:2"' sources/0/weight=1.0

# ---- protection
ok plan code.json --keep 8 -o eight.json
gone=$(comm -23 <(seq 0 31 | sort) <(num eight.json keep/3 | tr -d '[] ' | tr , '\n' | sort) | head -1)
printf '{"3": [%s]}' "$gone" >p.json
printf '# one expert\n3: %s\n' "$gone" >p.txt
ok plan code.json --keep 8 --protect p.json -o a8.json
has .out '1 protected expert is among'
ok plan code.json --keep 8 --protect p.txt -o b8.json
expect 'both forms say the same' cmp a8.json b8.json
json a8.json "protected={\"3\":[$gone]}"
expect 'it stays' grep -q "[[,]$gone[],]" <(num a8.json keep/3)
for l in 0 1 2 4 5; do
    equal a8.json eight.json keep/$l
done
printf '3: %s\n' "$(seq -s' ' 0 8)" >nine.txt
fails 2 'layer 3: 9 experts are protected, but only 8 stay' -- plan code.json --keep 8 --protect nine.txt -o x.json
printf '6: 1\n' >no.txt
fails 2 'layer 6 has no experts' -- plan code.json --keep 8 --protect no.txt -o x.json
printf '3: 32\n' >no.txt
fails 2 'layer 3: expert 32 of 32' -- plan code.json --keep 8 --protect no.txt -o x.json
printf '3: a\n' >no.txt
fails 2 'no.txt' 'line 1' "'a' is not an expert id" -- plan code.json --keep 8 --protect no.txt -o x.json
fails 2 'is an input' -- plan code.json --keep 8 --protect p.txt -o p.txt --force

# ---- a share for each file
ok plan code.json --stats prose.json:20 --keep 8 -o prose20.json
ok plan code.json --stats prose.json:20 --keep 8 --protect-share 0.04 -o share.json
has .out ', 6 protected as its best' 'protected experts are among'
ok plan code.json --keep 4 -o best.json
json share.json protect_share=0.04
lost=0
for l in 0 1 2 3 4 5; do
    id=$(num share.json sources/0/protected/$l | tr -d '[] ')
    expect "the best of code stays in layer $l" grep -q "[[,]$id[],]" <(num share.json keep/$l | tr -d ' ')
    expect "it is one of its best in layer $l" grep -q "[[,]$id[],]" <(num best.json keep/$l | tr -d ' ')
    grep -q "[[,]$id[],]" <(num prose20.json keep/$l | tr -d ' ') || lost=$((lost + 1))
done
expect 'some would have gone' test $lost -gt 0
ok plan code.json --stats prose.json --keep 8 --protect-share 4% -o share2.json --json
json .out sources/1/protected/0
fails 2 'are protected, but only 8 stay; a smaller --protect-share' -- plan code.json --stats prose.json --keep 8 --protect-share 1 -o x.json
fails 2 '--protect-share: 2 is out of range' -- plan code.json --stats prose.json --keep 8 --protect-share 2 -o x.json
fails 2 '--from takes no' -- plan --from p.json --protect-share 0.1 -o x.json
ok plan code.json --keep 8 --protect-share 0.2 -o one.json
has .err 'matters only with several'
equal one.json eight.json keep

ok stats code.json --json
cp .out s.json
ok plan code.json --keep 8 --criterion frequency --protect-super -o sup.json
n=0
for l in 0 1 2 3 4 5; do
    for id in $(num s.json layers/$l/super_experts | tr -d '[]' | tr , ' '); do
        expect "super expert $id of layer $l stays" grep -q "[[,]$id[],]" <(num sup.json keep/$l)
        n=$((n + 1))
    done
done
expect 'there are super experts' test $n -gt 0
finish
