#!/usr/bin/env bash
# reap convert against cp -r of the same folder, both with a sync at the end; a checkpoint in BF16 with a tensor per expert and matrix, 1 GB.
# Then its peak memory.
#
#   bench/convert.sh     environment: REAP, SRC, BIN, TMPDIR (4 GB); ROUNDS (default 5); LAYERS (default 5, of 0.2 GB each)
. "$(dirname "$0")/common.sh"

rounds=${ROUNDS:-5} layers=${LAYERS:-5}
need_space 4
source=$work/source copy=$work/copy made=$work/made.gguf

converting() {
    local t
    rm -f "$made"; sync "$work"; t=$(now)
    "$REAP" convert "$source" -o "$made" -q >/dev/null 2>&1 && sync "$made" && elapsed "$t"
}
copying() {
    local t
    rm -rf "$copy"; sync "$work"; t=$(now)
    cp -r --reflink=never "$source" "$copy" && find "$copy" -type f -exec sync {} + && elapsed "$t"
}

"$BIN/checkpoint_tool" make "$source" --layers "$layers" --experts 128 --hidden 1024 --ffn 256 --vocab 4096 --shards 4 ||
    die 'cannot write the checkpoint'
cp "$SRC"/tests/data/families/qwen3_moe/hf/tokenizer*.json "$source"
"$REAP" convert "$source" -o "$made" -q >"$work/out" 2>&1 || die "$(cat "$work/out")"
echo "== convert ($(du -sb "$source" | awk '{ printf "%.2f", $1 / 1e9 }') GB, BF16) against cp of the folder"
alternate "$rounds" copying converting
verdict 'convert / cp, warm page cache' 1 0.67
echo "    seconds: reap convert $(least_of 1), cp $(least_of 0), at best"
rm -rf "$made" "$copy"
peak 'convert' "$REAP" convert "$source" -o "$made" -q
