#!/usr/bin/env bash
# A tarball of the program for other machines: reap, llama-server, libreap, manual, completions, documents and the licences of
# all that is linked in. Same commit, same compiler: same bytes.
#
#   scripts/dist.sh [FOLDER]     writes FOLDER/reap-VERSION-linux-PROCESSOR.tar.gz (default: dist), prints its path
#
# Environment: ENGINE_CC and ENGINE_CXX build the engine, and DIST_CMAKE holds more options for CMake (a toolchain
# file); compilers for another processor in both make a tarball for that one. DIST_DOC is where the copyright files of
# the linked libraries are (/usr/share/doc), DIST_GLIBC the newest glibc that the program may want (2.36, Debian
# 12's), SOURCE_DATE_EPOCH the time of the files (default: the commit's), JOBS. DIST_SERVER=OFF leaves llama-server out, which
# takes as long to build as all else; `reap serve` looks for one in PATH then.

set -euo pipefail
cd "$(dirname "$0")/.."
top=$PWD
out=${1:-dist}
cc=${ENGINE_CC:-cc}
glibc=${DIST_GLIBC:-2.36}
docs=${DIST_DOC:-/usr/share/doc}

die() { printf 'dist: %s\n' "$*" >&2; exit 1; }
tool() { "$cc" -print-prog-name="$1"; }

version=$(sed -n 's/^project(reap VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
processor=$("$cc" -dumpmachine | cut -d- -f1)
name=reap-$version-linux-$processor
build=build-dist-$processor
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)} || die "not a git checkout, and no SOURCE_DATE_EPOCH"
export SOURCE_DATE_EPOCH
[ -z "$(git status --porcelain --untracked-files=no 2>/dev/null)" ] || echo 'dist: warning: changes that are not committed go in' >&2

# The program, and the server that `reap serve` starts.
# shellcheck disable=SC2086
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS_RELEASE=-O3 -DCMAKE_CXX_FLAGS_RELEASE=-O3 \
    -DREAP_PORTABLE=ON -DREAP_STATIC=ON -DBUILD_TESTING=OFF ${DIST_CMAKE:-} >"$build.log" || die "cmake failed, see $build.log"
sh scripts/build.sh "$build" -j "${JOBS:-$(nproc)}" --target reap >&2
engine() { bash scripts/engine.sh -DREAP_PORTABLE=ON "$@"; }
source=$(engine --source)

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
root=$stage/$name
cmake --install "$build" --prefix "$root" >/dev/null
if [ "${DIST_SERVER:-ON}" = ON ]; then
    tools=$(engine --tools llama-server)
    mkdir -p "$root/lib/reap"
    cp "$tools/llama-server" "$root/lib/reap/"
fi
programs=$(find "$root" -name share -prune -o -type f -perm -100 -print | sort)
# shellcheck disable=SC2086
"$(tool strip)" $programs

# Licences of what is linked in, each under the name of what it is for.
licences=$root/share/doc/reap/licences
mkdir -p "$licences"
licence() { # licence NAME FILE [LINES FROM A PATTERN ON]
    [ -s "$2" ] || die "the licence of $1 is not where it was: $2"
    sed -n "${3:-1},\$p" "$2" >"$licences/$1"
    [ -s "$licences/$1" ] || die "the licence of $1 is not in $2 any more"
}
gcc=$(basename "$("$cc" -print-libgcc-file-name | sed 's,/[^/]*$,,')")
licence llama.cpp "$source/LICENSE"
licence nlohmann-json "$source/licenses/LICENSE-jsonhpp"
licence cpp-httplib "$source/vendor/cpp-httplib/LICENSE"
licence miniaudio "$source/vendor/miniaudio/miniaudio.h" '/^This software is available as a choice/'
licence stb_image "$source/vendor/stb/stb_image.h" '/^This software is available under 2 licenses/'
licence jansson "$docs/libjansson-dev/copyright"
licence openssl "$docs/libssl-dev/copyright"
licence xxhash "$docs/libxxhash-dev/copyright"
licence zlib "$docs/zlib1g-dev/copyright"
licence apache-2.0 /usr/share/common-licenses/Apache-2.0 # the one of openssl
licence gpl-3 /usr/share/common-licenses/GPL-3           # of gcc's libraries, with an exception for programs like this one
licence gcc-runtime-libraries "$docs/gcc-$gcc-base/copyright"

no_paths() { # FILE: of this machine; where a path begins, since reap/src/... is not /src
    local path
    for path in "$top" "$source" "${source%/*}"; do
        if LC_ALL=C grep -qaE "(^|[^A-Za-z0-9_.-])${path//./\\.}/" "$1"; then die "${1##*/} has a path of this machine in it: $path"; fi
    done
}

# What it wants of the machine that it is carried to.
for program in $programs; do
    "$(tool objdump)" -p "$program" >"$stage/headers"
    others=$(sed -n 's/^ *NEEDED *//p' "$stage/headers" | grep -vxE 'libc\.so\.6|libm\.so\.6|ld-linux[a-z0-9_.-]*' || true)
    [ -z "$others" ] || die "${program##*/} wants libraries that a bare system does not have:" $others
    newest=$(grep -oE 'GLIBC_[0-9.]+' "$stage/headers" | sort -uV | tail -n 1)
    [ "$(printf '%s\n' "GLIBC_$glibc" "$newest" | sort -V | tail -n 1)" = "GLIBC_$glibc" ] ||
        die "${program##*/} wants $newest, newer than $glibc: build it on an older system"
    no_paths "$program"
    echo "dist: ${program##*/}: $(stat -c %s "$program") bytes, wants $newest or newer" >&2
done
no_paths "$root/lib/libreap.a"
echo "dist: libreap.a: $(stat -c %s "$root/lib/libreap.a") bytes" >&2

mkdir -p "$out"
find "$root" -type d -exec chmod 755 {} +
find "$root" -type f -exec chmod u=rwX,go=rX {} +
tar -C "$stage" --sort=name --format=gnu --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -cf - "$name" |
    gzip -9n >"$out/.$name.new"
mv "$out/.$name.new" "$out/$name.tar.gz"
(cd "$out" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
printf '%s\n' "$out/$name.tar.gz"
