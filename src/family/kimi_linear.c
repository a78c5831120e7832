/* kimi_linear.c - Kimi-Linear: three layers of linear attention (KDA) for each of MLA, without rotation; and Kimi-K3, which has
 * residuals of earlier layers and experts in a smaller space. */
#include "family/rules.h"

#define KDA_MAX 65536u

/* KDA: N heads of size d, k: their convolutions; e = N d. MLA: c rank of the keys and values; n, p, v: head sizes
 * without and with (unused) rotation, and of the values; b = N (n + v), q = N (n + p), a = c + p, o = N v. */
static const struct name_rule both[] = {
    {"self_attn.q_proj.weight", "attn_q.weight", "eH", HOW_COPY, B_SSM, false},
    {"self_attn.k_proj.weight", "attn_k.weight", "eH", HOW_COPY, B_SSM, false},
    {"self_attn.v_proj.weight", "attn_v.weight", "eH", HOW_COPY, B_SSM, false},
    {"self_attn.q_conv1d.weight", "ssm_conv1d_q.weight", "e1k", HOW_CONV, B_SSM, false},
    {"self_attn.k_conv1d.weight", "ssm_conv1d_k.weight", "e1k", HOW_CONV, B_SSM, false},
    {"self_attn.v_conv1d.weight", "ssm_conv1d_v.weight", "e1k", HOW_CONV, B_SSM, false},
    {"self_attn.f_a_proj.weight", "ssm_f_a.weight", "dH", HOW_COPY, B_SSM, false},
    {"self_attn.f_b_proj.weight", "ssm_f_b.weight", "ed", HOW_COPY, B_SSM, false},
    {"self_attn.b_proj.weight", "ssm_beta.weight", "NH", HOW_COPY, B_SSM, false},
    {"self_attn.dt_bias", "ssm_dt.bias", "e", HOW_COPY, B_SSM, false},
    {"self_attn.o_norm.weight", "ssm_norm.weight", "d", HOW_COPY, B_SSM, false},
    {"self_attn.o_proj.weight", "attn_output.weight", "He", HOW_COPY, B_SSM, false},
    {"self_attn.kv_a_proj_with_mqa.weight", "attn_kv_a_mqa.weight", "aH", HOW_COPY, B_ATTN, false},
    {"self_attn.kv_a_layernorm.weight", "attn_kv_a_norm.weight", "c", HOW_COPY, B_ATTN, false},
    {"self_attn.kv_b_proj.weight", "attn_k_b.weight", "bc", HOW_K_B, B_ATTN, false},
    {"self_attn.kv_b_proj.weight", "attn_v_b.weight", "bc", HOW_V_B, B_ATTN, false},
    {"self_attn.o_proj.weight", "attn_output.weight", "Ho", HOW_COPY, B_ATTN, false},
    {"block_sparse_moe.gate.weight", "ffn_gate_inp.weight", "EH", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.gate.e_score_correction_bias", "exp_probs_b.bias", "E", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.shared_experts.gate_proj.weight", "ffn_gate_shexp.weight", "SH", HOW_COPY, B_SHARED,
     false},
    {"block_sparse_moe.shared_experts.up_proj.weight", "ffn_up_shexp.weight", "SH", HOW_COPY, B_SHARED,
     false},
    {"block_sparse_moe.shared_experts.down_proj.weight", "ffn_down_shexp.weight", "HS", HOW_COPY, B_SHARED,
     false},
    END,
};

