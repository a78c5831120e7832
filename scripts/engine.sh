#!/usr/bin/env bash
# Fetch and build the inference engine (libllama) once, into a cache outside the checkout.
#
#   scripts/engine.sh [-DNAME=VALUE]...                  prints the install prefix
#   scripts/engine.sh [-DNAME=VALUE]... --tools NAME...  builds tools of the engine too, prints their folder
#   scripts/engine.sh --jinja                            builds its interpreter of chat templates alone, prints
#                                                        the folder of its lib/ and include/
#   scripts/engine.sh --source                           prints the folder of its sources
#
# The answer is the last line on standard output; everything else goes to standard error.
# With the cache filled this needs no network and takes a few hundredths of a second.
#
# NAME, also read from the environment: REAP_NATIVE (default ON: code for this CPU), REAP_AMX (default OFF),
# REAP_CUDA, REAP_HIP, REAP_VULKAN, REAP_METAL (default OFF), REAP_CUDA_ARCH (the GPUs that code is made for, as
# CMAKE_CUDA_ARCHITECTURES names them: "90", "86;89" or "86,89"; default: those of this machine, with REAP_NATIVE=OFF the engine's list),
# REAP_PORTABLE (default OFF: programs to be carried to other machines: code for several levels of the processor, chosen when it runs; no shared
# C++ library; no path of this machine inside; REAP_NATIVE is OFF).
# Environment: REAP_CACHE (default ~/.cache/reap), ENGINE_CC and ENGINE_CXX (default cc and c++; compilers for
# another kind of processor build for that one, and REAP_NATIVE is OFF), ENGINE_ARM_ARCH (-march of an ARM engine
# that is not native, such as armv8.2-a+dotprod; default: the compiler's own, armv8-a), ENGINE_JOBS.

set -eu

version=0.5.0
tree=fd570ef54b10ec5fecb739e7e04c8ce44a6f415a
url=https://github.com/ggml-org/llama.cpp
# The same tree travels as a git bundle in an npm package: a second source where the first cannot be reached.
package=node-llama-cpp@3.22.1
bundle=package/llama/gitRelease.bundle
bundle_sha256=5f5d1105d5df040738d87b8290e5d17e7362131cdcfdb0831618e0ea528b4a51

here=$(cd "$(dirname "$0")" && pwd)
cache=${REAP_CACHE:-${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/reap}
cc=${ENGINE_CC:-cc}
cxx=${ENGINE_CXX:-c++}
native=${REAP_NATIVE:-ON} amx=${REAP_AMX:-OFF} portable=${REAP_PORTABLE:-OFF}
arm_arch=${ENGINE_ARM_ARCH:-}
cuda=${REAP_CUDA:-OFF} hip=${REAP_HIP:-OFF} vulkan=${REAP_VULKAN:-OFF} metal=${REAP_METAL:-OFF}
cuda_arch=${REAP_CUDA_ARCH:-} cuda_flags=()
tools=()
what=library
work=

say() { printf 'engine: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }
need() { command -v "$1" >/dev/null || die "'$1' is missing (scripts/setup.sh installs what is needed)"; }

usage() {
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

cleanup() {
    [ -z "$work" ] || rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

on_off() {
    case $2 in
    ON | on | 1 | YES | yes | TRUE | true | Y | y) printf ON ;;
    OFF | off | 0 | NO | no | FALSE | false | N | n | '') printf OFF ;;
    *) say "$1 is '$2', expected ON or OFF"; exit 2 ;;
    esac
}

read_args() {
    while [ $# -gt 0 ]; do
        case $1 in
        -DREAP_NATIVE=*) native=${1#*=} ;;
        -DREAP_AMX=*) amx=${1#*=} ;;
        -DREAP_PORTABLE=*) portable=${1#*=} ;;
        -DREAP_CUDA=*) cuda=${1#*=} ;;
        -DREAP_CUDA_ARCH=*) cuda_arch=${1#*=} ;;
        -DREAP_HIP=*) hip=${1#*=} ;;
        -DREAP_VULKAN=*) vulkan=${1#*=} ;;
        -DREAP_METAL=*) metal=${1#*=} ;;
        --tools)
            shift
            [ $# -gt 0 ] || usage
            tools=("$@")
            what=tools
            break
            ;;
        --jinja | --source) what=${1#--} ;;
        *) usage ;;
        esac
        shift
    done
    native=$(on_off REAP_NATIVE "$native")
    amx=$(on_off REAP_AMX "$amx")
    portable=$(on_off REAP_PORTABLE "$portable")
    cuda=$(on_off REAP_CUDA "$cuda")
    hip=$(on_off REAP_HIP "$hip")
    vulkan=$(on_off REAP_VULKAN "$vulkan")
    metal=$(on_off REAP_METAL "$metal")
    cuda_arch=${cuda_arch//,/;}
    case $cuda_arch in
    *[!0-9a-z\;-]*)
        say "REAP_CUDA_ARCH is '$cuda_arch', expected architectures as CMake names them, such as 90 or 86;89"
        exit 2
        ;;
    esac
}

duration() {
    if [ "$1" -ge 60 ]; then
        printf '%d min %d s' $(($1 / 60)) $(($1 % 60))
    else
        printf '%d s' "$1"
    fi
}

sha256() {
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -c1-64
}

# timeout(1) is not everywhere; without it the command runs unlimited.
limited() {
    local seconds=$1
    shift
    if command -v timeout >/dev/null; then timeout "$seconds" "$@"; else "$@"; fi
}

processor() {
    case ${1%%-*} in
    x86_64 | amd64 | i?86) echo x86_64 ;;
    aarch64 | arm64) echo aarch64 ;;
    arm*) echo arm ;;
    powerpc64le | ppc64le) echo ppc64le ;;
    *) echo "${1%%-*}" ;;
    esac
}

