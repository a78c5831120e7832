/* stats.h - what a profile measures: sums per MoE layer and expert (docs/score.md), and the file reap.stats/1
 * that holds them.
 *
 * For expert j of a layer and the tokens t that the router sends to it: g the final gate weight, f the
 * expert's output, c = g f what it adds to the layer (llama4: c = f). All sums are float64, kept twice: over
 * the even and over the odd samples. The total is the even plus the odd half, by definition; all sums but the
 * maximum add up, so partial runs merge. */
#ifndef REAP_STATS_STATS_H
#define REAP_STATS_STATS_H

#include "base/json.h"
#include "engine/routed.h"
#include <stdint.h>

/* The sums of one expert. All but max_activation add up. */
struct sums {
    double gate_sum, gate_sq_sum; /* of g, g^2 */
    double ean_sum, ean_sq_sum;   /* of ||f||2, its square */
    double reap_sum, reap_sq_sum; /* of ||c||2, its square */
    double max_activation;        /* largest |component| of f */
    uint64_t count;               /* tokens */
};

/* The sums as bits, for files of other tools that do not hold all of them. The count is always there. */
enum sum_bit {
    SUM_GATE = 1,
    SUM_GATE_SQ = 2,
    SUM_EAN = 4,
    SUM_EAN_SQ = 8,
    SUM_REAP = 16,
    SUM_REAP_SQ = 32,
    SUM_MAX = 64,
};

enum half { EVEN, ODD };

struct stats_layer {
    uint32_t il;          /* block number */
    uint32_t n_used;      /* top-k of this layer */
    uint64_t tokens[2];   /* seen, per half */
    struct sums *half[2]; /* [n_experts] each */
};

struct stats {
    uint32_t n_experts, n_layers;
    struct stats_layer *layers; /* ascending il */
    json_t *model;              /* identity (view_identity); owned */
    json_t *calibration;        /* how it was made; owned */
    json_t *progress;           /* of a run that has not ended, else NULL; owned */
    json_t *import;             /* made from another tool's file, else NULL; owned */
    unsigned unknown;           /* sum_bits: what such a file does not hold; those sums are 0 */
};

struct stats *stats_new(uint32_t n_layers, uint32_t n_experts);
void stats_free(struct stats *s);

/* Adds one token of layer index i: r[0..k-1] are the experts chosen for it, in any order, each at most once.
 * False with *e set if an expert is outside 0..n_experts-1 or given twice, or a number is not finite; the
 * sums are then unchanged. */
bool stats_add(struct stats *s, uint32_t i, enum half h, const struct routed *r, uint32_t k, struct err *e);

/* Even plus odd. */
struct sums stats_total(const struct stats_layer *l, uint32_t expert);
uint64_t stats_tokens(const struct stats_layer *l);

/* The invariants: sum of counts = tokens x top-k in every layer and half, every layer saw the same tokens
 * (imported files excepted), sums finite and not negative. */
bool stats_check(const struct stats *s, struct err *e);

bool stats_save(const struct stats *s, const char *path, bool force, struct err *e);
/* The file is of a run that has not ended. (One that --until-stable stopped has.) */
bool stats_unfinished(const struct stats *s);
struct stats *stats_load(const char *path, struct err *e); /* checked; NULL with *e naming the file and key */

/* ---- criteria: sums -> one number per expert, higher = keep ---- */
enum criterion {
    CRIT_REAP,
    CRIT_REAP_SUM,
    CRIT_EAN_MEAN,
    CRIT_EAN_SUM,
    CRIT_FREQUENCY,
    CRIT_GATE_MEAN,
    CRIT_GATE_SUM,
    CRIT_REAP_L2,
    CRIT_EAN_L2,
    CRIT_MAX_ACTIVATION,
    CRIT_RANDOM,
    N_CRITERIA
};
struct criterion_info {
    const char *name, *alias, *alias2; /* aliases: the names of the original implementation, or NULL */
    const char *what;
    unsigned needs; /* sum_bits */
};
const struct criterion_info *criterion_info(enum criterion c);
bool criterion_parse(const char *name, enum criterion *out); /* names and aliases */
/* Whether the file holds what a criterion needs; if not, the message says which criteria work. */
bool criterion_check(const struct stats *s, enum criterion c, struct err *e);
/* score[n_experts] of one layer from its totals. An expert never routed scores 0. A number that is not finite
 * is an error naming layer and expert; so is a criterion that the file cannot serve. seed: CRIT_RANDOM only.
 * which: EVEN, ODD, or -1 for both together. */
bool criterion_scores(const struct stats *s, uint32_t i, enum criterion c, uint64_t seed, int which,
                      double *score, struct err *e);
/* The experts 0..n-1 by score, best first; a tie goes to the lower id. */
void criterion_rank(const double *score, uint32_t n, uint32_t *ids);
/* Chooses the n_keep best, n_keep / n_groups of each of n_groups equal runs of experts: in[n] becomes 1 for
 * those. */
void criterion_choose(const double *score, uint32_t n, uint32_t n_groups, uint32_t n_keep, uint8_t *in);

#endif
