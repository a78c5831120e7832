/* deepseek2.c - DeepSeek-V2 and V3, and what others made of them. */
#include "family/rules.h"
#include "hf/names.h"

#include "base/log.h"

/* r, c: ranks of q and kv; n, p, v: head sizes without and with rotation, and of the values. b = N (n + v),
 * q = N (n + p), a = c + p, o = N v. */
static const struct name_rule mla[] = {
    {"self_attn.q_proj.weight", "attn_q.weight", "qH", HOW_COPY, B_Q_FULL, false},
    {"self_attn.q_a_proj.weight", "attn_q_a.weight", "rH", HOW_COPY, B_Q_LORA, false},
    {"self_attn.q_a_layernorm.weight", "attn_q_a_norm.weight", "r", HOW_COPY, B_Q_LORA, false},
    {"self_attn.q_b_proj.weight", "attn_q_b.weight", "qr", HOW_COPY, B_Q_LORA, false},
    {"self_attn.kv_a_proj_with_mqa.weight", "attn_kv_a_mqa.weight", "aH", HOW_COPY, 0, false},
    {"self_attn.kv_a_layernorm.weight", "attn_kv_a_norm.weight", "c", HOW_COPY, 0, false},
    {"self_attn.kv_b_proj.weight", "attn_k_b.weight", "bc", HOW_K_B, 0, false},
    {"self_attn.kv_b_proj.weight", "attn_v_b.weight", "bc", HOW_V_B, 0, false},
    {"self_attn.o_proj.weight", "attn_output.weight", "Ho", HOW_COPY, 0, false},
    END,
};

static bool deepseek_derive(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f, lead = model_number(m, "first_k_dense_replace", 0);
    f['S'] = f['X'] * f['s'];
    f['b'] = f['N'] * (f['n'] + f['v']);
    f['q'] = f['N'] * (f['n'] + f['p']);
    f['a'] = f['c'] + f['p'];
    f['o'] = f['N'] * f['v'];
    f['W'] = f['n'] + f['p']; /* the key lengths */
    if (!f['n'] || !f['p'] || !f['v'] || !f['c'])
        return err_set(e, ERR_INPUT, "config.json: a head size or 'kv_lora_rank' is 0");
    if (!f['S'])
        return err_set(e, ERR_INPUT,
                       "config.json: no shared experts; the engine expects them in this family");
    bool lite = f['L'] == 26 || f['L'] == 27 || (f['L'] == 48 && f['V'] == 128256);
    if (lite && f['r'])
        return err_set(
            e, ERR_INPUT,
            "config.json: %llu layers with a 'q_lora_rank'; the engine takes them for a Lite model, "
            "which has none",
            (unsigned long long)f['L']);
    if (lead > f['L'])
        return model_key_too_large("first_k_dense_replace", e);
    model_dense_first(m, lead);
    for (uint64_t i = 0; i < m->n_blocks; i++)
        m->kinds[i] |= f['r'] ? B_Q_LORA : B_Q_FULL;
    if (model_number(m, HF_KEYS_GROUPS, 1) > 1) {
        uint32_t method = conf_get(m->conf, "topk_method");
        if (method != JSPAN_NONE && jdoc_str_is(m->conf->d, method, "group_limited_greedy"))
            log_warn("the engine ranks groups of experts by their two best, this model by the best one; some "
                     "tokens will take other experts");
    }
    return true;
}

static const struct fact_rule deepseek_facts[] = {
    {'r', "q_lora_rank", "0"},
    {'c', "kv_lora_rank", "512"},
    {'n', "qk_nope_head_dim", NULL},
    {'p', "qk_rope_head_dim", NULL},
    {'v', "v_head_dim", NULL},
    {'s', "n_shared_experts", "0"},
    {0, NULL, NULL},
};
static const struct must_rule deepseek_musts[] = {
    {"moe_layer_freq", "1", "1", "the engine expects experts in every block behind the dense ones"},
    {"attention_bias", "false", "false", "the engine has no biases here"},
    {"hidden_act", "silu", "silu", rules_silu_only},
    {NULL, NULL, NULL, NULL},
};
/* clang-format off */
#define DEEPSEEK_KEYS \
    {"attention.head_count_kv", KEY_U32, "=1", NULL}, \
    {"attention.key_length", KEY_U32, "=a", NULL}, \
    {"attention.value_length", KEY_U32, "=c", NULL}, \
    {"attention.key_length_mla", KEY_U32, "=W", NULL}, \
    {"attention.value_length_mla", KEY_U32, "=v", NULL}, \
    {"attention.q_lora_rank", KEY_U32, "=r", NULL}, \
    {"attention.kv_lora_rank", KEY_U32, "=c", NULL}, \
    {"attention.layer_norm_rms_epsilon", KEY_F32, "rms_norm_eps", "1e-6"}, \
    {"leading_dense_block_count", KEY_U32, "first_k_dense_replace", "0"}, \
    {"expert_feed_forward_length", KEY_U32, "=X", NULL}, \
    {"expert_shared_count", KEY_U32, "=s", NULL}, \
    {"expert_weights_scale", KEY_F32, "routed_scaling_factor", NULL}, \
    {"expert_weights_norm", KEY_BOOL, "norm_topk_prob", NULL}, \
    {"rope.dimension_count", KEY_U32, "=p", NULL}
/* clang-format on */

static const struct name_rule *const v2_names[] = {rules_pre_norm,
                                                   rules_ffn_norm,
                                                   mla,
                                                   rules_dense,
                                                   rules_moe,
                                                   rules_select_bias_optional,
                                                   rules_shared,
                                                   NULL};
static const struct name_rule *const v3_names[] = {
    rules_pre_norm, rules_ffn_norm, mla, rules_dense, rules_moe, rules_select_bias, rules_shared, NULL};

static const struct conversion deepseek_v2 = {
    .names = v2_names,
    .facts = deepseek_facts,
    .keys = (const struct key_rule[]){DEEPSEEK_KEYS, {NULL, KEY_U32, NULL, NULL}},
    .musts = deepseek_musts,
    .derive = deepseek_derive,
};

/* A config that transformers 5 saved has no scoring_func; the family's is the sigmoid. */
static const struct conversion deepseek_v3 = {
    .names = v3_names,
    .facts = deepseek_facts,
    .keys = (const struct key_rule[]){DEEPSEEK_KEYS,
                                      {"expert_gating_func", KEY_GATING, "scoring_func", "sigmoid"},
                                      {NULL, KEY_U32, NULL, NULL}},
    .musts = deepseek_musts,
    .derive = deepseek_derive,
};

const struct family family_deepseek2 = {
    .arch = "deepseek2",
    .engine = ENGINE_ROPE_PART,
    .models = "DeepSeek-V2, V3, R1, Kimi-K2",
    .gate = BY_KEYS,
    .classes = {{"DeepseekV2ForCausalLM", &deepseek_v2},
                {"DeepseekV3ForCausalLM", &deepseek_v3},
                CLASS("KimiK25ForConditionalGeneration"),
                CLASS("Glm4MoeLiteForCausalLM")},
    NAMES(MLP),
    .yarn_all_dim = true,
};
