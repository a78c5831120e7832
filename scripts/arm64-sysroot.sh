#!/usr/bin/env bash
# Unpack Debian's arm64 libraries that the build needs into a folder of the cache, once. Needs apt and dpkg-deb, no
# root, and changes nothing about this machine's own packages.
#
#   scripts/arm64-sysroot.sh [SUITE] [PACKAGE]...
#
# SUITE: the release of Debian, default this machine's, so that the cross compiler's libraries fit. PACKAGE: more
# than the build's own. The folder is the last line on standard output. With the cache filled this needs no network.
# Environment: REAP_CACHE (default ~/.cache/reap), REAP_MIRROR (of Debian, default http://deb.debian.org/debian).

set -eu

suite=${1:-}
shift $(($# > 0))
packages="libc6-dev libgcc-s1 libgomp1 libstdc++6 \
libjansson-dev libssl-dev libxxhash-dev libcurl4-openssl-dev zlib1g-dev libcmocka-dev $*"
mirror=${REAP_MIRROR:-http://deb.debian.org/debian}
keys=/usr/share/keyrings/debian-archive-keyring.gpg
cache=${REAP_CACHE:-${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/reap}
work=

say() { printf 'arm64: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }
trap '[ -z "$work" ] || rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [ -z "$suite" ]; then
    suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release 2>/dev/null || true)
    [ -n "$suite" ] || die "what release of Debian is this? (scripts/arm64-sysroot.sh SUITE)"
fi
case $suite in *[!a-z]*) die "'$suite' is no release of Debian" ;; esac
for name in apt-get dpkg-deb sha256sum; do
    command -v $name >/dev/null || die "'$name' is missing"
done
[ -e "$keys" ] || die "$keys is missing (package debian-archive-keyring)"

dir=$cache/arm64-$suite-$(printf '%s\n' "layout 1" "$packages" | sha256sum | cut -c1-12)
if [ -e "$dir/complete" ]; then
    printf '%s\n' "$dir"
    exit
fi

mkdir -p "$cache" || die "cannot create $cache (REAP_CACHE chooses another folder)"
work=$(mktemp -d "$cache/arm64.XXXXXX")
mkdir -p "$work"/{state/lists/partial,cache/archives/partial,parts,made}
: >"$work/status"
echo "deb [signed-by=$keys] $mirror $suite main" >"$work/sources.list"
# An apt of its own: it knows of no installed package, so it fetches all that these stand on.
cat >"$work/apt.conf" <<END
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Install-Recommends "false";
APT::Sandbox::User "";
Debug::NoLocking "true";
Dir::State "$work/state";
Dir::State::status "$work/status";
Dir::Cache "$work/cache";
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "$work/parts";
Dir::Etc::preferences "$work/none";
Dir::Etc::preferencesparts "$work/parts";
END
say "fetching libraries of Debian $suite for arm64 (20 MB); kept in $dir"
# shellcheck disable=SC2086
APT_CONFIG=$work/apt.conf apt-get -q update >"$work/log" 2>&1 &&
    APT_CONFIG=$work/apt.conf apt-get -qy install --download-only $packages >>"$work/log" 2>&1 || {
    tail -n 10 "$work/log" >&2
    die "apt-get could not fetch them from $mirror"
}
for deb in "$work"/cache/archives/*.deb; do
    dpkg-deb -x "$deb" "$work/made" || die "cannot unpack ${deb##*/}"
done
# Where /lib is a link, as in Debian 13, another package makes it.
[ -e "$work/made/lib" ] || ln -s usr/lib "$work/made/lib"
# Absolute links would lead to this machine's own files.
find "$work/made" -type l -lname '/*' | while read -r link; do
    ln -sfnr "$work/made$(readlink "$link")" "$link"
done
: >"$work/made/complete"
chmod 755 "$work/made"
rm -rf "$dir"
mv "$work/made" "$dir"
printf '%s\n' "$dir"
