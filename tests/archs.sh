#!/usr/bin/env bash
# Every architecture of the engine that routes tokens to experts: profile, plan, prune, verify and evaluate a tiny random
# model of each, and evaluate it masked instead of pruned. The models come from the engine's own test program, changed so that
# there is something to prune (8 experts, 3 per token) and so that it writes some architectures that it leaves out.
#
#   make test-archs             ARCHS='qwen3moe|gemma4' make test-archs: only those (an extended regular expression)
#
# Environment: REAP, SRC, BIN as for the other tests; ARCHS; KEEP=1 leaves the folder of models. The last line is
# 'N passed, N failed'. Takes a minute or two and 2 GB in TMPDIR.

set -u
export LC_ALL=C

: "${REAP:?the program}" "${SRC:?the source tree}"
only=${ARCHS:-}
passed=0 failed=0
dir=$(mktemp -d "${TMPDIR:-/tmp}/reap-archs.XXXXXX") || exit 1
[ -n "${KEEP:-}" ] || trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The engine runs experts in these, but no test model of theirs can be written.
not_written='step35'

# Refused before any work, with the reason in these words. A new refusal is a failure.
refusal_of() {
    case $1 in
    grovemoe) echo 'chunk experts' ;;
    # Written with expert keys, but their graphs have no routed experts.
    ernie4_5 | paddleocr | refact) echo "architecture '$1' is not supported" ;;
    esac
}

pass() { passed=$((passed + 1)); printf 'ok    %-22s %s\n' "$1" "$2"; }
fail() {
    failed=$((failed + 1))
    printf 'FAIL  %-22s %s\n' "$1" "$2"
    [ ! -s "$dir/out" ] || sed 's/^/        /' "$dir/out" | tail -n 5
}
finish() {
    printf '%d passed, %d failed\n' "$passed" "$failed"
    [ "$failed" = 0 ]
    exit
}
broken() {
    fail generator "$1"
    finish
}

# ---- the generator ----

