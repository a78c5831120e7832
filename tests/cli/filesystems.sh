# What file systems lack, refuse and run out of: full ones, quotas, read-only ones, vfat, names without case, no locks, no links, no
# exchange of names; inputs that shrink or go while they are read; two programs on one output; outputs that are links.
if [[ -z ${OWN_MOUNTS-} && $(id -u) = 0 ]] && unshare -m true 2>/dev/null; then
    OWN_MOUNTS=1 exec unshare -m bash "$0" # what is mounted here goes with the test
fi
. "$(dirname "$0")/lib.bash"
. "$(dirname "$0")/batch.bash"
SHIM=$(preloadable libshim.so) # not in builds with sanitizers: they want to be loaded first
Q=$MODELS/qwen3_moe
export SOURCE_DATE_EPOCH=0 GOMP_SPINCOUNT=300 GLIBC_TUNABLES=glibc.malloc.hugetlb=0

mkdir in
cp "$Q/model.gguf" in/m.gguf
cp "$Q/plan.json" "$Q/texts.jsonl" in
cp -r "$Q/hf" in/ckpt
rm -r in/ckpt/pruned
"$EDIT" --split 3 in/m.gguf in/s
I=$T/in
echo '{"schema":"reap.plan/1","n_keep":6,"keep":{"0":[0,1,2,3,4,5],"1":[0,1,2,3,4,5],"2":[0,1,2,3,4,5]}}' >in/other.json

# One of each kind of output into the folder $1, with options.
one_file() { "$R" prune "$I/m.gguf" -p "$I/plan.json" -q -o "$1/o.gguf" "${@:2}"; }
split() { "$R" prune "$I/s-00001-of-00003.gguf" -p "$I/plan.json" -q -o "$1/o.gguf" "${@:2}"; }
folder() { "$R" prune "$I/ckpt" -p "$I/plan.json" -q -o "$1/folder" "${@:2}"; }
stats() { "$R" profile "$I/m.gguf" -c "$I/texts.jsonl" -t 1 -q -o "$1/stats.json" "${@:2}"; }
KINDS=(one_file split folder stats)
R=$REAP
# KIND RC FOLDER ARGS...: what `call` does for a command in a function
kind() {
    local kind=$1 want=$2 got
    shift 2
    "$kind" "$@" >.out 2>.err </dev/null
    got=$?
    n_checks=$((n_checks + 1))
    [[ $got = "$want" ]] || { say_bad "exit status $got, expected $want: $kind $*"; show .err; }
}
left() { (cd "$1" && find . -mindepth 1 ! -name lost+found ! -path ./fill -printf '%P\n' | sort); }
nothing() { expect "$2: nothing is left" test -z "$(left "$1")"; }
with() { # FAULT COMMAND...: with the shim
    SHIM_FAULT=$1 LD_PRELOAD=$SHIM "${@:2}"
}
shimmed() { with "$FAULT" "$REAP" "$@"; }

mkdir want
for k in "${KINDS[@]}"; do kind "$k" 0 want; done
want=want
same() { # FOLDER NAME: all outputs as on the disk of the test, and nothing else
    local f
    expect "$2: what is there" diff <(left $want) <(left "$1")
    for f in $(ls $want); do
        expect "$2: $f" diff -r -I '"seconds"' -I '"tokens_per_second"' -I '"file"' "$want/$f" "$1/$f"
    done
}
# These kinds of output in a folder, anew, refused, replaced.
whole() { # FOLDER NAME KIND...
    local k
    for k in "${@:3}"; do kind "$k" 0 "$1"; done
    same "$1" "$2"
    for k in "${@:3}"; do
        kind "$k" 2 "$1"
        one_line 'exists; --force replaces it'
    done
    same "$1" "$2, refused"
    for k in "${@:3}"; do kind "$k" 0 "$1" -f; done
    same "$1" "$2, replaced"
}

