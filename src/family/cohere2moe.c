/* cohere2moe.c - Command with experts: attention and experts side by side, behind one norm. */
#include "family/rules.h"

static bool cohere_derive(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f;
    uint32_t gate = conf_get(m->conf, "expert_selection_fn"), norm = conf_get(m->conf, "norm_topk_prob");
    f['S'] = f['X'] * f['s'];
    /* transformers, modeling_cohere2_moe.py: the softmax is over the chosen ones */
    if ((gate == JSPAN_NONE || !jdoc_str_is(m->conf->d, gate, "sigmoid")) &&
        (norm == JSPAN_NONE || m->conf->d->nodes[norm].kind != J_TRUE))
        return err_set(
            e, ERR_INPUT,
            "config.json: 'norm_topk_prob' is not true with a softmax as 'expert_selection_fn'; the model's "
            "weights sum to one, the engine's would not");
    return model_lead(m, model_number(m, "first_k_dense_replace", 0), e) && model_windows(m, e);
}

static const struct conversion cohere2_moe = {
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_attn, rules_dense, rules_moe,
                                               rules_shared, NULL},
    .facts =
        (const struct fact_rule[]){
            {'X', "intermediate_size", NULL},
            {'F', "prefix_dense_intermediate_size|intermediate_size", NULL},
            {'s', "num_shared_experts", "0"},
            {0, NULL, NULL},
        },
    .keys =
        (const struct key_rule[]){
            {"logit_scale", KEY_F32, "logit_scale", "!"},
            {"attention.layer_norm_rms_epsilon", KEY_F32, "rms_norm_eps", NULL},
            {"attention.layer_norm_epsilon", KEY_F32, "layer_norm_eps", NULL},
            {"attention.sliding_window", KEY_U32, "sliding_window", "!"},
            {"attention.sliding_window_pattern", KEY_BOOL_TRUNK, "=w", NULL},
            {"rope.dimension_count", KEY_U32, "=D", NULL},
            {"rope.scaling.type", KEY_TEXT, "", "none"},
            {"leading_dense_block_count", KEY_U32, "=l", NULL},
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"expert_shared_count", KEY_U32, "=s", NULL},
            {"expert_shared_feed_forward_length", KEY_U32, "=S", NULL},
            {"expert_weights_norm", KEY_BOOL, "norm_topk_prob", "false"},
            {"expert_gating_func", KEY_GATING, "expert_selection_fn", "softmax"},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"shared_expert_combination_strategy", "average", "average",
             "the engine takes the mean of experts and shared experts"},
            {"prefix_dense_sliding_window_pattern", "1", "1", "the engine rotates in all dense blocks"},
            {"rope_scaling", "null", "null", "the engine does not scale the rotation here"},
            {"attention_bias", "false", "false", "the engine has no biases here"},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {NULL, NULL, NULL, NULL},
        },
    .derive = cohere_derive,
};

const struct family family_cohere2moe = {
    .arch = "cohere2moe",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_WHOLE | ENGINE_MTP_ALONE,
    .down_scale = true,
    .models = "Command MoE",
    .gate = BY_KEYS,
    .classes = {{"Cohere2MoeForCausalLM", &cohere2_moe}},
    NAMES(MLP),
    .tokenizers = {{.model_types = "cohere2_moe*", .pre = "cohere2moe command-r"},
                   {.model_types = "cohere*", .pre = "command-r"}},
};
