/* plan.c - see plan.h. */
#include "model/plan.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"

#include <string.h>

#define SCHEMA "reap.plan/1"

static int by_il(const void *a, const void *b)
{
    const struct plan_layer *x = a, *y = b;
    return (x->il > y->il) - (x->il < y->il);
}

static bool read_ids(const json_t *a, const char *key, struct plan *p, struct plan_layer *l, struct err *e)
{
    if (!json_is_array(a))
        return err_set(e, ERR_INPUT, "keep.%.20s: expected a list of expert ids", key);
    if (json_array_size(a) != p->n_keep)
        return err_set(e, ERR_INPUT,
                       "layer %.20s keeps %zu experts, but n_keep is %u: all layers keep the same number",
                       key, json_array_size(a), p->n_keep);
    l->keep = xcalloc(p->n_keep, sizeof *l->keep);
    for (uint32_t i = 0; i < p->n_keep; i++) {
        const json_t *v = json_array_get(a, i);
        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) >= UINT32_MAX) {
            char *found = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
            err_set(e, ERR_INPUT, "layer %.20s: entry %u is %.60s, expected an expert id", key, i,
                    found ? found : "too large");
            free(found);
            return false;
        }
        l->keep[i] = (uint32_t)json_integer_value(v);
        if (i && l->keep[i] == l->keep[i - 1])
            return err_set(e, ERR_INPUT, "layer %.20s: expert %u is listed twice", key, l->keep[i]);
        if (i && l->keep[i] < l->keep[i - 1])
            return err_set(e, ERR_INPUT, "layer %.20s: expert %u stands behind %u, expected ascending ids",
                           key, l->keep[i], l->keep[i - 1]);
    }
    return true;
}

static bool read_plan(struct plan *p, struct err *e)
{
    const char *schema, *key;
    json_t *keep, *ids;
    uint64_t n;
    if (!json_is_object(p->doc))
        return err_set(e, ERR_INPUT, "expected a JSON object with \"schema\": \"%s\"", SCHEMA);
    if (!json_need_str(p->doc, "schema", "plan", &schema, e))
        return false;
    if (strcmp(schema, SCHEMA) != 0)
        return err_set(e, ERR_INPUT, "schema is '%.60s', expected '%s'", schema, SCHEMA);
    if (!json_need_u64(p->doc, "n_keep", "plan", &n, e) || !json_need_obj(p->doc, "keep", "plan", &keep, e))
        return false;
    if (n < 1 || n > LIMIT_EXPERTS)
        return err_set(e, ERR_INPUT, "n_keep is %llu, expected 1 to %d", (unsigned long long)n,
                       LIMIT_EXPERTS);
    if (json_object_size(keep) == 0)
        return err_set(e, ERR_INPUT,
                       "'keep' has no layers (0 entries), expected one for each layer with experts");
    p->n_keep = (uint32_t)n;
    p->layers = xcalloc(json_object_size(keep), sizeof *p->layers);
    json_object_foreach (keep, key, ids) {
        char *end;
        unsigned long il = strtoul(key, &end, 10);
        if (*end || end == key || key[0] < '0' || key[0] > '9' || (key[0] == '0' && key[1]) || il > INT32_MAX)
            return err_set(e, ERR_INPUT, "keep: '%.40s' is not a layer number", key);
        struct plan_layer *l = &p->layers[p->n_layers++];
        l->il = (uint32_t)il;
        if (!read_ids(ids, key, p, l, e))
            return false;
    }
    qsort(p->layers, p->n_layers, sizeof *p->layers, by_il);
    return true;
}

struct plan *plan_load(const char *path, struct err *e)
{
    json_t *doc = json_read(path, e);
    if (!doc)
        return NULL;
    struct plan *p = xcalloc(1, sizeof *p);
    p->doc = doc;
    if (!read_plan(p, e)) {
        err_ctx(e, "%s", path);
        plan_free(p);
        return NULL;
    }
    return p;
}

void plan_free(struct plan *p)
{
    if (!p)
        return;
    for (uint32_t i = 0; i < p->n_layers; i++)
        free(p->layers[i].keep);
    free(p->layers);
    json_decref(p->doc);
    free(p);
}

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
    return shape_check_keep(&v->shape, p->n_keep, e) && check_layers(p, v, e);
}

bool plan_check(const struct plan *p, const struct view *v, const char *what, bool force, struct err *e)
{
    json_t *id = json_object_get(p->doc, "model");
    if (!json_is_object(id)) {
        log_note("note: %s does not say which model it was made for; only its layers and ids are checked",
                 what);
    } else if (!view_match(v, id, what, e)) {
        if (!force)
            return err_ctx(e, "%s", v->path);
        log_warn("%s (--force)", e->msg);
        err_clear(e);
    }
    return plan_fits(p, v, e) || err_ctx(e, "%s", what);
}

struct plan *plan_open(const char *path, struct view *v, bool force, struct err *e)
{
    struct plan *p = plan_load(path, e);
    if (p && view_hash(v, e) && plan_check(p, v, path, force, e))
        return p;
    plan_free(p);
    return NULL;
}
