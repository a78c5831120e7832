# The whole job: what is done is not done again, what changed is, what is lost is made again, and nothing is believed that was not checked.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
[[ -f $TINY ]] || skip "no $TINY"
cp "$TINY" m.gguf
mkdir calib
cp "$SRC"/src/base/{err,buf,text}.c calib
cp "$SRC/src/base/json.c" held.txt
run=(run m.gguf --calib calib -o out.gguf -t 1 --ctx 256 --text held.txt --eval-ctx 128)
steps='profile plan prune verify evaluate.the.parent evaluate.the.result'
# did STEPS: these were done, the others were "already done"
did() {
    local s got=''
    n_checks=$((n_checks + 1))
    for s in $steps; do
        grep -qE "^$s +\.\.\." .err && got+=" $s"
        grep -qE "^$s +(\.\.\.|already done)" .err || say_bad "nothing is said about '$s'"
    done
    [[ $got = "${1:+ $1}" ]] || { say_bad "done:${got:- nothing}, expected: ${1:-nothing}"; show .err; }
}

ok "${run[@]}" --prune-ratio 0.25 --json
did "$steps"
json .out n_keep=24 n_experts=32 'texts/0/name="held.txt"' 'output="out.gguf"'
cp .out first.json
expect 'the perplexities are numbers' awk -v a="$("$JSON" get .out texts/0/ppl_before)" -v b="$("$JSON" get .out texts/0/ppl_after)" 'BEGIN { exit !(a > 1 && b > 1) }'
for f in stats plan run eval-before eval-after; do json "out.gguf.work/$f.json" schema; done
ok verify m.gguf out.gguf --plan out.gguf.work/plan.json
cp out.gguf keep.gguf

# ---- again: nothing is done, the result is told again
ok "${run[@]}" --prune-ratio 0.25 --json
did ''
expect 'the same result' "$JSON" same first.json .out
ok "${run[@]}"
did ''
has .out 'experts per layer +32 +24' 'perplexity held.txt' 'verified'
# the same commands by hand give the same files
ok profile m.gguf --calib calib --ctx 256 -t 1 -o s.json
expect 'run and profile: the same statistics' cmp s.json out.gguf.work/stats.json
ok plan s.json --model m.gguf --prune-ratio 0.25 -o p.json
"$JSON" get p.json keep >a
"$JSON" get out.gguf.work/plan.json keep >b
expect 'run and plan: the same choice' cmp a b
ok prune m.gguf --plan out.gguf.work/plan.json -o p.gguf
expect 'run and prune: the same model' cmp p.gguf out.gguf
rm -f p.gguf

# ---- another ratio: the profile stays
ok "${run[@]}" --keep 16
did 'plan prune verify evaluate.the.result'
ok verify m.gguf out.gguf --plan out.gguf.work/plan.json
ok "${run[@]}" --keep 16
did ''
ok "${run[@]}" --keep 16 --criterion frequency
did 'plan prune verify evaluate.the.result'
ok "${run[@]}" --prune-ratio 0.25
did 'plan prune verify evaluate.the.result'
expect 'back to the first result' cmp out.gguf keep.gguf

# ---- a lost output is made again, and checked again
rm out.gguf
ok "${run[@]}"
did 'prune verify evaluate.the.result'
expect 'made again' cmp out.gguf keep.gguf
rm out.gguf.work/eval-after.json
ok "${run[@]}"
did 'evaluate.the.result'
rm out.gguf.work/plan.json
ok "${run[@]}"
expect 'a lost plan is made again' test -s out.gguf.work/plan.json
expect 'the same result' cmp out.gguf keep.gguf
# an output that somebody changed is not called verified
cp out.gguf.work/run.json was.json
printf 'XXXX' | dd of=out.gguf bs=1 seek=5000000 conv=notrunc status=none
rc '0|2|3' "${run[@]}"
if [[ $got_rc = 0 ]]; then
    expect 'a damaged output is made again, or it is an error' cmp out.gguf keep.gguf
fi
rm -f out.gguf
ok "${run[@]}"
expect 'made again' cmp out.gguf keep.gguf
# one of somebody else is not replaced without --force
echo precious >out.gguf
rc 2 "${run[@]}"
expect 'the file of somebody else stays' grep -qx precious out.gguf
has .err '^reap: .*out.gguf.*exists'
ok "${run[@]}" --force
expect '--force replaces it' cmp out.gguf keep.gguf

