/* rnd1.c - RND1: Qwen3-MoE that fills in masked tokens, so its attention is not causal. */
#include "family/rules.h"

static const struct conversion rnd1 = {
    .flags = CONVERT_FILE_ONLY,
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, rules_attn, rules_head_norms,
                                               rules_moe, NULL},
    .keys =
        (const struct key_rule[]){
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"attention.causal", KEY_BOOL, "", "false"},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"norm_topk_prob", "true", "!",
             "the engine always makes the weights of the chosen experts sum to one"},
            {"decoder_sparse_step", "1", "1", "the engine expects experts in every block"},
            {"mlp_only_layers", "[]", "[]", "the engine expects experts in every block"},
            {"attention_bias", "false", "false", "the engine has no biases here"},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {NULL, NULL, NULL, NULL},
        },
};

const struct family family_rnd1 = {
    .arch = "rnd1",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_WHOLE | ENGINE_FIRST_TOP_K,
    .models = "RND1",
    .gate = SOFTMAX_NORM,
    .classes = {{"RND1", &rnd1}},
    NAMES(MLP),
};
