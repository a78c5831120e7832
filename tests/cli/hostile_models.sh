# Some of the changes of tests/faults/models.sh, which tries them all.
. "$(dirname "$0")/lib.bash"
. "$(dirname "$0")/hostile.bash"
cd "$T" || exit 1
for m in qwen3_moe mixtral deepseek_v3 gpt_oss nemotron_h; do
    before=$n_checks
    hostile "$MODELS/$m/model.gguf" "$MODELS/$m/texts.jsonl" 211 50
    expect "some changes of $m" test $((n_checks - before)) -gt 5
done
finish
