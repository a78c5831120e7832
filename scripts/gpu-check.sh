#!/usr/bin/env bash
# A build with CUDA held against the CPU, on a machine that has a GPU for a few minutes and nothing but CUDA's toolkit, CMake and a compiler:
# nothing is fetched there.
#
#   scripts/gpu-check.sh pack OUT.tar.gz [BUILD]   here: one file (at most 64 MiB) of what it takes: the engine's sources, reap compiled but
#                                                  for the engine (BUILD, default build, by the same kind of compiler), the libraries it needs,
#                                                  models, texts. A BUILD with CUDA is taken as it is
#   scripts/gpu-check.sh run [PROGRAM]             there, in the unpacked folder: builds the engine with all cores, then the checks; or
#                                                  with a PROGRAM that is there, anywhere
#
# Environment: GPU_CHECK_ARCH (default 90), GPU_CHECK_SECONDS (default 480: a part that would begin later is left out), GPU_CHECK_FA=ON
# (flash attention kernels too, which are most of the build), GPU_CHECK_GB (of the large model, default 10), TMPDIR.
# Without a GPU what needs none is done on the CPU, and each part that needs one says so. The last line: N passed, N failed.
set -u -o pipefail
export LC_ALL=C
here=$(cd "$(dirname "$0")/.." && pwd)
engine_parts="CMakeLists.txt cmake ggml/CMakeLists.txt ggml/cmake ggml/include ggml/src include src vendor LICENSE"
die() { printf 'gpu-check: %s\n' "$*" >&2; exit 1; }

# ---- pack ----

