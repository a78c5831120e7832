/* make_part.h - between the files of make.h. */
#ifndef REAP_PLAN_MAKE_PART_H
#define REAP_PLAN_MAKE_PART_H

#include "plan/make.h"

struct job {
    const struct plan_source *src;
    uint32_t n_src;
    const struct plan_opts *o;
    const struct criterion *criterion;
    struct shape shape;
    uint32_t n_keep;
    uint8_t *fixed; /* [n_layers][n_experts] */
    double *kept;   /* [n_src] mean over the layers: share of the source's score that stays */
    struct plan_summary *sum;
};

/* Adds to what sum has to say; steals text. */
void plan_note(struct plan_summary *sum, bool warning, char *text);

/* ---- count.c ---- */

/* What a ratio alone gives. */
uint32_t plan_asked_count(const struct shape *s, const struct plan_opts *o);
void plan_note_counts(struct job *j);

/* ---- losses.c ---- */

/* What the choice of layer i costs. share[n_src][n]: of each source; score[n]: what ranks. Adds to j->kept
 * and j->sum. */
void plan_layer_loss(struct job *j, uint32_t i, const double *share, const double *score,
                     const struct plan_layer *layer, struct plan_loss *l);
/* What the plan was made of; when all layers have gone through plan_layer_loss. */
void plan_set_origins(const struct job *j, struct plan *p);

#endif
