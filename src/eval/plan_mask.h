/* plan_mask.h - a plan applied to a loaded model, without writing the pruned one. */
#ifndef REAP_EVAL_PLAN_MASK_H
#define REAP_EVAL_PLAN_MASK_H

#include "engine/engine.h"
#include "model/plan.h"

/* The model computes from now on as if it had been pruned by p; NULL: whole again. Refused (ERR_INPUT) where p cuts a
 * layer that routes by a table of ids (model/id_table.h): what a cut makes of the table no mask can show. v: the view it was loaded
 * from, p: checked against it (plan_check). As engine_mask: the first call comes before engine_start. MTP
 * blocks do not run and need no mask. */
bool eval_mask(struct engine *g, const struct view *v, const struct plan *p, struct err *e);

/* A plan but for one expert of one layer (its place in the plan): taken away if it stays, put back if it goes. */
struct plan_but {
    uint32_t layer, expert;
};
/* The same as eval_mask (but NULL), for that. The layer must keep one at least. */
bool eval_mask_but(struct engine *g, const struct view *v, const struct plan *p, const struct plan_but *but,
                   struct err *e);

/* Reads a plan for that: of this model, and of one that can be pruned and masked. NULL with *e set. */
struct plan *eval_plan(const char *path, struct view *v, bool force, struct err *e);

#endif
