# profile --until-stable: stops when both halves of the samples choose alike, and the file can be used and gone on with.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
mkdir texts
cp "$TEXT"/code/{leakcheck,lexer,sprintf,textedit}.txt texts
texts=texts

# one of 32 experts: settled as soon as there is text enough
ok profile "$TINY" --calib "$texts" --ctx 128 -t 1 --until-stable 0.03 -o early.json
has .out 'stopped: with 3.0 % pruned, same choice from each half: [0-9.]+ % of the experts, (99|100).[0-9]+ % of the score'
json early.json progress/settled_at progress/settled_score progress/prune_ratio=0.03 progress/batches_done
expect 'not all batches' test "$("$JSON" get early.json progress/batches_done)" -lt "$("$JSON" get early.json progress/batches)"
tokens=$("$JSON" get early.json layers/0/total_tokens)
expect 'text enough' test "$tokens" -ge 4096
ok plan early.json --keep 24 -o plan.json
lacks .err 'not ended'
json plan.json "sources/0/n_tokens=$tokens"
# a choice that no text of this length settles: all of it is read
ok profile "$TINY" --calib "$SRC/examples/calibration" --ctx 128 -t 1 --until-stable 0.9 -o all.json
lacks all.json settled_at progress
# gone on with, it is the file of a run that was never stopped
ok profile "$TINY" --calib "$texts" --ctx 128 -t 1 --resume -o early.json
ok profile "$TINY" --calib "$texts" --ctx 128 -t 1 -o whole.json
expect 'the same bytes' cmp early.json whole.json
echo 'one sample, and no more' >one.txt
ok profile "$TINY" --calib one.txt -t 1 --until-stable 0.25 -o one.json
has .err 'single sample'
fails 2 'exclude each other' -- profile "$TINY" --calib "$texts" --shard 1/2 --until-stable 0.25 -o no.json
finish
