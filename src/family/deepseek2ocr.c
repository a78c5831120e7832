/* deepseek2ocr.c - the language model of DeepSeek-OCR and OCR 2: DeepSeek-V2 with plain attention. */
#include "family/rules.h"

static bool ocr_derive(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f;
    f['S'] = f['X'] * f['s'];
    if (!f['S'])
        return err_set(e, ERR_INPUT,
                       "config.json: no shared experts; the engine expects them in this family");
    return model_heads_equal(m, e) && model_lead(m, model_number(m, "first_k_dense_replace", 0), e);
}

static const struct conversion deepseek_ocr = {
    .flags = CONVERT_HEADS_FILL | CONVERT_ROPE_UNSAID,
    .names =
        (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, rules_attn, rules_dense, rules_moe,
                                          rules_moe_fused, rules_select_bias_optional, rules_shared, NULL},
    .facts = (const struct fact_rule[]){{'s', "n_shared_experts", "0"}, {0, NULL, NULL}},
    .keys =
        (const struct key_rule[]){
            {"attention.layer_norm_rms_epsilon", KEY_F32, "rms_norm_eps", "1e-6"},
            {"rope.dimension_count", KEY_U32, "qk_rope_head_dim", NULL}, /* 0, and not read */
            {"leading_dense_block_count", KEY_U32, "=l", NULL},
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"expert_shared_count", KEY_U32, "=s", NULL},
            {"expert_weights_scale", KEY_F32, "routed_scaling_factor", NULL},
            {"expert_weights_norm", KEY_BOOL, "norm_topk_prob", NULL},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"use_mla", "false", "false", "the engine has plain attention here"},
            {"rope_parameters.rope_theta|rope_theta", "10000", "10000",
             "the engine rotates by this base alone"},
            {"rope_scaling", "null", "null", "the engine does not scale the rotation here"},
            {"rope_parameters.rope_type", "default", "default",
             "the engine does not scale the rotation here"},
            {"sliding_window_size|sliding_window", "0", "0", "the engine has no windows here"},
            {"moe_layer_freq", "1", "1", "the engine expects experts in every block behind the dense ones"},
            {"attention_bias", "false", "false", "the engine has no biases here"},
            {"mlp_bias", "false", "false", "the engine has no biases here"},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {NULL, NULL, NULL, NULL},
        },
    .derive = ocr_derive,
};

const struct family family_deepseek2ocr = {
    .arch = "deepseek2-ocr",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_HEADS_FILL | ENGINE_ROPE_FIXED,
    .models = "DeepSeek-OCR, OCR 2",
    .gate = BY_KEYS,
    .classes = {{"DeepseekOCRForCausalLM", &deepseek_ocr},
                {"DeepseekOCR2ForCausalLM", &deepseek_ocr},
                {"DeepseekOcr2ForConditionalGeneration", &deepseek_ocr}},
    NAMES(MLP, CORRECTION),
};
