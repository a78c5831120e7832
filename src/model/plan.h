/* plan.h - which experts stay: the file reap.plan/1 (docs/formats.md), and its check against a model. */
#ifndef REAP_MODEL_PLAN_H
#define REAP_MODEL_PLAN_H

#include "model/view.h"

struct plan_layer {
    uint32_t il;
    uint32_t *keep; /* n_keep ids, ascending */
};

struct plan {
    uint32_t n_keep;
    struct plan_layer *layers; /* ascending il */
    uint32_t n_layers;
    json_t *doc; /* the whole file as read or as it will be written; owned */
};

struct plan *plan_load(const char *path, struct err *e); /* form checked; not yet against a model */
/* The same, checked against the model (view_hash, plan_check). NULL with *e set. */
struct plan *plan_open(const char *path, struct view *v, bool force, struct err *e);
void plan_free(struct plan *p);

/* Every MoE layer of the trunk has an entry of n_keep ids in range, no other layer has; per group equal
 * numbers; the count is possible (shape_check_keep); the identity, if the plan has one, is this model's
 * (force: a warning instead). what: how messages call the plan. */
bool plan_check(const struct plan *p, const struct view *v, const char *what, bool force, struct err *e);
/* The same without the identity: whether the plan's layers and ids are those of a plan of this model. */
bool plan_fits(const struct plan *p, const struct view *v, struct err *e);

#endif
