# hostile.bash - a model changed in every way that gguf_edit --cases knows, one at a time: reap ends with a documented status and, if it
# is not 0, with one line that is its own; never by a signal, never by the engine's abort, never much too late. Sourced behind lib.bash.

# hostile MODEL TEXTS [EVERY [FIRST]]: every so many-th case, from that one on
hostile() {
    local model=$1 texts=$2 every=${3:-1} n=-${4:-0} status line words
    while IFS= read -r line; do
        (((n++) % every == 0 && n > 0)) || continue
        IFS=$'\037' read -r -a words <<<"$line"$'\037.'
        unset 'words[-1]'
        line=${words[*]}
        "$EDIT" "$model" x.gguf "${words[@]}" 2>.edit || { say_bad "gguf_edit $line: $(<.edit)"; continue; }
        timeout -s KILL 20 "$REAP" inspect x.gguf >.out 2>.err </dev/null
        judge inspect $? "$line" || continue
        timeout -s KILL 20 "$REAP" profile x.gguf --calib "$texts" -t 1 --ctx 64 -f -o hostile.json -q >.out 2>.err </dev/null
        judge profile $? "$line"
    done < <("$EDIT" --cases "$model")
    rm -f x.gguf hostile.json
}

# seeded FOLDER: FOLDER.gguf of a family whose fixture has no weights
seeded() {
    cp -r "$SRC/tests/data/seeded/$1/hf" "$1"
    cp -n "$MODELS"/qwen3_moe/hf/tokenizer*.json "$1"
    expect "the weights of $1" "$BIN/seed_checkpoint" "$SRC/tests/data/seeded/$1/tensors.tsv" "$1/model.safetensors"
    ok convert "$1" -o "$1.gguf" --type f32
}

# judge COMMAND STATUS CASE: false when there is no more to see
judge() {
    local wrong=
    n_checks=$((n_checks + 1))
    case $2 in
    0) return 0 ;;
    1 | 2) ;;
    *) wrong="exit status $2" ;;
    esac
    [ "$(grep -avc '^reap: warning: ' .err)" = 1 ] || wrong=${wrong:-not one line}
    ! grep -aqE 'the engine gave up|crashed|signal|terminate|std::' .err || wrong=${wrong:-ended by the engine}
    [ -z "$wrong" ] || say_bad "$1 of ${model#"$MODELS"/} with $3: $wrong: $(tail -n 1 .err)"
    return 1
}