static const struct name_rule linear_names[] = {
    {"self_attn.g_a_proj.weight", "ssm_g_a.weight", "dH", HOW_COPY, B_SSM, false},
    {"self_attn.g_b_proj.weight", "ssm_g_b.weight", "ed", HOW_COPY, B_SSM, false},
    {"self_attn.A_log", "ssm_a", "11N1", HOW_NEG_EXP, B_SSM, false},
    {"self_attn.q_proj.weight", "attn_q.weight", "qH", HOW_COPY, B_ATTN, false},
    {"block_sparse_moe.experts.#.w1.weight", "ffn_gate_exps.weight", "XH", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.experts.#.w3.weight", "ffn_up_exps.weight", "XH", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.experts.#.w2.weight", "ffn_down_exps.weight", "HX", HOW_COPY, B_MOE, false},
    END,
};

/* linear_attn_config: sizes, and full_attn_layers, the numbers of the blocks with MLA, counted from 1. */
static bool kimi_attn(struct family_model *m, struct err *e)
{
    const struct jdoc *d = m->conf->d;
    uint64_t *f = m->f, heads = 0, n;
    uint32_t conf = conf_get(m->conf, "linear_attn_config"), list;
    if (conf == JSPAN_NONE || d->nodes[conf].kind != J_OBJECT)
        return err_set(e, ERR_INPUT, "config.json: 'linear_attn_config' is missing or no object");
    if (!jdoc_u64(d, jdoc_get(d, conf, "head_dim"), &f['d']) || !f['d'] || f['d'] > KDA_MAX ||
        !jdoc_u64(d, jdoc_get(d, conf, "short_conv_kernel_size"), &f['k']) || !f['k'] || f['k'] > KDA_MAX)
        return err_set(e, ERR_INPUT,
                       "config.json: 'linear_attn_config' lacks head_dim or short_conv_kernel_size, "
                       "or one is not 1 to %u",
                       KDA_MAX);
    if (!jdoc_u64(d, jdoc_get(d, conf, "num_heads"), &heads) || heads != f['N'])
        return err_set(
            e, ERR_INPUT,
            "config.json: 'linear_attn_config.num_heads' is %llu, expected %llu: the engine has one number "
            "of heads",
            (unsigned long long)heads, (unsigned long long)f['N']);
    list = jdoc_get(d, conf, "full_attn_layers");
    if (list == JSPAN_NONE || d->nodes[list].kind != J_ARRAY)
        return err_set(e, ERR_INPUT,
                       "config.json: 'linear_attn_config.full_attn_layers' is missing or no list");
    for (uint64_t i = 0; i < f['L']; i++)
        m->kinds[i] = B_SSM;
    for (uint32_t at = d->nodes[list].first; at != JSPAN_NONE; at = d->nodes[at].next) {
        if (!jdoc_u64(d, at, &n) || !n || n > f['L'])
            return err_set(e, ERR_INPUT,
                           "config.json: 'full_attn_layers' names a layer that is not 1 to %llu",
                           (unsigned long long)f['L']);
        m->kinds[n - 1] = B_ATTN;
    }
    return true;
}

static bool kimi_derive(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f, lead = model_number(m, "first_k_dense_replace", 0);
    if (!kimi_attn(m, e))
        return false;
    if (lead > f['L'])
        return model_key_too_large("first_k_dense_replace", e);
    if (!f['n'] || !f['p'] || !f['v'] || !f['c'])
        return err_set(e, ERR_INPUT, "config.json: a head size or 'kv_lora_rank' is 0");
    f['e'] = f['N'] * f['d'];
    f['b'] = f['N'] * (f['n'] + f['v']);
    f['W'] = f['n'] + f['p']; /* the key lengths */
    f['q'] = f['N'] * f['W'];
    f['a'] = f['c'] + f['p'];
    f['o'] = f['N'] * f['v'];
    f['S'] = f['X'] * f['s'];
    f['m'] = lead;
    for (uint64_t i = 0; i < f['L']; i++) {
        model_set_block(m, 'u', i, m->kinds[i] & B_ATTN ? 1 : 0); /* keys and values are one head */
        m->kinds[i] |= i < lead ? B_DENSE : B_MOE | (f['S'] ? B_SHARED : 0);
    }
    return true;
}

/* clang-format off */
#define KIMI_FACTS \
    {'c', "kv_lora_rank", NULL}, \
    {'n', "qk_nope_head_dim", NULL}, \
    {'p', "qk_rope_head_dim", NULL}, \
    {'v', "v_head_dim", NULL}, \
    {'s', "num_shared_experts", "0"}, \
    {0, NULL, NULL}
#define KIMI_KEYS \
    {"attention.head_count_kv", KEY_U32, "=u", NULL}, \
    {"attention.key_length", KEY_U32, "=a", NULL}, \
    {"attention.key_length_mla", KEY_U32, "=W", NULL}, \
    {"attention.value_length_mla", KEY_U32, "=v", NULL}, \
    {"attention.kv_lora_rank", KEY_U32, "=c", NULL}, \
    {"rope.dimension_count", KEY_U32, "=p", NULL}, \
    {"ssm.conv_kernel", KEY_U32, "=k", NULL}, \
    {"kda.head_dim", KEY_U32, "=d", NULL}, \
    {"leading_dense_block_count", KEY_U32, "=m", NULL}, \
    {"expert_feed_forward_length", KEY_U32, "=X", NULL}, \
    {"expert_shared_count", KEY_U32, "=s", NULL}, \
    {"expert_weights_scale", KEY_F32, "routed_scaling_factor", "1"}
/* clang-format on */

static const struct conversion kimi_linear = {
    .flags = CONVERT_NO_ROPE | CONVERT_NEEDS_OUTPUT | CONVERT_FILE_ONLY,
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, both, linear_names,
                                               rules_dense, NULL},
    .facts =
        (const struct fact_rule[]){
            KIMI_FACTS,
        },
    .keys =
        (const struct key_rule[]){
            KIMI_KEYS,
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"mla_use_nope", "true", "true", "the engine does not rotate in this family"},
            {"q_lora_rank", "0", "0", "the converter of the engine knows no rank of q here"},
            {"moe_renormalize", "true", "true",
             "the engine always makes the weights of the chosen experts sum to one"},
            {"moe_layer_freq", "1", "1", "the engine expects experts in every block behind the dense ones"},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {NULL, NULL, NULL, NULL},
        },
    .derive = kimi_derive,
};

