/* step35.c - Step-3.5: windows with heads of their own number, norms that are stored as what they add to one. */
#include "family/rules.h"

/* N, Q, M and K differ from block to block; h, u: heads and KV heads of windows; l: dense blocks; w: windows. */
static const struct name_rule step_names[] = {
    {"input_layernorm.weight", "attn_norm.weight", "H", HOW_PLUS_ONE, 0, false},
    {"post_attention_layernorm.weight", "ffn_norm.weight", "H", HOW_PLUS_ONE, 0, false},
    {"self_attn.q_norm.weight", "attn_q_norm.weight", "D", HOW_PLUS_ONE, 0, true},
    {"self_attn.k_norm.weight", "attn_k_norm.weight", "D", HOW_PLUS_ONE, 0, true},
    {"self_attn.g_proj.weight", "attn_gate.weight", "NH", HOW_COPY, 0, true},
    {"moe.gate.weight", "ffn_gate_inp.weight", "EH", HOW_COPY, B_MOE, false},
    {"moe.router_bias", "exp_probs_b.bias", "E", HOW_COPY, B_MOE, true},
    {"moe.gate_proj.weight", "ffn_gate_exps.weight", "EXH", HOW_COPY, B_MOE, false},
    {"moe.up_proj.weight", "ffn_up_exps.weight", "EXH", HOW_COPY, B_MOE, false},
    {"moe.down_proj.weight", "ffn_down_exps.weight", "EHX", HOW_COPY, B_MOE, false},
    {"share_expert.gate_proj.weight", "ffn_gate_shexp.weight", "SH", HOW_COPY, B_MOE, false},
    {"share_expert.up_proj.weight", "ffn_up_shexp.weight", "SH", HOW_COPY, B_MOE, false},
    {"share_expert.down_proj.weight", "ffn_down_shexp.weight", "HS", HOW_COPY, B_MOE, false},
    {"eh_proj.weight", "nextn.eh_proj.weight", "HY", HOW_COPY, B_MTP, false},
    {"enorm.weight", "nextn.enorm.weight", "H", HOW_PLUS_ONE, B_MTP, false},
    {"hnorm.weight", "nextn.hnorm.weight", "H", HOW_PLUS_ONE, B_MTP, false},
    {"transformer.shared_head.norm.weight", "nextn.shared_head_norm.weight", "H", HOW_PLUS_ONE, B_MTP, true},
    {"transformer.shared_head.output.weight", "nextn.shared_head_head.weight", "VH", HOW_COPY, B_MTP, true},
    END,
};
static const struct name_rule step_globals[] = {
    {"embed_tokens.weight", "token_embd.weight", "VH", HOW_COPY, 0, false},
    {"norm.weight", "output_norm.weight", "H", HOW_PLUS_ONE, 0, false},
    {"lm_head.weight", "output.weight", "VH", HOW_COPY, 0, true},
    END,
};

/* Blocks with experts: "3,4,5". */
static bool step_kinds(struct family_model *m, struct err *e)
{
    uint32_t list = conf_get(m->conf, "moe_layers_enum");
    struct buf s = {0};
    bool ok = list != JSPAN_NONE && m->conf->d->nodes[list].kind == J_STRING, any = false;
    if (ok)
        jdoc_str(m->conf->d, list, &s);
    for (uint64_t i = 0; i < m->n_blocks; i++)
        m->kinds[i] = (m->kinds[i] & B_MTP) | B_ATTN | B_DENSE;
    for (const char *p = s.s; ok && p && *p; p += *p == ',') {
        uint64_t v = 0;
        const char *from = p;
        for (; *p >= '0' && *p <= '9' && v < m->n_blocks; p++)
            v = v * 10 + (uint64_t)(*p - '0');
        ok = p > from && (!*p || *p == ',') && v < m->n_blocks;
        if (!ok)
            break;
        m->kinds[v] = (m->kinds[v] & B_MTP) | B_ATTN | B_MOE;
        m->f['l'] = any && m->f['l'] < v ? m->f['l'] : v;
        any = true;
    }
    buf_clear(&s);
    return (ok && any) ||
           err_set(e, ERR_INPUT, "config.json: 'moe_layers_enum' is no list of layers, as \"3,4,5\"");
}

/* Whether block i attends to a window; the rotation must be as the engine has it: half of a head where it does not. */
static bool step_window(const struct family_model *m, uint64_t i, bool *window, struct err *e)
{
    const struct jdoc *d = m->conf->d;
    uint32_t type = model_list_at(m, conf_get(m->conf, "layer_types"), i);
    uint32_t part = model_list_at(m, conf_get(m->conf, "partial_rotary_factors"), i);
    double p;
    *window = type != JSPAN_NONE && jdoc_str_is(d, type, "sliding_attention");
    p = *window ? 1 : 0.5;
    if (type != JSPAN_NONE && !*window && !jdoc_str_is(d, type, "full_attention"))
        return err_set(e, ERR_INPUT,
                       "config.json: 'layer_types[%llu]' is neither sliding_attention nor full_attention",
                       (unsigned long long)i);
    if (part != JSPAN_NONE && (!jdoc_f64(d, part, &p) || p != (*window ? 1 : 0.5)))
        return err_set(e, ERR_INPUT,
                       "config.json: 'partial_rotary_factors[%llu]' is not %s, as the engine expects",
                       (unsigned long long)i, *window ? "1" : "0.5");
    return true;
}

