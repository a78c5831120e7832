/* make.h - choosing which experts stay, from a stats file. */
#ifndef REAP_PLAN_MAKE_H
#define REAP_PLAN_MAKE_H

#include "model/cut.h"
#include "plan/lists.h"
#include "stats/criteria.h"

enum keep_kind { KEEP_COUNT, KEEP_RATIO, PRUNE_RATIO, FIT_BYTES };

enum blend { BLEND_MEAN, BLEND_MAXMIN };

struct plan_source { /* a domain */
    const struct stats *stats;
    const char *path;
    double weight; /* above 0 */
};

struct plan_opts {
    const char *stats_path; /* plan_make only */
    enum keep_kind kind;
    double value;                      /* count or ratio */
    uint64_t fit;                      /* FIT_BYTES: the largest tensor data that is allowed */
    struct cut_opts cut;               /* FIT_BYTES: blocks that these leave out do not count */
    uint32_t round_to;                 /* 0: no rounding */
    const struct criterion *criterion; /* NULL: the default */
    uint64_t seed;                     /* of CRITERION_CHANCE */
    bool force;                        /* statistics of another model are a warning */
    enum blend blend;                  /* of several sources */
    bool protect_super;                /* super experts (summary_super) of any source stay */
    const struct id_lists *protect;    /* these stay; or NULL */
    /* Of each source the best of this share of the places stay, 0: nobody (docs/score.md, "Several
     * domains"). */
    double protect_share;
};

/* A cut of a model whose gates are a softmax over all experts multiplies them by one over the mass that stays.
 * Above this there is a warning: undoing a factor of 1.23 to 1.26 took 13 to 20 % of the KL divergence off the
 * small models of tests/data (docs/score.md). */
#define PLAN_GATES_GROW 1.2

struct plan_note {
    bool warning;
    char *text;
};

/* To be cleared, whether there is a plan or not. */
struct plan_summary {
    uint32_t n_keep, n_experts, n_layers;
    uint32_t n_asked; /* what the ratio alone gives; the router or --round-to may make n_keep more */
    uint32_t n_never; /* never routed, over all layers */
    uint32_t n_never_kept;
    uint32_t n_mtp_follow; /* MTP blocks of the model that have the choice of the last layer */
    double score_kept;     /* mean over layers: share of the layer's score that stays; of the criterion */
    double tokens_kept;    /* mean over layers: share of routed assignments that went to experts that stay */
    /* Mean over layers: share of the router's softmax that the experts that stay hold; the lowest, and where.
     * Not a number: not known, or the router renormalises. */
    double gate_mass, gate_mass_least;
    uint32_t gate_mass_layer;
    uint32_t n_protected;               /* over all layers */
    uint64_t bytes_before, bytes_after; /* of tensor data, 0 without a model */
    struct plan_note *notes;            /* what people should hear: plan_summary_say */
    uint32_t n_notes, cap_notes;
};
void plan_summary_say(const struct plan_summary *sum, bool notes); /* the warnings, and if wanted the notes */
void plan_summary_clear(struct plan_summary *sum);

/* Chooses the n experts of highest score in each layer (equal numbers per expert group where the router works
 * by groups). Ties go to the lower id. An expert that no token reached scores 0 and is named in the plan. v:
 * the model that will be pruned, or NULL (then the counts in the stats file decide and FIT_BYTES is an
 * error). NULL with *e set. */
struct plan *plan_make(const struct stats *s, const struct view *v, const struct plan_opts *o,
                       struct plan_summary *sum, struct err *e);

/* The same from several stats files of one model. Scores become shares of the layer's score, per source.
 * BLEND_MEAN: their mean by weight decides. BLEND_MAXMIN: the set whose worst source keeps most (blend.h);
 * weights must be equal then. One source is ranked by its scores as they are. */
struct plan *plan_blend(const struct plan_source *src, uint32_t n, const struct view *v,
                        const struct plan_opts *o, struct plan_summary *sum, struct err *e);

/* A plan from somebody else's lists (path: where they came from). With counted, o says how many stay, and the
 * lists are rankings, best first; else they are who stays. v may be NULL; then the lists or the file say how
 * many experts there are, as far as that matters. NULL with *e. */
struct plan *plan_from_lists(const struct id_lists *l, const char *path, bool counted, const struct view *v,
                             const struct plan_opts *o, struct err *e);

/* How many experts stay in each layer by the options; v may be NULL (then FIT_BYTES is an error). Ratios are
 * rounded so that no more is pruned than asked, and up to a count that the router allows. */
bool plan_count(const struct shape *s, const struct view *v, const struct plan_opts *o, uint32_t *out,
                struct err *e);

/* Refuses a count that removes nothing, or with only_warns says so: a ratio below what can go, a size into which the
 * model fits, all experts as a wish. v: as of plan_count. */
bool plan_removes(const struct shape *s, const struct view *v, const struct plan_opts *o, uint32_t n_keep,
                  bool only_warns, struct err *e);

/* The counts of a stats file's model. */
struct shape shape_of_stats(const struct stats *s);

#endif