# What the changed program needs besides: the expert table of a layer that routes by token id, and a way to save that
# keeps what the engine's own saver forgets of Gemma-4, and leaves out scales that a block for further tokens cannot have.
extra='
#include "../src/llama-model.h"
static void add_hash_table(struct gguf_context * ctx) {
    ggml_tensor t = {};
    t.type = GGML_TYPE_I32;
    ggml_set_name(&t, "blk.0.ffn_gate_tid2eid.weight");
    gguf_add_tensor(ctx, &t);
}
static void save(const llama_model * model, const gguf_context * given, const std::string & path, const std::string & mtp) {
    llama_model_saver ms(model);
    if (model->arch == LLM_ARCH_GEMMA4) gguf_set_kv(ms.gguf_ctx, given);
    ms.add_kv_from_model();
    if (mtp.empty() && model->arch != LLM_ARCH_GEMMA4) ms.add_tensors_from_model();
    else for (const auto & it : model->tensors_by_name)
        if (mtp.empty() || it.first.rfind(mtp, 0) != 0 || it.first.find("scale") == std::string::npos) ms.add_tensor(it.second);
    ms.save(path);
}
'
# Each must still find its place in the engine's source, so that a newer engine cannot quietly test less.
patches=(
    's/^#include <vector>/&\n#include "extra.h"/'
    # 8 experts, 3 per token
    's/\(LLM_KV_EXPERT_COUNT, *uint32_t(\)2)/\18)/'
    's/\(LLM_KV_EXPERT_USED_COUNT, *uint32_t(\)2)/\13)/'
    # architectures that it leaves out, or writes only without experts
    '/^static bool moe_mandatory/,/^}/s/case LLM_ARCH_LLAMA4:/case LLM_ARCH_DEEPSEEK2OCR: &/'
    '/^static bool moe_implemented/,/^}/s/case LLM_ARCH_LLAMA:/case LLM_ARCH_JAMBA: case LLM_ARCH_GRANITE_HYBRID: &/'
    '/^static bool moe_implemented/,/^}/s/case LLM_ARCH_LLAMA:/case LLM_ARCH_GRANITE_SWA: case LLM_ARCH_GEMMA4: &/'
    '/^static bool moe_implemented/,/^}/s/case LLM_ARCH_LLAMA:/case LLM_ARCH_NEMOTRON_H_MOE: &/'
    's/if (arch == LLM_ARCH_DEEPSEEK2OCR)/if (false)/'
    's/arch == LLM_ARCH_GEMMA4 ||/false ||/'
    's/SLIDING_WINDOW_PATTERN, uint32_t(5)/SLIDING_WINDOW_PATTERN, std::vector<uint32_t>({1, 1, 1, 1, 0})/'
    # norms and scales around 1, so that what the experts do shows in the logits; integers zero
    's/float val = dis(gen);/float val = dis(gen) + (strstr(tensor->name, "_norm") || strstr(tensor->name, "scale"));/'
    # .. but for tables of expert ids: each token has 3 of the 8
    's/GGML_ABORT("fatal error");/{ std::vector<char> z(ggml_nbytes(tensor)); if (strstr(tensor->name, "tid2eid")) for (size_t i = 0; i < z.size() \/ 4; i++) ((int32_t *) z.data())[i] = (i + i \/ 24) % 8; ggml_backend_tensor_set(tensor, z.data(), 0, z.size()); }/'
    's/llama_model_save_to_file(model_and_ctx.first.get(), path.c_str());/save(model_and_ctx.first.get(), gguf_ctx.get(), path, getenv("ARCHS_MTP") ? "blk.2." : "");/'
    # variants
    's/^    uint32_t n_head_kv = n_head;/    if (getenv("ARCHS_MTP")) n_layer++;\n&/'
    's/^    model_params.split_mode = split_mode;/&\n    model_params.load_mtp = getenv("ARCHS_MTP") != nullptr;/'
    's/^ *ms.add_kv(LLM_KV_EXPERT_SHARED_COUNT/if (getenv("ARCHS_MTP")) ms.add_kv(LLM_KV_NEXTN_PREDICT_LAYERS, uint32_t(1));\n&/'
    's/^ *ms.add_kv(LLM_KV_EXPERT_SHARED_COUNT/if (getenv("ARCHS_GROUPS")) ms.add_kv(LLM_KV_EXPERT_GROUP_COUNT, uint32_t(2));\n&/'
    's/^ *ms.add_kv(LLM_KV_EXPERT_SHARED_COUNT/if (getenv("ARCHS_GROUPS")) ms.add_kv(LLM_KV_EXPERT_GROUP_USED_COUNT, uint32_t(1));\n&/'
    's/^ *ms.add_kv(LLM_KV_EXPERT_SHARED_COUNT/if (getenv("ARCHS_HASH")) add_hash_table(ms.gguf_ctx);\n&/'
    's/LLM_KV_HASH_LAYER_COUNT, *uint32_t(0)/LLM_KV_HASH_LAYER_COUNT, uint32_t(getenv("ARCHS_HASH") ? 1 : 0)/'
)
patch_source() { # patch_source FROM TO
    local p
    cp "$1" "$2"
    for p in "${patches[@]}"; do
        sed "$p" "$2" >"$2.new"
        ! cmp -s "$2" "$2.new" || broken "the engine's test program has changed, this finds no place: $p"
        mv "$2.new" "$2"
    done
}

