/* refine.h - a plan made better by trial: experts near the cut change places, and a change stays when the
 * masked model comes nearer to the whole one on a text. */
#ifndef REAP_SWEEP_REFINE_H
#define REAP_SWEEP_REFINE_H

#include "eval/against.h"
#include "stats/criteria.h"

struct refine_opts {
    const char *model, *plan, *stats; /* stats: decide which experts are near the cut */
    const char *const *texts;         /* the loss is measured on these */
    uint32_t n_texts;
    const char *check; /* another text, measured before and after; NULL: none */
    uint32_t n_ctx;
    const struct criterion *criterion;
    uint32_t near;   /* so many of the kept and of the removed are tried in a layer; 0: an eighth */
    uint32_t trials; /* swaps measured, at most */
    double budget;   /* seconds after which no further round begins; 0: no such limit */
    uint64_t seed;
    bool force; /* a plan of another model */
    struct engine_opts engine;
};

struct refine_swap {
    uint32_t il, out, in; /* layer, expert that went, expert that came for it */
};

struct refine_result {
    struct view *view;
    struct plan *plan;         /* as it is now; says what was done ("refined") */
    struct refine_swap *swaps; /* that stayed, in their order */
    uint32_t n_swaps, n_trials;
    struct eval_against before, after, check_before, check_after; /* against the whole model */
    bool interrupted; /* a signal came; the plan is the best so far, check_after is not measured */
    bool exhausted;   /* nothing near the cut is left to try */
};

/* A given number of trials and a seed give the same plan, on one machine and with one number of threads. On
 * failure *r is to be cleared, too. */
bool refine_run(const struct refine_opts *o, struct refine_result *r, struct err *e);
void refine_result_clear(struct refine_result *r);

#endif
