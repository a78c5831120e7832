#!/usr/bin/env bash
# A model that does not fit into memory: a synthetic one of 8.6 GB is profiled in a control group of a quarter and of an eighth of its
# size, where its weights are read from the disk again for each compute step. Two things bound the tokens a second: the disk, which
# serves a step of tokens with each pass over the weights, and the processor, which is as fast as with all of it in memory. The disk's
# rate and the speed in memory are measured in turn with the runs that they bound. The same for eval and for a sweep of two plans.
#
#   bench/larger_than_memory.sh      as root, with the memory controller of cgroup version 1 or 2; environment: REAP, SRC, BIN,
#                                    TMPDIR (9 GB; as much memory must be free); MODEL (a GGUF file instead of the synthetic one, with
#                                    a vocabulary of 4096 or more), SHAPE (of make_moe), STEPS (of a run; even, default 4), ROUNDS
#                                    (default 2), THREADS, PARTS (of the size; default "4 8"), WHAT (default
#                                    "profile eval sweep"), RAISE (priority of the timed programs on a machine with other work, as -3)
. "$(dirname "$0")/common.sh"

rounds=${ROUNDS:-2} what=${WHAT:-profile eval sweep} steps=${STEPS:-4} threads=${THREADS:-$(nproc)} parts=${PARTS:-4 8}
shape=${SHAPE:-layers=20 experts=128 used=2 embd=1024 ffn=1024 type=q8_0}
model=${MODEL:-$work/large.gguf} corpus=$work/corpus.jsonl
if [ -d /sys/fs/cgroup/memory ]; then
    group=/sys/fs/cgroup/memory/reap-bench limit=memory.limit_in_bytes
else
    group=/sys/fs/cgroup/reap-bench limit=memory.max
fi
mkdir -p "$group" || die 'cannot limit memory: this needs root and the memory controller'
trap 'rmdir "$group" 2>/dev/null; rm -rf "$work"' EXIT
build disk
if [ ! -f "$model" ]; then
    need_space 9
    build make_moe
    # shellcheck disable=SC2086
    "$work/make_moe" "$model" $shape || die 'cannot write the synthetic model'
    sync "$model"
fi
size=$(stat -c %s "$model")

forget() { dd if="$model" iflag=nocache count=0 2>/dev/null; } # pages that are cached do not count against the group's limit

# Bytes a second of the disk: 2 GB of the model (a third, if it is small) past the cache, as fast as it was ever seen to read: two
# readers of 8 MiB into huge pages (disk.c; dd, into pages of 4 KiB, is told less than half of it here).
disk_rate() {
    local n=$((size / 8388608 / 3))
    [ "$n" -lt 256 ] || n=256
    "$work/disk" "$model" 2 8 $((RANDOM % (size / 8388608 - n) * 8388608)) $((n * 8388608)) huge | cut -d' ' -f1
}

# In a group, or none (''), and in a session of its own, so that its priority is its own: within GROUP COMMAND...
within() {
    # shellcheck disable=SC2016
    setsid bash -c '[ -z "$RAISE" ] || echo "$RAISE" >/proc/$BASHPID/autogroup
        [ -z "$1" ] || echo $BASHPID >"$1/cgroup.procs"
        shift; exec "$@"' - "$@"
}
export RAISE=${RAISE:-}

# Seconds of decoding of a profile, and of another command from its line about the engine to its end, which leaves its result in out.json
# and its step in said.
timed() { # GROUP
    within "$1" "$REAP" profile "$model" -c "$corpus" -o "$work/stats.json" -f -q --json -t "$threads" --pairs off |
        sed -n 's/^ *"seconds": \([0-9.e+-]*\),*$/\1/p'
}
timed_other() { # GROUP COMMAND...
    local group=$1 line
    shift
    rm -f "$work/began" "$work/said"
    within "$group" "$REAP" "$@" --text "$work/text" -t "$threads" --json 2>&1 >"$work/out.json" |
        while IFS= read -r line; do
            case $line in
            engine:*) now >"$work/began" ;;
            streaming:*) sed 's/.* each step of \([0-9,]*\) tokens.*/\1/; s/,//g' <<<"$line" >"$work/said" ;;
            esac
        done
    [ -s "$work/out.json" ] && elapsed "$(<"$work/began")"
}
limit_to() { # PART
    echo $((size / $1)) >"$group/$limit"
    forget
}

# The step that a quarter gets, as the program says it before the work, which is left then.
first_step() {
    local pid log=$work/log
    echo $((size / 4)) >"$group/$limit"
    : >"$log"
    (
        echo "$BASHPID" >"$group/cgroup.procs"
        exec "$REAP" profile "$model" -c "$corpus" -o "$work/stats.json" -f -t "$threads" --pairs off
    ) >/dev/null 2>"$log" &
    pid=$!
    until grep -q '^streaming' "$log"; do
        kill -0 "$pid" 2>/dev/null || die "no step is said: $(tail -n 1 "$log")"
        sleep 0.2
    done
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null
    sed -n 's/.* each step of \([0-9,]*\) tokens.*/\1/p' "$log" | tr -d ,
}

# How two statistics differ: routed assignments that moved to another expert, of all; the largest relative difference of a layer's sum.
differ() {
    paste -d'|' <(grep -E '^ *"(count|reap_sum)": \[' "$1") <(grep -E '^ *"(count|reap_sum)": \[' "$2") | awk -F'|' '
        { n = split($1, a, /[][,]/); split($2, b, /[][,]/); s = t = d = 0
          for (i = 2; i < n; i++) { s += a[i]; t += b[i]; d += a[i] > b[i] ? a[i] - b[i] : b[i] - a[i] }
          if ($1 ~ /count/) { moved += d / 2; all += s; next }
          r = (s > t ? s - t : t - s) / s; if (r > most) most = r }
        END { printf "%.5f %.1e", moved / all, most }'
}

