#!/usr/bin/env bash
# reap quantize against llama-quantize of the engine's own version: the same bytes for every type and option, with and without an
# importance matrix. Builds the tool once into the engine's cache (scripts/engine.sh --tools), or takes it from LLAMA_TOOLS.
#
# Environment: REAP, SRC; LLAMA_TOOLS: a folder with llama-quantize; TYPES: only these. A few minutes.
set -u
export LC_ALL=C
: "${REAP:?the program}" "${SRC:?the source tree}"
tools=${LLAMA_TOOLS:-$(bash "$SRC/scripts/engine.sh" --tools llama-quantize)} || exit 1
theirs=$tools/llama-quantize
[ -x "$theirs" ] || { echo "there is no $theirs"; exit 1; }
dir=$(mktemp -d "${TMPDIR:-/tmp}/reap-tools.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
cp "$SRC/tests/data/imatrix/qwen3_moe.gguf" im.gguf
cp "$SRC/tests/data/imatrix/qwen3_moe.dat" im.dat
bad=0 n=0

same() { # MODEL TYPE OPTIONS...: both give the same file, or both refuse
    local model=$1 type=$2 a b
    shift 2
    rm -f a.gguf b.gguf
    timeout 300 "$theirs" "$@" "$model" a.gguf "$type" 2 >a.log 2>&1
    a=$?
    timeout 300 "$REAP" quantize "$model" "$type" "$@" -t 2 -o b.gguf >b.log 2>&1
    b=$?
    n=$((n + 1))
    if [ $a -eq 0 ] && [ $b -eq 0 ] && cmp -s a.gguf b.gguf; then return; fi
    if [ $a -ne 0 ] && [ $b -eq 2 ]; then return; fi
    bad=$((bad + 1))
    echo "FAIL $type $*: llama-quantize gives $a, reap $b"
    tail -n 1 b.log
}

M=$SRC/tests/data/families/qwen3_moe/model.gguf
types=${TYPES:-F32 F16 BF16 Q8_0 Q6_K Q5_K_M Q5_K_S Q5_K Q5_1 Q5_0 Q4_K_M Q4_K_S Q4_K Q4_1 Q4_0 IQ4_NL IQ4_XS MXFP4_MOE Q3_K_L
    Q3_K_M Q3_K_S Q3_K IQ3_M IQ3_S IQ3_XS IQ3_XXS Q2_K Q2_K_S IQ2_M IQ2_S IQ2_XS Q2_0 IQ2_XXS TQ2_0 IQ1_M TQ1_0 IQ1_S Q1_0}
for type in $types; do
    same "$M" "$type"
    same "$M" "$type" --imatrix im.gguf
done
for options in '--pure' '--leave-output-tensor' '--output-tensor-type q5_0' '--token-embedding-type Q8_0' '--tensor-type exps=q8_0' \
    '--tensor-type ffn_(up|gate)_exps=q5_1 --tensor-type ATTN_V=f16' '--imatrix im.dat' '--imatrix im.gguf --include-weights exps' \
    '--imatrix im.gguf --exclude-weights attn --exclude-weights down' '--imatrix im.gguf --pure'; do
    # shellcheck disable=SC2086
    same "$M" Q4_K_M $options
    # shellcheck disable=SC2086
    same "$M" IQ4_NL $options
done
# rows of 256 columns and more, which the smallest types need
T=$SRC/models/tinymoe-Q8_0.gguf
for type in Q4_K_M IQ2_XXS IQ1_S; do
    same "$T" "$type"
    same "$T" "$type" --allow-requantize
done
echo "$((n - bad)) of $n alike"
[ $bad -eq 0 ]
