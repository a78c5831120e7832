/* prune.h - writing a model without the experts that a plan drops, and proving that it was done right.
 *
 * Weights are never decoded: an expert is a run of bytes, whatever its type, and the kept runs are copied.
 * Memory is that of the header. */
#ifndef REAP_PRUNE_PRUNE_H
#define REAP_PRUNE_PRUNE_H

#include "model/plan.h"

struct prune_opts {
    const char *out;
    bool force, dry_run;
    bool merge;         /* a split input becomes one file */
    bool no_provenance; /* leave the reap.* keys out */
};

struct prune_result {
    uint64_t bytes_in, bytes_out;       /* of all files */
    uint64_t tensors_cut, tensors_kept; /* with an expert axis; the others */
    uint32_t n_files;
    char **files; /* written, or to be written; owned by the caller: prune_result_clear */
    double secs;
};

bool prune_run(struct view *v, const struct plan *p, const struct prune_opts *o, struct prune_result *r,
               struct err *e);
/* The names of the files that prune_run writes for `out`: n of them, in an array of strings that the caller
 * frees; one, unless the model is split and not merged. */
char **prune_file_names(const struct view *v, const char *out, bool merge, uint32_t *n);
void prune_result_clear(struct prune_result *r);

struct verify_result {
    uint64_t tensors_cut, tensors_same, keys_same, bytes; /* compared and equal */
    uint64_t n_diff;                                      /* differences found */
    json_t *diff;                                         /* the first 20, as strings; owned */
    struct plan *found; /* without a plan: which experts were kept; owned, NULL if they could not be told */
};

/* Compares a pruned file with its parent: every tensor, every kept expert, every key. p NULL: finds the kept
 * experts by their bytes. True when the check could be made (n_diff says what it gave); false with *e set
 * when a file cannot be read. */
bool verify_run(struct view *parent, struct view *pruned, const struct plan *p, struct verify_result *r,
                struct err *e);
void verify_result_clear(struct verify_result *r);

#endif
