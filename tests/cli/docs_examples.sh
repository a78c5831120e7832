# The examples of docs/ that name only files of the repository and do not start the engine: each is run, in the order of its page, and prints what
# the page shows. "..." stands for any lines, or for the rest of one; notes, which depend on the machine, are left out.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
ln -s "$SRC/models" models
ln -s "$SRC/examples" examples

# "COMMAND" lines and "=OUTPUT" lines of the console blocks of a page; a command that goes on behind a backslash is one line.
blocks() { # PAGE
    awk '/^```console$/ { on = 1; next } /^```$/ { on = 0 } !on { next }
        more { line = line $0; more = sub(/\\$/, "", line); if (!more) print line; next }
        /^\$ / { line = substr($0, 3); more = sub(/\\$/, "", line); if (!more) print line; next }
        { print "=" $0 }' "$1"
}

n=0
check() { # PAGE COMMAND, expected lines in the file want
    local page=$1 words pattern='' line
    read -ra words <<<"$2"
    n=$((n + 1))
    "$REAP" "${words[@]:1}" >.out 2>&1 </dev/null
    local status=$?
    sed -i '/^note: /d; s/ *$//' .out want
    if grep -q '^reap: ' want && ! grep -q '^reap: warning' want; then
        [[ $status = 2 ]] || say_bad "$page: exit status $status: $2"
    elif [[ $status != 0 ]]; then
        say_bad "$page: exit status $status: $2"
    fi
    while IFS= read -r line; do
        if [[ $line = ... ]]; then
            pattern+='.*'
        else
            pattern+=$(sed 's/[][\\.*^$+?(){}|]/\\&/g; s/sections, .* kB$/sections, [0-9.]+ kB/; s/ in [0-9]*\\\.[0-9]* s$/ in [0-9.]+ s/; s/ \\.\\.\\.$/ .*/' <<<"$line")$'\n' # sizes of reports and times change
        fi
    done <want
    n_checks=$((n_checks + 1))
    [[ $(<.out)$'\n' =~ ^$pattern ]] || { say_bad "$page shows another output of: $2"; diff want .out | sed 's/^/    | /;8q'; }
}

# Needs nothing that the repository or an example before it does not hold.
runs() { # COMMAND
    local word
    [[ $1 =~ ^reap\ (inspect|stats|plan|prune|verify|report)\  && $1 != *[\;\>\|]* ]] || return
    for word in ${1#reap * }; do
        word=${word%%:*}
        [[ $word != *.json && $word != *.gguf && $word != */* ]] || [[ -e $word || " ${1} " = *" -o $word "* ]] || return
    done
}

for page in "$SRC"/docs/*.md "$SRC"/docs/commands/*.md; do
    find . -mindepth 1 -maxdepth 1 -type f ! -name '.*' -delete
    command='' # of the block whose output is being read
    : >want
    while IFS= read -r line; do
        if [[ $line = =* ]]; then
            echo "${line#=}" >>want
            continue
        fi
        [[ -z $command ]] || check "${page##*/}" "$command"
        : >want
        command=''
        ! runs "$line" || command=$line
    done < <(blocks "$page")
    [[ -z $command ]] || check "${page##*/}" "$command"
done
expect 'eight examples were run' test "$n" -ge 8
echo "$n examples"
finish
