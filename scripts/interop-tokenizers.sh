#!/bin/sh
# Real tokenizers out of npm packages: the ids that the engine gives by the keys of `reap convert`, against those of the Rust
# library, 905 rows of hard text each (tests/interop/tokenizers.mjs). Not part of `make test`: it needs node, npm and, the first
# time, 570 MB of packages, kept in $REAP_CACHE/tokenizers (default ~/.cache/reap).
#
# BIN: the build folder, SRC: the repository; arguments: only tokenizers of these names.
set -eu
: "${BIN:?}" "${SRC:?}"
for tool in node npm; do
    command -v $tool >/dev/null || {
        echo "interop-tokenizers: needs $tool" >&2
        exit 1
    }
done
engine=$(bash "$SRC/scripts/engine.sh" --source)
exec node "$SRC/tests/interop/tokenizers.mjs" "$BIN/token_ids" "${REAP_CACHE:-$HOME/.cache/reap}/tokenizers" "$engine" "$@"
