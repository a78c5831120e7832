/* bailingmoe3.c - Ling 3: blocks of linear attention (KDA, without ranks) for each of latent attention, whose heads have a gate each. */
#include "family/rules.h"

#define KDA_MAX 65536u

/* KDA: N heads of size d, k: their convolutions; e = N d. Latent attention: r, c ranks; n, p, v: head sizes without
 * and with rotation, and of the values; b = N (n + v), q = N (n + p), a = c + p, o = N v. u: KV heads of each block. */
static const struct name_rule bailing_names[] = {
    {"attention.q_proj.weight", "attn_q.weight", "eH", HOW_COPY, B_SSM, false},
    {"attention.k_proj.weight", "attn_k.weight", "eH", HOW_COPY, B_SSM, false},
    {"attention.v_proj.weight", "attn_v.weight", "eH", HOW_COPY, B_SSM, false},
    {"attention.q_conv1d.weight", "ssm_conv1d_q.weight", "e1k", HOW_CONV, B_SSM, false},
    {"attention.k_conv1d.weight", "ssm_conv1d_k.weight", "e1k", HOW_CONV, B_SSM, false},
    {"attention.v_conv1d.weight", "ssm_conv1d_v.weight", "e1k", HOW_CONV, B_SSM, false},
    {"attention.f_proj.weight", "ssm_f_a.weight", "eH", HOW_COPY, B_SSM, false},
    {"attention.g_proj.weight", "ssm_g_a.weight", "eH", HOW_COPY, B_SSM, false},
    {"attention.b_proj.weight", "ssm_beta.weight", "NH", HOW_COPY, B_SSM, false},
    {"attention.A_log", "ssm_a", "N", HOW_EXP_COLUMN, B_SSM, false},
    {"attention.dt_bias", "ssm_dt.bias", "e", HOW_COPY, B_SSM, false},
    {"attention.o_norm.weight", "ssm_norm.weight", "d", HOW_COPY, B_SSM, false},
    {"attention.o_proj.weight", "attn_output.weight", "He", HOW_COPY, B_SSM, false},
    {"attention.q_proj.weight", "attn_q.weight", "qH", HOW_COPY, B_Q_FULL, false},
    {"attention.q_a_proj.weight", "attn_q_a.weight", "rH", HOW_COPY, B_Q_LORA, false},
    {"attention.q_a_layernorm.weight", "attn_q_a_norm.weight", "r", HOW_COPY, B_Q_LORA, false},
    {"attention.q_b_proj.weight", "attn_q_b.weight", "qr", HOW_COPY, B_Q_LORA, false},
    {"attention.kv_a_proj_with_mqa.weight", "attn_kv_a_mqa.weight", "aH", HOW_COPY, B_ATTN, false},
    {"attention.kv_a_layernorm.weight", "attn_kv_a_norm.weight", "c", HOW_COPY, B_ATTN, false},
    {"attention.kv_b_proj.weight", "attn_k_b.weight", "bc", HOW_K_B, B_ATTN, false},
    {"attention.kv_b_proj.weight", "attn_v_b.weight", "bc", HOW_V_B, B_ATTN, false},
    {"attention.g_proj.weight", "attn_gate.weight", "NH", HOW_COPY, B_ATTN, false},
    {"attention.dense.weight", "attn_output.weight", "Ho", HOW_COPY, B_ATTN, false},
    {"mlp.gate.expert_bias", "exp_probs_b.bias", "E", HOW_COPY, B_MOE, false},
    {"final_layernorm.weight", "layer_output_norm.weight", "H", HOW_COPY, B_MTP, true},
    END,
};

static bool bailing_derive(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f, lead = model_number(m, "first_k_dense_replace", 0), group = f['g'];
    if (!f['n'] || !f['p'] || !f['v'] || !f['c'] || !group || !f['k'] || f['k'] > KDA_MAX || f['D'] > KDA_MAX)
        return err_set(
            e, ERR_INPUT,
            "config.json: a head size, 'kv_lora_rank', 'layer_group_size' or 'short_conv_kernel_size' is 0 or "
            "too large");
    double bound = 0;
    if (!jdoc_f64(m->conf->d, conf_get(m->conf, "kda_lower_bound"), &bound) || !(bound < 0))
        return err_set(e, ERR_INPUT, "config.json: 'kda_lower_bound' is missing or not below 0");
    if (lead > f['L'])
        return model_key_too_large("first_k_dense_replace", e);
    f['d'] = f['D'];
    f['e'] = f['N'] * f['d'];
    f['b'] = f['N'] * (f['n'] + f['v']);
    f['W'] = f['n'] + f['p'];
    f['q'] = f['N'] * f['W'];
    f['a'] = f['c'] + f['p'];
    f['o'] = f['N'] * f['v'];
    for (uint64_t i = 0; i < m->n_blocks;
         i++) { /* what is left behind the last group is whole, as the MTP blocks are */
        bool whole = i >= f['L'] || (i + 1) % group == 0 || i >= f['L'] / group * group;
        model_set_block(m, 'u', i, whole);
        m->kinds[i] = (m->kinds[i] & B_MTP) | (whole ? B_ATTN | (f['r'] ? B_Q_LORA : B_Q_FULL) : B_SSM) |
                      (i < lead ? B_DENSE : B_MOE | B_SHARED);
    }
    return true;
}

