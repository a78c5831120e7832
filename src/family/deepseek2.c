/* deepseek2.c - DeepSeek-V2, V3 and V3.2, and what others made of them. */
#include "family/mla.h"
#include "hf/names.h"

#include "base/log.h"

const struct name_rule mla_names[] = {
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

const struct name_rule mla_indexer[] = {
    {"self_attn.indexer.wq_b.weight", "indexer.attn_q_b.weight", "ur", HOW_COPY, B_INDEXER, false},
    {"self_attn.indexer.wk.weight", "indexer.attn_k.weight", "wH", HOW_COPY, B_INDEXER, false},
    {"self_attn.indexer.k_norm.weight", "indexer.k_norm.weight", "w", HOW_COPY, B_INDEXER, false},
    {"self_attn.indexer.k_norm.bias", "indexer.k_norm.bias", "w", HOW_COPY, B_INDEXER, false},
    {"self_attn.indexer.weights_proj.weight", "indexer.proj.weight", "jH", HOW_COPY, B_INDEXER, false},
    END,
};

bool mla_derive(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f;
    double part = 1;
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
    (void)jdoc_f64(m->conf->d, conf_rope(m->conf, "partial_rotary_factor"), &part);
    if (part != 1)
        return err_set(e, ERR_INPUT, "config.json: 'partial_rotary_factor' is %g, expected 1", part);
    if (!model_lead(m, f['l'], e))
        return false;
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

static bool deepseek_derive(struct family_model *m, struct err *e)
{
    const uint64_t *f = m->f;
    bool lite = f['L'] == 26 || f['L'] == 27 || (f['L'] == 48 && f['V'] == 128256);
    if (lite && f['r'])
        return err_set(
            e, ERR_INPUT,
            "config.json: %llu layers with a 'q_lora_rank'; the engine takes them for a Lite model, "
            "which has none",
            (unsigned long long)f['L']);
    return mla_derive(m, e);
}

static const struct fact_rule deepseek_facts[] = {{'l', "first_k_dense_replace", "0"}, MLA_FACTS};
static const struct must_rule deepseek_musts[] = {MLA_MUSTS};
static const struct name_rule *const v2_names[] = {rules_pre_norm, rules_ffn_norm,
                                                   mla_names,      rules_dense,
                                                   rules_moe,      rules_select_bias_optional,
                                                   rules_shared,   NULL};
static const struct name_rule *const v3_names[] = {
    rules_pre_norm, rules_ffn_norm, mla_names, rules_dense, rules_moe, rules_select_bias, rules_shared, NULL};

static const struct conversion deepseek_v2 = {
    .names = v2_names,
    .facts = deepseek_facts,
    .keys = (const struct key_rule[]){MLA_KEYS, {NULL, KEY_U32, NULL, NULL}},
    .musts = deepseek_musts,
    .derive = deepseek_derive,
};

/* A config that transformers 5 saved has no scoring_func, nor has GLM's; the families' is the sigmoid. */
static const struct key_rule v3_keys[] = {
    MLA_KEYS,
    {"expert_gating_func", KEY_GATING, "scoring_func", "sigmoid"},
    {NULL, KEY_U32, NULL, NULL},
};

static const struct conversion deepseek_v3 = {
    .names = v3_names,
    .facts = deepseek_facts,
    .keys = v3_keys,
    .musts = deepseek_musts,
    .derive = deepseek_derive,
};

/* GLM-4.7-Flash. Without a key the first block is dense. */
static const struct conversion glm4_moe_lite = {
    .flags = CONVERT_MTP_KEPT,
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, mla_names, rules_dense,
                                               rules_moe, rules_select_bias, rules_shared, rules_nextn, NULL},
    .facts = (const struct fact_rule[]){{'l', "first_k_dense_replace", "1"}, MLA_FACTS},
    .keys = v3_keys,
    .musts = deepseek_musts,
    .derive = deepseek_derive,
};

const struct family family_deepseek2 = {
    .arch = "deepseek2",
    .engine = ENGINE_ROPE_PART | ENGINE_MTP_ALONE | ENGINE_MTP_RUNS,
    .models = "DeepSeek-V2, V3, R1, Kimi-K2, GLM-4.7-Flash",
    .gate = BY_KEYS,
    .classes = {{"DeepseekV2ForCausalLM", &deepseek_v2},
                {"DeepseekV3ForCausalLM", &deepseek_v3},
                {"KimiK25ForConditionalGeneration", &deepseek_v3},
                {"Glm4MoeLiteForCausalLM", &glm4_moe_lite}},
    NAMES(MLP),
    .tokenizers = {{.model_types = "glm4_moe_lite", .pre = "glm4", GLM_TOKENIZER}},
    .yarn_all_dim = true,
};

/* ---- with sparse attention ---- */

static const struct name_rule *const dsa_names[] = {
    rules_pre_norm, rules_ffn_norm,    mla_names,    mla_indexer, rules_dense,
    rules_moe,      rules_select_bias, rules_shared, rules_nextn, NULL};

static bool dsa_derive(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f;
    f['u'] = f['j'] * f['w'];
    if (!f['r'])
        return err_set(e, ERR_INPUT, "config.json: no 'q_lora_rank'; the engine expects one in this family");
    if (f['p'] > f['w'])
        return err_set(e, ERR_INPUT,
                       "config.json: 'index_head_dim' is %llu, expected 'qk_rope_head_dim', %llu, or more",
                       (unsigned long long)f['w'], (unsigned long long)f['p']);
    if (!mla_derive(m, e))
        return false;
    for (uint64_t i = 0; i < m->n_blocks; i++)
        m->kinds[i] |= B_INDEXER;
    return true;
}

static const struct conversion deepseek_v32 = {
    .flags = CONVERT_MTP_KEPT,
    .names = dsa_names,
    .facts = (const struct fact_rule[]){DSA_FACTS},
    .keys = (const struct key_rule[]){DSA_KEYS, {NULL, KEY_U32, NULL, NULL}},
    .musts = deepseek_musts,
    .derive = dsa_derive,
};

const struct family family_deepseek32 = {
    .arch = "deepseek32",
    .engine = ENGINE_ROPE_PART | ENGINE_GATE_KEY | ENGINE_INDEXER | ENGINE_INDEXER_TURN | ENGINE_MTP_ALONE |
              ENGINE_MTP_RUNS,
    .down_scale = true,
    .models = "DeepSeek-V3.2",
    .gate = BY_KEYS,
    .classes = {{"DeepseekV32ForCausalLM", &deepseek_v32}},
    NAMES(MLP),
    /* Mistral-Large 3 (conversion/mistral.py of llama.cpp v0.5.0: MistralMoeModel) */
    .own_names = {.block = "", .experts = "experts", .router = "gate"},
    .yarn_all_dim = true,
};

/* A list, a word of F and S, or every n-th from one on (transformers, configuration_glm_moe_dsa.py). False: not known at
 * this layer. */
static bool has_indexer(const struct family_model *m, uint64_t il, bool *has)
{
    const struct jdoc *d = m->conf->d;
    uint32_t list = conf_get(m->conf, "indexer_types|index_topk_pattern");
    if (list != JSPAN_NONE && d->nodes[list].kind == J_STRING) {
        struct buf s = {0};
        jdoc_str(d, list, &s);
        char c = il < s.n ? s.s[il] : 0;
        buf_clear(&s);
        *has = c == 'F';
        return c == 'F' || c == 'S';
    }
    if (list != JSPAN_NONE) {
        uint32_t n = model_list_at(m, list, il);
        *has = n != JSPAN_NONE && jdoc_str_is(d, n, "full");
        return *has || (n != JSPAN_NONE && jdoc_str_is(d, n, "shared"));
    }
    uint64_t step = model_number(m, "index_topk_freq", 1),
             from = model_number(m, "index_skip_topk_offset", 2);
    *has = il + 1 <= from || step <= 1 || (il + 1 - from) % step == 0;
    return true;
}

bool mla_shared_indexers(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f;
    f['t'] = 1;
    for (uint64_t i = 0; i < f['L']; i++) {
        bool has;
        if (!has_indexer(m, i, &has))
            return err_set(e, ERR_INPUT,
                           "config.json: 'indexer_types' does not say full or shared for layer %llu",
                           (unsigned long long)i);
        if (!has && i == 0)
            return err_set(e, ERR_INPUT,
                           "config.json: the first layer has no indexer of its own, and none before it");
        model_set_block(m, 't', i, has);
        m->kinds[i] = (m->kinds[i] & ~(unsigned)B_INDEXER) | (has ? B_INDEXER : 0);
    }
    return true;
}

static bool glm_derive(struct family_model *m, struct err *e)
{
    return dsa_derive(m, e) && mla_shared_indexers(m, e);
}

static const struct conversion glm_moe_dsa = {
    .flags = CONVERT_MTP_KEPT,
    .names = dsa_names,
    .facts = (const struct fact_rule[]){DSA_FACTS},
    .keys = (const struct key_rule[]){DSA_KEYS,
                                      {"attention.indexer.types", KEY_BOOL_TRUNK, "=t", NULL},
                                      {NULL, KEY_U32, NULL, NULL}},
    .musts = (const struct must_rule[]){{"indexer_rope_interleave", "true", "true",
                                         "the engine rotates pairs of neighbours in the indexer"},
                                        MLA_MUSTS},
    .derive = glm_derive,
};

const struct family family_glm_dsa = {
    .arch = "glm-dsa",
    .engine = ENGINE_ROPE_PART | ENGINE_INDEXER | ENGINE_INDEXER_TURN | ENGINE_MTP_ALONE | ENGINE_MTP_RUNS,
    .down_scale = true,
    .models = "GLM-5",
    .gate = BY_KEYS,
    .classes = {{"GlmMoeDsaForCausalLM", &glm_moe_dsa}},
    NAMES(MLP),
    .tokenizers = {{.model_types = "glm_moe*", .pre = "glm4", GLM_TOKENIZER}},
    .yarn_all_dim = true,
};
