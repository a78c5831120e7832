# lib.bash - what the tests of the command line share. Sourced by each of them:  . "$(dirname "$0")/lib.bash"
#
# A test is bash with the variables REAP (the program), SRC (the repository) and BIN (the build folder). It works in a folder of its
# own ($T, removed at the end), goes on after a failed check, and ends with `finish`. Checks:
#
#   ok ARGS...                  reap ARGS gives 0; its output is in $T/.out and $T/.err
#   fails RC WORDS... -- ARGS   reap ARGS gives RC, nothing on stdout (with --json the error as an object), one line on stderr that begins
#                               with "reap: " and holds each of WORDS (patterns of grep -E), and leaves no file behind and none changed
#   rc RC ARGS...               reap ARGS gives RC (the rest is the caller's business)
#   has FILE WORDS...           the file holds each pattern
#   lacks FILE WORDS...         and none of these
#   expect NAME COMMAND...      the command succeeds
#   refuse NAME COMMAND...      the command fails
#   fit_for_terminal FILE...    no controls, nothing that turns text or hides in it; all that `reap` prints is held to it
#   json FILE ...               json_tool check FILE ...
#   equal A B PATH...           what is at PATH in two JSON files is there in both, and equal
#   near A B TOLERANCE PATH...  so are the numbers there
#   left_out WHAT               says that a part was not tried here; make test lists these
#   each_of WHAT NAME...        puts the names into the list `each`, for a loop; without any the test fails
set -u
export LC_ALL=C
unset LANGUAGE COLUMNS TERM_PROGRAM XDG_CACHE_HOME NO_COLOR CLICOLOR CLICOLOR_FORCE
# No test asks the hub, or looks into caches of whoever runs it.
unset HF_HOME HUGGINGFACE_HUB_CACHE LLAMA_CACHE HF_ENDPOINT HF_TOKEN HUGGING_FACE_HUB_TOKEN HF_TOKEN_PATH
export HF_HUB_OFFLINE=1 HF_HUB_CACHE=/nonexistent/hub
# Several tests run at once, so each keeps to one core. That results do not depend on the number of threads is tried by
# unit-families_engine, unit-families_folders, unit-tinymoe and properties.sh, where this does not hold.
export OMP_THREAD_LIMIT=1
: "${REAP:?}" "${SRC:?}" "${BIN:?}"

# Before a program that a test starts in the background and interrupts: the shell has it ignore SIGINT, and it would.
heeds_int=(env --default-signal=INT)

MODELS=$SRC/tests/data/families
TEXT=$SRC/tests/data/text
TINY=$SRC/models/tinymoe-Q8_0.gguf
T=$(mktemp -d "${TMPDIR:-/tmp}/reap-cli.XXXXXX") || exit 1
bad=0
n_checks=0

cleanup() {
    [[ $BASHPID = $$ ]] || return # a child that got a signal before it became another program
    chmod -R u+rwx "$T" 2>/dev/null
    rm -rf "$T"
    [[ $n_checks = ended ]] || { echo "FAIL (${0##*/}) it ended without 'finish'"; exit 1; }
}
trap cleanup EXIT

skip() {
    echo "skipped: $*"
    n_checks=ended
    exit 77
}

left_out() {
    echo "left out: $*"
}

# Whether prlimit --data is a limit for what the program itself takes. An emulator (REAP_EMULATED, scripts/test-arm64.sh) translates into
# memory of its own.
memory_can_be_limited() {
    command -v prlimit >/dev/null && [[ -z ${REAP_EMULATED-} ]] && ! grep -qs __asan_init "$REAP"
}

# A library of the tests by a path that LD_PRELOAD can hold, which takes it apart at blanks and colons; nothing if there is none.
preloadable() { # NAME
    [[ -e $BIN/$1 && $T != *[\ :]* ]] || return
    [[ -e $T/.$1 ]] || ln -s "$BIN/$1" "$T/.$1"
    echo "$T/.$1"
}

say_bad() {
    bad=$((bad + 1))
    printf 'FAIL (%s:%s) %s\n' "${0##*/}" "$(caller_line)" "$*"
}

