/* deepseek.c - DeepSeek-MoE, the first of DeepSeek's. */
#include "family/rules.h"

static bool deepseek_derive(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f;
    f['S'] = f['X'] * f['s'];
    if (!f['S'])
        return err_set(e, ERR_INPUT,
                       "config.json: no shared experts; the engine expects them in this family");
    return model_dense_by_key(m, "first_k_dense_replace", e);
}

static const struct conversion deepseek = {
    .flags = CONVERT_HEADS_FILL | CONVERT_FILE_ONLY,
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, rules_attn_permuted,
                                               rules_dense, rules_moe, rules_shared, NULL},
    .facts = (const struct fact_rule[]){{'s', "n_shared_experts", "0"}, {0, NULL, NULL}},
    .keys =
        (const struct key_rule[]){
            {"rope.dimension_count", KEY_U32, "=D", NULL},
            {"rope.scaling.type", KEY_TEXT, "", "none"},
            {"leading_dense_block_count", KEY_U32, "first_k_dense_replace", "0"},
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"expert_shared_count", KEY_U32, "=s", NULL},
            {"expert_weights_scale", KEY_F32, "", "1"},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"moe_layer_freq", "1", "1", "the engine expects experts in every block behind the dense ones"},
            {"norm_topk_prob", "false", "false", "the engine does not renormalise here"},
            {"scoring_func", "softmax", "softmax", "the engine computes the softmax here"},
            {"rope_scaling", "null", "null", "the engine does not scale the rotation here"},
            {"attention_bias", "false", "false", "the engine has no biases here"},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {NULL, NULL, NULL, NULL},
        },
    .derive = deepseek_derive,
};

const struct family family_deepseek = {
    .arch = "deepseek",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_WHOLE,
    .models = "DeepSeek-MoE",
    .gate = SOFTMAX,
    .classes = {{"DeepseekForCausalLM", &deepseek}},
    NAMES(MLP),
};
