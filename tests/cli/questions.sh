#!/usr/bin/env bash
# reap eval --choices: the log-likelihoods are those of transformers (tests/interop/golden_questions.py), a plan is worth what the
# pruned file is, what is written, what is refused.
. "$(dirname "$0")/lib.bash"
data=$SRC/tests/data/questions
f32=(-t 1 -fa off -ctk f32 -ctv f32 -q)

# FAMILY FILE: the numbers of a file of --logprobs in the form of golden.txt
numbers() {
    awk -v family="$1" -v file="${2##*/}" '{
        sub(/.*"loglikelihoods":\[\[/, ""); sub(/\].*/, ""); gsub(/,/, " ")
        print family, file, NR - 1, $0
    }' "$T/rows.jsonl"
}
# The largest difference of a sum of up to 40 tokens, seen: 4e-5.
agree() { # FAMILY
    paste -d ' ' <(grep "^$1 " "$data/golden.txt") "$T/got" | awk '
        { if (NF % 2 || $1 != $(NF / 2 + 1) || $2 != $(NF / 2 + 2) || $3 != $(NF / 2 + 3)) bad = 1
          for (i = 4; i <= NF / 2; i++) { d = $i - $(NF / 2 + i); if (d < 0) d = -d; if (d > 3e-4) bad = 1; n++ } }
        END { exit bad || n != 49 }'
}
each_of 'family' qwen3_moe mixtral gpt_oss deepseek_v3 glm4_moe llama4 nemotron_h
for family in "${each[@]}"; do
    for file in "$data"/*.jsonl; do
        ok eval "$MODELS/$family/model.gguf" --choices "$file" --logprobs "$T/rows.jsonl" -f "${f32[@]}"
        numbers "$family" "$file"
    done >"$T/got"
    expect "$family: the log-likelihoods are those of transformers" agree "$family"
done

# ---- plans ----
m=$MODELS/qwen3_moe/model.gguf p=$MODELS/qwen3_moe/plan.json
ok prune "$m" --plan "$p" -o "$T/pruned.gguf" -q
ok eval "$T/pruned.gguf" --choices "$data/question.jsonl" --logprobs "$T/rows.jsonl" -f "${f32[@]}"
numbers x x >"$T/pruned"
ok eval "$m" --plan "$p" --choices "$data/question.jsonl" --choices "$data/hellaswag.jsonl" -o "$T/eval.json" "${f32[@]}"
has "$T/.out" '^question.jsonl: 4 questions of the form .question.' '^hellaswag.jsonl: 2 questions' '^  whole model ' '^  plan.json ' \
    'lost [0-9], won [0-9]   p '
has "$T/eval.json" '"schema": "reap.eval/1"' '"questions": ' '"form": "hellaswag"' '"plan": "plan.json"' '"n_keep": 6' '"acc_norm_paired": '
lacks "$T/eval.json" 'NaN' '"ppl"'
ok eval "$m" --plan "$p" --choices "$data/question.jsonl" --logprobs "$T/rows.jsonl" -f "${f32[@]}"
sed -i 's/"loglikelihoods":\[\[[^]]*\],/"loglikelihoods":[/' "$T/rows.jsonl"
numbers x x >"$T/masked"
expect 'a plan answers as the pruned file does' awk 'NR == FNR { for (i = 4; i <= NF; i++) a[FNR, i] = $i; next }
    { for (i = 4; i <= NF; i++) { d = $i - a[FNR, i]; if (d < 0) d = -d; if (d > 3e-4) exit 1; n++ } }
    END { exit n != 12 }' "$T/pruned" "$T/masked"
ok eval "$m" --plan "$p" --choices "$data/question.jsonl" --json "${f32[@]}"
has "$T/.out" '"command": "eval"' '"acc_paired": '
# the packing does not change what is found; standard input, and gzip
ok eval "$m" --choices "$data/hellaswag.jsonl" --logprobs "$T/a.jsonl" "${f32[@]}"
ok eval "$m" --choices "$data/hellaswag.jsonl" --logprobs "$T/b.jsonl" -ub 32 "${f32[@]}"
cp "$T/a.jsonl" "$T/rows.jsonl" && numbers x x >"$T/a"
cp "$T/b.jsonl" "$T/rows.jsonl" && numbers x x >"$T/b"
expect 'steps of another size' awk 'NR == FNR { for (i = 4; i <= NF; i++) a[FNR, i] = $i; next }
    { for (i = 4; i <= NF; i++) { d = $i - a[FNR, i]; if (d < 0) d = -d; if (d > 3e-4) exit 1; n++ } }
    END { exit n != 7 }' "$T/a" "$T/b"
gzip -c "$data/piqa.jsonl" >"$T/piqa.jsonl.gz"
ok eval "$m" --choices "$T/piqa.jsonl.gz" "${f32[@]}"
has "$T/.out" '2 questions of the form .piqa.'

# what is in names and rows drives no terminal (every call is held to it)
odd=$T/$'pwn\e]0;t\a.jsonl'
printf '{"id":"\\u001b[31m\\u202e","goal":"to \\u001b[31m","sol1":"a\\u202e","sol2":"b","label":1}\n' >"$odd"
ok eval "$m" --choices "$odd" --logprobs "$T/rows.jsonl" -f "${f32[@]}"
has "$T/.out" 'pwn.\]0;t.\.jsonl: 1 question of'
fit_for_terminal "$T/rows.jsonl" || say_bad 'the rows hold what drives a terminal'
has "$T/rows.jsonl" '"id":"\\u001[bB]\[31m\\u202e"'
printf '{"goal":"G","sol1":"a","sol2":"b","label":"\\u001b[31m"}\n' >"$odd"
rc 2 eval "$m" --choices "$odd" -q
has "$T/.err" "'label' is "
ok report --plan "$p" --eval "$T/eval.json" -o "$T/report.html" -q
has "$T/report.html" '>Questions with choices</h2>' 'hellaswag.jsonl' 'McNemar' '<bdi>plan.json</bdi>'
lacks "$T/report.html" 'id="quality"'

# ---- what is refused ----
printf '{"a": 1}\n' >"$T/odd.jsonl"
fails 2 'odd.jsonl: line 1: row has .a., which is no form of a question' -- eval "$m" --choices "$T/odd.jsonl" -q
fails 2 'no-such' -- eval "$m" --choices "$T/no-such.jsonl" -q
fails 2 'alone' -- eval "$m" --choices "$data/piqa.jsonl" --text "$data/piqa.jsonl" -q
fails 2 'alone' -- eval "$m" --choices "$data/piqa.jsonl" --against "$m" -q
fails 2 'of one --choices FILE' -- eval "$m" --choices "$data/piqa.jsonl" --choices "$data/arc.jsonl" --logprobs "$T/x.jsonl" -q
fails 2 'given 2 times' -- eval "$m" --plan "$p" --plan "$p" --text "$data/piqa.jsonl" -q
fails 2 'plan.json' 'out of range' -- eval "$m" --plan "$MODELS/gpt_oss/plan.json" --choices "$data/piqa.jsonl" -q
cp "$data/piqa.jsonl" "$T/piqa.jsonl"
fails 2 'is the text' -- eval "$m" --choices "$T/piqa.jsonl" -o "$T/piqa.jsonl" -f -q
finish
