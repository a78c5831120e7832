/* gpt_oss.c - gpt-oss. */
#include "family/rules.h"

/* As LLM Compressor and others write experts for their kernels; .. as Unsloth does, gate and up in turns still. */
static const struct name_rule single[] = {
    {"mlp.experts.#.gate_proj.weight", "ffn_gate_exps.weight", "XH", HOW_COPY, 0, false},
    {"mlp.experts.#.up_proj.weight", "ffn_up_exps.weight", "XH", HOW_COPY, 0, false},
    {"mlp.experts.#.down_proj.weight", "ffn_down_exps.weight", "HX", HOW_COPY, 0, false},
    {"mlp.experts.#.gate_proj.bias", "ffn_gate_exps.bias", "X", HOW_COPY, 0, false},
    {"mlp.experts.#.up_proj.bias", "ffn_up_exps.bias", "X", HOW_COPY, 0, false},
    {"mlp.experts.#.down_proj.bias", "ffn_down_exps.bias", "H", HOW_COPY, 0, false},
    END,
};
static const struct name_rule single_in_turns[] = {
    {"mlp.experts.gate_up_projs.#.weight", "ffn_gate_exps.weight", "GH", HOW_EVEN_ROWS, 0, false},
    {"mlp.experts.gate_up_projs.#.weight", "ffn_up_exps.weight", "GH", HOW_ODD_ROWS, 0, false},
    {"mlp.experts.down_projs.#.weight", "ffn_down_exps.weight", "HX", HOW_COPY, 0, false},
    {"mlp.experts.gate_up_projs.#.bias", "ffn_gate_exps.bias", "G", HOW_EVEN, 0, false},
    {"mlp.experts.gate_up_projs.#.bias", "ffn_up_exps.bias", "G", HOW_ODD, 0, false},
    {"mlp.experts.down_projs.#.bias", "ffn_down_exps.bias", "H", HOW_COPY, 0, false},
    END,
};
static const struct name_rule gpt_oss_names[] = {
    {"self_attn.o_proj.bias", "attn_output.bias", "H", HOW_COPY, 0, false},
    {"self_attn.sinks", "attn_sinks.weight", "N", HOW_COPY, 0, false},
    {"mlp.router.weight", "ffn_gate_inp.weight", "EH", HOW_COPY, 0, false},
    {"mlp.router.bias", "ffn_gate_inp.bias", "E", HOW_COPY, 0, false},
    {"mlp.experts.gate_up_proj", "ffn_gate_exps.weight", "EHG", HOW_SWAP_EVEN, 0, false},
    {"mlp.experts.gate_up_proj", "ffn_up_exps.weight", "EHG", HOW_SWAP_ODD, 0, false},
    {"mlp.experts.down_proj", "ffn_down_exps.weight", "EXH", HOW_SWAP, 0, false},
    {"mlp.experts.gate_up_proj_blocks", "ffn_gate_exps.weight", "EGwm", HOW_MXFP4_EVEN, 0, false},
    {"mlp.experts.gate_up_proj_blocks", "ffn_up_exps.weight", "EGwm", HOW_MXFP4_ODD, 0, false},
    {"mlp.experts.down_proj_blocks", "ffn_down_exps.weight", "EHum", HOW_MXFP4, 0, false},
    {"mlp.experts.gate_up_proj_bias", "ffn_gate_exps.bias", "EG", HOW_EVEN, 0, false},
    {"mlp.experts.gate_up_proj_bias", "ffn_up_exps.bias", "EG", HOW_ODD, 0, false},
    {"mlp.experts.down_proj_bias", "ffn_down_exps.bias", "EH", HOW_COPY, 0, false},
    END,
};

static bool gpt_oss_derive(struct family_model *m, struct err *e)
{
    uint32_t types = conf_get(m->conf, "layer_types");
    const struct jdoc *d = m->conf->d;
    m->f['m'] = 16;                                  /* bytes of 32 codes */
    m->f['w'] = m->f['H'] % 32 ? 0 : m->f['H'] / 32; /* 0 is the size of no tensor */
    m->f['u'] = m->f['X'] % 32 ? 0 : m->f['X'] / 32;
    if (types == JSPAN_NONE || d->nodes[types].kind != J_ARRAY)
        return true;
    uint64_t i = 0;
    for (uint32_t n = d->nodes[types].first; n != JSPAN_NONE; n = d->nodes[n].next, i++)
        if (!jdoc_str_is(d, n, i % 2 ? "full_attention" : "sliding_attention"))
            return err_set(
                e, ERR_INPUT,
                "config.json: 'layer_types[%llu]' does not alternate; the engine expects every second "
                "layer, from the first on, to be 'sliding_attention', the others 'full_attention'",
                (unsigned long long)i);
    return true;
}

static const struct conversion gpt_oss = {
    .flags = CONVERT_NEEDS_OUTPUT,
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_post_norm, rules_attn, rules_qkv_bias,
                                               gpt_oss_names, single, single_in_turns, NULL},
    .facts = (const struct fact_rule[]){{'X', "intermediate_size", NULL}, {0, NULL, NULL}},
    .keys =
        (const struct key_rule[]){
            {"attention.sliding_window", KEY_U32, "sliding_window", "128"},
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"swiglu_limit", "7", "7", "the engine limits the activation at 7"},
            {"attention_bias", "true", "true", "the engine expects biases"},
            {NULL, NULL, NULL, NULL},
        },
    .derive = gpt_oss_derive,
};

const struct family family_gpt_oss = {
    .arch = "gpt-oss",
    .engine = ENGINE_HEADS_EQUAL,
    .models = "gpt-oss",
    .gate = "softmax over the top-k of the logits (router bias included)",
    .classes = {{"GptOssForCausalLM", &gpt_oss}},
    NAMES(.block = "mlp", .experts = "experts.gate_up_projs experts.down_projs experts", .router = "router"),
};
