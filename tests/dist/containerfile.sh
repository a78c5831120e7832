#!/usr/bin/env bash
# packaging/Containerfile without a container engine: its steps, one after the other, in bare Debian systems in the place of its images.
# FROM, RUN, COPY, WORKDIR, ENTRYPOINT are known; another instruction is a failure. The engine comes from the cache of this machine.
#
#   tests/dist/containerfile.sh [CONTAINERFILE]
. "$(dirname "$0")/lib.bash"
file=${1:-packaging/Containerfile}
git clone -q --no-hardlinks . "$work/context" || exit 1
dir='' cwd=/ stages=() names=()

# As inside, with the cache where the program looks for it.
step() {
    mkdir -p "$dir/var/cache/reap" "$dir$cwd"
    unshare --mount --propagation private bash -c 'mount --bind "$1" "$2/var/cache/reap" && shift 2 && . "$1" && shift && inside "$@"' \
        bash "$cache" "$dir" "$work/inside" "$dir" env REAP_CACHE=/var/cache/reap ${DIST_SERVER:+DIST_SERVER="$DIST_SERVER"} ${JOBS:+JOBS="$JOBS"} sh -c 'cd "$1" && eval "$2"' sh "$cwd" "$1"
}
declare -f inside >"$work/inside"

# Instructions, each on one line.
sed -e '/^#/d' -e '/^$/d' "$file" | sed -e ':a' -e '/\\$/N; s/\\\n/ /; ta' >"$work/steps"
while read -r -u 3 word rest; do
    case $word in
    FROM)
        image=${rest%% AS *}
        suite=${image##*debian:}
        suite=${suite%-slim}
        dir=$work/stage-${#stages[@]} cwd=/
        stages+=("$dir")
        names+=("${rest##* AS }")
        bare "$suite" "$dir"
        ;;
    WORKDIR) cwd=$rest ;;
    RUN) expect "RUN $rest" step "$rest" ;;
    COPY)
        # shellcheck disable=SC2086
        set -- $rest
        from=$work/context
        if [[ $1 == --from=* ]]; then
            for i in "${!names[@]}"; do [ "${names[i]}" != "${1#--from=}" ] || from=${stages[i]}; done
            shift
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
fixture "$dir"
version=$(sed -n 's/^project(reap VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
inside "$dir" sh /fixture/inside.sh "$version" use curl >"$work/out"
add_up 'the image' "$work/out"
finish
