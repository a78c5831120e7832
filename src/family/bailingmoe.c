/* bailingmoe.c - Ling 1. */
#include "family/rules.h"

/* P: the rows of q, k and v in one. */
static const struct name_rule bailing_names[] = {
    {"attention.query_key_value.weight", "attn_q.weight", "PH", HOW_PERM_Q, 0, false},
    {"attention.query_key_value.weight", "attn_k.weight", "PH", HOW_PERM_K, 0, false},
    {"attention.query_key_value.weight", "attn_v.weight", "PH", HOW_ROWS_V, 0, false},
    {"attention.dense.weight", "attn_output.weight", "HQ", HOW_COPY, 0, false},
    END,
};

static bool bailing_derive(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f;
    f['P'] = f['Q'] + 2 * f['K'];
    f['S'] = f['X'] * f['s'];
    if (!f['S'])
        return err_set(e, ERR_INPUT,
                       "config.json: no shared experts; the engine expects them in this family");
    model_dense_first(m, 0);
    return true;
}

static const struct conversion bailing_moe = {
    .flags = CONVERT_NEEDS_OUTPUT | CONVERT_FILE_ONLY,
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, bailing_names, rules_moe,
                                               rules_shared, NULL},
    .facts = (const struct fact_rule[]){{'s', "num_shared_experts", "0"}, {0, NULL, NULL}},
    .keys =
        (const struct key_rule[]){
            {"rope.dimension_count", KEY_U32, "=D", NULL},
            {"leading_dense_block_count", KEY_U32, "first_k_dense_replace", "0"},
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"expert_shared_count", KEY_U32, "=s", NULL},
            {"expert_weights_scale", KEY_F32, "", "1"},
            {"expert_weights_norm", KEY_BOOL, "norm_topk_prob", "true"},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"first_k_dense_replace", "0", "0", "the engine expects experts in every block"},
            {"norm_head", "false", "false", "the columns of the head would have to be made of length one"},
            {"multi_gate", "false", "false", "the engine has one router in a block"},
            {"use_bias", "false", "false", "the engine has no biases here"},
            {"use_qkv_bias", "false", "false", "the engine has no biases here"},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {NULL, NULL, NULL, NULL},
        },
    .derive = bailing_derive,
};

const struct family family_bailingmoe = {
    .arch = "bailingmoe",
    .models = "Ling 1",
    .gate = "softmax, top-k, renormalised and scaled where the keys say so",
    .classes = {{"BailingMoeForCausalLM", &bailing_moe}},
    NAMES(MLP),
};
