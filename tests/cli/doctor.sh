# What this machine makes of a model: text and JSON, what would fail, nothing written.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
[[ -f $TINY ]] || skip "no $TINY"

ok doctor
has .out '^build +reap [0-9.]+, llama.cpp .*backends: .*CPU' '^devices +.*CPU' '^cpu +[0-9]+ cores, [0-9]+ threads; code uses [A-Z]' '^memory +[0-9.]+ .B of [0-9.]+ .B free'
lacks .out '^model' '^disk'
ok doctor --json
json .out engine backends devices/0/name cpu/cores memory/free advice
ok doctor -t 1000
has .out '^slow +1000 threads on [0-9]+ cores'

mkdir a
cp "$TINY" a/m.gguf
ls -lR a >before
ok doctor a/m.gguf
ls -lR a >after
expect 'nothing is written' cmp before after
has .out '^model +a/m.gguf: a GGUF file, 13.2 MB of weights, 32 experts in each layer' '^disk +([0-9.]+ .B/s read|the model is too small).*; [0-9.]+ .B free in this folder'
lacks .out '^fails'
ok doctor a/m.gguf --json
json .out model/n_experts=32 disk/past_the_cache

# ---- what would fail: status 3, and why
rc 3 doctor none.gguf
has .out "^fails +.*none.gguf"
has .err '^reap: 1 thing would fail here$'
echo nonsense >n.gguf
rc 3 doctor n.gguf --json
has .out '"level": *"fails"' # another advice may come before it
"$EDIT" a/m.gguf bad.gguf del tokenizer.ggml.tokens
rc 3 doctor bad.gguf
has .out '^model .*32 experts' "^fails +the engine does not run it: .*bad.gguf: .*vocab"
# ---- a folder that cannot be written: root may always, so another user looks
as() { "$@"; }
if [[ $(id -u) = 0 ]] && command -v setpriv >/dev/null && setpriv --reuid 65534 --regid 65534 --clear-groups true 2>/dev/null; then
    as() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
    chmod 755 "$T"
fi
mkdir shut
cp "$REAP" reap-copy && chmod 755 reap-copy
chmod 555 shut
if ! as test -w shut && as ./reap-copy --version >/dev/null 2>&1; then
    (cd shut && as ../reap-copy doctor) >.out 2>.err
    expect 'the rest is as it was: exit status 0' test $? = 0
    has .out '^hint +nothing can be written in this folder \(Permission denied\): give -o a path in another one$'
else
    left_out 'no right to write: there is no way to be another user'
fi
rm -f reap-copy
chmod 755 shut
ok doctor
lacks .out 'be written in this folder'
"$REAP" doctor "$(printf 'x\nfails      all of it')" >.out 2>.err
expect 'no line comes from a name' test "$(grep -c '^fails  *all of it' .out)" = 0
finish
