#!/usr/bin/env bash
# A profile against the way of today: the same checkpoint in transformers, float32, a plain forward pass, with an observer of the routed
# experts, and with one that runs all of them (peers.py). A small model of tinymoe's shape, and one of Qwen3-30B-A3B's widths.
#
#   bench/peers.sh     environment: REAP, SRC, BIN, TMPDIR (8 GB); ROUNDS (default 3); THREADS (default 1); LAYERS of the wide one (default 2);
#                      WHICH (default "small wide"). Root and the reference (tests/interop/reference-env.sh), as `make interop`.
. "$(dirname "$0")/common.sh"
rounds=${ROUNDS:-3} threads=${THREADS:-1}
reference=${REAP_REFERENCE:-${REAP_CACHE:-$HOME/.cache/reap}/reference}
env=$SRC/tests/interop/reference-env.sh
need_space 8
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
ours_f32() { profile_secs "$work/$name" "$rows" -t "$threads" --type f32; }
ours_bf16() { profile_secs "$work/$name" "$rows" -t "$threads" --type bf16; }

for name in ${WHICH:-small wide}; do
    rows=$work/$name.jsonl
    case $name in
    small) model small 6 192 4 2 64 32 96 4 && random_tokens 40 200 500 500 >"$rows" ;;
    wide) model wide "${LAYERS:-2}" 2048 32 4 128 128 768 8 && random_tokens 6 500 510 500 >"$rows" ;;
    *) die "WHICH: no '$name'" ;;
    esac
    n=$(n_tokens "$rows")
    alternate "$rounds" plain routed every ours_f32 ours_bf16
    echo "== $name, $n tokens, $threads thread(s); tokens/s at best: plain $(per_sec "$n" "$(least_of 0)"), routed $(per_sec "$n" "$(least_of 1)"), all $(per_sec "$n" "$(least_of 2)"), reap f32 $(per_sec "$n" "$(least_of 3)"), bf16 $(per_sec "$n" "$(least_of 4)")"
    verdict 'reap f32 / plain forward' 3 1.5
    verdict 'reap f32 / observer of routed experts' 3 3 1
    verdict 'reap f32 / observer that runs all experts' 3 '' 2
    verdict 'reap bf16 / plain forward' 4 1.5
    verdict 'reap bf16 / observer of routed experts' 4 3 1
    rm -rf "${work:?}/$name"
done
