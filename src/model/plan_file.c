/* plan_file.c - reap.plan/1, read and written; see plan.h. Fields: docs/formats.md. */
#include "base/ids.h"
#include "base/limits.h"
#include "base/mem.h"
#include "model/plan.h"

#include <math.h>
#include <string.h>

#define SCHEMA "reap.plan/1"

/* The members that struct plan knows. */
static const char *const known[] = {"schema",   "version", "n_keep",        "n_experts", "criterion", "seed",
                                    "blend",    "model",   "sources",       "keep",      "protected", "lost",
                                    "measured", "refined", "protect_share", "keep_mtp"};

struct plan *plan_new(uint32_t n_layers, uint32_t n_keep)
{
    struct plan *p = xcalloc(1, sizeof *p);
    p->n_keep = n_keep;
    p->seed = -1;
    p->layers = xcalloc(n_layers, sizeof *p->layers);
    p->n_layers = n_layers;
    for (uint32_t i = 0; i < n_layers; i++)
        p->layers[i].keep = xcalloc(n_keep, sizeof *p->layers[i].keep);
    return p;
}

uint32_t *plan_new_mtp(struct plan *p, uint32_t il)
{
    uint32_t n = p->n_layers + p->n_mtp++;
    p->layers = xrealloc(p->layers, n + 1, sizeof *p->layers);
    p->layers[n] = (struct plan_layer){il, xcalloc(p->n_keep, sizeof *p->layers[n].keep)};
    return p->layers[n].keep;
}

void plan_forget_lost(struct plan *p)
{
    for (uint32_t i = 0; p->lost && i < p->n_layers; i++) {
        free(p->lost[i].by_source);
        free(p->lost[i].never);
    }
    free(p->lost);
    p->lost = NULL;
}

bool plan_protects(const struct plan *p, uint32_t il, uint32_t expert)
{
    char key[16];
    size_t i;
    json_t *id;
    snprintf(key, sizeof key, "%u", il);
    json_array_foreach (json_object_get(p->fixed, key), i, id)
        if (json_is_integer(id) && json_integer_value(id) == expert)
            return true;
    return false;
}

double plan_tokens_lost(const struct plan *p)
{
    double sum = 0;
    for (uint32_t i = 0; p->lost && i < p->n_layers; i++)
        sum += p->lost[i].tokens;
    return p->lost ? sum / p->n_layers : (double)NAN;
}

static void origin_clear(struct plan_origin *o)
{
    free(o->stats);
    free(o->keep_list);
    free(o->sha256);
    json_decref(o->calibration);
    json_decref(o->fixed);
}

void plan_free(struct plan *p)
{
    if (!p)
        return;
    plan_forget_lost(p);
    for (uint32_t i = 0; i < p->n_layers + p->n_mtp; i++)
        free(p->layers[i].keep);
    for (uint32_t i = 0; i < p->n_origins; i++)
        origin_clear(&p->origins[i]);
    free(p->layers);
    free(p->gain);
    free(p->origins);
    free(p->version);
    free(p->criterion);
    free(p->blend);
    json_decref(p->model);
    json_decref(p->fixed);
    json_decref(p->measured);
    json_decref(p->refined);
    json_decref(p->rest);
    free(p);
}

/* ---- reading: who stays ---- */

static bool bad_id(const json_t *v, const char *key, size_t i, struct err *e)
{
    char *found = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
    err_set(e, ERR_INPUT, "layer %.20s: entry %zu is %.60s, expected an expert id", key, i,
            found ? found : "too large");
    free(found);
    return false;
}

static bool read_ids(const json_t *a, const char *key, struct plan *p, struct plan_layer *l, struct err *e)
{
    size_t bad;
    if (!json_is_array(a))
        return err_set(e, ERR_INPUT, "keep.%.20s: expected a list of expert ids", key);
    if (json_array_size(a) != p->n_keep)
        return err_set(e, ERR_INPUT,
                       "layer %.20s keeps %zu experts, but n_keep is %u: all layers keep the same number",
                       key, json_array_size(a), p->n_keep);
    l->keep = xcalloc(p->n_keep, sizeof *l->keep);
    bool ok = ids_read(a, UINT32_MAX - 1, l->keep, &bad);
    for (size_t i = 1; i < bad; i++) {
        if (l->keep[i] == l->keep[i - 1])
            return err_set(e, ERR_INPUT, "layer %.20s: expert %u is listed twice", key, l->keep[i]);
        if (l->keep[i] < l->keep[i - 1])
            return err_set(e, ERR_INPUT, "layer %.20s: expert %u stands behind %u, expected ascending ids",
                           key, l->keep[i], l->keep[i - 1]);
    }
    return ok || bad_id(json_array_get(a, bad), key, bad, e);
}

