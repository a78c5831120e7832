# The whole job as users call it. Which steps are done again after which change, and what an interruption leaves, is tested with
# an engine that costs nothing: tests/unit/test_steps.c, tests/fake/test_run.c.
. "$(dirname "$0")/lib.bash"
. "$(dirname "$0")/interrupt.bash"
cd "$T" || exit 1
[[ -f $TINY ]] || skip "no $TINY"
cp "$TINY" m.gguf
text=$SRC/tests/data/text
mkdir calib
cp "$text"/code/{herringbone,lexer,sdf}.txt calib
cp "$text/prose/erzaehlung.txt" held.txt
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
json .out n_keep=24 n_experts=32 'texts/0/name="held.txt"' 'output="out.gguf"' halves/same_experts halves/score_kept
cp .out first.json
expect 'the perplexities are numbers' awk -v a="$("$JSON" get .out texts/0/ppl_before)" -v b="$("$JSON" get .out texts/0/ppl_after)" 'BEGIN { exit !(a > 1 && b > 1) }'
for f in stats plan run eval-before eval-after; do json "out.gguf.work/$f.json" schema; done
has out.gguf.work/report.html 'held.txt'
ok verify m.gguf out.gguf --plan out.gguf.work/plan.json
cp out.gguf keep.gguf

# ---- again: nothing is done, the result is told again
ok "${run[@]}" --prune-ratio 0.25 --json
did ''
expect 'the same result' "$JSON" same first.json .out steps
ok "${run[@]}"
did ''
has .out 'experts per layer +32 +24' 'same choice from each half: [0-9.]+ % of the experts, [0-9.]+ % of the score' 'perplexity held.txt' 'verified'
# the report made again from the folder is the run's own, wherever that is called; with the date of the run
(cd / && "$REAP" report "$T/out.gguf.work" -o "$T/again.html" >/dev/null) || say_bad 'report of the folder'
expect 'the same page from the folder' cmp again.html out.gguf.work/report.html
has again.html '<p class="lead">[0-9.]+ % smaller, perplexity [0-9.]+ % (higher|lower) on <bdi>held.txt</bdi>, every kept byte is the parent.+s .verified.\. <small class="date">20[0-9-]{8}</small></p>'
# its card, on request: what was measured, and the command; the model is as it was
ok "${run[@]}" --prune-ratio 0.25 --card
did ''
has .err '^  Ollama     printf' '^  LM Studio  lms import --copy --user-repo YOU/tinymoe-REAP-24x out.gguf$' '^             hf upload YOU/tinymoe-REAP-24x README.md$'
has README.md '^# tinymoe-REAP-24x$' '^. held.txt . [0-9.]+ . [0-9.]+ . [0-9.]+ .$' '^      value: [0-9.]+$' '^Verified: every byte' \
    '^reap run m.gguf --calib calib .*--prune-ratio 0.25' '^. made with . reap .*, 20[0-9-]{8} .$'
has out.gguf.work/report.html '<a href="../README.md">README.md</a>'
ok report out.gguf.work -o elsewhere.html
lacks elsewhere.html 'README.md</a>'
rm README.md
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

# ---- a pass mark: the plan is measured against the parent, and said; a table of types answers the warning
ok "${run[@]}" --prune-ratio 0.25
has .err 'warning: 25 % of the experts go from a file of 8.58 bits a weight' \
    'reap sweep m.gguf --stats out.gguf.work/stats.json --text held.txt --types q6_k,.* --allow-requantize --json > out.gguf.work/sweep.json'
rc 3 "${run[@]}" --prune-ratio 0.25 --pass 'kl<=0'
has .err '^measure the plan +\.\.\.' '^reap: does not pass: kl 0.[0-9]+ is above 0$'
has .out '^25 % of the experts removed: KL divergence .* on 1 text: does not pass'
has out.gguf.work/report.html 'class="verdict">25 % of the experts removed: KL divergence .*does not pass'
printf '{"schema":"reap.sweep/1","points":[{"type":"Q4_0","criterion":"reap","n_keep":32}]}' >out.gguf.work/sweep.json
ok "${run[@]}" --prune-ratio 0.25 --pass 'kl<=9' --json
json .out passes=true verdict
has .err '^measure the plan +already done'
ok report out.gguf.work -o later.html # by the mark of the last call
has later.html 'class="verdict">25 % of the experts removed: KL divergence .*: passes'
rm later.html
lacks .err 'bits a weight'
rm out.gguf.work/sweep.json
fails 2 '--text FILE' -- run m.gguf --calib calib -o x.gguf --pass 'kl<=1' -q

