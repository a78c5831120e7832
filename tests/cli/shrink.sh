# Inputs that shrink, grow, vanish or become links while they are read: an error that says which file, and nothing written. Each time the
# program is held before one call (tests/faults/shim.c), the input is changed, and it goes on.
. "$(dirname "$0")/lib.bash"
. "$SRC/tests/cli/checkpoint.bash"
shim=$(preloadable libshim.so)
export GOMP_SPINCOUNT=2000 GLIBC_TUNABLES=glibc.malloc.hugetlb=0 # or the program starts itself again, without the shim
LD_PRELOAD=$shim "$REAP" --version >/dev/null 2>&1 && [[ -e $shim ]] || skip "nothing can be preloaded"
plan=$FORMS/mixtral/pruned/plan.json

count() { # FUNCTION ARGS: how often it is called
    SHIM_FAULT="$1 0 short" SHIM_COUNTS=$T/.count LD_PRELOAD=$shim "$REAP" "${@:2}" --quiet >/dev/null 2>&1 </dev/null
    awk -v f="$1" '$1 == f { print $2 }' "$T/.count"
}

held() { # NAME: $child waits before that call
    wait_for 20 test -e "$T/.held" || say_bad "the call does not come: $1"
}
# while_held "FUNCTION N" CHANGE RC WORDS... -- ARGS: CHANGE is done before the N-th call
while_held() {
    local hold=$1 change=$2 want=$3 words=() child got
    shift 3
    while [[ $1 != -- ]]; do
        words+=("$1")
        shift
    done
    shift
    rm -f "$T/.held"
    SHIM_FAULT="$hold wait:600" SHIM_HELD=$T/.held SHIM_PATH=${held_path-} LD_PRELOAD=$shim "$REAP" "$@" --quiet >.out 2>.err </dev/null &
    child=$!
    held "$change"
    eval "$change"
    wait $child
    got=$?
    expect "exit status $want, not $got: $change: $*" test $got = "$want"
    one_line "${words[@]}"
}

# ---- weights, while they are cut, compared and converted
cp -r "$FORMS/mixtral" ck0
rm -rf ck0/pruned ck0/README.md
fresh() {
    rm -rf ck
    cp -r ck0 ck
}
fresh
n=$(count pread prune ck --plan "$plan" -o out --dry-run)
expect 'calls are counted' test "$n" -gt 2
while_held "pread $((n + 1))" 'truncate -s 20000 ck/model.safetensors' 2 "tensor .* of 'ck/model.safetensors'" 'file ends at byte 20000' -- prune ck --plan "$plan" -o out
absent out
fresh
n=$(count pread verify ck ck)
while_held "pread $((n - 2))" 'truncate -s 30000 ck/model.safetensors' 2 'ck/model.safetensors' 'file ends at byte' -- verify ck ck
cp -r "$MODELS/qwen3_moe/hf" q
n=$(count pread convert q -o q.gguf)
rm -f q.gguf
while_held "pread $((n - 3))" 'truncate -s 9000 q/model-00002-of-00003.safetensors' 2 'model-00002-of-00003.safetensors' 'file ends at byte' -- convert q -o q.gguf
absent q.gguf
cp "$TINY" m.gguf
hand_plan m.gguf 16 p.json
n=$(count pread prune m.gguf --plan p.json -o o.gguf --dry-run)
while_held "pread $((n + 1))" 'truncate -s 30000 m.gguf' 2 "of 'm.gguf'" 'file ends at byte' -- prune m.gguf --plan p.json -o o.gguf
absent o.gguf

# ---- a file that is copied beside them: it shrinks, grows, vanishes, becomes a link that leads out
fresh
head -c 1500000 /dev/zero | tr '\0' x >ck0/notes.txt
mkdir private
echo SECRET-KEY >private/id
fresh
n=$(count pread prune ck --plan "$plan" -o out) # the last file has six pieces and is copied behind the weights
rm -rf out
while_held "pread $((n - 1))" 'truncate -s 600000 ck/notes.txt' 2 'ck/notes.txt' 'file ends at byte' -- prune ck --plan "$plan" -o out
fresh
while_held "pread $((n - 1))" 'truncate -s 3000000 ck/notes.txt' 2 "'ck/notes.txt' has grown from 1500000 to 3000000 bytes" -- prune ck --plan "$plan" -o out
fresh
held_path=ck/notes.txt
while_held 'open 1' 'rm ck/notes.txt' 2 "cannot open 'ck/notes.txt'" -- prune ck --plan "$plan" -o out
fresh
while_held 'open 1' "ln -sf $T/private/id ck/notes.txt" 2 "'ck/notes.txt' is a link that leads out of the folder" -- prune ck --plan "$plan" -o out
absent out

# ---- texts of a folder, behind the list of them
mkdir texts
echo 'first text' >texts/a.txt
echo 'second text' >texts/b.txt
held_path=texts/b.txt
while_held 'open 2' 'rm texts/b.txt' 2 "cannot open 'texts/b.txt'" -- profile "$TINY" --calib texts -t 1 -o s.json
echo 'second text' >texts/b.txt
while_held 'open 2' "ln -sf $T/private/id texts/b.txt" 2 "'texts/b.txt' is a link that leads out of the folder" -- profile "$TINY" --calib texts -t 1 -o s.json
rm texts/b.txt

# A text is what could be read of it, and the hash in the stats is of that: one that shrank or grew is said to be another when it is used again.
absent s.json
rm -f .held
SHIM_FAULT='open 2 wait:600' SHIM_HELD=$T/.held SHIM_PATH=texts/a.txt LD_PRELOAD=$shim "$REAP" profile "$TINY" --calib texts -t 1 -o s.json --quiet >.out 2>.err </dev/null &
child=$!
held 'a text that grew'
echo 'and more' >>texts/a.txt
wait $child
expect 'a text that grew is read to its end' test $? = 0
expect 'the hash is of what was read' test "$("$JSON" get s.json calibration/files/0/sha256)" = "$(sha256sum texts/a.txt | cut -d' ' -f1)"

# ---- statistics that are cut while they are read
held_path=s.json
while_held 'open 1' 'truncate -s 5000 s.json' 2 's.json' 'JSON|premature|end' -- plan s.json --keep 16 -o plan.json
absent plan.json
expect 'nothing unfinished is left' test -z "$(find . -name '*.reap-*')"
untouched
finish
