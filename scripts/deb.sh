#!/usr/bin/env bash
# Debian packages of the committed sources, by the rules of packaging/debian: writes reap, libreap0.1 and libreap-dev to FOLDER
# (default: dist), checks them with lintian where there is one, and prints their paths.
#
#   scripts/deb.sh [FOLDER]
#
# REAP_CACHE is where the engine is or comes to be, as for scripts/engine.sh; DIST_SERVER=OFF leaves llama-server out. Whoever builds it is the maintainer: DEBFULLNAME and
# DEBEMAIL, as for Debian's own tools, else the author of the commit.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:-dist}")
die() { printf 'deb: %s\n' "$*" >&2; exit 1; }

command -v dh >/dev/null && command -v dpkg-buildpackage >/dev/null ||
    die "run 'apt-get install --no-install-recommends debhelper dpkg-dev lintian' as root"
[ -z "$(git status --porcelain --untracked-files=no)" ] || echo 'deb: warning: what is not committed is left out' >&2
version=$(sed -n 's/^project(reap VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
export REAP_CACHE=${REAP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/reap}
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

maintainer="${DEBFULLNAME:-$(git log -1 --format=%an)} <${DEBEMAIL:-$(git log -1 --format=%ae)}>"

work=$(mktemp -d /var/tmp/reap-deb.XXXXXX)
trap 'rm -rf "$work"' EXIT
tree=$work/reap-$version
mkdir "$tree"
git archive HEAD | tar -x -C "$tree"
cp -r packaging/debian "$tree/debian"
MAINTAINER=$maintainer perl -pi -e 's/\@MAINTAINER\@/$ENV{MAINTAINER}/' "$tree/debian/control" # dpkg-dev brings perl
cat >"$tree/debian/changelog" <<END
reap ($version) unstable; urgency=medium

  * Built from commit $(git log -1 --format=%h).

 -- $maintainer  $(date -R -u -d "@$SOURCE_DATE_EPOCH")
END
(cd "$tree" && dpkg-buildpackage -b -us -uc --no-pre-clean) >"$work/log" 2>&1 || {
    tail -n 20 "$work/log" >&2
    die 'dpkg-buildpackage failed'
}
if command -v lintian >/dev/null; then
    lintian --fail-on error,warning "$work"/*.deb >&2 || die 'lintian has objections (see above)'
else
    echo 'deb: lintian is not there, the packages were not checked' >&2
fi
mkdir -p "$out"
for deb in "$work"/*.deb; do
    mv "$deb" "$out/"
    printf '%s\n' "$out/${deb##*/}"
done
