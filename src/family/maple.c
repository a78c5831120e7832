/* maple.c - Maple: windows with a rotation, whole attention without. */
#include "family/rules.h"

static bool maple_derive(struct family_model *m, struct err *e)
{
    return model_rotated(m, 1, e) && model_windows(m, e);
}

static const struct conversion maple = {
    .flags = CONVERT_NEEDS_OUTPUT | CONVERT_FILE_ONLY,
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, rules_attn, rules_head_norms,
                                               rules_moe, NULL},
    .facts = (const struct fact_rule[]){{'F', "intermediate_size", "=X"}, {0, NULL, NULL}},
    .keys =
        (const struct key_rule[]){
            {"rope.dimension_count", KEY_U32, "=R", NULL},
            {"attention.sliding_window", KEY_U32, "sliding_window", "!"},
            {"attention.sliding_window_pattern", KEY_BOOL, "=w", NULL},
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            /* no key of the config: a number of the model's code, as the engine's converter has it */
            {"swiglu_clamp_exp", KEY_F32_BLOCKS, "", "7"},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"norm_topk_prob", "true", "true",
             "the engine always makes the weights of the chosen experts sum to one"},
            {"nope_on_global_attention", "true", "!", "the engine rotates in windows alone"},
            {"num_shared_experts", "0|null", "0", "the engine has no shared experts here"},
            {"attention_bias", "false", "false", "the engine has no biases here"},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {NULL, NULL, NULL, NULL},
        },
    .derive = maple_derive,
};

const struct family family_maple = {
    .arch = "maple",
    .engine = ENGINE_HEADS_EQUAL,
    .models = "Maple",
    .gate = SOFTMAX_NORM,
    .classes = {{"MapleForCausalLM", &maple}},
    NAMES(MLP),
};