# ---- changed inputs are noticed
sed -i 's/buf/BUF/g' held.txt
ok "${run[@]}"
did 'evaluate.the.parent evaluate.the.result'
sleep 0.01
cp "$SRC/src/base/mem.c" calib/           # one more file in the folder
ok "${run[@]}"
did "profile plan prune verify evaluate.the.result"
sed -i 's/static/STATIC/g' calib/text.c   # one that changed: the folder itself did not
ok "${run[@]}"
did "profile plan prune verify evaluate.the.result"
mkdir calib/deep
cp "$SRC/src/base/hash.c" calib/deep/x.c
ok "${run[@]}"
cp "$SRC/src/base/sig.c" calib/deep/x.c
ok "${run[@]}"
did "profile plan prune verify evaluate.the.result"
head -3 "$MODELS/qwen3_moe/texts.jsonl" >rows.jsonl
limited=(run m.gguf --calib rows.jsonl:2 -o lim.gguf -t 1)
ok "${limited[@]}"
head -6 "$MODELS/qwen3_moe/texts.jsonl" >rows.jsonl    # another file under the same name
ok "${limited[@]}"
steps='profile plan prune verify' did 'profile plan prune verify'
ok "${limited[@]}" --again
steps='profile plan prune verify' did 'profile plan prune verify'
touch m.gguf
ok "${limited[@]}"
steps='profile plan prune verify' did 'profile plan prune verify'

# ---- a record that is damaged is no reason to fail
echo '{"schema":' >lim.gguf.work/run.json
ok "${limited[@]}" --force
has .err '^reap: warning: .*run.json'
echo '{"steps":{"profile":3,"plan":{"key":4},"prune":[]}}' >lim.gguf.work/run.json
ok "${limited[@]}" --force
echo garbage >lim.gguf.work/stats.json
ok "${limited[@]}" --force
json lim.gguf.work/stats.json schema

# ---- what can be known at once is said before the work, and leaves no folder behind
echo precious >there.gguf
fails 2 there.gguf exists -- run m.gguf --calib calib -o there.gguf
fails 2 m.gguf -- run m.gguf --calib calib -o m.gguf --force
fails 2 folder -- run m.gguf --calib calib -o calib
fails 2 missing.txt -- run m.gguf --calib calib -o n.gguf --text missing.txt
rc 2 run m.gguf --calib missing -o n.gguf
has .err "^reap: cannot open .missing"
absent n.gguf
rm -rf n.gguf.work
fails 2 '33' 'has 32' -- run m.gguf --calib calib -o n.gguf --keep 33
fails 2 '3 of 32' 'top-k' -- run m.gguf --calib calib -o n.gguf --keep 3
fails 2 'fit' -- run m.gguf --calib calib -o n.gguf --fit 1M
fails 2 'round-to' -- run m.gguf --calib calib -o n.gguf --round-to 33
fails 2 held.txt 'a folder|not' -- run m.gguf --calib calib -o n.gguf -w held.txt
echo short >short.txt
rc 2 run m.gguf --calib rows.jsonl -o n.gguf --text short.txt -t 1
has .err '^reap: short.txt: has [0-9]+ tokens, at least'
rm -rf n.gguf*

# ---- interrupted and called again
run=(run m.gguf --calib calib -o i.gguf -t 1 --ctx 256)
cp "$SRC"/src/gguf/gg_read.c calib
interrupted() { # WAITS FOR (pattern in stderr) SECONDS
    "$REAP" "${run[@]}" >.out 2>.err </dev/null &
    pid=$!
    wait_for 60 grep -qE "$1" .err
    sleep "$2"
    kill -INT $pid
    wait $pid
    got=$?
    n_checks=$((n_checks + 1))
    [[ $got = 130 || $got = 0 ]] || { say_bad "exit status $got, expected 130"; show .err; }
}
interrupted '^profile' 0.2
absent i.gguf
interrupted '^profile' 0.6
ok "${run[@]}" --json
json .out n_keep=24
ok verify m.gguf i.gguf --plan i.gguf.work/plan.json
ok profile m.gguf --calib calib -o whole.json -t 1 --ctx 256
expect 'interrupted twice: the same statistics' cmp whole.json i.gguf.work/stats.json

# ---- a split model: all its files belong to the result
"$EDIT" --split 2 "$MODELS/qwen3_moe/model.gguf" sp
run=(run sp-00001-of-00002.gguf --calib rows.jsonl -o so.gguf -t 1)
steps='profile plan prune verify'
ok "${run[@]}"
ok "${run[@]}"
did ''
rm so-00002-of-00002.gguf
ok "${run[@]}"
did 'prune verify'
ok verify sp-00001-of-00002.gguf so-00001-of-00002.gguf
no_parts
finish
