# Every command line of the README, in its order, on a tiny model; those with --prompts build llama-server and are left to serve.sh and run.sh.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
M=$MODELS/qwen3_moe
for name in model model-Q4_K_M; do cp "$M/model.gguf" $name.gguf; done
mkdir -p prompts/code prompts/prose
cp "$TEXT/code/sdf.txt" prompts/code
head -c 6000 "$TEXT/prose/story.txt" >prompts/prose/story.txt
cp "$M/texts.jsonl" extra.jsonl
cp "$M/texts.jsonl" samples.jsonl
cp "$TEXT/prose/lecture.txt" heldout.txt
size=$(stat -c %s model.gguf)
n=0
while read -r line; do
    line=${line%%  #*}
    [[ $line != *--prompts* ]] || continue
    line=${line//13GiB/$((size * 8 / 10))} line=${line//--round-to 8/--round-to 2} # the model has 8 experts, and is small
    read -ra words <<<"$line"
    out=${line#* -o }
    [[ $out = "$line" ]] || rm -rf "${out%% *}" # of another recipe
    n=$((n + 1))
    ok "${words[@]:1}"
done < <(sed -n 's/^    \(reap [a-z]* .*\)$/\1/p' "$SRC/README.md")
expect 'a dozen commands were run' test "$n" -ge 12
echo "$n commands"
finish
