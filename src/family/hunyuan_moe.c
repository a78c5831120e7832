/* hunyuan_moe.c - Hunyuan-A13B. */
#include "family/rules.h"

static const struct name_rule hunyuan_names[] = {
    {"self_attn.query_layernorm.weight", "attn_q_norm.weight", "D", HOW_COPY, 0, false},
    {"self_attn.key_layernorm.weight", "attn_k_norm.weight", "D", HOW_COPY, 0, false},
    {"mlp.gate.wg.weight", "ffn_gate_inp.weight", "EH", HOW_COPY, 0, false},
    {"mlp.experts.#.gate_proj.weight", "ffn_gate_exps.weight", "XH", HOW_COPY, 0, false},
    {"mlp.experts.#.up_proj.weight", "ffn_up_exps.weight", "XH", HOW_COPY, 0, false},
    {"mlp.experts.#.down_proj.weight", "ffn_down_exps.weight", "HX", HOW_COPY, 0, false},
    {"mlp.shared_mlp.gate_proj.weight", "ffn_gate_shexp.weight", "FH", HOW_COPY, 0, false},
    {"mlp.shared_mlp.up_proj.weight", "ffn_up_shexp.weight", "FH", HOW_COPY, 0, false},
    {"mlp.shared_mlp.down_proj.weight", "ffn_down_shexp.weight", "HF", HOW_COPY, 0, false},
    END,
};

/* The engine takes the width of the experts from the key of the dense ones. C: the context, which with an alpha is longer than
 * the config says. */
static bool hunyuan_derive(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f;
    f['C'] = conf_rope(m->conf, "alpha") == JSPAN_NONE ? model_number(m, "max_position_embeddings", 32768)
                                                       : 256 << 10;
    if (f['s'] != 1)
        return err_set(e, ERR_INPUT, "config.json: 'num_shared_expert' is %llu, the engine expects 1",
                       (unsigned long long)f['s']);
    return f['X'] == f['F'] ||
           err_set(e, ERR_INPUT,
                   "config.json: experts are %llu wide and the shared one %llu; the engine expects one width",
                   (unsigned long long)f['X'], (unsigned long long)f['F']);
}

static const struct conversion hunyuan_moe = {
    .flags = CONVERT_ROPE_ALPHA,
    .names =
        (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, rules_attn, hunyuan_names, NULL},
    .facts = (const struct fact_rule[]){{'X', "moe_intermediate_size|intermediate_size", NULL},
                                        {'s', "num_shared_expert", "1"},
                                        {0, NULL, NULL}},
    .keys =
        (const struct key_rule[]){
            {"context_length", KEY_U32, "=C", NULL},
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"expert_shared_feed_forward_length", KEY_U32, "=F", NULL},
            {"expert_shared_count", KEY_U32, "=s", NULL},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"use_qk_norm", "true", "true", "the engine normalises q and k"},
            {"use_mixed_mlp_moe", "true", "true", "the engine expects a shared expert"},
            {"use_cla", "false", "false", "the engine has keys and values of its own in every block"},
            {"norm_topk_prob", "true", "true",
             "the engine makes the weights of the chosen experts sum to one"},
            {"attention_bias", "false", "false", "the engine has no biases here"},
            {"mlp_bias", "false", "false", "the engine has no biases here"},
            {"moe_layer_num_skipped", "0", "0", "the engine expects experts in every block"},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {NULL, NULL, NULL, NULL},
        },
    .derive = hunyuan_derive,
};

const struct family family_hunyuan_moe = {
    .arch = "hunyuan-moe",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_WHOLE,
    .models = "Hunyuan-A13B",
    .gate = SOFTMAX_NORM,
    .classes = {{"HunYuanMoEV1ForCausalLM", &hunyuan_moe}},
    NAMES(MLP),
    .tokenizers = {{.model_types = "hunyuan*", .pre = "hunyuan hunyuan-dense"}},
};
