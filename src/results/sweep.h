/* sweep.h - reap.sweep/1: what many plans of one model cost on the same texts. Fields: docs/formats.md. */
#ifndef REAP_RESULTS_SWEEP_H
#define REAP_RESULTS_SWEEP_H

#include "results/eval.h"

/* What a file does not say is not a number, or 0 where it is a count. Texts are borrowed. */

struct sweep_text {
    const char *name, *sha256;
};

struct sweep_file_point {
    const char *type; /* NULL: the model as it is */
    const char *criterion;
    double ratio; /* asked for */
    uint64_t n_keep, bytes;
    struct eval_against r;
    /* KL divergence less that of the best of the same type and count, and its error, paired over windows of text; not
     * a number: there is no other, or windows are not known */
    double to_best, to_best_stderr;
};

struct sweep_file {
    const json_t *model; /* identity */
    const char *stats, *stats_sha256;
    const struct sweep_text *texts;
    uint32_t n_texts;
    uint64_t n_ctx, n_scored;
    uint64_t n_experts, bytes; /* of the whole model */
    double ppl, ppl_stderr;    /* its */
    struct sweep_file_point *points;
    uint32_t n_points;
    struct pass pass; /* the limits */
    uint64_t fit;     /* bytes that it may take; 0: no such limit */
    int64_t chosen;   /* index into points; -1: none */
    json_t *doc;      /* what it was read from; owned, as points are then */
};

json_t *sweep_json(const struct sweep_file *f);                       /* new reference */
json_t *sweep_texts_json(const struct sweep_text *texts, uint32_t n); /* as in the file; new reference */
/* False with *e (ERR_INPUT). The texts are not read. */
bool sweep_read(const char *path, struct sweep_file *f, struct err *e);
void sweep_file_clear(struct sweep_file *f); /* one that was read */

/* ---- what comes of the points (front.c) ---- */

/* What is asked for: with `fit` the nearest to the base of those that fit and pass; without it the smallest that passes,
 * the nearer one of equal sizes, and a point as large as the base does not count. -1: none. */
int sweep_choose(const struct sweep_file *f);
/* Whether no other point is as small and as near to the base, and better in one of the two. */
bool sweep_on_front(const struct sweep_file *f, uint32_t i);
bool sweep_has_types(const struct sweep_file *f);
/* "Q4_K_M of the whole model", "50 % pruned in Q8_0", "25 % pruned as it is". */
void sweep_put_name(const struct sweep_file *f, uint32_t i, struct buf *b);
/* Prune, or quantise: of a file with types a plain sentence for each size that pruning alone gives, in lines, from the
 * smallest cut on, and one of them all. A difference below two errors (of both, as if independent) is no
 * difference. */
void sweep_put_verdict(const struct sweep_file *f, struct buf *b);

#endif
