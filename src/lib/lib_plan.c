/* lib_plan.c - plans of libreap; see reap.h. */
#include "base/ids.h"
#include "base/mem.h"
#include "lib/lib_part.h"
#include "plan/make.h"

#include <math.h>

/* ---- options ---- */

static bool take_count(const reap_plan_options *x, struct plan_opts *o, struct err *e)
{
    int n = (x->keep > 0) + (x->keep_ratio != 0) + (x->prune_ratio != 0) + (x->fit > 0);
    double share = x->keep_ratio != 0 ? x->keep_ratio : x->prune_ratio;
    if (n != 1)
        return err_set(e, ERR_INPUT,
                       "plan options: %s of keep, keep_ratio, prune_ratio, fit is set, expected one",
                       n ? "more than one" : "none");
    if (share != 0 && !(share > 0 && share < 1))
        return err_set(e, ERR_INPUT, "plan options: a ratio is %g, expected above 0 and below 1", share);
    o->kind = x->keep ? KEEP_COUNT : x->fit ? FIT_BYTES : x->keep_ratio != 0 ? KEEP_RATIO : PRUNE_RATIO;
    o->value = x->keep ? x->keep : share;
    o->fit = x->fit;
    o->round_to = x->round_to;
    return true;
}

static bool take_options(const reap_plan_options *given, reap_plan_options *x, struct plan_opts *o,
                         struct err *e)
{
    if (!take_struct(x, sizeof *x, given, "plan options", e) || !take_count(x, o, e))
        return false;
    o->criterion = x->criterion ? criterion_find(x->criterion) : criterion_default();
    if (!o->criterion)
        return err_set(e, ERR_INPUT, "there is no criterion '%s'", x->criterion);
    if (!(x->protect_share >= 0 && x->protect_share <= 1))
        return err_set(e, ERR_INPUT, "plan options: protect_share is %g, expected 0 to 1", x->protect_share);
    if (x->n_protect > UINT32_MAX || (x->n_protect && !x->protect))
        return err_set(e, ERR_INPUT, "plan options: n_protect is %zu", x->n_protect);
    o->seed = x->seed;
    o->force = x->force != 0;
    o->blend = x->maxmin ? BLEND_MAXMIN : BLEND_MEAN;
    o->protect_super = x->protect_super != 0;
    o->protect_share = x->protect_share;
    return true;
}

/* ---- from statistics ---- */

/* A list for each of them; to be freed as one. */
static struct id_list *protected_lists(const reap_plan_options *x, struct id_lists *out)
{
    size_t n = x->n_protect;
    struct id_list *l = xcalloc(n, sizeof *l + sizeof *l->ids);
    uint32_t *ids = (uint32_t *)(void *)(l + n);
    for (size_t i = 0; i < n; i++) {
        ids[i] = x->protect[i].expert;
        l[i] = (struct id_list){.il = x->protect[i].block, .n = 1, .ids = &ids[i]};
    }
    *out = (struct id_lists){.l = l, .n = (uint32_t)n};
    return l;
}

static struct plan_source *sources_of(const reap_stats *const *stats, const double *weights, uint32_t n,
                                      struct err *e)
{
    struct plan_source *src = xcalloc(n, sizeof *src);
    for (uint32_t i = 0; i < n; i++) {
        src[i] = (struct plan_source){stats[i]->s, stats[i]->path, weights ? weights[i] : 1};
        if (!(src[i].weight > 0 && src[i].weight <= 1e9))
            err_set(e, ERR_INPUT, "%s: the weight is %g, expected above 0 and at most 1e9", src[i].path,
                    src[i].weight);
    }
    if (!n)
        err_set(e, ERR_INPUT, "a plan needs statistics, none are given");
    return src;
}

reap_plan *plan_wrap(struct plan *p, const char *path)
{
    reap_plan *x = p ? xmalloc(sizeof *x) : NULL;
    if (x)
        *x = (reap_plan){p, path ? xstrdup(path) : NULL};
    return x;
}