# The line of the test itself, not of this file.
caller_line() {
    local i
    for ((i = 1; i < ${#BASH_SOURCE[@]}; i++)); do
        if [[ ${BASH_SOURCE[i]} != */lib.bash ]]; then
            echo "${BASH_LINENO[i - 1]}"
            return
        fi
    done
    echo '?'
}

show() {
    sed -n 's/^/    | /;1,6p' "$1"
}

# A word that is no command must not look like a check that held; the shell asks here, in a process of its own.
command_not_found_handle() {
    say_bad "no such command: $1"
    : >"$T/.no-command"
    return 127
}

finish() {
    [[ ! -e $T/.no-command ]] || bad=$((bad + 1))
    if ((bad)); then
        echo "$bad of $n_checks checks failed"
        n_checks=ended
        exit 1
    fi
    echo "$n_checks checks"
    n_checks=ended
    exit 0
}

# The tools: built by CMake into $BIN, or here when it does not know them yet. Where programs are emulated (REAP_EMULATED) the tools are this
# machine's own: they are called hundreds of times, and what is tried is reap.
tool() {
    local name=$1 dir=$BIN/test-tools
    shift
    if [[ -x $BIN/$name && -z ${REAP_EMULATED-} ]]; then
        echo "$BIN/$name"
        return
    fi
    mkdir -p "$dir"
    if [[ ! $dir/$name -nt $SRC/tests/tools/$name.c ]]; then
        cc -std=gnu17 -D_GNU_SOURCE -O1 -I"$SRC/src" -o "$dir/$name.$$" "$SRC/tests/tools/$name.c" "$@" >&2 &&
            mv "$dir/$name.$$" "$dir/$name"
    fi
    echo "$dir/$name"
}
base=("$SRC"/src/base/{buf,err,file,hub_path,log,mem,sig,text}.c)
EDIT=$(tool gguf_edit "$SRC"/src/gguf/*.c "${base[@]}" -lm)
JSON=$(tool json_tool -ljansson -lm)
[[ -x $EDIT && -x $JSON ]] || { echo "the tools of tests/tools cannot be built"; exit 1; }

# A picture of the folder: name, size, type, inode, time of the last change of each file (which nobody can set).
picture() {
    find "$T" -mindepth 1 ! -name '.[obae]*' -printf '%P|%s %y%l %i %C@\n'
}

# What must never reach a terminal (text_misleads in src/base/text.c), as bytes, and bytes that are in no UTF-8.
MISLEADING=$'[\x01-\x08\x0b-\x1f\x7f\xc0\xc1\xf5-\xff]|\xc2[\x80-\x9f\xad]|\xcd\x8f|\xd8\x9c|\xe1\x85[\x9f\xa0]|\xe1\x9e[\xb4\xb5]'
MISLEADING+=$'|\xe2\x80[\x8b\x8e\x8f\xa8-\xae]|\xe2\x81[\xa0-\xaf]|\xe3\x85\xa4|\xef\xbb\xbf|\xef\xbe\xa0|\xef\xbf[\xb0-\xbb]'
MISLEADING+=$'|\xf0\x9b\xb2[\xa0-\xa3]|\xf0\x9d\x85[\xb3-\xba]|\xf3\xa0'
fit_for_terminal() { # FILE...
    n_checks=$((n_checks + 1))
    ! grep -qaE -- "$MISLEADING" "$@"
}

call() { # RC wanted, ARGS
    local want=$1 got
    shift
    "$REAP" "$@" >"$T/.out" 2>"$T/.err" </dev/null
    got=$?
    got_rc=$got
    fit_for_terminal "$T/.out" "$T/.err" || say_bad "what must not reach a terminal is printed by: reap $(printf '%q ' "$@")"
    n_checks=$((n_checks + 1))
    if [[ $got != "$want" ]]; then
        say_bad "exit status $got, expected $want: reap $*"
        show "$T/.out"
        show "$T/.err"
        return 1
    fi
}

rc() {
    call "$@"
}

ok() {
    call 0 "$@"
}

# One line on stderr, "reap: ...", that holds each of the patterns; nothing on stdout.
one_line() { # WORDS...
    local w lines
    # what is said before the work and on its way is none of it
    mapfile lines < <(grep -avE '^engine: |^[a-z ]+  [0-9.]+ %  .*/s' "$T/.err")
    if ((${#lines[@]} != 1)) || [[ ${lines[0]} != 'reap: '[^\ ]*$'\n' ]]; then
        say_bad "expected one line on stderr, beginning with 'reap: '"
        show "$T/.err"
        return
    fi
    [[ -s $T/.out ]] && say_bad "stdout is not empty: $(head -c 200 "$T/.out")"
    ((${#lines[0]} > 1000)) && say_bad "the message is ${#lines[0]} bytes long"
    for w; do
        [[ ${lines[0]%$'\n'} =~ $w ]] || { say_bad "the message does not hold '$w'"; show "$T/.err"; }
    done
}

fails() { # RC WORDS... -- ARGS...
    local want=$1 words=() before after
    shift
    while [[ $1 != -- ]]; do
        words+=("$1")
        shift
    done
    shift
    before=$(picture)
    if call "$want" "$@"; then
        if [[ " $* " = *' --json'[=\ ]* && " $* " != *' -- '*'--json '* ]]; then # then the error is an object as well
            expect "an object with the error: reap $*" "$JSON" check "$T/.out" error/message "error/status=$want" command warnings
            : >"$T/.out"
        fi
        one_line "${words[@]}"
    fi
    after=$(picture)
    if [[ $before != "$after" ]]; then
        say_bad "files were changed by: reap $*"
        diff <(sort <<<"$before") <(sort <<<"$after") | sed 's/^/    | /' | head -6
        # not to disturb the checks that follow
        comm -13 <(cut -d'|' -f1 <<<"$before" | sort) <(cut -d'|' -f1 <<<"$after" | sort) | (cd "$T" && xargs -r -d '\n' rm -rf)
    fi
}

has() {
    local f=$1 w
    shift
    n_checks=$((n_checks + 1))
    for w; do
        grep -qE -- "$w" "$f" || { say_bad "no '$w' in ${f##*/}"; show "$f"; }
    done
}

lacks() {
    local f=$1 w
    shift
    n_checks=$((n_checks + 1))
    for w; do
        ! grep -qE -- "$w" "$f" || { say_bad "'$w' in ${f##*/}"; grep -E -- "$w" "$f" | head -3; }
    done
}

expect() {
    local name=$1
    shift
    n_checks=$((n_checks + 1))
    "$@" >"$T/.cmd" 2>&1 || { say_bad "$name"; show "$T/.cmd"; rm -f "$T/.cmd"; return 1; }
    rm -f "$T/.cmd"
}

refuse() {
    local name=$1
    shift
    n_checks=$((n_checks + 1))
    ! "$@" >/dev/null 2>&1 || say_bad "$name"
}

json() {
    expect "json: $*" "$JSON" check "$@"
}

equal() {
    expect "equal: $*" "$JSON" equal "$@"
}

near() {
    expect "near: $*" "$JSON" near "$@"
}

each=()
each_of() { # WHAT NAME...
    local what=$1
    shift
    n_checks=$((n_checks + 1))
    each=("$@")
    (($#)) || say_bad "no $what: a loop over them checks nothing"
}

hash_of() {
    sha256sum "$@" | cut -d' ' -f1 | sha256sum | cut -c1-64
}

absent() {
    local f
    n_checks=$((n_checks + 1))
    for f; do
        [[ ! -e $f && ! -L $f ]] || say_bad "${f#"$T"/} is there"
    done
}

no_parts() {
    local left
    n_checks=$((n_checks + 1))
    left=$(find "$T" -name '*.reap-*' | head -3)
    [[ -z $left ]] || say_bad "left behind: $left"
}

# wait_for SECONDS COMMAND...: until the command succeeds; so many times longer where the programs are emulated (REAP_EMULATED)
wait_for() {
    local i n=$(($1 * 50 * ${REAP_EMULATED:-1}))
    shift
    for ((i = 0; i < n; i++)); do
        "$@" 2>/dev/null && return 0
        sleep 0.02
    done
    return 1
}

# The numbers of a model's layers with experts.
layers_of() { # MODEL
    "$REAP" inspect "$1" --json 2>/dev/null | "$JSON" get - model/moe_layers | tr -d '[]' | tr , ' '
}

# A plan by hand: hand_plan MODEL N FILE keeps the first N of each layer, with the model's identity (sets groups aside).
hand_plan() {
    local model=$1 n=$2 file=$3 il ids keep=''
    "$REAP" inspect "$model" --json >"$T/.id" 2>/dev/null || { say_bad "cannot inspect $model"; return 1; }
    ids=$(seq -s, 0 $((n - 1)))
    for il in $("$JSON" get "$T/.id" model/moe_layers | tr -d '[]' | tr , ' '); do
        keep+="${keep:+,}\"$il\":[$ids]"
    done
    printf '{"schema":"reap.plan/1","n_keep":%d,"model":%s,"keep":{%s}}\n' "$n" "$("$JSON" get "$T/.id" model)" "$keep" >"$file"
    rm -f "$T/.id"
}
