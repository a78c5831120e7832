/* tables.h - what stats files say at a glance, as tables: a row per layer of one file, a pair of several.
 *
 * Formulas: docs/score.md and summary.h. What cannot be said is not a number. */
#ifndef REAP_STATS_TABLES_H
#define REAP_STATS_TABLES_H

#include "stats/criteria.h"

#define TABLE_RATIOS 5
extern const double table_ratios[TABLE_RATIOS]; /* shares that go: the columns of every table of ours */
#define TABLE_GOAL       0.95 /* of the experts that halves share, for an estimate of tokens */
#define TABLE_GOAL_SCORE 0.99 /* of the score that they keep for each other */

struct table_row { /* a layer */
    uint32_t il;
    uint64_t tokens;
    double least, most; /* share of routed assignments of an expert */
    double gini;        /* of the counts */
    double correlation; /* of the halves' rankings */
    uint32_t n_low, n_super;
    double kept[TABLE_RATIOS], gap[TABLE_RATIOS];
    double mass[TABLE_RATIOS]; /* of the router's softmax that stays (summary_gate_mass) */
    double agree[TABLE_RATIOS], held[TABLE_RATIOS]; /* of the halves: struct halves, same and kept */
};

struct table { /* a file */
    const struct stats *s;
    const struct criterion *c;
    uint32_t keep[TABLE_RATIOS];
    bool halves; /* both have tokens */
    struct table_row *rows;
    uint8_t *low, *super; /* [n_layers][n_experts] */
    uint32_t n_super;
    double super_limit;
};

/* keep: how many experts stay at each ratio. False with *e; to be cleared in any case. */
bool table_make(struct table *t, const struct stats *s, const struct criterion *c,
                const uint32_t keep[TABLE_RATIOS], struct err *e);
void table_clear(struct table *t);
/* The mean over the layers of a double in table_row, of those that are known: TABLE_MEAN(&t, gap[k]). */
double table_mean(const struct table *t, size_t off);
#define TABLE_MEAN(t, member) table_mean(t, offsetof(struct table_row, member))
/* Tokens of a text of which another of its length would choose alike to TABLE_GOAL, at ratio k. */
double table_tokens_for(const struct table *t, size_t k);
/* The same for a choice that keeps TABLE_GOAL_SCORE of what the other text could keep at best. */
double table_tokens_for_score(const struct table *t, size_t k);

struct table_pair { /* of two files of one model: means over the layers */
    double overlap[TABLE_RATIOS], correlation;
    double by_first[TABLE_RATIOS],
        by_second[TABLE_RATIOS]; /* of the other's score, what its choice keeps (summary_held) */
};
bool table_pair(const struct stats *a, const struct stats *b, const struct criterion *c,
                const uint32_t keep[TABLE_RATIOS], struct table_pair *p, struct err *e);
/* [n_layers][n_experts]: those that are low (summary_low) in each of n files. The caller frees it; NULL with
 * *e. path: for messages. */
uint8_t *table_low_in_all(struct stats *const *s, const char *const *path, uint32_t n,
                          const struct criterion *c, struct err *e);

#endif
