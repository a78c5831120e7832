/* granitehybrid.c - Granite 4 H: Mamba 2 and attention, experts and shared ones in every block. */
#include "family/rules.h"

/* h, d: Mamba heads and their size, g groups, s state, k kernel; i = h d, z = i + 2 g s, y = i + z + h; u = 2 S. q and
 * k are permuted as llama.cpp's converter does, though the graph does not rotate (nemotron_h.c). */
static const struct name_rule granite_names[] = {
    {"mamba.in_proj.weight", "ssm_in.weight", "yH", HOW_COPY, B_SSM, false},
    {"mamba.conv1d.weight", "ssm_conv1d.weight", "z1k", HOW_SQUEEZE, B_SSM, false},
    {"mamba.conv1d.bias", "ssm_conv1d.bias", "z", HOW_COPY, B_SSM, true},
    {"mamba.dt_bias", "ssm_dt.bias", "h", HOW_COPY, B_SSM, false},
    {"mamba.A_log", "ssm_a", "h", HOW_NEG_EXP_COLUMN, B_SSM, false},
    {"mamba.D", "ssm_d", "h", HOW_COLUMN, B_SSM, false},
    {"mamba.norm.weight", "ssm_norm.weight", "i", HOW_GROUPS, B_SSM, false},
    {"mamba.out_proj.weight", "ssm_out.weight", "Hi", HOW_COPY, B_SSM, false},
    {"block_sparse_moe.router.layer.weight", "ffn_gate_inp.weight", "EH", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.input_linear.weight", "ffn_gate_exps.weight", "EGH", HOW_FIRST, B_MOE, false},
    {"block_sparse_moe.input_linear.weight", "ffn_up_exps.weight", "EGH", HOW_SECOND, B_MOE, false},
    {"block_sparse_moe.output_linear.weight", "ffn_down_exps.weight", "EHX", HOW_COPY, B_MOE, false},
    {"shared_mlp.input_linear.weight", "ffn_gate_shexp.weight", "uH", HOW_FIRST, B_SHARED, false},
    {"shared_mlp.input_linear.weight", "ffn_up_shexp.weight", "uH", HOW_SECOND, B_SHARED, false},
    {"shared_mlp.output_linear.weight", "ffn_down_shexp.weight", "HS", HOW_COPY, B_SHARED, false},
    END,
};

static bool granite_derive(struct family_model *m, struct err *e)
{
    static const struct kind_word words[] = {{"mamba", B_SSM}, {"attention", B_ATTN}, {NULL, 0}};
    uint64_t *f = m->f, expand = model_number(m, "mamba_expand", 2), n_ssm = 0;
    f['d'] = model_number_auto(m, "mamba_d_head", f['h'] ? expand * f['H'] / f['h'] : 0);
    f['i'] = f['h'] * f['d'];
    f['z'] = f['i'] + 2 * f['g'] * f['s'];
    f['y'] = f['i'] + f['z'] + f['h'];
    f['u'] = 2 * f['S'];
    if (expand != 2 || f['d'] > f['H'] * 2 || f['i'] != 2 * f['H'])
        return err_set(
            e, ERR_INPUT,
            "config.json: %llu Mamba heads of %llu; the engine expects them to make up twice the hidden "
            "size, %llu",
            (unsigned long long)f['h'], (unsigned long long)f['d'], (unsigned long long)(2 * f['H']));
    if (!f['g'] || f['i'] % f['g'])
        return err_set(e, ERR_INPUT, "config.json: 'mamba_n_groups' is %llu, expected a divisor of %llu",
                       (unsigned long long)f['g'], (unsigned long long)f['i']);
    if (!model_kinds_by_words(m, "layer_types", words, e))
        return false;
    for (uint64_t i = 0; i < f['L']; i++) {
        n_ssm += m->kinds[i] & B_SSM ? 1 : 0;
        m->kinds[i] |= B_MOE | (f['S'] ? B_SHARED : 0);
        model_set_block(m, 'M', i, m->kinds[i] & B_ATTN ? f['M'] : 0);
    }
    return n_ssm || err_set(e, ERR_INPUT,
                            "config.json: 'layer_types' has no mamba; the engine has another "
                            "architecture for such models, with rotation");
}

static const struct conversion granite_hybrid = {
    .flags = CONVERT_NO_ROPE,
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, rules_attn_permuted,
                                               granite_names, NULL},
    .facts =
        (const struct fact_rule[]){
            {'X', "intermediate_size", NULL},
            {'S', "shared_intermediate_size", "0"},
            {'h', "mamba_n_heads", NULL},
            {'g', "mamba_n_groups", "1"},
            {'s', "mamba_d_state", NULL},
            {'k', "mamba_d_conv", NULL},
            {0, NULL, NULL},
        },
    .keys =
        (const struct key_rule[]){
            {"context_length", KEY_U32, "", "1048576"}, /* no rotation: no limit of its own */
            {"rope.dimension_count", KEY_U32, "=D", NULL},
            {"rope.scaling.finetuned", KEY_BOOL, "", "false"}, /* which the engine takes for: no rotation */
            {"attention.scale", KEY_F32, "attention_multiplier", NULL},
            {"embedding_scale", KEY_F32, "embedding_multiplier", NULL},
            {"residual_scale", KEY_F32, "residual_multiplier", NULL},
            {"logit_scale", KEY_F32, "logits_scaling", NULL},
            {"expert_shared_feed_forward_length", KEY_U32, "=S", NULL},
            {"ssm.conv_kernel", KEY_U32, "=k", NULL},
            {"ssm.state_size", KEY_U32, "=s", NULL},
            {"ssm.group_count", KEY_U32, "=g", NULL},
            {"ssm.inner_size", KEY_U32, "=i", NULL},
            {"ssm.time_step_rank", KEY_U32, "=h", NULL},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"position_embedding_type", "nope", "nope", "the engine does not rotate in this family"},
            {"attention_bias", "false", "false", "the engine has no biases here"},
            {"mamba_proj_bias", "false", "false", "the engine has no biases here"},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {NULL, NULL, NULL, NULL},
        },
    .derive = granite_derive,
};

const struct family family_granitehybrid = {
    .arch = "granitehybrid",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_SSM_TWICE | ENGINE_SSM,
    .models = "Granite 4 hybrid",
    .gate = SOFTMAX_NORM,
    .classes = {{"GraniteMoeHybridForCausalLM", &granite_hybrid}},
    NAMES(.block = "block_sparse_moe", .experts = "input_linear output_linear", .router = "router"),
    .tokenizers = {{.model_types = "granite*", .pre = "refact"},
                   {.model_types = "granitemoehybrid", .pre = "refact", .pad_vocab = 8}},
};