random_tokens 256 256 256 4096 >"$corpus"
step=$(first_step) && [ -n "$step" ] || exit 1
# Even and odd samples are packed apart: each half fills its steps.
random_tokens $((steps * step / 256)) 256 256 4096 >"$corpus"
tokens=$(n_tokens "$corpus")
printf '== %s GB, %s tokens, %s threads\n' "$(awk -v b="$size" 'BEGIN { printf "%.2f", b / 1e9 }')" "$tokens" "$threads"
printf '%-8s %-6s %6s %6s %8s %9s %10s %10s %9s %6s %9s %10s %6s\n' what memory step passes GB/pass 'disk GB/s' 'disk bound' 'in memory' tokens/s ratio moved 'sums off' killed
kills() { cat "$group/memory.oom_control" "$group/memory.events" 2>/dev/null | sed -n 's/^oom_kill //p'; }

# WHAT PART STEP PASSES TOKENS SECONDS SECONDS_IN_MEMORY RATE_BEFORE RATE_AFTER DIFFERS
line() {
    awk -v what="$1" -v part="$2" -v step="$3" -v passes="$4" -v n="$5" -v secs="$6" -v here="$7" -v a="$8" -v b="$9" -v size="$size" \
        -v differ="${10}" -v kills="$(kills)" 'BEGIN {
        rate = (a + b) / 2; split(differ, d, " ")
        disk = n / passes * rate / size; least = disk < n / here ? disk : n / here
        printf "%-8s 1/%-4s %6d %6d %8.2f %9.2f %10.1f %10.1f %9.1f %6.2f %9s %10s %6d\n", what, part, step, passes, size / 1e9, rate / 1e9,
            disk, n / here, n / secs, n / secs / least, d[1], d[2], kills
    }' | tee -a "$work/lines"
}

profile_round() {
    local here part before secs step n=$tokens
    here=$(timed '') && [ -n "$here" ] || die 'the profile in memory failed'
    mv "$work/stats.json" "$work/whole.json"
    for part in $parts; do
        forget
        before=$(disk_rate)
        limit_to "$part"
        secs=$(timed "$group") && [ -n "$secs" ] || die "the profile in 1/$part of the model's size failed"
        forget
        step=$(sed -n 's/^ *"ubatch": \([0-9]*\).*/\1/p' "$work/stats.json" | head -n 1)
        line profile "$part" "$step" $((2 * ((n / 2 + step - 1) / step))) "$n" "$secs" "$here" "$before" "$(disk_rate)" \
            "$(differ "$work/whole.json" "$work/stats.json")"
    done
}

# The largest relative difference of the losses, or perplexities, of two results.
far() {
    paste -d' ' <(grep -E '^ *"(nll|ppl)":' "$1" | tr -dc '0-9.\n') <(grep -E '^ *"(nll|ppl)":' "$2" | tr -dc '0-9.\n') |
        awk 'NF == 2 { d = ($1 > $2 ? $1 - $2 : $2 - $1) / $1; if (d > most) most = d } END { printf "- %.1e", NR ? most : 1 }'
}

# Windows of 512 tokens, whole ones in a step; a sweep decodes them for the model and two plans.
other_round() { # WHAT
    local here part before secs step n times=1 command=(eval "$model")
    if [ "$1" = sweep ]; then
        times=3 command=(sweep "$model" -s "$work/whole.json" -r "0.25,0.5")
    fi
    here=$(timed_other '' "${command[@]}") && [ -n "$here" ] || die "the $1 in memory failed"
    mv "$work/out.json" "$work/whole.$1.json"
    n=$((windows * 512 * times))
    for part in $parts; do
        forget
        before=$(disk_rate)
        limit_to "$part"
        secs=$(timed_other "$group" "${command[@]}") && [ -n "$secs" ] || die "the $1 in 1/$part of the model's size failed"
        forget
        step=$(<"$work/said")
        line "$1" "$part" "$step" $((times * ((windows + step / 512 - 1) / (step / 512)))) "$n" "$secs" "$here" "$before" "$(disk_rate)" \
            "$(far "$work/whole.$1.json" "$work/out.json")"
    done
}

# A token for each byte: MODEL has such a tokenizer, or eval and sweep are left out of WHAT.
windows=$((steps * step / 2 / 512))
[ "$windows" -ge 2 ] || windows=2
awk -v n=$((windows * 512 + 2)) 'BEGIN { srand(2); for (i = 0; i < n; i++) printf "%c", 33 + int(rand() * 94); print "" }' >"$work/text"
for ((i = 0; i < rounds; i++)); do
    profile_round # sweep takes its statistics
    for w in $what; do
        [ "$w" = profile ] || other_round "$w"
    done
done
awk '{ k = $1 " " $2; n[k]++; v[k, n[k]] = $10 }
    END { for (k in n) { m = n[k]; for (i = 1; i <= m; i++) for (j = i + 1; j <= m; j++) if (v[k, j] < v[k, i]) { t = v[k, i]; v[k, i] = v[k, j]; v[k, j] = t }
        med = m % 2 ? v[k, (m + 1) / 2] : (v[k, m / 2] + v[k, m / 2 + 1]) / 2
        split(k, p, " ")
        printf "%-58s %6.3f  median %.3f  bar 0.8: %s\n", p[1] ": tokens/s of the lesser bound in " p[2] ", best", v[k, m], med, (med >= 0.8 ? "met" : "MISSED") } }' "$work/lines" | sort
