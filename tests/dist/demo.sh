#!/usr/bin/env bash
# `make demo` on a bare Debian with git and make and nothing else: what is missing is installed, the engine is fetched and built,
# the program is built, the demo runs to its table and its report. Needs a network; takes as long as the engine's build.
#
#   tests/dist/demo.sh [SUITE]...     (default: bookworm trixie)
#
# Prints the time of each; the last line is 'N passed, N failed'. JOBS is handed to make.
. "$(dirname "$0")/lib.bash"
[ $# -gt 0 ] || set -- bookworm trixie
bundle=$work/reap.bundle
git bundle create -q "$bundle" HEAD || exit 1

for suite; do
    dir=$work/$suite
    bare "$suite" "$dir"
    install_in "$dir" git make || exit 1
    cp "$bundle" "$dir/srv/"
    start=$SECONDS
    expect "$suite: cloned" inside "$dir" git clone -q /srv/reap.bundle /srv/reap
    inside "$dir" env REAP_NATIVE="${REAP_NATIVE:-ON}" bash -c 'cd /srv/reap && time make demo ${1:+JOBS=$1}' bash "${JOBS:-}" >"$work/demo" 2>&1
    expect "$suite: make demo" test $? = 0
    grep '^engine: \|^setup: ' "$work/demo" | grep -v steps >&2
    expect "$suite: the table" grep -qE '^25 %.* MB ' "$work/demo"
    expect "$suite: the report" test -s "$dir/srv/reap/demo-work/report.html"
    tail -n 20 "$work/demo" >&2
    say "$suite: $((SECONDS - start)) s"
    rm -rf --one-file-system "$dir"
done
finish
