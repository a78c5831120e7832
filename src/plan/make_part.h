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
    bool no_mtp;    /* the model has no MTP blocks with experts, whatever the statistics have */
    uint8_t *fixed; /* [n_layers][n_experts] 1: stays in any case */
    uint8_t
        *best; /* [n_src][n_layers][n_experts] 1: .. as one of the best of the source; NULL: nobody asked */
    double *kept; /* [n_src] mean over the layers: share of the source's score that stays */
    struct plan_summary *sum;
};

/* Adds to what sum has to say; steals text. */
void plan_note(struct plan_summary *sum, bool warning, char *text);

/* What decides in layer i. By scores: share[n_src][n], what each source gives, and score[n], what ranks. By what sets
 * cost: cost[n_src], each of which adds up to 1, and their mean by weight. */
struct layer_merit {
    double *share, *score; /* NULL: by what sets cost */
    struct merit *cost, mean;
};

/* share[n_src][n]: what each source gives layer i; score[n]: what ranks, or for maxmin what reports. One
 * source: its scores as they are. */
bool plan_layer_scores(const struct job *j, uint32_t i, double *share, double *score, struct err *e);

/* ---- protect.c ---- */

/* Fills j->fixed, and refuses more than can stay. */
bool plan_protect(struct job *j, struct err *e);
/* Who stays in any case, and for which source; behind plan_set_origins. */
void plan_set_protected(const struct job *j, struct plan *p);

/* ---- count.c ---- */

/* What a ratio alone gives. */
uint32_t plan_asked_count(const struct shape *s, const struct plan_opts *o);
void plan_note_counts(struct job *j);

/* ---- losses.c ---- */

/* What the choice of layer i costs. Adds to j->kept and j->sum. */
void plan_layer_loss(struct job *j, uint32_t i, const struct layer_merit *w, const struct plan_layer *layer,
                     struct plan_loss *l);
/* Warns of gates that grow, when all layers have gone through plan_layer_loss. */
void plan_note_gates(struct job *j);
/* What the plan was made of; when all layers have gone through plan_layer_loss. */
void plan_set_origins(const struct job *j, struct plan *p);

#endif
