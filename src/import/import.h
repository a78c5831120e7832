/* import.h - files of other tools: their statistics as reap.stats/1, ours in their form.
 *
 * What a tool did not measure stays 0 and is named in the file (import.unknown), so that nothing is ranked by
 * it. Nothing is corrected: an imported number means what that tool computed. */
#ifndef REAP_IMPORT_IMPORT_H
#define REAP_IMPORT_IMPORT_H

#include "model/plan.h"
#include "stats/stats.h"

struct import_opts {
    const char *path;
    const struct view *view;  /* the model (its identity and layers are compared), or NULL, then: */
    const char *architecture; /* general.architecture */
    uint32_t n_used;          /* experts per token; 0: told by the file, if it can */
    bool force;               /* counts that look scrambled are a warning */
    /* Reads n values of a ggml type (engine_dequantize); NULL: norms are not estimated. */
    bool (*to_float)(uint32_t type, const void *src, uint64_t n, float *dst, struct err *e);
};

/* llama-expert-profile's JSON: an object of layers with total_tokens, activation_counts, ean_mean, reap and
 * avg_gate_weight. Refuses counts that are far more even than chance would make them: versions of that tool
 * credited outputs to the wrong experts. NULL with *e. */
struct stats *import_expert_profile(const struct import_opts *o, struct err *e);

/* An importance matrix of llama.cpp in GGUF form. Counts are exact. With the model, of any type, ean_sq_sum
 * is estimated (docs/score.md). NULL with *e. */
struct stats *import_imatrix(const struct import_opts *o, struct err *e);

/* Whichever of the two the file is. */
struct stats *import_stats(const struct import_opts *o, struct err *e);

/* The JSON of llama-expert-profile from our sums: means, as its pruner reads them. New reference; NULL with
 * *e when the file lacks what it needs. */
json_t *export_expert_profile(const struct stats *s, struct err *e);

/* A form of another tool. */
struct import_form {
    const char *name;
    struct stats *(*read)(const struct import_opts *o, struct err *e);
    json_t *(*write)(const struct stats *s, struct err *e); /* NULL: is only read */
};
const struct import_form *import_form_at(uint32_t i); /* NULL behind the last */
const char *import_form_name(uint32_t i);             /* the same */

/* ---- between the files of import ---- */
extern const struct import_form import_form_profile, import_form_imatrix;
/* Empty stats for n layers of block numbers il (ascending), checked against the model if there is one. */
struct stats *import_begin(const struct import_opts *o, const char *format, const uint32_t *il, uint32_t n,
                           uint32_t n_experts, struct err *e);
/* The last checks; on failure frees s and gives NULL. */
struct stats *import_end(struct stats *s, struct err *e);

#endif
