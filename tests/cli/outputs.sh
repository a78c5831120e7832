# Where results go: never onto an input, never over a file that is there, whole or not at all, and known before the work is done.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
texts=$T/texts.jsonl
cp "$MODELS/qwen3_moe/texts.jsonl" texts.jsonl
cp "$MODELS/qwen3_moe/model.gguf" m.gguf
hand_plan m.gguf 6 plan.json
ok profile m.gguf --calib texts.jsonl -t 1 -o s.json
ok prune m.gguf --plan plan.json -o p.gguf
printf 'a few words that make a text, again and again: %.0s' $(seq 40) >held.txt
sums=$(sha256sum m.gguf p.gguf plan.json texts.jsonl s.json held.txt)
inputs_unchanged() {
    expect "inputs unchanged ($1)" test "$sums" = "$(sha256sum m.gguf p.gguf plan.json texts.jsonl s.json held.txt 2>&1)" && return
    # go on with whole inputs
    cp "$MODELS/qwen3_moe/texts.jsonl" texts.jsonl
    cp "$MODELS/qwen3_moe/model.gguf" m.gguf
    rm -f s.json plan.json p.gguf
    hand_plan m.gguf 6 plan.json
    "$REAP" prune m.gguf --plan plan.json -o p.gguf >/dev/null 2>&1
    "$REAP" profile m.gguf --calib texts.jsonl -t 1 -o s.json >/dev/null 2>&1
    printf 'a few words that make a text, again and again: %.0s' $(seq 40) >held.txt
    sums=$(sha256sum m.gguf p.gguf plan.json texts.jsonl s.json held.txt)
}
each() { # function, called with a command that writes to @
    "$1" prune m.gguf --plan plan.json -o @
    "$1" profile m.gguf --calib texts.jsonl -t 1 -o @
    "$1" plan s.json --keep 4 -o @
    "$1" eval m.gguf --calib texts.jsonl -t 1 -o @
    "$1" eval m.gguf --calib texts.jsonl -t 1 --logprobs @
    "$1" verify m.gguf p.gguf --write-plan @
}
to() { # FILE COMMAND...: the command with @ replaced
    local f=$1 a
    shift
    args=()
    for a; do
        [[ $a = @ ]] && a=$f
        args+=("$a")
    done
}

# ---- an output that exists: refused, nothing changed; --force replaces it
there() {
    echo precious >there
    to there "$@"
    fails 2 there 'exists' '--force' -- "${args[@]}"
    expect 'the old file is still there' grep -qx precious there
    ok "${args[@]}" --force
    refuse "--force replaces: $*" grep -qx precious there
    rm -f there
}
each there
echo precious >there
fails 2 there exists -- run m.gguf --calib texts.jsonl -t 1 -o there --keep 6      # before the profile, not behind it
rm -rf there there.work

