/* qwen.c - Qwen3-MoE, what sees and hears beside it, and Qwen2-MoE. */
#include "family/rules.h"

static const char qwen_all_moe[] = "the engine expects experts in every block";

static const struct key_rule expert_length[] = {
    {"expert_feed_forward_length", KEY_U32, "=X", NULL},
    {NULL, KEY_U32, NULL, NULL},
};

static const struct conversion qwen3_moe = {
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, rules_attn, rules_head_norms,
                                               rules_moe, rules_moe_fused, NULL},
    .keys = expert_length,
    .musts =
        (const struct must_rule[]){
            {"norm_topk_prob", "true", "false",
             "the engine always makes the weights of the chosen experts sum to one"},
            {"decoder_sparse_step", "1", "1", qwen_all_moe},
            {"mlp_only_layers", "[]", "[]", qwen_all_moe},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {"use_sliding_window", "false", "false", "the engine attends to the whole context"},
            {NULL, NULL, NULL, NULL},
        },
};

/* Of checkpoints that were published the stacked experts are [E, H, 2X] and [E, X, H]; transformers 5 saves
 * them the other way round, which rules_moe_fused has. */
static const struct name_rule qwen3_vl_moe_fused[] = {
    {"mlp.experts.gate_up_proj", "ffn_gate_exps.weight", "EHG", HOW_SWAP_FIRST, B_MOE, false},
    {"mlp.experts.gate_up_proj", "ffn_up_exps.weight", "EHG", HOW_SWAP_SECOND, B_MOE, false},
    {"mlp.experts.down_proj", "ffn_down_exps.weight", "EXH", HOW_SWAP, B_MOE, false},
    END,
};

/* v: layers to which the vision part adds its own. */
static bool qwen3_vl_derive(struct family_model *m, struct err *e)
{
    const struct jdoc *d = m->conf->d;
    uint32_t vision = jdoc_get(d, 0, "vision_config"), list = JSPAN_NONE;
    if (vision != JSPAN_NONE && d->nodes[vision].kind == J_OBJECT)
        list = jdoc_get(d, vision, "deepstack_visual_indexes");
    if (list != JSPAN_NONE && d->nodes[list].kind == J_ARRAY)
        m->f['v'] = d->nodes[list].n;
    return m->f['v'] <= m->f['L'] || model_key_too_large("deepstack_visual_indexes", e);
}

/* Qwen3-Omni has thinker_config in the place of vision_config at the root: 0 layers, as the engine's converter
 * writes. */
static const struct conversion qwen3_vl_moe = {
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, rules_attn, rules_head_norms,
                                               rules_moe, qwen3_vl_moe_fused, rules_moe_fused, NULL},
    .keys =
        (const struct key_rule[]){
            {"rope.dimension_sections", KEY_SECTIONS, "mrope_section", "!"},
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"n_deepstack_layers", KEY_U32, "=v", NULL},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"norm_topk_prob", "true", "true",
             "the engine always makes the weights of the chosen experts sum to one"},
            {"decoder_sparse_step", "1", "1", qwen_all_moe},
            {"mlp_only_layers", "[]", "[]", qwen_all_moe},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {"attention_bias", "false", "false", "the engine has no biases here"},
            {NULL, NULL, NULL, NULL},
        },
    .derive = qwen3_vl_derive,
};

static const struct conversion qwen2_moe = {
    .flags = CONVERT_NEEDS_OUTPUT | CONVERT_HEADS_FILL,
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, rules_attn, rules_qkv_bias,
                                               rules_moe, rules_moe_fused, rules_qwen_shared, NULL},
    .facts = (const struct fact_rule[]){{'S', "shared_expert_intermediate_size", NULL}, {0, NULL, NULL}},
    .keys =
        (const struct key_rule[]){
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"expert_shared_feed_forward_length", KEY_U32, "=S", NULL},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"norm_topk_prob", "false", "false",
             "the engine never makes the weights of the chosen experts sum to one"},
            {"decoder_sparse_step", "1", "1", qwen_all_moe},
            {"mlp_only_layers", "[]", "[]", qwen_all_moe},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {"use_sliding_window", "false", "false", "the engine attends to the whole context"},
            {NULL, NULL, NULL, NULL},
        },
};

const struct family family_qwen3moe = {
    .arch = "qwen3moe",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_WHOLE | ENGINE_FIRST_TOP_K,
    .down_scale = true,
    .models = "Qwen3-MoE",
    .gate = SOFTMAX_NORM,
    .classes = {{"Qwen3MoeForCausalLM", &qwen3_moe}},
    NAMES(MLP),
};

const struct family family_qwen3vlmoe = {
    .arch = "qwen3vlmoe",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_WHOLE | ENGINE_ROPE_SECTIONS | ENGINE_FIRST_TOP_K,
    .models = "Qwen3-VL-MoE, Qwen3-Omni",
    .gate = SOFTMAX_NORM,
    .classes = {{"Qwen3VLMoeForConditionalGeneration", &qwen3_vl_moe},
                {"Qwen3OmniMoeForConditionalGeneration", &qwen3_vl_moe},
                {"Qwen3OmniMoeThinkerForConditionalGeneration", &qwen3_vl_moe}},
    NAMES(MLP),
    .tokenizers = {{.model_types = "qwen3_omni_moe*", .bos = "<|im_end|>"}}, /* as the engine's converter */
};

const struct family family_qwen2moe = {
    .arch = "qwen2moe",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_WHOLE | ENGINE_FIRST_TOP_K,
    .models = "Qwen1.5-MoE, Qwen2-MoE",
    .gate = SOFTMAX,
    .classes = {{"Qwen2MoeForCausalLM", &qwen2_moe}},
    NAMES(MLP),
};
