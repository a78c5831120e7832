/* refine.h - a plan made better by trial: experts near the cut change places, and a change stays when the masked model
 * comes nearer to the whole one on windows of text, by more than the error of what was measured. */
#ifndef REAP_SWEEP_REFINE_H
#define REAP_SWEEP_REFINE_H

#include "corpus/corpus.h"
#include "engine/engine.h"
#include "stats/criteria.h"
#include "sweep/worth.h"

#define REFINE_CTX    256 /* tokens of a window */
#define REFINE_ASIDE  0.1
#define REFINE_Z      2.0   /* errors that a gain must exceed, if nobody says otherwise */
#define REFINE_BUDGET 900.0 /* seconds, if there is no other limit */

struct refine_opts {
    const char *model, *plan, *stats; /* stats: decide which experts are near the cut */
    /* The text that swaps are tried on, all but what is set aside. set_aside below 0: as much as the statistics say, else
     * REFINE_ASIDE. Of that the part for checks is measured before and after. */
    struct corpus_opts corpus;
    const char *check; /* another text instead; NULL: none */
    uint32_t n_ctx;
    /* Ranks who is near the cut. NULL: the plan's own; where that ranks nobody, of those that were measured for it (choice.h)
     * the one that lost least; else the default. */
    const struct criterion *criterion;
    uint32_t near;     /* so many of the kept and of the removed are tried in a layer; 0: a quarter */
    double z;          /* a gain must exceed so many errors */
    uint32_t trials;   /* swaps tried, at most; 0: no such limit */
    uint64_t tokens;   /* decoded, about; 0: no such limit */
    double budget;     /* seconds after which nothing new begins; 0: no such limit */
    const char *state; /* how far it is: read if it is there, saved now and then; NULL: none */
    bool force;        /* a plan of another model */
    struct engine_opts engine;
};

struct refine_swap {
    uint32_t il, out, in; /* layer, expert that went, expert that came for it */
};

/* A plan on a text. */
struct refine_side {
    double kl; /* mean over the categories */
    double ppl, base_ppl, top1;
};

struct refine_check { /* on text that no swap was chosen by */
    uint32_t n_windows, n_categories;
    uint64_t n_scored;
    struct refine_side before, after;
    double gain, gain_stderr; /* of kl, over windows */
};

struct refine_result {
    struct view *view;
    struct plan *plan;         /* as it is now; says what was done ("refined") */
    struct refine_swap *swaps; /* that stayed, in their order */
    uint32_t n_swaps;
    uint32_t n_measured;      /* experts whose worth was measured alone */
    uint32_t n_trials;        /* swaps that were tried */
    uint64_t n_tokens;        /* decoded */
    double secs;              /* so far, with those of the runs that this one goes on from */
    double gain, gain_stderr; /* KL per token on the text that chose: too high for other text */
    bool checked;
    struct refine_check check;
    bool exhausted; /* nothing near the cut is left to try */
};

/* A given number of trials or tokens and a seed (of the corpus) give the same plan, on one machine and with one
 * number of threads, however often it was ended and begun again. Interrupted: the state is saved, and *e says so. On
 * failure *r is to be cleared, too. */
bool refine_run(const struct refine_opts *o, struct refine_result *r, struct err *e);
void refine_result_clear(struct refine_result *r);
json_t *refine_check_json(const struct refine_check *c); /* new reference */

#endif
