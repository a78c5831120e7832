# Checkpoints: where the output may go: dry runs, folders that exist, never onto the model, no right to write.
. "$(dirname "$0")/lib.bash"
. "$SRC/tests/cli/checkpoint.bash"
M=$FORMS/mixtral
plan=$M/pruned/plan.json

# ---- --dry-run writes nothing
before=$(picture)
ok prune "$M" --plan "$plan" -o dry --dry-run --json
expect 'a dry run writes nothing' test "$before" = "$(picture)"
json .out dry_run=true n_experts=8 n_keep=6 bytes_out
dry=$("$JSON" get .out bytes_out)
ok prune "$M" --plan "$plan" -o made --json
json .out dry_run=false "bytes_out=$dry" n_experts=8 n_keep=6
rm -rf made
ok prune "$M" --plan "$plan" -o made --no-provenance
absent made/reap.json
compare "$M/pruned" made
rm -rf made

# ---- an output that exists
ok prune "$M" --plan "$plan" -o out
sum_of() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum); }
hash=$(sum_of out)
fails 2 "out" 'exists' -- prune "$M" --plan "$plan" -o out --quiet
fails 2 "out" 'exists' -- prune "$M" --plan "$plan" -o out --quiet --dry-run
echo stale >out/model-00001-of-00009.safetensors
ok prune "$M" --plan "$plan" -o out --force
compare "$M/pruned" out                                 # the stale file is gone
expect 'the same bytes again' test "$hash" = "$(sum_of out)"
mkdir mine
echo precious >mine/thesis.txt
fails 2 mine -- prune "$M" --plan "$plan" -o mine --quiet
fails 2 mine 'reap' -- prune "$M" --plan "$plan" -o mine --quiet --force     # nothing that reap made
expect 'a folder of somebody else stays' grep -qx precious mine/thesis.txt
echo precious >file
fails 2 file -- prune "$M" --plan "$plan" -o file --quiet
fails 2 "missing" 'No such file|does not exist' -- prune "$M" --plan "$plan" -o missing/out --quiet
fails 2 -- prune "$M" --plan "$plan" -o '' --quiet
fails 2 "file" -- prune "$M" --plan "$plan" -o file/out --quiet

# ---- never onto the model, by no name
cp -r out model                                         # has a reap.json: --force alone would replace it
keep_first model 4 four.json
ln -s model link
for name in model ./model model/ link link/ "$T/model" mine/../model; do
    fails 2 -- prune model --plan four.json -o "$name" --quiet
    fails 2 -- prune model --plan four.json -o "$name" --quiet --force
done
expect 'the model is what it was' test "$hash" = "$(sum_of model)"
fails 2 -- prune model --plan four.json -o model/config.json --quiet --force
rm -rf link mine file

# ---- no right to write
if [[ $(id -u) != 0 ]]; then
    as() { "$@"; }
elif command -v setpriv >/dev/null && setpriv --reuid 65534 --regid 65534 --clear-groups true 2>/dev/null; then
    as() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
fi
mkdir locked
cp "$REAP" reap-copy 2>/dev/null
cp -r "$M" model2
cp "$plan" plan.json
chmod 755 "$T" reap-copy
chmod 555 locked
chmod -R a+rX model2
if declare -F as >/dev/null && as ./reap-copy --version >/dev/null 2>&1; then
    as ./reap-copy prune model2 --plan plan.json -o locked/out --quiet >.out 2>.err </dev/null
    got=$?
    expect "a folder without the right to write: exit status 2, not $got" test $got = 2
    one_line 'locked' '[Pp]ermission'
    expect 'nothing in it' test -z "$(ls -A locked)"
else
    left_out 'no right to write: there is no way to be another user'
fi
chmod 755 locked
rm -rf locked model2 reap-copy

# ---- no command writes onto a file of the folder, not even with --force
cp -r "$MODELS/qwen3_moe/hf" mine.hf
for f in config.json tokenizer.json model-00002-of-00003.safetensors; do
    fails 2 "$f" 'the model' -- profile mine.hf --calib "$MODELS/qwen3_moe/texts.jsonl" -t 1 -o "mine.hf/$f" --force
    fails 2 "$f" 'the model' -- eval mine.hf --calib "$MODELS/qwen3_moe/texts.jsonl" -t 1 -o "mine.hf/$f" --force
done
expect 'the folder is as it was' diff -r "$MODELS/qwen3_moe/hf" mine.hf
# ... nor onto one that is only copied with it, whoever reads the folder; a result of ours may be written anew
mkdir mine.hf/sub
cp mine.hf/config.json mine.hf/vocab.json
for f in merges.txt modeling_x.py LICENSE sub/x.txt; do
    echo "of the model" >"mine.hf/$f"
done
cp -r mine.hf was.hf
ok profile mine.hf --calib "$MODELS/qwen3_moe/texts.jsonl" -t 1 -o s.json
hand_plan mine.hf 4 p.json
cp s.json mine.hf/s.json
ok plan s.json --model mine.hf --keep 4 -o mine.hf/p.json
ok plan s.json --model mine.hf --keep 4 -o mine.hf/p.json --force
ok profile mine.hf --calib "$MODELS/qwen3_moe/texts.jsonl" -t 1 -o mine.hf/s.json --force
expect 'a result beside the model is written anew' cmp s.json mine.hf/s.json
rm mine.hf/s.json mine.hf/s.json.pairs mine.hf/p.json
ln -s mine.hf other.hf
for f in vocab.json merges.txt modeling_x.py LICENSE sub/x.txt; do
    for dir in mine.hf other.hf mine.hf/../mine.hf; do
        fails 2 "$f" 'the model' -- profile mine.hf --calib "$MODELS/qwen3_moe/texts.jsonl" -t 1 -o "$dir/$f" --force
        fails 2 "$f" 'the checkpoint' -- convert mine.hf -o "$dir/$f" --force
        fails 2 "$f" 'the model' -- plan s.json --model mine.hf --keep 4 -o "$dir/$f" --force
    done
    fails 2 "$f" 'the model' -- eval mine.hf --calib "$MODELS/qwen3_moe/texts.jsonl" -t 1 -o x.json --logprobs "mine.hf/$f" --force
    fails 2 "$f" 'the model' -- verify mine.hf mine.hf --write-plan "mine.hf/$f" --force
    fails 2 "$f" 'the model' -- report --stats s.json --model mine.hf -o "mine.hf/$f" --force
    fails 2 "$f" 'the model' -- sweep mine.hf --stats s.json --text "$TEXT/prose/story.txt" --state "mine.hf/$f" -t 1
done
echo '{{ messages }}' >t.jinja
fails 2 t.jinja 'template' -- profile mine.hf --calib "$MODELS/qwen3_moe/texts.jsonl" -t 1 --chat-template-file t.jinja -o t.jinja --force
fails 2 t.jinja 'template' -- eval mine.hf --calib "$MODELS/qwen3_moe/texts.jsonl" -t 1 --chat-template-file t.jinja -o t.jinja --force
expect 'nothing of it was changed' diff -r was.hf mine.hf
rm -rf mine.hf other.hf was.hf
no_parts
expect 'no file with a name of ours is left' test -z "$(find . -maxdepth 1 -name '.reap*' -o -maxdepth 1 -name '*.reap-*')"
untouched
finish
