/* state.c - what a sweep has done, in a file that the same call goes on from: reap.sweep-state/1. */
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "engine/opts.h"
#include "sweep/sweep_part.h"

#include <string.h>

#define STATE_SCHEMA "reap.sweep-state/1"

/* All that decides what the sums are, but for the machine. Without types as it was before there were any. */
void sweep_state_key(struct sweep_job *j)
{
    const struct sweep_opts *o = j->o;
    json_t *k = json_object(), *plans = json_array(), *texts = json_array(), *types = json_array();
    struct buf b = {0};
    json_object_set_new(k, "model", view_identity(j->r->view));
    json_object_set_new(k, "bytes", json_integer((json_int_t)j->r->view->bytes));
    for (uint32_t i = 0; i < j->n_plans; i++)
        json_array_append_new(plans, plan_keep_json(j->r->points[i].plan));
    for (uint32_t i = 0; i < o->n_texts; i++)
        json_array_append_new(texts, json_string(j->r->text_hash[i]));
    for (uint32_t i = 0; i < o->n_types; i++)
        json_array_append_new(types, json_string(o->types[i]));
    json_object_set_new(k, "plans", plans);
    json_object_set_new(k, "texts", texts);
    if (o->n_types)
        json_object_set(k, "types", types);
    json_object_set_new(k, "ctx", json_integer(o->n_ctx));
    engine_opts_key_json(&o->engine, k);
    json_print(&b, k);
    sha256_bytes(b.s, b.n, j->key);
    buf_clear(&b);
    json_decref(k);
    json_decref(types);
}

/* ---- sums ---- */

#define N_STATE_SUMS 9
static void sums_to(const struct against_sums *s, double v[N_STATE_SUMS])
{
    const double x[N_STATE_SUMS] = {s->nll, s->nll2, s->base_nll, s->base_nll2, s->cross,
                                    s->kl,  s->kl2,  s->dp2,      s->dp4};
    memcpy(v, x, sizeof x);
}

/* bytes: of the point; 0: not known yet, or not of interest. */
static json_t *sums_json(const struct against_sums *s, const struct sweep_windows *w, uint64_t bytes)
{
    double v[N_STATE_SUMS];
    json_t *o = json_object();
    sums_to(s, v);
    json_object_set_new(o, "n", json_integer((json_int_t)s->n));
    json_object_set_new(o, "same_top", json_integer((json_int_t)s->same_top));
    json_object_set_new(o, "sums", json_f64s(v, N_STATE_SUMS));
    json_object_set_new(o, "windows", json_f64s(w->kl, w->n));
    if (bytes)
        json_object_set_new(o, "bytes", json_integer((json_int_t)bytes));
    return o;
}

/* No list, as files were before: the sums have no windows. */
static bool windows_read(const json_t *o, struct sweep_windows *w, bool *lacks, struct err *e)
{
    json_t *list;
    if (!json_opt_arr(o, "windows", "sums", &list, e))
        return false;
    *lacks = *lacks || !list;
    size_t n = json_array_size(list);
    if (n > UINT32_MAX || !(w->kl = mem_try(n, sizeof *w->kl, "the windows of a sweep's state", e)))
        return err_set(e, ERR_INPUT, "has too many windows");
    w->n = (uint32_t)n;
    return !list || json_need_f64s(o, "windows", "sums", w->kl, n, e);
}

static bool sums_read(const json_t *a, size_t i, struct against_sums *s, uint64_t *bytes, struct err *e)
{
    const json_t *o = json_array_get(a, i);
    double v[N_STATE_SUMS];
    if (!json_is_object(o))
        return err_set(e, ERR_INPUT, "expected the sums of %zu plans", i + 1);
    if (!json_need_u64(o, "n", "sums", &s->n, e) || !json_need_u64(o, "same_top", "sums", &s->same_top, e) ||
        !json_need_f64s(o, "sums", "sums", v, N_STATE_SUMS, e) ||
        !json_opt_u64(o, "bytes", "sums", 0, bytes, e))
        return false;
    if (s->same_top > s->n)
        return err_set(e, ERR_INPUT, "same_top is more than n");
    s->nll = v[0], s->nll2 = v[1], s->base_nll = v[2], s->base_nll2 = v[3], s->cross = v[4];
    s->kl = v[5], s->kl2 = v[6], s->dp2 = v[7], s->dp4 = v[8];
    return true;
}