static bool read_keep(struct plan *p, json_t *keep, struct err *e)
{
    const char *key;
    json_t *ids;
    if (json_object_size(keep) == 0)
        return err_set(e, ERR_INPUT,
                       "'keep' has no layers (0 entries), expected one for each layer with experts");
    p->layers = xcalloc(json_object_size(keep), sizeof *p->layers);
    json_object_foreach (keep, key, ids) {
        uint32_t il;
        if (!ids_layer(key, &il))
            return err_set(e, ERR_INPUT, "keep: '%.40s' is not a layer number", key);
        struct plan_layer *l = &p->layers[p->n_layers++];
        l->il = il;
        if (!read_ids(ids, key, p, l, e))
            return false;
    }
    qsort(p->layers, p->n_layers, sizeof *p->layers, ids_compare);
    return true;
}

static bool read_mtp(struct plan *p, const json_t *doc, struct err *e)
{
    const char *key;
    json_t *keep, *ids;
    if (!json_opt_obj(doc, "keep_mtp", "plan", &keep, e) || !keep)
        return e->code == ERR_NONE;
    uint32_t last = p->layers[p->n_layers - 1].il;
    json_object_foreach (keep, key, ids) {
        uint32_t il;
        if (!ids_layer(key, &il) || il <= last)
            return err_set(e, ERR_INPUT, "keep_mtp: '%.40s' is not the number of a layer behind %u", key,
                           last);
        free(plan_new_mtp(p, il));
        struct plan_layer *l = &p->layers[p->n_layers + p->n_mtp - 1];
        l->keep = NULL;
        if (!read_ids(ids, key, p, l, e))
            return err_ctx(e, "keep_mtp");
    }
    qsort(p->layers + p->n_layers, p->n_mtp, sizeof *p->layers, ids_compare);
    return true;
}

/* ---- reading: where it comes from ---- */

static bool opt_copy(const json_t *o, const char *key, const char *where, char **out, struct err *e)
{
    const char *s;
    bool ok = json_opt_str(o, key, where, &s, e);
    *out = ok && s ? xstrdup(s) : NULL;
    return ok;
}

static bool opt_count(const json_t *o, const char *key, const char *where, int64_t *out, struct err *e)
{
    uint64_t n;
    bool ok = json_opt_u64(o, key, where, UINT64_MAX, &n, e);
    *out = (int64_t)n; /* UINT64_MAX: -1 */
    return ok;
}

static bool opt_object(const json_t *o, const char *key, const char *where, json_t **out, struct err *e)
{
    bool ok = json_opt_obj(o, key, where, out, e);
    json_incref(*out);
    return ok;
}

static bool read_origin(const json_t *o, size_t i, struct plan_origin *x, struct err *e)
{
    char where[40];
    snprintf(where, sizeof where, "sources, entry %zu", i);
    if (!json_is_object(o))
        return err_set(e, ERR_INPUT, "%s is %s, expected an object", where, json_type_name(o));
    return opt_copy(o, "stats", where, &x->stats, e) && opt_copy(o, "keep_list", where, &x->keep_list, e) &&
           opt_copy(o, "sha256", where, &x->sha256, e) && json_opt_f64(o, "weight", where, &x->weight, e) &&
           json_opt_f64(o, "score_kept", where, &x->score_kept, e) &&
           opt_count(o, "n_tokens", where, &x->n_tokens, e) &&
           opt_object(o, "calibration", where, &x->calibration, e) &&
           opt_object(o, "protected", where, &x->fixed, e);
}

static bool read_origins(struct plan *p, const json_t *doc, struct err *e)
{
    json_t *list;
    if (!json_opt_arr(doc, "sources", "plan", &list, e))
        return false;
    p->origins = xcalloc(json_array_size(list), sizeof *p->origins);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!read_origin(json_array_get(list, i), i, &p->origins[p->n_origins++], e))
            return false;
    return true;
}

/* ---- reading: what goes ---- */