# The processor that the compiler builds for, where it is of another kind than this machine's; else nothing.
foreign_target() {
    local target
    target=$("$cxx" -dumpmachine 2>/dev/null) || return 0
    target=$(processor "$target")
    [ "$target" = "$(processor "$(uname -m)")" ] || printf %s "$target"
}

# What this CPU can do. Part of the cache key of a native build: a home folder shared between different
# machines must never hand code for one CPU to another.
cpu_features() {
    if [ -r /proc/cpuinfo ]; then
        awk -F: '/^(flags|Features|isa|CPU implementer|CPU part|cpu family|model|vendor_id)[ \t]*:/ &&
                 !seen[$0]++' /proc/cpuinfo
    elif command -v sysctl >/dev/null; then
        sysctl -n machdep.cpu.brand_string 2>/dev/null || true
    fi
}

cache_key() {
    printf '%s\n' "layout 1" "$tree" "$(uname -sm)" "amx=$amx native=$native" \
        "cuda=$cuda hip=$hip vulkan=$vulkan metal=$metal" "$("$cc" --version)" "$("$cxx" --version)"
    if [ -n "$target$arm_arch" ]; then printf 'target=%s arm_arch=%s\n' "$target" "$arm_arch"; fi
    if [ "$portable" = ON ]; then printf '%s\n' "portable 1" "$variants"; fi
    if [ "$native" = ON ]; then cpu_features; fi
    if [ "$cuda" = ON ]; then printf '%s\n' "$cuda_arch" "$("$(find_nvcc)" --version 2>/dev/null)"; fi
}

# The toolkit's usual folder is often not in PATH.
find_nvcc() {
    command -v nvcc || printf '%s\n' "${CUDA_HOME:-${CUDA_PATH:-/usr/local/cuda}}/bin/nvcc"
}

lock() {
    mkdir -p "$cache" || die "cannot create $cache (REAP_CACHE chooses another folder)"
    command -v flock >/dev/null || return 0
    exec 9>"$cache/lock"
    if ! flock -n 9; then
        say "another build is using $cache, waiting for it"
        flock 9
    fi
}

tree_of() { git -C "$1" rev-parse 'HEAD^{tree}' 2>/dev/null || true; }

