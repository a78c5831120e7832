#!/usr/bin/env bash
# Cross-build engine, program and tests for 64-bit ARM and run the tests with qemu; the last line is
# 'N passed, N failed'. For Debian; root the first time, to tell the kernel (binfmt_misc) what runs such programs.
#
#   scripts/test-arm64.sh [CTEST OPTION]...     e.g. -R unit-, or -R 'cli-split|cli-prune'
#   scripts/test-arm64.sh --build               builds alone
#   SUITE=sid scripts/test-arm64.sh ...         with the libllama of Debian sid for arm64: no engine is built
#
# Environment: JOBS, TEST_JOBS, BUILD (default build-arm64, or build-arm64-sid), CMAKE_ARGS (more options of CMakeLists.txt), REAP_CACHE,
# ENGINE_ARM_ARCH (scripts/engine.sh; default here armv8.2-a+dotprod), QEMU_CPU (default neoverse-n1).
#
# What is slow in qemu (7.2, measured with the program; 10.0 and 11.1 are no faster, f16 is two times slower in 11.1): a multiplication of
# floats is a call of 4.6 ns, so that computing takes 40 times as long as on the machine itself where the engine multiplies bytes, and 100 times
# without their dot product, hence ENGINE_ARM_ARCH and a processor that has it. That processor has neither SVE, whose loads are calls, too
# (floats take 1.7 times as long), nor signed pointers, which took half of the time that a call of the program takes with libraries of newer
# releases (QEMU_CPU=max; max,pauth-impdef=on makes them cheap).

set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=${here%/*}
suite=${SUITE:-}
build=${BUILD:-$top/build-arm64${suite:+-$suite}}
jobs=${JOBS:-$(nproc 2>/dev/null || echo 2)}

say() { printf 'arm64: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# Tests that cannot say anything here, and why: the emulation's doing, nothing else.
left_out() {
    [ "$suite" = sid ] || return 0
    echo 'cli-serve tests a llama-server of its own, which would be built here'
    [[ $(qemu-aarch64-static --version) =~ version\ ([0-9]+) && ${BASH_REMATCH[1]} -ge 10 ]] ||
        echo 'unit-term qemu before version 10 does not know how the C library of sid asks whether something is a terminal'
}

probe() { "$sysroot/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1" --version >/dev/null 2>&1; }

# The kernel gives such a program to qemu wherever it is started: by a shell, a test, or reap itself.
register() {
    local dir=/proc/sys/fs/binfmt_misc name=reap-aarch64 qemu
    if probe; then return; fi
    qemu=$(command -v qemu-aarch64-static) || die "qemu-aarch64-static is missing (scripts/setup.sh --arm64)"
    [ -e $dir/register ] || mount -t binfmt_misc none $dir 2>/dev/null || true
    [ -w $dir/register ] || die "the kernel does not know what runs ARM programs, and only root can tell it:" \
        "run this as root once, or install the packages binfmt-support and qemu-user-static"
    # The header of a 64-bit little-endian ELF file for AArch64, a program or a shared object.
    printf '%s' ":$name:M::"'\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:' \
        '\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:'"$qemu:PF" >$dir/register ||
        die "$dir/register takes no entry"
    say "until the next restart $qemu runs ARM programs here ('echo -1 >$dir/$name' ends that)"
    probe || die "ARM programs do not run although $dir/$name is there"
}

build() {
    local args="$sysroot ${CMAKE_ARGS:-}" options=(-DREAP_WERROR=ON)
    if [ "$suite" = sid ]; then # whose headers warn of more, and whose libraries want a newer C++ library than the compiler's
        options=("-DREAP_LLAMA_DIR=$sysroot/usr" -DCMAKE_EXE_LINKER_FLAGS=-Wl,--allow-shlib-undefined)
    fi
    if [ ! -f "$build/build.ninja" ] || [ "$(cat "$build/arm64-args" 2>/dev/null)" != "$args" ]; then
        mkdir -p "$build"
        rm -f "$build/arm64-args"
        # shellcheck disable=SC2086
        cmake -S "$top" -B "$build" -G Ninja --log-level=NOTICE \
            -DCMAKE_TOOLCHAIN_FILE="$top/cmake/aarch64.cmake" -DREAP_SYSROOT="$sysroot" \
            -DCMAKE_BUILD_TYPE=RelWithDebInfo \
            "${options[@]}" -DREAP_TEST_TIMEOUT=6000 ${CMAKE_ARGS:-} >"$build/configure.log"
        printf '%s\n' "$args" >"$build/arm64-args"
    fi
    sh "$here/build.sh" "$build" -j "$jobs"
}

sh "$here/setup.sh" --arm64
packages=
[ "$suite" != sid ] || packages='libllama-dev libggml-dev libggml0-backend-rpc'
# shellcheck disable=SC2086
sysroot=$(bash "$here/arm64-sysroot.sh" "$suite" $packages | tail -n 1)
# Programs of the engine that tests start are ARM's, too.
export ENGINE_CC=aarch64-linux-gnu-gcc ENGINE_CXX=aarch64-linux-gnu-g++ ENGINE_ARM_ARCH=${ENGINE_ARM_ARCH:-armv8.2-a+dotprod}
export QEMU_LD_PREFIX=$sysroot QEMU_CPU=${QEMU_CPU:-neoverse-n1} REAP_EMULATED=20
export GOMP_SPINCOUNT=300 GLIBC_TUNABLES=glibc.malloc.hugetlb=0 # else reap starts itself again with them, which costs as much as starting it
[ "$suite" != sid ] || export LDFLAGS=-Wl,--allow-shlib-undefined # as in build: for the programs that tests link
register
build
if [ "${1:-}" = --build ]; then exit; fi

left_out | sed 's/^[^ ]*/left out: &:/'
names=$(left_out | cut -d' ' -f1 | paste -sd'|')
exec sh "$here/ctest-summary.sh" "$build" -j "${TEST_JOBS:-$jobs}" -E "^($names)\$" "$@"
