#!/usr/bin/env bash
# The tarball of `make dist-binary` in bare Debian systems: unpacked, started, used; with libcurl and without it; and libreap, with a
# compiler.
#
#   tests/dist/tarball.sh TARBALL [SUITE]...     (default: bookworm trixie sid)
#
# DIST_ARCH: Debian's name of another architecture, which this machine can run (qemu-user in binfmt_misc).
tarball=$(realpath "$1") || exit 2
shift
. "$(dirname "$0")/lib.bash"
[ $# -gt 0 ] || set -- bookworm trixie sid
name=$(basename "$tarball" .tar.gz)
version=${name#reap-}
version=${version%%-*}

for suite; do
    dir=$work/$suite
    bare "$suite" "$dir" "${DIST_ARCH:-}"
    fixture "$dir"
    tar -C "$dir/opt" -xzf "$tarball" || exit 1
    ln -s "/opt/$name/bin/reap" "$dir/usr/local/bin/reap"
    expect "$suite: a file in place of every licence" test "$(find "$dir/opt/$name/share/doc/reap/licences" -type f -size +100c | wc -l)" -ge 10
    inside "$dir" sh /fixture/inside.sh "$version" use no_curl >"$work/out"
    add_up "$suite" "$work/out"
    if install_in "$dir" libcurl4 ca-certificates; then
        inside "$dir" sh /fixture/inside.sh "$version" curl >"$work/out"
        add_up "$suite, with libcurl" "$work/out"
    else
        say "FAILED: $suite: libcurl could not be installed"
        failed=$((failed + 1))
    fi
    expect "$suite: libreap gives away what its header declares, and no more" diff \
        <(grep -oE '\breap_[a-z_]+\(' "$dir/opt/$name/include/reap.h" | tr -d '(' | sort -u) \
        <("${NM:-nm}" -g --defined-only "$dir/opt/$name/lib/libreap.a" | awk 'NF == 3 { print $3 }' | sort -u)
    if [ -n "${DIST_ARCH:-}" ]; then
        say "left out: $suite: libreap in a program (a compiler that is emulated takes minutes)"
    elif install_in "$dir" gcc libc6-dev pkg-config; then
        inside "$dir" sh /fixture/inside.sh "$version" library >"$work/out"
        add_up "$suite, with a compiler" "$work/out"
    else
        say "FAILED: $suite: gcc could not be installed"
        failed=$((failed + 1))
    fi
    rm -rf --one-file-system "$dir"
done
finish
