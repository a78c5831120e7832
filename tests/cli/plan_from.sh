# Keep-lists and rankings of other tools, made into plans.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
M=$MODELS/qwen3_moe/model.gguf # 3 layers of 8 experts, top-2
printf '{"n_expert": 8, "keep": {"0": [7, 1, 2, 3], "1": [0, 1, 2, 3], "2": [4, 5, 6, 7]}}' >keep.json
printf '{"0": [7, 1, 2, 3, 0, 4, 5, 6]}\n{"1": [0, 1, 2, 3, 4, 5, 6, 7]}\n{"2": [4, 5, 6, 7, 3, 2, 1, 0]}\n' >rank.jsonl
want='{"0":[1,2,3,7],"1":[0,1,2,3],"2":[4,5,6,7]}'

ok plan --from keep.json --model "$M" -o a.json
json a.json n_keep=4 n_experts=8 "keep=$want" 'sources/0/keep_list="keep.json"' sources/0/sha256 model/router_hash
ok plan --from rank.jsonl --prune-ratio 0.5 --model "$M" -o b.json
json b.json "keep=$want"
ok plan --from rank.jsonl --keep 4 -o c.json --json
json .out n_keep=4 n_layers=3
json c.json "keep=$want" n_experts=8
ok plan --from rank.jsonl --prune-ratio 0.5 -o d.json # all are ranked, so the file says how many there are
json d.json "keep=$want"
ok plan --from keep.json -o e.json
has .out 'not checked against a model'
for p in a b c; do
    ok prune "$M" --plan $p.json -o $p.gguf
    ok verify "$M" $p.gguf --plan $p.json
done
fails 2 'already says who stays' -- plan --from keep.json --keep 3 -o x.json
sed 's/"2": \[/"3": [/' keep.json >layer.json
fails 2 'layer.json' 'layer 3 is not a layer' -- plan --from layer.json --model "$M" -o x.json
sed 's/, "2": \[4, 5, 6, 7\]//' keep.json >few.json
fails 2 'few.json' 'layer 2 has experts, but no entry' -- plan --from few.json --model "$M" -o x.json
sed 's/7, 1/8, 1/' keep.json >id.json
fails 2 'id.json' 'layer 0: expert 8 of 8' -- plan --from id.json --model "$M" -o x.json
sed 's/7, 1/1, 1/' keep.json >twice.json
fails 2 'twice.json' 'layer 0: expert 1 is listed twice' -- plan --from twice.json --model "$M" -o x.json
sed 's/7, 1, //' keep.json >short.json
fails 2 'short.json' 'layer 1 lists 4 experts, expected 2' -- plan --from short.json -o x.json
printf '{"keep": {"0": [1], "1": [1], "2": [1]}}' >one.json
fails 2 'one.json' 'top-k' -- plan --from one.json --model "$M" -o x.json
fails 2 'top-k' -- plan --from rank.jsonl --keep 1 --model "$M" -o x.json

# ---- usage
fails 2 '--from takes no stats' -- plan s.json --from keep.json -o x.json
fails 2 '--from takes no stats' -- plan --from keep.json --criterion reap -o x.json
fails 2 '--output is missing' -- plan --from keep.json
fails 2 'give one of' -- plan --from rank.jsonl --keep 4 --prune-ratio 0.5 -o x.json
fails 2 '--round-to goes with' -- plan --from keep.json --round-to 2 -o x.json
fails 2 'is an input' -- plan --from keep.json -o keep.json --force
fails 2 'exists' -- plan --from keep.json -o a.json
finish
