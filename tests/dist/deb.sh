#!/usr/bin/env bash
# The package of `make deb` in a bare Debian system: installed, used, removed; afterwards nothing of it is left.
#
#   tests/dist/deb.sh PACKAGE.deb [SUITE]...     (default: bookworm)
deb=$(realpath "$1") || exit 2
shift
. "$(dirname "$0")/lib.bash"
[ $# -gt 0 ] || set -- bookworm
version=$(dpkg-deb -f "$deb" Version)
files() { (cd "$dir" && find . -xdev \( -path ./proc -o -path ./dev -o -path ./fixture -o -path ./var/lib/dpkg -o -path ./var/log -o -path ./var/cache \
    -o -path ./var/lib/apt -o -path ./etc/ld.so.cache \) -prune -o -print | LC_ALL=C sort); }

for suite; do
    dir=$work/$suite
    bare "$suite" "$dir"
    fixture "$dir"
    # What it depends on comes first, so that what is left can be told from what those leave.
    # shellcheck disable=SC2046
    install_in "$dir" $(dpkg-deb -f "$deb" Depends | tr ',' '\n' | sed 's/^ *//; s/[ (|].*//') || exit 1
    files >"$work/before"
    cp "$deb" "$dir/fixture/reap.deb"
    expect "$suite: installed" inside "$dir" apt-get install -qy --no-install-recommends /fixture/reap.deb
    inside "$dir" sh /fixture/inside.sh "${version%-*}" use curl >"$work/out"
    add_up "$suite" "$work/out"
    expect "$suite: removed" inside "$dir" dpkg --purge reap
    files >"$work/after"
    expect "$suite: nothing is left" diff "$work/before" "$work/after"
    rm -rf --one-file-system "$dir"
done
finish
