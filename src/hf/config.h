/* config.h - config.json and its companions: what they say about experts, and what pruning changes in them.
 *
 * Keys are looked for at the root and in all nested objects (text_config, ffn_config, thinker_config...), but
 * not in those that describe something else: names with a foreign word (names.h), quant or compression, and names of
 * one module ("mtp.layers.0.mlp.experts.1"), whose entry may go. Where a key of a nested object is found, it counts as
 * one of the model. Which keys there are: names.h. */
#ifndef REAP_HF_CONFIG_H
#define REAP_HF_CONFIG_H

#include "base/buf.h"
#include "base/err.h"
#include "base/jspan.h"
#include <stdbool.h>
#include <stdint.h>

/* What config.json says. Numbers are 0 (groups: 1), strings NULL where it says nothing. */
struct hf_counts {
    uint32_t n_experts;   /* per layer; 0: no key */
    char *n_experts_path; /* where it stands (the first of several): "text_config.num_experts" */
    uint32_t n_used;      /* experts per token; of a list the largest */
    char *n_used_path;
    uint32_t n_groups;      /* groups of experts of which the router chooses some first */
    uint32_t n_groups_used; /* how many it chooses */
    bool groups_ignored;    /* topk_method "greedy": transformers' code then never looks at the groups */
    uint32_t n_layers;      /* of the trunk: MTP layers follow */
    uint32_t n_mtp;         /* MTP layers by the config; there may be none in the files */
    char *n_mtp_path;
    char *model_type, *text_model_type; /* of the root; of the object that holds the expert count */
    char *architecture;                 /* architectures[0] */
    char *quant_method;                 /* of the first quantization_config or compression_config */
    bool bnb_4bit;                      /* quant_method "bitsandbytes" with load_in_4bit true */
};

/* Fills *out. All keys that name the count of experts must agree; null is no answer; of a list per layer
 * (Hunyuan) the entries above 1 must agree (0 and 1 are dense layers). An error (ERR_INPUT, *out stays empty)
 * names the key with its path: the config is no object, a count is not a whole number, two counts differ,
 * more experts per token than experts. Whether groups divide the experts is the caller's business. */
bool hf_counts(const struct jdoc *config, struct hf_counts *out, struct err *e);
void hf_counts_clear(struct hf_counts *c); /* frees the strings */

/* architectures[0], and model_type of the root, for who needs nothing else. NULL: not said; caller frees. */
char *hf_class_name(const struct jdoc *config);
char *hf_model_type(const struct jdoc *config);

/* What to do to the names. Layers are numbered as in the tensors' names, MTP layers from n_layers on; -1 stands for those where
 * n_layers is not known. */
struct hf_edit_plan {
    uint32_t n_experts, n_keep;
    uint32_t n_layers; /* layers.N with N of this or more is an MTP layer; 0: unknown, there is none */
    bool drop_mtp;     /* MTP layers go: their count becomes 0, names in them are cut */
    /* The n_keep ids that stay in a layer, ascending; borrowed. NULL: the layer is not pruned, names in it
     * stay. */
    const uint32_t *(*keep)(void *ctx, int64_t layer);
    void *ctx;
};

/* The text of config.json, hf_quant_config.json or quantize_config.json after pruning is added to out.
 * `counts`: with the keys of counts (config.json; harmless for the others): each key of the expert count that
 * hf_counts looks at gets n_keep, and so do the entries of ERNIE's moe_capacity that are the count; with
 * drop_mtp keys of the MTP count get 0.
 *
 * Then, anywhere in the document, elements of lists and keys of objects that name an expert
 * ("model.layers.3.mlp.experts.17.up_proj", also in other lists of layers, names.h): the expert gets its new
 * number, or the element goes. A name without a layer ("mlp.experts.7.up_proj", GPTQ) stands for all layers
 * and stays if its number is below n_keep. Shared experts, other models' parts ("visual.", "talker.") and
 * string values outside of lists do not change. A pattern ("re:...", "+:...", "-:...", anything with signs of
 * a regular expression, or a *) stays if it spells no expert's number; else ERR_INPUT naming it: to rewrite
 * it is not safe. Everything else comes out byte for byte. */
bool hf_edit_config(const struct jdoc *doc, const struct hf_edit_plan *plan, bool counts, struct buf *out,
                    struct err *e);

/* ---- for those who check what an edit made, by rules of their own ---- */
enum hf_key {
    HF_KEY_OTHER,
    HF_KEY_COUNT, /* states the count of experts, alone or in a list */
    HF_KEY_MTP,   /* states how many MTP layers there are */
};
enum hf_key hf_key(const struct jdoc *d, uint32_t member); /* by its name alone */
/* A member that describes something else than the language model, with all that is in it. */
bool hf_is_foreign_object(const struct jdoc *d, uint32_t member);
bool hf_is_expert_pattern(const char *s); /* a pattern that spells an expert's number */

#endif
