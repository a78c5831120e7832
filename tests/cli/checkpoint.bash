# checkpoint.bash - what the tests of checkpoint folders share. Sourced behind lib.bash; enters $T.
#
#   compare EXPECTED OUT [PREFIX]   checkpoint_tool compare (the tensors of PREFIX were dropped)
#   tensors DIR                     name, type, shape and SHA-256 of all tensors, sorted
#   forms OUTCOME...                rows of forms.tsv with one of these outcomes
#   keep_all FORM FILE              a plan that keeps all experts
#   untouched                       ends a script: the models in tests/data are what they were
FORMS=$SRC/tests/data/structural
TOOL=$(tool checkpoint_tool "${base[@]}" "$SRC/src/base/hash.c" -ljansson -lcrypto -lxxhash)
[[ -x $TOOL ]] || { echo "checkpoint_tool cannot be built"; exit 1; }
cd "$T" || exit 1

checksum() {
    find "$FORMS" "$MODELS"/*/hf -type f -print0 | sort -z | xargs -0 cat | sha256sum
}
models_before=$(checksum)

untouched() {
    expect 'the models are what they were' test "$models_before" = "$(checksum)"
}

compare() {
    expect "compare $*" "$TOOL" compare "$@"
}

tensors() {
    "$TOOL" list "$1" | cut -d' ' -f1-4
}

same_tensors() { # NAME A B
    tensors "$2" >.a && tensors "$3" >.b
    expect "$1: there are tensors" test -s .a
    expect "$1: the same tensors" cmp .a .b
}

forms() {
    local outcome
    for outcome; do
        awk -F'\t' -v o="$outcome" '!/^#/ && $2 == o' "$FORMS/forms.tsv"
    done
}

keep_all() { # MODEL FILE
    local n
    n=$("$REAP" inspect "$1" --json 2>/dev/null | "$JSON" get - model/n_experts)
    keep_first "$1" "$n" "$2"
}

keep_first() { # MODEL N FILE: a plan without an identity
    local il keep='' ids
    ids=$(seq -s, 0 $(($2 - 1)))
    for il in $(layers_of "$1"); do
        keep+="${keep:+,}\"$il\":[$ids]"
    done
    printf '{"schema":"reap.plan/1","n_keep":%d,"keep":{%s}}\n' "$2" "$keep" >"$3"
}

# Words as patterns that match just them: "a.b;c" -> one per line, escaped for grep -E.
literally() {
    tr ';' '\n' <<<"$1" | sed '/^$/d; s/[][\.*^$()+?{}|]/\\&/g'
}

# ---- what verify sees: pruned MODEL FORM, then changes of "bad", a copy of "good", each followed by noticed

# MODEL with the plan of FORM becomes "good".
pruned() {
    model=$1 plan=$FORMS/$2/pruned/plan.json
    rm -rf good bad
    ok prune "$model" --plan "$plan" -o good
    ok verify "$model" good --plan "$plan"
    cp -r good bad
}

refuse_same() { ! diff -r "$1" "$2" >/dev/null; }

noticed() { # NAME PATTERNS...: verify finds a difference in "bad", with the plan and without
    local name=$1
    shift
    expect "$name: something was changed" refuse_same good bad
    call 3 verify "$model" bad --plan "$plan" --quiet || say_bad "not noticed: $name"
    cat .out .err >both
    has both "$@"
    call 3 verify "$model" bad --quiet || say_bad "not noticed without a plan: $name"
    rm -rf both bad
    cp -r good bad
}
