/* map.c - the families' records. See map.h for how to read them.
 *
 * What is written down here was read from the engine's graphs (src/models/) and loaders and from the
 * published configs; tests compare every family with a file that llama.cpp's own converter made. To add a
 * family: a record, its name in `maps`, and where its blocks are not all alike a derive function. */
#include "convert/map.h"

#include "base/log.h"

#include <string.h>

/* ---- tensors that several families name alike ---- */

const struct name_rule map_globals[] = {
    {"embed_tokens.weight", "token_embd.weight", "VH", HOW_COPY, 0, false},
    {"embeddings.weight", "token_embd.weight", "VH", HOW_COPY, 0, false},
    {"norm.weight", "output_norm.weight", "H", HOW_COPY, 0, false},
    {"norm_f.weight", "output_norm.weight", "H", HOW_COPY, 0, false},
    {"lm_head.weight", "output.weight", "VH", HOW_COPY, 0, true}, /* required unless tied */
    {NULL, NULL, NULL, HOW_COPY, 0, false},
};

#define END                                  \
    {                                        \
        NULL, NULL, NULL, HOW_COPY, 0, false \
    }

static const struct name_rule pre_norm[] = {
    {"input_layernorm.weight", "attn_norm.weight", "H", HOW_COPY, 0, false},
    END,
};
static const struct name_rule ffn_norm[] = {
    {"post_attention_layernorm.weight", "ffn_norm.weight", "H", HOW_COPY, 0, false},
    END,
};
static const struct name_rule post_norm[] = {
    {"post_attention_layernorm.weight", "post_attention_norm.weight", "H", HOW_COPY, 0, false},
    END,
};
static const struct name_rule attn[] = {
    {"self_attn.q_proj.weight", "attn_q.weight", "QH", HOW_COPY, 0, false},
    {"self_attn.k_proj.weight", "attn_k.weight", "KH", HOW_COPY, 0, false},
    {"self_attn.v_proj.weight", "attn_v.weight", "KH", HOW_COPY, 0, false},
    {"self_attn.o_proj.weight", "attn_output.weight", "HQ", HOW_COPY, 0, false},
    END,
};
static const struct name_rule attn_permuted[] = {
    {"self_attn.q_proj.weight", "attn_q.weight", "QH", HOW_PERM, 0, false},
    {"self_attn.k_proj.weight", "attn_k.weight", "KH", HOW_PERM, 0, false},
    {"self_attn.v_proj.weight", "attn_v.weight", "KH", HOW_COPY, 0, false},
    {"self_attn.o_proj.weight", "attn_output.weight", "HQ", HOW_COPY, 0, false},
    END,
};
static const struct name_rule qkv_bias[] = {
    {"self_attn.q_proj.bias", "attn_q.bias", "Q", HOW_COPY, 0, false},
    {"self_attn.k_proj.bias", "attn_k.bias", "K", HOW_COPY, 0, false},
    {"self_attn.v_proj.bias", "attn_v.bias", "K", HOW_COPY, 0, false},
    END,
};
static const struct name_rule qkv_bias_optional[] = {
    {"self_attn.q_proj.bias", "attn_q.bias", "Q", HOW_COPY, 0, true},
    {"self_attn.k_proj.bias", "attn_k.bias", "K", HOW_COPY, 0, true},
    {"self_attn.v_proj.bias", "attn_v.bias", "K", HOW_COPY, 0, true},
    END,
};
static const struct name_rule head_norms[] = {
    {"self_attn.q_norm.weight", "attn_q_norm.weight", "D", HOW_COPY, 0, false},
    {"self_attn.k_norm.weight", "attn_k_norm.weight", "D", HOW_COPY, 0, false},
    END,
};
static const struct name_rule dense[] = {
    {"mlp.gate_proj.weight", "ffn_gate.weight", "FH", HOW_COPY, B_DENSE, false},
    {"mlp.up_proj.weight", "ffn_up.weight", "FH", HOW_COPY, B_DENSE, false},
    {"mlp.down_proj.weight", "ffn_down.weight", "HF", HOW_COPY, B_DENSE, false},
    END,
};
static const struct name_rule moe[] = {
    {"mlp.gate.weight", "ffn_gate_inp.weight", "EH", HOW_COPY, B_MOE, false},
    {"mlp.experts.#.gate_proj.weight", "ffn_gate_exps.weight", "XH", HOW_COPY, B_MOE, false},
    {"mlp.experts.#.up_proj.weight", "ffn_up_exps.weight", "XH", HOW_COPY, B_MOE, false},
    {"mlp.experts.#.down_proj.weight", "ffn_down_exps.weight", "HX", HOW_COPY, B_MOE, false},
    END,
};
static const struct name_rule moe_fused[] = {
    /* as transformers holds them in memory */
    {"mlp.experts.gate_up_proj", "ffn_gate_exps.weight", "EGH", HOW_FIRST, B_MOE, false},
    {"mlp.experts.gate_up_proj", "ffn_up_exps.weight", "EGH", HOW_SECOND, B_MOE, false},
    {"mlp.experts.down_proj", "ffn_down_exps.weight", "EHX", HOW_COPY, B_MOE, false},
    END,
};
static const struct name_rule select_bias[] = {
    {"mlp.gate.e_score_correction_bias", "exp_probs_b.bias", "E", HOW_COPY, B_MOE, false},
    END,
};
static const struct name_rule select_bias_optional[] = {
    {"mlp.gate.e_score_correction_bias", "exp_probs_b.bias", "E", HOW_COPY, B_MOE, true},
    END,
};
static const struct name_rule shared[] = {
    {"mlp.shared_experts.gate_proj.weight", "ffn_gate_shexp.weight", "SH", HOW_COPY, B_SHARED, false},
    {"mlp.shared_experts.up_proj.weight", "ffn_up_shexp.weight", "SH", HOW_COPY, B_SHARED, false},
    {"mlp.shared_experts.down_proj.weight", "ffn_down_shexp.weight", "HS", HOW_COPY, B_SHARED, false},
    END,
};