static const struct conversion bailing_moe_v3 = {
    .flags = CONVERT_MTP_KEPT | CONVERT_FILE_ONLY,
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, bailing_names, rules_dense,
                                               rules_moe, rules_shared, rules_nextn, NULL},
    .facts =
        (const struct fact_rule[]){
            {'r', "q_lora_rank", "0"},
            {'c', "kv_lora_rank", NULL},
            {'n', "qk_nope_head_dim", NULL},
            {'p', "qk_rope_head_dim", NULL},
            {'v', "v_head_dim", NULL},
            {'k', "short_conv_kernel_size", NULL},
            {'g', "layer_group_size", NULL},
            {'s', "num_shared_experts", NULL},
            {'S', "moe_shared_expert_intermediate_size", NULL},
            {0, NULL, NULL},
        },
    .keys =
        (const struct key_rule[]){
            {"attention.head_count_kv", KEY_U32, "=u", NULL},
            {"attention.key_length", KEY_U32, "=a", NULL},
            {"attention.value_length", KEY_U32, "=D", NULL},
            {"attention.key_length_mla", KEY_U32, "=W", NULL},
            {"attention.value_length_mla", KEY_U32, "=v", NULL},
            {"attention.q_lora_rank", KEY_U32, "=r", NULL},
            {"attention.kv_lora_rank", KEY_U32, "=c", NULL},
            {"rope.dimension_count", KEY_U32, "=p", NULL},
            {"ssm.conv_kernel", KEY_U32, "=k", NULL},
            {"kda.head_dim", KEY_U32, "=d", NULL},
            {"kda.safe_gate", KEY_BOOL, "kda_safe_gate", "!"},
            {"kda.gate_lower_bound", KEY_F32, "kda_lower_bound", "!"},
            {"leading_dense_block_count", KEY_U32, "first_k_dense_replace", "0"},
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"expert_shared_feed_forward_length", KEY_U32, "=S", NULL},
            {"expert_shared_count", KEY_U32, "=s", NULL},
            {"expert_weights_scale", KEY_F32, "routed_scaling_factor", "!"},
            {"expert_weights_norm", KEY_BOOL, "norm_topk_prob", "!"},
            {"expert_gating_func", KEY_GATING, "score_function", "!"},
            {"swiglu_clamp_exp", KEY_F32_BLOCKS, "expert_swiglu_limit_list", NULL},
            {"swiglu_clamp_shexp", KEY_F32_BLOCKS, "share_expert_swiglu_limit_list", NULL},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"no_kda_lora", "true", "!", "the engine has no ranks in linear attention here"},
            {"kda_safe_gate", "true", "!", "the engine bounds the gates of linear attention"},
            {"gated_attention_proj_granularity_type", "head_wise", "!",
             "the engine has a gate for each head"},
            {"rope_interleave", "true", "true", "the engine rotates pairs of neighbours"},
            {"use_qkv_bias", "false", "false", "the engine has no biases here"},
            {"use_bias", "false", "false", "the engine has no biases here"},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {NULL, NULL, NULL, NULL},
        },
    .derive = bailing_derive,
};

const struct family family_bailingmoe3 = {
    .arch = "bailingmoe3",
    .engine = ENGINE_GATE_KEY | ENGINE_KDA | ENGINE_MTP_ALONE,
    .models = "Ling 3",
    .gate = BY_KEYS,
    .classes = {{"BailingMoeV3ForCausalLM", &bailing_moe_v3}},
    NAMES(MLP, CORRECTION),
    .tokenizers = {{.model_types = "bailing_hybrid*", .pre = "bailingmoe2"}},
};