# clone NAME SOURCE [GIT OPTION...]: clone to $work/src, keep it only if it is the tree we know.
clone() {
    local name=$1 from=$2 found
    shift 2
    rm -rf "$work/src"
    limited 1800 git -c advice.detachedHead=false clone --quiet "$@" "$from" "$work/src" 9>&- >&2 || return 1
    found=$(tree_of "$work/src")
    if [ "$found" != "$tree" ]; then
        say "$name has tree ${found:-none}, expected $tree"
        return 1
    fi
}

# A short question first, so that a machine without access finds out in seconds and a slow line may still take
# its time for the clone.
from_git() {
    export GIT_TERMINAL_PROMPT=0 GIT_HTTP_LOW_SPEED_LIMIT=1000 GIT_HTTP_LOW_SPEED_TIME=30
    limited 10 git ls-remote --exit-code --tags "$url" "v$version" >/dev/null 2>&1 9>&- || {
        say "$url cannot be reached"
        return 1
    }
    say "cloning $url, tag v$version"
    clone "$url" "$url" --depth 1 --branch "v$version"
}

from_npm() {
    local got
    command -v npm >/dev/null || "$here/setup.sh" --npm >&2 || return 1
    say "fetching the npm package $package (36 MB), which holds the same sources"
    (cd "$work" && limited 900 npm pack --silent "$package" >/dev/null 9>&-) || {
        say "npm pack $package failed"
        return 1
    }
    tar -xzf "$work"/node-llama-cpp-*.tgz -C "$work" "$bundle" || return 1
    got=$(sha256 <"$work/$bundle")
    if [ "$got" != "$bundle_sha256" ]; then
        say "$package: $bundle has SHA-256 $got, expected $bundle_sha256"
        return 1
    fi
    clone "$package" "$work/$bundle"
}

fetch() {
    if [ "$(tree_of "$src")" = "$tree" ]; then return; fi
    need git
    rm -rf "$src"
    work=$(mktemp -d "$cache/fetch.XXXXXX")
    from_git || from_npm || {
        say "no source of libllama $version could be reached"
        [ "$what" = jinja ] || say "give an installed one with -DREAP_LLAMA_DIR=PREFIX, or"
        die "put a clone of $url at v$version into $src"
    }
    mv "$work/src" "$src"
    rm -rf "$work"
    work=
}

# Some virtual machines advertise AMX and then kill the process at the first tile instruction. ggml compiles
# its AMX kernels in whenever the compiler has AMX on, as with -march=native there, and does not ask the CPU
# again before it uses them. These flags win over -march in any order.
amx_flags() {
    local flag
    [ "$amx" = OFF ] || return 0
    [ "$(processor "${target:-$(uname -m)}")" = x86_64 ] || return 0
    for flag in -mno-amx-tile -mno-amx-int8 -mno-amx-bf16; do
        if "$cc" "$flag" -x c -fsyntax-only /dev/null 2>/dev/null; then printf '%s ' "$flag"; fi
    done
}

# Without the toolkit's calls of the driver itself (GGML_CUDA_NO_VMM), since a program linked to libcuda.so.1 does not even
# start where no driver is: there, as on the machines where clusters are logged into, it shall use the CPU. A pool of
# buffers takes the place of mapped memory there. NCCL would be one more library that must be there to start.
with_cuda() {
    local nvcc
    nvcc=$(find_nvcc)
    need "$nvcc"
    cuda_flags=(-DGGML_CUDA_NO_VMM=ON -DGGML_CUDA_NCCL=OFF -DCMAKE_CUDA_COMPILER="$nvcc")
    if [ -n "$cuda_arch" ]; then
        cuda_flags+=(-DCMAKE_CUDA_ARCHITECTURES="$cuda_arch")
    elif [ "$native" = ON ] && ! nvidia-smi -L >/dev/null 2>&1; then
        die "there is no GPU here to make code for: name its architecture (REAP_CUDA_ARCH=90), or give REAP_NATIVE=OFF"
    fi
}

