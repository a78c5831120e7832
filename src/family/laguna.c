/* laguna.c - Laguna: windows of attention with heads of their own number, a gate behind each head or each value. */
#include "family/rules.h"

/* N and Q differ from block to block; g: width of the gate, N or Q; l: dense blocks; R, U: how much of a head is rotated
 * where attention is whole and where it is to a window. */
static const struct name_rule laguna_names[] = {
    {"self_attn.g_proj.weight", "attn_gate.weight", "gH", HOW_COPY, B_ATTN, false},
    {"mlp.shared_expert.gate_proj.weight", "ffn_gate_shexp.weight", "SH", HOW_COPY, B_SHARED, false},
    {"mlp.shared_expert.up_proj.weight", "ffn_up_shexp.weight", "SH", HOW_COPY, B_SHARED, false},
    {"mlp.shared_expert.down_proj.weight", "ffn_down_shexp.weight", "HS", HOW_COPY, B_SHARED, false},
    {"mlp.experts.e_score_correction_bias", "exp_probs_b.bias", "E", HOW_COPY, B_MOE, false},
    END,
};

/* *each: whether every value has a gate of its own in block i: gating_types, or gating; only heads have one where
 * gating is true. */
static bool gate_of(const struct family_model *m, uint64_t i, bool *each, struct err *e)
{
    const struct jdoc *d = m->conf->d;
    uint32_t n = model_list_at(m, conf_get(m->conf, "gating_types"), i);
    if (n == JSPAN_NONE)
        n = conf_get(m->conf, "gating");
    *each = n != JSPAN_NONE && (jdoc_str_is(d, n, "per-element") || jdoc_str_is(d, n, "per_element"));
    return *each || n == JSPAN_NONE || d->nodes[n].kind == J_TRUE || jdoc_str_is(d, n, "per-head") ||
           jdoc_str_is(d, n, "per_head") ||
           err_set(e, ERR_INPUT, "config.json: 'gating' is neither per-head nor per-element");
}

#define HEADS_MAX 65536

static bool laguna_heads(struct family_model *m, struct err *e)
{
    uint32_t list = conf_get(m->conf, "num_attention_heads_per_layer");
    bool each;
    for (uint64_t i = 0; i < m->f['L']; i++) {
        uint64_t n = m->f['N'];
        if (list != JSPAN_NONE &&
            (!jdoc_u64(m->conf->d, model_list_at(m, list, i), &n) || !n || n > HEADS_MAX || n % m->f['M']))
            return err_set(
                e, ERR_INPUT,
                "config.json: 'num_attention_heads_per_layer[%llu]' is no multiple of the %llu KV heads",
                (unsigned long long)i, (unsigned long long)m->f['M']);
        if (!gate_of(m, i, &each, e))
            return false;
        model_set_block(m, 'N', i, n);
        model_set_block(m, 'Q', i, n * m->f['D']);
        model_set_block(m, 'g', i, each ? n * m->f['D'] : n);
    }
    return true;
}

static bool laguna_derive(struct family_model *m, struct err *e)
{
    double part = 1;
    if (!model_lead(m, 1, e) || !model_rotated(m, 1, e) || !model_windows(m, e) || !laguna_heads(m, e))
        return false;
    (void)jdoc_f64(m->conf->d, conf_rope_window(m->conf, "partial_rotary_factor"), &part);
    if (!(part > 0 && part <= 1))
        return err_set(e, ERR_INPUT, "config.json: 'partial_rotary_factor' is not between 0 and 1");
    m->f['U'] = (uint64_t)((double)m->f['D'] * part);
    return true;
}

static const struct conversion laguna = {
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, rules_attn, rules_head_norms,
                                               rules_dense, rules_moe, rules_shared, laguna_names, NULL},
    .facts = (const struct fact_rule[]){{'S', "shared_expert_intermediate_size", NULL}, {0, NULL, NULL}},
    .keys =
        (const struct key_rule[]){
            {"attention.sliding_window", KEY_U32, "sliding_window", "!"},
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"expert_shared_feed_forward_length", KEY_U32, "=S", NULL},
            {"expert_weights_norm", KEY_BOOL, "", "true"},
            {"expert_weights_scale", KEY_F32, "moe_routed_scaling_factor", "1"},
            {"expert_gating_func", KEY_GATING, "", "sigmoid"},
            {"leading_dense_block_count", KEY_U32, "=l", NULL},
            {"rope.dimension_count", KEY_U32, "=R", NULL},
            {"rope.dimension_count_swa", KEY_U32, "=U", NULL},
            {"attention.sliding_window_pattern", KEY_BOOL, "=w", NULL},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"moe_router_logit_softcapping", "0", "0", "the engine does not bound the router"},
            {"moe_apply_router_weight_on_input", "false", "false", "the engine weights what experts give"},
            {"attention_bias", "false", "false", "the engine has no biases here"},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {NULL, NULL, NULL, NULL},
        },
    .derive = laguna_derive,
};

const struct family family_laguna = {
    .arch = "laguna",
    .engine = ENGINE_HEADS_EQUAL,
    .models = "Laguna",
    .gate = BY_KEYS,
    .classes = {{"LagunaForCausalLM", &laguna}},
    NAMES(MLP),
    .tokenizers = {{.model_types = "laguna*", .eot = "</assistant>"}},
};
