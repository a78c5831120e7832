#!/usr/bin/env bash
# reap prune against cp of a file as large as the output; both are on disk when the time ends (reap syncs what it writes).
#
#   bench/prune.sh      environment: REAP, SRC, BIN, TMPDIR (12 GB); ROUNDS (default 5); LAYERS (default 17, of 0.2 GB each)
. "$(dirname "$0")/common.sh"

rounds=${ROUNDS:-5}
need_space 12
build make_moe
parent=$work/parent.gguf kept=$work/kept.gguf copy=$work/copy.gguf
"$work/make_moe" "$parent" layers="${LAYERS:-17}" experts=128 used=8 embd=1024 ffn=512 type=q8_0 || die 'cannot write the model'

# Every fourth expert goes: many short ranges, the hardest case.
awk -v layers="${LAYERS:-17}" 'BEGIN {
    for (e = 0; e < 128; e++) if (e % 4 != 3) ids = ids (ids == "" ? "" : ", ") e
    print "{\"schema\": \"reap.plan/1\", \"n_keep\": 96, \"n_experts\": 128, \"keep\": {"
    for (i = 0; i < layers; i++) printf "\"%d\": [%s]%s\n", i, ids, i < layers - 1 ? "," : ""
    print "}}"
}' >"$work/plan.json"
"$REAP" prune "$parent" --plan "$work/plan.json" -o "$kept" -q --force >"$work/out" 2>&1 || die "$(cat "$work/out")"
cp "$kept" "$work/source.gguf"
sync
echo "== prune to 75 % ($(wc -c <"$parent" | awk '{ printf "%.2f", $1 / 1e9 }') GB -> $(wc -c <"$kept" | awk '{ printf "%.2f", $1 / 1e9 }') GB) against cp of a file of the output's size"

now() { date +%s.%N; }
elapsed() { awk -v a="$1" -v b="$(now)" 'BEGIN { print b - a }'; }
# Cold: the input is dropped from the page cache first (what dd's nocache asks for; only clean pages can go).
forget() { [ "$cold" = 0 ] || dd if="$1" iflag=nocache count=0 2>/dev/null; }
pruning() {
    local t
    rm -f "$kept"; forget "$parent"; sync "$work"; t=$(now)
    "$REAP" prune "$parent" --plan "$work/plan.json" -o "$kept" -q >/dev/null 2>&1 && sync "$kept" && elapsed "$t"
}
copying() {
    local t
    rm -f "$copy"; forget "$work/source.gguf"; sync "$work"; t=$(now)
    cp --reflink=never "$work/source.gguf" "$copy" && sync "$copy" && elapsed "$t"
}
for cold in 0 1; do
    alternate "$rounds" copying pruning
    verdict "prune / cp, $([ $cold = 1 ] && echo cold || echo warm) page cache" 1 0.9
    echo "    seconds: reap prune $(least_of 1), cp $(least_of 0), at best"
done

# Peak memory: VmHWM of the process, polled; it only ever grows, so the last value seen is within one poll of the peak.
rm -f "$kept"
"$REAP" prune "$parent" --plan "$work/plan.json" -o "$kept" -q >/dev/null 2>&1 &
pid=$! peak=0
while kb=$(awk '/^VmHWM:/ { print $2 }' "/proc/$pid/status" 2>/dev/null) && [ -n "$kb" ]; do
    peak=$kb
    sleep 0.02
done
wait "$pid" || die 'reap prune failed'
awk -v kb="$peak" 'BEGIN { printf "%-62s %6.1f MiB  bar below 64: %s\n", "prune: peak resident memory", kb / 1024, (kb < 65536 ? "met" : "MISSED") }'
