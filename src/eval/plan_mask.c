/* plan_mask.c - see plan_mask.h. */
#include "eval/plan_mask.h"
#include "base/mem.h"

/* The ids of a layer with one taken out or put in, ascending; the caller frees them. */
static uint32_t *other_ids(const uint32_t *keep, uint32_t n, uint32_t expert, uint32_t *n_out)
{
    uint32_t *ids = xcalloc((size_t)n + 1, sizeof *ids), m = 0;
    bool stays = false, put = false;
    for (uint32_t i = 0; i < n; i++)
        stays = stays || keep[i] == expert;
    for (uint32_t i = 0; i < n; i++) {
        if (!stays && !put && keep[i] > expert) {
            ids[m++] = expert;
            put = true;
        }
        if (keep[i] != expert)
            ids[m++] = keep[i];
    }
    if (!stays && !put)
        ids[m++] = expert;
    *n_out = m;
    return ids;
}

/* A mask takes experts out of the scores; where a table of ids chooses, a cut puts others in their place. */
static bool check_tables(const struct view *v, const struct plan *p, struct err *e)
{
    for (uint64_t i = 0; i < v->n_tensors; i++) {
        const struct view_tensor *x = &v->tensors[i];
        for (uint32_t k = 0; x->role == ROLE_TABLE && k < p->n_layers && p->n_keep < v->shape.n_experts; k++)
            if (x->layer == (int32_t)p->layers[k].il)
                return err_set(
                    e, ERR_INPUT,
                    "layer %u sends tokens to the experts that a table names ('%s'), for which a mask cannot "
                    "stand; prune the model and measure the pruned file",
                    p->layers[k].il, x->name);
    }
    return true;
}

bool eval_mask_but(struct engine *g, const struct view *v, const struct plan *p, const struct plan_but *but,
                   struct err *e)
{
    if (!check_tables(v, p, e))
        return err_ctx(e, "%s", v->path);
    struct engine_mask_layer *l = xcalloc(p->n_layers, sizeof *l);
    uint32_t *ids = NULL;
    for (uint32_t i = 0; i < p->n_layers; i++)
        l[i] = (struct engine_mask_layer){p->layers[i].il, p->layers[i].keep, p->n_keep,
                                          p->gain ? p->gain[i] : 0};
    if (but)
        l[but->layer].keep = ids =
            other_ids(p->layers[but->layer].keep, p->n_keep, but->expert, &l[but->layer].n_keep);
    bool ok = engine_mask(g, &(struct engine_mask){v->shape.n_experts, l, p->n_layers}, e);
    free(ids);
    free(l);
    return ok || err_ctx(e, "%s", v->path);
}

bool eval_mask(struct engine *g, const struct view *v, const struct plan *p, struct err *e)
{
    return p ? eval_mask_but(g, v, p, NULL, e) : engine_mask(g, NULL, e);
}

struct plan *eval_plan(const char *path, struct view *v, bool force, struct err *e)
{
    struct plan *p = view_check_prunable(v, e) ? plan_open(path, v, force, e) : NULL;
    if (!p || check_tables(v, p, e))
        return p;
    err_ctx(e, "%s", v->path);
    plan_free(p);
    return NULL;
}
