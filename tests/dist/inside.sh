#!/bin/sh
# Run in a bare system by tarball.sh and deb.sh: inside.sh VERSION PART... with the parts use, no_curl, curl, and library, which takes what
# use left and wants gcc and pkg-config. `reap` is in PATH; what the checks read lies beside this script.
cd "$(dirname "$0")" || exit 1
version=$1
shift
passed=0 failed=0

# expect WHAT STATUS WORDS COMMAND...: its exit status, and a regular expression that its output has ("" any).
expect() {
    what=$1 status=$2 words=$3
    shift 3
    "$@" >out 2>&1 </dev/null
    got=$?
    if [ "$got" = "$status" ] && { [ -z "$words" ] || grep -qE -- "$words" out; }; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $what: exit status $got, expected $status and '$words'" >&2
        tail -n 5 out >&2
    fi
}

use() {
    expect 'the version' 0 "^reap $version " reap --version
    expect 'the manual' 0 '' sh -c 'ls "$(dirname "$(dirname "$(readlink -f "$(command -v reap)")")")"/share/man/man1/reap-prune.1*'
    expect 'inspect' 0 'experts' reap inspect tinymoe-Q8_0.gguf
    expect 'the engine and what it computes with' 0 'code uses SSE3|code uses NEON' reap doctor
    expect 'profile' 0 '' reap profile tinymoe-Q8_0.gguf --calib calib --max-samples 8 -o stats.json
    expect 'plan' 0 '' reap plan stats.json --prune-ratio 25% --model tinymoe-Q8_0.gguf -o plan.json
    expect 'prune' 0 '' reap prune tinymoe-Q8_0.gguf --plan plan.json -o pruned.gguf
    expect 'verify' 0 '' reap verify tinymoe-Q8_0.gguf pruned.gguf --plan plan.json
    cp pruned.gguf odd.gguf
    printf '\377\377\377\377' | dd of=odd.gguf bs=1 seek=6000000 conv=notrunc 2>/dev/null
    expect 'verify notices four bytes' 3 '' reap verify tinymoe-Q8_0.gguf odd.gguf --plan plan.json
    expect 'eval' 0 '' reap eval pruned.gguf --text heldout.txt -o eval.json
    expect 'a perplexity' 0 '"ppl": [0-9]+\.' cat eval.json
    expect 'quantize' 0 '' reap quantize pruned.gguf Q4_0 -o small.gguf --allow-requantize
    expect 'the report' 0 '' reap report --stats stats.json --plan plan.json --eval eval.json -o report.html
}

no_curl() {
    expect 'it says that libcurl is missing' 1 'needs libcurl, which is not on this machine' reap inspect -hf some/model
    expect 'in one line' 0 '^1$' sh -c 'reap inspect -hf some/model 2>&1 | wc -l'
}

curl() {
    expect 'a hub that is not there' 1 '127\.0\.0\.1' env HF_ENDPOINT=http://127.0.0.1:9 reap inspect -hf some/model
    if [ ! -e "$(dirname "$(readlink -f "$(command -v reap)")")/../lib/reap/llama-server" ]; then
        echo 'left out: serve (built without llama-server)' >&2
        return
    fi
    echo 'int main(void) {' >prompt.txt
    reap serve tinymoe-Q8_0.gguf --port 8099 >serve.log 2>&1 &
    server=$!
    expect 'a prompt through the server that came with it' 0 '' sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do
        reap batch --server 127.0.0.1:8099 --prompts prompt.txt -o run.json --completions --max-tokens 4 && exit; sleep 2; done; cat serve.log; exit 1'
    kill "$server"
    wait "$server" 2>/dev/null
}

# The example of docs/library.md, as its page says, and a program that has names of the libraries inside for things of its own.
library() {
    home=$(dirname "$(dirname "$(readlink -f "$(command -v reap)")")")
    export PKG_CONFIG_PATH="$home/lib/pkgconfig"
    expect 'the version of the library' 0 "^$version\$" pkg-config --modversion reap
    expect 'the example is compiled' 0 '' sh -c 'cc -Wall -Wextra -Werror "$0" $(pkg-config --cflags --libs reap) -o prune' "$home/share/doc/reap/examples/prune.c"
    expect 'the example prunes' 0 '^example\.gguf: 10\.5 MB of 13\.3 MB$' ./prune tinymoe-Q8_0.gguf stats.json example.gguf 0.25
    expect 'it writes the bytes of reap prune' 0 '' cmp pruned.gguf example.gguf
    cat >names.c <<'END'
#include <reap.h>
int json_loads(void);
int EVP_sha256(void);
int json_loads(void) { return 3; }
int EVP_sha256(void) { return 4; }
int main(int n, char **args)
{
    reap_model *model = n == 2 ? reap_model_open(args[1], NULL) : NULL;
    return !model || json_loads() + EVP_sha256() != 7;
}
END
    expect 'names of a program are its own' 0 '' sh -c 'cc -Wall -Wextra -Werror names.c $(pkg-config --cflags --libs reap) -o names && ./names tinymoe-Q8_0.gguf'
}

for part; do "$part"; done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
