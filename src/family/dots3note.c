/* dots3note.c - dots.note, its text: latent attention of two sizes, to a window or to the tokens that an indexer chooses. */
#include "family/mla.h"

/* Heads N and their sizes n and v differ from block to block, and so x = c + p, y = c. J, C, n, v of blocks with a window: 4, 5,
 * 6, 7. */
static const struct name_rule dots_names[] = {
    {"self_attn.q_a_proj.weight", "attn_q_a.weight", "rH", HOW_COPY, 0, false},
    {"self_attn.q_a_layernorm.weight", "attn_q_a_norm.weight", "r", HOW_RESCALED, 0, false},
    {"self_attn.q_b_proj.weight", "attn_q_b.weight", "qr", HOW_COPY, 0, false},
    {"self_attn.kv_a_proj_with_mqa.weight", "attn_kv_a_mqa.weight", "xH", HOW_COPY, 0, false},
    {"self_attn.kv_a_layernorm.weight", "attn_kv_a_norm.weight", "y", HOW_RESCALED, 0, false},
    {"self_attn.k_rope_only_layernorm.weight", "attn_k_norm.weight", "p", HOW_COPY, 0, false},
    {"self_attn.kv_b_proj.weight", "attn_k_b.weight", "by", HOW_K_B, 0, false},
    {"self_attn.kv_b_proj.weight", "attn_v_b.weight", "by", HOW_V_B, 0, false},
    {"self_attn.o_proj.weight", "attn_output.weight", "Ho", HOW_COPY, 0, false},
    /* the converter knows both names */
    {"self_attn.g_proj.weight", "attn_gate.weight", "NH", HOW_COPY, 0, false},
    {"self_attn.gate_proj.weight", "attn_gate.weight", "NH", HOW_COPY, 0, false},
    END,
};

static void set_sizes(struct family_model *m, uint64_t i, uint64_t heads, uint64_t rank, uint64_t plain,
                      uint64_t value)
{
    uint64_t p = m->f['p'];
    model_set_block(m, 'N', i, heads);
    model_set_block(m, 'n', i, plain);
    model_set_block(m, 'v', i, value);
    model_set_block(m, 'y', i, rank);
    model_set_block(m, 'x', i, rank + p);
    model_set_block(m, 'b', i, heads * (plain + value));
    model_set_block(m, 'q', i, heads * (plain + p));
    model_set_block(m, 'o', i, heads * value);
}

static bool dots_derive(struct family_model *m, struct err *e)
{
    static const struct kind_word words[] = {
        {"sliding_attention", B_WINDOW}, {"full_attention", B_INDEXER}, {NULL, 0}};
    uint64_t *f = m->f;
    uint32_t rescale = conf_get(m->conf, "apply_mla_qkv_lora_rescale");
    f['u'] = f['j'] * f['w'];
    f['Z'] = rescale != JSPAN_NONE && m->conf->d->nodes[rescale].kind == J_TRUE;
    if (!f['r'] || !f['4'] || !f['5'] || !f['6'] || !f['7'] || f['p'] > f['w'])
        return err_set(
            e, ERR_INPUT,
            "config.json: a rank, a number of heads or a head size is 0, or 'index_head_dim' below "
            "'qk_rope_head_dim'");
    if (model_number(m, "swa_qk_rope_head_dim", f['p']) != f['p'] ||
        model_number(m, "swa_q_lora_rank", f['r']) != f['r'])
        return err_set(
            e, ERR_INPUT,
            "config.json: 'swa_qk_rope_head_dim' and 'swa_q_lora_rank' are not those without 'swa_': the "
            "engine has one of each");
    if (!mla_derive(m, e) || !model_kinds_by_words(m, "layer_types", words, e))
        return false;
    f['K'] = f['5'] + f['p'];
    f['A'] = f['6'] + f['p'];
    for (uint64_t i = 0; i < f['L']; i++) {
        bool window = m->kinds[i] & B_WINDOW;
        model_set_block(m, 'z', i, window);
        model_set_block(m, 't', i, !window);
        if (window)
            set_sizes(m, i, f['4'], f['5'], f['6'], f['7']);
        else
            set_sizes(m, i, f['N'], f['c'], f['n'], f['v']);
    }
    return true;
}

static const struct conversion dots3note = {
    .flags = CONVERT_MTP_UNSAID | CONVERT_FILE_ONLY,
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, dots_names, mla_indexer,
                                               rules_dense, rules_moe, rules_select_bias, rules_shared, NULL},
    .facts =
        (const struct fact_rule[]){
            {'4', "swa_num_attention_heads", NULL},
            {'5', "swa_kv_lora_rank", NULL},
            {'6', "swa_qk_nope_head_dim", NULL},
            {'7', "swa_v_head_dim", NULL},
            DSA_FACTS,
        },
    .keys =
        (const struct key_rule[]){
            {"attention.value_length_mla", KEY_U32, "v_head_dim", NULL},
            DSA_KEYS,
            {"attention.sliding_window", KEY_U32, "sliding_window_size", "!"},
            {"attention.sliding_window_pattern", KEY_BOOL, "=z", NULL},
            {"attention.kv_lora_rank_swa", KEY_U32, "=5", NULL},
            {"attention.key_length_swa", KEY_U32, "=K", NULL},
            {"attention.value_length_swa", KEY_U32, "=5", NULL},
            {"attention.key_length_mla_swa", KEY_U32, "=A", NULL},
            {"attention.value_length_mla_swa", KEY_U32, "=7", NULL},
            {"attention.indexer.types", KEY_BOOL, "=t", NULL},
            {"rope.freq_base_swa", KEY_F32, "swa_rope_theta", "!"},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"use_dsa", "true", "true", "the engine has an indexer in whole attention"},
            {"apply_mla_qkv_lora_rescale", "true|false", "false", "norms are multiplied, or not"},
            {"normalization", "RMSNorm", "RMSNorm", "the engine's norm"},
            {"final_norm", "RMSNorm", "RMSNorm", "the engine's norm"},
            {"k_rope_only_layernorm", "true", "true", "the engine normalises rotated keys"},
            {"topk_method", "noaux_tc", "noaux_tc",
             "the engine's converter knows no other choice of experts here"},
            {"scoring_func", "sigmoid", "!", "the engine's converter knows no other gate here"},
            {"n_group", "1", "1", "the engine's converter knows no groups here"},
            {"topk_group", "1", "1", "the engine's converter knows no groups here"},
            {"use_dynamic_rsf", "false", "false", "the engine has one scale for all tokens"},
            {"moe_gating_fp32", "false", "false", "the engine's converter does not know it"},
            {"attention_gate_type", "headwise", "headwise", "the engine has a gate for each head"},
            {"swa_attention_gate_type", "headwise", "headwise", "the engine has a gate for each head"},
            MLA_MUSTS,
        },
    .derive = dots_derive,
};

const struct family family_dots3note = {
    .arch = "dots3note",
    .engine = ENGINE_ROPE_PART | ENGINE_GATE_KEY | ENGINE_INDEXER | ENGINE_INDEXER_TURN,
    .down_scale = true,
    .models = "dots.note",
    .gate = BY_KEYS,
    .classes = {{"Dots3NoteForCausalLM", &dots3note},
                {"Dots3NoteForConditionalGeneration", &dots3note},
                {"Dots3NoteTextForCausalLM", &dots3note}},
    NAMES(MLP),
    .tokenizers = {{.model_types = "dots3*", .eot = "<|endofassistant|>"}},
};
