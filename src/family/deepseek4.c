/* deepseek4.c - DeepSeek-V4: streams of the hidden state, keys that are values and are compressed behind a window, and
 * in the first blocks a table of the experts of each token. */
#include "family/rules.h"

/* Published names have no "model." before them. g: streams, h = g H, m: what mixes them, a and b for each. */
static const struct name_rule globals[] = {
    {"embed.weight", "token_embd.weight", "VH", HOW_COPY, 0, false},
    {"norm.weight", "output_norm.weight", "H", HOW_COPY, 0, false},
    {"head.weight", "output.weight", "VH", HOW_COPY, 0, true},
    {"hc_head_fn", "output_hc_fn.weight", "gh", HOW_COPY, 0, false},
    {"hc_head_base", "output_hc_base.weight", "g", HOW_COPY, 0, false},
    {"hc_head_scale", "output_hc_scale.weight", "1", HOW_COPY, 0, false},
    END,
};

/* q: rank of queries; o: of outputs, p of all groups, w: what a group of heads gives; r: how many tokens become one,
 * C: rows for them, twice the head where they overlap; i: a head of the indexer, I: all, d: twice. */
static const struct name_rule names[] = {
    {"attn_norm.weight", "attn_norm.weight", "H", HOW_COPY, 0, false},
    {"ffn_norm.weight", "ffn_norm.weight", "H", HOW_COPY, 0, false},
    {"hc_attn_fn", "hc_attn_fn.weight", "mh", HOW_COPY, 0, false},
    {"hc_attn_base", "hc_attn_base.weight", "m", HOW_COPY, 0, false},
    {"hc_attn_scale", "hc_attn_scale.weight", "3", HOW_COPY, 0, false},
    {"hc_ffn_fn", "hc_ffn_fn.weight", "mh", HOW_COPY, 0, false},
    {"hc_ffn_base", "hc_ffn_base.weight", "m", HOW_COPY, 0, false},
    {"hc_ffn_scale", "hc_ffn_scale.weight", "3", HOW_COPY, 0, false},
    {"attn.attn_sink", "attn_sinks.weight", "N", HOW_COPY, 0, false},
    {"attn.wq_a.weight", "attn_q_a.weight", "qH", HOW_COPY, 0, false},
    {"attn.q_norm.weight", "attn_q_a_norm.weight", "q", HOW_COPY, 0, false},
    {"attn.wq_b.weight", "attn_q_b.weight", "Qq", HOW_COPY, 0, false},
    {"attn.wkv.weight", "attn_kv.weight", "DH", HOW_COPY, 0, false},
    {"attn.kv_norm.weight", "attn_kv_a_norm.weight", "D", HOW_COPY, 0, false},
    {"attn.wo_a.weight", "attn_output_a.weight", "pw", HOW_COPY, 0, false},
    {"attn.wo_b.weight", "attn_output_b.weight", "Hp", HOW_COPY, 0, false},
    {"attn.compressor.wkv.weight", "attn_compressor_kv.weight", "CH", HOW_COPY, B_COMPRESS, false},
    {"attn.compressor.wgate.weight", "attn_compressor_gate.weight", "CH", HOW_COPY, B_COMPRESS, false},
    {"attn.compressor.ape", "attn_compressor_ape.weight", "rC", HOW_COPY, B_COMPRESS, false},
    {"attn.compressor.norm.weight", "attn_compressor_norm.weight", "D", HOW_COPY, B_COMPRESS, false},
    {"attn.indexer.wq_b.weight", "indexer.attn_q_b.weight", "Iq", HOW_COPY, B_INDEXER, false},
    {"attn.indexer.weights_proj.weight", "indexer.proj.weight", "nH", HOW_COPY, B_INDEXER, false},
    {"attn.indexer.compressor.wkv.weight", "indexer_compressor_kv.weight", "dH", HOW_COPY, B_INDEXER, false},
    {"attn.indexer.compressor.wgate.weight", "indexer_compressor_gate.weight", "dH", HOW_COPY, B_INDEXER,
     false},
    {"attn.indexer.compressor.ape", "indexer_compressor_ape.weight", "rd", HOW_COPY, B_INDEXER, false},
    {"attn.indexer.compressor.norm.weight", "indexer_compressor_norm.weight", "i", HOW_COPY, B_INDEXER,
     false},
    {"ffn.gate.weight", "ffn_gate_inp.weight", "EH", HOW_COPY, 0, false},
    {"ffn.gate.bias", "exp_probs_b.bias", "E", HOW_COPY, B_SCORES, false},
    {"ffn.gate.bias_vl", "exp_probs_b_vl.bias", "E", HOW_COPY, 0,
     true},                                              /* of tokens that are pieces of an image */
    {"ffn.gate.bias", "", "E", HOW_COPY, B_TABLE, true}, /* a table needs none */
    {"ffn.gate.tid2eid", "ffn_gate_tid2eid.weight", "VT", HOW_IDS, B_TABLE, false},
    {"ffn.experts.#.w1.weight", "ffn_gate_exps.weight", "XH", HOW_COPY, 0, false},
    {"ffn.experts.#.w2.weight", "ffn_down_exps.weight", "HX", HOW_COPY, 0, false},
    {"ffn.experts.#.w3.weight", "ffn_up_exps.weight", "XH", HOW_COPY, 0, false},
    {"ffn.shared_experts.w1.weight", "ffn_gate_shexp.weight", "SH", HOW_COPY, B_SHARED, false},
    {"ffn.shared_experts.w2.weight", "ffn_down_shexp.weight", "HS", HOW_COPY, B_SHARED, false},
    {"ffn.shared_experts.w3.weight", "ffn_up_shexp.weight", "SH", HOW_COPY, B_SHARED, false},
    END,
};

