/* from_lists.c - a plan from somebody else's lists; see make.h. */
#include "base/file.h"
#include "base/hash.h"
#include "base/ids.h"
#include "base/mem.h"
#include "base/text.h"
#include "plan/make.h"

#include <math.h>
#include <string.h>

/* Experts per layer: by the model, by the file, or by lists that rank all of them. 0: not known. */
static uint32_t experts_of(const struct id_lists *l, const struct view *v)
{
    uint32_t n = l->l[0].n;
    if (v)
        return v->shape.n_experts;
    if (l->n_experts || l->is_keep)
        return l->n_experts;
    for (uint32_t i = 0; i < l->n; i++) {
        if (l->l[i].n != n)
            return 0;
        for (uint32_t k = 0; k < n; k++)
            if (l->l[i].ids[k] >= n)
                return 0;
    }
    return n;
}

static bool list_count(const struct id_lists *l, bool counted, const struct view *v, uint32_t n_experts,
                       const struct plan_opts *o, uint32_t *out, struct err *e)
{
    const struct shape guess = {n_experts, 1, 1, 1};
    *out = l->l[0].n;
    if (counted && l->is_keep)
        return err_set(e, ERR_INPUT, "already says who stays; --keep and its like are for rankings");
    if (counted && !n_experts && o->kind != KEEP_COUNT)
        return err_set(e, ERR_INPUT, "does not rank all experts, so a ratio says nothing without --model");
    if (counted && n_experts)
        return plan_count(v ? &v->shape : &guess, v, o, out, e);
    if (counted)
        *out = (uint32_t)o->value;
    return *out > 0 || err_set(e, ERR_INPUT, "layer %u keeps no expert", l->l[0].il);
}

static bool take_list(const struct id_list *l, bool counted, uint32_t n_keep, uint32_t n_experts,
                      struct plan_layer *out, struct err *e)
{
    if (counted ? l->n < n_keep : l->n != n_keep)
        return err_set(e, ERR_INPUT, "layer %u lists %u experts, expected %s%u%s", l->il, l->n,
                       counted ? "at least " : "", n_keep, counted ? "" : " as in the first layer");
    out->il = l->il;
    for (uint32_t k = 0; k < n_keep; k++) {
        out->keep[k] = l->ids[k];
        if (n_experts && l->ids[k] >= n_experts)
            return err_set(e, ERR_INPUT, "layer %u: expert %u of %u", l->il, l->ids[k], n_experts);
    }
    qsort(out->keep, n_keep, sizeof *out->keep, ids_compare);
    return true;
}

struct plan *plan_from_lists(const struct id_lists *l, const char *path, bool counted, const struct view *v,
                             const struct plan_opts *o, struct err *e)
{
    uint32_t n_experts = experts_of(l, v), n_keep;
    char hex[65];
    if (v && !view_check_prunable(v, e))
        return NULL;
    if (!list_count(l, counted, v, n_experts, o, &n_keep, e)) {
        err_ctx(e, "%s", path);
        return NULL;
    }
    struct plan *p = plan_new(l->n, n_keep);
    bool ok = true;
    for (uint32_t i = 0; ok && i < l->n; i++)
        ok = take_list(&l->l[i], counted, n_keep, n_experts, &p->layers[i], e) || err_ctx(e, "%s", path);
    ok = ok && sha256_file(path, hex, e);
    if (ok) {
        p->version = xstrdup(REAP_VERSION);
        p->n_experts = n_experts;
        p->model = v ? view_identity(v) : NULL;
        p->origins = xcalloc(1, sizeof *p->origins);
        p->n_origins = 1;
        p->origins[0] = (struct plan_origin){.keep_list = xstrdup(path_base(path)),
                                             .sha256 = xstrdup(hex),
                                             .weight = NAN,
                                             .score_kept = NAN,
                                             .n_tokens = -1};
    }
    if (ok && (!v || plan_check(p, v, path, false, e)))
        return p;
    plan_free(p);
    return NULL;
}
