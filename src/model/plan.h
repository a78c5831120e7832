/* plan.h - which experts stay: the file reap.plan/1 (docs/formats.md), and its check against a model. */
#ifndef REAP_MODEL_PLAN_H
#define REAP_MODEL_PLAN_H

#include "model/view.h"

struct plan_layer {
    uint32_t il;
    uint32_t *keep; /* n_keep ids, ascending */
};

/* Of what the choice was made: a stats file, or another tool's list. NULL, below 0 or not a number: not
 * said. */
struct plan_origin {
    char *stats, *keep_list; /* names of files, one of them */
    char *sha256;
    double weight, score_kept; /* where there are several */
    int64_t n_tokens;
    json_t *calibration; /* as in the stats file, names instead of paths */
    json_t *fixed;       /* "protected": who stays for this source's sake, passed through; NULL: nobody */
};

/* What goes with the removed experts of a layer, by the statistics. Not a number: not said. */
struct plan_loss {
    double score, tokens, reap_sum; /* shares */
    double gate_mass;               /* share of the router's softmax, where its gates are that */
    double lowest_kept, highest_removed;
    double *by_source; /* share of each source's score that stays */
    uint32_t n_by_source;
    uint32_t *never; /* experts without a token */
    uint32_t n_never;
};

/* What the file says; all owned. */
struct plan {
    char *version;
    uint32_t n_keep, n_experts;  /* n_experts 0: not said */
    char *criterion, *blend;     /* NULL: not said */
    int64_t seed;                /* below 0: not said */
    json_t *model;               /* identity; NULL: not said */
    struct plan_origin *origins; /* "sources" */
    uint32_t n_origins;
    json_t *fixed;        /* "protected", passed through */
    double protect_share; /* not a number, or 0: not said */
    /* Ascending il: all of the trunk, and behind them n_mtp of blocks that predict further tokens. Those of them that have none
     * follow the last of the trunk. */
    struct plan_layer *layers;
    uint32_t n_layers, n_mtp;
    /* [n_layers] what the outputs of a layer's experts are multiplied by, in a cut and under a mask; NULL:
     * nothing is. From a file of its own (gain.h), never from the plan's. */
    float *gain;
    struct plan_loss *lost;     /* [n_layers], or NULL */
    json_t *measured, *refined; /* what sweep and refine say of it, passed through; NULL: nothing */
    json_t *rest;               /* members that we do not know, passed through; NULL: none */
};

/* Layers numbered 0 with room for n_keep ids each, and nothing said. */
struct plan *plan_new(uint32_t n_layers, uint32_t n_keep);
/* One more MTP block; its n_keep ids, to be filled. */
uint32_t *plan_new_mtp(struct plan *p, uint32_t il);
/* The ids of an entry, of the trunk or of an MTP block; NULL: there is none. */
const uint32_t *plan_entry(const struct plan *p, uint32_t il);
/* Who stays in block il of a model: an entry's ids, or of MTP blocks without one those of the last layer of the trunk; NULL: it
 * has no experts. */
const uint32_t *plan_keep_of(const struct plan *p, const struct view *v, uint32_t il);
struct plan *plan_load(const char *path, struct err *e); /* form checked; not yet against a model */
/* The same, checked against the model (view_hash, plan_check). NULL with *e set. */
struct plan *plan_open(const char *path, struct view *v, bool force, struct err *e);
bool plan_write(const char *path, const struct plan *p, bool force, struct err *e);
json_t *plan_json(const struct plan *p);          /* the whole file; new reference */
json_t *plan_keep_json(const struct plan *p);     /* its "keep"; new reference */
json_t *plan_keep_mtp_json(const struct plan *p); /* its "keep_mtp"; new reference */
/* Whether "protected" names an expert of block il: nothing that changes a plan takes such a one out. */
bool plan_protects(const struct plan *p, uint32_t il, uint32_t expert);
/* What is lost: the mean over the layers of plan_loss.tokens, not a number when it is not said of all. */
double plan_tokens_lost(const struct plan *p);
void plan_forget_lost(struct plan *p);
void plan_free(struct plan *p);

/* Every MoE layer of the trunk has an entry of n_keep ids in range, no other layer has, but for MTP blocks that a copy of the
 * model has lost; per group equal
 * numbers; the count is possible (shape_check_keep); the identity, if the plan has one, is this model's
 * (force: a warning instead). what: how messages call the plan. */
bool plan_check(const struct plan *p, const struct view *v, const char *what, bool force, struct err *e);
/* The same without the identity: whether the plan's layers and ids are those of a plan of this model. */
bool plan_fits(const struct plan *p, const struct view *v, struct err *e);

#endif
