/* mixtral.c - Mixtral, which the engine runs as a Llama. */
#include "family/rules.h"

static const struct name_rule mixtral_moe[] = {
    {"block_sparse_moe.gate.weight", "ffn_gate_inp.weight", "EH", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.experts.#.w1.weight", "ffn_gate_exps.weight", "XH", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.experts.#.w3.weight", "ffn_up_exps.weight", "XH", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.experts.#.w2.weight", "ffn_down_exps.weight", "HX", HOW_COPY, B_MOE, false},
    END,
};

static const struct conversion mixtral = {
    .flags = CONVERT_ROPE_FREQS,
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, rules_attn_permuted,
                                               mixtral_moe, NULL},
    .facts = (const struct fact_rule[]){{'X', "intermediate_size", NULL}, {0, NULL, NULL}},
    .keys =
        (const struct key_rule[]){
            {"rope.dimension_count", KEY_U32, "=D", NULL},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){{"hidden_act", "silu", "silu", rules_silu_only}, {NULL, NULL, NULL, NULL}},
};

const struct family family_mixtral = {
    .arch = "llama",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_WHOLE,
    .down_scale = true,
    .models = "Mixtral",
    .gate = SOFTMAX_NORM,
    .classes = {{"MixtralForCausalLM", &mixtral}},
    NAMES(SPARSE),
    .own_names = {.block = "feed_forward", .experts = "experts", .router = "gate"},
    .tokenizers = {{.model_types = "llama smollm3", .pre = "smollm", LLAMA_TOKENIZER},
                   {.model_types = "mixtral mistral arcee apertus", LLAMA_TOKENIZER},
                   {.model_types = "llama* smollm*", .pre = "smollm"}},
};
