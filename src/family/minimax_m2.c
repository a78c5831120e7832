/* minimax_m2.c - MiniMax-M2. */
#include "family/rules.h"

/* Norms over all heads together; experts w1, w3 (up), w2 as in Mixtral. */
static const struct name_rule minimax_names[] = {
    {"self_attn.q_norm.weight", "attn_q_norm.weight", "Q", HOW_COPY, 0, false},
    {"self_attn.k_norm.weight", "attn_k_norm.weight", "K", HOW_COPY, 0, false},
    {"block_sparse_moe.gate.weight", "ffn_gate_inp.weight", "EH", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.e_score_correction_bias", "exp_probs_b.bias", "E", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.experts.#.w1.weight", "ffn_gate_exps.weight", "XH", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.experts.#.w3.weight", "ffn_up_exps.weight", "XH", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.experts.#.w2.weight", "ffn_down_exps.weight", "HX", HOW_COPY, B_MOE, false},
    END,
};

/* Published configs say how much of a head is rotated by rotary_dim, those that transformers saved by a factor. */
static bool minimax_derive(struct family_model *m, struct err *e)
{
    return m->f['R'] || model_rotated(m, 1, e);
}

static const struct conversion minimax_m2 = {
    .flags = CONVERT_NEEDS_OUTPUT,
    .names =
        (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, rules_attn, minimax_names, NULL},
    .facts = (const struct fact_rule[]){{'X', "intermediate_size", NULL},
                                        {'R', "rotary_dim", "0"},
                                        {0, NULL, NULL}},
    .keys =
        (const struct key_rule[]){
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"rope.dimension_count", KEY_U32, "=R", NULL},
            {"expert_gating_func", KEY_GATING, "scoring_func", "sigmoid"},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"use_qk_norm", "true", "true", "the engine normalises q and k"},
            {"qk_norm_type", "per_layer", "per_layer", "the engine has one norm for all heads"},
            {"use_routing_bias", "true", "true", "the engine expects a selection bias"},
            {"shared_intermediate_size", "0", "0", "the engine has no shared experts here"},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {NULL, NULL, NULL, NULL},
        },
    .derive = minimax_derive,
};

const struct family family_minimax_m2 = {
    .arch = "minimax-m2",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_GATE_KEY,
    .models = "MiniMax-M2",
    .gate = FUNC_BY_KEY_NORM,
    .classes = {{"MiniMaxM2ForCausalLM", &minimax_m2}},
    NAMES(SPARSE, CORRECTION),
    .tokenizers = {{.model_types = "minimax*", .pre = "minimax-m2"}},
};
