#!/bin/sh
# docs.sh REAP [OUT]: what `REAP --dump-options` says goes to where people read it: between the lines "begin PART" and "end" of docs/, man/ and
# README.md (docs.awk says which parts there are), and into completions/ (completions.awk). A command that has no page or manual gets the
# skeleton of one. Without OUT in place, otherwise into copies of these files in the folder OUT.
set -eu
export LC_ALL=C
case $1 in
/*) reap=$1 ;;
*) reap=$PWD/$1 ;;
esac
case ${2:-} in
'' | /*) out=${2:-} ;;
*) out=$PWD/$2 ;;
esac
cd "$(dirname "$0")/.."
out=${out:-$PWD}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
"$reap" --dump-options >"$tmp/dump"
[ -s "$tmp/dump" ] || { echo "docs.sh: $reap --dump-options says nothing" >&2; exit 1; }

# put FILE: standard input becomes OUT/FILE; a file that would stay as it is keeps its time.
put() {
    cat >"$tmp/new"
    cmp -s "$tmp/new" "$out/$1" && return
    mkdir -p "$out/$(dirname "$1")"
    cp "$tmp/new" "$out/$1"
}

page() { # the skeleton of docs/commands/$1.md
    cat <<END
# reap $1

<!-- begin usage $1 -->
<!-- end -->

## Options

<!-- begin options $1 -->
<!-- end -->

## Exit status

0: done. 1: failed. 2: bad input or usage.
END
}

manual() { # the skeleton of man/reap-$1.1
    cat <<END
.TH REAP\\-$(echo "$1" | tr a-z A-Z) 1 $(date +%F) "reap $("$reap" --version | cut -d' ' -f2)" "User commands"
.SH NAME
.\\" begin name $1
.\\" end
.SH SYNOPSIS
.\\" begin synopsis $1
.\\" end
.SH DESCRIPTION
.SH OPTIONS
.\\" begin options $1
.\\" end
.SH EXIT STATUS
.TP
.B 0
done.
.TP
.B 1
failed.
.TP
.B 2
bad input or usage.
.SH EXAMPLES
.\\" begin examples $1
.\\" end
.SH SEE ALSO
.BR reap (1)
END
}

for c in $(awk -F'\t' '$1 == "command" { print $2 }' "$tmp/dump"); do
    [ -e "docs/commands/$c.md" ] || page "$c" | put "docs/commands/$c.md"
    [ -e "man/reap-$c.1" ] || manual "$c" | put "man/reap-$c.1"
done
for f in README.md docs/*.md docs/commands/*.md man/*.1; do
    ! grep -qE '^(<!--|\.\\") begin ' "$f" || awk -f scripts/docs.awk "$tmp/dump" "$f" >"$tmp/page"
    [ ! -e "$tmp/page" ] || { put "$f" <"$tmp/page"; rm "$tmp/page"; }
done
for s in bash:reap.bash zsh:_reap fish:reap.fish; do
    awk -v shell="${s%%:*}" -f scripts/completions.awk "$tmp/dump" | put "completions/${s#*:}"
done
