/* criteria.h - what makes an expert worth keeping. Most criteria turn the sums of an expert into one number, higher =
 * keep; one may also say what a set of experts costs together when it goes. Formulas for people: docs/score.md.
 *
 * A criterion is one record in criteria.c; names in options, help, documents and the report come from it. */
#ifndef REAP_STATS_CRITERIA_H
#define REAP_STATS_CRITERIA_H

#include "stats/stats.h"

/* How a score comes of one sum of an expert with tokens. */
enum criterion_form {
    CRITERION_SUM,    /* the sum */
    CRITERION_MEAN,   /* the sum over the tokens */
    CRITERION_ROOT,   /* the root of that */
    CRITERION_COUNT,  /* the tokens; no sum */
    CRITERION_CHANCE, /* a seeded draw; no sum, and no score without a token either */
    CRITERION_SET,    /* no score: what a set costs (removal.h) */
};

#define CRITERION_DEFAULT "reap"

struct criterion {
    const char *name;
    const char *aliases[2]; /* names that the original implementation uses, or NULL */
    enum criterion_form form;
    enum sum sum;
    /* CRITERION_SET: cost[n_experts * n_experts] of layer index i, symmetric, of the half `which` or of both (-1). */
    bool (*cost)(const struct stats *s, uint32_t i, int which, double *cost, struct err *e);
    const char *formula; /* for people: "reap_sum / count" */
    const char *what;    /* the same in words */
    const char *note;    /* for the table of documents: when to take it; "" */
};

const struct criterion *criterion_at(uint32_t i); /* NULL behind the last */
/* Their names, for a list of choices: NULL behind the last. The first is the default. */
const char *criterion_name_at(uint32_t i);
const struct criterion *criterion_default(void);
const struct criterion *criterion_find(const char *name); /* a name or an alias; NULL: there is none */
unsigned criterion_needs(const struct criterion *c);      /* SUM_BITs */
bool criterion_has_scores(const struct criterion *c);     /* of each expert */

/* Whether the file holds what a criterion needs; if not, the message says which criteria work. */
bool criterion_check(const struct stats *s, const struct criterion *c, struct err *e);
/* The same in short. */
bool criterion_can(const struct stats *s, const struct criterion *c);
/* score[n_experts] of one layer from its totals. An expert never routed scores 0. A number that is not finite
 * is an error naming layer and expert; so is a criterion that has no scores, or that the file cannot serve. seed: of
 * CRITERION_CHANCE. which: EVEN, ODD, or -1 for both together. */
bool criterion_scores(const struct stats *s, uint32_t i, const struct criterion *c, uint64_t seed, int which,
                      double *score, struct err *e);
/* The experts 0..n-1 by score, best first; a tie goes to the lower id. */
void criterion_rank(const double *score, uint32_t n, uint32_t *ids);
/* Chooses the n_keep best, n_keep / n_groups of each of n_groups equal runs of experts: in[n] becomes 1 for
 * those. */
void criterion_choose(const double *score, uint32_t n, uint32_t n_groups, uint32_t n_keep, uint8_t *in);

/* ---- what the experts of a layer are worth, by any criterion ---- */
struct merit {
    uint32_t n;    /* experts */
    double *score; /* [n], or NULL */
    double *cost;  /* [n * n], if there are no scores */
};
/* By the sums of one file; arguments as of criterion_scores. To be cleared in any case. */
bool merit_of(struct merit *w, const struct stats *s, uint32_t i, const struct criterion *c, uint64_t seed,
              int which, struct err *e);
void merit_clear(struct merit *w);
/* Who stays: as criterion_choose or removal_choose has it. fixed[n] (NULL: none): 1: stays in any case. */
void merit_choose(const struct merit *w, uint32_t n_groups, uint32_t n_keep, const uint8_t *fixed,
                  uint8_t *in);
double merit_kept(const struct merit *w, const uint8_t *in); /* by those that stay: a part of merit_total */
double merit_total(const struct merit *w);

#endif
