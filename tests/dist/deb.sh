#!/usr/bin/env bash
# The packages of `make deb` in a bare Debian system: reap installed, used; libreap beside it, with a compiler; all removed, and nothing of
# them is left.
#
#   tests/dist/deb.sh reap_VERSION_ARCHITECTURE.deb [SUITE]...     (default: bookworm); the two of libreap lie beside it
deb=$(realpath "$1") || exit 2
shift
. "$(dirname "$0")/lib.bash"
[ $# -gt 0 ] || set -- bookworm
version=$(dpkg-deb -f "$deb" Version)
from=${deb%/*}
like=_${deb##*/reap_}
libraries=("libreap0.1$like" "libreap-dev$like")
files() { (cd "$dir" && find . -xdev \( -path ./proc -o -path ./dev -o -path ./fixture -o -path ./var/lib/dpkg -o -path ./var/log -o -path ./var/cache \
    -o -path ./var/lib/apt -o -path ./etc/ld.so.cache \) -prune -o -print | LC_ALL=C sort); }
# What a package depends on, without what lies beside it.
needs() { dpkg-deb -f "$1" Depends | tr ',' '\n' | sed 's/^ *//; s/[ (|].*//; /^libreap/d'; }

for suite; do
    dir=$work/$suite
    bare "$suite" "$dir"
    fixture "$dir"
    # What they depend on comes first, so that what is left can be told from what those leave.
    # shellcheck disable=SC2046
    install_in "$dir" $(needs "$deb"; for f in "${libraries[@]}"; do needs "$from/$f"; done) gcc libc6-dev pkg-config || exit 1
    files >"$work/before"
    cp "$deb" "${libraries[@]/#/$from/}" "$dir/fixture/"
    expect "$suite: installed" inside "$dir" apt-get install -qy --no-install-recommends "/fixture/reap$like"
    inside "$dir" sh /fixture/inside.sh "${version%-*}" use curl >"$work/out"
    add_up "$suite" "$work/out"
    expect "$suite: libreap installed" inside "$dir" apt-get install -qy --no-install-recommends "${libraries[@]/#//fixture/}"
    inside "$dir" sh /fixture/inside.sh "${version%-*}" library >"$work/out"
    add_up "$suite, with a compiler" "$work/out"
    expect "$suite: the example runs with the shared library" inside "$dir" sh -c 'ldd /fixture/prune | grep -F "libreap.so.0.1 => /"'
    expect "$suite: libreap gives away what its header declares, and no more" diff \
        <(grep -oE '\breap_[a-z_]+\(' "$dir/usr/include/reap.h" | tr -d '(' | sort -u) \
        <(nm -D --defined-only "$dir"/usr/lib/*/libreap.so | awk 'NF == 3 { print $3 }' | sort -u)
    expect "$suite: removed" inside "$dir" dpkg --purge reap libreap-dev libreap0.1
    files >"$work/after"
    expect "$suite: nothing is left" diff "$work/before" "$work/after"
    rm -rf --one-file-system "$dir"
done
finish
