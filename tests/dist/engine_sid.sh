#!/usr/bin/env bash
# Builds reap against the libllama of Debian sid, which is newer than the engine that scripts/engine.sh builds, and runs all tests
# there. The system is kept in the cache (root; the first time 1.3 GB of disk and a network).
#
#   tests/dist/engine_sid.sh [OPTION OF ctest]...      such as -R 'unit-|cli-profile'
. "$(dirname "$0")/lib.bash"
dir=$cache/engine-sid
packages="gcc g++ make cmake ninja-build git pkg-config ca-certificates libjansson-dev libssl-dev libxxhash-dev
    libcurl4-openssl-dev zlib1g-dev libcmocka-dev libllama-dev libggml0-backend-rpc llama.cpp-tools
    curl procps util-linux xz-utils zstd"

if [ ! -e "$dir/.packages" ] || [ "$(cat "$dir/.packages")" != "$packages" ]; then
    rm -rf --one-file-system "$dir"
    bare sid "$dir"
    say 'packages of sid'
    # shellcheck disable=SC2086
    install_in "$dir" $packages || exit 1
    inside "$dir" apt-get clean
    echo "$packages" >"$dir/.packages"
fi

# The checkout under the name that it has here, and the engine's sources, of which chat templates are made.
source=$(bash scripts/engine.sh --source) || exit 1
here() { unshare --mount --propagation private sh -c '
    dir=$1 top=$2 source=$3
    shift 3
    sources=/var/cache/reap/${source##*/}
    mkdir -p "$dir$top" "$dir$sources"
    mount --bind "$top" "$dir$top" && mount --bind "$source" "$dir$sources" && mount -t proc proc "$dir/proc" && mount --rbind /dev "$dir/dev" &&
        exec chroot "$dir" env -i HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            REAP_CACHE=/var/cache/reap RPC_SERVER=/usr/bin/rpc-server sh -c "cd \"\$1\" && shift && exec \"\$@\"" sh "$top" "$@"' sh "$dir" "$PWD" "$source" "$@" </dev/null; }

jobs=${JOBS:-$(nproc)}
say "building against libllama $(inside "$dir" dpkg-query -W -f '${Version}' libllama-dev)"
here cmake --preset release -B build-sid >"$work/log" 2>&1 && here sh scripts/build.sh build-sid -j "$jobs" || {
    tail -n 20 "$work/log" >&2
    echo '0 passed, 1 failed'
    exit 1
}
# No server of RPC is packaged there (cli-rpc says so), and cli-serve would build a llama-server of scripts/engine.sh.
echo 'left out: cli-serve, which tests a llama-server of its own'
here sh scripts/ctest-summary.sh build-sid -j "$jobs" -E '^cli-serve$' "$@"