/* One base for all, or one for each block, of which the engine has two. */
static bool step_bases(const struct family_model *m, struct err *e)
{
    const struct jdoc *d = m->conf->d;
    uint32_t list = conf_get(m->conf, "rope_theta");
    double base[2] = {0, 0}, v;
    bool window;
    for (uint64_t i = 0; list != JSPAN_NONE && d->nodes[list].kind == J_ARRAY && i < m->f['L']; i++) {
        if (!jdoc_f64(d, model_list_at(m, list, i), &v) || !step_window(m, i, &window, e) ||
            (base[window] != 0 && base[window] != v) ||
            window != (i == 1   ? true
                       : i == 0 ? false
                                : window))
            return e->code
                       ? false
                       : err_set(
                             e, ERR_INPUT,
                             "config.json: 'rope_theta[%llu]' is not as the engine expects: the first of whole "
                             "attention, the second of windows, and all others one of the two",
                             (unsigned long long)i);
        base[window] = v;
    }
    return true;
}

static bool step_derive(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f;
    bool window;
    f['h'] = model_number(m, "attention_other_setting.num_attention_heads", f['N']);
    f['u'] = model_number(m, "attention_other_setting.num_attention_groups", f['M']);
    if (!f['h'] || !f['u'] || f['h'] > 65536 || f['h'] % f['u'])
        return err_set(e, ERR_INPUT,
                       "config.json: 'attention_other_setting' has %llu heads that share %llu KV heads",
                       (unsigned long long)f['h'], (unsigned long long)f['u']);
    if (!step_kinds(m, e) || !step_bases(m, e))
        return false;
    uint64_t n = f['N'], kv = f['M'];
    for (uint64_t i = 0; i < m->n_blocks; i++) {
        if (!step_window(m, i, &window, e))
            return false;
        model_set_block(m, 'w', i, window);
        model_set_block(m, 'N', i, window ? f['h'] : n);
        model_set_block(m, 'M', i, window ? f['u'] : kv);
        model_set_block(m, 'Q', i, (window ? f['h'] : n) * f['D']);
        model_set_block(m, 'K', i, (window ? f['u'] : kv) * f['D']);
    }
    return true;
}

static const struct conversion step35 = {
    .flags =
        CONVERT_NEEDS_OUTPUT | CONVERT_FILE_ONLY | CONVERT_MTP_KEPT | CONVERT_ROPE_FREQS | CONVERT_ROPE_TWO,
    .names = (const struct name_rule *const[]){step_names, rules_attn, rules_dense, NULL},
    .globals = step_globals,
    .facts =
        (const struct fact_rule[]){
            {'N', "num_attention_heads", NULL},
            {'M', "num_attention_groups", "=N"},
            {'S', "share_expert_dim", NULL},
            {0, NULL, NULL},
        },
    .keys =
        (const struct key_rule[]){
            {"attention.sliding_window", KEY_U32, "sliding_window", "!"},
            {"attention.sliding_window_pattern", KEY_BOOL, "=w", NULL},
            {"attention.layer_norm_rms_epsilon", KEY_F32, "rms_norm_eps", "1e-5"},
            {"leading_dense_block_count", KEY_U32, "=l", NULL},
            {"moe_every_n_layers", KEY_U32, "moe_every_n_layer", "1"},
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"expert_shared_feed_forward_length", KEY_U32, "=S", NULL},
            {"expert_weights_scale", KEY_F32, "moe_router_scaling_factor", NULL},
            {"expert_weights_norm", KEY_BOOL, "norm_expert_weight", NULL},
            {"swiglu_clamp_exp", KEY_F32_BLOCKS, "swiglu_limits", NULL},
            {"swiglu_clamp_shexp", KEY_F32_BLOCKS, "swiglu_limits_shared", NULL},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"sink", "false", "false", "the engine has no sinks here"},
            {"use_mfa", "false", "false", "the engine has other attention here"},
            {"use_rope_layers", "[]|null", "[]", "the engine rotates in every block"},
            {NULL, NULL, NULL, NULL},
        },
    .derive = step_derive,
};

const struct family family_step35 = {
    .arch = "step35",
    .engine = ENGINE_MTP_ALONE,
    .models = "Step-3.5",
    .gate = BY_KEYS,
    .classes = {{"Step3p5ForCausalLM", &step35}},
    NAMES(.block = "moe", .experts = "gate_proj up_proj down_proj", .router = "gate",
          .vectors = "router_bias"),
};