# The command that links reap, its files named from the packed folder on; those of the engine are made there.
pack_link() { # BUILD FOLDER
    local build=$1 dir=$2 word out=
    mkdir -p "$dir/objects" "$dir/lib"
    for word in $(ninja -C "$build" -t commands reap | grep -e ' -o reap ' | tail -n 1); do
        case $word in
        */prefix/lib/lib*.a) continue ;;
        *libgomp.so | *libpthread.a) continue ;;
        *.so | *.so.*) cp -L "$word" "$dir/lib/" 2>/dev/null; out="$out carried/lib/${word##*/}" ;;
        *.o | *.a)
            [ "${word#/}" != "$word" ] || word=$build/$word
            local name=${word#"$build"/}
            name=${name//\//_}
            [ -e "$dir/objects/$name" ] || cp "$word" "$dir/objects/$name"
            strip -g "$dir/objects/$name" 2>/dev/null
            out="$out carried/objects/$name"
            ;;
        esac
    done
    printf '%s\n' "$out" >"$dir/link-reap"
}

pack() {
    local out=$1 build source dir name file
    build=$(cd "${2:-$here/build}" && pwd) && [ -x "$build/reap" ] || die "${2:-build} has no reap: make it first"
    case $out in /*) ;; *) out=$PWD/$out ;; esac
    work=$(mktemp -d) || exit 1
    trap 'rm -rf "$work"' EXIT
    dir=$work/gpu-check/carried
    mkdir -p "$dir/engine" "$work/gpu-check/scripts" "$work/gpu-check/tests/data"
    cp "$here/scripts/gpu-check.sh" "$work/gpu-check/scripts/"
    mkdir "$work/gpu-check/models" && cp "$here/models/tinymoe-Q8_0.gguf" "$work/gpu-check/models/"
    cp -r "$here/tests/data/text" "$here/tests/data/perplexity" "$work/gpu-check/tests/data/"
    for name in "$here"/tests/data/families/*/model.gguf; do
        file=$work/gpu-check/tests/data/families/$(basename "$(dirname "$name")")
        mkdir -p "$file"
        cp "$name" "$(dirname "$name")/texts.jsonl" "$file/"
    done
    # What the programs of this folder load, but for the C and C++ libraries, which every machine has of its own.
    mkdir -p "$dir/lib" "$dir/objects"
    ldd "$build/reap" | awk '$3 ~ /^\// { print $1, $3 }' |
        grep -vE '^(libc|libm|libdl|libpthread|librt|libstdc\+\+|libgcc_s|libgomp|libresolv|libcu(da|blas|blasLt|dart)|libnv.*)\.so' |
        while read -r name file; do cp -L "$file" "$dir/lib/$name"; done
    if grep -q 'REAP_CUDA:BOOL=ON' "$build/CMakeCache.txt"; then
        cp "$build/reap" "$dir/reap" && strip "$dir/reap"
    else
        pack_link "$build" "$dir"
        source=$(bash "$here/scripts/engine.sh" --source | tail -n 1) || die "the engine's sources are missing"
        for name in $engine_parts; do
            [ ! -e "$source/$name" ] || (cd "$source" && cp -r --parents "$name" "$dir/engine/")
        done
        for name in cann et hexagon hip metal musa opencl openvino sycl virtgpu vulkan webgpu zdnn zendnn blas; do
            rm -rf "$dir/engine/ggml/src/ggml-$name"
        done
    fi
    REAP=$build/reap SRC=$here BIN=$build TMPDIR=$work bash -c '. "$SRC/bench/common.sh"; trap - EXIT
        build make_moe; build decode; cp "$work/make_moe" "$work/decode" "$1" && cp "$work/decode.o" "$1/objects/decode.c.o"' - "$dir" >/dev/null || die 'the programs of bench/ cannot be built'
    strip "$dir/make_moe" "$dir/decode"
    tar -C "$work" -czf "$out" gpu-check || exit 1
    file=$(stat -c %s "$out")
    [ "$file" -le $((64 << 20)) ] || die "$out has $file bytes, more than 64 MiB"
    printf '%s: %s MB\n' "$out" "$((file / 1000000))"
}

# ---- run: what all parts use ----

begun=$SECONDS passed=0 failed=0
budget=${GPU_CHECK_SECONDS:-480}
pass() { passed=$((passed + 1)); printf 'ok    %s\n' "$*"; }
fail() { failed=$((failed + 1)); printf 'FAIL  %s\n' "$*"; }
# judge WHAT CONDITION: an expression of awk
judge() { if awk "BEGIN { exit !($2) }"; then pass "$1"; else fail "$1 (wanted: $2)"; fi; }
left_out() { printf '      %s: left out: %s\n' "$1" "$2"; }
# on_device WHAT SECONDS: whether there is a device, and time for a part that takes so long
on_device() {
    if [ -z "$device" ]; then left_out "$1" 'no device'; return 1; fi
    in_time "$1" "$2"
}
in_time() {
    [ $((SECONDS - begun + $2)) -le "$budget" ] || { left_out "$1" "no time ($((SECONDS - begun)) s of $budget s are gone)"; return 1; }
}
reap() { "$REAP" "$@"; }
# quietly OUT COMMAND...: what it says goes to a file, which is shown when it fails
quietly() {
    local out=$1
    shift
    "$@" >"$out" 2>&1 || { tail -n 3 "$out"; return 1; }
}
value() { sed -n "s/^ *\"$1\": *\([0-9.eE+-]*\),*\$/\1/p" "$2" | head -n 1; }
# differ A B: of two stats files, the largest share by which a sum of a layer differs: sum |a - b| over its experts by sum |a|, and the key
differ() {
    grep -E '^ *"[a-z_]+": \[-?[0-9]' "$1" >"$work/a" && grep -E '^ *"[a-z_]+": \[-?[0-9]' "$2" >"$work/b" || return 1
    awk -F'[][,:]+' 'NR == FNR { a[FNR] = $0; n = FNR; next }
        { k = split(a[FNR], x, /[][,: ]+/); m = split($0, y, /[][,: ]+/); d = s = 0
          for (i = 1; i <= k; i++) if (x[i] ~ /^-?[0-9]/) { d += x[i] > y[i] ? x[i] - y[i] : y[i] - x[i]; s += x[i] < 0 ? -x[i] : x[i] }
          if (k != m) { print 1e9, "length"; exit }
          r = s > 0 ? d / s : d; if (r >= worst) { worst = r; at = $2; gsub(/[" ]/, "", at) } }
        END { if (FNR != n) print 1e9, "length"; else print worst + 0, at }' "$work/a" "$work/b" | head -n 1
}
secs() { value seconds "$1"; }
profile() { # OUT MODEL CORPUS [OPTION]...: the figures are in OUT.log
    local out=$1 model=$2 corpus=$3
    shift 3
    reap profile "$model" -c "$corpus" -o "$out" -f --json "$@" >"$out.log" 2>"$out.err" || { tail -n 2 "$out.err"; return 1; }
}
nll() { # MODEL CORPUS [OPTION]...
    reap eval "$1" -c "$2" --json -q "${@:3}" 2>"$work/err" >"$work/eval.json" && value mean_nll "$work/eval.json"
}
used_mib() { nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits 2>/dev/null | head -n 1; }

# ---- run: the build ----

build_there() {
    local t=$SECONDS fa=${GPU_CHECK_FA:-OFF} jobs
    jobs=$(nproc)
    command -v nvcc >/dev/null || PATH=$PATH:/usr/local/cuda/bin
    command -v nvcc >/dev/null || die 'nvcc is missing'
    cmake -S carried/engine -B built $(command -v ninja >/dev/null && echo -G Ninja) -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF \
        -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DLLAMA_BUILD_IS_DEV=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF \
        -DLLAMA_BUILD_COMMON=OFF -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_EXAMPLES=OFF \
        -DLLAMA_BUILD_APP=OFF -DGGML_CCACHE=OFF -DGGML_RPC=ON -DGGML_NATIVE=ON -DGGML_CUDA=ON -DGGML_CUDA_NO_VMM=ON -DGGML_CUDA_NCCL=OFF \
        -DGGML_CUDA_FA="$fa" -DCMAKE_CUDA_ARCHITECTURES="${GPU_CHECK_ARCH:-90}" -DCMAKE_C_FLAGS="$(no_amx)" -DCMAKE_CXX_FLAGS="$(no_amx)" \
        >configure.log 2>&1 || { tail -n 20 configure.log; die 'the engine cannot be configured'; }
    cmake --build built -j "$jobs" >build.log 2>&1 || { tail -n 20 build.log; die 'the engine cannot be built'; }
    link_there || die 'reap cannot be linked'
    printf 'built for architecture %s with %s cores in %s s (flash attention: %s)\n' "${GPU_CHECK_ARCH:-90}" "$jobs" "$((SECONDS - t))" "$fa"
}
no_amx() {
    [ "$(uname -m)" != x86_64 ] || echo '-mno-amx-tile -mno-amx-int8 -mno-amx-bf16'
}
link_there() {
    local cuda=${CUDA_HOME:-/usr/local/cuda}/lib64 libs=
    for name in llama ggml ggml-cpu ggml-rpc ggml-cuda ggml-base; do
        libs="$libs $(find built -name "lib$name.a" | head -n 1)"
    done
    libs="-Wl,--start-group $libs -Wl,--end-group -L$cuda -lcublas -lcudart -lgomp -lpthread -Wl,-rpath-link,carried/lib -Wl,-rpath,$cuda"
    # shellcheck disable=SC2046,SC2086
    c++ -o carried/decode $(sed 's/[^ ]*reap.dir_src_main.c.o/carried\/objects\/decode.c.o/' carried/link-reap) $libs &&
        c++ -o carried/reap $(cat carried/link-reap) $libs
}

# ---- run: the parts ----

starts() {
    reap --version >"$work/out" 2>&1 && pass "it starts: $(cat "$work/out")" || fail "it does not start: $(cat "$work/out")"
    reap doctor >"$work/doctor" 2>&1
    sed -n 's/^/      /p' "$work/doctor"
    device=$(reap doctor --json 2>/dev/null | awk '/"name"/ { n = $2 } /"offload": true/ { gsub(/[",]/, "", n); print n; exit }')
    if [ -z "$device" ] && grep -q CUDA "$work/doctor"; then
        judge 'doctor says that there is no GPU' "$(grep -c 'can use a GPU and finds none' "$work/doctor") == 1"
    fi
}

# Float32 on both sides (the products of TF32 have 11 bits). What rounding may change: 1e-4 of the sums of a layer. MXFP4 is computed on the
# CPU with activations of 8 bits, which moves decisions of the router: 0.2.
families() {
    local model name tol got
    on_device 'families on the device and on the CPU' 90 || return 0
    export NVIDIA_TF32_OVERRIDE=0
    for model in tests/data/families/*/model.gguf; do
        name=$(basename "$(dirname "$model")") tol=1e-4
        [ "$name" != gpt_oss_mxfp4 ] || tol=0.2
        exact="--flash-attn off --cache-type-k f32 --cache-type-v f32"
        # shellcheck disable=SC2086
        if profile "$work/cpu" "$model" "${model%model.gguf}texts.jsonl" $exact --device none &&
            profile "$work/gpu" "$model" "${model%model.gguf}texts.jsonl" $exact; then
            got=$(differ "$work/cpu" "$work/gpu")
            judge "$name: sums of experts differ by ${got% *} at most (${got#* })" "${got% *} + 0 <= $tol"
        else
            fail "$name: no profile"
        fi
    done
    unset NVIDIA_TF32_OVERRIDE
}

# Perplexity of the parent and of the plan as a mask, against llama-perplexity's golden and the CPU.
tables() {
    local m=models/tinymoe-Q8_0.gguf t=tests/data/perplexity/text.txt plan=tests/data/perplexity/tinymoe-24.json want got masked
    in_time "tinymoe's tables" 40 || return 0
    want=$(awk '$1 ~ /tinymoe/ && $2 == 128 && NF == 4 { print $3 }' tests/data/perplexity/golden.txt)
    got=$(reap eval $m --text $t --ctx 128 --json -q 2>/dev/null | sed -n 's/^ *"ppl": *\([0-9.]*\),*$/\1/p' | head -n 1)
    judge "tinymoe: perplexity ${got:-none}, llama-perplexity on a CPU $want" "(${got:-0} - $want) ^ 2 < ($want * 0.005) ^ 2"
    quietly "$work/out" reap prune $m --plan $plan -o "$work/pruned.gguf" -f -q || fail 'tinymoe: prune'
    masked=$(reap eval $m --plan $plan --text $t --ctx 128 --json -q 2>/dev/null | sed -n 's/^ *"ppl": *\([0-9.]*\),*$/\1/p' | head -n 1)
    got=$(reap eval "$work/pruned.gguf" --text $t --ctx 128 --json -q 2>/dev/null | sed -n 's/^ *"ppl": *\([0-9.]*\),*$/\1/p' | head -n 1)
    judge "tinymoe: the plan as a mask ${masked:-none}, the pruned file ${got:-none}" "(${masked:-0} - ${got:-1}) ^ 2 < (${got:-1} * 0.001) ^ 2"
    on_device 'losses and masks on the device and on the CPU' 30 || return 0
    want=$(reap eval $m --plan $plan --text $t --ctx 128 --json -q --device none 2>/dev/null | sed -n 's/^ *"ppl": *\([0-9.]*\),*$/\1/p' | head -n 1)
    judge "tinymoe: the mask on the CPU ${want:-none}, on the device ${masked:-none}" "(${masked:-0} - ${want:-1}) ^ 2 < (${want:-1} * 0.005) ^ 2"
    profile "$work/gpu" $m tests/data/text/code && profile "$work/some" $m tests/data/text/code -ngl 3 && profile "$work/cpu" $m tests/data/text/code --device none
    got=$(differ "$work/cpu" "$work/gpu")
    judge "tinymoe: sums of experts differ by ${got% *} (${got#* })" "${got% *} + 0 <= 0.02"
    got=$(differ "$work/cpu" "$work/some")
    judge "tinymoe, 3 layers on the device: by ${got% *} (${got#* })" "${got% *} + 0 <= 0.02"
    judge "tinymoe, 3 layers: said so" "$(grep -c 'with 3 of ' "$work/some.err") == 1"
    if reap profile $m -c tests/data/text/code -o "$work/none" -f --device no-such >"$work/out" 2>&1; then fail '--device no-such is taken'; else pass "--device no-such: $(tail -n 1 "$work/out")"; fi
}

tokens() { # SAMPLES LENGTH VOCAB: rows of random tokens
    awk -v r="$1" -v n="$2" -v v="$3" 'BEGIN { srand(1); while (r--) { s = ""; for (i = 0; i < n; i++) s = s (i ? "," : "") int(rand() * v); print "{\"tokens\":[" s "]}" } }'
}

# A model of 10 GB: speed with and without an observer, bytes over PCIe, memory as said and as it is, part of it on the device.
large() {
    local gb=${GPU_CHECK_GB:-10} m=$work/large.gguf c=$work/large.jsonl layers n before peak said pci a b i
    on_device "a model of $gb GB: speed observed and not, PCIe, memory, part of the layers" 150 || return 0
    layers=$((gb * 10 / 2 / 2))
    "$tools/make_moe" "$m" layers="$layers" experts=128 used=8 embd=2048 ffn=512 type=q8_0 || { fail 'the model cannot be written'; return 0; }
    printf '      %s: %s layers of 128 experts, %s MB\n' "$(basename "$m")" "$layers" "$(($(stat -c %s "$m") / 1000000))"
    tokens 64 512 4096 >"$c"
    n=$((64 * 512))
    before=$(used_mib) a=0 b=0
    profile "$work/warm" "$m" "$c" --max-samples 4 || { fail 'the large model: no profile'; return 0; }
    for i in 1 2 3; do
        nvidia-smi dmon -s t -d 1 -o T >"$work/dmon" 2>/dev/null &
        local watch=$!
        (while used_mib; do sleep 0.3; done >"$work/used") &
        local mem=$!
        profile "$work/observed" "$m" "$c" || fail 'observed'
        kill $watch $mem 2>/dev/null
        wait $watch $mem 2>/dev/null
        a="$a $(secs "$work/observed.log")"
        b="$b $("$tools/decode" "$m" "$c" 2>/dev/null | awk '{ print $3 }')"
    done
    a=$(printf '%s\n' $a | sort -g | sed -n 2p) b=$(printf '%s\n' $b | sort -g | sed -n 2p)
    judge "observed $(awk "BEGIN { print int($n / $a) }") tokens/s, unobserved $(awk "BEGIN { print int($n / $b) }")" "$b / $a >= 0.95"
    pci=$(awk '$1 ~ /:/ { rx += $3; tx += $4 } END { print int((rx + tx) * 1000000) }' "$work/dmon")
    printf '      PCIe in the last run, loading included: %s bytes per token (nvidia-smi dmon, once a second)\n' "$((pci / n))"
    peak=$(sort -g "$work/used" | tail -n 1)
    said=$(sed -n 's/.*; \([0-9.]*\) \([GM]\)B of .* there.*/\1 \2/p' "$work/observed.err" | awk '{ print $1 * ($2 == "G" ? 953.67 : 0.95367) }' | head -n 1)
    judge "memory: said ${said:-nothing} MiB, taken $((peak - before)) MiB (with CUDA's own)" "${said:-0} > 0 && ($peak - $before) - ${said:-0} < 1200 && ${said:-0} - ($peak - $before) < 200"
    profile "$work/half" "$m" "$c" --max-samples 8 -ngl $((layers / 2)) && pass "half of the layers: $(awk "BEGIN { print int(8 * 512 / $(secs "$work/half.log")) }") tokens/s" || fail 'half of the layers'
    profile "$work/host" "$m" "$c" --max-samples 8 --cpu-moe && pass "experts in host memory: $(awk "BEGIN { print int(8 * 512 / $(secs "$work/host.log")) }") tokens/s" || fail 'experts in host memory'
    rm -f "$m"
}

run() {
    cd "$here" || exit 1
    tools=$here/carried
    REAP=${1:-$here/carried/reap}
    [ ! -d carried/lib ] || export LD_LIBRARY_PATH=$here/carried/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    [ -x "$REAP" ] || build_there
    work=$(mktemp -d) || exit 1
    trap 'rm -rf "$work"' EXIT
    for part in starts families tables large; do
        $part
        printf '      (%s: %s s)\n' "$part" "$((SECONDS - begun))"
    done
    printf '%s passed, %s failed\n' "$passed" "$failed"
    [ "$failed" = 0 ]
}

case ${1:-} in
pack) [ $# -ge 2 ] && [ $# -le 3 ] || die 'pack OUT.tar.gz [BUILD]'; shift; pack "$@" ;;
run) shift; run "$@" ;;
*) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