static struct plan *make(const struct plan_source *src, uint32_t n, reap_model *m, const struct plan_opts *o,
                         struct err *e)
{
    struct plan_summary sum = {0};
    struct view *v = m ? m->v : NULL;
    struct plan *p = !v || view_hash(v, e) ? plan_blend(src, n, v, o, &sum, e) : NULL;
    plan_summary_say(&sum, true);
    plan_summary_clear(&sum);
    const struct shape shape = shape_of_stats(src[0].stats);
    if (p)
        plan_removes(&shape, v, o, p->n_keep, true, e);
    return p;
}

reap_plan *reap_plan_make(const reap_stats *const *stats, const double *weights, uint32_t n,
                          reap_model *model, const reap_plan_options *options, reap_error *error)
{
    struct call c;
    struct plan_opts o = {0};
    struct id_lists protect;
    reap_plan_options x;
    struct plan *p = NULL;
    call_begin(&c);
    struct plan_source *src = sources_of(stats, weights, n, &c.e);
    if (c.e.code == ERR_NONE && take_options(options, &x, &o, &c.e)) {
        struct id_list *owned = protected_lists(&x, &protect);
        o.protect = x.n_protect ? &protect : NULL;
        p = make(src, n, model, &o, &c.e);
        free(owned);
    }
    free(src);
    call_end(&c, p != NULL, error);
    return plan_wrap(p, NULL);
}

/* ---- of the caller's own ---- */

/* Of the model; who stays is to be filled in. */
static struct plan *own_plan(const struct view *v, uint32_t n_keep)
{
    struct plan *p = plan_new(v->n_layers, n_keep);
    p->version = xstrdup(REAP_VERSION);
    p->n_experts = v->shape.n_experts;
    p->model = view_identity(v);
    p->protect_share = NAN;
    for (uint32_t i = 0; i < v->n_layers; i++)
        p->layers[i].il = v->layers[i].il;
    return p;
}

/* What of a layer is best, with those that stay in any case. */
static bool choose(const struct view *v, uint32_t i, const double *scores, const reap_plan_options *x,
                   uint32_t n_keep, struct plan_layer *out, struct err *e)
{
    uint32_t n = v->shape.n_experts, il = v->layers[i].il, at = 0;
    double *score = xcalloc(n, sizeof *score);
    uint8_t *in = xcalloc(n, 1);
    bool ok = true;
    for (uint32_t k = 0; ok && k < n; k++) {
        score[k] = scores[(size_t)i * n + k];
        ok = isfinite(score[k]) ||
             err_set(e, ERR_INPUT, "layer %u, expert %u: the score is not a finite number", il, k);
    }
    for (size_t k = 0; k < x->n_protect; k++)
        if (x->protect[k].block == il && x->protect[k].expert < n)
            score[x->protect[k].expert] = INFINITY;
    if (ok)
        criterion_choose(score, n, v->shape.n_groups, n_keep, in);
    for (uint32_t k = 0; ok && k < n; k++) {
        if (in[k])
            out->keep[at++] = k;
        else if (isinf(score[k]))
            ok = err_set(e, ERR_INPUT, "layer %u: more experts are protected than the %u that stay", il,
                         n_keep);
    }
    free(score);
    free(in);
    return ok;
}

static bool check_protected(const struct view *v, const reap_plan_options *x, struct err *e)
{
    for (size_t k = 0; k < x->n_protect; k++) {
        const reap_expert *p = &x->protect[k];
        if (view_layer_index(v, p->block) < 0)
            return err_set(e, ERR_INPUT, "protect: layer %u has no experts", p->block);
        if (p->expert >= v->shape.n_experts)
            return err_set(e, ERR_INPUT, "protect: layer %u: expert %u of %u", p->block, p->expert,
                           v->shape.n_experts);
    }
    return true;
}

