#!/usr/bin/env bash
# A model that does not fit into memory: a synthetic one of 8 GB is profiled in a control group of a quarter and of an eighth of its
# size, where its weights are read from the disk again for each compute step. Two things bound the tokens a second: the disk, which
# serves a step of tokens with each pass over the weights, and the processor, which is as fast as with all of it in memory. The disk's
# rate and the speed in memory are measured in turn with the runs that they bound.
#
#   bench/larger_than_memory.sh      as root, with the memory controller of cgroup version 1 or 2; environment: REAP, SRC, BIN,
#                                    TMPDIR (9 GB); MODEL (a GGUF file instead of the synthetic one), SHAPE (of make_moe), STEPS
#                                    (about so many; default 3), ROUNDS (default 2), THREADS, PARTS (of its size; default "4 8"),
#                                    RAISE (a niceness for the measured processes on a machine with other work, as -10)
. "$(dirname "$0")/common.sh"

rounds=${ROUNDS:-2} steps=${STEPS:-3} threads=${THREADS:-$(nproc)} parts=${PARTS:-4 8}
shape=${SHAPE:-layers=36 experts=128 used=2 embd=1024 ffn=1024 type=q4_0}
model=${MODEL:-$work/large.gguf} corpus=$work/corpus.jsonl
if [ -d /sys/fs/cgroup/memory ]; then
    group=/sys/fs/cgroup/memory/reap-bench limit=memory.limit_in_bytes
else
    group=/sys/fs/cgroup/reap-bench limit=memory.max
fi
mkdir -p "$group" || die 'cannot limit memory: this needs root and the memory controller'
trap 'rmdir "$group" 2>/dev/null; rm -rf "$work"' EXIT
if [ ! -f "$model" ]; then
    need_space 9
    build make_moe
    # shellcheck disable=SC2086
    "$work/make_moe" "$model" $shape || die 'cannot write the synthetic model'
    sync "$model"
fi
size=$(stat -c %s "$model")

forget() { dd if="$model" iflag=nocache count=0 2>/dev/null; } # pages that are cached do not count against the group's limit
# Bytes a second of the disk, past the cache: 2 GB of the model by two readers, as the read-ahead has.
disk_rate() {
    local t at n=$((size / 8388608 / 3))
    [ "$n" -lt 128 ] || n=128
    at=$(((RANDOM % 8) * (size / 8388608 - 2 * n) / 8))
    forget
    t=$(now)
    dd if="$model" of=/dev/null bs=8M iflag=direct skip="$at" count="$n" 2>/dev/null &
    dd if="$model" of=/dev/null bs=8M iflag=direct skip=$((at + n)) count="$n" 2>/dev/null
    wait $!
    awk -v b=$((2 * n * 8388608)) -v s="$(elapsed "$t")" 'BEGIN { printf "%.0f", b / s }'
}
raised() { # COMMAND...: in a session of its own, so that its priority is its own
    [ -z "${RAISE:-}" ] || echo "$RAISE" >"/proc/$BASHPID/autogroup"
    profile_secs "$@"
}
export -f raised profile_secs
export work REAP RAISE
# Seconds of a profile inside the group; PART of the model's size.
limited() {
    local part=$1
    shift
    echo $((size / part)) >"$group/$limit"
    forget
    (
        echo "$BASHPID" >"$group/cgroup.procs"
        setsid bash -c 'raised "$@"' - "$model" "$corpus" -t "$threads" --pairs off "$@"
    )
}
in_memory() { setsid bash -c 'raised "$@"' - "$model" "$corpus" -t "$threads" --pairs off; }
step_of() { sed -n 's/^ *"ubatch": \([0-9]*\).*/\1/p' "$work/stats.json" | head -n 1; }

random_tokens 8 100 200 4096 >"$corpus"
limited 4 >/dev/null
step=$(step_of)
[ -n "$step" ] || die 'no step was found in the statistics'
random_tokens $((steps * step / 256)) 256 256 4096 >"$corpus"
tokens=$(n_tokens "$corpus")
printf '== %s GB, %s tokens, %s threads\n' "$(awk -v b="$size" 'BEGIN { printf "%.1f", b / 1e9 }')" "$tokens" "$threads"
printf '%-8s %6s %7s %10s %12s %11s %9s %6s %6s\n' memory step 'GB/step' 'disk GB/s' 'disk bound' 'in memory' tokens/s ratio kills
for ((i = 0; i < rounds; i++)); do
    here=$(in_memory) && [ -n "$here" ] || die 'the profile in memory failed'
    cp "$work/stats.json" "$work/whole.json"
    for part in $parts; do
        before=$(disk_rate)
        secs=$(limited "$part") && [ -n "$secs" ] || die "the profile in 1/$part of the model's size failed"
        after=$(disk_rate)
        kills=$(sed -n 's/^oom_kill //p' "$group"/memory.{oom_control,events} 2>/dev/null | head -n 1)
        awk -v part="$part" -v step="$(step_of)" -v size="$size" -v a="$before" -v b="$after" -v n="$tokens" -v here="$here" \
            -v secs="$secs" -v kills="${kills:-0}" 'BEGIN {
            rate = (a + b) / 2; passes = int((n + step - 1) / step)
            disk = n / passes * rate / size; least = disk < n / here ? disk : n / here
            printf "1/%-6s %6d %7.2f %10.2f %12.1f %11.1f %9.1f %6.2f %6d\n", part, step, size / 1e9, rate / 1e9, disk, n / here,
                n / secs, n / secs / least, kills
        }' | tee -a "$work/lines"
        "$REAP" stats "$work/stats.json" --against "$work/whole.json" 2>/dev/null | tail -n 3 || true
    done
done
awk '{ v[$1] = v[$1] < $8 ? $8 : v[$1] } END { for (p in v) printf "%-58s %6.3f  bar 0.8: %s\n", "tokens/s / the lesser bound, " p " of the model, best", v[p], (v[p] >= 0.8 ? "met" : "MISSED") }' "$work/lines" | sort
