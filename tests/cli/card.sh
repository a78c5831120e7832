# The card beside a GGUF file: on request, over nobody's README.md, with what the model and its names say, as text.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
m=$MODELS/qwen3_moe/model.gguf
plan=$MODELS/qwen3_moe/plan.json
ok prune "$m" --plan "$plan" -o none.gguf
expect 'without --card there is none' test ! -e README.md
mkdir out
ok prune "$m" --plan "$plan" -o out/x.gguf --card --dry-run
expect 'a dry run writes none' test ! -e out/README.md
ok prune "$m" --plan "$plan" -o out/x.gguf --card --name 'My "MoE"' --base-model org/base
has out/README.md '^base_model: org/base$' '^base_model_relation: quantized$' '^library_name: gguf$' '^- reap$' '^# My "MoE"$' '^. file . x.gguf .$' \
    '^. experts per layer . 8 -> 6 .$' 'This model is org/base with 6 of 8 experts' 'the keys .reap\..' 
lacks out/README.md '^license' 'Verified' 'model-index'
# another model there: our section, the rest stays
echo 'kept by hand' >>out/README.md
cat >p3.json <<'END'
{"schema":"reap.plan/1","n_keep":3,"keep":{"0":[1,2,5],"1":[0,3,4],"2":[0,1,2]}}
END
ok prune out/x.gguf --plan p3.json -o out/y.gguf --card --force
has out/README.md '^kept by hand$' '^. experts per layer . 6 -> 3 .$' '^. file . y.gguf .$'
expect 'one section' test "$(grep -c 'reap:begin' out/README.md)" = 1

# ---- somebody's README.md
mkdir mine && echo '# Mine' >mine/README.md
fails 2 '--card' 'README.md. is there, and no card of reap' 'force' -- prune -q "$m" --plan "$plan" -o mine/x.gguf --card
ok prune "$m" --plan "$plan" -o mine/x.gguf --card --force
has mine/README.md '^# Mine$' 'reap:begin' '^- expert-pruning$'
mkdir odd && mkdir odd/README.md
rc 2 prune -q "$m" --plan "$plan" -o odd/x.gguf --card
expect 'no model without its card' test ! -e odd/x.gguf

# ---- names that would be more than names
evil=$'"\n---\nlicense: mit\n```\n<script>|'
"$EDIT" "$m" evil.gguf set general.name str "$evil" set general.license str "$evil" || say_bad gguf_edit
mkdir evil
ok prune evil.gguf --plan "$plan" -o evil/x.gguf --card
has evil/README.md '^license: "\\"\?---\?license: mit.*u003cscript' '^# "\?---\?license: mit'
lacks evil/README.md '^license: mit' '<script>'
expect 'the front matter ends where it should' test "$(grep -c '^---$' evil/README.md)" = 2
expect 'it is fit to be read' fit_for_terminal evil/README.md

# ---- where it can go from here
ok prune "$m" --plan "$plan" -o out/z.gguf --card --force --name 'My "MoE" 6x'
has .err '^next' "^  Ollama     printf 'FROM ./out/z.gguf.nPARAMETER stop .*' > Modelfile && ollama create my-moe-6x -f Modelfile$" \
    '^  LM Studio  lms import --copy --user-repo YOU/My-MoE-6x out/z.gguf$' '^  the hub    hf upload YOU/My-MoE-6x out/z.gguf$' \
    '^             hf upload YOU/My-MoE-6x out/README.md$'
lacks .out 'Ollama|upload'
ok prune "$m" --plan "$plan" -o out/z.gguf --force --quiet
lacks .err 'next|Ollama'
ok prune "$m" --plan "$plan" -o out/z.gguf --force --json
lacks .err 'next|Ollama'
json .out 'name="Qwen3_Moe-REAP-6x"'
ok prune "$m" --plan "$plan" -o out/z.gguf --force --dry-run
lacks .err 'next|Ollama'
# tokens that end a turn: as text, each once, none that would be more than text
stops() { # EOS EOT: the line of a model with these tokens
    "$EDIT" "$TINY" stop.gguf item tokenizer.ggml.tokens 5 "$1" item tokenizer.ggml.tokens 6 "$2" set tokenizer.ggml.eos_token_id u32 5 \
        set tokenizer.ggml.eot_token_id u32 6 || say_bad gguf_edit
    ok prune stop.gguf --plan "$SRC/examples/plan.json" -o s.gguf --force
}
stops '<|end|>' '<|im_end|>'
has .err "printf 'FROM ./s.gguf.nPARAMETER stop \"<.im_end.>\".nPARAMETER stop \"<.end.>\".n' > Modelfile"
line=$(sed -n 's/^  Ollama     //p' .err)
bash -c "${line%% && *}"
expect 'the line makes the Modelfile' test "$(cat Modelfile)" = $'FROM ./s.gguf\nPARAMETER stop "<|im_end|>"\nPARAMETER stop "<|end|>"'
stops "'; touch pwned; '" '%n"'
has .err "printf 'FROM ./s.gguf.n' > Modelfile"
"$EDIT" "$TINY" stop.gguf set tokenizer.ggml.eos_token_id u32 99999999 || say_bad gguf_edit
ok prune stop.gguf --plan "$SRC/examples/plan.json" -o s.gguf --force
has .err "printf 'FROM ./s.gguf.n' > Modelfile"
ok prune "$m" --plan "$plan" -o "out/a 'b.gguf" # no Modelfile for such a path
has .err "^  the hub    hf upload YOU/Qwen3_Moe-REAP-6x 'out/a '.''b.gguf'$"
lacks .err 'Ollama'
ok prune "$m" --plan "$plan" --output=-x.gguf # no program takes it for an option
has .err 'YOU/Qwen3_Moe-REAP-6x ./-x.gguf$'
lacks .err ' -x.gguf'
# a name that the hub takes: no two dashes or points in a row, and no longer than Ollama has it
ok prune "$m" --plan "$plan" -o names.gguf --name '..A <b>--c...d -' --force
has .err ' YOU/A-b-c.d names.gguf$' 'ollama create a-b-c.d -f'
ok prune "$m" --plan "$plan" -o names.gguf --name "$(printf 'x%.0s' {1..120})-REAP-6x" --force
has .err ' YOU/x{72}-REAP-6x names.gguf$'
# of several parts these, and not the parent's beside them, nor a README.md that is not theirs
"$EDIT" --split 2 "$m" parent || say_bad 'cannot split'
ok prune parent-00001-of-00002.gguf --plan "$plan" -o 'a b.gguf'
has .err "^  the hub    hf upload YOU/Qwen3_Moe-REAP-6x . . --include='a b-[*].gguf'$"
ok prune parent-00001-of-00002.gguf --plan "$plan" -o out/parts.gguf --card --force
has .err "^  the hub    hf upload YOU/Qwen3_Moe-REAP-6x out . --include='parts-[*].gguf' --include=README.md$"
# ---- a folder, by what it was made for
for x in 'qwen3moe-mlx-4bit:^  MLX        mlx_lm.generate --prompt Hello --model folder$' \
    'mixtral-own:^  vLLM       vllm serve --tokenizer-mode mistral --config-format mistral --load-format mistral folder$' \
    'mixtral:^  vLLM       vllm serve folder$'; do
    f=$SRC/tests/data/structural/${x%%:*}
    ok prune "$f" --plan "$f/pruned/plan.json" -o folder
    has .err "${x#*:}" '^  the hub    hf upload YOU/.* folder$'
    rm -rf folder
done

finish
