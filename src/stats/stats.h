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
#include <stddef.h>
#include <stdint.h>

/* The sums of one expert. A new one: a member here, a row in sum_infos (stats.c), and where stats_add fills
 * it. */
struct sums {
    double gate_sum, gate_sq_sum; /* of g, g^2 */
    double ean_sum, ean_sq_sum;   /* of ||f||2, its square */
    double reap_sum, reap_sq_sum; /* of ||c||2, its square */
    double max_activation;        /* largest |component| of f */
    double loo_sum, loo_sq_sum;   /* of what the layer loses without the expert (routed.h), its square */
    double gate_mass;             /* of the router's softmax, over all tokens of the layer, chosen or not */
    uint64_t count;               /* tokens */
};

/* All but the count, in the order of files. */
enum sum {
    SUM_GATE,
    SUM_GATE_SQ,
    SUM_EAN,
    SUM_EAN_SQ,
    SUM_REAP,
    SUM_REAP_SQ,
    SUM_MAX,
    SUM_LOO,
    SUM_LOO_SQ,
    SUM_GATE_MASS,
    N_SUMS
};
#define SUM_BIT(k) (1u << (k)) /* for files that do not hold all of them */
#define SUM_ALL    (SUM_BIT(N_SUMS) - 1)

struct sum_info {
    const char *key; /* in files */
    size_t off;      /* of the double in struct sums */
    bool is_max;     /* two make the larger of both, else they add up */
    bool any_sign;   /* may be below 0 */
    bool
        optional; /* not every router has it, nor did every version keep it: a file without its key lacks it */
    bool unrouted; /* of all tokens, not only of those that the expert was chosen for */
};
extern const struct sum_info sum_infos[N_SUMS];
double *sum_of(struct sums *x, enum sum k);
double sum_value(const struct sums *x, enum sum k);
/* Adds the sums of y to x; not the count, which may overflow. */
void sums_add(struct sums *x, const struct sums *y);

enum half { EVEN, ODD };

struct stats_layer {
    uint32_t il;          /* block number */
    uint32_t n_used;      /* top-k of this layer */
    uint64_t tokens[2];   /* seen, per half */
    struct sums *half[2]; /* [n_experts] each */
};

/* Of a run that has not ended, or that --until-stable ended. */
struct stats_progress {
    uint64_t batches_done, batches;
    double settled_at, prune_ratio; /* not a number: it has not settled */
    double settled_score; /* not a number: an earlier version stopped it, which did not look at that */
};

struct pairs; /* pairs.h */

struct stats {
    uint32_t n_experts, n_layers;
    uint32_t n_groups, n_groups_used; /* of experts, as the router sees them; 1: none */
    /* Ascending il: those of the trunk, and behind them n_mtp of blocks that predict further tokens, of which there are no
     * pairs. */
    struct stats_layer *layers;
    uint32_t n_mtp;
    enum router router;              /* how it weights; ROUTER_UNKNOWN: the file does not say */
    json_t *model;                   /* identity (view_identity); owned */
    json_t *calibration;             /* how it was made; owned */
    struct stats_progress *progress; /* NULL: of a whole run; owned */
    struct pairs *pairs;             /* sums over pairs of experts (pairs.h); NULL: there are none; owned */
    json_t *import;                  /* made from another tool's file, else NULL; owned */
    char sha256[65];                 /* of the file that it was loaded from; empty: of none */
    unsigned unknown;                /* SUM_BITs: what the file does not hold; those sums are 0 */
};

/* Until stats_set_router it takes all sums but gate_mass. */
struct stats *stats_new(uint32_t n_layers, uint32_t n_experts);
void stats_free(struct stats *s);
/* One more MTP block; room for it in `layers`, whose place may change. */
struct stats_layer *stats_new_mtp(struct stats *s, uint32_t il, uint32_t n_used);

/* For new statistics: with such a router, which sums mean nothing and are not kept. */
void stats_set_router(struct stats *s, enum router r);
/* Why a file does not hold a sum, for messages: "it was imported from ..."; of those in s->unknown. */
void stats_why_unknown(const struct stats *s, enum sum k, char out[200]);

/* Adds one token of layer index i: r[0..k-1] are the experts chosen for it, in any order, each at most once.
 * False with *e set if an expert is outside 0..n_experts-1 or given twice, or a number is not finite; the
 * sums are then unchanged. */
bool stats_add(struct stats *s, uint32_t i, enum half h, const struct routed *r, uint32_t k, struct err *e);
/* Adds what the router's softmax gave each expert, of n_tokens tokens: p[n_tokens][n_experts]. */
bool stats_add_gates(struct stats *s, uint32_t i, enum half h, uint32_t n_tokens, const float *p,
                     struct err *e);

/* Even plus odd. */
struct sums stats_total(const struct stats_layer *l, uint32_t expert);
uint64_t stats_tokens(const struct stats_layer *l);

/* The invariants: sum of counts = tokens x top-k in every layer and half, every layer saw the same tokens
 * (imported files excepted), sums finite and not negative. */
bool stats_check(const struct stats *s, struct err *e);

/* Takes the groups from the identity: they must fit the experts. */
bool stats_read_groups(struct stats *s, struct err *e);
/* Which part of a run the file is, from 1; of 0: the whole. False with *e when it says it wrongly. */
bool stats_shard(const struct stats *s, uint64_t *index, uint64_t *of, struct err *e);
/* What of its text was set aside and is in no sum (corpus.h). share 0: nothing, or what was merged differs in it. */
struct stats_aside {
    double share;
    uint64_t n_choice, n_check;
    const char *sha256; /* borrowed */
};
bool stats_aside(const struct stats *s, struct stats_aside *a, struct err *e);
/* The tool that an imported file is from; NULL: it is not imported. */
const char *stats_imported_from(const struct stats *s);

/* With sums over pairs two files, both or none: the other is path PAIRS_SUFFIX. */
bool stats_save(const struct stats *s, const char *path, bool force, struct err *e);
/* The same with a further file of the caller's, put in place as one with them. */
struct out;
struct stats_more {
    const char *path;
    bool (*write)(void *ud, struct out *o, struct err *e);
    void *ud;
};
bool stats_save_with(const struct stats *s, const char *path, const struct stats_more *more, bool force,
                     struct err *e);
/* What a killed stats_save left of the two files is undone, or removed. */
bool stats_recover(const char *path, struct err *e);
bool stats_recover_with(const char *path, const char *more /* NULL: none */, struct err *e);
/* Before the work, behind that: what stats_save would refuse late. */
bool stats_check_output(const char *path, bool pairs, bool force, struct err *e);
/* Refuses an output (NULL: none) that would destroy the statistics of this file (NULL: none), or its sums over pairs:
 * "the output 'OUT' is WHAT". */
bool stats_check_apart(const char *out, const char *path, const char *what, struct err *e);
/* The file is of a run that has not ended. (One that --until-stable stopped has.) */
bool stats_unfinished(const struct stats *s);
struct stats *stats_load(const char *path, struct err *e); /* checked; NULL with *e naming the file and key */
/* Several: all of them, or NULL with *e. */
struct stats **stats_load_all(char const *const *paths, uint32_t n, struct err *e);
void stats_free_all(struct stats **s, uint32_t n);

#endif
