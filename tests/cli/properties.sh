# What must hold of every model: keep-all is the identity, two prunings are their composition, verify sees each change and finds the plan.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
families='qwen3_moe mixtral deepseek_v3 llama4 glm4_moe gpt_oss gpt_oss_mxfp4 nemotron_h ernie4_5_moe'

# ---- all families
for f in $families; do
    m=$MODELS/$f/model.gguf
    plan=$MODELS/$f/plan.json
    ok inspect "$m" --json
    e=$("$JSON" get .out model/n_experts)
    hand_plan "$m" "$e" all.json
    ok prune "$m" --plan all.json -o all.gguf --no-provenance
    expect "$f: keeping all experts gives the same bytes" cmp "$m" all.gguf
    ok verify "$m" all.gguf
    rm -f all.gguf
    ok prune "$m" --plan all.json -o all.gguf                # with the keys that say where it comes from
    ok verify "$m" all.gguf --plan all.json
    ok verify all.gguf "$m"
    ok prune "$m" --plan "$plan" -o p.gguf --quiet
    ok verify "$m" p.gguf --plan "$plan" --quiet --json
    json .out ok=true n_differences=0 "plan_found=false"
    expect "$f: every tensor was compared" test $(($("$JSON" get .out tensors_cut) + $("$JSON" get .out tensors_same))) = \
        "$("$REAP" inspect "$m" --json | "$JSON" get - n_tensors)"
    ok verify "$m" p.gguf --write-plan found.json
    equal "$plan" found.json keep
    ok prune "$m" --plan found.json -o again.gguf --quiet --no-provenance
    ok prune "$m" --plan "$plan" -o again2.gguf --quiet --no-provenance
    expect "$f: the plan that was found gives the same file" cmp again.gguf again2.gguf
    ok inspect p.gguf --json
    json .out "model/n_experts=$("$JSON" get "$plan" n_keep)" refused=null
    rm -f ./*.gguf found.json
done

# ---- two prunings are their composition
m=$MODELS/qwen3_moe/model.gguf
compose() { # MODEL, first plan, second plan (ids of the pruned model), both in one
    ok prune "$1" --plan "$2" -o c1.gguf --quiet
    ok prune c1.gguf --plan "$3" -o c2.gguf --quiet
    ok prune "$1" --plan "$4" -o c3.gguf --quiet
    ok verify "$1" c2.gguf --plan "$4" --quiet
    ok verify "$1" c2.gguf
    ok verify c1.gguf c2.gguf
    ok verify c3.gguf c2.gguf
    ok prune c1.gguf --plan "$3" -o n2.gguf --no-provenance --quiet
    ok verify c3.gguf n2.gguf
    refuse 'the second pruning names its parent, the first' cmp c2.gguf c3.gguf
    rm -f c?.gguf n2.gguf
}
cat >p1.json <<'END'
{"schema":"reap.plan/1","n_keep":6,"keep":{"0":[0,1,3,4,6,7],"1":[1,2,3,4,5,6],"2":[0,2,4,5,6,7]}}
END
cat >p2.json <<'END'
{"schema":"reap.plan/1","n_keep":3,"keep":{"0":[1,2,5],"1":[0,3,4],"2":[0,1,2]}}
END
cat >p3.json <<'END'
{"schema":"reap.plan/1","n_keep":3,"keep":{"0":[1,3,7],"1":[1,4,5],"2":[0,2,4]}}
END
compose "$m" p1.json p2.json p3.json
# MTP blocks follow their plan in both steps
g=$MODELS/glm4_moe/model.gguf
echo '{"schema":"reap.plan/1","n_keep":5,"keep":{"1":[0,1,2,3,4],"2":[1,3,5,6,7]}}' >q1.json
echo '{"schema":"reap.plan/1","n_keep":3,"keep":{"1":[0,2,4],"2":[1,2,4]}}' >q2.json
echo '{"schema":"reap.plan/1","n_keep":3,"keep":{"1":[0,2,4],"2":[3,5,7]}}' >q3.json
compose "$g" q1.json q2.json q3.json

# ---- what pruning leaves alone: every key but the count, in kind, value and order; also keys that are odd
"$EDIT" "$m" odd.gguf set x.empty u32s '' set x.u16 u16 65535 set x.u64 u64 9223372036854775807 set x.no bool 0 set x.list u32s 4294967295,1 \
    set 'x.Ümlaut key' str 'text with a
new line' set x.void str ''
ok prune odd.gguf --plan p1.json -o o.gguf --quiet
ok verify odd.gguf o.gguf --plan p1.json --quiet --json
json .out ok=true
expect 'only one key differs' test "$("$JSON" get .out keys_same)" = "$(($("$REAP" verify "$m" "$m" --json | "$JSON" get - keys_same) + 7))"
ok prune odd.gguf --plan p1.json -o on.gguf --quiet --no-provenance
"$EDIT" on.gguf on8.gguf set qwen3moe.expert_count u32 8 2>/dev/null ||
    say_bad 'the count cannot be set back'
hand_plan odd.gguf 8 oall.json
ok prune odd.gguf --plan oall.json -o oall.gguf --no-provenance
expect 'odd keys stay' cmp odd.gguf oall.gguf
# other alignments, version 2, a count in another integer kind
for edit in 'align 64' 'align 8' 'align 4096' 'version 2' 'set qwen3moe.expert_count u64 8' 'set qwen3moe.expert_count i32 8'; do
    # shellcheck disable=SC2086
    "$EDIT" "$m" odd.gguf $edit
    rm -f o.gguf oall.gguf
    ok prune odd.gguf --plan p1.json -o o.gguf --quiet
    ok verify odd.gguf o.gguf --plan p1.json --quiet
    hand_plan odd.gguf 8 oall.json
    ok prune odd.gguf --plan oall.json -o oall.gguf --no-provenance
    expect "keep all, $edit" cmp odd.gguf oall.gguf
done
# the file may end without the padding behind its last tensor
ok prune "$m" --plan p1.json -o w.gguf --quiet
rm -f o*.gguf

# ---- verify: each change is seen, with the name of what changed
m_ok=w.gguf
see() { # WORDS... -- EDITS: exit status 3; with the plan and without
    local words=() how
    while [[ $1 != -- ]]; do words+=("$1"); shift; done
    shift
    "$EDIT" $m_ok x.gguf "$@" || { say_bad "gguf_edit $*"; return; }
    for how in "--plan p1.json" ''; do
        # shellcheck disable=SC2086
        rc 3 verify "$m" x.gguf $how
        has .out 'differs from its parent' "${words[@]}"
        grep -q '^reap: x.gguf: ' .err || say_bad "no error line about x.gguf"
        # shellcheck disable=SC2086
        rc 3 verify "$m" x.gguf $how --json --quiet
        json .out ok=false differences/0
        [[ $(grep -c . .err) = 1 ]] || say_bad 'more than one line on stderr'
    done
}
see "'blk.1.attn_q.weight' differs at byte 5000" -- flip blk.1.attn_q.weight 5000
see "'blk.1.attn_q.weight' differs at byte 0" -- flip blk.1.attn_q.weight 0
see "'output_norm.weight' differs at byte 255" -- flip output_norm.weight 255
see "'blk.0.ffn_gate_inp.weight'|layer 0: expert 5" -- flip blk.0.ffn_gate_inp.weight 1535
see "blk.2.ffn_up_exps.weight.*expert 1 .number 2|layer 2: expert 1 " -- flip blk.2.ffn_up_exps.weight 8192
see "key 'qwen3moe.block_count'|key 'general.name'" -- set general.name str Other
see "key 'qwen3moe.attention.head_count'" -- set qwen3moe.attention.head_count u32 8
see "key 'qwen3moe.rope.freq_base'.*missing" -- del qwen3moe.rope.freq_base
see "key 'x.more' is not in the parent" -- set x.more u32 1
see "key 'qwen3moe.embedding_length'.*type" -- set qwen3moe.embedding_length u64 64
see "tensor 'blk.1.attn_q_norm.weight' is missing" -- drop blk.1.attn_q_norm.weight
see "tensor 'blk.1.more.weight' is not in the parent" -- add blk.1.more.weight f32 32
see "'blk.1.attn_q.weight'.*(shape|type)" -- dim blk.1.attn_q.weight 2 63
see "is missing" "is not in the parent" -- rename blk.1.attn_q.weight blk.1.attn_Q.weight
see "architecture" -- set general.architecture str olmoe set olmoe.block_count u32 3 set olmoe.expert_count u32 6 set olmoe.expert_used_count u32 2
# names from a file cannot drive the terminal
"$EDIT" $m_ok x.gguf add 'blk.1.\x1b[31mred\x07' f32 32 set $'x.\x1b[2J' u32 1
rc 3 verify "$m" x.gguf
lacks .out $'\x1b' $'\x07'
lacks .err $'\x1b' $'\x07'
ok inspect x.gguf --tensors
lacks .out $'\x1b' $'\x07'
# experts in another order, or of another plan
printf '{"schema":"reap.plan/1","n_keep":6,"keep":{"0":[0,1,3,4,6,7],"1":[1,2,3,4,5,7],"2":[0,2,4,5,6,7]}}' >near.json
rc 3 verify "$m" w.gguf --plan near.json --quiet
has .out 'number 7 of the parent'
lacks .out 'blk.0' 'blk.2'
rc 3 verify "$m" w.gguf --plan p3.json --quiet
has .out '6 experts, expected 3'
rc 3 verify w.gguf "$m"
has .out '8 experts, expected 6'
rc 3 verify "$MODELS/mixtral/model.gguf" w.gguf
has .out 'architecture'
ok verify "$m" "$m"
# no plan file of a failed search
rc 3 verify "$m" x.gguf --write-plan never.json
head -c 900000 w.gguf >t.gguf
fails 2 t.gguf truncated -- verify "$m" t.gguf
# behind the last tensor may be what pads it, or nothing
"$EDIT" "$m" odd.gguf add odd.weight f32 3
ok prune odd.gguf --plan p1.json -o whole.gguf --quiet
head -c -20 whole.gguf >x.gguf
ok verify odd.gguf x.gguf --plan p1.json
cp whole.gguf x.gguf
printf x >>x.gguf
for how in '--plan p1.json' ''; do
    # shellcheck disable=SC2086
    rc 3 verify odd.gguf x.gguf $how
    has .out "'x.gguf' goes on behind its last tensor: it has $(wc -c <x.gguf) bytes, expected $(($(wc -c <whole.gguf) - 20))"
done
# equal experts can be told apart by nobody: the first ones are named, and it is no error
zero=()
for t in up gate down; do
    zero+=(drop blk.0.ffn_${t}_exps.weight)
done
for t in up:64,32,8 gate:64,32,8 down:32,64,8; do zero+=(add blk.0.ffn_${t%:*}_exps.weight f32 "${t#*:}"); done
zero+=(drop blk.0.ffn_gate_inp.weight add blk.0.ffn_gate_inp.weight f32 64,8)
"$EDIT" "$m" z.gguf "${zero[@]}"
ok prune z.gguf --plan p1.json -o zp.gguf --quiet
ok verify z.gguf zp.gguf --write-plan zplan.json
ok verify z.gguf zp.gguf --plan p1.json --quiet

# ---- the order of the work does not matter: plan from stats twice, the same file; profile twice, the same file
ok profile "$m" --calib "$MODELS/qwen3_moe/texts.jsonl" -o s1.json -t 1
unset OMP_THREAD_LIMIT
ok profile "$m" --calib "$MODELS/qwen3_moe/texts.jsonl" -o s2.json -t 2
expect 'one thread and two: the same statistics' cmp s1.json s2.json
for c in reap reap_sum ean_mean ean_sum frequency gate_mean gate_sum reap_l2 ean_l2 max_activation random; do
    ok plan s1.json --keep 4 --criterion $c -o "c1-$c.json"
    ok plan s2.json --keep 4 --criterion $c -o "c2-$c.json"
    expect "$c: the same plan" "$JSON" same "c1-$c.json" "c2-$c.json" sources
    ok plan s1.json --keep 3 --criterion $c -o "c3-$c.json"
    for il in 0 1 2; do
        each_of "experts of layer $il by $c" $("$JSON" get "c3-$c.json" keep/$il | tr -d '[]' | tr , ' ')
        for id in "${each[@]}"; do
            expect "$c: who stays among 3 stays among 4" grep -q "[[,]$id[],]" <("$JSON" get "c1-$c.json" keep/$il)
        done
    done
done
refuse 'random is another plan with another seed' bash -c '
    "$1" plan s1.json --keep 4 --criterion random --seed 1 -o r1.json; "$1" plan s1.json --keep 4 --criterion random --seed 2 -o r2.json
    "$2" get r1.json keep >k1; "$2" get r2.json keep >k2; cmp k1 k2' _ "$REAP" "$JSON"
no_parts
finish
