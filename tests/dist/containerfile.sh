#!/usr/bin/env bash
# packaging/Containerfile without a container engine: its steps, one after the other, in bare systems in the place of its images.
# FROM, ARG, RUN, COPY, WORKDIR, ENTRYPOINT are known; another instruction is a failure. The engine comes from the cache of this machine.
#
#   tests/dist/containerfile.sh [CONTAINERFILE]
#
# packaging/Containerfile.cuda goes as far as it can without NVIDIA's images: in their place are a bare Ubuntu 24.04 and, read-only, the
# toolkit of this machine (CUDA_HOME, default /usr/local/cuda); DIST_CUDA_ARCH is its argument ARCH (default 90). Steps that build with
# CUDA run as they are, packages, sources, configuration with nvcc, up to the build of the engine, of which DIST_CUDA_OBJECTS are compiled.
# The rest of that build, linking and llama-server are left out, and so there is no program in the image.
. "$(dirname "$0")/lib.bash"
file=${1:-packaging/Containerfile}
objects=${DIST_CUDA_OBJECTS:-topk-moe mmid scale}
git clone -q --no-hardlinks . "$work/context" || exit 1
dir='' cwd=/ stages=() names=() arguments=() toolkit='' used=$cache

# As inside, with the cache where the program looks for it, and with the toolkit where NVIDIA's images have it.
step() {
    mkdir -p "$dir/var/cache/reap" "$dir$cwd"
    [ -z "$toolkit" ] || mkdir -p "$dir/usr/local/cuda"
    unshare --mount --propagation private bash -c 'mount --bind "$1" "$3/var/cache/reap" &&
        { [ -z "$2" ] || { mount --bind "$2" "$3/usr/local/cuda" && mount -o remount,bind,ro "$3/usr/local/cuda"; }; } && shift 3 && . "$1" && shift && inside "$@"' \
        bash "$used" "$toolkit" "$dir" "$work/inside" "$dir" env REAP_CACHE=/var/cache/reap ${toolkit:+PATH=/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin} "${arguments[@]}" \
        ${DIST_SERVER:+DIST_SERVER="$DIST_SERVER"} ${JOBS:+JOBS="$JOBS" ENGINE_JOBS="$JOBS"} sh -c 'cd "$1" && eval "$2"' sh "$cwd" "$1"
}
declare -f inside >"$work/inside"

# The system in the place of an image of CUDA. The engine's build ends there behind a few objects, and says that it was reached.
cuda_image() {
    toolkit=$(realpath "${CUDA_HOME:-/usr/local/cuda}")
    [ -x "$toolkit/bin/nvcc" ] || {
        echo "skipped: no CUDA toolkit in $toolkit"
        exit 77
    }
    used=$work/cache
    mkdir -p "$used"
    [ -d "$used/${1##*/}" ] || cp -a "$1" "$used/"
    cat >"$dir/usr/local/bin/ninja" <<END
#!/bin/bash
if [[ " \$* " != *' all '* ]] || ! grep -qs '^GGML_CUDA:BOOL=ON' "\$2/CMakeCache.txt"; then exec /usr/bin/ninja "\$@"; fi
targets=\$(/usr/bin/ninja -C "\$2" -t targets all | sed -n 's/: CUDA_COMPILER.*//p' | grep -E '/(${objects// /|})\\.cu\\.o\$')
[ -n "\$targets" ] || exit
/usr/bin/ninja -C "\$2" -j ${JOBS:-2} \$targets || exit
echo "\$2" >>/reached
exit 1
END
    chmod 755 "$dir/usr/local/bin/ninja"
}

# A step that builds with CUDA: it must come as far as the engine's build, and always of the same engine.
cuda_step() {
    local n object
    n=$(cat "$dir/reached" 2>/dev/null | wc -l)
    step "$1" >"$work/cuda" 2>&1
    [ "$(cat "$dir/reached" 2>/dev/null | wc -l)" = $((n + 1)) ] || { tail -n 5 "$work/cuda"; return 1; }
    for object in $objects; do
        readelf -SW "$(find "$used" -name "$object.cu.o")" | grep nv_fatbin || { echo "$object is not there, or has no code for a GPU"; return 1; }
    done
    [ "$(sort -u "$dir/reached" | wc -l)" = 1 ] || { echo 'another engine than that of the step before'; return 1; }
}

# Instructions, each on one line.
sed -e '/^#/d' -e '/^$/d' "$file" | sed -e ':a' -e '/\\$/N; s/\\\n/ /; ta' >"$work/steps"
while read -r -u 3 word rest; do
    case $word in
    FROM)
        image=${rest%% AS *}
        suite=${image##*debian:}
        suite=${suite%-slim}
        [[ $image != */nvidia/cuda:*-ubuntu24.04 ]] || suite=noble
        dir=$work/stage-${#stages[@]} cwd=/
        stages+=("$dir")
        names+=("${rest##* AS }")
        bare "$suite" "$dir"
        toolkit=
        [[ $image != */nvidia/cuda:*-devel-* ]] || cuda_image "$(bash scripts/engine.sh --source)"
        ;;
    ARG)
        [[ $rest != ARCH=* ]] || rest=ARCH=${DIST_CUDA_ARCH:-90}
        arguments+=("$rest")
        ;;
    WORKDIR) cwd=$rest ;;
    RUN)
        if [[ $rest == *REAP_CUDA=ON* ]]; then
            expect "RUN $rest, up to the engine's build" cuda_step "$rest"
        else
            expect "RUN $rest" step "$rest"
        fi
        ;;
    COPY)
        # shellcheck disable=SC2086
        set -- $rest
        from=$work/context
        if [[ $1 == --from=* ]]; then
            for i in "${!names[@]}"; do [ "${names[i]}" != "${1#--from=}" ] || from=${stages[i]}; done
            shift
            [[ $image != */nvidia/* ]] || continue
        fi
        [ "$1" != . ] || set -- / "$2"
        mkdir -p "$dir$2"
        expect "COPY $rest" cp -a "$from$1/." "$dir$2/"
        ;;
    ENTRYPOINT) entry=$rest ;;
    CMD) ;;
    *) expect "$word: an instruction that is known here" false ;;
    esac
done 3<"$work/steps"

expect 'the entry point is the program' test "$entry" = '["reap"]'
if [[ $image == */nvidia/* ]]; then
    say 'left out: the whole build with CUDA, and the program in the image'
    finish
fi
fixture "$dir"
version=$(sed -n 's/^project(reap VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
inside "$dir" sh /fixture/inside.sh "$version" use curl >"$work/out"
add_up 'the image' "$work/out"
finish
