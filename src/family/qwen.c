/* qwen.c - Qwen3-MoE and Qwen2-MoE. */
#include "family/rules.h"

static const char qwen_all_moe[] = "the engine expects experts in every block";

static const struct name_rule qwen2_shared[] = {
    {"mlp.shared_expert.gate_proj.weight", "ffn_gate_shexp.weight", "SH", HOW_COPY, B_MOE, false},
    {"mlp.shared_expert.up_proj.weight", "ffn_up_shexp.weight", "SH", HOW_COPY, B_MOE, false},
    {"mlp.shared_expert.down_proj.weight", "ffn_down_shexp.weight", "HS", HOW_COPY, B_MOE, false},
    {"mlp.shared_expert_gate.weight", "ffn_gate_inp_shexp.weight", "1H", HOW_COPY, B_MOE, false},
    END,
};

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

static const struct conversion qwen2_moe = {
    .flags = CONVERT_NEEDS_OUTPUT | CONVERT_HEADS_FILL,
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, rules_attn, rules_qkv_bias,
                                               rules_moe, rules_moe_fused, qwen2_shared, NULL},
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

const struct family family_qwen2moe = {
    .arch = "qwen2moe",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_WHOLE | ENGINE_FIRST_TOP_K,
    .models = "Qwen1.5-MoE, Qwen2-MoE",
    .gate = SOFTMAX,
    .classes = {{"Qwen2MoeForCausalLM", &qwen2_moe}},
    NAMES(MLP),
};