const struct family family_kimi_linear = {
    .arch = "kimi-linear",
    .engine = ENGINE_ROPE_NONE | ENGINE_GATE_KEY | ENGINE_KDA,
    .models = "Kimi-Linear",
    .gate = FUNC_BY_KEY_NORM ", scaled",
    .classes = {{"KimiLinearForCausalLM", &kimi_linear}},
    NAMES(SPARSE),
    .tokenizers = {{.model_types = "kimi_linear*", .eos_by_name = true}},
};

/* ---- Kimi-K3 ---- */

/* r: rank of q; t: the space of the experts. What weights the residuals is a norm's weights times a projection's. */
static const struct name_rule k3_names[] = {
    {"self_attn.A_log", "ssm_a", "N", HOW_NEG_EXP, B_SSM, false},
    {"self_attn.g_proj.weight", "ssm_g.weight", "eH", HOW_COPY, B_SSM, false},
    {"self_attn.g_proj.weight", "attn_gate.weight", "oH", HOW_COPY, B_ATTN, false},
    {"self_attn.q_proj.weight", "attn_q.weight", "qH", HOW_COPY, B_Q_FULL, false},
    {"self_attn.q_a_proj.weight", "attn_q_a.weight", "rH", HOW_COPY, B_Q_LORA, false},
    {"self_attn.q_a_layernorm.weight", "attn_q_a_norm.weight", "r", HOW_COPY, B_Q_LORA, false},
    {"self_attn.q_b_proj.weight", "attn_q_b.weight", "qr", HOW_COPY, B_Q_LORA, false},
    {"self_attention_res_norm.weight*self_attention_res_proj.weight", "attn_res_score.weight", "H*1H",
     HOW_PRODUCT, 0, false},
    {"mlp_res_norm.weight*mlp_res_proj.weight", "ffn_res_score.weight", "H*1H", HOW_PRODUCT, 0, false},
    {"block_sparse_moe.routed_expert_down_proj.weight", "ffn_routed_down.weight", "tH", HOW_COPY, B_LATENT,
     false},
    {"block_sparse_moe.routed_expert_up_proj.weight", "ffn_routed_up.weight", "Ht", HOW_COPY, B_LATENT,
     false},
    {"block_sparse_moe.routed_expert_norm.weight", "ffn_routed_norm.weight", "t", HOW_COPY, B_LATENT, true},
    {"block_sparse_moe.experts.#.w1.weight", "ffn_gate_exps.weight", "Xt", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.experts.#.w3.weight", "ffn_up_exps.weight", "Xt", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.experts.#.w2.weight", "ffn_down_exps.weight", "tX", HOW_COPY, B_MOE, false},
    END,
};

static const struct name_rule k3_globals[] = {
    {"embed_tokens.weight", "token_embd.weight", "VH", HOW_COPY, 0, false},
    {"norm.weight", "output_norm.weight", "H", HOW_COPY, 0, false},
    {"lm_head.weight", "output.weight", "VH", HOW_COPY, 0, true},
    {"output_attn_res_norm.weight*output_attn_res_proj.weight", "output_res_score.weight", "H*1H",
     HOW_PRODUCT, 0, false},
    END,
};

static bool k3_derive(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f, latent = f['t'];
    double bound = -1;
    if (!kimi_derive(m, e))
        return false;
    (void)jdoc_f64(m->conf->d, conf_get(m->conf, "linear_attn_config.gate_lower_bound"), &bound);
    if (!(bound < 0))
        return err_set(e, ERR_INPUT,
                       "config.json: 'linear_attn_config.gate_lower_bound' is %g, expected a number below 0",
                       bound);
    f['t'] = latent ? latent : f['H'];
    for (uint64_t i = 0; i < f['L']; i++) {
        m->kinds[i] |= !(m->kinds[i] & B_ATTN) ? 0 : f['r'] ? B_Q_LORA : B_Q_FULL;
        m->kinds[i] |= latent && m->kinds[i] & B_MOE ? B_LATENT : 0;
    }
    return true;
}

static const struct conversion kimi_k3 = {
    .flags = CONVERT_NO_ROPE | CONVERT_NEEDS_OUTPUT | CONVERT_FILE_ONLY,
    .names =
        (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, both, k3_names, rules_dense, NULL},
    .globals = k3_globals,
    .facts =
        (const struct fact_rule[]){
            {'r', "q_lora_rank", "0"},
            {'t', "routed_expert_hidden_size", "0"},
            KIMI_FACTS,
        },
    .keys =
        (const struct key_rule[]){
            KIMI_KEYS,
            {"attention.value_length", KEY_U32, "=c", NULL},
            {"attention.q_lora_rank", KEY_U32, "q_lora_rank", NULL},
            {"kda.gate_lower_bound", KEY_F32, "linear_attn_config.gate_lower_bound", NULL},
            {"expert_latent_length", KEY_U32, "routed_expert_hidden_size", NULL},
            {"expert_weights_norm", KEY_BOOL, "moe_renormalize", "!"},
            {"activation.situ_beta", KEY_F32, "activation_situ_beta", "!"},
            {"activation.situ_linear_beta", KEY_F32, "activation_situ_linear_beta", "!"},
            {"attn_res.block_size", KEY_U32, "attn_res_block_size", "!"},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"mla_use_nope", "true", "!", "the engine does not rotate in this family"},
            {"moe_router_activation_func", "sigmoid", "!", "the engine's converter knows no other gate here"},
            {"moe_layer_freq", "1", "1", "the engine expects experts in every block behind the dense ones"},
            {"hidden_act", "situ", "!", "the engine computes SiTU in this family"},
            {NULL, NULL, NULL, NULL},
        },
    .derive = k3_derive,
};

const struct family family_kimi_k3 = {
    .arch = "kimi-k3",
    .engine = ENGINE_ROPE_NONE | ENGINE_GATE_KEY | ENGINE_KDA | ENGINE_RES,
    .models = "Kimi-K3",
    .gate = BY_KEYS,
    .classes = {{"KimiK3ForConditionalGeneration", &kimi_k3}},
    NAMES(SPARSE),
};
