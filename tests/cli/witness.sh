#!/usr/bin/env bash
# The second model of models/: what its card says of it, and that it computes what transformers computes on the weights before they
# were quantised (float32, each row of examples/calibration/text.jsonl alone, every token scored but its first).
. "$(dirname "$0")/lib.bash"
model=$SRC/models/witness-Q8_0.gguf
golden_nll=4.544418559549174
golden_tokens=1155

ok inspect "$model"
has "$T/.out" '^architecture  glm4moe' '^experts       64 per layer, 6 per token' '^blocks        5, with experts: 4 '
size=$(stat -c %s "$model" | sed ':a; s/\B[0-9]\{3\}\>/,&/; ta')
expect 'the card has its size and hash' grep -q "| file | $size bytes, SHA-256 .$(sha256sum "$model" | cut -c1-64). |" "$SRC/models/README.md"
expect 'it is small' test "$(stat -c %s "$model")" -le 15000000
ok eval "$model" --calib "$SRC/examples/calibration/text.jsonl" -t 1 -q -o "$T/eval.json"
number() { sed -n "s/^ *\"$1\": \([-0-9.e+]*\),*\$/\1/p" "$T/eval.json" | head -n 1; }
expect 'as many tokens' test "$(number n_scored)" = "$golden_tokens"
# Q8_0 and the engine's 16 bits of cache: seen below 2e-3.
expect "nll $(number nll) is near $golden_nll" awk -v a="$(number nll)" -v b="$golden_nll" 'BEGIN { d = (a - b) / b; exit !(d < 5e-3 && d > -5e-3) }'
finish
