/* olmoe.c - OLMoE. */
#include "family/rules.h"

static const struct name_rule olmoe_norms[] = {
    {"self_attn.q_norm.weight", "attn_q_norm.weight", "H", HOW_COPY, 0, false},
    {"self_attn.k_norm.weight", "attn_k_norm.weight", "H", HOW_COPY, 0, false},
    END,
};

static bool olmoe_derive(struct family_model *m, struct err *e)
{
    return model_heads_equal(m, e);
}

static const struct conversion olmoe = {
    .flags = CONVERT_NEEDS_OUTPUT | CONVERT_HEADS_FILL,
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, rules_attn, olmoe_norms,
                                               rules_moe, NULL},
    .facts = (const struct fact_rule[]){{'X', "intermediate_size", NULL}, {0, NULL, NULL}},
    .keys =
        (const struct key_rule[]){
            {"attention.layer_norm_rms_epsilon", KEY_F32, "rms_norm_eps", "1e-5"},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"norm_topk_prob", "false", "false",
             "the engine never makes the weights of the chosen experts sum to one"},
            {"clip_qkv", "null", "null", "the engine does not clip q, k and v"},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {NULL, NULL, NULL, NULL},
        },
    .derive = olmoe_derive,
};

const struct family family_olmoe = {
    .arch = "olmoe",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_WHOLE,
    .models = "OLMoE",
    .gate = SOFTMAX,
    .classes = {{"OlmoeForCausalLM", &olmoe}},
    NAMES(MLP),
    .tokenizers = {{.model_types = "olmo*", .pre = "olmo"}},
};
