#!/usr/bin/env bash
# Shared libraries in the folder of a model are not run, whatever their names: the engine looks for devices in the current folder.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
command -v cc >/dev/null || skip 'no cc'

mkdir model
cp "$TINY" model/model.gguf
cat >trap.c <<'END'
#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void trap(void)
{
    close(open(TRAP, O_CREAT | O_WRONLY, 0600));
}
END
cc -shared -fPIC -DTRAP="\"$T/ran\"" -o trap.so trap.c || skip 'cc makes no shared library'
for device in blas cpu cuda rpc; do
    cp trap.so "model/libggml-$device-x.so"
    cp trap.so "model/libggml-$device.so"
done
cd model || exit 1
rc 0 doctor model.gguf
rc 0 eval model.gguf --text "$SRC/tests/data/text/prose/story.txt" --ctx 64 --max-samples 1 -o eval.json
printf '#!/bin/sh\nexit 0\n' >../server
chmod +x ../server
REAP_LLAMA_SERVER=$T/server fails 2 "the current folder has a 'libggml-.*\.so', which llama-server would load and run" -- serve model.gguf -q
expect 'nothing of the folder was run' test ! -e ../ran
expect 'results are in the folder that it was started in' test -s eval.json
finish
