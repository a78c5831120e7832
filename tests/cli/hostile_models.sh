# Some of the changes of tests/faults/models.sh, which tries them all.
. "$(dirname "$0")/lib.bash"
. "$(dirname "$0")/hostile.bash"
cd "$T" || exit 1
for m in qwen3_moe mixtral deepseek_v3 gpt_oss nemotron_h; do
    before=$n_checks
    hostile "$MODELS/$m/model.gguf" "$MODELS/$m/texts.jsonl" 211 50
    expect "some changes of $m" test $((n_checks - before)) -gt 5
done

# What graphs of their own take for granted, of families whose fixtures have no weights.
engine_bound() { # FOLDER KEY TYPE VALUE WORDS
    "$EDIT" "$1.gguf" edited.gguf set "$2" "$3" "$4" || say_bad "gguf_edit $2"
    fails 2 "key '$2.*$5" -- eval edited.gguf --calib "$MODELS/qwen3_moe/texts.jsonl" -t 1 --quiet
}
seeded deepseek_v4
ok eval deepseek_v4.gguf --calib "$MODELS/qwen3_moe/texts.jsonl" -t 1
engine_bound deepseek_v4 deepseek4.hyper_connection.sinkhorn_iterations u32 0 'is 0, expected 1 to 1000'
engine_bound deepseek_v4 deepseek4.hyper_connection.sinkhorn_iterations u32 2147483648 'is 2147483648, expected 1 to 1000'
engine_bound deepseek_v4 deepseek4.hyper_connection.count u32 2 'is 2, expected 4 to 4'
engine_bound deepseek_v4 deepseek4.attention.head_count_kv u32 4 'is 4, expected 1 to 1'
engine_bound deepseek_v4 deepseek4.attention.output_group_count u32 0 'is 0, expected 1'
engine_bound deepseek_v4 deepseek4.attention.output_group_count u32 3 'is 3, which does not divide the 4 heads'
seeded dots3note
ok eval dots3note.gguf --calib "$MODELS/qwen3_moe/texts.jsonl" -t 1
seeded kimi_k3
ok eval kimi_k3.gguf --calib "$MODELS/qwen3_moe/texts.jsonl" -t 1
engine_bound kimi_k3 kimi-k3.attention.key_length u32 3 'is 3, expected [0-9]+ .kv_lora_rank'
seeded qwen4exp
ok eval qwen4exp.gguf --calib "$MODELS/qwen3_moe/texts.jsonl" -t 1
engine_bound qwen4exp qwen4exp.attention.compress_ratios u32 65 'is 65, expected 0 to 64'
engine_bound qwen4exp qwen4exp.ple.ngram_size u32 1 'is 1, expected 2 to 8'
engine_bound qwen4exp qwen4exp.ple.heads_per_ngram u32 0 'is 0, expected 1 to 64'
engine_bound qwen4exp qwen4exp.ple.heads_per_ngram u32 65 'is 65, expected 1 to 64'
engine_bound qwen4exp qwen4exp.ple.layer_multipliers u32s 7 'has 1 numbers, expected at least 2'
engine_bound qwen4exp qwen4exp.ple.head_offsets u32s 0 'has 1 numbers, expected at least 2'
engine_bound qwen4exp qwen4exp.ple.head_vocab_sizes u32s 7 'has 1 numbers, expected at least 2'
engine_bound deepseek_v4 deepseek4.attention.compress_rope_freq_base f32 0 'is 0, expected a number above 0'
engine_bound dots3note dots3note.attention.key_length_swa u32 3 'is 3, expected [0-9]+ .kv_lora_rank_swa'
finish
