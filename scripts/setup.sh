#!/bin/sh
# Install what the build needs, where it is missing. Says nothing when everything is there.
#
#   scripts/setup.sh [--asan] [--fuzz] [--npm] [--arm64]
#
# On Debian and Ubuntu it installs; on Fedora, Arch and macOS (Homebrew) it says what to install; elsewhere what is missing:
#
#   Fedora:  dnf install gcc gcc-c++ make cmake ninja-build git pkgconf-pkg-config jansson-devel openssl-devel
#            xxhash-devel libcurl-devel zlib-devel libcmocka-devel
#   Arch:    pacman -S --needed gcc make cmake ninja git pkgconf jansson openssl xxhash curl zlib cmocka
#   macOS:   xcode-select --install; brew install cmake ninja git pkgconf jansson openssl@3 xxhash curl zlib cmocka
#
# --asan: the address and undefined-behaviour sanitizers. --fuzz: clang with libFuzzer.
# --npm: npm, the second source of the engine; scripts/engine.sh asks for it only when the first is out of
# reach. --arm64: a cross compiler, and the emulator that runs what it makes.

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
    --arm64)
        packages="$packages gcc-aarch64-linux-gnu g++-aarch64-linux-gnu qemu-user-static"
        commands="$commands aarch64-linux-gnu-gcc aarch64-linux-gnu-g++ qemu-aarch64-static"
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

# The packages of another system that hold these commands and modules: other_packages COLUMN NAME...
# A '-' is no package of that system's; on macOS it comes with Apple's tools.
other_packages() {
    column=$1
    shift
    for name; do
        awk -v name="$name" -v column="$column" '$1 == name && $column != "-" { gsub(/,/, " ", $column); print $column }' <<END
cc          gcc                 gcc                -
c++         gcc-c++             gcc                -
make        make                make               -
cmake       cmake               cmake              cmake
ninja       ninja-build         ninja              ninja
git         git                 git                git
pkg-config  pkgconf-pkg-config  pkgconf            pkgconf
jansson     jansson-devel       jansson            jansson
libcrypto   openssl-devel       openssl            openssl@3
libxxhash   xxhash-devel        xxhash             xxhash
libcurl     libcurl-devel       curl               curl
zlib        zlib-devel          zlib               zlib
cmocka      libcmocka-devel     cmocka             cmocka
clang       clang,compiler-rt   clang,compiler-rt  llvm
npm         nodejs-npm          npm                node
END
    done | awk '!seen[$0]++' | tr '\n' ' ' | sed 's/ $//'
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    missing=$(missing_by_hand)
    [ -n "$missing" ] || exit 0
    say "not found: ${missing}(commands, or libraries as pkg-config calls them; headers are needed too)"
    # shellcheck disable=SC2086
    if command -v dnf >/dev/null; then
        say "run 'sudo dnf install $(other_packages 2 $missing)'"
    elif command -v pacman >/dev/null; then
        say "run 'sudo pacman -S --needed $(other_packages 3 $missing)'"
    elif command -v brew >/dev/null; then
        say "run 'brew install $(other_packages 4 $missing)'"
        case " $missing" in *' cc '* | *' c++ '* | *' make '*) say "and 'xcode-select --install' for compilers and make" ;; esac
    else
        say "install them with this system's package manager; 'scripts/setup.sh --help' names packages of some"
    fi
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
