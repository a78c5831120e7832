#!/usr/bin/env bash
# Every option that `reap COMMAND --help` lists stands in docs/commands/COMMAND.md, man/reap-COMMAND.1 and the three completions, and none
# stands there that the command does not have. Every command has all of these. Links and anchors between the *.md files lead somewhere. Every
# architecture of src/family/ and every criterion is in docs/score.md.
set -u
export LC_ALL=C
: "${REAP:?}" "${SRC:?}"
bad=0
fail() {
    printf 'FAIL %s\n' "$*"
    bad=$((bad + 1))
}
cd "$SRC" || exit 1

# same WHERE: the two lists of names, one a line, in $want and $got are equal
same() {
    local x
    while read -r x; do fail "$1 lacks $x"; done < <(comm -23 <(sort -u <<<"$want") <(sort -u <<<"$got") | sed '/^$/d')
    while read -r x; do fail "$1 has $x, which --help does not list"; done < <(comm -13 <(sort -u <<<"$want") <(sort -u <<<"$got") | sed '/^$/d')
}

# Names of options in text on standard input, as --help, the tables and the manual print them: "-o, --output FILE".
long_options() { sed -n 's/^\(-[a-z]*, \)\{0,1\}\(--[a-z0-9-]*\).*/\2/p'; }
short_options() { sed -n 's/^\(-[a-z]*\), --[a-z0-9-]*.*/\1/p'; }

from_help() { "$REAP" "$1" --help | sed -n 's/^  \(-.*\)/\1/p' | sed 's/\(--[a-z-]*\), --/\1\n--/'; }
from_page() { sed -n 's/^| `\(-.*\)` |.*/\1/p' "docs/commands/$1.md" | tr -d '`'; }
from_manual() { sed -n '/^\.SH OPTIONS/,/^\.SH EXIT/s/^\\fB\(\\-.*\)/\1/p' "man/reap-$1.1" | sed 's/\\f[A-Z]//g; s/\\-/-/g'; }

# What bash offers for "reap COMMAND --".
from_bash() {
    (
        source completions/reap.bash
        COMP_WORDS=(reap "$1" --) COMP_CWORD=2 COMPREPLY=()
        _reap
        printf '%s\n' "${COMPREPLY[@]}"
    )
}

# The arrays of _reap that the command uses.
from_zsh() {
    local block name
    block=$(sed -n "/^    $1)\$/,/^      ;;/p" completions/_reap)
    for name in common calib engine; do
        [[ $block != *"\$$name"* ]] || block+=$'\n'$(sed -n "/^  $name=(/,/^  )/p" completions/_reap)
    done
    grep "^ *'" <<<"$block" | grep -o -- '--[a-z0-9-]*[][},]' | tr -d '][},'
}

from_fish() {
    grep -E "__reap_is [a-z ]*\<$1\>[a-z ]*' -l" completions/reap.fish | sed 's/.* -l \([a-z0-9-]*\) .*/--\1/'
}

commands=$("$REAP" --help | sed -n 's/^  \([a-z]*\) .*/\1/p')
[ -n "$commands" ] || fail "reap --help lists no commands"
for c in $commands; do
    for f in "docs/commands/$c.md" "man/reap-$c.1"; do [ -s "$f" ] || fail "$f is missing"; done
    [ -s "docs/commands/$c.md" ] && [ -s "man/reap-$c.1" ] || continue
    want=$(from_help "$c" | long_options)
    for kind in page manual; do
        got=$("from_$kind" "$c" | long_options) same "the $kind of $c"
    done
    for kind in bash zsh fish; do
        got=$("from_$kind" "$c") same "completion for $kind, $c,"
    done
    want=$(from_help "$c" | short_options)
    for kind in page manual; do
        got=$("from_$kind" "$c" | short_options) same "the $kind of $c"
    done
    grep -q "reap\\\\-$c (1)" man/reap.1 || fail "man/reap.1 does not name reap-$c"
    grep -q "commands/$c.md" docs/README.md || fail "docs/README.md does not name $c"
    grep -qw "$c" <<<"$(COMP_WORDS=(reap '') COMP_CWORD=1 && source completions/reap.bash && _reap && echo "${COMPREPLY[@]}")" ||
        fail "completion for bash lacks the command $c"
    grep -q "'$c:" completions/_reap || fail "completion for zsh lacks the command $c"
    grep -q -- "-a $c -d" completions/reap.fish || fail "completion for fish lacks the command $c"
done
version=$("$REAP" --version | cut -d' ' -f2)
for f in man/*.1; do grep -q "^\.TH .* \"reap $version\" " "$f" || fail "$f is not of version $version"; done
for f in docs/commands/*.md man/reap-*.1; do
    c=${f##*/} c=${c#reap-} c=${c%.*}
    grep -qw "$c" <<<"$commands" || fail "$f describes a command that does not exist"
done

# The anchors of a page, made as GitHub makes them.
anchors() {
    sed '/^ *```/,/^ *```/d' "$1" | sed -n 's/^##* *//p' | tr 'A-Z' 'a-z' | sed 's/[^a-z0-9 _-]//g; s/ /-/g'
}
while read -r page; do
    while read -r link; do
        [[ $link != *://* && $link != mailto:* ]] || continue
        path=${link%%#*} target=$page
        [ -z "$path" ] || target=$(dirname "$page")/$path
        [ -e "$target" ] || { fail "$page: link to '$link', which does not exist"; continue; }
        [[ $link != *'#'* || $target != *.md ]] || anchors "$target" | grep -qxF -- "${link#*#}" ||
            fail "$page: link to '$link', which has no such heading"
    done < <(sed '/^ *```/,/^ *```/d' "$page" | grep -o '](\([^)]*\))' | sed 's/^](//; s/)$//')
done < <(find . -name '*.md' -not -path './build*' -not -path './.git/*' -not -path './demo-work/*' -not -path './tests/data/*' \
    -not -path './examples/calibration/*')

while read -r arch; do
    grep -qF "\`$arch\`" docs/score.md || fail "docs/score.md does not name the architecture $arch"
done < <(sed -n 's/.*\.arch = "\([^"]*\)".*/\1/p' src/family/*.c)
while read -r name; do
    grep -qF "| \`$name\` |" docs/score.md || fail "docs/score.md does not describe the criterion $name"
    grep -qw "$name" man/reap-plan.1 || fail "man/reap-plan.1 does not name the criterion $name"
    for f in completions/*; do grep -qw "$name" "$f" || fail "$f does not name the criterion $name"; done
done < <(sed -n 's/^    \[CRIT_[A-Z0-9_]*\] = { "\([^"]*\)".*/\1/p' src/stats/criteria.c)

# Formatting, where the formatters are.
for f in man/*.1; do
    ! command -v groff >/dev/null || [ -z "$(groff -man -ww -z "$f" 2>&1)" ] || fail "$f: $(groff -man -ww -z "$f" 2>&1 | head -n 1)"
done
bash -n completions/reap.bash || fail "completions/reap.bash has a syntax error"
! command -v zsh >/dev/null || zsh -n completions/_reap || fail "completions/_reap has a syntax error"
! command -v fish >/dev/null || fish -n completions/reap.fish || fail "completions/reap.fish has a syntax error"

[ "$bad" = 0 ]
