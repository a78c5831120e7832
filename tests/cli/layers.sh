#!/usr/bin/env bash
# The layers of docs/ARCHITECTURE.md hold in src/: who includes whom, who may know the engine and jansson, which variables of the
# environment are read (those that man/reap.1 names), and no global name of ours that the linker would give to the engine's library.
# SRC is the repository; with BIN, the build folder, and nm the names are checked too.
set -u
export LC_ALL=C
: "${SRC:?}"
bad=0
fail() {
    printf 'FAIL %s\n' "$*"
    bad=$((bad + 1))
}
cd "$SRC" || exit 1

# What each folder may include besides itself and base/. The table in docs/ARCHITECTURE.md says the same, checked below.
declare -A may=(
    [base]=''
    [gguf]=''
    [hf]=''
    [engine]=''
    [results]=''
    [family]='hf'
    [model]='family gguf hf'
    [stats]='engine'
    [quant]='engine family gguf model'
    [corpus]='engine results'
    [profile]='convert corpus engine model quant stats'
    [plan]='model stats'
    [import]='gguf model quant stats'
    [prune]='hf model'
    [eval]='corpus engine model results'
    [sweep]='convert corpus engine eval model plan results stats'
    [convert]='engine family gguf hf model tokenizer'
    [tokenizer]='family gguf hf'
    [serve]='corpus results'
    [report]='corpus model results stats'
    [run]='convert corpus engine eval model plan profile prune quant report results serve stats sweep'
    [doctor]='convert engine model'
    [hub]='gguf hf'
    [cmd]='convert corpus doctor engine eval family gguf hf hub import model plan profile prune quant report results run serve stats sweep'
    [lib]='model plan prune stats'
    [formats.c]='model prune'
    [main.c]='cmd'
    [program.c]=''
)
# The headers of a folder that may be included where the rest of it may not.
declare -A only=([stats/engine]=routed.h [serve/corpus]='source.h row.h rowfile.h foreign.h' [corpus/results]=batch.h [report/corpus]=unused.h)

part_of() { # src/X/file -> X, src/main.c -> main.c
    local p=${1#src/}
    echo "${p%%/*}"
}

# ---- the table says what is checked here ----
for dir in src/*/; do
    part=$(part_of "$dir")
    if [[ ! -v may[$part] ]]; then
        fail "src/$part/ is not in this script: say in docs/ARCHITECTURE.md and here what it may include"
        continue
    fi
    row=$(grep -F "| \`src/$part/\` |" docs/ARCHITECTURE.md)
    [ -n "$row" ] || { fail "docs/ARCHITECTURE.md: the table of folders lacks src/$part/"; continue; }
    column=${row%|*} column=${column##*|}
    [[ $column != *'everything below'* ]] || continue
    want=$(tr ' ' '\n' <<<"${may[$part]}" | sort)
    got=$(grep -oE '[a-z]+' <<<"$column" | grep -xE "$(IFS='|' && echo "${!may[*]}")" | sort -u)
    [ "$want" = "$got" ] || fail "docs/ARCHITECTURE.md: src/$part/ includes '${got//$'\n'/ }' by the table, '${may[$part]}' by this script"
done

# ---- includes ----
include='^[[:space:]]*#[[:space:]]*include[[:space:]]*(["<])([^">]+)[">]'
n=0
while IFS=: read -r file line text; do
    n=$((n + 1))
    from=$(part_of "$file")
    if [[ ! $text =~ $include ]]; then
        fail "$file:$line: cannot tell what this includes: $text"
        continue
    fi
    kind=${BASH_REMATCH[1]} header=${BASH_REMATCH[2]}
    case ${header##*/} in
    llama*.h | ggml*.h | gguf.h)
        [ "$from" = engine ] || fail "$file:$line: includes $header; only src/engine/ knows the engine's library"
        continue
        ;;
    jansson*.h)
        [ "$file" = src/base/json.h ] || fail "$file:$line: includes $header; jansson comes through base/json.h"
        continue
        ;;
    esac
    [ "$kind" = '"' ] || continue
    to=${header%%/*}
    if [[ $header != */* || ! -f src/$header ]]; then
        fail "$file:$line: includes \"$header\", which is no path of a file from src/"
    elif [[ $to != "$from" && $to != base && " ${may[$from]-} " != *" $to "* ]]; then
        fail "$file:$line: includes $header; $from may include: itself base ${may[$from]-}"
    elif [[ -v only[$from/$to] && " ${only[$from/$to]} " != *" ${header#*/} "* ]]; then
        fail "$file:$line: includes $header; of $to/, $from may include ${only[$from/$to]} alone"
    fi
done < <(grep -rnE --include='*.c' --include='*.h' --include='*.cpp' '^[[:space:]]*#[[:space:]]*include' src)
[ "$n" -gt 0 ] || fail "no includes found in $SRC/src"

# ---- the files of a checkpoint: who reads one has it in the table, which outputs and caches ask ----
files=0
while read -r name; do
    files=$((files + 1))
    grep -qF "$name" src/hf/files.[ch] || fail "$name is read by name, but src/hf/files.c has no row for it"
