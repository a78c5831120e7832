#!/usr/bin/env bash
# A model that does not fit into memory: a synthetic one of 8.6 GB is profiled in a control group of a quarter and of an eighth of its
# size, where its weights are read from the disk again for each compute step. Two things bound the tokens a second: the disk, which
# serves a step of tokens with each pass over the weights, and the processor, which is as fast as with all of it in memory. The disk's
# rate and the speed in memory are measured in turn with the runs that they bound.
#
#   bench/larger_than_memory.sh      as root, with the memory controller of cgroup version 1 or 2; environment: REAP, SRC, BIN,
#                                    TMPDIR (9 GB; as much memory must be free); MODEL (a GGUF file instead of the synthetic one, with
#                                    a vocabulary of 4096 or more), SHAPE (of make_moe), STEPS (of a run; even, default 4), ROUNDS
#                                    (default 2), THREADS, PARTS (of the size; default "4 8"), RAISE (priority of the timed programs on a
#                                    machine with other work, as -3)
. "$(dirname "$0")/common.sh"

rounds=${ROUNDS:-2} steps=${STEPS:-4} threads=${THREADS:-$(nproc)} parts=${PARTS:-4 8}
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

# Seconds of decoding of a profile: timed GROUP [OPTION]..., in a session of its own, so that its priority is its own.
timed() {
    # shellcheck disable=SC2016
    setsid bash -c '[ -z "$RAISE" ] || echo "$RAISE" >/proc/$BASHPID/autogroup
        [ -z "$1" ] || echo $BASHPID >"$1/cgroup.procs"
        shift; exec "$@"' - "$1" "$REAP" profile "$model" -c "$corpus" -o "$work/stats.json" -f -q --json -t "$threads" --pairs off |
        sed -n 's/^ *"seconds": \([0-9.e+-]*\),*$/\1/p'
}
export RAISE=${RAISE:-}
limited() { # PART
    echo $((size / $1)) >"$group/$limit"
    forget
    timed "$group"
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
printf '%-6s %6s %6s %8s %9s %10s %10s %9s %6s %9s %10s %6s\n' memory step passes GB/pass 'disk GB/s' 'disk bound' 'in memory' tokens/s ratio moved 'sums off' killed
for ((i = 0; i < rounds; i++)); do
    here=$(timed '') && [ -n "$here" ] || die 'the profile in memory failed'
    mv "$work/stats.json" "$work/whole.json"
    for part in $parts; do
        forget
        before=$(disk_rate)
        secs=$(limited "$part") && [ -n "$secs" ] || die "the profile in 1/$part of the model's size failed"
        forget
        after=$(disk_rate)
        step=$(sed -n 's/^ *"ubatch": \([0-9]*\).*/\1/p' "$work/stats.json" | head -n 1)
        kills=$(cat "$group/memory.oom_control" "$group/memory.events" 2>/dev/null | sed -n 's/^oom_kill //p')
        awk -v part="$part" -v step="$step" -v size="$size" -v a="$before" -v b="$after" -v n="$tokens" -v here="$here" \
            -v secs="$secs" -v kills="$kills" -v differ="$(differ "$work/whole.json" "$work/stats.json")" 'BEGIN {
            rate = (a + b) / 2; passes = 2 * int((n / 2 + step - 1) / step); split(differ, d, " ")
            disk = n / passes * rate / size; least = disk < n / here ? disk : n / here
            printf "1/%-4s %6d %6d %8.2f %9.2f %10.1f %10.1f %9.1f %6.2f %9s %10s %6d\n", part, step, passes, size / 1e9, rate / 1e9, disk,
                n / here, n / secs, n / secs / least, d[1], d[2], kills
        }' | tee -a "$work/lines"
    done
done
awk '{ v[$1] = v[$1] < $9 ? $9 : v[$1] } END { for (p in v) printf "%-58s %6.3f  bar 0.8: %s\n", "tokens/s of the lesser bound in " p " of the model, best", v[p], (v[p] >= 0.8 ? "met" : "MISSED") }' "$work/lines" | sort
