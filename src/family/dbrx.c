/* dbrx.c - DBRX. */
#include "family/rules.h"

/* P: the rows of q, k and v in one; r = E X: the experts one below the other, w2 as long as the others. */
static const struct name_rule dbrx_names[] = {
    {"norm_attn_norm.norm_1.weight", "attn_norm.weight", "H", HOW_COPY, 0, false},
    {"norm_attn_norm.attn.Wqkv.weight", "attn_qkv.weight", "PH", HOW_COPY, 0, false},
    {"norm_attn_norm.attn.out_proj.weight", "attn_output.weight", "HQ", HOW_COPY, 0, false},
    {"norm_attn_norm.norm_2.weight", "attn_output_norm.weight", "H", HOW_COPY, 0, false},
    {"ffn.router.layer.weight", "ffn_gate_inp.weight", "EH", HOW_COPY, 0, false},
    {"ffn.experts.mlp.w1", "ffn_gate_exps.weight", "rH", HOW_STACKED, 0, false},
    {"ffn.experts.mlp.v1", "ffn_up_exps.weight", "rH", HOW_STACKED, 0, false},
    {"ffn.experts.mlp.w2", "ffn_down_exps.weight", "rH", HOW_STACKED_SWAP, 0, false},
    END,
};

static bool dbrx_derive(struct family_model *m, struct err *e)
{
    (void)e;
    m->f['P'] = m->f['Q'] + 2 * m->f['K'];
    m->f['r'] = m->f['E'] * m->f['X'];
    return true;
}

static const struct conversion dbrx = {
    .flags = CONVERT_NEEDS_OUTPUT | CONVERT_HEADS_FILL | CONVERT_FILE_ONLY,
    .names = (const struct name_rule *const[]){dbrx_names, NULL},
    .facts = (const struct fact_rule[]){{'H', "d_model", NULL},
                                        {'N', "n_heads", NULL},
                                        {'M', "attn_config.kv_n_heads", NULL},
                                        {'E', "ffn_config.moe_num_experts", NULL},
                                        {'T', "ffn_config.moe_top_k", NULL},
                                        {'X', "ffn_config.ffn_hidden_size", NULL},
                                        {'F', "ffn_config.ffn_hidden_size", NULL},
                                        {0, NULL, NULL}},
    .keys =
        (const struct key_rule[]){
            {"context_length", KEY_U32, "max_seq_len", "!"},
            {"attention.clamp_kqv", KEY_F32, "attn_config.clip_qkv", "!"},
            {"attention.layer_norm_epsilon", KEY_F32, "", "1e-5"},
            {"attention.layer_norm_rms_epsilon", KEY_F32, "", NULL}, /* it has none */
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"ffn_config.moe_normalize_expert_weights", "1", "1",
             "the engine makes the weights of the chosen experts sum to one"},
            {NULL, NULL, NULL, NULL},
        },
    .derive = dbrx_derive,
};

const struct family family_dbrx = {
    .arch = "dbrx",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_HEADS_FILL | ENGINE_ROPE_WHOLE,
    .models = "DBRX",
    .gate = SOFTMAX_NORM,
    .classes = {{"DbrxForCausalLM", &dbrx}},
    NAMES(.block = "ffn", .experts = "experts", .router = "router", .rows = true),
};
