# Shared by the scripts of this folder; sourced. Environment: REAP, SRC, BIN; TMPDIR.

set -u -o pipefail
export LC_ALL=C
: "${REAP:?the program}" "${SRC:?the source tree}" "${BIN:?the build folder}"

work=$(mktemp -d "${TMPDIR:-/tmp}/reap-bench.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

die() { printf 'bench: %s\n' "$*" >&2; exit 1; }

# need_space GB: where the big files go
need_space() {
    local kb
    kb=$(df -Pk "$work" | awk 'NR == 2 { print $4 }')
    [ "$kb" -ge $(($1 * 1000000)) ] || die "this needs $1 GB in ${TMPDIR:-/tmp}, $((kb / 1000000)) are free (TMPDIR chooses another place)"
}

# build NAME: bench/NAME.c with the flags and libraries of reap itself -> $work/NAME
build() {
    local compile link object=CMakeFiles/reap.dir/src/main.c.o
    compile=$(ninja -C "$BIN" -t commands reap | grep -e "-c .*/src/main\.c\$") || die "$BIN is not a build folder of reap"
    link=$(ninja -C "$BIN" -t commands reap | grep -e " -o reap ")
    compile=${compile% -c *}
    compile=${compile//$object/$work/$1.o}
    link=${link//$object/$work/$1.o}
    (cd "$BIN" && sh -c "$compile -c $SRC/bench/$1.c" && sh -c "${link/ -o reap / -o $work/$1 }") ||
        die "cannot build bench/$1.c"
}

# random_tokens SAMPLES SHORTEST LONGEST VOCAB: rows of {"tokens": [...]}
random_tokens() {
    awk -v samples="$1" -v lo="$2" -v hi="$3" -v vocab="$4" 'BEGIN {
        srand(1)
        for (r = 0; r < samples; r++) {
            n = lo + int(rand() * (hi - lo + 1)); s = ""
            for (i = 0; i < n; i++) s = s (i ? "," : "") int(rand() * vocab)
            print "{\"tokens\":[" s "]}"
        }
    }'
}

# Seconds of decoding of one reap profile: profile_secs MODEL CORPUS [OPTION]...
profile_secs() {
    local m=$1 c=$2
    shift 2
    "$REAP" profile "$m" -c "$c" -o "$work/stats.json" -f -q --json "$@" |
        sed -n 's/^ *"seconds": \([0-9.e+-]*\),*$/\1/p'
}
decode_secs() { "$work/decode" "$@" | awk '{ print $3 }'; }

now() { date +%s.%N; }
elapsed() { awk -v a="$1" -v b="$(now)" 'BEGIN { print b - a }'; }

# Peak memory: VmHWM of the process, polled; it only ever grows, so the last value seen is within one poll of the peak.
peak() { # WHAT COMMAND...
    local what=$1 pid peak=0 kb
    shift
    "$@" >/dev/null 2>&1 &
    pid=$!
    while kb=$(awk '/^VmHWM:/ { print $2 }' "/proc/$pid/status" 2>/dev/null) && [ -n "$kb" ]; do
        peak=$kb
        sleep 0.02
    done
    wait "$pid" || die "$what failed"
    awk -v kb="$peak" -v what="$what: peak resident memory" 'BEGIN { printf "%-62s %6.1f MiB  bar below 64: %s\n", what, kb / 1024, (kb < 65536 ? "met" : "MISSED") }'
}

# alternate ROUNDS A B...: runs the commands in turn (ABC, BCA, ..), each of which prints seconds, after one of each that does not
# count. The first is what the others are compared with: see speed_of and least_of (command 0 is A).
alternate() {
    local rounds=$1 i j k n secs
    shift
    n=$#
    for ((i = -1; i < rounds; i++)); do
        for ((j = 0; j < n; j++)); do
            k=$(((i + 1 + j) % n + 1))
            secs=$(eval "${!k}") && [ -n "$secs" ] || die "'${!k}' failed"
            [ "$i" -lt 0 ] || echo "$secs" >"$work/secs.$i.$((k - 1))"
        done
    done
    rounds_done=$rounds
}
least_of() { for ((i = 0; i < rounds_done; i++)); do cat "$work/secs.$i.$1"; done | sort -g | head -n 1; }
# speed_of I [J]: "BEST MEDIAN LEAST MOST": the least seconds of command J (0: A) over the least of command I (other programs only
# ever make a run slower), and of the ratios within each round the median, the least and the greatest.
speed_of() {
    local base=${2:-0}
    for ((i = 0; i < rounds_done; i++)); do
        awk 'NR == 1 { a = $1 } NR == 2 { print a / $1 }' "$work/secs.$i.$base" "$work/secs.$i.$1"
    done | sort -g | awk -v a="$(least_of "$base")" -v b="$(least_of "$1")" '
        { v[NR] = $1 }
        END { print a / b, NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2, v[1], v[NR] }'
}
per_sec() { awk -v n="$1" -v s="$2" 'BEGIN { printf "%.0f", n / s }'; }

# verdict WHAT I BAR [J]: the line of command I against command J
verdict() {
    speed_of "$2" "${4:-0}" | awk -v what="$1" -v bar="$3" '{
        printf "%-58s %6.3f   median %.3f (%.3f to %.3f)", what, $1, $2, $3, $4
        if (bar != "") printf "  bar %s: %s", bar, ($1 >= bar ? "met" : "MISSED")
        printf "\n"
    }'
}
n_tokens() { tr -cd , <"$1" | wc -c | awk -v rows="$(grep -c . "$1")" '{ print $1 + rows }'; }
