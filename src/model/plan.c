/* plan.c - a plan against a model; see plan.h. The file: plan_file.c. */
#include "model/plan.h"
#include "base/log.h"
#include "base/mem.h"

#include <string.h>

static bool check_groups(const struct plan_layer *l, const struct plan *p, const struct view *v,
                         struct err *e)
{
    uint32_t size = v->shape.n_experts / v->shape.n_groups, want = p->n_keep / v->shape.n_groups;
    for (uint32_t g = 0; v->shape.n_groups > 1 && g < v->shape.n_groups; g++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < p->n_keep; i++)
            n += l->keep[i] / size == g;
        if (n != want)
            return err_set(
                e, ERR_INPUT,
                "layer %u keeps %u experts of group %u (ids %u to %u), expected %u of each group: the router counts off "
                "groups by position",
                l->il, n, g, g * size, (g + 1) * size - 1, want);
    }
    return true;
}

const uint32_t *plan_entry(const struct plan *p, uint32_t il)
{
    for (uint32_t i = 0; i < p->n_layers + p->n_mtp; i++)
        if (p->layers[i].il == il)
            return p->layers[i].keep;
    return NULL;
}

const uint32_t *plan_keep_of(const struct plan *p, const struct view *v, uint32_t il)
{
    const uint32_t *keep = plan_entry(p, il);
    return keep || !view_is_mtp(v, il) ? keep : p->layers[p->n_layers - 1].keep;
}

/* A copy of the model that has lost its MTP blocks has no use for the entries. */
static bool check_mtp(const struct plan *p, const struct view *v, struct err *e)
{
    if (!v->n_mtp_layers)
        return true;
    for (uint32_t i = p->n_layers; i < p->n_layers + p->n_mtp; i++) {
        const struct plan_layer *l = &p->layers[i];
        if (!view_is_mtp(v, l->il) || view_block_index(v, l->il) < 0)
            return err_set(e, ERR_INPUT, "layer %u of 'keep_mtp' is no MTP block with experts of this model",
                           l->il);
        if (l->keep[p->n_keep - 1] >= v->shape.n_experts)
            return err_set(e, ERR_INPUT,
                           "layer %u: expert %u is out of range, the model has %u experts (0 to %u)", l->il,
                           l->keep[p->n_keep - 1], v->shape.n_experts, v->shape.n_experts - 1);
        if (!check_groups(l, p, v, e))
            return false;
    }
    return true;
}

static bool check_layers(const struct plan *p, const struct view *v, struct err *e)
{
    for (uint32_t i = 0; i < p->n_layers; i++) {
        const struct plan_layer *l = &p->layers[i];
        if (view_layer_index(v, l->il) < 0)
            return err_set(
                e, ERR_INPUT, "layer %u is not a layer with experts of this model (those are %u to %u%s)",
                l->il, v->layers[0].il, v->layers[v->n_layers - 1].il,
                v->n_layers == v->layers[v->n_layers - 1].il - v->layers[0].il + 1 ? ""
                                                                                   : ", not all of them");
        if (l->keep[p->n_keep - 1] >= v->shape.n_experts)
            return err_set(e, ERR_INPUT,
                           "layer %u: expert %u is out of range, the model has %u experts (0 to %u)", l->il,
                           l->keep[p->n_keep - 1], v->shape.n_experts, v->shape.n_experts - 1);
        if (!check_groups(l, p, v, e))
            return false;
    }
    for (uint32_t i = 0; i < v->n_layers; i++)
        if (i >= p->n_layers || p->layers[i].il != v->layers[i].il)
            return err_set(e, ERR_INPUT, "layer %u has experts, but no entry", v->layers[i].il);
    return true;
}

bool plan_fits(const struct plan *p, const struct view *v, struct err *e)
{
    return shape_check_keep(&v->shape, p->n_keep, e) && check_layers(p, v, e) && check_mtp(p, v, e);
}

bool plan_check(const struct plan *p, const struct view *v, const char *what, bool force, struct err *e)
{
    if (!p->model) {
        log_note("note: %s does not say which model it was made for; only its layers and ids are checked",
                 what);
    } else if (!view_match(v, p->model, what, e)) {
        if (!force)
            return err_ctx(e, "%s", v->path);
        log_warn("%s (--force)", e->msg);
        err_clear(e);
    }
    if (!plan_fits(p, v, e))
        return err_ctx(e, "%s", what);
    if (p->n_mtp && !v->n_mtp_layers)
        log_note("note: %s has a choice for MTP blocks, of which the model has none", what);
    return true;
}

struct plan *plan_open(const char *path, struct view *v, bool force, struct err *e)
{
    struct plan *p = plan_load(path, e);
    if (p && view_hash(v, e) && plan_check(p, v, path, force, e))
        return p;
    plan_free(p);
    return NULL;
}