/* ---- what derive functions share ---- */

static uint64_t fact(const struct plan_in *in, char letter)
{
    return in->f.v[(unsigned char)letter];
}

static uint64_t conf_number(const struct plan_in *in, const char *keys, uint64_t other)
{
    uint64_t v;
    return jdoc_u64(in->conf.d, conf_get(&in->conf, keys), &v) ? v : other;
}

/* The first `lead` blocks are dense, the others have experts, and shared ones if there are any. */
static void dense_first(struct plan_in *in, uint64_t lead)
{
    for (uint64_t i = 0; i < in->n_blocks; i++)
        in->kinds[i] = (uint8_t)(B_ATTN | (i < lead ? B_DENSE : B_MOE | (fact(in, 'S') ? B_SHARED : 0)));
}

static bool too_large(const char *key, struct err *e)
{
    return err_set(e, ERR_INPUT, "config.json: '%s' is larger than the model", key);
}

/* ---- Qwen ---- */

static const char qwen_all_moe[] = "the engine expects experts in every block";
static const char silu_only[] = "the engine computes SiLU";

static const struct name_rule qwen2_shared[] = {
    {"mlp.shared_expert.gate_proj.weight", "ffn_gate_shexp.weight", "SH", HOW_COPY, B_MOE, false},
    {"mlp.shared_expert.up_proj.weight", "ffn_up_shexp.weight", "SH", HOW_COPY, B_MOE, false},
    {"mlp.shared_expert.down_proj.weight", "ffn_down_shexp.weight", "HS", HOW_COPY, B_MOE, false},
    {"mlp.shared_expert_gate.weight", "ffn_gate_inp_shexp.weight", "1H", HOW_COPY, B_MOE, false},
    END,
};

static const struct key_rule expert_length[] = {
    {"expert_feed_forward_length", KEY_U32, "=X", NULL},
    {NULL, KEY_U32, NULL, NULL},
};

static const struct map qwen3_moe = {
    .classes = (const char *const[]){"Qwen3MoeForCausalLM", NULL},
    .arch = "qwen3moe",
    .names = (const struct name_rule *const[]){pre_norm, ffn_norm, attn, head_norms, moe, moe_fused, NULL},
    .keys = expert_length,
    .musts =
        (const struct must_rule[]){
            {"norm_topk_prob", "true", "false",
             "the engine always makes the weights of the chosen experts sum to one"},
            {"decoder_sparse_step", "1", "1", qwen_all_moe},
            {"mlp_only_layers", "[]", "[]", qwen_all_moe},
            {"hidden_act", "silu", "silu", silu_only},
            {"use_sliding_window", "false", "false", "the engine attends to the whole context"},
            {NULL, NULL, NULL, NULL},
        },
};