# Compiled and linked with the commands that the engine's build has for the original.
make_generator() {
    local tools build src from object compile link
    tools=$(bash "$SRC/scripts/engine.sh" --tools test-llama-archs) || broken "scripts/engine.sh gives no test-llama-archs"
    build=${tools%/tools}/build
    src=$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' "$build/CMakeCache.txt")
    from=$src/tests/test-llama-archs.cpp
    object=tests/CMakeFiles/test-llama-archs.dir/test-llama-archs.cpp.o
    printf '%s' "$extra" >"$dir/extra.h"
    patch_source "$from" "$dir/archs.cpp"
    compile=$(ninja -C "$build" -t commands test-llama-archs | grep -e " -c $from\$")
    link=$(ninja -C "$build" -t commands test-llama-archs | grep -e '-o bin/test-llama-archs ')
    compile=${compile//$from/-I$src/tests $dir/archs.cpp}
    compile=${compile//$object/$dir/archs.o}
    link=${link//$object/$dir/archs.o}
    link=${link//bin\/test-llama-archs/$dir/archs}
    (cd "$build" && sh -c "${compile// -O3 / -O1 }" && sh -c "$link") >"$dir/out" 2>&1 ||
        broken "the changed test program does not compile"
    : >"$dir/out"
}

# generate FOLDER [OPTION]...
generate() {
    local to=$dir/$1
    shift
    mkdir -p "$to"
    "$dir/archs" -s 1 -o "$to" "$@" >"$dir/out" 2>&1 || broken "the test program wrote no models"
    : >"$dir/out"
}

make_corpus() {
    local n seed=0
    for n in 5 23 37 60 12 48; do
        seed=$((seed + 1))
        awk -v n="$n" -v seed="$seed" 'BEGIN {
            srand(seed)
            for (i = 0; i < n; i++)
                s = s (i ? ", " : "") int(rand() * 128)
            print "{\"tokens\": [" s "]}"
        }'
    done >"$dir/tokens.jsonl"
    calib=$dir/tokens.jsonl
    n_tokens=185 n_scored=179
}

# ---- one model ----

# Nothing rounded to 16 bits on the way, which would make a difference in the last bit a thousand times larger.
float32=(-fa off -ctk f32 -ctv f32)

run() { # run STATUS ARGUMENT...: its output, all of it, is in $dir/out
    local want=$1 got=0
    shift
    timeout 300 "$REAP" "$@" >"$dir/out" 2>&1 || got=$?
    [ "$got" = "$want" ] || { why="reap $1: exit status $got, expected $want"; return 1; }
}
says() { grep -qF -e "$2" "$1" || { why="expected '$2'"; return 1; }; }
number() { sed -n "s/^ *\"$2\": \\([0-9.eE+-]*\\),*\$/\\1/p" "$1" | head -n 1; }

# Statistics of packed samples against one sample per decode: how many routed tokens differ, and the largest difference
# of a sum where the counts agree. The order of additions differs, so that scores that are nearly equal may change places.
compare_stats() {
    awk '
        function values(line) { sub(/^[^\[]*\[/, "", line); sub(/\].*/, "", line); return line }
        /^ *"[a-z_]+": \[[-0-9]/ && !/moe_layers/ {
            key = $1
            if (NR == FNR) { a[++na] = values($0); name[na] = key }
            else {
                nb++
                if (name[nb] != key) bad = 1
                n = split(a[nb], x, ", "); m = split(values($0), y, ", ")
                if (n != m) bad = 1
                if (key == "\"count\":") {
                    for (i = 1; i <= n; i++) { all += x[i]; d = x[i] - y[i]; diff += d < 0 ? -d : d; same[i] = d == 0 }
                } else if (key != "\"max_activation\":")
                    for (i = 1; i <= n; i++) {
                        d = x[i] - y[i]; if (d < 0) d = -d
                        m = x[i] > y[i] ? x[i] : y[i]
                        if (same[i] && m > 0 && d / m > worst) worst = d / m
                    }
            }
        }
        END {
            if (bad || na != nb || na == 0) print "files differ in form"
            else printf "%d %d %.1e\n", diff / 2, all, worst
        }' "$1" "$2"
}

# The largest difference of a log-probability between two files of rows; nothing when they differ in form.
compare_logprobs() {
    awk '
        { sub(/.*"logprobs": *\[/, ""); if (!/]/) exit 1; sub(/].*/, "") }
        NR == FNR { a[FNR] = $0; rows = FNR; next }
        {
            n = split(a[FNR], x, ","); m = split($0, y, ",")
            if (n != m || n == 0) bad = 1
            for (i = 1; i <= n; i++) { d = x[i] - y[i]; if (d < 0) d = -d; if (d > worst) worst = d }
            seen = FNR
        }
        END { if (!bad && rows && rows == seen) printf "%.1e\n", worst }' "$1" "$2"
}

check_model() { # check_model NAME FILE KEEP
    local name=$1 m=$2 keep=$3 diff all worst noise ppl_parent ppl_kept nan
    why=
    run 0 inspect "$m" --json || return 1
    says "$dir/out" '"refused": null' || return 1
    [ "$(number "$dir/out" n_experts)" = 8 ] || { why='expected 8 experts'; return 1; }

    run 0 profile "$m" -c "$calib" -o "$dir/one.json" --threads 1 -q || return 1
    run 0 profile "$m" -c "$calib" -o "$dir/two.json" --threads 2 -q || return 1
    cmp -s "$dir/one.json" "$dir/two.json" || { why='statistics depend on the number of threads'; return 1; }
    # Without flash attention, whose rounding on the CPU depends on what else is in the cache.
    run 0 profile "$m" -c "$calib" -o "$dir/packed.json" "${float32[@]}" -q || return 1
    run 0 profile "$m" -c "$calib" -o "$dir/single.json" "${float32[@]}" --sequences 1 -q || return 1
    read -r diff all worst <<<"$(compare_stats "$dir/packed.json" "$dir/single.json")"
    note="$diff of $all routed otherwise when not packed, sums within $worst"
    # 1 in 50 is far above what near-ties give and far below what mixing up samples gives
    awk -v d="$diff" -v n="$all" -v w="$worst" 'BEGIN { exit !(n > 0 && d * 50 <= n && w <= (d ? 1e-2 : 1e-4)) }' ||
        { why="packed and single samples differ: $note"; return 1; }

    run 0 plan "$dir/one.json" --keep "$keep" --model "$m" -o "$dir/plan.json" || return 1
    run 0 prune "$m" --plan "$dir/plan.json" -o "$dir/pruned.gguf" || return 1
    run 0 verify "$m" "$dir/pruned.gguf" --plan "$dir/plan.json" || return 1
    run 0 verify "$m" "$dir/pruned.gguf" || return 1
    run 0 inspect "$dir/pruned.gguf" --json || return 1
    [ "$(number "$dir/out" n_experts)" = "$keep" ] || { why="the pruned model has other than $keep experts"; return 1; }

    run 0 eval "$m" --calib "$calib" --json || return 1
    ppl_parent=$(number "$dir/out" ppl)
    run 0 eval "$dir/pruned.gguf" --calib "$calib" --logprobs "$dir/logprobs.jsonl" "${float32[@]}" --json || return 1
    ppl_kept=$(number "$dir/out" ppl)
    [ "$(number "$dir/out" n_scored)" = "$n_scored" ] || { why="expected $n_scored scored tokens"; return 1; }
    nan=$(grep -ciE 'nan|inf|null' "$dir/logprobs.jsonl")
    [ "$nan" = 0 ] && [ "$(grep -c '"logprobs"' "$dir/logprobs.jsonl")" = 6 ] || { why='log-probabilities are missing'; return 1; }
    # Masked instead of cut: the router's product has another shape, so sums may be grouped otherwise.
    if [[ $name = *-hash ]]; then # nothing is scored in such a layer
        run 2 eval "$m" --plan "$dir/plan.json" --calib "$calib" "${float32[@]}" -q || return 1
        says "$dir/out" 'prune the model and measure the pruned file' || return 1
        : >"$dir/out"
        return 0
    fi
    run 0 eval "$m" --plan "$dir/plan.json" --calib "$calib" --logprobs "$dir/masked.jsonl" "${float32[@]}" --json || return 1
    worst=$(compare_logprobs "$dir/masked.jsonl" "$dir/logprobs.jsonl") noise=1e-5
    # A random model may enlarge the last bit thousands of times: no more than a decode in other steps changes.
    if ! awk -v w="$worst" 'BEGIN { exit !(w != "" && w <= 1e-5) }'; then
        run 0 eval "$dir/pruned.gguf" --calib "$calib" --logprobs "$dir/steps.jsonl" "${float32[@]}" -ub 1 || return 1
        noise=$(compare_logprobs "$dir/steps.jsonl" "$dir/logprobs.jsonl")
    fi
    note="$note, masked within $worst"
    awk -v w="$worst" -v n="$noise" 'BEGIN { exit !(w != "" && n != "" && w <= 3 * n && w < 1e-2) }' ||
        { why="masked and pruned model differ: $worst (in other steps: $noise)"; return 1; }
    awk -v a="$ppl_parent" -v b="$ppl_kept" 'BEGIN { exit !(a > 1 && a < 1e6 && b > 1 && b < 1e6 && a != b) }' ||
        { why="perplexity $ppl_parent, pruned $ppl_kept: expected two different numbers"; return 1; }
    # As people have it: the engine says what may be quantised, and we take all of that.
    # (Of qwen4exp it quantises norms, over which it then ends the process.)
    run 0 quantize "$m" Q8_0 -o "$dir/small.gguf" -f -q || return 1
    run "$([ "$name" = qwen4exp ] && echo 2 || echo 0)" profile "$dir/small.gguf" -c "$calib" -o "$dir/small.json" -f -q || return 1
    : >"$dir/out"
}

check_refused() { # check_refused NAME FILE WORDS: one line, whatever is asked for, and nothing written
    local m=$2 words=$3
    why=
    run 2 profile "$m" -c "$calib" -o "$dir/refused.json" || return 1
    says "$dir/out" "$words" || return 1
    [ "$(grep -c . "$dir/out")" = 1 ] || { why='expected one line'; return 1; }
    [ ! -e "$dir/refused.json" ] || { why='statistics were written'; return 1; }
    run 2 prune "$m" --plan "$calib" -o "$dir/refused.gguf" || return 1
    [ ! -e "$dir/refused.gguf" ] || { why='a model was written'; return 1; }
    : >"$dir/out"
}

one() { # one NAME FILE KEEP
    local words
    if [ -n "$only" ] && ! [[ $1 =~ ^($only)$ ]]; then return; fi
    words=$(refusal_of "$1")
    rm -f "$dir"/*.json "$dir"/pruned.gguf "$dir"/logprobs.jsonl "$dir"/masked.jsonl "$dir"/steps.jsonl
    if [ -n "$words" ]; then
        if check_refused "$1" "$2" "$words"; then pass "$1" "refused: $words"; else fail "$1" "$why"; fi
    elif check_model "$1" "$2" "$3"; then
        pass "$1" "$note"
    else
        fail "$1" "$why"
    fi
}

# ---- all ----

make_generator
make_corpus
: "$n_tokens"
generate all
for m in "$dir"/all/*-moe.gguf; do
    name=$(basename "$m" -moe.gguf)
    one "$name" "$m" 4
    rm -f "$m"
    echo "$name" >>"$dir/written"
done

# Expert groups (2, of which 1 is used: as many experts must stay in each), a block that predicts further tokens, layers
# that route by token id.
variant() { # variant NAME ARCH VARIABLE KEEP
    if [ -n "$only" ] && ! [[ $1 =~ ^($only)$ ]]; then return; fi
    export "$3=1"
    generate "$1" -a "$2"
    unset "$3"
    one "$1" "$dir/$1/$2-moe.gguf" "$4"
    rm -rf "${dir:?}/$1"
}
for arch in deepseek2 bailingmoe2 qwen3moe; do variant "$arch-groups" "$arch" ARCHS_GROUPS 6; done
for arch in glm4moe deepseek2; do variant "$arch-mtp" "$arch" ARCHS_MTP 4; done
variant deepseek4-hash deepseek4 ARCHS_HASH 4

if [ -z "$only" ]; then
    dense=0 wrong=
    for m in "$dir"/all/*-dense.gguf; do
        run 2 inspect "$m" && says "$dir/out" 'is a dense model' && [ "$(grep -c . "$dir/out")" = 1 ] ||
            wrong="$wrong $(basename "$m" -dense.gguf)"
        dense=$((dense + 1))
    done
    : >"$dir/out"
    if [ -z "$wrong" ] && [ "$dense" -gt 0 ]; then pass dense "$dense dense models refused"; else fail dense "not refused as dense:$wrong"; fi

    # The records of src/family/ are what the engine has.
    sed -n 's/.*\.arch = "\([^"]*\)".*/\1/p' "$SRC"/src/family/*.c | sort >"$dir/ours"
    { grep -vxE 'ernie4_5|paddleocr|refact' "$dir/written"; tr ' ' '\n' <<<"$not_written"; } | sort >"$dir/theirs"
    if diff "$dir/ours" "$dir/theirs" >"$dir/out"; then
        pass list "$(grep -c . "$dir/ours") architectures in src/family/, as many in the engine"
    else
        fail list "src/family/ (<) and the engine (>) differ"
    fi
fi
finish
