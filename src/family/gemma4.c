/* gemma4.c - Gemma-4 with experts. */
#include "family/rules.h"

/* d: the size of a head in this block. Blocks without values of their own take the keys before their norm. The
 * experts stand beside a dense FFN, and each has a scale. */
static const struct name_rule gemma4_names[] = {
    {"input_layernorm.weight", "attn_norm.weight", "H", HOW_COPY, 0, false},
    {"self_attn.q_proj.weight", "attn_q.weight", "QH", HOW_COPY, 0, false},
    {"self_attn.k_proj.weight", "attn_k.weight", "KH", HOW_COPY, 0, false},
    {"self_attn.v_proj.weight", "attn_v.weight", "KH", HOW_COPY, B_VALUES, false},
    {"self_attn.o_proj.weight", "attn_output.weight", "HQ", HOW_COPY, 0, false},
    {"self_attn.q_norm.weight", "attn_q_norm.weight", "d", HOW_COPY, 0, false},
    {"self_attn.k_norm.weight", "attn_k_norm.weight", "d", HOW_COPY, 0, false},
    {"post_attention_layernorm.weight", "post_attention_norm.weight", "H", HOW_COPY, 0, false},
    {"pre_feedforward_layernorm.weight", "ffn_norm.weight", "H", HOW_COPY, 0, false},
    {"mlp.gate_proj.weight", "ffn_gate.weight", "FH", HOW_COPY, 0, false},
    {"mlp.up_proj.weight", "ffn_up.weight", "FH", HOW_COPY, 0, false},
    {"mlp.down_proj.weight", "ffn_down.weight", "HF", HOW_COPY, 0, false},
    {"post_feedforward_layernorm.weight", "post_ffw_norm.weight", "H", HOW_COPY, 0, false},
    {"post_feedforward_layernorm_1.weight", "post_ffw_norm_1.weight", "H", HOW_COPY, 0, false},
    {"pre_feedforward_layernorm_2.weight", "pre_ffw_norm_2.weight", "H", HOW_COPY, 0, false},
    {"post_feedforward_layernorm_2.weight", "post_ffw_norm_2.weight", "H", HOW_COPY, 0, false},
    {"layer_scalar", "layer_output_scale.weight", "1", HOW_COPY, 0, true},
    {"router.proj.weight", "ffn_gate_inp.weight", "EH", HOW_COPY, B_MOE, false},
    {"router.scale", "ffn_gate_inp.scale", "H", HOW_COPY, B_MOE, false},
    {"router.per_expert_scale", "ffn_down_exps.scale", "E", HOW_COPY, B_MOE, false},
    {"experts.gate_up_proj", "ffn_gate_up_exps.weight", "EGH", HOW_COPY, B_MOE, false},
    {"experts.#.gate_proj.weight+experts.#.up_proj.weight", "ffn_gate_up_exps.weight", "XH", HOW_COPY, B_MOE,
     false},
    {"experts.#.down_proj.weight", "ffn_down_exps.weight", "HX", HOW_COPY, B_MOE, false},
    {"experts.down_proj", "ffn_down_exps.weight", "EHX", HOW_COPY, B_MOE, false},
    END,
};

/* D, M: in blocks that attend to all; w, m: in those with a window. */
static bool gemma4_derive(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f, d[2] = {f['D'], f['w']}, heads[2] = {f['M'], f['m']};
    uint32_t types = conf_get(m->conf, "layer_types"), node = conf_get(m->conf, "attention_k_eq_v");
    bool equal = node != JSPAN_NONE && m->conf->d->nodes[node].kind == J_TRUE;
    if (!equal)
        heads[0] = f['m'];
    f['d'] = f['W'] = 0;
    for (uint64_t i = 0; i < f['L']; i++) {
        uint32_t n = model_list_at(m, types, i);
        bool window = n != JSPAN_NONE && jdoc_str_is(m->conf->d, n, "sliding_attention");
        if (!window && (n == JSPAN_NONE || !jdoc_str_is(m->conf->d, n, "full_attention")))
            return err_set(
                e, ERR_INPUT,
                "config.json: 'layer_types' of layer %llu is not sliding_attention or full_attention",
                (unsigned long long)i);
        if (!d[window] || !heads[window] || f['N'] % heads[window])
            return err_set(e, ERR_INPUT,
                           "config.json: layer %llu: %llu heads do not share %llu KV heads of %llu",
                           (unsigned long long)i, (unsigned long long)f['N'],
                           (unsigned long long)heads[window], (unsigned long long)d[window]);
        model_set_block(m, 'W', i, window);
        model_set_block(m, 'd', i, d[window]);
        model_set_block(m, 'M', i, heads[window]);
        model_set_block(m, 'Q', i, f['N'] * d[window]);
        model_set_block(m, 'K', i, heads[window] * d[window]);
        if (window || !equal)
            m->kinds[i] |= B_VALUES;
    }
    return true;
}

static const struct conversion gemma4 = {
    .flags = CONVERT_ROPE_PART,
    .names = (const struct name_rule *const[]){gemma4_names, NULL},
    .facts =
        (const struct fact_rule[]){
            {'w', "head_dim", NULL},
            {'D', "global_head_dim", "=w"},
            {'m', "num_key_value_heads", NULL},
            {'M', "num_global_key_value_heads", "=m"},
            {'X', "expert_intermediate_size|moe_intermediate_size", NULL},
            {0, NULL, NULL},
        },
    .keys =
        (const struct key_rule[]){
            {"attention.key_length_swa", KEY_U32, "=w", NULL},
            {"attention.value_length_swa", KEY_U32, "=w", NULL},
            {"attention.sliding_window", KEY_U32, "sliding_window", "!"},
            {"attention.sliding_window_pattern", KEY_BOOL, "=W", NULL},
            {"attention.shared_kv_layers", KEY_U32, "num_kv_shared_layers", "0"},
            {"embedding_length_per_layer_input", KEY_U32, "hidden_size_per_layer_input", "0"},
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"final_logit_softcapping", KEY_F32, "final_logit_softcapping", NULL},
            {"rope.dimension_count", KEY_U32, "=D", NULL},
            {"rope.dimension_count_swa", KEY_U32, "=w", NULL},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"enable_moe_block", "true", "false", "models of this family without experts are not converted"},
            {"num_kv_shared_layers", "0", "0", "layers that share keys are not converted"},
            {"hidden_size_per_layer_input", "0", "0", "inputs of each layer are not converted"},
            {"use_bidirectional_attention", "vision", "vision", "the engine attends to earlier tokens alone"},
            {"attention_bias", "false", "false", "the engine has no biases here"},
            {"hidden_activation", "gelu_pytorch_tanh", "gelu_pytorch_tanh", "the engine computes this GELU"},
            {NULL, NULL, NULL, NULL},
        },
    .derive = gemma4_derive,
};

const struct family family_gemma4 = {
    .arch = "gemma4",
    .down_scale = true,
    .models = "Gemma-4 MoE",
    .gate = SOFTMAX_NORM,
    .classes = {{"Gemma4ForConditionalGeneration", &gemma4}, {"Gemma4ForCausalLM", &gemma4}},
    NAMES(.block = "", .experts = "experts", .router = "router", .whole = "router.scale"),
    .tokenizers = {{.model_types = "gemma4*", .spaced_bpe = true}},
};
