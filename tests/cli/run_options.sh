# What run takes of the single commands: statistics that are there, who stays, how the model is written, when the profile ends.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
[[ -f $TINY ]] || skip "no $TINY"
cp "$TINY" m.gguf
text=$SRC/tests/data/text
mkdir code prose
cp "$text"/code/{herringbone,lexer}.txt code
cp "$text/prose/erzaehlung.txt" prose
ok profile m.gguf --calib code -t 1 --ctx 256 -o code.json -q
ok profile m.gguf --calib prose -t 1 --ctx 256 -o prose.json -q

# ---- a profile that is there: no other is made, and the result is that of the single commands
ok run m.gguf --stats code.json --keep 20 -o a.gguf
lacks .err '^profile'
has .err '^plan +\.\.\.' '^verify +\.\.\.'
has .out 'same choice from each half'
ok plan code.json --model m.gguf --keep 20 -o p.json
ok prune m.gguf --plan p.json -o b.gguf
expect 'the model of the single commands' cmp a.gguf b.gguf
absent a.gguf.work/stats.json
has a.gguf.work/report.html 'code.json'
ok run m.gguf --stats code.json --keep 20 -o a.gguf
has .err '^plan +already done' '^prune +already done'
ok run m.gguf --stats prose.json --keep 20 -o a.gguf
has .err '^plan +\.\.\.' '^prune +\.\.\.'

# ---- options from a file; the record of a run is one
echo '{"model": "m.gguf", "stats": ["prose.json"], "keep": 20, "output": "a.gguf"}' >job.json
ok run --config job.json
has .err '^plan +already done' '^prune +already done'
has .out '^time: plan [0-9.]+ s \(before\), prune [0-9.]+ s \(before\), .*; all '
json a.gguf.work/run.json job/model='"m.gguf"' job/keep=20 job/stats/0='"prose.json"' stats='"prose.json"' steps/plan/seconds
cp a.gguf.work/run.json kept.json
cp a.gguf first.gguf
ok run --config job.json --keep 16 --json
json .out n_keep=16 steps/0/step='"plan"' steps/0/now=true
ok run --config kept.json
expect 'the record of the first run repeats it' cmp first.gguf a.gguf
rm -r a.gguf a.gguf.work
ok run --config kept.json -q
expect 'from nothing, too' cmp first.gguf a.gguf
echo '{"model": "m.gguf", "sats": ["prose.json"]}' >job.json
fails 2 "^reap: job.json: unknown key 'sats': did you mean stats\\? reap run --help" -- run --config job.json
echo '{"stats": "code.json", "prune-ratio": 0.25, "output": "p2.json"}' >job.json
ok plan --config job.json -f # any command
json p2.json n_keep=24
fails 2 'of options' -- plan --config p2.json
fails 2 'no-such.json' -- plan --config no-such.json
rm p2.json

# ---- several, weighted and blended; who stays
echo '1: 0 1 2 3' >stay.txt
ok run m.gguf --stats code.json:2 --stats prose.json --protect-share 0.2 --protect-super --protect stay.txt --keep 20 -o a.gguf
ok plan --stats code.json:2 --stats prose.json --protect-share 0.2 --protect-super --protect stay.txt --model m.gguf --keep 20 -o p.json -f
"$JSON" get p.json keep >x
"$JSON" get a.gguf.work/plan.json keep >y
expect 'the choice of reap plan' cmp x y
lacks .out 'same choice from each half'
ok run m.gguf --stats code.json:1 --stats prose.json --protect-share 0.2 --protect-super --protect stay.txt --keep 20 -o a.gguf
has .err '^plan +\.\.\.'
ok run m.gguf --stats code.json:1 --stats prose.json --protect-share 0.2 --protect-super --protect stay.txt --keep 20 -o a.gguf
has .err '^plan +already done'
echo '1: 0 1 2 31' >stay.txt
ok run m.gguf --stats code.json:1 --stats prose.json --protect-share 0.2 --protect-super --protect stay.txt --keep 20 -o a.gguf
has .err '^plan +\.\.\.'

ok report a.gguf.work -o later.html
has later.html 'code.json' # as the page of the run

# ---- a dry run: steps, sizes, tokens, time; nothing is written
cp "$text/prose/erzaehlung.txt" held.txt
ok run m.gguf --calib code --ctx 256 -t 1 --text held.txt --eval-ctx 128 -r 0.25 -o dry.gguf -n
absent dry.gguf dry.gguf.work
has .out '^profile +[0-9,]+ tokens, about [0-9.]+ ' '^plan +about ' '^prune +10.4 MB, ' '^evaluate the parent +[0-9,]+ tokens, about ' \
    '^would write dry.gguf, 24 of 32 experts in each layer, tensors 13.2 MB -> 10.4 MB, and dry.gguf.work; about '
