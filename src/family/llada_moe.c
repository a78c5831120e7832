/* llada_moe.c - LLaDA-MoE, which fills in masked tokens: its attention is not causal. */
#include "family/rules.h"

static const struct conversion llada_moe = {
    .flags = CONVERT_NEEDS_OUTPUT | CONVERT_HEADS_FILL | CONVERT_FILE_ONLY,
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, rules_attn, rules_head_norms,
                                               rules_moe, NULL},
    .facts =
        (const struct fact_rule[]){
            {'X', "expert_intermediate_size", NULL},
            {'F', "dense_intermediate_size|intermediate_size", "=X"},
            {0, NULL, NULL},
        },
    .keys =
        (const struct key_rule[]){
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"attention.causal", KEY_BOOL, "", "false"},
            {"diffusion.shift_logits", KEY_BOOL, "", "false"},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"norm_topk_prob", "null|false", "null",
             "the engine never makes the weights of the chosen experts sum to one"},
            {"qk_layernorm", "true", "true", "the engine normalises q and k"},
            {"shared_expert_intermediate_size", "null|0", "null", "the engine has no shared experts here"},
            {"routed_scaling_factor", "null|1", "null", "the engine does not scale the gates here"},
            {"partial_rotary_factor", "1", "1", "the engine rotates whole heads"},
            {"qkv_bias|attention_bias", "false", "false", "the engine has no biases here"},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {NULL, NULL, NULL, NULL},
        },
};

const struct family family_llada_moe = {
    .arch = "llada-moe",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_WHOLE | ENGINE_FIRST_TOP_K,
    .models = "LLaDA-MoE",
    .gate = SOFTMAX,
    .classes = {{"LLaDAMoEModelLM", &llada_moe}, {"LLaDAMoEModel", &llada_moe}},
    NAMES(MLP),
    .tokenizers = {{.model_types = "llada*", .pre = "llada-moe"}},
};
