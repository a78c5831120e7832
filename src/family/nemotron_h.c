/* nemotron_h.c - Nemotron-H. */
#include "family/rules.h"

/* h, d: Mamba heads and their size, g groups, s state, k kernel; i = h d, z = i + 2 g s, y = i + z + h. l:
 * width of the experts' input. q and k are permuted as llama.cpp's converter does, though the graph does not
 * rotate: permuting both changes nothing, and files of both programs are equal. */
static const struct name_rule nemotron_names[] = {
    {"norm.weight", "attn_norm.weight", "H", HOW_COPY, 0, false},
    {"mixer.in_proj.weight", "ssm_in.weight", "yH", HOW_COPY, B_SSM, false},
    {"mixer.conv1d.weight", "ssm_conv1d.weight", "z1k", HOW_SQUEEZE, B_SSM, false},
    {"mixer.conv1d.bias", "ssm_conv1d.bias", "z", HOW_COPY, B_SSM, true},
    {"mixer.dt_bias", "ssm_dt.bias", "h", HOW_COPY, B_SSM, false},
    {"mixer.A_log", "ssm_a", "h", HOW_NEG_EXP_COLUMN, B_SSM, false},
    {"mixer.D", "ssm_d", "h", HOW_COLUMN, B_SSM, false},
    {"mixer.norm.weight", "ssm_norm.weight", "i", HOW_GROUPS, B_SSM, false},
    {"mixer.out_proj.weight", "ssm_out.weight", "Hi", HOW_COPY, B_SSM, false},
    {"mixer.q_proj.weight", "attn_q.weight", "QH", HOW_PERM, B_ATTN, false},
    {"mixer.k_proj.weight", "attn_k.weight", "KH", HOW_PERM, B_ATTN, false},
    {"mixer.v_proj.weight", "attn_v.weight", "KH", HOW_COPY, B_ATTN, false},
    {"mixer.o_proj.weight", "attn_output.weight", "HQ", HOW_COPY, B_ATTN, false},
    {"mixer.gate.weight", "ffn_gate_inp.weight", "EH", HOW_COPY, B_MOE, false},
    {"mixer.gate.e_score_correction_bias", "exp_probs_b.bias", "E", HOW_COPY, B_MOE, false},
    {"mixer.experts.#.up_proj.weight", "ffn_up_exps.weight", "Xl", HOW_COPY, B_MOE, false},
    {"mixer.experts.#.down_proj.weight", "ffn_down_exps.weight", "lX", HOW_COPY, B_MOE, false},
    {"mixer.shared_experts.up_proj.weight", "ffn_up_shexp.weight", "SH", HOW_COPY, B_MOE, false},
    {"mixer.shared_experts.down_proj.weight", "ffn_down_shexp.weight", "HS", HOW_COPY, B_MOE, false},
    {"mixer.fc1_latent_proj.weight", "ffn_latent_down.weight", "lH", HOW_COPY, B_MOE, true},
    {"mixer.fc2_latent_proj.weight", "ffn_latent_up.weight", "Hl", HOW_COPY, B_MOE, true},
    END,
};

static bool nemotron_derive(struct family_model *m, struct err *e)
{
    static const struct kind_word words[] = {
        {"M", B_SSM},  {"mamba", B_SSM},      {"linear_attention", B_SSM},
        {"*", B_ATTN}, {"attention", B_ATTN}, {"full_attention", B_ATTN},
        {"E", B_MOE},  {"moe", B_MOE},        {NULL, 0}};
    uint64_t *f = m->f;
    f['i'] = f['h'] * f['d'];
    f['z'] = f['i'] + 2 * f['g'] * f['s'];
    f['y'] = f['i'] + f['z'] + f['h'];
    if (!f['l'])
        f['l'] = f['H'];
    if (!f['g'] || f['i'] % f['g'])
        return err_set(e, ERR_INPUT, "config.json: 'n_groups' is %llu, expected a divisor of %llu",
                       (unsigned long long)f['g'], (unsigned long long)f['i']);
    if (!model_kinds_by_words(m, "hybrid_override_pattern|layers_block_type", words, e))
        return false;
    /* as the converter has it: 0 where a layer has no such part */
    for (uint64_t i = 0; i < f['L']; i++) {
        model_set_block(m, 'M', i, m->kinds[i] & B_ATTN ? f['M'] : 0);
        model_set_block(m, 'F', i, m->kinds[i] & B_MOE ? f['F'] : 0);
    }
    return true;
}

static const struct conversion nemotron_h = {
    .flags = CONVERT_NO_ROPE,
    .names = (const struct name_rule *const[]){nemotron_names, NULL},
    .facts =
        (const struct fact_rule[]){
            {'D', "head_dim|attention_head_dim", NULL},
            {'S', "moe_shared_expert_intermediate_size", NULL},
            {'F', "moe_intermediate_size", NULL},
            {'h', "mamba_num_heads", NULL},
            {'d', "mamba_head_dim", NULL},
            {'g', "n_groups|mamba_n_groups", NULL},
            {'s', "ssm_state_size|mamba_d_state", NULL},
            {'k', "conv_kernel|mamba_d_conv", NULL},
            {'l', "moe_latent_size", "0"},
            {0, NULL, NULL},
        },
    .keys =
        (const struct key_rule[]){
            {"context_length", KEY_U32, "", "1048576"}, /* no rotation: no limit of its own */
            {"attention.layer_norm_rms_epsilon", KEY_F32, "norm_eps|rms_norm_eps|layer_norm_epsilon", "1e-5"},
            {"attention.layer_norm_epsilon", KEY_F32, "layer_norm_epsilon|norm_eps", "1e-5"},
            {"rope.dimension_count", KEY_U32, "=D", NULL},
            {"rope.scaling.finetuned", KEY_BOOL, "", "false"},
            {"ssm.conv_kernel", KEY_U32, "=k", NULL},
            {"ssm.state_size", KEY_U32, "=s", NULL},
            {"ssm.group_count", KEY_U32, "=g", NULL},
            {"ssm.inner_size", KEY_U32, "=i", NULL},
            {"ssm.time_step_rank", KEY_U32, "=h", NULL},
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"expert_shared_feed_forward_length", KEY_U32, "=S", NULL},
            {"expert_shared_count", KEY_U32, "n_shared_experts", "1"},
            {"expert_weights_norm", KEY_BOOL, "norm_topk_prob", "true"},
            {"expert_weights_scale", KEY_F32, "routed_scaling_factor", "1"},
            {"moe_latent_size", KEY_U32, "moe_latent_size", NULL},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"mlp_hidden_act", "relu2", "relu2", "the engine computes the squared ReLU"},
            {"use_bias", "false", "false", "the engine has no biases here"},
            {"mlp_bias", "false", "false", "the engine has no biases here"},
            {"attention_bias", "false", "false", "the engine has no biases here"},
            {"mamba_proj_bias", "false", "false", "the engine has no biases here"},
            {NULL, NULL, NULL, NULL},
        },
    .derive = nemotron_derive,
};

const struct family family_nemotron_h = {
    .arch = "nemotron_h_moe",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_NONE | ENGINE_SSM | ENGINE_MTP_ALONE,
    .down_scale = true,
    .models = "Nemotron 3 (Nemotron-H)",
    .gate = "sigmoid, top-k, renormalised and scaled where the keys say so",
    .classes = {{"NemotronHForCausalLM", &nemotron_h}},
    NAMES(.block = "mixer", .experts = "experts", .router = "gate"),
    .tokenizers = {{.model_types = "nemotron_h*", .pad_vocab = 8}},
};
