/* lfm2moe.c - LFM2-MoE: short convolutions and attention in turn, the first blocks dense. */
#include "family/rules.h"

/* k: length of the convolution; c = 3 H: its three inputs; m: dense blocks. */
static const struct name_rule lfm2_names[] = {
    {"operator_norm.weight", "attn_norm.weight", "H", HOW_COPY, 0, false},
    {"ffn_norm.weight", "ffn_norm.weight", "H", HOW_COPY, 0, false},
    {"conv.conv.weight", "shortconv.conv.weight", "H1k", HOW_SQUEEZE, B_SSM, false},
    {"conv.in_proj.weight", "shortconv.in_proj.weight", "cH", HOW_COPY, B_SSM, false},
    {"conv.out_proj.weight", "shortconv.out_proj.weight", "HH", HOW_COPY, B_SSM, false},
    {"self_attn.q_proj.weight", "attn_q.weight", "QH", HOW_COPY, B_ATTN, false},
    {"self_attn.k_proj.weight", "attn_k.weight", "KH", HOW_COPY, B_ATTN, false},
    {"self_attn.v_proj.weight", "attn_v.weight", "KH", HOW_COPY, B_ATTN, false},
    {"self_attn.out_proj.weight", "attn_output.weight", "HQ", HOW_COPY, B_ATTN, false},
    {"self_attn.q_layernorm.weight", "attn_q_norm.weight", "D", HOW_COPY, B_ATTN, false},
    {"self_attn.k_layernorm.weight", "attn_k_norm.weight", "D", HOW_COPY, B_ATTN, false},
    {"feed_forward.w1.weight", "ffn_gate.weight", "FH", HOW_COPY, B_DENSE, false},
    {"feed_forward.w3.weight", "ffn_up.weight", "FH", HOW_COPY, B_DENSE, false},
    {"feed_forward.w2.weight", "ffn_down.weight", "HF", HOW_COPY, B_DENSE, false},
    {"feed_forward.gate.weight", "ffn_gate_inp.weight", "EH", HOW_COPY, B_MOE, false},
    {"feed_forward.expert_bias", "exp_probs_b.bias", "E", HOW_COPY, B_MOE, false},
    {"feed_forward.experts.#.w1.weight", "ffn_gate_exps.weight", "XH", HOW_COPY, B_MOE, false},
    {"feed_forward.experts.#.w3.weight", "ffn_up_exps.weight", "XH", HOW_COPY, B_MOE, false},
    {"feed_forward.experts.#.w2.weight", "ffn_down_exps.weight", "HX", HOW_COPY, B_MOE, false},
    END,
};
static const struct name_rule lfm2_globals[] = {
    {"embed_tokens.weight", "token_embd.weight", "VH", HOW_COPY, 0, false},
    {"embedding_norm.weight", "token_embd_norm.weight", "H", HOW_COPY, 0, false},
    {"lm_head.weight", "output.weight", "VH", HOW_COPY, 0, true},
    END,
};

static bool lfm2_derive(struct family_model *m, struct err *e)
{
    static const struct kind_word words[] = {{"conv", B_SSM}, {"full_attention", B_ATTN}, {NULL, 0}};
    uint64_t *f = m->f;
    f['c'] = 3 * f['H'];
    if (f['m'] > f['L'])
        return model_key_too_large("num_dense_layers", e);
    if (!model_kinds_by_words(m, "layer_types", words, e))
        return false;
    for (uint64_t i = 0; i < f['L']; i++) {
        m->kinds[i] = (m->kinds[i] & (B_SSM | B_ATTN)) | (i < f['m'] ? B_DENSE : B_MOE);
        model_set_block(m, 'M', i, m->kinds[i] & B_ATTN ? f['M'] : 0);
    }
    return true;
}

static const struct conversion lfm2_moe = {
    .flags = CONVERT_HEADS_FILL,
    .names = (const struct name_rule *const[]){lfm2_names, NULL},
    .globals = lfm2_globals,
    .facts = (const struct fact_rule[]){{'k', "conv_L_cache", NULL},
                                        {'m', "num_dense_layers", "0"},
                                        {0, NULL, NULL}},
    .keys =
        (const struct key_rule[]){
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"leading_dense_block_count", KEY_U32, "=m", NULL},
            {"expert_gating_func", KEY_GATING, "", "sigmoid"},
            {"shortconv.l_cache", KEY_U32, "=k", NULL},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"conv_bias", "false", "false", "the engine has no biases here"},
            {"use_expert_bias", "true", "true", "the engine expects a bias of the choice"},
            {"norm_topk_prob", "true", "true",
             "the engine always makes the weights of the chosen experts sum to one"},
            {"routed_scaling_factor", "1", "1", "the engine does not scale the experts"},
            {NULL, NULL, NULL, NULL},
        },
    .derive = lfm2_derive,
};

const struct family family_lfm2moe = {
    .arch = "lfm2moe",
    .engine = ENGINE_GATE_KEY | ENGINE_SHORTCONV,
    .models = "LFM2-MoE",
    .gate = FUNC_BY_KEY_NORM,
    .classes = {{"Lfm2MoeForCausalLM", &lfm2_moe}},
    NAMES(.block = "feed_forward", .experts = "experts", .router = "gate", CORRECTION),
    .tokenizers = {{.model_types = "lfm2*", .pre = "lfm2"}},
};
