/* jamba.c - Jamba: Mamba and attention, dense blocks and such with experts, each by a period of its own. */
#include "family/rules.h"

/* i: inner size of Mamba, twice the hidden size; s: state, k: convolution, r: rank of the time step; y = 2 i,
 * x = r + 2 s. */
static const struct name_rule jamba_names[] = {
    {"input_layernorm.weight", "attn_norm.weight", "H", HOW_COPY, 0, false},
    {"pre_ff_layernorm.weight", "ffn_norm.weight", "H", HOW_COPY, 0, false},
    {"mamba.in_proj.weight", "ssm_in.weight", "yH", HOW_COPY, B_SSM, false},
    {"mamba.conv1d.weight", "ssm_conv1d.weight", "i1k", HOW_SQUEEZE, B_SSM, false},
    {"mamba.conv1d.bias", "ssm_conv1d.bias", "i", HOW_COPY, B_SSM, false},
    {"mamba.x_proj.weight", "ssm_x.weight", "xi", HOW_COPY, B_SSM, false},
    {"mamba.dt_layernorm.weight", "ssm_dt_norm.weight", "r", HOW_COPY, B_SSM, false},
    {"mamba.b_layernorm.weight", "ssm_b_norm.weight", "s", HOW_COPY, B_SSM, false},
    {"mamba.c_layernorm.weight", "ssm_c_norm.weight", "s", HOW_COPY, B_SSM, false},
    {"mamba.dt_proj.weight", "ssm_dt.weight", "ir", HOW_COPY, B_SSM, false},
    {"mamba.dt_proj.bias", "ssm_dt.bias", "i", HOW_COPY, B_SSM, false},
    {"mamba.A_log", "ssm_a", "is", HOW_NEG_EXP, B_SSM, false},
    {"mamba.D", "ssm_d", "i", HOW_COPY, B_SSM, false},
    {"mamba.out_proj.weight", "ssm_out.weight", "Hi", HOW_COPY, B_SSM, false},
    {"feed_forward.gate_proj.weight", "ffn_gate.weight", "FH", HOW_COPY, B_DENSE, false},
    {"feed_forward.up_proj.weight", "ffn_up.weight", "FH", HOW_COPY, B_DENSE, false},
    {"feed_forward.down_proj.weight", "ffn_down.weight", "HF", HOW_COPY, B_DENSE, false},
    {"feed_forward.router.weight", "ffn_gate_inp.weight", "EH", HOW_COPY, B_MOE, false},
    {"feed_forward.experts.#.gate_proj.weight", "ffn_gate_exps.weight", "XH", HOW_COPY, B_MOE, false},
    {"feed_forward.experts.#.up_proj.weight", "ffn_up_exps.weight", "XH", HOW_COPY, B_MOE, false},
    {"feed_forward.experts.#.down_proj.weight", "ffn_down_exps.weight", "HX", HOW_COPY, B_MOE, false},
    END,
};
static const struct name_rule jamba_globals[] = {
    {"embed_tokens.weight", "token_embd.weight", "VH", HOW_COPY, 0, false},
    {"final_layernorm.weight", "output_norm.weight", "H", HOW_COPY, 0, false},
    {"lm_head.weight", "output.weight", "VH", HOW_COPY, 0, true},
    END,
};

static bool jamba_derive(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f;
    uint64_t attn = model_number(m, "attn_layer_period", 8),
             attn_at = model_number(m, "attn_layer_offset", 4);
    uint64_t moe = model_number(m, "expert_layer_period", 2),
             moe_at = model_number(m, "expert_layer_offset", 1);
    if (!attn || !moe)
        return err_set(e, ERR_INPUT, "config.json: '%s' is 0",
                       attn ? "expert_layer_period" : "attn_layer_period");
    f['i'] = 2 * f['H'];
    f['y'] = 2 * f['i'];
    f['r'] = model_number_auto(m, "mamba_dt_rank", (f['H'] + 15) / 16);
    f['x'] = f['r'] + 2 * f['s'];
    for (uint64_t i = 0; i < f['L']; i++) {
        m->kinds[i] = i % attn == attn_at ? B_ATTN : B_SSM;
        m->kinds[i] |= i % moe == moe_at ? B_MOE : B_DENSE;
        model_set_block(m, 'M', i, m->kinds[i] & B_ATTN ? f['M'] : 0);
    }
    return true;
}

static const struct conversion jamba = {
    .flags = CONVERT_HEADS_FILL | CONVERT_NO_ROPE,
    .names = (const struct name_rule *const[]){jamba_names, rules_attn, NULL},
    .globals = jamba_globals,
    .facts =
        (const struct fact_rule[]){
            {'X', "intermediate_size", NULL},
            {'s', "mamba_d_state", "16"},
            {'k', "mamba_d_conv", "4"},
            {0, NULL, NULL},
        },
    .keys =
        (const struct key_rule[]){
            {"attention.layer_norm_rms_epsilon", KEY_F32, "rms_norm_eps|layer_norm_epsilon", "1e-6"},
            {"ssm.conv_kernel", KEY_U32, "=k", NULL},
            {"ssm.inner_size", KEY_U32, "=i", NULL},
            {"ssm.state_size", KEY_U32, "=s", NULL},
            {"ssm.time_step_rank", KEY_U32, "=r", NULL},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"mamba_expand", "2", "2", "the engine expects an inner size of twice the hidden size"},
            {"mamba_conv_bias", "true", "true", "the engine expects a bias of the convolution"},
            {"mamba_proj_bias", "false", "false", "the engine has no biases here"},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {NULL, NULL, NULL, NULL},
        },
    .derive = jamba_derive,
};

const struct family family_jamba = {
    .arch = "jamba",
    .engine = ENGINE_ROPE_NONE | ENGINE_SSM_TWICE,
    .models = "Jamba",
    .gate = SOFTMAX,
    .classes = {{"JambaForCausalLM", &jamba}},
    NAMES(.block = "feed_forward", .experts = "experts", .router = "router"),
};
