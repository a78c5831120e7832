/* glm4moe.c - GLM-4.5 and 4.6, the text of 4.5V, Solar Open. */
#include "family/rules.h"

static const struct name_rule glm_names[] = {
    {"self_attn.q_norm.weight", "attn_q_norm.weight", "D", HOW_COPY, 0, true},
    {"self_attn.k_norm.weight", "attn_k_norm.weight", "D", HOW_COPY, 0, true},
    END,
};

static bool glm_derive(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f;
    f['S'] = f['X'] * f['s'];
    return model_rotated(m, 0.5, e) && model_dense_by_key(m, "first_k_dense_replace", e);
}

/* clang-format off */
#define GLM_KEYS \
    {"expert_feed_forward_length", KEY_U32, "=X", NULL}, \
    {"expert_shared_count", KEY_U32, "=s", NULL}, \
    {"leading_dense_block_count", KEY_U32, "first_k_dense_replace", "0"}, \
    {"rope.dimension_count", KEY_U32, "=R", NULL}, \
    {"expert_gating_func", KEY_GATING, "scoring_func", "sigmoid"}, \
    {"expert_weights_scale", KEY_F32, "routed_scaling_factor", NULL}, \
    {"expert_weights_norm", KEY_BOOL, "norm_topk_prob", NULL}
/* clang-format on */

static const struct name_rule *const glm4_names[] = {rules_pre_norm,
                                                     rules_post_norm,
                                                     rules_attn,
                                                     rules_qkv_bias_optional,
                                                     rules_dense,
                                                     rules_moe,
                                                     rules_select_bias,
                                                     rules_shared,
                                                     rules_nextn,
                                                     glm_names,
                                                     NULL};
static const struct fact_rule glm_facts[] = {{'s', "n_shared_experts", "0"}, {0, NULL, NULL}};
static const struct must_rule glm_musts[] = {{"hidden_act", "silu", "silu", rules_silu_only},
                                             {NULL, NULL, NULL, NULL}};

static const struct conversion glm4_moe = {
    .flags = CONVERT_MTP_KEPT,
    .names = glm4_names,
    .facts = glm_facts,
    .keys = (const struct key_rule[]){GLM_KEYS, {NULL, KEY_U32, NULL, NULL}},
    .musts = glm_musts,
    .derive = glm_derive,
};

/* GLM-4.5V, its text. */
static const struct conversion glm4v_moe = {
    .flags = CONVERT_MTP_KEPT,
    .names = glm4_names,
    .facts = glm_facts,
    .keys = (const struct key_rule[]){GLM_KEYS,
                                      {"rope.dimension_sections", KEY_SECTIONS, "mrope_section", "!"},
                                      {NULL, KEY_U32, NULL, NULL}},
    .musts = glm_musts,
    .derive = glm_derive,
};

const struct family family_glm4moe = {
    .arch = "glm4moe",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_FIRST_TOP_K | ENGINE_MTP_ALONE | ENGINE_MTP_RUNS,
    .models = "GLM-4.5, 4.5V, 4.6, Air, Solar Open",
    .gate = BY_KEYS,
    .classes = {{"Glm4MoeForCausalLM", &glm4_moe},
                {"SolarOpenForCausalLM", &glm4_moe},
                {"Glm4vMoeForConditionalGeneration", &glm4v_moe}},
    NAMES(MLP),
    .tokenizers = {{.model_types = "glm4*", .pre = "glm4", GLM_TOKENIZER},
                   {.model_types = "glm*", .pre = "glm4"},
                   {.model_types = "chatglm*", .pre = "chatglm-bpe"},
                   {.model_types = "solar_open*",
                    .pre = "solar-open",
                    .bos = "<|startoftext|>",
                    .eos = "<|endoftext|>",
                    .eot = "<|endoftext|>",
                    .unk = "<unk>"}},
};
