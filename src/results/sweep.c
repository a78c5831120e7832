/* sweep.c - see sweep.h. */
#include "results/sweep.h"
#include "base/mem.h"
#include "results/results_part.h"

#include <math.h>

#define SCHEMA "reap.sweep/1"

/* ---- writing ---- */

json_t *sweep_texts_json(const struct sweep_text *texts, uint32_t n)
{
    json_t *a = json_array();
    for (uint32_t i = 0; i < n; i++) {
        json_t *x = json_object();
        json_object_set_new(x, "name", json_text(texts[i].name));
        json_object_set_new(x, "sha256", json_string(texts[i].sha256));
        json_array_append_new(a, x);
    }
    return a;
}

static json_t *point_json(const struct sweep_file *f, uint32_t i)
{
    const struct sweep_file_point *p = &f->points[i];
    json_t *x = json_object();
    json_put_text(x, "type", p->type);
    json_object_set_new(x, "criterion", json_string(p->criterion));
    json_object_set_new(x, "ratio", json_real(p->ratio));
    json_object_set_new(x, "n_keep", json_integer((json_int_t)p->n_keep));
    json_object_set_new(x, "bytes", json_integer((json_int_t)p->bytes));
    json_object_set_new(x, "ppl", json_real(p->r.score.ppl));
    json_object_set_new(x, "ppl_stderr", json_real(p->r.score.ppl_stderr));
    eval_put_against(x, &p->r);
    if (sweep_has_types(f))
        json_object_set_new(x, "front", json_boolean(sweep_on_front(f, i)));
    json_put_f64(x, "kl_to_best", p->to_best);
    json_put_f64(x, "kl_to_best_stderr", p->to_best_stderr);
    return x;
}

json_t *sweep_json(const struct sweep_file *f)
{
    json_t *doc = json_object(), *base = json_object(), *points = json_array(), *limits = json_object();
    json_object_set_new(doc, "schema", json_string(SCHEMA));
    json_object_set_new(doc, "version", json_string(REAP_VERSION));
    json_object_set(doc, "model", (json_t *)(uintptr_t)f->model);
    json_object_set_new(doc, "stats", json_text(f->stats));
    json_object_set_new(doc, "stats_sha256", json_string(f->stats_sha256));
    json_object_set_new(doc, "texts", sweep_texts_json(f->texts, f->n_texts));
    json_object_set_new(doc, "ctx", json_integer((json_int_t)f->n_ctx));
    json_object_set_new(doc, "n_scored", json_integer((json_int_t)f->n_scored));
    json_object_set_new(base, "n_experts", json_integer((json_int_t)f->n_experts));
    json_object_set_new(base, "bytes", json_integer((json_int_t)f->bytes));
    json_object_set_new(base, "ppl", json_real(f->ppl));
    json_object_set_new(base, "ppl_stderr", json_real(f->ppl_stderr));
    json_object_set_new(doc, "base", base);
    for (uint32_t i = 0; i < f->n_points; i++)
        json_array_append_new(points, point_json(f, i));
    json_object_set_new(doc, "points", points);
    json_object_set_new(limits, "max_ppl_increase", json_finite(pass_limit(&f->pass, PASS_PPL_INCREASE)));
    json_object_set_new(limits, "max_kl", json_finite(pass_limit(&f->pass, PASS_KL)));
    json_object_set_new(doc, "limits", limits);
    if (pass_any(&f->pass))
        json_object_set_new(doc, "pass", pass_json(&f->pass));
    if (f->fit)
        json_object_set_new(doc, "fit", json_integer((json_int_t)f->fit));
    json_object_set_new(doc, "chosen", f->chosen < 0 ? json_null() : json_integer(f->chosen));
    return doc;
}

/* ---- reading ---- */

