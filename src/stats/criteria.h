/* criteria.h - what makes an expert worth keeping: a criterion turns the sums of an expert into one number,
 * higher = keep. Formulas for people: docs/score.md.
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
};

#define CRITERION_DEFAULT "reap"

struct criterion {
    const char *name;
    const char *aliases[2]; /* names that the original implementation uses, or NULL */
    enum criterion_form form;
    enum sum sum;
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

/* Whether the file holds what a criterion needs; if not, the message says which criteria work. */
bool criterion_check(const struct stats *s, const struct criterion *c, struct err *e);
/* score[n_experts] of one layer from its totals. An expert never routed scores 0. A number that is not finite
 * is an error naming layer and expert; so is a criterion that the file cannot serve. seed: of
 * CRITERION_CHANCE. which: EVEN, ODD, or -1 for both together. */
bool criterion_scores(const struct stats *s, uint32_t i, const struct criterion *c, uint64_t seed, int which,
                      double *score, struct err *e);
/* The experts 0..n-1 by score, best first; a tie goes to the lower id. */
void criterion_rank(const double *score, uint32_t n, uint32_t *ids);
/* Chooses the n_keep best, n_keep / n_groups of each of n_groups equal runs of experts: in[n] becomes 1 for
 * those. */
void criterion_choose(const double *score, uint32_t n, uint32_t n_groups, uint32_t n_keep, uint8_t *in);

#endif