ok run m.gguf --calib code --ctx 256 -t 1 --text held.txt --eval-ctx 128 -r 0.25 -o dry.gguf -n --json
json .out dry_run=true steps/0/step='"profile"' steps/0/done=false steps/0/tokens bytes_after
tokens=$("$JSON" get .out steps/0/tokens)
ok run m.gguf --calib code --ctx 256 -t 1 --text held.txt --eval-ctx 128 -r 0.25 -o dry.gguf
"$JSON" get dry.gguf.work/stats.json calibration/n_tokens >x
expect 'the tokens of the profile' test "$(cat x)" = "$tokens"
cp dry.gguf.work/run.json was.json
ok run m.gguf --calib code --ctx 256 -t 1 --text held.txt --eval-ctx 128 -r 0.5 -o dry.gguf -n
has .out '^profile +already done' '^plan +about ' '^evaluate the parent +already done' '^evaluate the result +[0-9,]+ tokens' '^would write dry.gguf, 16 of 32'
ok run m.gguf --calib code --ctx 256 -t 1 --text held.txt --eval-ctx 128 -r 0.25 -o dry.gguf -n
has .out '^evaluate the result +already done' '^nothing would be done'
lacks .err '^engine: '
expect 'the record is as it was' cmp was.json dry.gguf.work/run.json
fails 2 'missing.txt' -- run m.gguf --calib code --text missing.txt -o dry2.gguf -n

# ---- what does not go together, and what is no profile of this model, is said before anything is written
fails 2 'exclude each other' -- run m.gguf --stats code.json --calib code -o n.gguf
fails 2 'calib-prompts' 'with --stats none is made' -- run m.gguf --stats code.json --calib-prompts code -o n.gguf
fails 2 '--set-aside is for a profile' -- run m.gguf --stats code.json --set-aside 0.1 -o n.gguf
fails 2 '--until-stable is for a profile' -- run m.gguf --stats code.json --until-stable 0.25 -o n.gguf
fails 2 'takes one stats file, 2 are given' -- run m.gguf --stats code.json --stats prose.json --criterion auto --calib code -o n.gguf
fails 2 'text of this profile' -- run m.gguf --stats code.json --refine 1s -o n.gguf
fails 2 'given twice' -- run m.gguf --stats code.json --stats code.json -o n.gguf
fails 2 'router_hash|of another model|architecture' -- run "$MODELS/olmoe/model.gguf" --stats code.json -o n.gguf
fails 2 'missing.json' -- run m.gguf --stats missing.json -o n.gguf
fails 2 'missing.txt' -- run m.gguf --stats code.json --protect missing.txt -o n.gguf
cp code.json in.json
fails 2 in.json 'stats file' -- run m.gguf --stats in.json -o in.json --force
fails 2 '--max-shard-size is for checkpoint folders' -- run m.gguf --stats code.json --max-shard-size 1M -o n.gguf
fails 2 '--protect-share: 2 is out of range' -- run m.gguf --stats code.json --protect-share 2 -o n.gguf
# a folder of work among the text would be read as text by the next call
fails 2 "lies in the folder of text 'code'" -- run m.gguf --calib code -w code -o n.gguf
fails 2 'lies in the folder of text' -- run m.gguf --calib code -w ./code/new/work -o n.gguf
ln -s code linked
fails 2 "'linked/n.gguf.work'" 'lies in the folder of text' -- run m.gguf --calib code -o linked/n.gguf
fails 2 'lies in the folder of text' -- run m.gguf --calib code --prompts prose -w prose/w -o n.gguf
fails 2 'is the output, and the folder of work as well' -- run m.gguf --calib code -w n.gguf -o n.gguf
absent n.gguf n.gguf.work code/new

# ---- how it is written
ok run m.gguf --stats code.json --keep 20 --no-provenance -o a.gguf
expect 'without the keys that say where it comes from' test "$(grep -ac 'reap\.version' a.gguf)" = 0
expect 'which are there otherwise' test "$(grep -ac 'reap\.version' b.gguf)" != 0
head -3 "$MODELS/qwen3_moe/texts.jsonl" >rows.jsonl
"$EDIT" --split 2 "$MODELS/qwen3_moe/model.gguf" sp
ok run sp-00001-of-00002.gguf --calib rows.jsonl --merge -o one.gguf -t 1
expect 'one file' test -f one.gguf
absent one-00001-of-00002.gguf
ok verify sp-00001-of-00002.gguf one.gguf

# ---- a profile that stops when the choice has settled; --resume says what is done anyhow
ok run m.gguf --calib code --until-stable 0.25 --ctx 256 -o u.gguf -t 1
ok run m.gguf --calib code --until-stable 0.25 --ctx 256 -o u.gguf -t 1 --resume
has .err '^profile +already done'
ok run m.gguf --calib code --ctx 256 -o u.gguf -t 1
has .err '^profile +\.\.\.'
fails 2 'exclude each other' -- run m.gguf --calib code -o u.gguf --resume --again
finish
