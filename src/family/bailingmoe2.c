/* bailingmoe2.c - Ling 2 and Ring 2. */
#include "family/rules.h"

/* P: the rows of q, k and v in one. */
static const struct name_rule bailing_names[] = {
    {"attention.query_key_value.weight", "attn_qkv.weight", "PH", HOW_COPY, 0, false},
    {"attention.dense.weight", "attn_output.weight", "HQ", HOW_COPY, 0, false},
    {"attention.query_layernorm.weight", "attn_q_norm.weight", "D", HOW_COPY, 0, false},
    {"attention.key_layernorm.weight", "attn_k_norm.weight", "D", HOW_COPY, 0, false},
    {"mlp.gate.expert_bias", "exp_probs_b.bias", "E", HOW_COPY, B_MOE, true},
    {"final_layernorm.weight", "layer_output_norm.weight", "H", HOW_COPY, B_MTP, false},
    END,
};

static bool bailing_derive(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f;
    f['P'] = f['Q'] + 2 * f['K'];
    f['S'] = f['X'] * f['s'];
    if (f['s'] != 1) /* it multiplies the width of all by their number */
        return err_set(e, ERR_INPUT, "config.json: 'num_shared_experts' is %llu, the engine expects 1",
                       (unsigned long long)f['s']);
    return model_dense_by_key(m, "first_k_dense_replace", e) && model_rotated(m, 0.5, e);
}

static const struct conversion bailing_moe_v2 = {
    .flags = CONVERT_MTP_KEPT | CONVERT_NEEDS_OUTPUT | CONVERT_HEADS_FILL | CONVERT_FILE_ONLY,
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, bailing_names, rules_dense,
                                               rules_moe, rules_shared, rules_nextn, NULL},
    .facts = (const struct fact_rule[]){{'s', "num_shared_experts", "0"}, {0, NULL, NULL}},
    .keys =
        (const struct key_rule[]){
            {"rope.dimension_count", KEY_U32, "=R", NULL},
            {"leading_dense_block_count", KEY_U32, "first_k_dense_replace", "0"},
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"expert_shared_feed_forward_length", KEY_U32, "=S", NULL},
            {"expert_shared_count", KEY_U32, "=s", NULL},
            {"expert_weights_scale", KEY_F32, "routed_scaling_factor", "1"},
            {"expert_weights_norm", KEY_BOOL, "norm_topk_prob", "true"},
            {"expert_gating_func", KEY_GATING, "score_function", "sigmoid"},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"use_qk_norm", "true", "true", "the engine normalises q and k"},
            {"use_bias", "false", "false", "the engine has no biases here"},
            {"use_qkv_bias", "false", "false", "the engine has no biases here"},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {NULL, NULL, NULL, NULL},
        },
    .derive = bailing_derive,
};

const struct family family_bailingmoe2 = {
    .arch = "bailingmoe2",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_HEADS_FILL | ENGINE_FIRST_TOP_K | ENGINE_GATE_KEY,
    .models = "Ling 2, Ring 2",
    .gate = BY_KEYS,
    .classes = {{"BailingMoeV2ForCausalLM", &bailing_moe_v2}},
    NAMES(MLP, CORRECTION),
    .tokenizers = {{.model_types = "bailing_moe_*", .pre = "bailingmoe2"}},
};
