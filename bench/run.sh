#!/usr/bin/env bash
# All measurements of this folder that need no model from elsewhere (make bench). docs/benchmarks.md says what they mean.
#
#   bench/run.sh [profile] [prune] [convert] [batch]      environment: REAP, SRC, BIN, TMPDIR (12 GB); ROUNDS
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || set -- profile prune convert batch
printf '%s, %s processors, %s\n' "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" "$(uname -sm)"
echo "ratios of alternating runs: of the best times, then the median of the rounds (least to most); above 1 reap is faster"
for part; do
    bash "$here/$part.sh"
done
