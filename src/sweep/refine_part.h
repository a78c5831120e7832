/* refine_part.h - between the files of refine: race.c (a candidate against the plan), refine.c (which candidates, what
 * stays), refine_check.c (what it brings elsewhere), refine_state.c (how far it is, in a file). */
#ifndef REAP_SWEEP_REFINE_PART_H
#define REAP_SWEEP_REFINE_PART_H

#include "base/rng.h"
#include "eval/paired.h"
#include "eval/trial.h"
#include "sweep/refine.h"

/* Windows that share a compute step are measured together, always the same: then what a window costs does not depend
 * on what was measured before, to the last digit. */
struct pack {
    uint32_t first, n; /* windows in the order of the text */
};

struct race_text {
    struct trial_text text;
    struct trial *trial;
    struct pack *packs;
    uint32_t n_packs;
    uint32_t *n_scored; /* [windows] */
};
bool race_text_open(struct race_text *t, const struct corpus_opts *o, struct engine *g, const struct view *v,
                    uint32_t n_ctx, uint64_t cache, struct err *e);
void race_text_clear(struct race_text *t);

#define MAX_GROUP 16

enum duel_kind { DUEL_NONE, DUEL_ALONE, DUEL_GROUP };

/* A candidate against the plan. */
struct duel {
    enum duel_kind kind;
    struct plan_but but; /* ALONE: the plan but for one expert */
    uint32_t n_swaps;    /* else: with these made */
    struct swap swap[MAX_GROUP];
    struct plan *plan; /* owned; NULL with DUEL_ALONE */
    uint32_t *order;   /* [n_packs] the packs: */
    uint32_t first, n; /* those from first to n are measured */
    uint32_t n_decide; /* GROUP: of so many packs */
    double *loss;      /* [windows] sums of KL under the candidate, where they are measured */
};

/* A swap that promises a gain. */
struct hope {
    struct swap swap;
    double gain, err;
};

struct gain_step { /* a group that stayed */
    uint64_t tokens;
    double gain;
};

struct job {
    const struct refine_opts *o;
    struct refine_result *r;
    struct engine *g;
    const struct criterion *criterion;
    double **score;            /* [layer][expert], by it */
    struct corpus_opts corpus; /* of the race: all but what is set aside */
    uint32_t near;
    struct race_text t;
    char key[65]; /* of everything that the result depends on */
    /* ---- the state ---- */
    struct rng rng;
    double *loss; /* [windows] sums of KL under the plan as it is; below 0: not measured */
    struct worth worth;
    uint32_t
        *at; /* [layers x experts] packs on which an expert was measured alone, since the plan changed last */
    uint32_t n_alone;     /* candidates of the first list that were looked at */
    bool wider;           /* more are near than at first */
    bool measured;        /* the list is done with */
    double loss_first;    /* of the plan, per token, as far as it was known then */
    double enough;        /* of it: that more windows must tell */
    uint64_t race_tokens; /* decoded when it was */
    struct hope hope[MAX_GROUP];
    uint32_t n_hope;
    bool testing; /* the hopes go into the plan together, or fewer of them */
    struct duel duel;
    struct gain_step *steps;
    uint32_t n_steps, cap_steps;
    double gain_var;
    uint64_t tokens_before; /* decoded by runs that this one goes on from */
    double secs_before;
    /* ---- */
    double start, saved; /* seconds on the clock */
};

/* Takes candidate and order, an expert alone from where its last measurement ended; measures one more pack of it, and of
 * the plan where that is not known. */
void duel_begin(struct job *j, struct duel *d);
bool duel_step(struct job *j, struct duel *d, struct err *e);
/* What was measured so far: loss of the plan less that of the candidate. */
struct paired duel_result(const struct job *j, const struct duel *d);
uint32_t duel_windows(const struct job *j, const struct duel *d);
void duel_clear(struct duel *d);
struct plan *plan_with(const struct plan *p, const struct swap *s, uint32_t n);

uint64_t refine_tokens(const struct job *j);
double refine_secs(const struct job *j);

/* Both plans on the part of the text for checks, or on another text: the result's check. */
bool check_elsewhere(struct job *j, const struct plan *before, struct err *e);

void state_key(struct job *j, const char *stats_hash, const char *plan_hash);
bool state_load(struct job *j, struct err *e);
bool state_save(struct job *j, struct err *e);

#endif
