/* plan_mask.c - see plan_mask.h. */
#include "eval/plan_mask.h"
#include "base/mem.h"

bool eval_mask(struct engine *g, const struct view *v, const struct plan *p, struct err *e)
{
    if (!p)
        return engine_mask(g, NULL, e);
    struct engine_mask_layer *l = xcalloc(p->n_layers, sizeof *l);
    for (uint32_t i = 0; i < p->n_layers; i++)
        l[i] = (struct engine_mask_layer){p->layers[i].il, p->layers[i].keep, p->n_keep,
                                          p->gain ? p->gain[i] : 0};
    bool ok = engine_mask(g, &(struct engine_mask){v->shape.n_experts, l, p->n_layers}, e);
    free(l);
    return ok || err_ctx(e, "%s", v->path);
}

struct plan *eval_plan(const char *path, struct view *v, bool force, struct err *e)
{
    return view_check_prunable(v, e) ? plan_open(path, v, force, e) : NULL;
}
