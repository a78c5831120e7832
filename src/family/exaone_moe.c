/* exaone_moe.c - EXAONE-MoE. */
#include "family/rules.h"

static const struct name_rule exaone_select[] = {
    {"mlp.e_score_correction_bias", "exp_probs_b.bias", "E", HOW_COPY, B_MOE, true},
    END,
};

/* w: whether a block attends to a window; those that do not are not rotated either. */
static bool exaone_derive(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f;
    f['S'] = f['X'] * f['s'];
    if (!f['S'])
        return err_set(e, ERR_INPUT,
                       "config.json: no shared experts; the engine expects them in this family");
    if (!model_dense_by_key(m, "first_k_dense_replace", e))
        return false;
    for (uint64_t i = 0; i < m->n_blocks; i++)
        model_set_block(m, 'w', i, (i + 1) % 4 != 0);
    return model_layer_types(m, 4, e);
}

static const struct conversion exaone_moe = {
    .flags = CONVERT_NEEDS_OUTPUT | CONVERT_ROPE_FREQS,
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, rules_attn, rules_head_norms,
                                               rules_dense, rules_moe, rules_select_bias_optional,
                                               exaone_select, rules_shared, NULL},
    .facts = (const struct fact_rule[]){{'s', "num_shared_experts", "0"}, {0, NULL, NULL}},
    .keys =
        (const struct key_rule[]){
            {"attention.sliding_window", KEY_U32, "sliding_window", "!"},
            {"attention.sliding_window_pattern", KEY_BOOL, "=w", NULL},
            {"leading_dense_block_count", KEY_U32, "first_k_dense_replace", "0"},
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"expert_shared_count", KEY_U32, "=s", NULL},
            {"expert_shared_feed_forward_length", KEY_U32, "=S", NULL},
            {"expert_weights_scale", KEY_F32, "routed_scaling_factor", "1"},
            {"expert_weights_norm", KEY_BOOL, "norm_topk_prob", "true"},
            {"expert_gating_func", KEY_GATING, "scoring_func", "sigmoid"},
            {"nextn_predict_layers", KEY_U32, "", "0"}, /* the engine would skip them */
            {"rope.scaling.type", KEY_TEXT, "", "none"},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"sliding_window_pattern", "LLLG|4|null", "null",
             "the engine has full attention in every fourth layer"},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {NULL, NULL, NULL, NULL},
        },
    .derive = exaone_derive,
};

const struct family family_exaone_moe = {
    .arch = "exaone-moe",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_WHOLE | ENGINE_GATE_KEY,
    .models = "EXAONE-MoE",
    .gate = BY_KEYS,
    .classes = {{"ExaoneMoEForCausalLM", &exaone_moe}, {"ExaoneMoeForCausalLM", &exaone_moe}},
    NAMES(MLP, CORRECTION),
    .tokenizers = {{.model_types = "exaone4*", .pre = "exaone4 exaone"},
                   {.model_types = "exaone*", .pre = "exaone"}},
};
