#!/usr/bin/env bash
# The tarball, the packages and the Containerfiles, each in bare systems. The last line adds up: 'N passed, N failed'.
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0
for part in "tarball.sh $(echo dist/reap-*-linux-"$(uname -m)".tar.gz)" "deb.sh $(echo dist/reap_*.deb)" containerfile.sh "containerfile.sh packaging/Containerfile.cuda"; do
    # shellcheck disable=SC2086
    last=$(bash tests/dist/$part | tail -n 1)
    echo "$part: $last"
    if [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
        passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2]))
    elif [[ $last != "skipped: no CUDA"* ]]; then
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