reap_plan *reap_plan_from_scores(reap_model *model, const double *scores, const reap_plan_options *options,
                                 reap_error *error)
{
    struct call c;
    struct view *v = model->v;
    struct plan_opts o = {0};
    reap_plan_options x;
    struct plan *p = NULL;
    uint32_t n_keep;
    call_begin(&c);
    bool ok = take_options(options, &x, &o, &c.e) && view_check_prunable(v, &c.e) && view_hash(v, &c.e) &&
              check_protected(v, &x, &c.e) && plan_count(&v->shape, v, &o, &n_keep, &c.e);
    if (ok)
        p = own_plan(v, n_keep);
    for (uint32_t i = 0; ok && i < v->n_layers; i++)
        ok = choose(v, i, scores, &x, n_keep, &p->layers[i], &c.e);
    if (call_end(&c, ok, error) == REAP_OK)
        return plan_wrap(p, NULL);
    plan_free(p);
    return NULL;
}

reap_plan *reap_plan_from_keep(reap_model *model, const uint32_t *keep, uint32_t n_keep, reap_error *error)
{
    struct call c;
    struct view *v = model->v;
    struct plan *p = NULL;
    call_begin(&c);
    bool ok = view_check_prunable(v, &c.e) && view_hash(v, &c.e) && shape_check_keep(&v->shape, n_keep, &c.e);
    if (ok)
        p = own_plan(v, n_keep);
    for (uint32_t i = 0; ok && i < v->n_layers; i++) {
        uint32_t *ids = p->layers[i].keep;
        memcpy(ids, keep + (size_t)i * n_keep, n_keep * sizeof *ids);
        qsort(ids, n_keep, sizeof *ids, ids_compare);
        for (uint32_t k = 1; ok && k < n_keep; k++)
            ok = ids[k] != ids[k - 1] ||
                 err_set(&c.e, ERR_INPUT, "layer %u: expert %u is given twice", p->layers[i].il, ids[k]);
    }
    ok = ok && plan_fits(p, v, &c.e);
    if (call_end(&c, ok, error) == REAP_OK)
        return plan_wrap(p, NULL);
    plan_free(p);
    return NULL;
}

/* ---- plans as such ---- */

reap_plan *reap_plan_open(const char *path, reap_error *error)
{
    struct call c;
    call_begin(&c);
    struct plan *p = plan_load(path, &c.e);
    call_end(&c, p != NULL, error);
    return plan_wrap(p, path);
}

void reap_plan_close(reap_plan *x)
{
    if (x) {
        plan_free(x->p);
        free(x->path);
    }
    free(x);
}

int reap_plan_save(const reap_plan *x, const char *path, int force, reap_error *error)
{
    struct call c;
    call_begin(&c);
    return call_end(&c, plan_write(path, x->p, force != 0, &c.e), error);
}

void reap_plan_get_info(const reap_plan *x, reap_plan_info *info)
{
    const reap_plan_info mine = {.n_layers = x->p->n_layers,
                                 .n_keep = x->p->n_keep,
                                 .n_experts = x->p->n_experts,
                                 .criterion = x->p->criterion};
    give_struct(info, &mine, sizeof mine);
}

const uint32_t *reap_plan_get_layer(const reap_plan *x, uint32_t i, uint32_t *block, reap_error *error)
{
    struct call c;
    call_begin(&c);
    bool ok = i < x->p->n_layers || err_set(&c.e, ERR_INPUT, "layer %u of %u", i, x->p->n_layers);
    if (ok && block)
        *block = x->p->layers[i].il;
    return call_end(&c, ok, error) == REAP_OK ? x->p->layers[i].keep : NULL;
}

int reap_plan_check(const reap_plan *x, reap_model *m, int force, reap_error *error)
{
    struct call c;
    call_begin(&c);
    bool ok = model_check_trunk(m, &c.e) && view_hash(m->v, &c.e) &&
              plan_check(x->p, m->v, x->path ? x->path : "the plan", force != 0, &c.e);
    return call_end(&c, ok, error);
}
