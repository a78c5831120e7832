# Models in several files: read, profiled, pruned into as many or into one, verified; parts that are missing, mixed up or given alone.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
texts=$MODELS/qwen3_moe/texts.jsonl
M=$MODELS/qwen3_moe/model.gguf
hand_plan "$M" 5 plan.json
"$JSON" set plan.json keep/1 '[0,2,4,6,7]' >p2.json && mv p2.json plan.json
"$EDIT" --split 3 "$M" m || say_bad 'cannot split'
first=m-00001-of-00003.gguf
sums=$(sha256sum m-*.gguf)

# ---- reading
ok inspect $first --json
json .out n_files=3 n_tensors=39 model/n_experts=8
cp .out split.json
ok inspect "$M" --json
expect 'the same model in one file and in three' "$JSON" same split.json .out file n_files
ok profile $first --calib "$texts" -t 1 -o s.json
ok profile "$M" --calib "$texts" -t 1 -o s1.json
expect 'the same statistics' cmp s.json s1.json
ok eval $first --calib "$texts" -t 1 -o e.json
ok eval "$M" --calib "$texts" -t 1 -o e1.json
expect 'the same likelihood' cmp e.json e1.json

# ---- pruning: as many files, with the engine's names
ok prune "$M" --plan plan.json -o whole.gguf
ok prune $first --plan plan.json -o out.gguf --json
json .out 'files=["out-00001-of-00003.gguf","out-00002-of-00003.gguf","out-00003-of-00003.gguf"]'
absent out.gguf
for i in 1 2 3; do
    f=out-0000$i-of-00003.gguf
    expect "$f is there" test -s $f
done
expect 'bytes_out is the sum of the files' test "$("$JSON" get .out bytes_out)" = "$(cat out-*.gguf | wc -c)"
ok verify $first out-00001-of-00003.gguf --plan plan.json
ok verify $first out-00001-of-00003.gguf --write-plan found.json
equal plan.json found.json keep
ok verify "$M" out-00001-of-00003.gguf --plan plan.json
cp out-00002-of-00003.gguf part
echo more >>out-00002-of-00003.gguf
rc 3 verify "$M" out-00001-of-00003.gguf
has .out "'out-00002-of-00003.gguf' goes on behind its last tensor"
mv part out-00002-of-00003.gguf
ok verify $first whole.gguf --plan plan.json
ok profile out-00001-of-00003.gguf --calib "$texts" -t 1 -o sp.json      # the engine takes it
ok profile whole.gguf --calib "$texts" -t 1 -o sw.json
expect 'pruned in parts or whole: the same statistics' cmp sp.json sw.json
# other names for the same thing
ok prune $first --plan plan.json -o noext
expect 'a name without .gguf' cmp noext-00002-of-00003.gguf out-00002-of-00003.gguf
ok prune $first --plan plan.json -o pat-00001-of-00003.gguf
expect 'a name with the pattern' cmp pat-00003-of-00003.gguf out-00003-of-00003.gguf
rm -f noext* pat*
# keeping all changes nothing, in any part
hand_plan "$M" 8 all.json
ok prune $first --plan all.json -o all.gguf --no-provenance
for i in 1 2 3; do expect "part $i" cmp all-0000$i-of-00003.gguf m-0000$i-of-00003.gguf; done
rm -f all-*.gguf

# ---- --merge
ok prune $first --plan plan.json -o merged.gguf --merge --no-provenance
ok prune "$M" --plan plan.json -o ref.gguf --no-provenance
expect 'merged is what the whole file gives' cmp merged.gguf ref.gguf
ok prune $first --plan all.json -o back.gguf --merge --no-provenance
expect 'merging and keeping all gives the file before it was split' cmp back.gguf "$M"
ok verify $first merged.gguf --plan plan.json
ok prune "$M" --plan plan.json -o one.gguf --merge --no-provenance
expect '--merge of one file' cmp one.gguf ref.gguf

# ---- outputs that are there, and the inputs
echo precious >out2-00002-of-00003.gguf
fails 2 out2-00002-of-00003.gguf exists -- prune $first --plan plan.json -o out2.gguf
rm out2-*
for i in 1 2 3; do
    fails 2 "m-0000[1-3]-of-00003.gguf" -- prune $first --plan plan.json -o m-0000$i-of-00003.gguf --force
    fails 2 m-0000$i-of-00003.gguf -- prune $first --plan plan.json -o m-0000$i-of-00003.gguf --force --merge
    fails 2 m-0000$i-of-00003.gguf -- profile $first --calib "$texts" -t 1 -o m-0000$i-of-00003.gguf --force
    fails 2 m-0000$i-of-00003.gguf -- plan s.json --model $first --keep 4 -o m-0000$i-of-00003.gguf --force
    [[ $sums = "$(sha256sum m-*.gguf)" ]] || { say_bad "input changed by writing to part $i"; "$EDIT" --split 3 "$M" m; }