# configure FOLDER OPTION...: with what all builds of the engine have in common.
configure() {
    local build=$1 flags options
    shift
    need cmake
    need ninja
    flags=$(amx_flags)
    [ "$cuda" = OFF ] || with_cuda
    options=(-DCMAKE_BUILD_TYPE=Release -DCMAKE_POSITION_INDEPENDENT_CODE=ON
        -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx"
        -DCMAKE_INSTALL_PREFIX="$dir/prefix" -DCMAKE_INSTALL_LIBDIR=lib
        -DLLAMA_BUILD_IS_DEV=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF
        -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF
        -DGGML_CCACHE=OFF -DGGML_RPC=ON -DGGML_NATIVE="$native" -DGGML_CPU_ARM_ARCH="$arm_arch"
        -DGGML_CUDA="$cuda" -DGGML_HIP="$hip" -DGGML_VULKAN="$vulkan" -DGGML_METAL="$metal"
        ${cuda_flags[@]+"${cuda_flags[@]}"})
    if [ -n "$target" ]; then
        options+=(-DCMAKE_SYSTEM_NAME="$(uname -s)" -DCMAKE_SYSTEM_PROCESSOR="$target")
    fi
    if [ "$portable" = ON ]; then
        # The same bytes wherever they are built; how the sources came (clone, bundle) decides the number of commits.
        flags="$flags -ffile-prefix-map=$src=llama.cpp -ffile-prefix-map=$dir=engine"
        options+=(-DLLAMA_BUILD_NUMBER=0 -DLLAMA_BUILD_COMMIT="v$version"
            -DCMAKE_EXE_LINKER_FLAGS="-static-libgcc -static-libstdc++"
            -DOpenMP_gomp_LIBRARY="$("$cc" -print-file-name=libgomp.a)")
    fi
    # Afresh: where PATH finds a compiler elsewhere now, cmake forgets what it has cached, and the options of this call with it.
    cmake --fresh -S "$src" -B "$build" -G Ninja "${options[@]}" -DCMAKE_C_FLAGS="$flags" -DCMAKE_CXX_FLAGS="$flags" "$@" \
        >"$dir/configure.log" 2>&1 9>&- || failed "$dir/configure.log"
}

# Library, and with "ON" the tools and the server.
configure_library() {
    configure "$dir/build" -DBUILD_SHARED_LIBS=OFF -DLLAMA_BUILD_COMMON="$1" -DLLAMA_BUILD_TOOLS="$1" \
        -DLLAMA_BUILD_TESTS="$1" -DLLAMA_BUILD_SERVER="$2"
}

failed() {
    tail -n 20 "$1" >&2
    die "failed; the whole log is $1"
}

# The lock's descriptor stays open in ninja: should this script be killed, the lock holds until ninja ends.
# compile WHAT FOLDER TARGET...: on a terminal ninja's own status line, elsewhere a line every 15 seconds.
compile() {
    local what=$1 build=$2 start=$SECONDS jobs=${ENGINE_JOBS:-} pid next now steps
    shift 2
    [ -n "$jobs" ] || jobs=$(nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2)
    say "building $what, some minutes; kept in $dir"
    if [ -t 2 ]; then
        NINJA_STATUS='engine: [%f of %t, %e s] ' ninja -C "$build" -j "$jobs" "$@" >&2 ||
            die "building $what failed"
    else
        NINJA_STATUS='[%f/%t] ' ninja -C "$build" -j "$jobs" "$@" >"$dir/build.log" 2>&1 &
        pid=$!
        trap 'kill $pid 2>/dev/null; exit 130' INT
        trap 'kill $pid 2>/dev/null; exit 143' TERM
        next=$((start + 15))
        while kill -0 "$pid" 2>/dev/null; do
            sleep 1 9>&-
            now=$SECONDS
            [ "$now" -ge "$next" ] || continue
            next=$((now + 15))
            steps=$(tail -c 4000 "$dir/build.log" |
                sed -n 's,^\[\([0-9]*\)/\([0-9]*\)\].*,\1 of \2 steps,p' | tail -n 1)
            say "building $what, ${steps:-starting}, $(duration $((now - start)))"
        done
        wait "$pid" || failed "$dir/build.log"
    fi
    say "built $what in $(duration $((SECONDS - start)))"
}

