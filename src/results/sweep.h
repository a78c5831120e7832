/* sweep.h - reap.sweep/1: what many plans of one model cost on the same texts. Fields: docs/formats.md. */
#ifndef REAP_RESULTS_SWEEP_H
#define REAP_RESULTS_SWEEP_H

#include "results/eval.h"

/* What a file does not say is not a number, or 0 where it is a count. Texts are borrowed. */

struct sweep_text {
    const char *name, *sha256;
};

struct sweep_file_point {
    const char *criterion;
    double ratio; /* asked for */
    uint64_t n_keep, bytes;
    struct eval_against r;
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
    int64_t chosen;   /* index into points; -1: none */
    json_t *doc;      /* what it was read from; owned, as points are then */
};

json_t *sweep_json(const struct sweep_file *f);                       /* new reference */
json_t *sweep_texts_json(const struct sweep_text *texts, uint32_t n); /* as in the file; new reference */
/* False with *e (ERR_INPUT). The texts are not read. */
bool sweep_read(const char *path, struct sweep_file *f, struct err *e);
void sweep_file_clear(struct sweep_file *f); /* one that was read */

#endif