static bool read_shares(const json_t *o, const char *where, struct plan_loss *l, struct err *e)
{
    json_t *list;
    size_t n;
    if (!json_opt_arr(o, "score_kept_by_source", where, &list, e) || !list)
        return e->code == ERR_NONE;
    n = json_array_size(list);
    l->by_source = xcalloc(n, sizeof *l->by_source);
    l->n_by_source = (uint32_t)n;
    return json_need_f64s(o, "score_kept_by_source", where, l->by_source, n, e);
}

static bool read_never(const json_t *o, const char *where, struct plan_loss *l, struct err *e)
{
    json_t *list;
    size_t bad;
    if (!json_opt_arr(o, "never_routed", where, &list, e))
        return false;
    l->n_never = (uint32_t)json_array_size(list);
    l->never = xcalloc(l->n_never, sizeof *l->never);
    return ids_read(list, UINT32_MAX - 1, l->never, &bad) ||
           err_set(e, ERR_INPUT, "%s: 'never_routed' entry %zu is not an expert id", where, bad);
}

static bool read_loss(const json_t *o, uint32_t il, struct plan_loss *l, struct err *e)
{
    char where[32];
    snprintf(where, sizeof where, "lost.%u", il);
    if (o && !json_is_object(o))
        return err_set(e, ERR_INPUT, "%s is %s, expected an object", where, json_type_name(o));
    return json_opt_f64(o, "score_lost", where, &l->score, e) &&
           json_opt_f64(o, "tokens_lost", where, &l->tokens, e) &&
           json_opt_f64(o, "reap_sum_lost", where, &l->reap_sum, e) &&
           json_opt_f64(o, "gate_mass_lost", where, &l->gate_mass, e) &&
           json_opt_f64(o, "lowest_kept", where, &l->lowest_kept, e) &&
           json_opt_f64(o, "highest_removed", where, &l->highest_removed, e) && read_shares(o, where, l, e) &&
           read_never(o, where, l, e);
}

static bool read_lost(struct plan *p, const json_t *doc, struct err *e)
{
    json_t *lost;
    if (!json_opt_obj(doc, "lost", "plan", &lost, e) || !lost)
        return e->code == ERR_NONE;
    p->lost = xcalloc(p->n_layers, sizeof *p->lost);
    for (uint32_t i = 0; i < p->n_layers; i++)
        if (!read_loss(ids_get_layer(lost, p->layers[i].il), p->layers[i].il, &p->lost[i], e))
            return false;
    return true;
}

/* ---- reading: all of it ---- */

static void take_rest(struct plan *p, const json_t *doc)
{
    p->rest = json_copy((json_t *)(uintptr_t)doc);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        json_object_del(p->rest, known[i]);
}

static bool read_plan(struct plan *p, const json_t *doc, struct err *e)
{
    const char *schema;
    json_t *keep;
    uint64_t n, n_experts;
    if (!json_is_object(doc))
        return err_set(e, ERR_INPUT, "expected a JSON object with \"schema\": \"%s\"", SCHEMA);
    if (!json_need_str(doc, "schema", "plan", &schema, e))
        return false;
    if (strcmp(schema, SCHEMA) != 0)
        return err_set(e, ERR_INPUT, "schema is '%.60s', expected '%s'", schema, SCHEMA);
    if (!json_need_u64(doc, "n_keep", "plan", &n, e) || !json_need_obj(doc, "keep", "plan", &keep, e))
        return false;
    if (n < 1 || n > LIMIT_EXPERTS)
        return err_set(e, ERR_INPUT, "n_keep is %llu, expected 1 to %d", (unsigned long long)n,
                       LIMIT_EXPERTS);
    p->n_keep = (uint32_t)n;
    if (!read_keep(p, keep, e) || !read_mtp(p, doc, e) ||
        !json_opt_u64(doc, "n_experts", "plan", 0, &n_experts, e))
        return false;
    if (n_experts > LIMIT_EXPERTS)
        return err_set(e, ERR_INPUT, "n_experts is %llu, expected at most %d", (unsigned long long)n_experts,
                       LIMIT_EXPERTS);
    p->n_experts = (uint32_t)n_experts;
    take_rest(p, doc);
    return opt_copy(doc, "version", "plan", &p->version, e) &&
           opt_copy(doc, "criterion", "plan", &p->criterion, e) &&
           opt_copy(doc, "blend", "plan", &p->blend, e) && opt_count(doc, "seed", "plan", &p->seed, e) &&
           opt_object(doc, "model", "plan", &p->model, e) && read_origins(p, doc, e) &&
           opt_object(doc, "protected", "plan", &p->fixed, e) &&
           json_opt_f64(doc, "protect_share", "plan", &p->protect_share, e) && read_lost(p, doc, e) &&
           opt_object(doc, "measured", "plan", &p->measured, e) &&
           opt_object(doc, "refined", "plan", &p->refined, e);
}

