#!/usr/bin/env bash
# A profile against the way of today: the same checkpoint in transformers, float32, a plain forward pass, with an observer of the routed
# experts, and with one that runs all of them (peers.py); and in Q4_K and MXFP4 against the engine's own products of matrices. A small
# model of tinymoe's shape, and one of Qwen3-30B-A3B's widths.
#
#   bench/peers.sh     environment: REAP, SRC, BIN, TMPDIR (4 GB for each layer of the wide one); ROUNDS (default 3); THREADS (default
#                      "1 2"); LAYERS of the wide one (default 4, which takes 11 GB of memory); WHICH (default "small wide"); WAYS (default
#                      "peers types"); ALL=1: the observer that runs all experts for the wide one as well;
#                      STEP, reap's --ubatch-size. Root and the reference (tests/interop/reference-env.sh), as `make interop`.
. "$(dirname "$0")/common.sh"
rounds=${ROUNDS:-3} layers=${LAYERS:-4} ways=${WAYS:-peers types}
reference=${REAP_REFERENCE:-${REAP_CACHE:-$HOME/.cache/reap}/reference}
env=$SRC/tests/interop/reference-env.sh
need_space $((4 * layers))
sh "$env" build "$reference" || die 'no reference'
python() { sh "$env" run "$reference" "/host$SRC/bench/peers.py" "$@" 2>/dev/null; }

# model NAME LAYERS HIDDEN HEADS KV EXPERTS WIDTH TOPK -> $work/NAME, $work/NAME-bf16
model() {
    mkdir "$work/$1.config"
    printf '{"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "num_hidden_layers": %s, "hidden_size": %s,
        "num_attention_heads": %s, "num_key_value_heads": %s, "head_dim": %s, "num_experts": %s, "moe_intermediate_size": %s,
        "num_experts_per_tok": %s, "intermediate_size": 64, "vocab_size": 600, "norm_topk_prob": true, "decoder_sparse_step": 1, "mlp_only_layers": [],
        "max_position_embeddings": 2048, "rope_theta": 10000.0, "rms_norm_eps": 1e-6, "hidden_act": "silu", "tie_word_embeddings": false,
        "attention_bias": false, "bos_token_id": null, "eos_token_id": 597}\n' "$2" "$3" "$4" "$5" "$6" "$7" "$8" "$9" >"$work/$1.config/config.json"
    python make "/host$work/$1.config" "/host$work/$1" bfloat16 || die "cannot make $1"
    for f in tokenizer.json tokenizer_config.json vocab.json merges.txt; do cp "$SRC/tests/data/families/qwen3_moe/hf/$f" "$work/$1"; done
}
plain() { python run "/host$work/$name" "/host$rows" plain "$threads"; }
routed() { python run "/host$work/$name" "/host$rows" routed "$threads"; }
every() { python run "/host$work/$name" "/host$rows" all "$threads"; }
ours_f32() { profile_secs "$work/$name" "$rows" -t "$threads" ${STEP:+-ub "$STEP"} --type f32; }
ours_bf16() { profile_secs "$work/$name" "$rows" -t "$threads" ${STEP:+-ub "$STEP"} --type bf16; }
engine() { REAP_BENCH_ENGINE_PRODUCTS=1 profile_secs "$work/$1.gguf" "$rows" -t "$threads"; }
ours() { profile_secs "$work/$1.gguf" "$rows" -t "$threads"; }

peers() {
    local all=()
    if [ "$name" = small ] || [ -n "${ALL:-}" ]; then all=(every); fi # of the wide one it takes minutes a round
    alternate "$rounds" plain routed ours_f32 ours_bf16 "${all[@]}"
    echo "== $name, $n tokens, $threads thread(s); tokens/s at best: plain $(per_sec "$n" "$(least_of 0)"), routed $(per_sec "$n" "$(least_of 1)"), reap f32 $(per_sec "$n" "$(least_of 2)"), bf16 $(per_sec "$n" "$(least_of 3)")"
    verdict 'reap f32 / plain forward' 2 1.5
    verdict 'reap f32 / observer of routed experts' 2 3 1
    verdict 'reap bf16 / plain forward' 3 1.5
    verdict 'reap bf16 / observer of routed experts' 3 3 1
    [ ${#all[@]} = 0 ] || verdict 'reap f32 / observer that runs all experts' 2 '' 4
}
# All matrices in a type; the engine's own products first.
types() {
    [ "$name" = wide ] || return 0
    [ -e "$work/Q4_K.gguf" ] || {
        "$REAP" convert "$work/$name" -o "$work/$name.gguf" -q &&
            "$REAP" quantize "$work/$name.gguf" Q4_K_M --pure -o "$work/Q4_K.gguf" -q &&
            "$REAP" quantize "$work/$name.gguf" MXFP4_MOE --pure -o "$work/MXFP4.gguf" -q || die "cannot quantise $name"
        rm "$work/$name.gguf"
    }
    alternate "$rounds" 'engine Q4_K' 'ours Q4_K' 'engine MXFP4' 'ours MXFP4'
    echo "== $name, $n tokens, $threads thread(s); tokens/s at best: Q4_K, the engine $(per_sec "$n" "$(least_of 0)"), reap $(per_sec "$n" "$(least_of 1)"); MXFP4, the engine $(per_sec "$n" "$(least_of 2)"), reap $(per_sec "$n" "$(least_of 3)")"
    verdict "Q4_K: reap / the engine's products" 1 2
    verdict "MXFP4: reap / the engine's products" 3 2 2
}

for name in ${WHICH:-small wide}; do
    rows=$work/$name.jsonl
    case $name in
    small) model small 6 192 4 2 64 32 96 4 && random_tokens 40 200 500 500 >"$rows" ;;
    wide) model wide "$layers" 2048 32 4 128 128 768 8 && random_tokens 6 500 510 500 >"$rows" ;;
    *) die "WHICH: no '$name'" ;;
    esac
    n=$(n_tokens "$rows")
    for threads in ${THREADS:-1 2}; do
        for way in $ways; do "$way"; done
    done
    rm -rf "${work:?}/$name"
done
