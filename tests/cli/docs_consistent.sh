#!/usr/bin/env bash
# What docs/, man/, README.md and completions/ take from the program's records (scripts/docs.sh) is what the program says now. Every command has
# a page and a manual with all of its parts. Links and anchors between the *.md files lead somewhere. The completions offer what they should.
set -u
export LC_ALL=C
: "${REAP:?}" "${SRC:?}"
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
bad=0
fail() {
    printf 'FAIL %s\n' "$*"
    bad=$((bad + 1))
}
cd "$SRC" || exit 1

# ---- made by the script ----
"$REAP" --dump-options >"$T/dump" || fail 'reap --dump-options fails'
sh scripts/docs.sh "$REAP" "$T/new" || fail 'scripts/docs.sh fails'
while read -r f; do
    cmp -s "$f" "$T/new/$f" || fail "$f is out of date, make docs: $(diff "$f" "$T/new/$f" 2>&1 | sed -n 2p)"
done < <(cd "$T/new" 2>/dev/null && find . -type f | sed 's,^\./,,')
mapfile -t commands < <(awk -F'\t' '$1 == "command" { print $2 }' "$T/dump")
[ ${#commands[@]} -ge 16 ] || fail "reap --dump-options lists ${#commands[@]} commands"
# An edit of a generated line is noticed.
mkdir -p "$T/edited/scripts" && cp -r README.md docs man completions "$T/edited" && cp scripts/docs.* scripts/completions.awk "$T/edited/scripts"
for f in docs/commands/prune.md man/reap-prune.1 completions/reap.bash; do
    sed 's/dry-run/dry-rum/; s/dry\\-run/dry\\-rum/' "$f" >"$T/edited/$f"
    cmp -s "$f" "$T/edited/$f" && fail "$f does not name --dry-run"
done
(cd "$T/edited" && sh scripts/docs.sh "$REAP")
for f in docs/commands/prune.md man/reap-prune.1 completions/reap.bash; do
    cmp -s "$f" "$T/edited/$f" || fail "$f is not mended by scripts/docs.sh"
done
# A command without a page and a manual gets their skeletons, which have all parts.
rm -f "$T/edited/docs/commands/prune.md" "$T/edited/man/reap-prune.1"
(cd "$T/edited" && sh scripts/docs.sh "$REAP")
grep -q '^| .*--dry-run' "$T/edited/docs/commands/prune.md" || fail 'no page is begun for a command without one'
grep -q 'dry\\-run' "$T/edited/man/reap-prune.1" || fail 'no manual is begun for a command without one'

# ---- every command has its parts ----
for c in ${commands[@]+"${commands[@]}"}; do
    for part in usage options; do
        grep -q "^<!-- begin $part $c -->" "docs/commands/$c.md" || fail "docs/commands/$c.md lacks the part $part"
    done
    # what the script cannot write: what the command does
    awk '/^<!-- begin/ { skip = 1 } /^## / { exit } !skip && NF { n++ } /^<!-- end/ { skip = 0 } END { exit n < 2 }' "docs/commands/$c.md" ||
        fail "docs/commands/$c.md says nothing of its own before its options"
    grep -A1 '^\.SH DESCRIPTION' "man/reap-$c.1" | grep -q '^[^.]\|^\.[BI]' || fail "man/reap-$c.1 has no description"
    for part in name synopsis options examples; do
        grep -q "^\.\\\\\" begin $part $c\$" "man/reap-$c.1" || fail "man/reap-$c.1 lacks the part $part"
    done
done
for part in 'README.md:commands docs/commands/' 'docs/README.md:commands commands/' docs/score.md:criteria docs/score.md:gates docs/commands/convert.md:classes \
    docs/formats.md:checkpoints docs/formats.md:tensors docs/formats.md:refused; do
    grep -q "^<!-- begin ${part#*:} -->" "${part%%:*}" || fail "${part%%:*} lacks the part ${part#*:}"
done
for part in reap:commands reap:common reap-plan:criteria; do
    grep -q "^\.\\\\\" begin ${part#*:}\$" "man/${part%%:*}.1" || fail "man/${part%%:*}.1 lacks the part ${part#*:}"
done
# What shows a figure is there.
while read -r kind f; do
    case $kind in
    -R) [ -e "tests/unit/test_${f#unit-}.c" ] || [ -e "tests/cli/${f#cli-}.sh" ] ;;
    part) [ -e "bench/$f.sh" ] ;;
    script) [ -e "$f" ] ;;
    esac || fail "docs/performance.md: '$f' does not exist"
done < <(grep -oE -- '-R [a-z]+-[a-z_]+' docs/performance.md
    grep -oE 'bench/run\.sh [a-z]+' docs/performance.md | sed 's/.* /part /'
    grep -oE '(bench|scripts)/[a-z_-]+\.sh' docs/performance.md | sed 's/^/script /')