# The engine can choose among builds of its CPU code when it runs, but only as shared libraries that it looks for
# in folders. Here the same builds, with the engine's own question to the processor (ggml_backend_score), are put
# into one archive in the place of libggml-cpu.a: all but the two entries of each becomes local to it.
build_variants() {
    local build=$dir/variants name objects list=() archive=$dir/build/ggml/src/libggml-cpu.a
    configure "$build" -DBUILD_SHARED_LIBS=ON -DGGML_BACKEND_DL=ON -DGGML_CPU_ALL_VARIANTS=ON \
        -DLLAMA_BUILD_COMMON=OFF -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_SERVER=OFF
    ninja -C "$build" -t targets all >"$build/targets"
    for name in $variants; do
        objects=$(sed -n "s|^\(ggml/src/CMakeFiles/ggml-cpu-$name\(-feats\)*\.dir/.*\.o\): .*|\1|p" "$build/targets" |
            LC_ALL=C sort)
        [ -n "$objects" ] || die "the engine has no build of its CPU code called $name"
        # shellcheck disable=SC2086
        compile "its code for $name" "$build" $objects
        # shellcheck disable=SC2086
        (cd "$build" && join "$name" $objects) >&2 || die "the code for $name could not be joined"
        list+=("$name.o")
    done
    choice >"$build/choice.c"
    (cd "$build" && "$cc" -O2 -fPIC -c choice.c -o choice.o && rm -f variants.a &&
        "$("$cc" -print-prog-name=ar)" rcsD variants.a choice.o "${list[@]}") >&2 || die "ar failed"
    mv "$build/variants.a" "$archive"
}

