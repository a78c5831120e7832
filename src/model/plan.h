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

/* ---- what a checked plan makes of a tensor ---- */
/* The ids that stay in the block of a tensor with experts (an MTP block follows the last trunk layer):
 * n_keep, ascending. */
const uint32_t *plan_keep(const struct plan *p, const struct view *v, const struct view_tensor *x);
/* A single expert's tensor: the expert's new number, -1: it goes. */
int64_t plan_number(const struct plan *p, const struct view *v, const struct view_tensor *x);
/* Bytes that stay. */
uint64_t plan_bytes(const struct plan *p, const struct view *v, const struct view_tensor *x);
/* Its name afterwards, added to b: another one only for a single expert's tensor. */
void plan_name(const struct plan *p, const struct view *v, const struct view_tensor *x, struct buf *b);
/* Length of dimension d afterwards, n_keep experts staying. */
uint64_t plan_dim(const struct view *v, const struct view_tensor *x, uint32_t d, uint32_t n_keep);

#endif
