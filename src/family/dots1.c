/* dots1.c - dots.llm1. */
#include "family/rules.h"

static bool dots_derive(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f;
    f['S'] = f['X'] * f['s'];
    if (!f['S'])
        return err_set(e, ERR_INPUT,
                       "config.json: no shared experts; the engine expects them in this family");
    return model_dense_by_key(m, "first_k_dense_replace", e) && model_heads_equal(m, e);
}

static const struct conversion dots1 = {
    .flags = CONVERT_NEEDS_OUTPUT,
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, rules_attn, rules_head_norms,
                                               rules_dense, rules_moe, rules_select_bias_optional,
                                               rules_shared, NULL},
    .facts = (const struct fact_rule[]){{'s', "n_shared_experts", "0"}, {0, NULL, NULL}},
    .keys =
        (const struct key_rule[]){
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"expert_shared_count", KEY_U32, "=s", NULL},
            {"leading_dense_block_count", KEY_U32, "first_k_dense_replace", "0"},
            {"expert_gating_func", KEY_GATING, "scoring_func", "sigmoid"},
            {"expert_weights_scale", KEY_F32, "routed_scaling_factor", "1"},
            {"expert_weights_norm", KEY_BOOL, "norm_topk_prob", "false"},
            {"expert_group_count", KEY_U32, "n_group", "1"},
            {"expert_group_used_count", KEY_U32, "topk_group", "1"},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"moe_layer_freq", "1", "1", "the engine expects experts in every block behind the dense ones"},
            {"attention_bias", "false", "false", "the engine has no biases here"},
            {"sliding_window", "null", "null", "the engine attends to the whole context"},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {NULL, NULL, NULL, NULL},
        },
    .derive = dots_derive,
};

const struct family family_dots1 = {
    .arch = "dots1",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_WHOLE | ENGINE_GATE_KEY,
    .models = "dots.llm1",
    .gate = BY_KEYS,
    .classes = {{"Dots1ForCausalLM", &dots1}},
    NAMES(MLP),
};
