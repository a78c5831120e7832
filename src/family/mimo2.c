/* mimo2.c - MiMo-V2: windows with KV heads of their own number, and sinks; values of another size than keys. */
#include "family/rules.h"

/* M, K and P differ from block to block; v: size of a value, k = M v, o = N v; R: how much of a head is rotated. V2.5 has q, k and
 * v in one, P = Q + K + k. */
static const struct name_rule mimo_names[] = {
    {"self_attn.q_proj.weight", "attn_q.weight", "QH", HOW_COPY, B_ATTN, false},
    {"self_attn.k_proj.weight", "attn_k.weight", "KH", HOW_COPY, B_ATTN, false},
    {"self_attn.v_proj.weight", "attn_v.weight", "kH", HOW_COPY, B_ATTN, false},
    {"self_attn.qkv_proj.weight", "attn_qkv.weight", "PH", HOW_RANKS, B_ATTN, false},
    {"self_attn.o_proj.weight", "attn_output.weight", "Ho", HOW_COPY, B_ATTN, false},
    {"self_attn.attention_sink_bias", "attn_sinks.weight", "N", HOW_COPY, B_ATTN, true},
    END,
};

static bool flag_at(const struct family_model *m, const char *key, uint64_t i, uint64_t *v, struct err *e)
{
    return (jdoc_u64(m->conf->d, model_list_at(m, conf_get(m->conf, key), i), v) && *v <= 1) ||
           err_set(e, ERR_INPUT, "config.json: '%s[%llu]' is neither 0 nor 1", key, (unsigned long long)i);
}

static bool mimo_block(struct family_model *m, uint64_t i, struct err *e)
{
    uint64_t *f = m->f, window, moe, kv;
    if (!flag_at(m, "hybrid_layer_pattern", i, &window, e) || !flag_at(m, "moe_layer_freq", i, &moe, e))
        return false;
    kv = window ? f['u'] : f['M'];
    model_set_block(m, 'w', i, window);
    model_set_block(m, 'K', i, kv * f['D']);
    model_set_block(m, 'k', i, kv * f['v']);
    model_set_block(m, 'P', i, f['Q'] + kv * (f['D'] + f['v']));
    m->kinds[i] = B_ATTN | (moe ? B_MOE : B_DENSE);
    return true;
}

static bool mimo_derive(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f;
    f['o'] = f['N'] * f['v'];
    if (f['d'] != f['D'] || f['y'] != f['v'] || f['n'] != f['N'] || !f['u'] || f['N'] % f['u'])
        return err_set(
            e, ERR_INPUT,
            "config.json: 'swa_head_dim', 'swa_v_head_dim' or 'swa_num_attention_heads' is another number "
            "than without a window, or 'swa_num_key_value_heads' divides no %llu heads",
            (unsigned long long)f['N']);
    if (!model_rotated(m, 1, e))
        return false;
    for (uint64_t i = 0; i < f['L']; i++)
        if (!mimo_block(m, i, e))
            return false;
    for (uint64_t i = 0; i < f['L']; i++) /* last: those above are of the common one */
        model_set_block(m, 'M', i, m->by_block['w'][i] ? f['u'] : f['M']);
    return true;
}

static const struct conversion mimo2 = {
    .flags = CONVERT_NEEDS_OUTPUT | CONVERT_QKV_RANKS | CONVERT_FILE_ONLY,
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, mimo_names, rules_dense,
                                               rules_moe, rules_select_bias, NULL},
    .facts =
        (const struct fact_rule[]){
            {'N', "num_attention_heads", NULL},
            {'D', "head_dim", NULL},
            {'v', "v_head_dim", NULL},
            {'d', "swa_head_dim", "=D"},
            {'y', "swa_v_head_dim", "=v"},
            {'n', "swa_num_attention_heads", "=N"},
            {'u', "swa_num_key_value_heads", NULL},
            {0, NULL, NULL},
        },
    .keys =
        (const struct key_rule[]){
            {"nextn_predict_layers", KEY_U32, "", "0"},
            {"attention.value_length", KEY_U32, "=v", NULL},
            {"attention.sliding_window", KEY_U32, "sliding_window|sliding_window_size", "!"},
            {"attention.sliding_window_pattern", KEY_U32, "=w", NULL},
            {"attention.value_scale", KEY_F32, "attention_value_scale", NULL},
            {"attention.layer_norm_rms_epsilon", KEY_F32, "layernorm_epsilon", "1e-5"},
            {"rope.dimension_count", KEY_U32, "=R", NULL},
            {"rope.freq_base_swa", KEY_F32, "swa_rope_theta", NULL},
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"topk_method", "noaux_tc", "noaux_tc", "the engine chooses by scores with a bias"},
            {"scoring_func", "sigmoid", "sigmoid", "the engine computes the sigmoid here"},
            {"norm_topk_prob", "true", "true",
             "the engine always makes the weights of the chosen experts sum to one"},
            {"routed_scaling_factor", "1|null", "null", "the engine does not scale the gates here"},
            {"n_shared_experts", "0|null", "null", "the engine has no shared experts here"},
            {"attention_bias", "false", "false", "the engine has no biases here"},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {NULL, NULL, NULL, NULL},
        },
    .derive = mimo_derive,
};

const struct family family_mimo2 = {
    .arch = "mimo2",
    .models = "MiMo-V2",
    .gate = "sigmoid, top-k, renormalised",
    .classes = {{"MiMoV2FlashForCausalLM", &mimo2}, {"MiMoV2ForCausalLM", &mimo2}},
    NAMES(MLP, CORRECTION),
};
