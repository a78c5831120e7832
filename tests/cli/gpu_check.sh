#!/usr/bin/env bash
# scripts/gpu-check.sh where no GPU is: what needs none is done, what needs one says that it was left out, and what fails is counted.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
export CUDA_VISIBLE_DEVICES=
"$REAP" doctor --json 2>/dev/null | grep -q '"offload": true' && skip 'a GPU that cannot be hidden'

bash "$SRC/scripts/gpu-check.sh" run "$REAP" >said 2>&1
expect 'the checks that need no GPU hold' test $? = 0
has said "^ok    tinymoe: the plan as a mask [0-9.]*, the pruned file [0-9.]*$"
expect 'each part that needs a GPU says so' test "$(grep -c ': left out: no device$' said)" = 3
expect 'the last line counts' grep -qE '^[3-9] passed, 0 failed$' <(tail -n 1 said)

printf '#!/bin/sh\necho broken >&2\nexit 1\n' >broken
chmod +x broken
bash "$SRC/scripts/gpu-check.sh" run "$T/broken" >said 2>&1
expect 'a program that does not start fails' test $? = 1
has said '^FAIL  it does not start: broken$'
expect 'the last line counts what failed' grep -qE '^0 passed, [1-9] failed$' <(tail -n 1 said)
bash "$SRC/scripts/gpu-check.sh" pack >said 2>&1
expect 'pack wants a name' test $? = 1
finish
