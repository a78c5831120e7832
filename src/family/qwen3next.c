/* qwen3next.c - Qwen3-Next and Qwen3.5-MoE: three layers of linear attention (gated delta net) for each of
 * attention. */
#include "family/rules.h"

/* g, h: heads of keys and of values of the linear attention, s: their size, k: its kernel; i = h s, z = i + 2 g s,
 * y = z + i, b = 2 h; r: whether a block has it. a = 2 Q: the queries and their gates. Norms are stored as what they add to one, but for that of
 * the linear attention. */
static const struct name_rule norms[] = {
    {"input_layernorm.weight", "attn_norm.weight", "H", HOW_PLUS_ONE, 0, false},
    {"post_attention_layernorm.weight", "post_attention_norm.weight", "H", HOW_PLUS_ONE, 0, false},
    END,
};
static const struct name_rule gated_attn[] = {
    {"self_attn.q_proj.weight", "attn_q.weight", "aH", HOW_COPY, B_ATTN, false},
    {"self_attn.k_proj.weight", "attn_k.weight", "KH", HOW_COPY, B_ATTN, false},
    {"self_attn.v_proj.weight", "attn_v.weight", "KH", HOW_COPY, B_ATTN, false},
    {"self_attn.o_proj.weight", "attn_output.weight", "HQ", HOW_COPY, B_ATTN, false},
    {"self_attn.q_norm.weight", "attn_q_norm.weight", "D", HOW_PLUS_ONE, B_ATTN, false},
    {"self_attn.k_norm.weight", "attn_k_norm.weight", "D", HOW_PLUS_ONE, B_ATTN, false},
    END,
};
static const struct name_rule qwen3_next_delta[] = {
    {"linear_attn.in_proj_qkvz.weight", "attn_qkv.weight", "yH", HOW_DELTA_QKV, B_SSM, false},
    {"linear_attn.in_proj_qkvz.weight", "attn_gate.weight", "yH", HOW_DELTA_Z, B_SSM, false},
    {"linear_attn.in_proj_ba.weight", "ssm_ba.weight", "bH", HOW_COPY, B_SSM, false},
    {"linear_attn.conv1d.weight", "ssm_conv1d.weight", "z1k", HOW_SQUEEZE, B_SSM, false},
    {"linear_attn.dt_bias", "ssm_dt.bias", "h", HOW_COPY, B_SSM, false},
    {"linear_attn.A_log", "ssm_a", "h", HOW_NEG_EXP, B_SSM, false},
    {"linear_attn.norm.weight", "ssm_norm.weight", "s", HOW_COPY, B_SSM, false},
    {"linear_attn.out_proj.weight", "ssm_out.weight", "Hi", HOW_COPY, B_SSM, false},
    END,
};
static const struct name_rule qwen3_5_delta[] = {
    {"linear_attn.in_proj_qkv.weight", "attn_qkv.weight", "zH", HOW_TURNS_V, B_SSM, false},
    {"linear_attn.in_proj_z.weight", "attn_gate.weight", "iH", HOW_TURNS, B_SSM, false},
    {"linear_attn.in_proj_b.weight", "ssm_beta.weight", "hH", HOW_TURNS, B_SSM, false},
    {"linear_attn.in_proj_a.weight", "ssm_alpha.weight", "hH", HOW_TURNS, B_SSM, false},
    {"linear_attn.conv1d.weight", "ssm_conv1d.weight", "z1k", HOW_TURNS_V, B_SSM, false},
    {"linear_attn.dt_bias", "ssm_dt.bias", "h", HOW_TURNS, B_SSM, false},
    {"linear_attn.A_log", "ssm_a", "h", HOW_TURNS_NEG_EXP, B_SSM, false},
    {"linear_attn.norm.weight", "ssm_norm.weight", "s", HOW_COPY, B_SSM, false},
    {"linear_attn.out_proj.weight", "ssm_out.weight", "Hi", HOW_TURNS_COLUMNS, B_SSM, false},
    END,
};
/* mtp.*: what stands around the block, which is one with attention. */
static const struct name_rule mtp[] = {
    {"fc.weight", "nextn.eh_proj.weight", "HY", HOW_COPY, B_MTP, false},
    {"pre_fc_norm_embedding.weight", "nextn.enorm.weight", "H", HOW_PLUS_ONE, B_MTP, false},
    {"pre_fc_norm_hidden.weight", "nextn.hnorm.weight", "H", HOW_PLUS_ONE, B_MTP, false},
    {"norm.weight", "nextn.shared_head_norm.weight", "H", HOW_PLUS_ONE, B_MTP, true},
    END,
};
static const struct name_rule globals[] = {
    {"embed_tokens.weight", "token_embd.weight", "VH", HOW_COPY, 0, false},
    {"norm.weight", "output_norm.weight", "H", HOW_PLUS_ONE, 0, false},
    {"lm_head.weight", "output.weight", "VH", HOW_COPY, 0, true},
    END,
};

#define HEADS_MAX 65536

static bool check_heads(const uint64_t *f, struct err *e)
{
    if (!f['g'] || !f['h'] || !f['s'] || f['h'] > HEADS_MAX || f['s'] > HEADS_MAX || f['h'] % f['g'])
        return err_set(
            e, ERR_INPUT,
            "config.json: %llu value heads of %llu do not share %llu key heads of the linear attention",
            (unsigned long long)f['h'], (unsigned long long)f['s'], (unsigned long long)f['g']);
    return f['t'] == f['s'] ||
           err_set(
               e, ERR_INPUT,
               "config.json: 'linear_value_head_dim' is %llu, expected %llu as 'linear_key_head_dim': the engine "
               "has one size for both",
               (unsigned long long)f['t'], (unsigned long long)f['s']);
}

