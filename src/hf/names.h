/* names.h - the words of checkpoints that say the same thing: keys of config.json, and what stands before a
 * layer in the name of a tensor. Once, for all who read a checkpoint: the view, pruning, and conversion.
 *
 * From the modelling code of transformers 5.12 and of the checkpoints, and from the tensor map of llama.cpp
 * v0.5.0 (gguf-py/gguf/tensor_mapping.py, conversion/). */
#ifndef REAP_HF_NAMES_H
#define REAP_HF_NAMES_H

#include "base/jspan.h"
#include <stdbool.h>
#include <stdint.h>

/* ---- keys of config.json ---- */
/* Names of one number, as "a|b|c" (conf.h), in the order in which they are tried. */
#define HF_KEYS_EXPERTS /* of a layer */ \
    "num_experts|num_local_experts|n_routed_experts|moe_num_experts|n_experts|moe_num_primary_experts"
#define HF_KEYS_USED /* per token */                                                                      \
    "num_experts_per_tok|num_experts_per_token|experts_per_token|moe_k|moe_topk|moe_top_k|top_k_experts|" \
    "moe_num_active_primary_experts"
#define HF_KEYS_GROUPS \
    "n_group|num_expert_group|num_expert_groups" /* n_groups and mamba_n_groups are Mamba's */
#define HF_KEYS_GROUPS_USED "topk_group|num_expert_groups_per_tok"
#define HF_KEYS_LAYERS      "num_hidden_layers|n_layers|n_layer|num_layers"
#define HF_KEYS_MTP         /* layers behind the last, that predict further tokens */ \
    "num_nextn_predict_layers|mtp_num_hidden_layers|num_mtp_modules|num_mtp_layers|mtp_num_layers"
#define HF_KEYS_QUANTIZATION "quantization_config|compression_config"

/* The object that describes the language model: text_config, llm_config or language_config, at the root or in
 * thinker_config; JSPAN_NONE: there is none, the root does. */
uint32_t hf_text_config(const struct jdoc *config);

/* A word in the name of an object of config.json, or of a module, that is not part of the language model. */
bool hf_is_foreign(const char *name);
const char *hf_foreign_at(uint32_t i); /* the words; NULL behind the last */

/* ---- names of tensors and modules ---- */
/* The name behind what stands before "layers.N." and before the modules outside of layers: "model.",
 * "language_model.model.", .. */
const char *hf_strip_prefix(const char *name);
const char *hf_prefix_at(uint32_t i); /* NULL behind the last */

/* Segments of n bytes: that lists the layers ("layers", "blocks", "h"); of a module that predicts further
 * tokens ("mtp", "mtp_block"). */
bool hf_is_layer_list(const char *s, size_t n);
bool hf_is_mtp(const char *s, size_t n);

/* Whether a tensor holds what quantised weights are scaled or shifted by, and no weights: by the end of its name,
 * and its type. For counting; how such tensors are read is in convert/forms.c. */
bool hf_is_scale(const char *name, const char *dtype);

/* "12.rest": 12 and the rest; false unless a number without leading zeros, below 10^9, and a dot. */
bool hf_take_number(const char *s, uint32_t *n, const char **rest);

/* Where a tensor stands in its model. */
struct hf_place {
    const char *rest; /* behind "layers.N."; NULL: in no layer of the language model */
    uint32_t layer;   /* N */
    bool mtp;         /* of the blocks that predict further tokens by their name ("mtp.") */
    bool other;       /* in no layer, and not part of the language model (vision, audio) */
};
struct hf_place hf_place(const char *name);
/* The same of a model with two stacks of blocks, of which the second begins behind n_encoder. */
struct hf_place hf_place_in_stacks(const char *name, uint32_t n_encoder);

#endif
