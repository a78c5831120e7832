/* minimax01.c - MiniMax-Text-01 and M1: lightning attention, and softmax attention in every eighth block. */
#include "family/rules.h"

/* P = 3 Q: q, k and v of each head, head after head; R: how much of a head is rotated; z: blocks with a state. */
static const struct name_rule minimax_names[] = {
    {"self_attn.qkv_proj.weight", "attn_qkv.weight", "PH", HOW_COPY, B_SSM, false},
    {"self_attn.norm.weight", "attn_norm_2.weight", "Q", HOW_COPY, B_SSM, false},
    {"self_attn.output_gate.weight", "attn_gate.weight", "QH", HOW_COPY, B_SSM, false},
    {"self_attn.out_proj.weight", "attn_output.weight", "HQ", HOW_COPY, B_SSM, false},
    {"block_sparse_moe.gate.weight", "ffn_gate_inp.weight", "EH", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.experts.#.w1.weight", "ffn_gate_exps.weight", "XH", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.experts.#.w2.weight", "ffn_down_exps.weight", "HX", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.experts.#.w3.weight", "ffn_up_exps.weight", "XH", HOW_COPY, B_MOE, false},
    END,
};

static bool has_state(const struct family_model *m, uint64_t i, bool *state)
{
    const struct jdoc *d = m->conf->d;
    uint32_t n = model_list_at(m, conf_get(m->conf, "attn_type_list"), i);
    uint64_t v = 2;
    if (n != JSPAN_NONE) {
        *state = jdoc_u64(d, n, &v) && v == 0;
        return v <= 1;
    }
    n = model_list_at(m, conf_get(m->conf, "layer_types"), i);
    *state = n != JSPAN_NONE && jdoc_str_is(d, n, "linear_attention");
    return *state || (n != JSPAN_NONE && jdoc_str_is(d, n, "full_attention"));
}

/* The engine has one weight of what goes by all that a block computes, and 1 for that. */
static bool same_weights(const struct family_model *m, struct err *e)
{
    static const char *const alphas[] = {"layernorm_full_attention_alpha|full_attn_alpha_factor",
                                         "layernorm_linear_attention_alpha|linear_attn_alpha_factor",
                                         "layernorm_mlp_alpha|mlp_alpha_factor"};
    double first = 0, v;
    for (int i = 0; i < 3; i++) {
        v = 1;
        (void)jdoc_f64(m->conf->d, conf_get(m->conf, alphas[i]), &v);
        if (i && v != first)
            return err_set(e, ERR_INPUT,
                           "config.json: '%s' is %g, '%s' %g; the engine has one weight for both", alphas[i],
                           v, alphas[0], first);
        first = v;
    }
    return true;
}

static bool minimax_derive(struct family_model *m, struct err *e)
{
    m->f['P'] = 3 * m->f['Q'];
    if (!m->f['R'])
        m->f['R'] = m->f['D'];
    if (m->f['R'] > m->f['D'] || m->f['L'] < 2)
        return err_set(e, ERR_INPUT,
                       "config.json: 'rotary_dim' is larger than a head, or there is one layer alone");
    for (uint64_t i = 0; i < m->f['L']; i++) {
        bool state;
        if (!has_state(m, i, &state))
            return err_set(e, ERR_INPUT, "config.json: 'attn_type_list[%llu]' is neither 0 nor 1",
                           (unsigned long long)i);
        model_set_block(m, 'z', i, state);
        m->kinds[i] = B_MOE | (state ? B_SSM : B_ATTN);
    }
    return same_weights(m, e);
}

static const struct conversion minimax01 = {
    .names =
        (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, rules_attn, minimax_names, NULL},
    .facts =
        (const struct fact_rule[]){
            {'X', "intermediate_size", NULL},
            {'R', "rotary_dim", "0"},
            {0, NULL, NULL},
        },
    .keys =
        (const struct key_rule[]){
            {"residual_scale", KEY_F32, "layernorm_full_attention_alpha|full_attn_alpha_factor", "1"},
            {"rope.dimension_count", KEY_U32, "=R", NULL},
            {"attention.recurrent_layers", KEY_BOOL, "=z", NULL},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"layernorm_full_attention_beta|full_attn_beta_factor", "1", "1",
             "the engine has no weight here"},
            {"layernorm_linear_attention_beta|linear_attn_beta_factor", "1", "1",
             "the engine has no weight here"},
            {"layernorm_mlp_beta|mlp_beta_factor", "1", "1", "the engine has no weight here"},
            {"postnorm", "true", "true", "in the engine what goes by is behind the norm"},
            {"shared_intermediate_size", "0|null", "0", "the engine has no shared experts here"},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {NULL, NULL, NULL, NULL},
        },
    .derive = minimax_derive,
};

const struct family family_minimax01 = {
    .arch = "minimax-01",
    .engine = ENGINE_HEADS_EQUAL,
    .models = "MiniMax-01, M1",
    .gate = SOFTMAX_NORM,
    .classes = {{"MiniMaxText01ForCausalLM", &minimax01},
                {"MiniMaxM1ForCausalLM", &minimax01},
                {"MiniMaxForCausalLM", &minimax01}},
    NAMES(SPARSE),
};