# ---- another ratio: the profile stays
ok "${run[@]}" --keep 16
did 'plan prune verify evaluate.the.result'
ok verify m.gguf out.gguf --plan out.gguf.work/plan.json
# an output that somebody changed is neither called verified nor replaced without --force
printf 'XXXX' | dd of=out.gguf bs=1 seek=5000000 conv=notrunc status=none
rc 2 "${run[@]}" --prune-ratio 0.25
has .err '^reap: .*out.gguf.*exists'
ok "${run[@]}" --prune-ratio 0.25 --force
expect '--force replaces it' cmp out.gguf keep.gguf
# without a record all outputs are somebody else's
echo '{"schema":' >out.gguf.work/run.json
rc 2 "${run[@]}"
has .err '^reap: warning: .*run.json.*; all steps are done again' '^reap: .*out.gguf.*exists'

# ---- what can be known at once is said before the work, and leaves no folder behind
echo precious >there.gguf
fails 2 there.gguf exists -- run m.gguf --calib calib -o there.gguf
fails 2 m.gguf -- run m.gguf --calib calib -o m.gguf --force
fails 2 folder -- run m.gguf --calib calib -o calib
cp "$TEXT/prose/story.txt" words.txt
fails 2 words.txt 'is the text' -- run m.gguf --calib calib --text words.txt -o words.txt --force
fails 2 words.txt 'is the text' -- run m.gguf --calib words.txt:1 -o words.txt --force
fails 2 missing.txt -- run m.gguf --calib calib -o n.gguf --text missing.txt
fails 2 "'--calib -'|--calib -: " -- run m.gguf --calib - -o n.gguf
rc 2 run m.gguf --calib missing -o n.gguf
has .err "^reap: cannot open .missing"
absent n.gguf
rm -rf n.gguf.work
fails 2 '33' 'has 32' -- run m.gguf --calib calib -o n.gguf --keep 33
fails 2 '3 of 32' 'top-k' -- run m.gguf --calib calib -o n.gguf --keep 3
fails 2 'fit' -- run m.gguf --calib calib -o n.gguf --fit 1M
fails 2 'round-to' -- run m.gguf --calib calib -o n.gguf --round-to 33
fails 2 held.txt 'a folder|not' -- run m.gguf --calib calib -o n.gguf -w held.txt
printf '{"prompt":"fine"}\n{"prompt":5}\n' >rows.jsonl
fails 2 "rows.jsonl: line 2: row: 'prompt' is an integer" -- run m.gguf --calib calib -o n.gguf --prompts rows.jsonl
rm -rf n.gguf*

# ---- what the tokenizer says, too: texts that are too short, prompts that are too long; a cut that removes nothing
echo short >tiny.txt
fails 2 'tiny.txt: has [0-9]+ tokens, at least 256 are needed' -- run m.gguf --calib calib -o n.gguf --text held.txt --text tiny.txt --eval-ctx 128
fails 2 'nothing would be removed: 1 % of 32 experts is less than can go, the least is 3.125 %' -- run m.gguf --calib calib -o n.gguf -r 0.01
fails 2 'nothing would be removed: the model fits into 13.0 GB as it is' -- run m.gguf --calib calib -o n.gguf --fit 13G
fails 2 'nothing would be removed: all 32 experts stay' -- run m.gguf --calib calib -o n.gguf --keep 32
absent n.gguf n.gguf.work
ok plan s.json --prune-ratio 0.01 -o p.json -f
has .err '^reap: warning: nothing is removed: 1 % of 32 experts'
rc 2 eval m.gguf --text held.txt --text tiny.txt --ctx 128
lacks .err 'evaluating'
fails 2 'tiny.txt: has' -- eval m.gguf --text held.txt --text tiny.txt --ctx 128 -q
fails 2 'tiny.txt: has' -- sweep m.gguf --stats s.json --ratios 0.25 --text held.txt --text tiny.txt --ctx 128 -o sw.json --max-kl 9 -q
absent sw.json

# ---- a checkpoint gives a folder
cp -r "$SRC/tests/data/structural/mixtral" folder
fails 2 "'x.gguf' is named like a file.*reap convert" -- run folder --calib rows.jsonl -o x.gguf
absent x.gguf x.gguf.work

# ---- interrupted and called again
run=(run m.gguf --calib calib -o i.gguf -t 1 --ctx 256)
start i.gguf.work/run.json "$REAP" "${run[@]}"
end INT
expect "interrupted: exit status $got, expected 130" test "$got" = 130
has .err '^reap: interrupted; the same command goes on$'
lacks .err '--resume'
absent i.gguf
no_parts
ok "${run[@]}" --json
json .out n_keep=24
ok verify m.gguf i.gguf --plan i.gguf.work/plan.json
expect 'interrupted: the same statistics' cmp s.json i.gguf.work/stats.json
expect 'interrupted: the same model' cmp keep.gguf i.gguf

# ---- a split model: all its files belong to the result
head -3 "$MODELS/qwen3_moe/texts.jsonl" >rows.jsonl
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
ok "${run[@]}" --merge
has .err '^ +so-00001-of-00002.gguf is of an earlier call, and no part of this result$' 'so-00002-of-00002.gguf is of an earlier call'
ok "${run[@]}" --merge
lacks .err 'earlier call'
no_parts
finish