version=$("$REAP" --version | cut -d' ' -f2)
for f in man/*.1; do grep -q "^\.TH .* \"reap $version\" " "$f" || fail "$f is not of version $version"; done
for f in docs/commands/*.md man/reap-*.1; do
    c=${f##*/} c=${c#reap-} c=${c%.*}
    printf '%s\n' "${commands[@]}" | grep -qx "$c" || fail "$f describes a command that does not exist"
done

# ---- links ----
# The anchors of a page, made as GitHub makes them.
anchors() {
    sed '/^ *```/,/^ *```/d' "$1" | sed -n 's/^##* *//p' | tr 'A-Z' 'a-z' | sed 's/[^a-z0-9 _-]//g; s/ /-/g'
}
n=0
while read -r page; do
    while read -r link; do
        n=$((n + 1))
        [[ $link != *://* && $link != mailto:* ]] || continue
        path=${link%%#*} target=$page
        [ -z "$path" ] || target=$(dirname "$page")/$path
        [ -e "$target" ] || { fail "$page: link to '$link', which does not exist"; continue; }
        [[ $link != *'#'* || $target != *.md ]] || anchors "$target" | grep -qxF -- "${link#*#}" ||
            fail "$page: link to '$link', which has no such heading"
    done < <(sed '/^ *```/,/^ *```/d' "$page" | grep -o '](\([^)]*\))' | sed 's/^](//; s/)$//')
done < <(find . -name '*.md' -not -path './build*' -not -path './.git/*' -not -path './demo-work/*' -not -path './tests/data/*' \
    -not -path './examples/calibration/*')
[ "$n" -gt 100 ] || fail "only $n links were found"

# ---- completions ----
# What bash offers for the last of these words.
offers() {
    (
        source completions/reap.bash
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
        _reap
        printf '%s\n' ${COMPREPLY[@]+"${COMPREPLY[@]}"} | sort | tr '\n' ' '
    )
}
is() { [ "$2" = "$1" ] || fail "bash offers '$2' for '$3', expected '$1'"; }
is 'profile prune ' "$(offers reap pr)" 'reap pr'
is 'auto mlock mmap mmap+mlock none ' "$(offers reap eval m.gguf --load-mode '')" '--load-mode'
is 'mmap mmap+mlock ' "$(offers reap eval m.gguf -lm = mm)" '-lm=mm'
is 'drop keep prune ' "$(offers reap prune m.gguf --mtp '')" '--mtp'
is 'reap reap_l2 reap_sq_sum reap_sum ' "$(offers reap plan s.json --criterion reap)" '--criterion reap'
is '--keep --keep-ratio ' "$(offers reap plan s.json --kee)" '--kee'
is 'scripts ' "$(offers reap plan --from scri)" 'a file'
mkdir -p "$T/files/models.d" && touch "$T"/files/{m.gguf,s.json,t.jinja,readme.txt,blob-without-ending}
there() { (cd "$T/files" && source "$SRC/completions/reap.bash" && COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=() && _reap && printf '%s\n' ${COMPREPLY[@]+"${COMPREPLY[@]}"} | sort | tr '\n' ' '); }
is 'm.gguf models.d ' "$(there reap inspect '')" 'a model'
is 'm.gguf models.d ' "$(there reap plan s.json --model '')" 'a model of an option'
is 'blob-without-ending ' "$(there reap inspect blob)" 'a model without an ending'
is 'models.d s.json ' "$(there reap prune m.gguf --plan '')" 'a plan'
is 'models.d t.jinja ' "$(there reap eval m.gguf --chat-template-file '')" 'a chat template'
is 'models.d ' "$(there reap run m.gguf --work '')" 'a folder'
is 'export import merge models.d s.json ' "$(there reap stats '')" 'a sub-command or a file of statistics'
is 'export import merge models.d s.json ' "$(there reap stats s.json '')" 'another of any number'
is 'Q8_0 ' "$(there reap quantize m.gguf Q8)" 'a type'
is 'Q8_0 ' "$(there reap quantize --threads 2 m.gguf -o = x.gguf Q8)" 'a type behind options'
is 'm.gguf models.d ' "$(there reap quantize '')" 'a model, and no type yet'
is ' ' "$(there reap inspect m.gguf '')" 'nothing more'
for o in $(awk -F'\t' '$1 == "command" { c = $2 } c == "profile" && $1 == "option" && $5 != "flag" { print "--" $2 }' "$T/dump"); do
    is ' ' "$(there reap profile "$o" value m.gguf '')" "the operand behind $o"
done
is ' ' "$(offers reap plan s.json --keep scri)" 'a number'
is 'Q4_0 Q4_1 Q4_K_M Q4_K_S ' "$(offers reap quantize m.gguf Q4)" 'a type'
n=0
while IFS=: read -r name words; do
    n=$((n + 1))
    for f in completions/*; do
        tr -s ' \n' ' ' <"$f" | grep -qF -- "$words" || fail "$f lacks the words of --$name: $words"
    done
done < <(awk -F'\t' '$1 == "option" && $14 != "" { print $2 ":" $14 }' "$T/dump" | sort -u)
[ "$n" -ge 10 ] || fail "only $n options with words were found"
twice=$(sort completions/reap.fish | grep '^complete' | uniq -d)
[ -z "$twice" ] || fail "completions/reap.fish has a line twice: $twice"

# ---- formatting, where the formatters are ----
for f in man/*.1; do
    ! command -v groff >/dev/null || [ -z "$(groff -man -ww -z "$f" 2>&1)" ] || fail "$f: $(groff -man -ww -z "$f" 2>&1 | head -n 1)"
done
bash -n completions/reap.bash || fail "completions/reap.bash has a syntax error"
! command -v zsh >/dev/null || zsh -n completions/_reap || fail "completions/_reap has a syntax error"
! command -v fish >/dev/null || fish -n completions/reap.fish || fail "completions/reap.fish has a syntax error"

[ "$bad" = 0 ]