# ---- file systems that lack something: emulated, everywhere
if [[ -e $SHIM ]]; then
    R=shimmed
    mkdir lacks
    [[ -z ${OWN_MOUNTS-} ]] || mount -t tmpfs none lacks # quicker
    for FAULT in 'flock 1 from:95' 'flock 1 from:37' 'renameat2 1 from:22' 'link,linkat,renameat2,flock 1 from:1' 'flock,renameat2,sync_file_range 1 from:38'; do
        whole lacks "$FAULT" "${KINDS[@]}"
        rm -rf lacks/*
    done
    # no room, from some moment on; and a disk that gives up
    for FAULT in 'write 2 from:28' 'write 40 from:28' 'write 1 from:122' 'fsync,fdatasync 1 from:5' 'create,mkdir 3 from:28' 'create,mkdir 12 from:28'; do
        for k in "${KINDS[@]}"; do
            "$k" lacks >.out 2>.err </dev/null
            got=$?
            n_checks=$((n_checks + 1))
            if [[ $got = 1 ]]; then
                expect "$FAULT, $k: one line" test "$(grep -c '^reap: ' <(grep -v '^reap: warning' .err))" = 1
                nothing lacks "$FAULT, $k"
            elif [[ $got != 0 ]]; then
                say_bad "$FAULT, $k: exit status $got"
            fi
            rm -rf lacks/*
        done
    done
    [[ -z ${OWN_MOUNTS-} ]] || umount lacks
    R=$REAP
else
    left_out 'what a file system lacks, emulated: no shim in this build'
fi

# ---- file systems as they are
mkdir mnt
mounted() { # NAME
    if (( $? )); then
        left_out "$1 cannot be mounted"
        return 1
    fi
}
# With mounts of our own, and these commands.
own() {
    [[ -n ${OWN_MOUNTS-} ]] || return
    for c; do command -v "$c" >/dev/null || return; done
}

own mkfs.vfat fusefat && { truncate -s 24M img && mkfs.vfat img && fusefat -o rw+ img mnt; } >/dev/null 2>&1
if mounted 'vfat (dosfstools, fusefat)'; then
    mkdir mnt/a want-fat
    cp want/*.gguf want/*.json want/*.pairs want-fat
    want=want-fat
    whole mnt/a vfat one_file split stats # fusefat loses what is in a folder that is renamed
    want=want
    umount mnt
fi
own mkfs.ntfs lowntfs-3g && { truncate -s 48M img && mkfs.ntfs -F -q img && lowntfs-3g -o ignore_case img mnt; } >/dev/null 2>&1
if mounted 'names without case (ntfs-3g)'; then
    mkdir mnt/a
    cp -r want want-lower
    mv want-lower/folder/README.md want-lower/folder/readme.md # as it lists it
    want=want-lower
    whole mnt/a 'names without case' "${KINDS[@]}"
    want=want
    # the same name in other letters is the same file
    kind one_file 2 mnt/A
    one_line 'exists; --force replaces it'
    cp in/m.gguf mnt/model.gguf
    rc 2 prune mnt/model.gguf -p in/plan.json -q -o mnt/MODEL.gguf -f
    one_line 'is the model itself'
    expect 'the model is whole' cmp in/m.gguf mnt/model.gguf
    cp -r in/ckpt mnt/ckpt
    before=$(hash_of mnt/ckpt/*)
    rc 2 prune mnt/ckpt -p in/plan.json -q -o mnt/CKPT -f
    one_line 'is the model itself'
    rc 2 convert mnt/ckpt -q -o mnt/ckpt/TOKENIZER.json -f
    one_line TOKENIZER
    expect 'the checkpoint is whole' test "$before" = "$(hash_of mnt/ckpt/*)"
    cp in/texts.jsonl mnt/t.jsonl
    rc 2 profile in/m.gguf -c mnt/t.jsonl -t 1 -o mnt/T.JSONL -f
    one_line 'is the text'
    umount mnt
fi
own && mount -t tmpfs -o size=64m none mnt && mkdir mnt/{low,up,work,all} && mount -t overlay -o lowerdir=mnt/low,upperdir=mnt/up,workdir=mnt/work none mnt/all
if mounted overlay; then
    mkdir mnt/all/a
    whole mnt/all/a overlay "${KINDS[@]}"
    umount mnt/all mnt
fi

# ---- full, and nearly: what is refused before the work, and in the middle
full() { # NAME: every kind into mnt, in a line
    local k
    for k in "${KINDS[@]}"; do
        kind "$k" 1 mnt
        expect "$1, $k: one line" test "$(grep -vcE '^(reap: warning|engine: )' .err)" = 1
        has .err 'No space left|free, the output needs'
        nothing mnt "$1, $k"
    done
}
own mkfs.ext4 && { truncate -s 4M img && mkfs.ext4 -q -F -m 0 img && mount -o loop img mnt; } >/dev/null 2>&1
if mounted 'a full disk: ext4'; then
    head -c 8M /dev/zero >mnt/fill 2>/dev/null
    full 'ext4, full'
    for k in one_file split folder; do # what would be written can be said all the same
        kind "$k" 0 mnt --dry-run
        has .out '^would write ' '^the disk has too little room for it: [0-9.]+ .?B are missing$'
        kind "$k" 0 mnt --dry-run --json
        expect "$k: what is missing" test "$("$JSON" get .out bytes_missing)" -gt 0
        nothing mnt "$k, a dry run"
    done
    # nothing is lost where something was
    rm mnt/fill
    kind one_file 0 mnt
    before=$(hash_of mnt/o.gguf)
    head -c 8M /dev/zero >mnt/fill 2>/dev/null
    kind one_file 1 mnt -f
    expect 'ext4, full: the old output is whole' test "$before" = "$(hash_of mnt/o.gguf)" -a "$(left mnt)" = o.gguf
    rm mnt/o.gguf mnt/fill
    for i in $(seq 2000); do : >"mnt/n$i" || break; done 2>/dev/null # no names are left
    rm -f mnt/n1 mnt/n2 mnt/n3
    mkdir mnt/a
    kind folder 1 mnt/a
    has .err 'No space left'
    nothing mnt/a 'ext4, no inodes'
    rm -f mnt/n*
    umount mnt
fi
own && mount -t tmpfs -o size=64m none mnt
if mounted 'a read-only disk: tmpfs'; then
    cp -r in mnt
    mkdir mnt/out
    mount -o remount,ro mnt
    I=$T/mnt/in
    for k in "${KINDS[@]}"; do
        kind "$k" 1 mnt/out
        one_line 'Read-only file system' 'mnt/out'
    done
    mkdir from-ro
    for k in "${KINDS[@]}"; do kind "$k" 0 from-ro; done # inputs may be there
    same from-ro 'from a read-only disk'
    (cd mnt && "$REAP" doctor) >.out 2>.err
    has .out '^hint +nothing can be written in this folder \(Read-only file system\)'
    I=$T/in
    umount mnt
fi

# ---- a limit on the size of files
mkdir lim
for k in one_file split folder stats; do
    (
        ulimit -c 0
        ulimit -f 8
        "$k" lim >/dev/null 2>&1 </dev/null
        exit $?
    )
    got=$?
    expect "file size limit, $k: exit status 1, not $got" test $got = 1
    nothing lim "file size limit, $k"
done

# ---- inputs that change
if [[ -e $SHIM ]]; then
    # A model is cut off while it is copied: the call that reads the last part waits until it is.
    cp in/m.gguf w.gguf
    with 'pread 20 wait:600' "$REAP" prune w.gguf -p in/plan.json -q -o cut.gguf >.out 2>.err </dev/null &
    pid=$!
    wait_for 20 test -e cut.gguf.reap-part
    truncate -s 100k w.gguf
    wait $pid
    got=$?
    expect "a model that shrinks while it is copied: exit status 2, not $got" test $got = 2
    one_line 'ends at byte'
    expect 'and no output' test -z "$(ls cut* 2>/dev/null)"
    # One that goes is still read to its end.
    cp in/m.gguf w.gguf
    with 'pread 20 wait:600' "$REAP" prune w.gguf -p in/plan.json -q -o gone.gguf >.out 2>.err </dev/null &
    pid=$!
    wait_for 20 test -e gone.gguf.reap-part
    rm w.gguf
    wait $pid
    expect 'a model that is removed while it is copied' test $? = 0
    expect 'gives the same' cmp gone.gguf want/o.gguf
    # The engine has it mapped: SIGBUS. What was saved last is whole.
    cp in/m.gguf w.gguf
    for i in $(seq 60); do cat in/texts.jsonl; done >long.jsonl
    (ulimit -c 0; exec "$REAP" profile w.gguf -c long.jsonl --ctx 64 -ub 32 -t 1 --save-every 0.001 --load-mode mmap -o bus.json -q) >.out 2>.err </dev/null &
    pid=$!
    wait_for 20 test -e bus.json
    truncate -s 20k w.gguf
    wait $pid
    got=$?
    expect "a model that shrinks while it is mapped: exit status 1, not $got" test $got = 1
    one_line
    expect 'the saved file is whole' "$JSON" get bus.json schema
    expect 'and nothing else but its pairs' test "$(ls -A | grep bus | xargs)" = 'bus.json bus.json.pairs'
    rm -f bus.json bus.json.pairs w.gguf long.jsonl gone.gguf
else
    left_out 'inputs that shrink: no shim in this build'
fi

# ---- two programs on one output: the second is refused while the first is at it, and the first ends well
if [[ -e $SHIM ]]; then
    mkdir both
    for k in "${KINDS[@]}"; do
        rm -rf two
        mkdir two
        R=shimmed FAULT='fsync 1 wait:700'
        "$k" two >.out1 2>.err1 </dev/null &
        pid=$!
        R=$REAP
        wait_for 20 eval '[[ -n $(ls -A two) ]]'
        kind "$k" 1 two
        one_line 'is being written by another program'
        wait $pid
        expect "two programs, $k: the first ends well" test $? = 0
        mv two/* both
    done
    same both 'two programs'
    mkdir -p two
    # The second one has the name open when the first gives it away: the output of the first stays.
    for k in one_file folder; do
        R=shimmed FAULT='flock 1 wait:900'
        "$k" two >.out2 2>.err2 </dev/null &
        pid=$!
        R=$REAP
        wait_for 20 eval '[[ -n $(ls -A two) ]]'
        "$k" two >.out 2>.err </dev/null
        first=$?
        wait $pid
        second=$?
        expect "a late lock, $k: one of the two is refused, not $first and $second" test $((first + second)) -gt 0 -a $((first * second)) = 0
    done
    expect 'a late lock: the folder is whole' diff -r want/folder two/folder
    expect 'a late lock: the file is whole' cmp want/o.gguf two/o.gguf
    expect 'a late lock: nothing else' test "$(ls -A two | sort | tr '\n' ' ')" = 'folder o.gguf '
    # batch keeps its file for the whole run
    echo '{"prompt":"hi"}' >in/one.jsonl
    with 'fsync 1 wait:700' "$REAP" batch --server "$url/good" --prompts in/one.jsonl -o two/b.json -q >.out1 2>.err1 </dev/null &
    pid=$!
    wait_for 20 eval '[[ -n $(ls -A two | grep b.json) ]]'
    rc 1 batch --server "$url/good" --prompts in/one.jsonl -o two/b.json -q
    has .err '^reap: .*another program'
    wait $pid
    expect 'two batches: the first ends well' test $? = 0
    rm -rf two
else
    left_out 'two programs on one output: no shim in this build'
fi

# ---- outputs that are links: the link is what is there, and what is replaced; what it leads to is left alone
mkdir links other
echo precious >other/file
cp -r want/folder other/folder
ln -s ../other/file links/o.gguf
ln -s ../other/folder links/folder
for k in one_file folder; do
    kind $k 2 links
    one_line 'exists; --force replaces it'
    kind $k 0 links -f
done
expect 'a link to a file: the file is left alone' grep -qx precious other/file
expect 'a link to a folder: the folder is left alone' diff -r want/folder other/folder
expect 'the outputs are no links' test ! -L links/o.gguf -a ! -L links/folder -a -f links/o.gguf -a -d links/folder
rm -rf links/*
ln -s nowhere links/o.gguf
ln -s nowhere links/folder
kind one_file 2 links
one_line 'leads nowhere'
kind folder 2 links
one_line 'folder'
expect 'a link that leads nowhere stays' test -L links/o.gguf -a -L links/folder -a ! -e links/nowhere
kind one_file 0 links -f
expect 'a link that leads nowhere is replaced' test -f links/o.gguf -a ! -L links/o.gguf
rm -rf links other/*
ln -s other links # the folder of the output
for k in "${KINDS[@]}"; do kind "$k" 0 links; done
same other 'through a link to the folder'
if own && mount -t tmpfs -o size=64m none mnt; then
    rm links
    ln -s "$T/mnt" links
    for k in "${KINDS[@]}"; do kind "$k" 0 links; done
    same mnt 'through a link into another file system'
    umount mnt
else
    left_out 'a link into another file system: tmpfs cannot be mounted'
fi
finish
