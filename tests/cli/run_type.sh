# reap run --quantize TYPE: from the model to the pruned file and the same in a type, with an importance matrix where the type needs one; all three compared, and each
# step what the single commands do.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
Q=$MODELS/qwen3_moe
cp "$Q/model.gguf" m.gguf
calib=(--calib "$Q/texts.jsonl" --prune-ratio 0.25 -t 1)
eval=(--text "$TEXT/code/lexer.txt" --eval-ctx 128)

# ---- a type that needs no matrix
ok run m.gguf "${calib[@]}" "${eval[@]}" --quantize q4_k -o p.gguf
has .out '^ +before +after +Q4_K_M$' 'p-Q4_K_M.gguf is the same in Q4_K_M' '^perplexity lexer.txt .*x[0-9.]+, x[0-9.]+$'
has .err '^  LM Studio .* p-Q4_K_M.gguf$' '^  the hub .* p-Q4_K_M.gguf$' '^   +hf upload .* p.gguf$'
expect 'no matrix is made' test ! -e p.gguf.work/imatrix.gguf
ok quantize p.gguf Q4_K_M -o own.gguf
expect 'as quantize makes it' cmp own.gguf p-Q4_K_M.gguf
has p.gguf.work/report.html '>in Q4_K_M<'
ok report p.gguf.work -o again.html
expect 'the folder gives the page that the run made' cmp again.html p.gguf.work/report.html
ok eval own.gguf --text "$TEXT/code/lexer.txt" --ctx 128 -t 1 --json
cp .out own.json
ok run m.gguf "${calib[@]}" "${eval[@]}" --quantize Q4_K_M -o p.gguf --json
expect 'all is done' test "$(grep -c 'already done' .err)" -ge 7
json .out quantised='"p-Q4_K_M.gguf"' bytes_quantised="$(stat -c %s own.gguf)"
expect 'perplexity as eval gives it' test "$("$JSON" get .out texts/0/ppl_quantised)" = "$("$JSON" get own.json texts/0/ppl)"

# ---- one that needs it: made with the profile, cut by the plan
ok run m.gguf "${calib[@]}" --quantize IQ2_XXS -o i.gguf
ok profile m.gguf --calib "$Q/texts.jsonl" -t 1 -o s.json --imatrix im.gguf
expect 'the matrix of the profile' cmp im.gguf i.gguf.work/imatrix.gguf
expect 'and its statistics' cmp s.json i.gguf.work/stats.json
ok prune im.gguf --plan i.gguf.work/plan.json -o cut.gguf
expect 'cut by the plan' cmp cut.gguf i.gguf.work/imatrix-pruned.gguf
ok quantize i.gguf IQ2_XXS --imatrix i.gguf.work/imatrix-pruned.gguf -o own2.gguf
expect 'as quantize makes it' cmp own2.gguf i-IQ2_XXS.gguf
# another type: profile, plan, prune are done
ok run m.gguf "${calib[@]}" --quantize IQ2_XS -o i.gguf
has .err 'profile +already done' 'prune +already done'
expect 'both types are there' test -e i-IQ2_XXS.gguf -a -e i-IQ2_XS.gguf
has .err '^ +i-IQ2_XXS.gguf is of an earlier call, and no part of this result$'
# another cut: what was quantised of the one before stays, and is named
ok run m.gguf --calib "$Q/texts.jsonl" --keep 4 -t 1 -o i.gguf
has .err '^ +i-IQ2_XS.gguf is of an earlier call, and no part of this result$'

# ---- refused before the profile
fails 2 'are quantised already' 'allow-requantize' -- run "$TINY" "${calib[@]}" --quantize q4_0 -o no.gguf
fails 2 '--quantize is for GGUF' -- run "$Q/hf" "${calib[@]}" --quantize q4_0 -o no
fails 2 'made with the profile' -- run m.gguf --stats s.json --prune-ratio 0.25 --quantize iq2_xxs -o no.gguf
fails 2 'for --quantize, which is not given' -- run m.gguf "${calib[@]}" --allow-requantize -o no.gguf
fails 2 "'q9' is not known" -- run m.gguf "${calib[@]}" --quantize q9 -o no.gguf
cp m.gguf x-Q8_0.gguf
fails 2 'exists' -- run m.gguf "${calib[@]}" --quantize Q8_0 -o x.gguf
ok run m.gguf --stats s.json --prune-ratio 0.25 --quantize q8_0 -o given.gguf
finish
