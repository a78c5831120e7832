# What is said before the work: on which device, with how much memory, for how many tokens; and what is asked for in vain.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
[[ -f $TINY ]] || skip "no $TINY"
cp "$TINY" m.gguf
cp "$SRC/tests/data/text/prose/erzaehlung.txt" t.txt
line='^engine: (CPU|.* with [0-9]+ of [0-9]+ layers), 1 thread, [0-9]+ tokens a step; .*of [0-9.]+ [A-Z]?B free memory; [0-9,]+ tokens$'

ok eval m.gguf --text t.txt -t 1
has .err "$line"
ok profile m.gguf --calib t.txt -t 1 -o s.json
has .err "$line"
expect 'one line of the engine' test "$(grep -c '^engine: ' .err)" = 1
ok eval m.gguf --text t.txt -t 1 -q
lacks .err 'engine: '

# ---- weights are counted once, however many kinds of buffers the engine has for them: mapped, or rearranged in a copy
ok quantize m.gguf q4_0 -o q4.gguf --allow-requantize
once() { # FILE
    ok eval "$1" --text t.txt -t 1 -ub 32 --ctx 32
    has .err "$line"
    said=$(sed -n 's/^engine: .*; \([0-9.]*\) MB of .*/\1/p' .err)
    expect "memory: $said MB, the file and little more" awk -v said="$said" -v size="$(stat -c %s "$1")" 'BEGIN { exit !(said * 1e6 > size * 0.9 && said * 1e6 < size * 1.6) }'
}
once m.gguf
once q4.gguf
REAP_BENCH_ENGINE_PRODUCTS=1 once q4.gguf # the engine's own products, for which most processors have them rearranged

# ---- layers for a GPU that is not there, said once
if ! "$REAP" doctor --json 2>/dev/null | grep -q '"offload": true'; then
    ok eval m.gguf --text t.txt -t 1 -ngl 99
    has .err '^reap: warning: -ngl 99: (this build has no GPU, make REAP_CUDA=ON|no GPU is found).*; all layers stay on the CPU$'
    ok run m.gguf --calib t.txt -t 1 -ngl 99 --text t.txt -o o.gguf
    expect 'one warning' test "$(grep -c 'warning: -ngl' .err)" = 1
    ok eval m.gguf --text t.txt -t 1 -ngl 99 --device none
    lacks .err 'warning: -ngl'
    ok eval m.gguf --text t.txt -t 1 -ngl 0
    lacks .err 'warning: -ngl'
fi
finish