static bool read_point(const json_t *o, uint32_t i, struct sweep_file_point *p, struct err *e)
{
    char where[40];
    snprintf(where, sizeof where, "point %u", i);
    if (!json_is_object(o))
        return err_set(e, ERR_INPUT, "%s is %s, expected an object", where, json_type_name(o));
    return json_need_str(o, "criterion", where, &p->criterion, e) &&
           json_opt_str(o, "type", where, &p->type, e) && json_opt_f64(o, "ratio", where, &p->ratio, e) &&
           json_opt_f64(o, "kl_to_best", where, &p->to_best, e) &&
           json_opt_f64(o, "kl_to_best_stderr", where, &p->to_best_stderr, e) &&
           json_need_u64(o, "n_keep", where, &p->n_keep, e) &&
           json_opt_u64(o, "bytes", where, 0, &p->bytes, e) && eval_get_against(o, where, &p->r, e);
}

/* Of a file from before there was "pass". */
static bool read_limits(struct sweep_file *f, struct err *e)
{
    static const struct {
        const char *key;
        enum pass_which which;
    } keys[] = {{"max_ppl_increase", PASS_PPL_INCREASE}, {"max_kl", PASS_KL}};
    json_t *limits;
    if (!json_opt_obj(f->doc, "limits", "file", &limits, e))
        return false;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        double v;
        if (!json_opt_f64(limits, keys[i].key, "limits", &v, e))
            return false;
        if (!isnan(v))
            pass_ask(&f->pass, keys[i].which, v);
    }
    return true;
}

static bool read_head(struct sweep_file *f, struct err *e)
{
    json_t *base, *pass, *model;
    uint64_t chosen;
    if (!json_opt_obj(f->doc, "model", "file", &model, e) ||
        !json_opt_str(f->doc, "stats", "file", &f->stats, e) ||
        !json_opt_str(f->doc, "stats_sha256", "file", &f->stats_sha256, e) ||
        !json_opt_u64(f->doc, "ctx", "file", 0, &f->n_ctx, e) ||
        !json_opt_u64(f->doc, "n_scored", "file", 0, &f->n_scored, e) ||
        !json_opt_obj(f->doc, "base", "file", &base, e) ||
        !json_opt_u64(base, "n_experts", "base", 0, &f->n_experts, e) ||
        !json_opt_u64(base, "bytes", "base", 0, &f->bytes, e) ||
        !json_opt_f64(base, "ppl", "base", &f->ppl, e) ||
        !json_opt_f64(base, "ppl_stderr", "base", &f->ppl_stderr, e) ||
        !json_opt_obj(f->doc, "pass", "file", &pass, e) || !pass_read(pass, "pass", &f->pass, e) ||
        (!pass && !read_limits(f, e)) || !json_opt_u64(f->doc, "fit", "file", 0, &f->fit, e) ||
        !json_opt_u64(f->doc, "chosen", "file", UINT64_MAX, &chosen, e))
        return false;
    f->model = model;
    f->chosen = (int64_t)chosen; /* UINT64_MAX: -1 */
    return true;
}

static bool read_file(struct sweep_file *f, struct err *e)
{
    json_t *points;
    if (!results_schema(f->doc, SCHEMA, e) || !read_head(f, e) ||
        !json_need_arr(f->doc, "points", "file", &points, e) ||
        !(f->points = mem_try(json_array_size(points), sizeof *f->points, "the points", e)))
        return false;
    for (; f->n_points < json_array_size(points); f->n_points++)
        if (!read_point(json_array_get(points, f->n_points), f->n_points, &f->points[f->n_points], e))
            return false;
    return f->chosen < (int64_t)f->n_points ||
           err_set(e, ERR_INPUT, "'chosen' is %lld, there are %u points", (long long)f->chosen, f->n_points);
}

bool sweep_read(const char *path, struct sweep_file *f, struct err *e)
{
    *f = (struct sweep_file){.doc = json_read(path, e)};
    if (!f->doc)
        return false;
    if (read_file(f, e))
        return true;
    sweep_file_clear(f);
    return err_ctx(e, "%s", path);
}

void sweep_file_clear(struct sweep_file *f)
{
    free(f->points);
    json_decref(f->doc);
    *f = (struct sweep_file){0};
}
