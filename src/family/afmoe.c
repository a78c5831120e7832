/* afmoe.c - AFMoE (Trinity). */
#include "family/rules.h"

static const struct name_rule afmoe_names[] = {
    {"input_layernorm.weight", "attn_norm.weight", "H", HOW_COPY, 0, false},
    {"post_attention_layernorm.weight", "post_attention_norm.weight", "H", HOW_COPY, 0, false},
    {"pre_mlp_layernorm.weight", "ffn_norm.weight", "H", HOW_COPY, 0, false},
    {"post_mlp_layernorm.weight", "post_ffw_norm.weight", "H", HOW_COPY, 0, false},
    {"self_attn.gate_proj.weight", "attn_gate.weight", "QH", HOW_COPY, 0, false},
    {"mlp.router.gate.weight", "ffn_gate_inp.weight", "EH", HOW_COPY, B_MOE, false},
    {"mlp.expert_bias", "exp_probs_b.bias", "E", HOW_COPY, B_MOE, false},
    {"mlp.experts.#.gate_proj.weight", "ffn_gate_exps.weight", "XH", HOW_COPY, B_MOE, false},
    {"mlp.experts.#.up_proj.weight", "ffn_up_exps.weight", "XH", HOW_COPY, B_MOE, false},
    {"mlp.experts.#.down_proj.weight", "ffn_down_exps.weight", "HX", HOW_COPY, B_MOE, false},
    END,
};

static bool afmoe_derive(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f;
    f['S'] = f['X'] * f['s'];
    /* a block of full attention, which is not rotated, behind three */
    return model_dense_by_key(m, "num_dense_layers", e) && model_layer_types(m, 4, e);
}

static const struct conversion afmoe = {
    .names = (const struct name_rule *const[]){afmoe_names, rules_attn, rules_head_norms, rules_dense,
                                               rules_shared, NULL},
    .facts = (const struct fact_rule[]){{'s', "num_shared_experts", "0"}, {0, NULL, NULL}},
    .keys =
        (const struct key_rule[]){
            {"rope.dimension_count", KEY_U32, "=D", NULL},
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"expert_shared_count", KEY_U32, "=s", NULL},
            {"leading_dense_block_count", KEY_U32, "num_dense_layers", "0"},
            {"expert_gating_func", KEY_GATING, "score_func", "sigmoid"},
            {"expert_weights_norm", KEY_BOOL, "route_norm", "true"},
            {"expert_weights_scale", KEY_F32, "route_scale", "1"},
            {"attention.sliding_window", KEY_U32, "sliding_window", "!"},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"mup_enabled", "true", "false",
             "the engine scales the embeddings by the root of the hidden size"},
            {"n_group|num_expert_groups", "1|0", "1", "the engine does not route by groups here"},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {NULL, NULL, NULL, NULL},
        },
    .derive = afmoe_derive,
};

const struct family family_afmoe = {
    .arch = "afmoe",
    .engine = ENGINE_HEADS_EQUAL,
    .models = "AFMoE (Trinity)",
    .gate = BY_KEYS,
    .classes = {{"AfmoeForCausalLM", &afmoe}},
    NAMES(.block = "mlp", .experts = "experts", .router = "router", CORRECTION),
    .tokenizers = {{.model_types = "afmoe", LLAMA_TOKENIZER}},
};