# ---- never onto an input, with --force neither, by no other name neither
ln m.gguf hard.gguf
ln -s m.gguf soft.gguf
mkdir d
onto_model() {
    local f
    for f in $names; do
        rm -f hard.gguf soft.gguf
        ln m.gguf hard.gguf
        ln -s m.gguf soft.gguf
        to "$f" "$@"
        fails 2 "$f" -- "${args[@]}" --force
        fails 2 "$f" -- "${args[@]}"
        inputs_unchanged "${args[*]} --force"
    done
}
names="m.gguf ./m.gguf d/../m.gguf hard.gguf soft.gguf $T/m.gguf"
onto_model prune m.gguf --plan plan.json -o @
onto_model profile m.gguf --calib texts.jsonl -t 1 -o @
onto_model plan s.json --model m.gguf --keep 4 -o @
names="m.gguf hard.gguf soft.gguf"
onto_model eval m.gguf --calib texts.jsonl -t 1 -o @
onto_model eval m.gguf --calib texts.jsonl -t 1 --logprobs @
onto_model verify m.gguf p.gguf --write-plan @
onto() { # FILE COMMAND...
    to "$@"
    fails 2 "$1" -- "${args[@]}" --force
    inputs_unchanged "${args[*]} --force"
}
onto plan.json prune m.gguf --plan plan.json -o @
onto texts.jsonl profile m.gguf --calib texts.jsonl -t 1 -o @
onto texts.jsonl eval m.gguf --calib texts.jsonl -t 1 -o @
onto texts.jsonl eval m.gguf --calib texts.jsonl -t 1 --logprobs @
onto held.txt eval m.gguf --text held.txt --ctx 32 -t 1 -o @
onto s.json plan s.json --keep 4 -o @
onto p.gguf verify m.gguf p.gguf --write-plan @
onto m.gguf run m.gguf --calib texts.jsonl -t 1 --keep 6 -o @
rm -rf m.gguf.work
fails 2 'both|same|twice' -- eval m.gguf --calib texts.jsonl -t 1 -o x --logprobs x
rm -f x hard.gguf soft.gguf
# the name of the file while it is written is not an input's either
cp m.gguf n.gguf.reap-part
fails 2 'the model itself' -- prune n.gguf.reap-part --plan plan.json -o n.gguf
expect 'an input called OUT.part survives' cmp m.gguf n.gguf.reap-part
rm -f n.gguf n.gguf.reap-part

# ---- folders that are not there, or are no folders
nowhere() {
    to missing/x "$@"
    fails 2 "folder 'missing'" 'No such file' -- "${args[@]}"
    to m.gguf/x "$@"
    fails 2 'm.gguf' 'not a folder|Not a directory' -- "${args[@]}"
    to d "$@"
    fails 2 "'d' is a folder" -- "${args[@]}" --force
    to d/ "$@"
    fails 2 "'d/'" -- "${args[@]}" --force
    to '' "$@"
    fails 2 'empty name' -- "${args[@]}" --force
    to /dev/null "$@"
    fails 2 '/dev/null' 'not a regular file' -- "${args[@]}" --force
    to "d/$(head -c 300 /dev/zero | tr '\0' x)" "$@"
    fails 2 'name too long' -- "${args[@]}"
}
each nowhere
expect '/dev/null is still a device' test -c /dev/null

# ---- links
ln -s target link
fails 2 'a link that leads nowhere' '--force' -- prune m.gguf --plan plan.json -o link
ok prune m.gguf --plan plan.json -o link --force
absent target                                            # a link is replaced, not followed
expect 'the link became a file' test -f link -a ! -L link
rm -f link
echo precious >victim
ln -s victim o.gguf.reap-part                                 # planted under the name that we write first
ok prune m.gguf --plan plan.json -o o.gguf
expect 'a planted link is not followed' grep -qx precious victim
expect 'nor does it stay' test -f o.gguf -a ! -L o.gguf -a ! -L o.gguf.reap-part
rm -f o.gguf o.gguf.reap-part
mkdir o.gguf.reap-part
fails 2 'o.gguf.reap-part' -- prune m.gguf --plan plan.json -o o.gguf
rmdir o.gguf.reap-part
echo garbage >o.gguf.reap-part                                # of a run that was killed
ok prune m.gguf --plan plan.json -o o.gguf
expect 'the same as without' cmp o.gguf p.gguf
no_parts
rm -f o.gguf

# ---- --dry-run: checks everything, writes nothing
fails 2 p.gguf exists -- prune m.gguf --plan plan.json -o p.gguf --dry-run
fails 2 "folder 'missing'" -- prune m.gguf --plan plan.json -o missing/x --dry-run
fails 2 m.gguf -- prune m.gguf --plan plan.json -o m.gguf --dry-run --force
before=$(picture)
ok prune m.gguf --plan plan.json -o dry.gguf --dry-run --json
expect 'a dry run writes nothing' test "$before" = "$(picture)"
json .out dry_run=true bytes_missing=0 "bytes_out=$(stat -c %s p.gguf)" 'files=["dry.gguf"]'

