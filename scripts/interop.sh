#!/bin/sh
# Prunes the checkpoint of every family and loads the result in Hugging Face transformers, which must give the
# numbers of the reference. Not part of `make test`: it needs root and, the first time, 2.5 GB from Debian,
# kept in $REAP_REFERENCE (default ~/.cache/reap/reference).
#
# REAP: the program, SRC: the repository.
set -eu
: "${REAP:?}" "${SRC:?}"
reference=${REAP_REFERENCE:-${REAP_CACHE:-$HOME/.cache/reap}/reference}
families=$SRC/tests/data/families
env=$SRC/tests/interop/reference-env.sh

sh "$env" build "$reference"
work=$(mktemp -d "${TMPDIR:-/tmp}/reap-interop.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

for hf in "$families"/*/hf; do
    dir=${hf%/hf}
    # one that fails is reported below, as a checkpoint that cannot be loaded
    "$REAP" prune "$hf" --plan "$dir/plan.json" -o "$work/${dir##*/}" --quiet || true
done
sh "$env" run "$reference" "/host$SRC/tests/interop/check_checkpoint.py" "/host$families" "/host$work"