done < <(grep -ohE '"[A-Za-z_]+\.(json|jinja|model|tiktoken)"' src/{hf,model,tokenizer,convert}/*.c | sort -u)
[ "$files" -gt 0 ] || fail "no names of files found in the readers of checkpoints"

# ---- formats: what lies behind a view is known to the files of its format alone ----
declare -A sides=(
    [view_gguf.h]='src/model/view_gguf.c src/prune/prune_gguf.c src/prune/verify_gguf.c src/convert/load.c src/formats.c'
    [view_hf.h]='src/model/view_hf.c src/prune/prune_hf.c src/prune/verify_hf.c src/formats.c'
)
for header in "${!sides[@]}"; do
    users=$(grep -rlE --include='*.[ch]' "^[[:space:]]*#[[:space:]]*include[[:space:]]*\"model/$header\"" src)
    [ -n "$users" ] || fail "nothing includes model/$header: this check looks for the wrong name"
    for file in $users; do
        [[ " ${sides[$header]} " == *" $file "* ]] ||
            fail "$file: includes model/$header; ask the row of the format (model/format.h)"
    done
done
while IFS=: read -r file line _; do
    fail "$file:$line: looks behind a view; ask the row of its format (model/format.h)"
done < <(grep -rnE --include='*.[ch]' -- '->(hf|gguf)\b|\bv(iew)?->reader\b|->format (==|!=) ?&' src |
    grep -vE '^src/(convert|family)/[^:]*:[0-9]+:.*(rule|[ (]r|other|s)->(hf|gguf)\b|^src/model/(view|format)')

# ---- families: code asks for a field of the record, never for its name ----
names=$(sed -nE 's/.*\.arch = "([^"]*)".*/\1/p; s/.*(\{|CLASS\()"([A-Za-z0-9_]+For[A-Za-z]+)".*/\2/p' src/family/*.c
    sed -nE 's/.*\.model_types = "([^"]*)".*/\1/p' src/family/*.c | tr -d '*' | tr ' ' '\n')
[ "$(grep -c . <<<"$names")" -gt 100 ] || fail "few names of families found in src/family/"
while IFS=: read -r file line text; do
    fail "$file:$line: compares the name of a family; make it a field of struct family (family/family.h): $text"
done < <(grep -rnE --include='*.c' --include='*.h' '(str(n?case)?(n)?cmp|strstr|jdoc_str_is|memcmp) *\(' src | grep -v '^src/family/' |
    grep -F "$(sed 's/.*/"&"/' <<<"$names")")

# ---- formats ----
# The schema of a file of ours stands in one file, which reads and writes it.
schemas=$(grep -rnoE --include='*.[ch]' '"reap\.[a-z-]+/[0-9]+"' src)
[ "$(wc -l <<<"$schemas")" -gt 5 ] || fail "no schemas found in src/"
while read -r name; do
    fail "$name stands in more than one place: $(grep -F "$name" <<<"$schemas" | cut -d: -f1,2 | tr '\n' ' ')"
done < <(cut -d: -f3- <<<"$schemas" | sort | uniq -d)

# ---- the environment ----
documented=$(sed -n '/^\.SH ENVIRONMENT/,/^\.SH FILES/p' man/reap.1)
while IFS=: read -r file line text; do
    while read -r call; do
        if [[ ! $call =~ \"([A-Za-z0-9_]+)\"$ ]]; then
            fail "$file:$line: $call...: a variable without a literal name"
        elif ! grep -qw -- "${BASH_REMATCH[1]}" <<<"$documented"; then
            fail "$file:$line: reads the variable ${BASH_REMATCH[1]}, which ENVIRONMENT of man/reap.1 does not name"
        fi
    done < <(grep -oE '\bgetenv *\([^)]*|\bsecure_getenv *\([^)]*' <<<"$text")
done < <(grep -rnE --include='*.[ch]' --include='*.cpp' '\bgetenv *\(|\bsecure_getenv *\(' src)
while IFS=: read -r file line _; do
    fail "$file:$line: reads the environment other than by getenv"
done < <(grep -rnE --include='*.[ch]' --include='*.cpp' '\benviron *(\[|\+\+|;)|\benvp\b' src)

# ---- who ends the program ----
ends='s/^| `\(src[^`]*\)` | \([a-zA-Z_]*\) | [^|]* |$/\1 \2/p'
want=$(sed -n '/^## How it ends/,/^## Tests/p' docs/ARCHITECTURE.md | sed -n "$ends" | sort)
got=$(grep -rnoE --include='*.[ch]' --include='*.cpp' '\b(_exit|_Exit|exit|quick_exit|abort|pthread_exit|longjmp|err|errx) *\(' src |
    sed 's/^\([^:]*\):[0-9]*:\([a-zA-Z_]*\).*/\1 \2/' | sort -u)
[ -n "$want" ] || fail 'docs/ARCHITECTURE.md: the table in "How it ends" is empty'
while read -r place; do
    fail "$place: ends the program; docs/ARCHITECTURE.md, \"How it ends\", does not name it"
done < <(comm -13 <(echo "$want") <(echo "$got") | grep .)
while read -r place; do
    fail "docs/ARCHITECTURE.md, \"How it ends\": $place is not there any more"
done < <(comm -23 <(echo "$want") <(echo "$got") | grep .)

# ---- who prints ----
# Each of these makes safe what it prints, or prints what no stranger has a part in.
prints='src/base/log_terminal.c src/base/sig_program.c src/cmd/print.c src/main.c src/serve/server.c'
got=$(grep -rlE --include='*.[ch]' --include='*.cpp' \
    '\b(printf|vprintf|puts|putchar|perror|psignal) *\(|\bf?write[a-z_]* *\(.*(stdout|stderr|STD[A-Z]*_FILENO)|\b[a-z]*(put|print)[a-z_]* *\(.*(stdout|stderr|STD[A-Z]*_FILENO)|std::(cout|cerr|clog)|\bd?printf *\((1|2|STD)|\bwrite *\((1|2|STD)' src | sort | tr '\n' ' ')
[ "$got" = "$prints " ] || fail "printing is done in '$got', expected '$prints': others return text, or use log.h, cmd_print"

# ---- cmd_fmt: a line that ends in the middle of a format would be taken for one from a name, and shown as '?' ----
middle='
{ text = text $0 " " }
index($0, "cmd_fmt(") && !on { on = 1; from = FNR; text = substr($0, index($0, "cmd_fmt(")) " " }
on && /;[ \t]*$/ {
    on = 0
    while (match(text, /" +"/)) text = substr(text, 1, RSTART - 1) substr(text, RSTART + RLENGTH)
    if (match(text, /"([^"\\]|\\.)*"/)) {
        fmt = substr(text, RSTART + 1, RLENGTH - 2)
        while (sub(/^\\n/, "", fmt)) ;
        while (sub(/\\n$/, "", fmt)) ;
        if (index(fmt, "\\n")) print FILENAME ":" from
    }
}'
printf '    cmd_fmt(b,\n        "\\na\\n"\n        "b\\n", x);\n' | awk "$middle" | grep -q ':1$' || fail 'a line that ends in the middle of a format is not noticed'
while read -r place; do
    fail "$place: a line ends in the middle of the format: make two calls of it"
done < <(for f in src/cmd/*.c; do awk "$middle" "$f"; done)

# ---- global names ----
bin=${BIN:-/nonexistent}
if [ -f "$bin/libreapcore.a" ] && command -v nm >/dev/null; then
    for lib in reapcore reapengine; do
        names=$(nm -A -g --defined-only "$bin/lib$lib.a") || fail "nm cannot read lib$lib.a"
        [ -n "$names" ] || fail "nm finds no names in lib$lib.a"
        while read -r symbol; do
            object=${symbol##*lib$lib.a:}
            fail "${object%%:*}: defines ${symbol##* }; names that begin with gguf_, ggml_ or llama_ are the library's"
        done < <(grep -E ' [A-Z] _?(gguf|ggml|llama)_' <<<"$names")
    done
    while read -r symbol; do
        object=${symbol##*libreapcore.a:}
        fail "${object%%:*}: uses ${symbol##* }, but is linked without the engine's library (CMakeLists.txt)"
    done < <(nm -A -u "$bin/libreapcore.a" | grep -E ' U _?(gguf|ggml|llama)_')

    # Every global name is used by another file, or at least by its own and by tests (a parser's entry, a table's row);
    # what nobody else uses is static, and what tests alone use is no part of the program.
    if grep -qF 'scripts/engine.sh\"' "$bin/build.ninja"; then
        uses=$(nm -A -u "$bin"/lib{reapcore,reapengine}.a "$bin"/CMakeFiles/{reap.dir/src/main.c,reapprogram.dir/src/program.c,reaplib.dir/src/lib/*.c}.o | sed 's/.* U //' | sort -u)
        names=$(nm -g --defined-only "$bin"/lib{reapcore,reapengine}.a | sed -n 's/^[0-9a-f]* [A-Z] //p' | grep -v '^_\|^DW\.ref\.' | sort -u)
        while read -r name; do
            if [ "$(cat src/*.c src/*/*.c | grep -v '^[[:space:]]*\*' | grep -ow "$name" | wc -l)" -lt 2 ]; then
                fail "$name is used by nothing in src/: it goes, with its tests"
            elif ! grep -rqw --include='*.[ch]' "$name" tests; then
                fail "$name is used in its own file alone: it is static"
            fi
        done < <(comm -23 <(echo "$names") <(echo "$uses"))
    else
        echo "left out: names that nobody uses: with an installed libllama some code is left out, and what it alone uses stays"
    fi
else
    echo "left out: global names: no $bin/libreapcore.a, or no nm"
fi

# ---- a command parses, calls and prints; a file has one subject ----
while read -r lines file; do
    limit=700
    [[ $file != src/cmd/* ]] || limit=250
    [ "$lines" -le $limit ] || fail "$file has $lines lines, more than $limit: what does not belong here?"
done < <(find src -name '*.[ch]' -exec wc -l {} + | grep -v ' total$')

echo "$n includes"
[ "$bad" = 0 ]