/* ---- the file ---- */

bool sweep_state_save(const struct sweep_job *j, struct err *e)
{
    if (!j->o->state)
        return true;
    json_t *o = json_object(), *all = json_array(), *part = json_array();
    for (uint32_t i = 0; i < j->r->n_points; i++) {
        const struct sweep_point *p = &j->r->points[i];
        const struct sweep_windows w = {p->window_kl, p->n_windows};
        json_array_append_new(all, sums_json(&p->sums, &w, p->type ? p->bytes : 0));
        json_array_append_new(part, sums_json(&j->part[i], &j->cut[i], 0));
    }
    json_object_set_new(o, "schema", json_string(STATE_SCHEMA));
    json_object_set_new(o, "key", json_string(j->key));
    json_object_set_new(o, "texts_done", json_integer(j->step));
    json_object_set_new(o, "batches_done", json_integer(j->batches));
    json_object_set_new(o, "sums", all);
    json_object_set_new(o, "sums_of_next_text", part);
    bool ok = json_write(j->o->state, o, true, e);
    json_decref(o);
    return ok;
}

/* Point i of a file that says this. What is done under its type must be there. */
static bool read_point(struct sweep_job *j, uint32_t i, const json_t *all, const json_t *part, bool *lacks,
                       struct err *e)
{
    struct sweep_point *p = &j->r->points[i];
    uint32_t type = i / j->n_plans, now = j->step / j->o->n_texts;
    struct sweep_windows w = {0};
    uint64_t bytes, none;
    bool ok = sums_read(all, i, &p->sums, &bytes, e) && sums_read(part, i, &j->part[i], &none, e) &&
              windows_read(json_array_get(all, i), &w, lacks, e) &&
              windows_read(json_array_get(part, i), &j->cut[i], lacks, e);
    p->window_kl = w.kl;
    p->n_windows = w.n;
    if (!ok)
        return false;
    bool begun = type < now || (type == now && j->step % j->o->n_texts > 0);
    if ((begun && !p->sums.n) || (type == now && j->batches && !j->part[i].n))
        return err_set(e, ERR_INPUT, "has texts without a token");
    if (p->type && type < now && !bytes)
        return err_set(e, ERR_INPUT, "lacks the size as %s", p->type);
    if (p->type)
        p->bytes = bytes;
    return true;
}

static bool read_state(struct sweep_job *j, const json_t *o, struct err *e)
{
    const char *schema, *key;
    json_t *all, *part;
    uint64_t steps, batches, most = (uint64_t)j->o->n_texts * j->n_types;
    bool lacks = false;
    if (!json_is_object(o) || !json_need_str(o, "schema", "state", &schema, e) ||
        strcmp(schema, STATE_SCHEMA) != 0)
        return err_set(e, ERR_INPUT, "is not the state of a sweep");
    if (!json_need_str(o, "key", "state", &key, e))
        return false;
    if (strcmp(key, j->key) != 0)
        return err_set(
            e, ERR_INPUT,
            "is of a sweep over another model, text, plans, types or options; remove it, or give another "
            "--state");
    if (!json_need_u64(o, "texts_done", "state", &steps, e) ||
        !json_need_u64(o, "batches_done", "state", &batches, e) ||
        !json_need_arr(o, "sums", "state", &all, e) ||
        !json_need_arr(o, "sums_of_next_text", "state", &part, e))
        return false;
    if (steps > most || batches > UINT32_MAX || (steps == most && batches))
        return err_set(e, ERR_INPUT, "has %llu texts, of %llu", (unsigned long long)steps,
                       (unsigned long long)most);
    j->step = (uint32_t)steps;
    j->batches = (uint32_t)batches;
    for (uint32_t i = 0; i < j->r->n_points; i++)
        if (!read_point(j, i, all, part, &lacks, e))
            return false;
    j->r->no_windows = lacks;
    return true;
}

bool sweep_state_load(struct sweep_job *j, struct err *e)
{
    bool there = false;
    if ((j->o->state && !file_there(j->o->state, &there, e)) || !there)
        return e->code == ERR_NONE;
    json_t *o = json_read(j->o->state, e);
    bool ok = o && (read_state(j, o, e) || err_ctx(e, "%s", j->o->state));
    json_decref(o);
    return ok;
}
