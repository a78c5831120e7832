# Checkpoints that are damaged, inconsistent or hostile, and plans that do not fit: one clear line, nothing left behind.
. "$(dirname "$0")/lib.bash"
. "$SRC/tests/cli/checkpoint.bash"
B=$FORMS/bad
sound=$B/sound

ok inspect "$sound"
ok prune "$sound" --plan "$sound/plan.json" -o kept
ok verify "$sound" kept --plan "$sound/plan.json"

quiet_terminal() {
    n_checks=$((n_checks + 1))
    ! LC_ALL=C grep -q $'[\x01-\x08\x0b-\x1f\x7f]' .err || say_bad "control characters on the terminal: $(cat -v .err)"
}

n=0
while IFS=$'\t' read -r name step words _; do
    [[ $name = \#* ]] && continue
    m=$B/$name
    mapfile -t words < <(literally "$words")
    if [[ $step = open ]]; then
        fails 2 "${words[@]}" -- inspect "$m" --quiet
        quiet_terminal
        fails 2 "${words[@]}" -- inspect "$m" --quiet --json
        fails 2 "${words[@]}" -- prune "$m" --plan "$m/plan.json" -o out --quiet
        fails 2 "${words[@]}" -- verify "$m" kept --quiet
        fails 2 "${words[@]}" -- verify "$sound" "$m" --quiet
    else
        ok inspect "$m"
        fails 2 "${words[@]}" -- prune "$m" --plan "$m/plan.json" -o out --quiet
        fails 2 "${words[@]}" -- prune "$m" --plan "$m/plan.json" -o out --quiet --force
        fails 2 "${words[@]}" -- prune "$m" --plan "$m/plan.json" -o out --quiet --dry-run
    fi
    n=$((n + 1))
done <"$B/expected.txt"
expect "all cases ($n) were tried" test $n = $(($(find "$B" -mindepth 1 -maxdepth 1 -type d | wc -l) - 1))

# ---- sizes that a file claims are not believed: no memory is asked for them
if memory_can_be_limited; then
    for name in header-length-huge header-length-beyond-file header-deep config-deep shape-overflow offsets-huge; do
        n_checks=$((n_checks + 1))
        prlimit --data=33554432 "$REAP" inspect "$B/$name" --quiet >.out 2>.err </dev/null
        [[ $? = 2 ]] || { say_bad "$name with 32 MiB of memory"; show .err; }
    done
else
    left_out 'sizes that are not believed: no prlimit, or a sanitizer or an emulator with memory of its own'
fi

# ---- what is no checkpoint
mkdir empty
fails 2 empty 'config\.json' -- inspect empty
fails 2 empty 'config\.json' -- prune empty --plan "$sound/plan.json" -o out --quiet
mkdir no-weights
cp "$sound/config.json" no-weights
fails 2 no-weights 'safetensors' -- inspect no-weights
fails 2 nowhere 'No such file' -- inspect nowhere
fails 2 nowhere 'No such file' -- prune nowhere --plan "$sound/plan.json" -o out
cp -r "$sound" pickled
rm pickled/*.safetensors
echo x >pickled/pytorch_model.bin
fails 2 pickled 'safetensors' -- inspect pickled
mkdir -p folders/config.json
fails 2 'config\.json' -- inspect folders
cp -r "$sound" loop
rm loop/model.safetensors
ln -s model.safetensors loop/model.safetensors
fails 2 'model\.safetensors' 'symbolic links' -- inspect loop
cp -r "$sound" pipe
rm pipe/model.safetensors
mkfifo pipe/model.safetensors
fails 2 'model\.safetensors' -- inspect pipe
# every way to cut the file off
size=$(stat -c %s "$sound/model.safetensors")
cp -r "$sound" cut
for at in 0 1 7 8 9 100 1000 $((size / 2)) $((size - 1)); do
    head -c "$at" "$sound/model.safetensors" >cut/model.safetensors
    fails 2 'model\.safetensors' -- inspect cut
done

# ---- options of one format on the other
gguf=$MODELS/qwen3_moe/model.gguf
fails 2 'max-shard-size' -- prune "$gguf" --plan "$MODELS/qwen3_moe/plan.json" -o out --max-shard-size 1M --quiet
fails 2 'add-count-aliases' -- prune "$gguf" --plan "$MODELS/qwen3_moe/plan.json" -o out --add-count-aliases --quiet
fails 2 'max-shard-size' -- prune "$sound" --plan "$sound/plan.json" -o out --max-shard-size 0x --quiet
fails 2 'mtp' -- prune "$sound" --plan "$sound/plan.json" -o out --mtp sometimes --quiet
fails 2 'MTP' -- prune "$sound" --plan "$sound/plan.json" -o out --mtp drop --quiet
# a folder is not the parent of a file, nor the other way round
fails 2 -- verify "$sound" "$gguf" --quiet
fails 2 -- verify "$gguf" kept --quiet
absent out
untouched
finish
