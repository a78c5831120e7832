/* llama4.c - Llama-4. */
#include "family/rules.h"

/* src/models/llama4.cpp: 128 experts mean Maverick, and Maverick has no QK norm; any other count switches it
 * on. A GGUF file says nothing of it, a checkpoint does: use_qk_norm. */
#define MAVERICK   128
#define MIN_BLOCKS 4 /* the engine ends on fewer */

static const struct name_rule llama4_names[] = {
    {"feed_forward.gate_proj.weight", "ffn_gate.weight", "FH", HOW_COPY, B_DENSE, false},
    {"feed_forward.up_proj.weight", "ffn_up.weight", "FH", HOW_COPY, B_DENSE, false},
    {"feed_forward.down_proj.weight", "ffn_down.weight", "HF", HOW_COPY, B_DENSE, false},
    {"feed_forward.router.weight", "ffn_gate_inp.weight", "EH", HOW_COPY, B_MOE, false},
    {"feed_forward.experts.gate_up_proj", "ffn_gate_exps.weight", "EHG", HOW_SWAP_FIRST, B_MOE, false},
    {"feed_forward.experts.gate_up_proj", "ffn_up_exps.weight", "EHG", HOW_SWAP_SECOND, B_MOE, false},
    {"feed_forward.experts.down_proj", "ffn_down_exps.weight", "EXH", HOW_SWAP, B_MOE, false},
    {"feed_forward.experts.#.gate_proj.weight", "ffn_gate_exps.weight", "XH", HOW_COPY, B_MOE, false},
    {"feed_forward.experts.#.up_proj.weight", "ffn_up_exps.weight", "XH", HOW_COPY, B_MOE, false},
    {"feed_forward.experts.#.down_proj.weight", "ffn_down_exps.weight", "HX", HOW_COPY, B_MOE, false},
    {"feed_forward.shared_expert.gate_proj.weight", "ffn_gate_shexp.weight", "XH", HOW_COPY, B_MOE, false},
    {"feed_forward.shared_expert.up_proj.weight", "ffn_up_shexp.weight", "XH", HOW_COPY, B_MOE, false},
    {"feed_forward.shared_expert.down_proj.weight", "ffn_down_shexp.weight", "HX", HOW_COPY, B_MOE, false},
    END,
};

/* Element i of an integer list, or `other`. */
static uint64_t list_at(const struct family_model *m, uint32_t list, uint64_t i, uint64_t other)
{
    uint64_t v;
    uint32_t n = model_list_at(m, list, i);
    return n != JSPAN_NONE && jdoc_u64(m->conf->d, n, &v) ? v : other;
}

static bool llama4_derive(struct family_model *m, struct err *e)
{
    uint64_t step = model_number(m, "interleave_moe_layer_step", 1), n_moe = 0;
    uint32_t moe_layers = conf_get(m->conf, "moe_layers"), no_rope = conf_get(m->conf, "no_rope_layers");
    if (!step)
        return err_set(e, ERR_INPUT, "config.json: 'interleave_moe_layer_step' is 0");
    for (uint64_t i = 0; i < m->f['L']; i++) {
        bool is_moe = (i + 1) % step == 0;
        m->kinds[i] = B_ATTN | (is_moe ? B_MOE : B_DENSE);
        if (is_moe && list_at(m, moe_layers, n_moe++, i) != i)
            return err_set(e, ERR_INPUT,
                           "config.json: 'moe_layers' are not every %llu-th layer, as the engine expects",
                           (unsigned long long)step);
        if (list_at(m, no_rope, i, (i + 1) % 4 != 0) != ((i + 1) % 4 != 0))
            return err_set(e, ERR_INPUT,
                           "config.json: 'no_rope_layers' are not every fourth layer, as the engine expects");
    }
    uint32_t norm = conf_get(m->conf, "use_qk_norm");
    bool has_norm = norm == JSPAN_NONE || m->conf->d->nodes[norm].kind == J_TRUE;
    if (has_norm != (m->f['E'] != MAVERICK))
        return err_set(
            e, ERR_INPUT,
            "config.json: 'use_qk_norm' is %s with %llu experts; the engine normalises q and k unless "
            "there are 128 experts",
            has_norm ? "true" : "false", (unsigned long long)m->f['E']);
    if (m->f['L'] < MIN_BLOCKS)
        return err_set(e, ERR_INPUT, "config.json: %llu layers; the engine ends on fewer than 4",
                       (unsigned long long)m->f['L']);
    return true;
}

static const struct conversion llama4 = {
    .flags = CONVERT_ROPE_FREQS,
    .names =
        (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, rules_attn, llama4_names, NULL},
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
            {"hidden_act", "silu", "silu", rules_silu_only},
            {NULL, NULL, NULL, NULL},
        },
    .derive = llama4_derive,
};

const struct family family_llama4 = {
    .arch = "llama4",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_WHOLE,
    .models = "Llama-4",
    .gate = "sigmoid, multiplies the expert's input",
    .gate_on_input = true,
    .min_blocks = MIN_BLOCKS,
    .only_experts = MAVERICK,
    .why_only = "the engine takes a Llama-4 model with another number of experts than 128 for one with QK "
                "norm, so a pruned Maverick would compute something else",
    .classes = {{"Llama4ForConditionalGeneration", &llama4}, {"Llama4ForCausalLM", &llama4}},
    NAMES(.block = "feed_forward", .experts = "experts", .router = "router"),
    .tokenizers = {{.model_types = "llama4*", .pre = "llama4 smollm"}},
};