static const struct map qwen2_moe = {
    .classes = (const char *const[]){"Qwen2MoeForCausalLM", NULL},
    .arch = "qwen2moe",
    .flags = MAP_NEEDS_OUTPUT | MAP_HEADS_FILL,
    .names = (const struct name_rule *const[]){pre_norm, ffn_norm, attn, qkv_bias, moe, moe_fused,
                                               qwen2_shared, NULL},
    .facts = (const struct fact_rule[]){{'S', "shared_expert_intermediate_size", NULL}, {0, NULL, NULL}},
    .keys =
        (const struct key_rule[]){
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"expert_shared_feed_forward_length", KEY_U32, "=S", NULL},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"norm_topk_prob", "false", "false",
             "the engine never makes the weights of the chosen experts sum to one"},
            {"decoder_sparse_step", "1", "1", qwen_all_moe},
            {"mlp_only_layers", "[]", "[]", qwen_all_moe},
            {"hidden_act", "silu", "silu", silu_only},
            {"use_sliding_window", "false", "false", "the engine attends to the whole context"},
            {NULL, NULL, NULL, NULL},
        },
};

/* ---- OLMoE ---- */

static const struct name_rule olmoe_norms[] = {
    {"self_attn.q_norm.weight", "attn_q_norm.weight", "H", HOW_COPY, 0, false},
    {"self_attn.k_norm.weight", "attn_k_norm.weight", "H", HOW_COPY, 0, false},
    END,
};

static bool olmoe_derive(struct plan_in *in, struct err *e)
{
    return fact(in, 'N') == fact(in, 'M') ||
           err_set(e, ERR_INPUT, "config.json: %llu KV heads for %llu heads; the engine expects as many",
                   (unsigned long long)fact(in, 'M'), (unsigned long long)fact(in, 'N'));
}

static const struct map olmoe = {
    .classes = (const char *const[]){"OlmoeForCausalLM", NULL},
    .arch = "olmoe",
    .flags = MAP_NEEDS_OUTPUT | MAP_HEADS_FILL,
    .names = (const struct name_rule *const[]){pre_norm, ffn_norm, attn, olmoe_norms, moe, NULL},
    .facts = (const struct fact_rule[]){{'X', "intermediate_size", NULL}, {0, NULL, NULL}},
    .keys =
        (const struct key_rule[]){
            {"attention.layer_norm_rms_epsilon", KEY_F32, "rms_norm_eps", "1e-5"},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"norm_topk_prob", "false", "false",
             "the engine never makes the weights of the chosen experts sum to one"},
            {"clip_qkv", "null", "null", "the engine does not clip q, k and v"},
            {"hidden_act", "silu", "silu", silu_only},
            {NULL, NULL, NULL, NULL},
        },
    .derive = olmoe_derive,
};

/* ---- Mixtral ---- */

