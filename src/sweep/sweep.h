/* sweep.h - quality against size: many plans of one model, each evaluated as a mask (eval/plan_mask.h) against
 * the whole model on the same text, with one load and nothing written but a small file of sums to go on from. With
 * types also of the model in each of these, which is quantised for it and not kept. */
#ifndef REAP_SWEEP_SWEEP_H
#define REAP_SWEEP_SWEEP_H

#include "eval/against.h"
#include "results/sweep.h"
#include "stats/criteria.h"

struct sweep_opts {
    const char *model, *stats; /* stats: of a profile of this model */
    const char *const *texts;
    uint32_t n_texts;
    uint32_t n_ctx;       /* window, as eval_score_text */
    const double *ratios; /* shares that go */
    uint32_t n_ratios;
    const struct criterion *const *criteria;
    uint32_t n_criteria;
    /* Types (engine_quantize_name), each once, besides the model as it is; all plans under each, and the whole. The
     * base stays loaded beside the one that is measured. */
    const char *const *types;
    uint32_t n_types;
    bool requantize;   /* also of a model that is quantised already */
    uint32_t round_to; /* 0: no rounding */
    uint64_t seed;     /* of CRITERION_CHANCE */
    const char *state; /* sums so far: read if it is there, saved now and then; NULL: none */
    struct engine_opts engine;
};

/* One plan and what it costs. */
struct sweep_point {
    const char *type; /* NULL: the model as it is */
    const struct criterion *criterion;
    double ratio;   /* asked for; plan->n_keep is what the router allows */
    uint64_t bytes; /* of tensor data */
    struct plan *plan;
    struct against_sums sums; /* over all texts */
    double *window_kl;        /* [n_windows]: summed over the scored tokens of each window, text by text */
    uint32_t n_windows;
    struct eval_against r;
};

struct sweep_result {
    struct view *view;
    struct sweep_point
        *points; /* type by type, criterion by criterion, in the order given; equal counts once */
    uint32_t n_points;
    char (*text_hash)[65]; /* SHA-256, one per text */
    char stats_hash[65];
    bool no_windows;      /* it goes on from a state that holds none */
    uint64_t done_before; /* tokens that the state file held */
    uint64_t n_tokens;    /* decoded by this call, over all plans */
    double secs;
};

/* Makes the plans, decodes all texts, fills *r (to be cleared, on failure too). Interrupted: the state is
 * saved and *e says so (while a type is made the program ends, and the state is that of the text before it). A state
 * file of another model, text, plan, type or option is an error. */
bool sweep_run(const struct sweep_opts *o, struct sweep_result *r, struct err *e);
void sweep_result_clear(struct sweep_result *r);

/* The plan of point i with what was measured added ("measured"). Borrowed. */
const struct plan *sweep_plan(const struct sweep_opts *o, struct sweep_result *r, uint32_t i);
/* What reap.sweep/1 says of it, without limits and without a choice. Borrows from both; sweep_file_unmake, not
 * sweep_file_clear. */
void sweep_file_make(const struct sweep_opts *o, const struct sweep_result *r, struct sweep_file *f);
void sweep_file_unmake(struct sweep_file *f);

#endif
