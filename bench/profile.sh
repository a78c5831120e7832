#!/usr/bin/env bash
# What observing costs, and what packing samples gains.
#
#   bench/profile.sh      environment: REAP, SRC, BIN, TMPDIR (5 GB); ROUNDS (default 5); THREADS (default: reap's); MODELS (paths,
#                         instead of models/tinymoe-Q8_0.gguf and two synthetic ones: deep, 32 layers of 64 experts in q4_0, and
#                         many, 2 layers of 256 large experts in f32, one per token)
. "$(dirname "$0")/common.sh"

rounds=${ROUNDS:-5}
threads=(${THREADS:+--threads "$THREADS"})
need_space 5
build make_moe
build decode
deep=$work/deep.gguf many=$work/many.gguf small=$SRC/models/tinymoe-Q8_0.gguf corpus=$work/corpus.jsonl
"$work/make_moe" "$deep" layers=32 experts=64 used=4 embd=512 ffn=256 type=q4_0 || die 'cannot write a synthetic model'
"$work/make_moe" "$many" layers=2 experts=256 used=1 embd=512 ffn=1024 type=f32 || die 'cannot write a synthetic model'

observed() { profile_secs "$model" "$corpus" "${threads[@]}" "$@"; }
plain() { decode_secs "$model" "$corpus" "${threads[@]}" "$@"; }

for model in ${MODELS:-"$small" "$deep" "$many"}; do
    [ -e "$model" ] || continue
    name=$(basename "$model" .gguf)
    # samples of 64 to 200 tokens
    if [ "$model" = "$small" ]; then
        packing=1
        random_tokens 150 64 200 256
    else
        packing=3
        random_tokens 24 64 200 4096
    fi >"$corpus"
    n=$(n_tokens "$corpus")
    echo "== $name, $(grep -c . "$corpus") samples, $n tokens"

    alternate "$rounds" plain 'plain --all-logits' observed
    verdict 'profile / same decodes unobserved, logits of last tokens' 2 0.95
    echo "    tokens/s: observed $(per_sec "$n" "$(least_of 2)"), unobserved $(per_sec "$n" "$(least_of 0)"), with logits of all tokens $(per_sec "$n" "$(least_of 1)")"
    verdict 'profile / same decodes unobserved, logits of all tokens' 2 '' 1

    runs=('observed --sequences 1' observed)
    for u in 256 512 1024 2048; do
        runs+=("observed --ubatch $u" "observed --ubatch $u --separate-streams")
    done
    alternate $(((rounds + 1) / 2)) "${runs[@]}"
    verdict 'packed / one sample per decode' 1 "$packing"
    for ((r = 2; r < ${#runs[@]}; r++)); do verdict "    ${runs[$r]#observed }" "$r" ''; done
done
