/* arctic.c - Snowflake Arctic: in each block a dense network beside the experts. */
#include "family/rules.h"

static const struct name_rule arctic_names[] = {
    {"residual_layernorm.weight", "ffn_norm.weight", "H", HOW_COPY, 0, false},
    {"residual_mlp.w1.weight", "ffn_gate.weight", "HH", HOW_COPY, 0, false},
    {"residual_mlp.w2.weight", "ffn_down.weight", "HH", HOW_COPY, 0, false},
    {"residual_mlp.w3.weight", "ffn_up.weight", "HH", HOW_COPY, 0, false},
    {"post_attention_layernorm.weight", "ffn_norm_exps.weight", "H", HOW_COPY, 0, false},
    {"block_sparse_moe.gate.weight", "ffn_gate_inp.weight", "EH", HOW_COPY, 0, false},
    {"block_sparse_moe.experts.#.w1.weight", "ffn_gate_exps.weight", "XH", HOW_COPY, 0, false},
    {"block_sparse_moe.experts.#.w3.weight", "ffn_up_exps.weight", "XH", HOW_COPY, 0, false},
    {"block_sparse_moe.experts.#.w2.weight", "ffn_down_exps.weight", "HX", HOW_COPY, 0, false},
    END,
};

static const struct conversion arctic = {
    .flags = CONVERT_HEADS_FILL | CONVERT_FILE_ONLY,
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_attn_permuted, arctic_names, NULL},
    .facts = (const struct fact_rule[]){{'X', "intermediate_size", NULL}, {0, NULL, NULL}},
    .keys =
        (const struct key_rule[]){{"rope.dimension_count", KEY_U32, "=D", NULL}, {NULL, KEY_U32, NULL, NULL}},
    .musts =
        (const struct must_rule[]){
            {"moe_layer_frequency", "1", "1", "the engine expects experts in every block"},
            {"parallel_attn_mlp_res", "true", "true", "the engine has a dense network beside the experts"},
            {"use_residual", "true", "true", "the engine has a dense network beside the experts"},
            {"attention_bias", "false", "false", "the engine has no biases here"},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {NULL, NULL, NULL, NULL},
        },
};

const struct family family_arctic = {
    .arch = "arctic",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_WHOLE,
    .models = "Snowflake Arctic",
    .gate = SOFTMAX_NORM,
    .classes = {{"ArcticForCausalLM", &arctic}},
    NAMES(SPARSE),
    .tokenizers = {{.model_types = "arctic*", .added_as_pieces = true}},
};
