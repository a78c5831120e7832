/* minimax_m3.c - MiniMax-M3, its text: dense blocks first, then experts, a shared one, and attention to blocks of tokens
 * that an indexer chooses. */
#include "family/rules.h"

/* The engine chooses blocks of tokens for each KV head (src/models/minimax-m3.cpp), transformers 5.12.1 for all together: the same while
 * a text has no more blocks than are chosen, by the published config 16 of 128 tokens. Without flash attention the engine sees
 * all of them. */

/* Norms are stored less one. i: a head of the indexer, I: all of them. */
static const struct name_rule names[] = {
    {"input_layernorm.weight", "attn_norm.weight", "H", HOW_PLUS_ONE, 0, false},
    {"post_attention_layernorm.weight", "ffn_norm.weight", "H", HOW_PLUS_ONE, 0, false},
    {"self_attn.q_norm.weight", "attn_q_norm.weight", "D", HOW_PLUS_ONE, 0, false},
    {"self_attn.k_norm.weight", "attn_k_norm.weight", "D", HOW_PLUS_ONE, 0, false},
    {"self_attn.index_q_proj.weight", "indexer.q_proj.weight", "IH", HOW_COPY, B_MOE, false},
    {"self_attn.index_k_proj.weight", "indexer.k_proj.weight", "iH", HOW_COPY, B_MOE, false},
    {"self_attn.index_q_norm.weight", "indexer.q_norm.weight", "i", HOW_PLUS_ONE, B_MOE, false},
    {"self_attn.index_k_norm.weight", "indexer.k_norm.weight", "i", HOW_PLUS_ONE, B_MOE, false},
    {"block_sparse_moe.gate.weight", "ffn_gate_inp.weight", "EH", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.e_score_correction_bias", "exp_probs_b.bias", "E", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.experts.#.w1.weight", "ffn_gate_exps.weight", "XH", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.experts.#.w3.weight", "ffn_up_exps.weight", "XH", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.experts.#.w2.weight", "ffn_down_exps.weight", "HX", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.shared_experts.gate_proj.weight", "ffn_gate_shexp.weight", "SH", HOW_COPY, B_MOE,
     false},
    {"block_sparse_moe.shared_experts.up_proj.weight", "ffn_up_shexp.weight", "SH", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.shared_experts.down_proj.weight", "ffn_down_shexp.weight", "HS", HOW_COPY, B_MOE,
     false},
    END,
};

static const struct name_rule globals[] = {
    {"embed_tokens.weight", "token_embd.weight", "VH", HOW_COPY, 0, false},
    {"norm.weight", "output_norm.weight", "H", HOW_PLUS_ONE, 0, false},
    {"lm_head.weight", "output.weight", "VH", HOW_COPY, 0, true},
    END,
};

/* Whether a list says 0 of the first `lead` blocks and 1 of all others. */
static bool is_zeros_then_ones(const struct family_model *m, uint32_t list, uint64_t lead)
{
    for (uint64_t i = 0; i < m->f['L']; i++) {
        uint64_t v = 2;
        uint32_t n = model_list_at(m, list, i);
        if (n == JSPAN_NONE || !jdoc_u64(m->conf->d, n, &v) || v != (i >= lead))
            return false;
    }
    return true;
}