# join NAME OBJECT...: one object, NAME.o. What C++ keeps unique in a program cannot be made local and gets another name.
join() {
    local name=$1 id=${1//./_} objcopy
    shift
    objcopy=$("$cc" -print-prog-name=objcopy)
    "$cc" -fuse-ld=bfd -nostdlib -r -Wl,--force-group-allocation -o all.o "$@" &&
        "$objcopy" --keep-global-symbol=ggml_backend_init --keep-global-symbol=ggml_backend_score all.o local.o &&
        "$("$cc" -print-prog-name=nm)" --defined-only local.o | awk -v id="$id" '$2 == "u" { print $3, $3 "_" id }
            END { print "ggml_backend_init reap_cpu_init_" id; print "ggml_backend_score reap_cpu_score_" id }' >names &&
        "$objcopy" --redefine-syms=names local.o "$name.o" && rm -f all.o local.o
}

# C source: the engine's CPU code that says the highest score here.
choice() {
    local name
    printf 'typedef void *reg(void);\ntypedef int score(void);\nreg ggml_backend_cpu_reg;\n'
    for name in ${variants//./_}; do printf 'extern reg reap_cpu_init_%s;\nextern score reap_cpu_score_%s;\n' "$name" "$name"; done
    printf 'static const struct {\n    score *score;\n    reg *init;\n} variants[] = {\n'
    for name in ${variants//./_}; do printf '    {reap_cpu_score_%s, reap_cpu_init_%s},\n' "$name" "$name"; done
    cat <<'END'
};

void *ggml_backend_cpu_reg(void)
{
    int best = 0, at = 0;
    for (int i = 0; i < (int)(sizeof variants / sizeof *variants); i++) {
        int n = variants[i].score();
        if (n > best) {
            best = n;
            at = i;
        }
    }
    return variants[at].init();
}
END
}

# The prefix takes its name only when it is complete.
build_library() {
    if [ -e "$dir/prefix/complete" ]; then return; fi
    fetch
    mkdir -p "$dir"
    cache_key >"$dir/key"
    configure_library OFF OFF
    compile "libllama $version" "$dir/build" all
    [ "$portable" = OFF ] || build_variants
    rm -rf "$dir/prefix"
    cmake --install "$dir/build" >"$dir/install.log" 2>&1 9>&- || failed "$dir/install.log"
    : >"$dir/prefix/complete"
}

# With the library's tree reconfigured, so that its objects are not built again.
build_tools() {
    local name server=OFF missing=()
    for name in "${tools[@]}"; do
        [ -x "$dir/tools/$name" ] || missing+=("$name")
        case $name in llama-server | llama-cli) server=ON ;; esac
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    lock
    build_library
    fetch
    configure_library ON "$server"
    compile "${missing[*]}" "$dir/build" "${missing[@]}"
    mkdir -p "$dir/tools"
    for name in "${missing[@]}"; do
        cp "$dir/build/bin/$name" "$dir/tools/.$name.new"
        mv "$dir/tools/.$name.new" "$dir/tools/$name"
    done
}

# The interpreter of chat templates is part of no library that the engine installs, so it is built from the
# sources on its own, in seconds, whichever libllama is used.
jinja_key() {
    printf '%s\n' "layout 2" "$tree" "$(uname -sm)" "$("$cxx" --version)"
    if [ -n "$target" ]; then printf 'target=%s\n' "$target"; fi
    if [ "$portable" = ON ]; then echo portable; fi
}

build_jinja() {
    local name new pids=() pid flags=()
    fetch
    [ "$portable" = OFF ] || flags=("-ffile-prefix-map=$src=llama.cpp")
    say "building the interpreter of chat templates; kept in $dir"
    new=$(mktemp -d "$cache/jinja.XXXXXX")
    work=$new
    chmod 755 "$new"
    mkdir -p "$new/include/jinja" "$new/lib"
    cp "$src"/common/jinja/*.h "$new/include/jinja/"
    for name in jinja/lexer jinja/parser jinja/runtime jinja/string jinja/value unicode json; do
        "$cxx" -std=c++17 -O2 -DNDEBUG -fPIC -fvisibility=hidden -w ${flags[@]+"${flags[@]}"} -I"$src/common" -I"$src/vendor" -I"$src/ggml/include" \
            -c "$src/common/$name.cpp" -o "$new/${name##*/}.o" >&2 9>&- &
        pids+=($!)
        if [ ${#pids[@]} -ge 2 ]; then
            wait "${pids[0]}" || die "the interpreter of chat templates cannot be compiled"
            pids=("${pids[@]:1}")
        fi
    done
    for pid in "${pids[@]}"; do wait "$pid" || die "the interpreter of chat templates cannot be compiled"; done
    "$("$cxx" -print-prog-name=ar)" rcs "$new/lib/libjinja.a" "$new"/*.o >&2 || die "ar failed"
    rm -f "$new"/*.o
    rm -rf "$dir"
    mv "$new" "$dir"
    work=
}

read_args "$@"
need "$cxx"
target=$(foreign_target)
[ -z "$target" ] || native=OFF
if [ "$portable" = ON ]; then
    native=OFF
    case $(processor "${target:-$(uname -m)}") in
    x86_64) variants='x64 haswell alderlake skylakex icelake zen4' ;;
    aarch64) variants='armv8.0_1 armv8.2_2 armv8.6_1 armv8.6_2' ;; # SME wants a newer compiler than Debian 12's
    *) die "REAP_PORTABLE: nothing is known of processors like $(processor "${target:-$(uname -m)}")" ;;
    esac
fi
src=$cache/llama-$version-src
if [ "$what" = source ]; then
    if [ "$(tree_of "$src")" != "$tree" ]; then # nobody waits for another's build to be told where they are
        lock
        fetch
    fi
    printf '%s\n' "$src"
    exit
fi
if [ "$what" = jinja ]; then
    dir=$cache/llama-$version-jinja-$(jinja_key | sha256 | cut -c1-12)
    if [ ! -e "$dir/lib/libjinja.a" ]; then
        lock
        [ -e "$dir/lib/libjinja.a" ] || build_jinja
    fi
    printf '%s\n' "$dir"
    exit
fi
need "$cc"
dir=$cache/llama-$version-$(cache_key | sha256 | cut -c1-12)

if [ ! -e "$dir/prefix/complete" ]; then
    lock
    build_library
fi
if [ "$what" = tools ]; then
    build_tools
    printf '%s\n' "$dir/tools"
else
    printf '%s\n' "$dir/prefix"
fi
