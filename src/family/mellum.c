/* mellum.c - Mellum 2: Qwen3-MoE with windows of attention in some layers. */
#include "family/rules.h"

static bool mellum_derive(struct family_model *m, struct err *e)
{
    double whole, near;
    if (!model_lead(m, 0, e))
        return false;
    if (m->f['l'])
        return err_set(e, ERR_INPUT,
                       "config.json: 'mlp_layer_types' has dense layers; the engine expects none");
    if (jdoc_f64(m->conf->d, conf_rope(m->conf, "rope_theta"), &whole) &&
        jdoc_f64(m->conf->d, conf_rope_window(m->conf, "rope_theta"), &near) && whole != near)
        return err_set(
            e, ERR_INPUT,
            "config.json: 'rope_theta' of sliding attention is %g, expected %g: the engine rotates all "
            "layers alike",
            near, whole);
    return model_windows(m, e);
}

static const struct conversion mellum = {
    .flags = CONVERT_NEEDS_OUTPUT,
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, rules_attn, rules_head_norms,
                                               rules_moe, rules_moe_fused, NULL},
    .keys =
        (const struct key_rule[]){
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"attention.sliding_window", KEY_U32, "sliding_window", "!"},
            {"attention.sliding_window_pattern", KEY_BOOL, "=w", NULL},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"use_sliding_window", "true", "true", "models without windows are not known"},
            {"norm_topk_prob", "true", "true",
             "the engine always makes the weights of the chosen experts sum to one"},
            {"attention_bias", "false", "false", "the engine has no biases here"},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {NULL, NULL, NULL, NULL},
        },
    .derive = mellum_derive,
};

const struct family family_mellum = {
    .arch = "mellum",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_WHOLE | ENGINE_FIRST_TOP_K,
    .down_scale = true,
    .models = "Mellum MoE",
    .gate = SOFTMAX_NORM,
    .classes = {{"MellumForCausalLM", &mellum}},
    NAMES(MLP),
};
