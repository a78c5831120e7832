/* qwen3next.c - Qwen3-Next, Qwen3.5-MoE and Qwen4: three layers of linear attention (gated delta net) for each of
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

/* Qwen3.5 has no dense layer at all. */
/* clang-format off */
#define DELTA_FACTS \
    {'F', "intermediate_size", "0"}, \
    {'S', "shared_expert_intermediate_size", NULL}, \
    {'g', "linear_num_key_heads", NULL}, \
    {'h', "linear_num_value_heads", NULL}, \
    {'s', "linear_key_head_dim", NULL}, \
    {'t', "linear_value_head_dim", NULL}, \
    {'k', "linear_conv_kernel_dim", NULL}, \
    {0, NULL, NULL}
/* clang-format on */
static const struct fact_rule delta_facts[] = {DELTA_FACTS};
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

/* ---- Qwen4 ---- */

/* o: streams, l: their rank; d = o H. j, w: heads of the indexer and their size; U = j w, u = U + w. %: pieces of the table of
 * n-grams, whose rows are of P values, one for each of the heads; c: the kernel over them. */
static const struct name_rule qwen4_names[] = {
    {"attn_hyper_connection.hc_norm.weight", "hc_attn_norm.weight", "d", HOW_PLUS_ONE, 0, false},
    {"attn_hyper_connection.input_mix_weight_down.weight", "hc_attn_down.weight", "ld", HOW_COPY, 0, false},
    {"attn_hyper_connection.input_mix_weight_up.weight", "hc_attn_up.weight", "dl", HOW_COPY, 0, false},
    {"attn_hyper_connection.block_inject_weight.weight", "hc_attn_inject.weight", "od", HOW_COPY, 0, false},
    {"mlp_hyper_connection.hc_norm.weight", "hc_ffn_norm.weight", "d", HOW_PLUS_ONE, 0, false},
    {"mlp_hyper_connection.input_mix_weight_down.weight", "hc_ffn_down.weight", "ld", HOW_COPY, 0, false},
    {"mlp_hyper_connection.input_mix_weight_up.weight", "hc_ffn_up.weight", "dl", HOW_COPY, 0, false},
    {"mlp_hyper_connection.block_inject_weight.weight", "hc_ffn_inject.weight", "od", HOW_COPY, 0, false},
    {"self_attn.indexer.index_qk_proj.weight", "indexer.q_proj.weight", "uH", HOW_ROWS_HEAD, B_ATTN, false},
    {"self_attn.indexer.index_qk_proj.weight", "indexer.k_proj.weight", "uH", HOW_ROWS_TAIL, B_ATTN, false},
    {"self_attn.indexer.q_layernorm.weight", "indexer.q_norm.weight", "w", HOW_PLUS_ONE, B_ATTN, false},
    {"self_attn.indexer.k_layernorm.weight", "indexer.k_norm.weight", "w", HOW_PLUS_ONE, B_ATTN, false},
    {"ple.key_proj.weight", "ple_key.weight", "dH", HOW_COPY, B_NGRAM, false},
    {"ple.value_proj.weight", "ple_value.weight", "HH", HOW_COPY, B_NGRAM, false},
    {"ple.norm_key.weight", "ple_norm_key.weight", "d", HOW_PLUS_ONE, B_NGRAM, false},
    {"ple.norm_query.weight", "ple_norm_query.weight", "d", HOW_PLUS_ONE, B_NGRAM, false},
    {"ple.norm_conv.weight", "ple_norm_conv.weight", "d", HOW_PLUS_ONE, B_NGRAM, false},
    {"ple.conv1d.weight", "ple_conv1d.weight", "d1c", HOW_SQUEEZE, B_NGRAM, false},
    {"ple.ple_embedding.ngram_embedding.shard_%.weight", "^per_layer_token_embd.weight", "?P", HOW_COPY,
     B_NGRAM, false},
    END,
};

static const struct name_rule qwen4_globals[] = {
    {"embed_tokens.weight", "token_embd.weight", "VH", HOW_COPY, 0, false},
    {"hyper_connection_mixer.hc_norm.weight", "output_hc_norm.weight", "d", HOW_PLUS_ONE, 0, false},
    {"hyper_connection_mixer.input_mix_weight_down.weight", "output_hc_down.weight", "ld", HOW_COPY, 0,
     false},
    {"hyper_connection_mixer.input_mix_weight_up.weight", "output_hc_up.weight", "dl", HOW_COPY, 0, false},
    {"lm_head.weight", "output.weight", "VH", HOW_COPY, 0, true},
    END,
};

#define PIECES_MAX 65536

/* What ends an n-gram: of several the last, as the engine's converter has it. */
static bool qwen4_end(struct family_model *m, struct err *e)
{
    const struct jdoc *d = m->conf->d;
    uint32_t eos = conf_get(m->conf, "eos_token_id");
    if (eos != JSPAN_NONE && d->nodes[eos].kind == J_ARRAY)
        eos = d->nodes[eos].n ? model_list_at(m, eos, d->nodes[eos].n - 1) : JSPAN_NONE;
    return (jdoc_u64(d, eos, &m->f['8']) && m->f['8'] < m->f['V']) ||
           err_set(e, ERR_INPUT, "config.json: 'eos_token_id' is missing or no token: n-grams end there");
}