struct plan *plan_load(const char *path, struct err *e)
{
    json_t *doc = json_read(path, e);
    if (!doc)
        return NULL;
    struct plan *p = xcalloc(1, sizeof *p);
    bool ok = read_plan(p, doc, e) || err_ctx(e, "%s", path);
    json_decref(doc);
    if (ok)
        return p;
    plan_free(p);
    return NULL;
}

/* ---- writing ---- */

static void put_json(json_t *o, const char *key, json_t *v)
{
    if (v)
        json_object_set(o, key, v);
}

static json_t *origins_json(const struct plan *p)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < p->n_origins; i++) {
        const struct plan_origin *x = &p->origins[i];
        json_t *o = json_object();
        json_put_text(o, "stats", x->stats);
        json_put_text(o, "keep_list", x->keep_list);
        json_put_text(o, "sha256", x->sha256);
        json_put_f64(o, "weight", x->weight);
        json_put_f64(o, "score_kept", x->score_kept);
        json_put_count(o, "n_tokens", x->n_tokens);
        put_json(o, "protected", x->fixed);
        put_json(o, "calibration", x->calibration);
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *lost_json(const struct plan *p)
{
    json_t *all = json_object();
    for (uint32_t i = 0; i < p->n_layers; i++) {
        const struct plan_loss *l = &p->lost[i];
        json_t *o = json_object();
        json_put_f64(o, "score_lost", l->score);
        json_put_f64(o, "tokens_lost", l->tokens);
        json_put_f64(o, "reap_sum_lost", l->reap_sum);
        json_put_f64(o, "gate_mass_lost", l->gate_mass);
        json_put_f64(o, "lowest_kept", l->lowest_kept);
        json_object_set_new(o, "highest_removed", json_finite(l->highest_removed));
        if (l->by_source)
            json_object_set_new(o, "score_kept_by_source", json_f64s(l->by_source, l->n_by_source));
        if (l->n_never)
            json_object_set_new(o, "never_routed", ids_json(l->never, l->n_never));
        ids_set_layer(all, p->layers[i].il, o);
    }
    return all;
}

json_t *plan_keep_json(const struct plan *p)
{
    json_t *keep = json_object();
    for (uint32_t i = 0; i < p->n_layers; i++)
        ids_set_layer(keep, p->layers[i].il, ids_json(p->layers[i].keep, p->n_keep));
    return keep;
}

json_t *plan_keep_mtp_json(const struct plan *p)
{
    json_t *keep = json_object();
    for (uint32_t i = p->n_layers; i < p->n_layers + p->n_mtp; i++)
        ids_set_layer(keep, p->layers[i].il, ids_json(p->layers[i].keep, p->n_keep));
    return keep;
}

json_t *plan_json(const struct plan *p)
{
    json_t *d = json_object();
    json_object_set_new(d, "schema", json_string(SCHEMA));
    json_put_text(d, "version", p->version);
    json_object_set_new(d, "n_keep", json_integer(p->n_keep));
    if (p->n_experts)
        json_object_set_new(d, "n_experts", json_integer(p->n_experts));
    json_put_text(d, "criterion", p->criterion);
    json_put_count(d, "seed", p->seed);
    json_put_text(d, "blend", p->blend);
    put_json(d, "model", p->model);
    if (p->n_origins)
        json_object_set_new(d, "sources", origins_json(p));
    if (p->protect_share > 0)
        json_put_f64(d, "protect_share", p->protect_share);
    put_json(d, "protected", p->fixed);
    json_object_set_new(d, "keep", plan_keep_json(p));
    if (p->n_mtp)
        json_object_set_new(d, "keep_mtp", plan_keep_mtp_json(p));
    if (p->lost)
        json_object_set_new(d, "lost", lost_json(p));
    put_json(d, "measured", p->measured);
    put_json(d, "refined", p->refined);
    if (p->rest)
        json_sure_rc(json_object_update(d, p->rest));
    return d;
}

bool plan_write(const char *path, const struct plan *p, bool force, struct err *e)
{
    json_t *doc = plan_json(p);
    bool ok = json_write(path, doc, force, e);
    json_decref(doc);
    return ok;
}
