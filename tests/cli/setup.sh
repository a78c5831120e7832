#!/usr/bin/env bash
# scripts/setup.sh where it cannot install: what it says on Fedora, Arch, macOS and elsewhere. (Debian: tests/dist/demo.sh.)
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1

# system NAME COMMAND...: a folder that is all of PATH, with these commands and what a shell script uses.
system() {
    mkdir "$1"
    local dir=$1 c
    shift
    for c in sh sed awk tr cat id mktemp grep; do ln -s "$(command -v "$c")" "$dir/$c"; done
    for c; do
        printf '#!/bin/sh\nexit 1\n' >"$dir/$c"
        chmod +x "$dir/$c"
    done
}
said() { # SYSTEM [OPTION]...
    local dir=$1
    shift
    PATH=$T/$dir "$T/$dir/sh" "$SRC/scripts/setup.sh" "$@" >said 2>&1
    status=$?
}

system fedora dnf
said fedora
expect 'nothing there: status 1' test $status = 1
has said '^setup: not found: cc c\+\+ make cmake ninja git pkg-config jansson libcrypto libxxhash libcurl zlib cmocka \(' \
    "^setup: run 'sudo dnf install gcc gcc-c\+\+ make cmake ninja-build git pkgconf-pkg-config jansson-devel openssl-devel xxhash-devel libcurl-devel zlib-devel libcmocka-devel'\$"
said fedora --fuzz --npm
has said 'pkgconf-pkg-config clang compiler-rt nodejs-npm jansson-devel' 
system arch pacman
said arch
has said "^setup: run 'sudo pacman -S --needed gcc make cmake ninja git pkgconf jansson openssl xxhash curl zlib cmocka'\$"
system mac brew
said mac
has said "^setup: run 'brew install cmake ninja git pkgconf jansson openssl@3 xxhash curl zlib cmocka'\$" "^setup: and 'xcode-select --install'"
said mac --npm
has said 'pkgconf node jansson' 

# Only what is missing; pkg-config says yes to all but one.
system some brew cc c++ make cmake ninja git
printf '#!/bin/sh\n[ "$2" != libxxhash ]\n' >some/pkg-config
chmod +x some/pkg-config
said some
expect 'one is missing: status 1' test $status = 1
expect 'two lines' test "$(wc -l <said)" = 2
has said '^setup: not found: libxxhash \(' "^setup: run 'brew install xxhash'\$"
printf '#!/bin/sh\nexit 0\n' >some/pkg-config
said some
expect 'all there: status 0, no word' test "$status$(cat said)" = 0

system other
said other
has said "^setup: install them with this system's package manager; 'scripts/setup.sh --help' names packages of some\$"
said other --help
expect 'help: status 2' test $status = 2
# The names in the help are those of the messages.
for pair in "fedora dnf" "arch pacman" "mac brew"; do
    read -r dir manager <<<"$pair"
    said "$dir"
    sed -n "s/^setup: run '.*\(install\|--needed\) \(.*\)'\$/\2/p" said | tr ' ' '\n' >message
    said other --help
    while read -r name; do expect "$manager's $name is in the help" grep -qE "(^| )${name//+/\\+}( |\$)" said; done <message
done
finish