static bool delta_derive(struct family_model *m, struct err *e)
{
    static const struct kind_word words[] = {
        {"linear_attention", B_SSM | B_MOE}, {"full_attention", B_ATTN | B_MOE}, {NULL, 0}};
    uint64_t *f = m->f, step = model_number(m, "full_attention_interval", 4);
    if (!check_heads(f, e) || !model_rotated(m, 0.25, e))
        return false;
    f['i'] = f['h'] * f['s'];
    f['z'] = f['i'] + 2 * f['g'] * f['s'];
    f['y'] = f['z'] + f['i'];
    f['b'] = 2 * f['h'];
    f['a'] = 2 * f['Q'];
    if (!step)
        return err_set(e, ERR_INPUT, "config.json: 'full_attention_interval' is 0");
    for (uint64_t i = 0; i < f['L']; i++)
        m->kinds[i] = (i + 1) % step ? B_SSM | B_MOE : B_ATTN | B_MOE;
    if (conf_get(m->conf, "layer_types") != JSPAN_NONE && !model_kinds_by_words(m, "layer_types", words, e))
        return false;
    for (uint64_t i = 0; i < m->n_blocks; i++)
        model_set_block(m, 'r', i, m->kinds[i] & B_SSM ? 1 : 0);
    return true;
}

static const struct fact_rule delta_facts[] = {
    {'F', "intermediate_size", "0"}, /* Qwen3.5 has no dense layer at all */
    {'S', "shared_expert_intermediate_size", NULL},
    {'g', "linear_num_key_heads", NULL},
    {'h', "linear_num_value_heads", NULL},
    {'s', "linear_key_head_dim", NULL},
    {'t', "linear_value_head_dim", NULL},
    {'k', "linear_conv_kernel_dim", NULL},
    {0, NULL, NULL},
};
/* clang-format off */
#define DELTA_KEYS \
    {"feed_forward_length", KEY_U32, "intermediate_size", NULL}, \
    {"expert_feed_forward_length", KEY_U32, "=X", NULL}, \
    {"expert_shared_feed_forward_length", KEY_U32, "=S", NULL}, \
    {"ssm.conv_kernel", KEY_U32, "=k", NULL}, \
    {"ssm.state_size", KEY_U32, "=s", NULL}, \
    {"ssm.group_count", KEY_U32, "=g", NULL}, \
    {"ssm.time_step_rank", KEY_U32, "=h", NULL}, \
    {"ssm.inner_size", KEY_U32, "=i", NULL}, \
    {"attention.recurrent_layers", KEY_BOOL, "=r", NULL}, \
    {"full_attention_interval", KEY_U32, "full_attention_interval", "4"}, \
    {"rope.dimension_count", KEY_U32, "=R", NULL}
/* clang-format on */
static const struct must_rule delta_musts[] = {
    {"norm_topk_prob", "true", "true",
     "the engine always makes the weights of the chosen experts sum to one"},
    {"decoder_sparse_step", "1", "1", "the engine expects experts in every block"},
    {"mlp_only_layers", "[]", "[]", "the engine expects experts in every block"},
    {"hidden_act", "silu", "silu", rules_silu_only},
    {"attention_bias", "false", "false", "the engine has no biases here"},
    {NULL, NULL, NULL, NULL},
};

static const struct conversion qwen3_next = {
    .names = (const struct name_rule *const[]){norms, gated_attn, qwen3_next_delta, rules_moe,
                                               rules_moe_fused, rules_qwen_shared, mtp, NULL},
    .flags = CONVERT_MTP_NAMED,
    .globals = globals,
    .facts = delta_facts,
    .keys = (const struct key_rule[]){DELTA_KEYS, {NULL, KEY_U32, NULL, NULL}},
    .musts = delta_musts,
    .derive = delta_derive,
};

static const struct conversion qwen3_5_moe = {
    .names = (const struct name_rule *const[]){norms, gated_attn, qwen3_5_delta, rules_moe, rules_moe_fused,
                                               rules_qwen_shared, mtp, NULL},
    .flags = CONVERT_MTP_NAMED,
    .globals = globals,
    .facts = delta_facts,
    .keys = (const struct key_rule[]){DELTA_KEYS,
                                      {"rope.dimension_sections", KEY_SECTIONS, "mrope_section", "11|11|10"},
                                      {NULL, KEY_U32, NULL, NULL}},
    .musts = delta_musts,
    .derive = delta_derive,
};

const struct family family_qwen3next = {
    .arch = "qwen3next",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_FIRST_TOP_K | ENGINE_SSM | ENGINE_MTP_ALONE | ENGINE_MTP_RUNS,
    .down_scale = true,
    .models = "Qwen3-Next",
    .gate = SOFTMAX_NORM,
    .classes = {{"Qwen3NextForCausalLM", &qwen3_next}},
    NAMES(MLP),
};

const struct family family_qwen35moe = {
    .arch = "qwen35moe",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_SECTIONS | ENGINE_FIRST_TOP_K | ENGINE_SSM | ENGINE_MTP_ALONE |
              ENGINE_MTP_RUNS,
    .down_scale = true,
    .models = "Qwen3.5-MoE",
    .gate = SOFTMAX_NORM,
    .classes = {{"Qwen3_5MoeForConditionalGeneration", &qwen3_5_moe},
                {"Qwen3_5MoeForCausalLM", &qwen3_5_moe}},
    NAMES(MLP),
};
