#!/bin/sh
# The reference: a Debian sid tree with Hugging Face transformers, in a folder of its own. The running system
# stays as it is, and nothing stays mounted. Needs root and, to build, about 2.5 GB and a network.
#
#   reference-env.sh build DIR              builds it, once
#   reference-env.sh run DIR SCRIPT ARG...  python3 SCRIPT ARG... in it; the files of this machine are under /host
#
# REAP_MIRROR names another Debian mirror (a snapshot gives the versions of a certain day).
set -eu

packages="python3-transformers python3-torch python3-safetensors python3-sentencepiece python3-protobuf"
# With the BLAS that comes by itself torch is ten times slower.
packages="$packages python3-accelerate python3-gguf libopenblas0-pthread"

die() {
    echo "reference-env.sh: $*" >&2
    exit 1
}

# A mount namespace of our own: see above.
inside() {
    [ -n "${REAP_REFERENCE_INSIDE:-}" ] || REAP_REFERENCE_INSIDE=1 exec unshare --mount --propagation private sh "$0" "$@"
    [ -e "$dir/proc/self" ] || mount -t proc proc "$dir/proc"
}

[ $# -ge 2 ] || die "usage: reference-env.sh build DIR | run DIR SCRIPT ARG..."
command=$1
dir=$2
[ "$(id -u)" = 0 ] || die "needs root, for debootstrap and chroot"

case $command in
build)
    [ "$(cat "$dir/.reap-packages" 2>/dev/null)" = "$packages" ] && exit 0
    if [ ! -e "$dir/.reap-base" ]; then
        command -v debootstrap >/dev/null || apt-get install -y -q --no-install-recommends debootstrap
        mkdir -p "$dir"
        echo "reference-env.sh: base system into $dir" >&2
        debootstrap --variant=minbase sid "$dir" ${REAP_MIRROR:+"$REAP_MIRROR"} >"$dir.log" 2>&1 ||
            die "debootstrap failed, see $dir.log"
        cp /etc/resolv.conf "$dir/etc/resolv.conf" 2>/dev/null || true
        for f in /etc/apt/apt.conf.d/*proxy*; do
            if [ -e "$f" ]; then cp "$f" "$dir/etc/apt/apt.conf.d/"; fi
        done
        touch "$dir/.reap-base"
    fi
    inside "$@"
    echo "reference-env.sh: packages" >&2
    # a snapshot is not valid any more, but signed all the same
    chroot "$dir" apt-get -o Acquire::Check-Valid-Until=false update -q >>"$dir.log" 2>&1 ||
        die "apt-get update failed, see $dir.log"
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive chroot "$dir" apt-get install -y -q --no-install-recommends $packages \
        >>"$dir.log" 2>&1 || die "apt-get install failed, see $dir.log"
    chroot "$dir" apt-get clean
    echo "$packages" >"$dir/.reap-packages"
    ;;
run)
    [ -e "$dir/.reap-packages" ] || die "no reference in $dir"
    inside "$@"
    mount --rbind /dev "$dir/dev"
    mkdir -p "$dir/host"
    mount --rbind / "$dir/host"
    shift 2
    exec chroot "$dir" env HOME=/root TMPDIR=/tmp HF_HUB_OFFLINE=1 python3 -B "$@"
    ;;
*)
    die "unknown command $command"
    ;;
esac
