#!/usr/bin/env bash
# What a change costs a profile: two programs in turn, on the small model and on a wide synthetic one (2 layers of 128 experts of 768, 8 per
# token, hidden size 2048, q4_0). Seconds of the processor, which a busy machine disturbs less than those of the clock.
#
#   bench/versions.sh     environment: REAP, SRC, BIN, TMPDIR (2 GB); BEFORE (the other program); ROUNDS (default 5); THREADS (default 1);
#                         OPTIONS (of REAP alone, such as --pairs off)
. "$(dirname "$0")/common.sh"
: "${BEFORE:?the other program}"
rounds=${ROUNDS:-5}
need_space 2
build make_moe
wide=$work/wide.gguf small=$SRC/models/tinymoe-Q8_0.gguf corpus=$work/corpus.jsonl
"$work/make_moe" "$wide" layers=2 experts=128 used=8 embd=2048 ffn=768 type=q4_0 || die 'cannot write a synthetic model'

# Seconds of the processor, user and system.
cpu() { # PROGRAM MODEL [OPTION]...
    local program=$1 m=$2 TIMEFORMAT='%U %S'
    shift 2
    { time "$program" profile "$m" -c "$corpus" -o "$work/stats.json" -f -q -t "${THREADS:-1}" "$@" >"$work/out" 2>&1; } 2>&1 |
        awk '{ print $1 + $2 }'
}
before() { cpu "$BEFORE" "$model"; }
now() { cpu "$REAP" "$model" $OPTIONS; }
: "${OPTIONS=}"

for model in "$small" "$wide"; do
    if [ "$model" = "$small" ]; then random_tokens 100 64 200 256; else random_tokens 12 64 200 4096; fi >"$corpus"
    echo "== $(basename "$model" .gguf), $(n_tokens "$corpus") tokens"
    alternate "$rounds" before now
    verdict 'seconds before / now' 1 0.95
done
