# Layers that route by a table of expert ids (DeepSeek-V4's hash layers), in GGUF: what becomes of the ids, what verify notices, what
# is refused. Checkpoints: checkpoints_forms.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
M=$MODELS/qwen3_moe/model.gguf
table=blk.1.ffn_gate_tid2eid.weight n=640
hand_plan "$M" 5 plan.json
"$JSON" set plan.json keep/1 '[0,2,4,6,7]' >p2.json && mv p2.json plan.json

# The last tensor of the file: token t goes to the experts t mod 8 and (t + 3) mod 8.
args=(add $table i32 2,$n)
for ((t = 0; t < n; t++)); do
    args+=(i32 $table $((2 * t)) $((t % 8)) i32 $table $((2 * t + 1)) $(((t + 3) % 8)))
done
"$EDIT" "$M" hash.gguf "${args[@]}" || say_bad 'cannot make a model with a table'
table_of() { tail -c $((2 * n * 4)) "$1" | od -An -v -w8 -td4 | awk '{ print $1, $2 }'; }

# Worked out here from the rule of docs/formats.md.
wanted() {
    awk -v n=$n -v keep='0 2 4 6 7' 'BEGIN {
        m = split(keep, k, " ")
        for (i = 1; i <= m; i++) number[k[i]] = i - 1
        for (t = 0; t < n; t++) {
            old[0] = t % 8; old[1] = (t + 3) % 8
            for (s = 0; s < 2; s++) new[s] = old[s] in number ? number[old[s]] : -1
            for (s = 0; s < 2; s++)
                if (new[s] < 0) {
                    c = (2 * t + s) % m
                    while (c == new[0] || c == new[1]) c = (c + 1) % m
                    new[s] = c
                }
            print new[0], new[1]
        }
    }'
}
ok inspect hash.gguf --json
json .out refused=null
ok prune hash.gguf --plan plan.json -o out.gguf
table_of out.gguf >is
wanted >should
expect "the table has $n rows" test "$(wc -l <is)" = $n
expect 'ids that stay have their new numbers, others the next that the token has not' cmp is should
expect 'all that stay are used alike' test "$(tr ' ' '\n' <is | sort | uniq -c | sort -n | awk 'NR == 1 { a = $1 } END { print ($1 < 1.5 * a) }')" = 1
ok verify hash.gguf out.gguf --plan plan.json
ok verify hash.gguf out.gguf --write-plan found.json
equal plan.json found.json keep
ok inspect out.gguf
hand_plan hash.gguf 8 all.json
ok prune hash.gguf --plan all.json -o all.gguf --no-provenance
expect 'keeping all changes nothing' cmp all.gguf hash.gguf

# ---- verify
cp out.gguf bad.gguf
for cell in 0 7 $((2 * n - 1)); do
    "$EDIT" out.gguf bad.gguf i32 $table $cell 3
    [[ $(table_of bad.gguf | tr ' ' '\n' | sed -n $((cell + 1))p) = "$(tr ' ' '\n' <should | sed -n $((cell + 1))p)" ]] &&
        "$EDIT" out.gguf bad.gguf i32 $table $cell 4
    call 3 verify hash.gguf bad.gguf --plan plan.json || say_bad "verify does not see cell $cell"
    has .out "$table.*token $((cell / 2)) "
done

# ---- a mask takes experts out of scores, and cannot stand for what becomes of a table: said before the engine is asked
cp "$MODELS/qwen3_moe/texts.jsonl" .
fails 2 'layer 1 sends tokens to the experts that a table names' 'prune the model and measure the pruned file' -- \
    eval hash.gguf --plan plan.json --calib texts.jsonl
fails 1 'hash.gguf' -- eval hash.gguf --plan all.json --calib texts.jsonl # nobody is masked: the engine refuses the invented tensor

# ---- refused
"$EDIT" hash.gguf bad.gguf i32 $table 41 8
fails 2 "$table" 'token 20 goes to expert 8, expected 0 to 7' -- prune bad.gguf --plan plan.json -o bad2.gguf
"$EDIT" hash.gguf bad.gguf i32 $table 41 -1
fails 2 "$table" 'token 20' -- prune bad.gguf --plan plan.json -o bad2.gguf
"$EDIT" "$M" bad.gguf add $table i32 6,$n
fails 2 "$table" '6 experts, more than the 5 that stay' -- prune bad.gguf --plan plan.json -o bad2.gguf
no_parts
finish
