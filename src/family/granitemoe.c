/* granitemoe.c - Granite-MoE, with and without a shared expert. */
#include "family/rules.h"

/* U: gate and up of the shared expert in one. */
static const struct name_rule granite_moe_names[] = {
    {"block_sparse_moe.router.layer.weight", "ffn_gate_inp.weight", "EH", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.input_linear.weight", "ffn_gate_exps.weight", "EGH", HOW_FIRST, B_MOE, false},
    {"block_sparse_moe.input_linear.weight", "ffn_up_exps.weight", "EGH", HOW_SECOND, B_MOE, false},
    {"block_sparse_moe.output_linear.weight", "ffn_down_exps.weight", "EHX", HOW_COPY, B_MOE, false},
    {"shared_mlp.input_linear.weight", "ffn_gate_shexp.weight", "UH", HOW_FIRST, B_SHARED, false},
    {"shared_mlp.input_linear.weight", "ffn_up_shexp.weight", "UH", HOW_SECOND, B_SHARED, false},
    {"shared_mlp.output_linear.weight", "ffn_down_shexp.weight", "HS", HOW_COPY, B_SHARED, false},
    END,
};

static bool granite_moe_derive(struct family_model *m, struct err *e)
{
    (void)e;
    m->f['U'] = 2 * m->f['S'];
    model_dense_first(m, 0);
    return true;
}

static const struct conversion granite_moe = {
    .flags = CONVERT_HEADS_FILL,
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, rules_attn_permuted,
                                               granite_moe_names, NULL},
    .facts = (const struct fact_rule[]){{'X', "intermediate_size", NULL},
                                        {'S', "shared_intermediate_size", "0"},
                                        {0, NULL, NULL}},
    .keys =
        (const struct key_rule[]){
            {"rope.dimension_count", KEY_U32, "=D", NULL},
            {"expert_shared_feed_forward_length", KEY_U32, "=S", NULL},
            {"attention.scale", KEY_F32, "attention_multiplier", "1"},
            {"embedding_scale", KEY_F32, "embedding_multiplier", "1"},
            {"residual_scale", KEY_F32, "residual_multiplier", "1"},
            {"logit_scale", KEY_F32, "logits_scaling", "1"},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"attention_bias", "false", "false", "the engine has no biases here"},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {NULL, NULL, NULL, NULL},
        },
    .derive = granite_moe_derive,
};

const struct family family_granitemoe = {
    .arch = "granitemoe",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_WHOLE,
    .models = "Granite MoE",
    .gate = SOFTMAX_NORM,
    .classes = {{"GraniteMoeForCausalLM", &granite_moe}, {"GraniteMoeSharedForCausalLM", &granite_moe}},
    NAMES(.block = "block_sparse_moe", .experts = "input_linear output_linear", .router = "router"),
    .tokenizers = {{.model_types = "granitemoe granitemoeshared", .pre = "refact", LLAMA_TOKENIZER}},
};
