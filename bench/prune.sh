#!/usr/bin/env bash
# reap prune against cp of a model as large as the output, for a GGUF file and for a checkpoint folder; both are on disk when the time
# ends (reap syncs what it writes). Then: how long a folder with 100,000 tensors takes.
#
#   bench/prune.sh [gguf|checkpoint|header]...     environment: REAP, SRC, BIN, TMPDIR (12 GB); ROUNDS (default 5); LAYERS (default
#                                                  17, of 0.2 GB each)
. "$(dirname "$0")/common.sh"

rounds=${ROUNDS:-5} layers=${LAYERS:-17}
need_space 12
parent=$work/parent kept=$work/kept copy=$work/copy source=$work/source

# Every fourth expert goes: many short ranges, the hardest case.
awk -v layers="$layers" 'BEGIN {
    for (e = 0; e < 128; e++) if (e % 4 != 3) ids = ids (ids == "" ? "" : ", ") e
    print "{\"schema\": \"reap.plan/1\", \"n_keep\": 96, \"n_experts\": 128, \"keep\": {"
    for (i = 0; i < layers; i++) printf "\"%d\": [%s]%s\n", i, ids, i < layers - 1 ? "," : ""
    print "}}"
}' >"$work/plan.json"

size() { du -sb "$1" | awk '{ printf "%.2f", $1 / 1e9 }'; }
# Cold: the input is dropped from the page cache first (what dd's nocache asks for; only clean pages can go).
forget() { [ "$cold" = 0 ] || find "$1" -type f -exec dd if={} iflag=nocache count=0 status=none \;; }
synced() { find "$1" -type f -exec sync {} +; }
pruning() {
    local t
    rm -rf "$kept"; forget "$parent"; sync "$work"; t=$(now)
    "$REAP" prune "$parent" --plan "$work/plan.json" -o "$kept" -q >/dev/null 2>&1 && synced "$kept" && elapsed "$t"
}
copying() {
    local t
    rm -rf "$copy"; forget "$source"; sync "$work"; t=$(now)
    cp -r --reflink=never "$source" "$copy" && synced "$copy" && elapsed "$t"
}

against_cp() { # WHAT
    "$REAP" prune "$parent" --plan "$work/plan.json" -o "$kept" -q >"$work/out" 2>&1 || die "$(cat "$work/out")"
    cp -r "$kept" "$source"
    sync
    echo "== $1: prune to 75 % ($(size "$parent") GB -> $(size "$kept") GB) against cp of the output's size"
    for cold in 0 1; do
        alternate "$rounds" copying pruning
        verdict "$1: prune / cp, $([ $cold = 1 ] && echo cold || echo warm) page cache" 1 0.9
        echo "    seconds: reap prune $(least_of 1), cp $(least_of 0), at best"
    done
    rm -rf "$kept"
    cold=1 forget "$parent"
    "$REAP" prune "$parent" --plan "$work/plan.json" -o "$kept" -q >/dev/null 2>&1
    # What of the parent is in the page cache now was read: it should be what stays, and no expert that goes.
    find "$parent" -type f -exec fincore -nb -o RES {} + 2>/dev/null | awk -v kept="$(du -sb "$kept" | cut -f1)" '
        { n += $1 } END { if (NR) printf "    read of the model when it is cold: %.2f GB, for an output of %.2f GB\n", n / 1e9, kept / 1e9 }'
    rm -rf "$kept"
    peak "$1: prune" "$REAP" prune "$parent" --plan "$work/plan.json" -o "$kept" -q
    rm -rf "$parent" "$kept" "$copy" "$source"
}

header() {
    local t secs
    echo "== folders with 100,000 tensors"
    for shards in 1 160; do
        rm -rf "$parent"
        "$BIN/checkpoint_tool" make "$parent" --tensors 100000 --experts 128 --shards $shards --sparse 1 || die 'cannot write the checkpoint'
        "$REAP" inspect "$parent" >/dev/null || die 'cannot be inspected'
        secs=$(for ((i = 0; i < rounds; i++)); do
            t=$(now)
            "$REAP" inspect "$parent" >/dev/null && elapsed "$t"
        done | sort -g | head -1)
        awk -v s="$secs" -v n="$shards" 'BEGIN { printf "%-62s %6.2f s    bar below 1: %s\n", "inspect, 100,000 tensors in " n " file" (n > 1 ? "s" : ""), s, (s < 1 ? "met" : "MISSED") }'
        peak "inspect, $shards files" "$REAP" inspect "$parent"
        awk -v layers="$(find "$parent" -name config.json -exec sed -n 's/.*"num_hidden_layers": *\([0-9]*\).*/\1/p' {} \;)" 'BEGIN {
            for (e = 0; e < 96; e++) ids = ids (e ? "," : "") e
            print "{\"schema\": \"reap.plan/1\", \"n_keep\": 96, \"keep\": {"
            for (i = 0; i < layers; i++) printf "\"%d\": [%s]%s\n", i, ids, i < layers - 1 ? "," : ""
            print "}}" }' >"$work/wide.json"
        peak "prune, $shards files" "$REAP" prune "$parent" --plan "$work/wide.json" -o "$kept" -q
        rm -rf "$kept"
    done
    rm -rf "$parent"
}

[ $# -gt 0 ] || set -- gguf checkpoint header
for what; do
    case $what in
        gguf)
            build make_moe
            "$work/make_moe" "$parent" layers="$layers" experts=128 used=8 embd=1024 ffn=512 type=q8_0 || die 'cannot write the model'
            against_cp 'GGUF'
            ;;
        checkpoint) # BF16, a tensor per expert and matrix
            "$BIN/checkpoint_tool" make "$parent" --layers "$layers" --experts 128 --hidden 1024 --ffn 256 --vocab 4096 --shards 4 ||
                die 'cannot write the checkpoint'
            against_cp 'checkpoint'
            ;;
        header) header ;;
        *) die "no measurement '$what'" ;;
    esac
done
