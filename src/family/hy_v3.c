/* hy_v3.c - Hunyuan v3. */
#include "family/rules.h"

static const struct name_rule hy_names[] = {
    {"mlp.router.gate.weight", "ffn_gate_inp.weight", "EH", HOW_COPY, B_MOE, false},
    {"mlp.expert_bias", "exp_probs_b", "E", HOW_COPY, B_MOE, true},
    {"mlp.experts.#.gate_proj.weight", "ffn_gate_exps.weight", "XH", HOW_COPY, B_MOE, false},
    {"mlp.experts.#.up_proj.weight", "ffn_up_exps.weight", "XH", HOW_COPY, B_MOE, false},
    {"mlp.experts.#.down_proj.weight", "ffn_down_exps.weight", "HX", HOW_COPY, B_MOE, false},
    {"mlp.shared_mlp.gate_proj.weight", "ffn_gate_shexp.weight", "SH", HOW_COPY, B_SHARED, false},
    {"mlp.shared_mlp.up_proj.weight", "ffn_up_shexp.weight", "SH", HOW_COPY, B_SHARED, false},
    {"mlp.shared_mlp.down_proj.weight", "ffn_down_shexp.weight", "HS", HOW_COPY, B_SHARED, false},
    {"final_layernorm.weight", "nextn.shared_head_norm.weight", "H", HOW_COPY, B_MTP, true},
    END,
};

static bool hy_derive(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f;
    f['S'] = f['X'] * f['s'];
    if (!f['S'])
        return err_set(e, ERR_INPUT,
                       "config.json: no shared experts; the engine expects them in this family");
    return model_lead(m, model_number(m, "first_k_dense_replace", 1), e);
}

static const struct conversion hy_v3 = {
    .flags = CONVERT_MTP_KEPT,
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, rules_attn, rules_head_norms,
                                               rules_dense, hy_names, rules_nextn, NULL},
    .facts = (const struct fact_rule[]){{'s', "num_shared_experts", "1"}, {0, NULL, NULL}},
    .keys =
        (const struct key_rule[]){
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"expert_shared_feed_forward_length", KEY_U32, "=S", NULL},
            {"expert_weights_scale", KEY_F32, "router_scaling_factor", "1"},
            {"expert_weights_norm", KEY_BOOL, "route_norm", "true"},
            {"expert_gating_func", KEY_GATING, "", "sigmoid"},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"moe_router_use_sigmoid", "true", "true", "the engine computes the sigmoid here"},
            {"qk_norm", "true", "true", "the engine normalises q and k"},
            {"attention_bias", "false", "false", "the engine has no biases here"},
            {"mlp_bias", "false", "false", "the engine has no biases here"},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {NULL, NULL, NULL, NULL},
        },
    .derive = hy_derive,
};

const struct family family_hy_v3 = {
    .arch = "hy_v3",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_WHOLE | ENGINE_MTP_ALONE,
    .down_scale = true,
    .models = "Hunyuan v3",
    .gate = BY_KEYS,
    .classes = {{"HYV3ForCausalLM", &hy_v3}},
    NAMES(.block = "mlp", .experts = "experts", .router = "router", .vectors = "expert_bias"),
};
