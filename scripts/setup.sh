#!/bin/sh
# Install what the build needs, where it is missing. Says nothing when everything is there.
#
#   scripts/setup.sh [--asan] [--fuzz] [--npm]
#
# --asan: the address and undefined-behaviour sanitizers. --fuzz: clang with libFuzzer.
# --npm: npm, the second source of the engine; scripts/engine.sh asks for it only when the first is out of
# reach.

set -eu

packages="gcc g++ make cmake ninja-build git pkg-config ca-certificates \
libjansson-dev libssl-dev libxxhash-dev libcurl4-openssl-dev zlib1g-dev libcmocka-dev"
commands="cc c++ make cmake ninja git pkg-config"
modules="jansson libcrypto libxxhash libcurl zlib cmocka"

for arg; do
    case $arg in
    --asan) ;; # comes with gcc on Debian and Ubuntu
    --fuzz)
        packages="$packages clang libclang-rt-dev"
        commands="$commands clang"
        ;;
    --npm)
        packages="$packages npm"
        commands="$commands npm"
        ;;
    *)
        sed -n '2,/^$/s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
    esac
done

say() { printf 'setup: %s\n' "$*" >&2; }

# Names of commands and pkg-config modules that are not there.
missing_by_hand() {
    for name in $commands; do
        command -v "$name" >/dev/null || printf '%s ' "$name"
    done
    for name in $modules; do
        pkg-config --exists "$name" 2>/dev/null || printf '%s ' "$name"
    done
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    missing=$(missing_by_hand)
    [ -n "$missing" ] || exit 0
    say "not found: ${missing}(commands, or libraries as pkg-config calls them; headers are needed too)." \
        "Please install them with this system's package manager"
    exit 1
fi

missing=
# One call for all: 'ii ' means installed, an unknown package is not listed.
# shellcheck disable=SC2086
installed=$(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' $packages 2>/dev/null || true)
for name in $packages; do
    printf '%s\n' "$installed" | grep -qxF "ii $name" || missing="$missing $name"
done
[ -n "$missing" ] || exit 0

# A tool that came another way (a newer cmake, say) is as good as the package.
if [ -z "$(missing_by_hand)" ] && [ -e /etc/ssl/certs/ca-certificates.crt ]; then
    exit 0
fi

as_root=
if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        as_root=sudo
    else
        say "missing packages, and no root rights to install them:" \
            "run 'apt-get install --no-install-recommends$missing' as root"
        exit 1
    fi
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
say "installing$missing"
# shellcheck disable=SC2086
if ! { $as_root apt-get update -q &&
       $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $missing; } \
     >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    say "apt-get could not install$missing"
    exit 1
fi