/* The one block that asks the table, counted from 1 in the config; how wide the table's rows are. */
static bool qwen4_ngrams(struct family_model *m, struct err *e)
{
    const struct jdoc *d = m->conf->d;
    uint64_t *f = m->f, size = model_number(m, "ngram_size", 0), each = model_number(m, "heads_per_ngram", 0),
             heads = 0;
    uint32_t list = conf_get(m->conf, "ple_layer_ids");
    if (list == JSPAN_NONE || d->nodes[list].kind != J_ARRAY || d->nodes[list].n != 1 ||
        !jdoc_u64(d, d->nodes[list].first, &f['p']) || !f['p'] || f['p'] > f['L'] ||
        !(m->kinds[f['p'] - 1] & B_SSM))
        return err_set(
            e, ERR_INPUT,
            "config.json: 'ple_layer_ids' is no list of one layer with linear attention, of 1 to %llu: the engine "
            "has one table of n-grams",
            (unsigned long long)f['L']);
    if (size > 1 && size <= f['H'] && each <= f['H'])
        heads = (size - 1) * each;
    if (!heads || f['H'] % heads)
        return err_set(e, ERR_INPUT,
                       "config.json: 'ngram_size' and 'heads_per_ngram' make no heads of 'hidden_size', %llu",
                       (unsigned long long)f['H']);
    if (!f['%'] || f['%'] > PIECES_MAX)
        return err_set(e, ERR_INPUT, "config.json: 'split_ngram_parts' is not 1 to %d", PIECES_MAX);
    m->kinds[--f['p']] |= B_NGRAM;
    f['P'] = f['H'] / heads;
    return qwen4_end(m, e);
}

static bool qwen4_derive(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f, ratio = model_number(m, "indexer_compress_ratio", 0);
    if (!delta_derive(m, e) || !qwen4_ngrams(m, e))
        return false;
    f['d'] = f['o'] * f['H'];
    f['U'] = f['j'] * f['w'];
    f['u'] = f['U'] + f['w'];
    if (f['o'] < 2 || !f['l'] || !f['U'] || !ratio || ratio > 64)
        return err_set(
            e, ERR_INPUT,
            "config.json: 'hc_count' is below 2, or 'hc_lowrank' or a size of the indexer is 0, or "
            "'indexer_compress_ratio' is not 1 to 64");
    for (uint64_t i = 0; i < f['L']; i++)
        model_set_block(m, 'q', i, m->kinds[i] & B_ATTN ? ratio : 0);
    return true;
}

static const struct conversion qwen4_exp = {
    .flags = CONVERT_FILE_ONLY,
    .names = (const struct name_rule *const[]){gated_attn, qwen3_5_delta, qwen4_names, rules_moe,
                                               rules_moe_fused, rules_qwen_shared, NULL},
    .globals = qwen4_globals,
    .facts =
        (const struct fact_rule[]){
            {'o', "hc_count", NULL},
            {'l', "hc_lowrank", NULL},
            {'j', "indexer_n_heads", NULL},
            {'w', "indexer_head_dim", NULL},
            {'c', "ple_conv_kernel_size", NULL},
            {'%', "split_ngram_parts", NULL},
            DELTA_FACTS,
        },
    .keys =
        (const struct key_rule[]){
            DELTA_KEYS,
            {"rope.dimension_sections", KEY_SECTIONS, "mrope_section", "11|11|10"},
            {"hyper_connection.count", KEY_U32, "=o", NULL},
            {"hyper_connection.low_rank", KEY_U32, "=l", NULL},
            {"attention.indexer.head_count", KEY_U32, "=j", NULL},
            {"attention.indexer.key_length", KEY_U32, "=w", NULL},
            {"attention.indexer.top_k", KEY_U32, "indexer_budget", "!"},
            {"attention.compress_ratios", KEY_U32, "=q", NULL},
            {"ple.layers", KEY_LIST, "=p", NULL},
            {"ple.ngram_size", KEY_U32, "ngram_size", "!"},
            {"ple.heads_per_ngram", KEY_U32, "heads_per_ngram", "!"},
            {"ple.conv_kernel", KEY_U32, "=c", NULL},
            {"ple.eos_token_id", KEY_U32, "=8", NULL},
            {"ple.image_token_id", KEY_U32, "image_token_id", NULL},
            {"embedding_length_per_layer_input", KEY_U32, "=P", NULL},
            {"ple.layer_multipliers", KEY_TENSOR, "ple_embedding.layer_multipliers", NULL},
            {"ple.head_offsets", KEY_TENSOR, "ple_embedding.ngram_heads_offsets", NULL},
            {"ple.head_vocab_sizes", KEY_TENSOR, "ple_embedding.ngram_heads_vocab_sizes", NULL},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts = delta_musts,
    .derive = qwen4_derive,
};

const struct family family_qwen4exp = {
    .arch = "qwen4exp",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_SECTIONS | ENGINE_FIRST_TOP_K | ENGINE_HYPER | ENGINE_RATIOS |
              ENGINE_SSM,
    .down_scale = true,
    .models = "Qwen4 (experimental)",
    .gate = SOFTMAX_NORM,
    .classes = {{"Qwen4ExpForConditionalGeneration", &qwen4_exp}, {"Qwen4ExpForCausalLM", &qwen4_exp}},
    NAMES(MLP),
};