static const struct name_rule mixtral_moe[] = {
    {"block_sparse_moe.gate.weight", "ffn_gate_inp.weight", "EH", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.experts.#.w1.weight", "ffn_gate_exps.weight", "XH", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.experts.#.w3.weight", "ffn_up_exps.weight", "XH", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.experts.#.w2.weight", "ffn_down_exps.weight", "HX", HOW_COPY, B_MOE, false},
    END,
};

static const struct map mixtral = {
    .classes = (const char *const[]){"MixtralForCausalLM", NULL},
    .arch = "llama",
    .flags = MAP_ROPE_FREQS,
    .names = (const struct name_rule *const[]){pre_norm, ffn_norm, attn_permuted, mixtral_moe, NULL},
    .facts = (const struct fact_rule[]){{'X', "intermediate_size", NULL}, {0, NULL, NULL}},
    .keys =
        (const struct key_rule[]){
            {"rope.dimension_count", KEY_U32, "=D", NULL},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts = (const struct must_rule[]){{"hidden_act", "silu", "silu", silu_only}, {NULL, NULL, NULL, NULL}},
};

/* ---- gpt-oss ---- */

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

static bool gpt_oss_derive(struct plan_in *in, struct err *e)
{
    uint32_t types = conf_get(&in->conf, "layer_types");
    const struct jdoc *d = in->conf.d;
    in->f.v['m'] = 16;                                          /* bytes of 32 codes */
    in->f.v['w'] = fact(in, 'H') % 32 ? 0 : fact(in, 'H') / 32; /* 0 is the size of no tensor */
    in->f.v['u'] = fact(in, 'X') % 32 ? 0 : fact(in, 'X') / 32;
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

static const struct map gpt_oss = {
    .classes = (const char *const[]){"GptOssForCausalLM", NULL},
    .arch = "gpt-oss",
    .flags = MAP_NEEDS_OUTPUT,
    .names = (const struct name_rule *const[]){pre_norm, post_norm, attn, qkv_bias, gpt_oss_names, NULL},
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

/* ---- Llama-4 ---- */

static const struct name_rule llama4_names[] = {
    {"feed_forward.gate_proj.weight", "ffn_gate.weight", "FH", HOW_COPY, B_DENSE, false},
    {"feed_forward.up_proj.weight", "ffn_up.weight", "FH", HOW_COPY, B_DENSE, false},
    {"feed_forward.down_proj.weight", "ffn_down.weight", "HF", HOW_COPY, B_DENSE, false},
    {"feed_forward.router.weight", "ffn_gate_inp.weight", "EH", HOW_COPY, B_MOE, false},
    {"feed_forward.experts.gate_up_proj", "ffn_gate_exps.weight", "EHG", HOW_SWAP_FIRST, B_MOE, false},
    {"feed_forward.experts.gate_up_proj", "ffn_up_exps.weight", "EHG", HOW_SWAP_SECOND, B_MOE, false},
    {"feed_forward.experts.down_proj", "ffn_down_exps.weight", "EXH", HOW_SWAP, B_MOE, false},
    {"feed_forward.shared_expert.gate_proj.weight", "ffn_gate_shexp.weight", "XH", HOW_COPY, B_MOE, false},
    {"feed_forward.shared_expert.up_proj.weight", "ffn_up_shexp.weight", "XH", HOW_COPY, B_MOE, false},
    {"feed_forward.shared_expert.down_proj.weight", "ffn_down_shexp.weight", "HX", HOW_COPY, B_MOE, false},
    END,
};

/* Element i of an integer list, or `other`. */
static uint64_t list_at(const struct plan_in *in, uint32_t list, uint64_t i, uint64_t other)
{
    const struct jdoc *d = in->conf.d;
    uint64_t v;
    if (list == JSPAN_NONE || d->nodes[list].kind != J_ARRAY)
        return other;
    uint32_t n = d->nodes[list].first;
    for (; n != JSPAN_NONE && i; i--)
        n = d->nodes[n].next;
    return n != JSPAN_NONE && jdoc_u64(d, n, &v) ? v : other;
}

static bool llama4_derive(struct plan_in *in, struct err *e)
{
    uint64_t step = conf_number(in, "interleave_moe_layer_step", 1), n_moe = 0;
    uint32_t moe_layers = conf_get(&in->conf, "moe_layers"), no_rope = conf_get(&in->conf, "no_rope_layers");
    if (!step)
        return err_set(e, ERR_INPUT, "config.json: 'interleave_moe_layer_step' is 0");
    for (uint64_t i = 0; i < fact(in, 'L'); i++) {
        bool is_moe = (i + 1) % step == 0;
        in->kinds[i] = (uint8_t)(B_ATTN | (is_moe ? B_MOE : B_DENSE));
        if (is_moe && list_at(in, moe_layers, n_moe++, i) != i)
            return err_set(e, ERR_INPUT,
                           "config.json: 'moe_layers' are not every %llu-th layer, as the engine expects",
                           (unsigned long long)step);
        if (list_at(in, no_rope, i, (i + 1) % 4 != 0) != ((i + 1) % 4 != 0))
            return err_set(e, ERR_INPUT,
                           "config.json: 'no_rope_layers' are not every fourth layer, as the engine expects");
    }
    uint32_t norm = conf_get(&in->conf, "use_qk_norm");
    bool has_norm = norm == JSPAN_NONE || in->conf.d->nodes[norm].kind == J_TRUE;
    if (has_norm != (fact(in, 'E') != 128))
        return err_set(
            e, ERR_INPUT,
            "config.json: 'use_qk_norm' is %s with %llu experts; the engine normalises q and k unless "
            "there are 128 experts",
            has_norm ? "true" : "false", (unsigned long long)fact(in, 'E'));
    if (fact(in, 'L') < 4)
        return err_set(e, ERR_INPUT, "config.json: %llu layers; the engine ends on fewer than 4",
                       (unsigned long long)fact(in, 'L'));
    return true;
}

static const struct map llama4 = {
    .classes = (const char *const[]){"Llama4ForConditionalGeneration", "Llama4ForCausalLM", NULL},
    .arch = "llama4",
    .flags = MAP_ROPE_FREQS,
    .names = (const struct name_rule *const[]){pre_norm, ffn_norm, attn, llama4_names, NULL},
    .facts = (const struct fact_rule[]){{'X', "intermediate_size", NULL},
                                        {'F', "intermediate_size_mlp", NULL},
                                        {0, NULL, NULL}},
    .keys =
        (const struct key_rule[]){
            {"rope.dimension_count", KEY_U32, "=D", NULL},
            {"interleave_moe_layer_step", KEY_U32, "interleave_moe_layer_step", "1"},
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"attention_chunk_size", "8192", "8192", "the engine's chunks have 8192 tokens"},
            {"attn_temperature_tuning", "true|4", "true", "the engine always scales by the position"},
            {"attn_scale", "0.1", "0.1", "the engine scales with 0.1"},
            {"floor_scale", "8192", "8192", "the engine scales from token 8192 on"},
            {"hidden_act", "silu", "silu", silu_only},
            {NULL, NULL, NULL, NULL},
        },
    .derive = llama4_derive,
};

/* ---- DeepSeek ---- */

/* r, c: ranks of q and kv; n, p, v: head sizes without and with rotation, and of the values. b = N (n + v),
 * q = N (n + p), a = c + p, o = N v. */
static const struct name_rule mla[] = {
    {"self_attn.q_proj.weight", "attn_q.weight", "qH", HOW_COPY, B_Q_FULL, false},
    {"self_attn.q_a_proj.weight", "attn_q_a.weight", "rH", HOW_COPY, B_Q_LORA, false},
    {"self_attn.q_a_layernorm.weight", "attn_q_a_norm.weight", "r", HOW_COPY, B_Q_LORA, false},
    {"self_attn.q_b_proj.weight", "attn_q_b.weight", "qr", HOW_COPY, B_Q_LORA, false},
    {"self_attn.kv_a_proj_with_mqa.weight", "attn_kv_a_mqa.weight", "aH", HOW_COPY, 0, false},
    {"self_attn.kv_a_layernorm.weight", "attn_kv_a_norm.weight", "c", HOW_COPY, 0, false},
    {"self_attn.kv_b_proj.weight", "attn_k_b.weight", "bc", HOW_K_B, 0, false},
    {"self_attn.kv_b_proj.weight", "attn_v_b.weight", "bc", HOW_V_B, 0, false},
    {"self_attn.o_proj.weight", "attn_output.weight", "Ho", HOW_COPY, 0, false},
    END,
};

static bool deepseek_derive(struct plan_in *in, struct err *e)
{
    uint64_t *f = in->f.v, lead = conf_number(in, "first_k_dense_replace", 0);
    f['S'] = f['X'] * f['s'];
    f['b'] = f['N'] * (f['n'] + f['v']);
    f['q'] = f['N'] * (f['n'] + f['p']);
    f['a'] = f['c'] + f['p'];
    f['o'] = f['N'] * f['v'];
    f['W'] = f['n'] + f['p']; /* the key lengths */
    if (!f['n'] || !f['p'] || !f['v'] || !f['c'])
        return err_set(e, ERR_INPUT, "config.json: a head size or 'kv_lora_rank' is 0");
    if (!f['S'])
        return err_set(e, ERR_INPUT,
                       "config.json: no shared experts; the engine expects them in this family");
    bool lite = f['L'] == 26 || f['L'] == 27 || (f['L'] == 48 && f['V'] == 128256);
    if (lite && f['r'])
        return err_set(
            e, ERR_INPUT,
            "config.json: %llu layers with a 'q_lora_rank'; the engine takes them for a Lite model, "
            "which has none",
            (unsigned long long)f['L']);
    if (lead > f['L'])
        return too_large("first_k_dense_replace", e);
    dense_first(in, lead);
    for (uint64_t i = 0; i < in->n_blocks; i++)
        in->kinds[i] |= (uint8_t)(f['r'] ? B_Q_LORA : B_Q_FULL);
    if (conf_number(in, "n_group", 1) > 1) {
        uint32_t method = conf_get(&in->conf, "topk_method");
        if (method != JSPAN_NONE && jdoc_str_is(in->conf.d, method, "group_limited_greedy"))
            log_warn(
                "the engine ranks groups of experts by their two best, this model by the best one; some tokens "
                "will take other experts");
    }
    return true;
}

static const struct fact_rule deepseek_facts[] = {
    {'r', "q_lora_rank", "0"},
    {'c', "kv_lora_rank", "512"},
    {'n', "qk_nope_head_dim", NULL},
    {'p', "qk_rope_head_dim", NULL},
    {'v', "v_head_dim", NULL},
    {'s', "n_shared_experts", "0"},
    {0, NULL, NULL},
};
static const struct must_rule deepseek_musts[] = {
    {"moe_layer_freq", "1", "1", "the engine expects experts in every block behind the dense ones"},
    {"attention_bias", "false", "false", "the engine has no biases here"},
    {"hidden_act", "silu", "silu", silu_only},
    {NULL, NULL, NULL, NULL},
};
#define DEEPSEEK_KEYS                                                                                        \
    {"attention.head_count_kv", KEY_U32, "=1", NULL}, {"attention.key_length", KEY_U32, "=a", NULL},         \
        {"attention.value_length", KEY_U32, "=c", NULL}, {"attention.key_length_mla", KEY_U32, "=W", NULL},  \
        {"attention.value_length_mla", KEY_U32, "=v", NULL}, {"attention.q_lora_rank", KEY_U32, "=r", NULL}, \
        {"attention.kv_lora_rank", KEY_U32, "=c", NULL},                                                     \
        {"attention.layer_norm_rms_epsilon", KEY_F32, "rms_norm_eps", "1e-6"},                               \
        {"leading_dense_block_count", KEY_U32, "first_k_dense_replace", "0"},                                \
        {"expert_feed_forward_length", KEY_U32, "=X", NULL}, {"expert_shared_count", KEY_U32, "=s", NULL},   \
        {"expert_weights_scale", KEY_F32, "routed_scaling_factor", NULL},                                    \
        {"expert_weights_norm", KEY_BOOL, "norm_topk_prob", NULL},                                           \
    {                                                                                                        \
        "rope.dimension_count", KEY_U32, "=p", NULL                                                          \
    }

static const struct name_rule *const v2_names[] = {pre_norm, ffn_norm, mla, dense, moe, select_bias_optional,
                                                   shared,   NULL};
static const struct name_rule *const v3_names[] = {pre_norm, ffn_norm,    mla,    dense,
                                                   moe,      select_bias, shared, NULL};

static const struct map deepseek_v2 = {
    .classes = (const char *const[]){"DeepseekV2ForCausalLM", NULL},
    .arch = "deepseek2",
    .names = v2_names,
    .facts = deepseek_facts,
    .keys = (const struct key_rule[]){DEEPSEEK_KEYS, {NULL, KEY_U32, NULL, NULL}},
    .musts = deepseek_musts,
    .derive = deepseek_derive,
};

/* A config that transformers 5 saved has no scoring_func; the family's is the sigmoid. */
static const struct map deepseek_v3 = {
    .classes = (const char *const[]){"DeepseekV3ForCausalLM", NULL},
    .arch = "deepseek2",
    .names = v3_names,
    .facts = deepseek_facts,
    .keys = (const struct key_rule[]){DEEPSEEK_KEYS,
                                      {"expert_gating_func", KEY_GATING, "scoring_func", "sigmoid"},
                                      {NULL, KEY_U32, NULL, NULL}},
    .musts = deepseek_musts,
    .derive = deepseek_derive,
};

/* ---- Ernie 4.5 ---- */

static const struct name_rule ernie_select[] = {
    {"mlp.moe_statics.e_score_correction_bias", "exp_probs_b.bias", "1E", HOW_COPY, B_MOE, true},
    END,
};

static bool ernie_derive(struct plan_in *in, struct err *e)
{
    uint64_t *f = in->f.v, lead = conf_number(in, "moe_layer_start_index", 0);
    uint32_t end = conf_get(&in->conf, "moe_layer_end_index");
    uint64_t last;
    f['S'] = f['X'] * f['s'];
    if (lead > f['L'])
        return too_large("moe_layer_start_index", e);
    /* -1, or the number of the last layer */
    if (end != JSPAN_NONE && jdoc_u64(in->conf.d, end, &last) && last != f['L'] - 1)
        return err_set(
            e, ERR_INPUT,
            "config.json: 'moe_layer_end_index' is %llu; the engine expects experts up to the last of "
            "%llu layers",
            (unsigned long long)last, (unsigned long long)f['L']);
    dense_first(in, lead);
    return true;
}

static const struct map ernie4_5_moe = {
    .classes = (const char *const[]){"Ernie4_5_MoeForCausalLM", "Ernie4_5_MoEForCausalLM", NULL},
    .arch = "ernie4_5-moe",
    .names =
        (const struct name_rule *const[]){pre_norm, ffn_norm, attn, dense, moe, ernie_select, shared, NULL},
    .facts = (const struct fact_rule[]){{'s', "moe_num_shared_experts", "0"},
                                        {'E', "moe_num_experts", NULL},
                                        {'T', "moe_k|num_experts_per_tok", NULL},
                                        {0, NULL, NULL}},
    .keys =
        (const struct key_rule[]){
            {"interleave_moe_layer_step", KEY_U32, "moe_layer_interval", "1"},
            {"leading_dense_block_count", KEY_U32, "moe_layer_start_index", "0"},
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"expert_shared_count", KEY_U32, "=s", NULL},
            {"expert_shared_feed_forward_length", KEY_U32, "=S", NULL},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"moe_layer_interval", "1", "1",
             "the engine expects experts in every block behind the dense ones"},
            {"use_bias", "false", "false", "the engine has no biases here"},
            {"hidden_act", "silu", "silu", silu_only},
            {NULL, NULL, NULL, NULL},
        },
    .derive = ernie_derive,
};

/* ---- GLM-4.5 ---- */

static const struct name_rule glm_names[] = {
    {"self_attn.q_norm.weight", "attn_q_norm.weight", "D", HOW_COPY, 0, true},
    {"self_attn.k_norm.weight", "attn_k_norm.weight", "D", HOW_COPY, 0, true},
    {"eh_proj.weight", "nextn.eh_proj.weight", "HY", HOW_COPY, B_MTP, false},
    {"enorm.weight", "nextn.enorm.weight", "H", HOW_COPY, B_MTP, false},
    {"hnorm.weight", "nextn.hnorm.weight", "H", HOW_COPY, B_MTP, false},
    {"embed_tokens.weight", "nextn.embed_tokens.weight", "VH", HOW_COPY, B_MTP, true},
    {"shared_head.head.weight", "nextn.shared_head_head.weight", "VH", HOW_COPY, B_MTP, true},
    {"shared_head.norm.weight", "nextn.shared_head_norm.weight", "H", HOW_COPY, B_MTP, true},
    END,
};

static bool glm_derive(struct plan_in *in, struct err *e)
{
    uint64_t *f = in->f.v, lead = conf_number(in, "first_k_dense_replace", 0);
    f['S'] = f['X'] * f['s'];
    f['Y'] = 2 * f['H'];
    double part = 0.5;
    (void)jdoc_f64(in->conf.d, conf_rope(&in->conf, "partial_rotary_factor"), &part);
    if (!(part > 0 && part <= 1))
        return err_set(e, ERR_INPUT, "config.json: 'partial_rotary_factor' is not between 0 and 1");
    f['R'] = (uint64_t)((double)f['D'] * part); /* rotated dimensions */
    if (lead > f['L'])
        return too_large("first_k_dense_replace", e);
    dense_first(in, lead);
    for (uint64_t i = f['L']; i < in->n_blocks; i++)
        in->kinds[i] |= B_MTP;
    return true;
}

static const struct map glm4_moe = {
    .classes = (const char *const[]){"Glm4MoeForCausalLM", NULL},
    .arch = "glm4moe",
    .flags = MAP_MTP_KEPT,
    .names = (const struct name_rule *const[]){pre_norm, post_norm, attn, qkv_bias_optional, dense, moe,
                                               select_bias, shared, glm_names, NULL},
    .facts = (const struct fact_rule[]){{'s', "n_shared_experts", "0"}, {0, NULL, NULL}},
    .keys =
        (const struct key_rule[]){
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"expert_shared_count", KEY_U32, "=s", NULL},
            {"leading_dense_block_count", KEY_U32, "first_k_dense_replace", "0"},
            {"rope.dimension_count", KEY_U32, "=R", NULL},
            {"expert_gating_func", KEY_GATING, "scoring_func", "sigmoid"},
            {"expert_weights_scale", KEY_F32, "routed_scaling_factor", NULL},
            {"expert_weights_norm", KEY_BOOL, "norm_topk_prob", NULL},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts = (const struct must_rule[]){{"hidden_act", "silu", "silu", silu_only}, {NULL, NULL, NULL, NULL}},
    .derive = glm_derive,
};

/* ---- Nemotron-H ---- */

/* h, d: Mamba heads and their size, g groups, s state, k kernel; i = h d, z = i + 2 g s, y = i + z + h. l:
 * width of the experts' input. q and k are permuted as llama.cpp's converter does, though the graph does not
 * rotate: permuting both changes nothing, and files of both programs are equal. */
static const struct name_rule nemotron_names[] = {
    {"norm.weight", "attn_norm.weight", "H", HOW_COPY, 0, false},
    {"mixer.in_proj.weight", "ssm_in.weight", "yH", HOW_COPY, B_SSM, false},
    {"mixer.conv1d.weight", "ssm_conv1d.weight", "z1k", HOW_SQUEEZE, B_SSM, false},
    {"mixer.conv1d.bias", "ssm_conv1d.bias", "z", HOW_COPY, B_SSM, true},
    {"mixer.dt_bias", "ssm_dt.bias", "h", HOW_COPY, B_SSM, false},
    {"mixer.A_log", "ssm_a", "h", HOW_NEG_EXP, B_SSM, false},
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

static bool nemotron_kind(uint64_t il, const char *word, uint8_t *kind, struct err *e)
{
    static const struct {
        const char *words[3];
        uint8_t kind;
    } known[] = {{{"M", "mamba", "linear_attention"}, B_SSM},
                 {{"*", "attention", "full_attention"}, B_ATTN},
                 {{"E", "moe", "moe"}, B_MOE}};
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < 3; k++)
            if (!strcmp(word, known[i].words[k])) {
                *kind = known[i].kind;
                return true;
            }
    return err_set(e, ERR_INPUT,
                   "config.json: layer %llu is of kind '%.20s', expected M (mamba), * (attention) or E (moe)",
                   (unsigned long long)il, word);
}

static bool nemotron_derive(struct plan_in *in, struct err *e)
{
    uint64_t *f = in->f.v, n = 0;
    uint32_t node = conf_get(&in->conf, "hybrid_override_pattern|layers_block_type");
    const struct jdoc *d = in->conf.d;
    struct buf text = {0};
    bool ok = true;
    f['i'] = f['h'] * f['d'];
    f['z'] = f['i'] + 2 * f['g'] * f['s'];
    f['y'] = f['i'] + f['z'] + f['h'];
    if (!f['l'])
        f['l'] = f['H'];
    if (!f['g'] || f['i'] % f['g'])
        return err_set(e, ERR_INPUT, "config.json: 'n_groups' is %llu, expected a divisor of %llu",
                       (unsigned long long)f['g'], (unsigned long long)f['i']);
    if (node != JSPAN_NONE && d->nodes[node].kind == J_STRING) {
        jdoc_str(d, node, &text);
        for (n = 0; ok && n < text.n; n++)
            ok = n >= f['L'] || nemotron_kind(n, (char[]){text.s[n], 0}, &in->kinds[n], e);
    } else if (node != JSPAN_NONE && d->nodes[node].kind == J_ARRAY) {
        for (uint32_t k = d->nodes[node].first; ok && k != JSPAN_NONE; k = d->nodes[k].next, n++) {
            text.n = 0;
            if (d->nodes[k].kind == J_STRING)
                jdoc_str(d, k, &text);
            ok = n >= f['L'] || nemotron_kind(n, text.n ? text.s : "", &in->kinds[n], e);
        }
    }
    if (ok && n != f['L'])
        ok = err_set(e, ERR_INPUT, "config.json: 'hybrid_override_pattern' names %llu layers, expected %llu",
                     (unsigned long long)n, (unsigned long long)f['L']);
    buf_clear(&text);
    return ok;
}

static const struct map nemotron_h = {
    .classes = (const char *const[]){"NemotronHForCausalLM", NULL},
    .arch = "nemotron_h_moe",
    .flags = MAP_NO_ROPE,
    .names = (const struct name_rule *const[]){nemotron_names, NULL},
    .facts =
        (const struct fact_rule[]){
            {'E', "n_routed_experts", NULL},
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

static const struct map *const maps[] = {
    &qwen3_moe,   &qwen2_moe,   &olmoe,        &mixtral,  &gpt_oss,    &llama4,
    &deepseek_v2, &deepseek_v3, &ernie4_5_moe, &glm4_moe, &nemotron_h,
};

const struct map *map_find(const char *class_name)
{
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        for (const char *const *c = maps[i]->classes; *c; c++)
            if (!strcmp(*c, class_name))
                return maps[i];
    return NULL;
}

void map_list(struct buf *b)
{
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        for (const char *const *c = maps[i]->classes; *c; c++)
            buf_fmt(b, "%s%s", b->n ? ", " : "", *c);
}