done
fails 2 'm-00001-of-00003.gguf' -- prune $first --plan plan.json -o m.gguf --force
fails 2 'folder' -- prune $first --plan plan.json -o missing/out.gguf

# ---- parts that are missing or not what they should be
fails 2 m-00002-of-00003.gguf 'part 2 of 3' 'the first part: m-00001-of-00003.gguf' -- inspect m-00002-of-00003.gguf
fails 2 m-00003-of-00003.gguf 'part 3 of 3' 'm-00001' -- prune m-00003-of-00003.gguf --plan plan.json -o o.gguf
fails 2 m-00002-of-00003.gguf 'part 2 of 3' -- verify $first m-00002-of-00003.gguf
mv m-00002-of-00003.gguf hidden
fails 2 'part 2 of 3 is missing' m-00002-of-00003.gguf -- inspect $first
fails 2 'part 2 of 3 is missing' -- prune $first --plan plan.json -o o.gguf
fails 2 'part 2 of 3 is missing' -- profile $first --calib "$texts" -o o.json
head -c 200000 hidden >m-00002-of-00003.gguf
fails 2 m-00002-of-00003.gguf truncated -- prune $first --plan plan.json -o o.gguf
cp m-00003-of-00003.gguf m-00002-of-00003.gguf
fails 2 m-00002-of-00003.gguf split.no 'is 2, expected 1' -- inspect $first
mkdir other
"$EDIT" --split 2 "$M" other/m
cp other/m-00002-of-00002.gguf m-00002-of-00003.gguf
fails 2 m-00002-of-00003.gguf split.count 'is 2, expected 3' -- inspect $first
cp "$M" m-00002-of-00003.gguf
fails 2 m-00002-of-00003.gguf split.no missing -- inspect $first
: >m-00002-of-00003.gguf
fails 2 m-00002-of-00003.gguf -- inspect $first
mkfifo fifo
rm m-00002-of-00003.gguf
mv fifo m-00002-of-00003.gguf
fails 2 m-00002-of-00003.gguf 'not a regular file' -- inspect $first
rm m-00002-of-00003.gguf
mv hidden m-00002-of-00003.gguf
cp $first renamed.gguf
fails 2 renamed.gguf 'of-00003.gguf' -- inspect renamed.gguf
cp $first x-00001-of-00002.gguf
fails 2 x-00001-of-00002.gguf 'of-00003.gguf' -- inspect x-00001-of-00002.gguf
rm x-*
# the number of tensors is written in the first part
mkdir n
cp m-*.gguf n
printf '\050' >byte
off=$(grep -abo 'split.tensors.count' n/$first | head -1 | cut -d: -f1)
dd if=byte of=n/$first bs=1 seek=$((off + 19 + 4)) conv=notrunc status=none
fails 2 n/$first split.tensors.count 'is 40' '39 tensors' -- inspect n/$first
# ---- keys of a split that were left over in a file that holds all tensors
"$EDIT" "$M" left.gguf set split.no u16 0 set split.count u16 3 set split.tensors.count i32 39
ok inspect left.gguf --json
has .err '^note: left.gguf is the whole model in one file: .*split.count.* left over'
json .out n_files=1 n_tensors=39
ok eval left.gguf --calib "$texts" -t 1 -o e2.json
expect 'it runs, and computes what the model without them computes' \
    test "$("$JSON" get e2.json texts/0/nll)" = "$("$JSON" get e1.json texts/0/nll)"
ok prune left.gguf --plan plan.json -o mended.gguf --no-provenance
expect 'pruned, they are gone' cmp mended.gguf ref.gguf
ok verify left.gguf mended.gguf --plan plan.json
fails 2 'left.gguf' 'left over' -- quantize left.gguf Q8_0 -o q.gguf --quiet
cp left.gguf left-00001-of-00003.gguf # under any name
ok inspect left-00001-of-00003.gguf
cp m-00002-of-00003.gguf left-00002-of-00003.gguf # but not where there is a second part
fails 2 'part 3 of 3 is missing' -- inspect left-00001-of-00003.gguf
"$EDIT" left.gguf odd.gguf set split.tensors.count i32 40
fails 2 odd.gguf 'of-00003.gguf' -- inspect odd.gguf
rm left* odd.gguf mended.gguf
no_parts
expect 'inputs unchanged' test "$sums" = "$(sha256sum m-*.gguf)"
finish