static bool derive(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f, v = 0;
    uint32_t moe = conf_get(m->conf, "moe_layer_freq"),
             sparse = conf_get(m->conf, "sparse_attention_config.sparse_attention_freq");
    while (f['l'] < f['L'] && jdoc_u64(m->conf->d, model_list_at(m, moe, f['l']), &v) && !v)
        f['l']++;
    if (!is_zeros_then_ones(m, moe, f['l']))
        return err_set(e, ERR_INPUT,
                       "config.json: 'moe_layer_freq' is no list of zeros, then ones, of %llu layers",
                       (unsigned long long)f['L']);
    if (sparse != JSPAN_NONE && !is_zeros_then_ones(m, sparse, f['l']))
        return err_set(
            e, ERR_INPUT,
            "config.json: 'sparse_attention_config.sparse_attention_freq' is another list than 'moe_layer_freq'; "
            "in the engine blocks with experts have the indexer");
    if (f['n'] != f['M'])
        return err_set(
            e, ERR_INPUT,
            "config.json: %llu heads of the indexer for %llu KV heads; the engine has one for each",
            (unsigned long long)f['n'], (unsigned long long)f['M']);
    f['I'] = f['n'] * f['i'];
    if (f['S'] != f['s'] * f['X'])
        return err_set(
            e, ERR_INPUT,
            "config.json: 'shared_intermediate_size' is %llu; the engine makes it %llu, 'n_shared_experts' times "
            "'intermediate_size'",
            (unsigned long long)f['S'], (unsigned long long)(f['s'] * f['X']));
    model_dense_first(m, f['l']);
    return f['R'] || model_rotated(m, 1, e);
}

static const struct conversion minimax_m3 = {
    .flags = CONVERT_NEEDS_OUTPUT,
    .names = (const struct name_rule *const[]){rules_attn, rules_dense, names, NULL},
    .globals = globals,
    .facts =
        (const struct fact_rule[]){
            {'X', "intermediate_size", NULL},
            {'F', "dense_intermediate_size", "=X"},
            {'s', "n_shared_experts", "1"},
            {'S', "shared_intermediate_size", "=X"},
            {'R', "rotary_dim", "0"},
            {'n', "sparse_attention_config.sparse_num_index_heads|index_n_heads", NULL},
            {'i', "sparse_attention_config.sparse_index_dim|index_head_dim", NULL},
            {0, NULL, NULL},
        },
    .keys =
        (const struct key_rule[]){
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"expert_shared_count", KEY_U32, "=s", NULL},
            {"expert_weights_scale", KEY_F32, "routed_scaling_factor", "!"},
            {"expert_weights_norm", KEY_BOOL, "", "true"},
            {"expert_gating_func", KEY_GATING, "scoring_func", "sigmoid"},
            {"leading_dense_block_count", KEY_U32, "=l", NULL},
            {"rope.dimension_count", KEY_U32, "=R", NULL},
            {"attention.indexer.head_count", KEY_U32, "=n", NULL},
            {"attention.indexer.key_length", KEY_U32, "=i", NULL},
            {"attention.indexer.top_k", KEY_U32,
             "sparse_attention_config.sparse_topk_blocks|index_topk_blocks", "!"},
            {"attention.indexer.block_size", KEY_U32,
             "sparse_attention_config.sparse_block_size|index_block_size", "!"},
            {"attention.indexer.local_blocks", KEY_U32,
             "sparse_attention_config.sparse_local_block|index_local_blocks", "!"},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"hidden_act", "swigluoai|silu", "silu",
             "the engine computes gpt-oss's SwiGLU, which transformers calls silu"},
            {"swiglu_alpha", "1.702", "1.702", "the engine's slope"},
            {"swiglu_limit", "7", "7", "the engine limits the activation at 7"},
            {"use_gemma_norm", "true", "true", "norms are stored less one"},
            {"use_qk_norm", "true", "true", "the engine normalises q and k"},
            {"qk_norm_type", "per_head", "per_head", "the engine has a norm for each head"},
            {"use_routing_bias", "true", "true", "the engine expects a selection bias"},
            {NULL, NULL, NULL, NULL},
        },
    .derive = derive,
};

const struct family family_minimax_m3 = {
    .arch = "minimax-m3",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_GATE_KEY | ENGINE_INDEXER | ENGINE_INDEXER_BLOCK,
    .models = "MiniMax-M3",
    .gate = BY_KEYS,
    .classes = {{"MiniMaxM3SparseForConditionalGeneration", &minimax_m3},
                {"MiniMaxM3SparseForCausalLM", &minimax_m3}},
    NAMES(SPARSE, CORRECTION),
};
