# What the scripts of this folder share: bare Debian systems in folders of their own (root, debootstrap), and counting.
# REAP_MIRROR names another Debian mirror; REAP_CACHE keeps the systems (about 120 MB each).
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
cache=${REAP_CACHE:-${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/reap}
passed=0 failed=0

if [ "$(id -u)" != 0 ]; then
    echo 'skipped: debootstrap and chroot need root'
    exit 77
fi
work=$(mktemp -d /var/tmp/reap-dist.XXXXXX)
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT TERM

say() { printf '%s\n' "$*" >&2; }

# The keys of Ubuntu, which Debian 12 has no package of.
ubuntu_keys() {
    wget -q -O "$work/keys.deb" http://archive.ubuntu.com/ubuntu/pool/main/u/ubuntu-keyring/ubuntu-keyring_2023.11.28.1_all.deb &&
        echo "36de43b15853ccae0028e9a767613770c704833f82586f28eb262f0311adb8a8  $work/keys.deb" | sha256sum --check --quiet - &&
        dpkg-deb -x "$work/keys.deb" "$work/keys"
}

# bare SUITE DIR [ARCHITECTURE]: a Debian, or Ubuntu 24.04 (noble), of nothing but what is essential, as debootstrap --variant=minbase
# makes it.
bare() {
    local suite=$1 dir=$2 arch=${3:-$(dpkg --print-architecture)} mirror=${REAP_MIRROR:-} kept f more=() recipe=()
    kept=$cache/bare-$suite-$arch.tar
    mkdir -p "$dir" "$cache"
    if [ ! -s "$kept" ]; then
        command -v debootstrap >/dev/null || apt-get install -y -q --no-install-recommends debootstrap >&2 || exit 1
        if [ "$suite" = noble ]; then
            ubuntu_keys || exit 1
            more=(--keyring="$work/keys/usr/share/keyrings/ubuntu-archive-keyring.gpg" "--components=main,universe")
            mirror=http://archive.ubuntu.com/ubuntu
            recipe=(/usr/share/debootstrap/scripts/gutsy) # of every Ubuntu since; that of Debian 12 does not know this one's name
        fi
        say "a bare $suite for $arch"
        debootstrap --variant=minbase --arch="$arch" "${more[@]}" "$suite" "$dir" ${mirror:+"$mirror"} "${recipe[@]}" >"$work/debootstrap.log" 2>&1 || {
            tail -n 5 "$work/debootstrap.log" >&2
            exit 1
        }
        tar -C "$dir" -cf "$kept.new" . && mv "$kept.new" "$kept"
    else
        tar -C "$dir" -xf "$kept" || exit 1
    fi
    cp /etc/resolv.conf "$dir/etc/resolv.conf" 2>/dev/null
    # a snapshot is not valid any more, but signed all the same
    echo 'Acquire::Check-Valid-Until "false";' >"$dir/etc/apt/apt.conf.d/99snapshot"
    for f in /etc/apt/apt.conf.d/*proxy*; do
        if [ -e "$f" ]; then cp "$f" "$dir/etc/apt/apt.conf.d/"; fi
    done
    # a network whose certificates this machine alone knows
    if [ -s "${NODE_EXTRA_CA_CERTS:-}" ]; then cp "$NODE_EXTRA_CA_CERTS" "$dir/etc/own-ca.crt"; fi
    return 0
}

# inside DIR COMMAND...: in that system, in a mount namespace that ends with it.
inside() {
    unshare --mount --propagation private sh -c '
        dir=$1
        shift
        mount -t proc proc "$dir/proc" && mount --rbind /dev "$dir/dev" && exec chroot "$dir" env -i HOME=/root LANG=C \
            $([ ! -e "$dir/etc/own-ca.crt" ] || echo NODE_EXTRA_CA_CERTS=/etc/own-ca.crt) DEBIAN_FRONTEND=noninteractive PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"' \
        sh "$@" </dev/null
}

install_in() { # DIR PACKAGE...
    local dir=$1
    shift
    inside "$dir" sh -c 'apt-get update -q && apt-get install -qy --no-install-recommends "$@"' sh "$@" >"$work/apt.log" 2>&1 || {
        tail -n 5 "$work/apt.log" >&2
        return 1
    }
}

# expect WHAT COMMAND...
expect() {
    local what=$1
    shift
    if "$@" >"$work/said" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        say "FAILED: $what"
        tail -n 5 "$work/said" >&2
    fi
}

# The last line of inside.sh and its like: N passed, N failed.
add_up() { # WHAT FILE
    local last
    last=$(tail -n 1 "$2")
    if [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
        passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2]))
        say "$1: $last"
    else
        failed=$((failed + 1))
        say "FAILED: $1 did not run to its end: $last"
    fi
}

# What the checks of inside.sh read.
fixture() { # DIR
    mkdir -p "$1/fixture/calib"
    cp models/tinymoe-Q8_0.gguf tests/dist/inside.sh "$1/fixture/"
    cp tests/data/text/code/sdf.txt tests/data/text/code/lexer.txt "$1/fixture/calib/"
    cp tests/data/text/prose/story.txt "$1/fixture/heldout.txt"
}

finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ]
    exit
}
