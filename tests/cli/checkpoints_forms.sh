# Checkpoints: every storage form and every family is pruned to exactly the expected result, and verified.
. "$(dirname "$0")/lib.bash"
. "$SRC/tests/cli/checkpoint.bash"

# Pruned, compared with EXPECTED, verified with the plan and without.
prune_and_verify() { # MODEL PLAN EXPECTED
    rm -rf out found.json
    ok prune "$1" --plan "$2" -o out || return
    cp .err prune.err
    compare "$3" out
    ok verify "$1" out --plan "$2"
    ok verify "$1" out --write-plan found.json
    equal found.json "$2" keep n_keep
}

# What keeps all experts changes nothing: not a byte of the JSON files, whatever they look like.
identity() { # MODEL
    rm -rf same
    keep_all "$1" all.json
    ok prune "$1" --plan all.json -o same || return
    same_tensors "$1, all kept" "$1" same
    for f in config.json params.json hf_quant_config.json quantize_config.json; do
        [[ ! -e $1/$f ]] || expect "$1, all kept: $f is the same" cmp "$1/$f" "same/$f"
    done
}

n=0
while IFS=$'\t' read -r form outcome arch experts kept layers files tensors _; do
    f=$FORMS/$form
    [[ $files = - ]] && files=1
    ok inspect "$f" --json
    json .out model/n_experts="$experts" model/moe_layers="[$layers]" n_tensors="$tensors" n_files="$files"
    prune_and_verify "$f" "$f/pruned/plan.json" "$f/pruned"
    if [[ $outcome = note ]]; then
        must=$(cut -sf3 "$f/pruned/expected.txt")
        has prune.err "^(note|reap: warning): .*${must:-$arch}"
    else
        lacks prune.err "warning" "$arch"
    fi
    ok inspect out --json
    json .out model/n_experts="$kept" model/moe_layers="[$layers]"
    json out/reap.json
    identity "$f"
    n=$((n + 1))
done < <(forms ok note)
pruned=$n

# ---- refused, with the reason
n=0
while IFS=$'\t' read -r form _ _ experts kept layers _; do
    if [[ $layers = - ]]; then
        kept=4 layers=0,1
    fi
    printf '{"schema":"reap.plan/1","n_keep":%d,"keep":{"%s":[%s],"%s":[%s]}}' "$kept" \
        "${layers%,*}" "$(seq -s, 0 $((kept - 1)))" "${layers#*,}" "$(seq -s, 0 $((kept - 1)))" >plan.json
    mapfile -t words < <(literally "$(cut -f3 "$FORMS/$form/expected.txt")")
    [[ $form = dense ]] && words+=('dense|no (routed )?experts')
    fails 2 "${words[@]}" -- prune "$FORMS/$form" --plan plan.json -o out2 --quiet
    fails 2 "${words[@]}" -- prune "$FORMS/$form" --plan plan.json -o out2 --quiet --dry-run
    n=$((n + 1))
done < <(forms error)
want=$(find "$FORMS" -mindepth 2 -maxdepth 2 '(' -name config.json -o -name params.json ')' -not -path '*/bad/*' | wc -l)
expect "$want forms, not $pruned and $n refused" test $((pruned + n)) = "$want" -a $pruned -gt 0 -a $n -gt 0

# ---- the families: as transformers pruned them; the GGUF file of the model has the same experts and routers
n=0
for dir in "$MODELS"/*/; do
    dir=${dir%/}
    hf=$dir/hf
    prune_and_verify "$hf" "$dir/plan.json" "$hf/pruned"
    for f in "$hf"/*; do
        name=${f##*/}
        case $name in
        *.safetensors | *.safetensors.index.json | config.json | pruned) ;;
        *) expect "$hf: $name is copied" cmp "$f" "out/$name" ;;
        esac
    done
    identity "$hf"
    ok inspect "$dir/model.gguf" --json
    mv .out gguf.json
    ok inspect "$hf" --json
    equal .out gguf.json model/{n_experts,n_experts_used,moe_layers,router_hash}
    n=$((n + 1))
done
want=$(grep -c '^    {"' "$SRC/tests/unit/families.c")
expect "$want families, not $n" test $n = "$want" -a $n -gt 0
untouched
finish