# ---- no right to write (root may always: another user then)
as() { "$@"; }
if [[ $(id -u) = 0 ]]; then
    if command -v setpriv >/dev/null && setpriv --reuid 65534 --regid 65534 --clear-groups true 2>/dev/null; then
        as() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
        chmod 755 "$T"
    fi
fi
chmod 444 m.gguf
chmod 555 d
cp "$REAP" reap-copy 2>/dev/null && chmod 755 reap-copy
if ! as test -w d && as ./reap-copy --version >/dev/null 2>&1; then
    as ./reap-copy prune m.gguf --plan plan.json -o d/x.gguf >.out 2>.err </dev/null
    got=$?
    expect "a folder without the right to write: exit status 2, not $got" test $got = 2
    one_line "folder 'd'" 'Permission denied'
    chmod 000 plan.json
    as ./reap-copy prune m.gguf --plan plan.json -o /tmp/x.$$.gguf >.out 2>.err </dev/null
    got=$?
    expect "a file without the right to read: exit status 2, not $got" test $got = 2
    one_line 'plan.json' 'Permission denied'
    chmod 644 plan.json
    absent d/x.gguf "/tmp/x.$$.gguf"
else
    left_out 'no right to write: there is no way to be another user'
fi
rm -f reap-copy
chmod 755 d
# a model that may only be read is enough
ok prune m.gguf --plan plan.json -o ro.gguf
expect 'the output can be written by its owner' test -w ro.gguf
rm -f ro.gguf
chmod 644 m.gguf

# ---- a limit on the size of files, in the middle of writing: an error like any other, nothing left
# the limit is in blocks of 1024 bytes: each output is larger
limited() { # BLOCKS ARGS
    local blocks=$1 got
    shift
    n_checks=$((n_checks + 1))
    (ulimit -c 0; ulimit -f "$blocks"; exec "$REAP" "$@") 2>&1 >/dev/null </dev/null | cat >.err
    got=${PIPESTATUS[0]}
    : >.out
    [[ $got = 1 ]] || say_bad "file size limit: exit status $got, expected 1: $*"
    one_line 'cannot write' 'too large'
}
limited 100 prune m.gguf --plan plan.json -o big.gguf
absent big.gguf big.gguf.reap-part
limited 4 profile m.gguf --calib texts.jsonl -t 1 -o big.json
absent big.json big.json.reap-part
limited 1 eval m.gguf --calib texts.jsonl -t 1 --logprobs big.jsonl
absent big.jsonl big.jsonl.reap-part
rm -f big*

# ---- a full disk: said before the work, with what is free and what is needed
if [[ $(id -u) = 0 ]] && unshare -m true 2>/dev/null; then
    mkdir small
    unshare -m bash -c '
        mount -t tmpfs -o size=500k none small || exit 77
        "$1" prune m.gguf --plan plan.json -o small/x.gguf >out 2>err </dev/null
        echo $? >got
        ls -A small >left
        head -c 600000 /dev/zero >small/fill 2>/dev/null
        "$1" plan s.json --keep 4 -o small/plan.json >out2 2>err2 </dev/null
        echo $? >got2
        ls -A small >left2' _ "$REAP"
    if [[ $? != 77 && -s got ]]; then
        cp err .err
        cp out .out
        expect 'no space: exit status 1' grep -qx 1 got
        one_line small free 'needs'
        expect 'no space: nothing left behind' test ! -s left
        cp err2 .err
        cp out2 .out
        expect 'no space for a small file: exit status 1' grep -qx 1 got2
        one_line small/plan.json 'No space left'
        expect 'no space: nothing left behind (2)' grep -qxF fill left2
    else
        left_out 'a full disk: tmpfs cannot be mounted'
    fi
    rm -f out err got left out2 err2 got2 left2
else
    left_out 'a full disk: needs root and unshare'
fi
inputs_unchanged end
no_parts
finish