/* How many tokens block i compresses into one: 0 none, 4 (an indexer chooses of them), 128. */
static bool compresses(struct family_model *m, uint64_t i, struct err *e)
{
    uint64_t ratio = 1;
    uint32_t n = model_list_at(m, conf_get(m->conf, "compress_ratios"), i);
    if (n == JSPAN_NONE || !jdoc_u64(m->conf->d, n, &ratio) || (ratio && ratio != 4 && ratio != 128))
        return err_set(e, ERR_INPUT, "config.json: 'compress_ratios[%llu]' is not 0, 4 or 128",
                       (unsigned long long)i);
    m->kinds[i] |= ratio ? B_COMPRESS | (ratio == 4 ? B_INDEXER : 0) : 0;
    model_set_block(m, 'r', i, ratio);
    model_set_block(m, 'C', i, (ratio == 4 ? 2 : 1) * m->f['D']);
    return true;
}

static bool derive(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f;
    f['3'] = 3;
    f['h'] = f['g'] * f['H'];
    f['m'] = (2 + f['g']) * f['g'];
    f['I'] = f['n'] * f['i'];
    f['d'] = 2 * f['i'];
    f['S'] = f['s'] * f['X'];
    f['p'] = f['O'] * f['o'];
    if (f['g'] != 4)
        return err_set(e, ERR_INPUT,
                       "config.json: 'hc_mult' is %llu, expected 4: the engine has four streams",
                       (unsigned long long)f['g']);
    if (!f['O'] || f['N'] % f['O'])
        return err_set(e, ERR_INPUT, "config.json: %llu heads do not lie in %llu groups",
                       (unsigned long long)f['N'], (unsigned long long)f['O']);
    f['w'] = f['Q'] / f['O'];
    if (f['R'] > f['D'] || f['R'] > f['i'] || f['t'] > f['L'] || !f['s'])
        return model_key_too_large(f['t'] > f['L'] ? "num_hash_layers" : "qk_rope_head_dim", e);
    for (uint64_t i = 0; i < f['L']; i++) {
        m->kinds[i] = B_ATTN | B_MOE | B_SHARED | (i < f['t'] ? B_TABLE : B_SCORES);
        if (!compresses(m, i, e))
            return false;
    }
    return true;
}

static const struct conversion deepseek4 = {
    .flags = CONVERT_NEEDS_OUTPUT,
    .names = (const struct name_rule *const[]){names, NULL},
    .globals = globals,
    .facts =
        (const struct fact_rule[]){
            {'F', "moe_intermediate_size", NULL},
            {'M', "num_key_value_heads", "1"},
            {'s', "n_shared_experts", NULL},
            {'q', "q_lora_rank", NULL},
            {'o', "o_lora_rank", NULL},
            {'O', "o_groups", NULL},
            {'R', "qk_rope_head_dim", NULL},
            {'n', "index_n_heads", NULL},
            {'i', "index_head_dim", NULL},
            {'g', "hc_mult", NULL},
            {'t', "num_hash_layers", "0"},
            {0, NULL, NULL},
        },
    .keys =
        (const struct key_rule[]){
            {"rope.dimension_count", KEY_U32, "=R", NULL},
            {"attention.q_lora_rank", KEY_U32, "=q", NULL},
            {"attention.sliding_window", KEY_U32, "sliding_window", "!"},
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"expert_shared_count", KEY_U32, "=s", NULL},
            {"expert_weights_scale", KEY_F32, "routed_scaling_factor", "!"},
            {"expert_weights_norm", KEY_BOOL, "norm_topk_prob", "!"},
            {"swiglu_clamp_exp", KEY_F32_BLOCKS, "swiglu_limit", NULL},
            {"swiglu_clamp_shexp", KEY_F32_BLOCKS, "swiglu_limit", NULL},
            {"attention.indexer.head_count", KEY_U32, "=n", NULL},
            {"attention.indexer.key_length", KEY_U32, "=i", NULL},
            {"attention.indexer.top_k", KEY_U32, "index_topk", "!"},
            {"attention.output_group_count", KEY_U32, "=O", NULL},
            {"attention.output_lora_rank", KEY_U32, "=o", NULL},
            {"attention.compress_ratios", KEY_LIST, "compress_ratios", "!"},
            {"attention.compress_rope_freq_base", KEY_F32, "compress_rope_theta", "!"},
            {"hyper_connection.count", KEY_U32, "=g", NULL},
            {"hyper_connection.sinkhorn_iterations", KEY_U32, "hc_sinkhorn_iters", "!"},
            {"hyper_connection.epsilon", KEY_F32, "hc_eps", "!"},
            {"hash_layer_count", KEY_U32, "=t", NULL},
            {"embedding_length_out", KEY_U32, "=h", NULL},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"scoring_func", "sqrtsoftplus", "sqrtsoftplus", "the engine's gate is the root of a softplus"},
            {"norm_topk_prob", "true", "true", "transformers renormalises whatever it says"},
            {"num_key_value_heads", "1", "1", "the engine has keys and values of one head"},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {"attention_bias", "false", "false", "the engine has no bias here"},
            {NULL, NULL, NULL, NULL},
        },
    .derive = derive,
};

const struct family family_deepseek4 = {
    .arch = "deepseek4",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_COMPRESS | ENGINE_GATE_KEY | ENGINE_INDEXER | ENGINE_INDEXER_TURN |
              ENGINE_HYPER | ENGINE_MTP_ALONE,
    .models = "DeepSeek-V4",
    .gate = BY_KEYS,
    .classes = {{"DeepseekV4ForCausalLM", &deepseek4}},
    NAMES(.block = "ffn", .experts = "experts", .router = "gate"),
};
