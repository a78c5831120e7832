#!/usr/bin/env bash
# Packing where it matters most: a model of 3.2 GB (512 experts per layer, 2 per token, f16) that is profiled in 1.5 GB of memory, so
# that weights are read from the disk again and again. Packed against one sample per decode, in turn.
#
#   bench/larger_than_memory.sh      as root, with the memory controller of cgroup version 1 or 2; environment: REAP, SRC, BIN,
#                                    TMPDIR (4 GB); ROUNDS (default 2)
. "$(dirname "$0")/common.sh"

rounds=${ROUNDS:-2}
need_space 4
build make_moe
model=$work/many.gguf corpus=$work/corpus.jsonl
if [ -d /sys/fs/cgroup/memory ]; then
    group=/sys/fs/cgroup/memory/reap-bench limit=memory.limit_in_bytes
else
    group=/sys/fs/cgroup/reap-bench limit=memory.max
fi
mkdir -p "$group" && echo 1500M >"$group/$limit" || die 'cannot limit memory: this needs root and the memory controller'
trap 'rmdir "$group" 2>/dev/null; rm -rf "$work"' EXIT
"$work/make_moe" "$model" layers=2 experts=512 used=2 embd=1024 ffn=512 type=f16 || die 'cannot write the synthetic model'
# Pages that are cached already do not count against the group's limit: drop them.
sync "$model"
dd if="$model" iflag=nocache count=0 2>/dev/null
random_tokens 16 64 200 4096 >"$corpus"

limited() { # seconds of a profile inside the group
    (
        echo "$BASHPID" >"$group/cgroup.procs"
        profile_secs "$model" "$corpus" "$@"
    )
}
single() { limited --sequences 1 --ubatch 512; }
echo "== many, 3.2 GB in 1.5 GB of memory, $(n_tokens "$corpus") tokens"
alternate "$rounds" single limited
verdict 'packed / one sample per decode' 1 3
