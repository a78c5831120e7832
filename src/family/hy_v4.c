/* hy_v4.c - Hunyuan v4: streams of the hidden state, and latent attention with gates and sinks, to chosen tokens. */
#include "family/mla.h"

/* g: streams, h = g H, i = 2 g. */
static const struct name_rule hy_names[] = {
    {"self_attn.learnable_sink_param", "attn_sinks.weight", "N", HOW_COPY, 0, false},
    {"self_attn.linear_gate.weight", "attn_gate.weight", "oH", HOW_COPY, 0, false},
    {"hc_attn_layer.hc_pre.hc_fn", "hc_attn_fn.weight", "ih", HOW_COPY, 0, false},
    {"hc_attn_layer.hc_pre.hc_base", "hc_attn_base.weight", "i", HOW_COPY, 0, false},
    {"hc_attn_layer.hc_pre.hc_scale", "hc_attn_scale.weight", "2", HOW_COPY, 0, false},
    {"hc_mlp_layer.hc_pre.hc_fn", "hc_ffn_fn.weight", "ih", HOW_COPY, 0, false},
    {"hc_mlp_layer.hc_pre.hc_base", "hc_ffn_base.weight", "i", HOW_COPY, 0, false},
    {"hc_mlp_layer.hc_pre.hc_scale", "hc_ffn_scale.weight", "2", HOW_COPY, 0, false},
    END,
};

static const struct name_rule globals[] = {
    {"embed_tokens.weight", "token_embd.weight", "VH", HOW_COPY, 0, false},
    {"norm.weight", "output_norm.weight", "H", HOW_COPY, 0, false},
    {"lm_head.weight", "output.weight", "VH", HOW_COPY, 0, true},
    {"hc_head.hc_head_fn", "output_hc_fn.weight", "gh", HOW_COPY, 0, false},
    {"hc_head.hc_head_base", "output_hc_base.weight", "g", HOW_COPY, 0, false},
    {"hc_head.hc_head_scale", "output_hc_scale.weight", "1", HOW_COPY, 0, false},
    END,
};

/* Without any indexer attention sees all tokens. */
static bool choose(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f;
    bool types = conf_get(m->conf, "indexer_types") != JSPAN_NONE, sizes = f['j'] && f['w'];
    f['u'] = f['j'] * f['w'];
    if (types != sizes)
        return err_set(e, ERR_INPUT, "config.json: '%s' without '%s'",
                       types ? "indexer_types" : "index_n_heads",
                       types ? "index_n_heads' and 'index_head_dim" : "indexer_types");
    if (types && !model_number(m, "index_topk", 0))
        return err_set(e, ERR_INPUT, "config.json: 'index_topk' is missing or 0, but there are indexers");
    if (types && f['w'] <= f['p'])
        return err_set(e, ERR_INPUT,
                       "config.json: 'index_head_dim' is %llu, expected more than 'qk_rope_head_dim', %llu",
                       (unsigned long long)f['w'], (unsigned long long)f['p']);
    return !types || mla_shared_indexers(m, e);
}

static bool hy_derive(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f;
    f['2'] = 2;
    f['h'] = f['g'] * f['H'];
    f['i'] = 2 * f['g'];
    if (!f['r'])
        return err_set(e, ERR_INPUT, "config.json: no 'q_lora_rank'; the engine expects one in this family");
    if (!f['g'])
        return err_set(e, ERR_INPUT, "config.json: 'hc_mult' is 0");
    return mla_derive(m, e) && choose(m, e);
}

static const struct conversion hy_v4 = {
    .flags = CONVERT_NEEDS_OUTPUT | CONVERT_FILE_ONLY,
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, mla_names, mla_indexer,
                                               hy_names, rules_dense, rules_moe, rules_moe_fused,
                                               rules_select_bias, rules_shared, NULL},
    .globals = globals,
    .facts =
        (const struct fact_rule[]){
            {'j', "index_n_heads", "0"},
            {'w', "index_head_dim", "0"},
            {'l', "first_k_dense_replace", "0"},
            {'g', "hc_mult", NULL},
            MLA_FACTS,
        },
    .keys =
        (const struct key_rule[]){
            MLA_KEYS,
            {"expert_gating_func", KEY_GATING, "", "sigmoid"},
            {"swiglu_clamp_exp", KEY_F32_BLOCKS, "swiglu_limit", NULL},
            {"hyper_connection.count", KEY_U32, "=g", NULL},
            {"hyper_connection.epsilon", KEY_F32, "hc_eps", "!"},
            {"hyper_connection.magnitude", KEY_F32, "hc_magnitude", "!"},
            {"attention.indexer.head_count", KEY_U32, "index_n_heads", NULL},
            {"attention.indexer.key_length", KEY_U32, "index_head_dim", NULL},
            {"attention.indexer.top_k", KEY_U32, "index_topk", NULL},
            {"attention.indexer.types", KEY_BOOL_TRUNK, "=t", NULL},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"n_group", "1", "1", "the engine's converter knows no groups here"},
            {"topk_group", "1", "1", "the engine's converter knows no groups here"},
            MLA_MUSTS,
        },
    .derive = hy_derive,
};

const struct family family_hy_v4 = {
    .arch = "hy_v4",
    .engine = ENGINE_ROPE_PART | ENGINE_GATE_KEY | ENGINE_HYPER,
    .models = "Hunyuan v4",
    .gate = BY_KEYS,
    .classes = {{"HYV4ForCausalLM", &hy_v4}},
    NAMES(MLP),
    .tokenizers = {{.model_types = "hy_v*", .pre = "hy_v4"}},
};
