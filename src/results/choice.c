/* choice.c - see choice.h. */
#include "results/choice.h"
#include "base/mem.h"
#include "results/results_part.h"

#include <string.h>

#define SCHEMA "reap.choice/1"

/* ---- writing ---- */

static json_t *words_json(const char *const *v, uint32_t n)
{
    json_t *a = json_array();
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(a, json_text(v[i]));
    return a;
}

static json_t *value_json(const struct choice_value *v)
{
    json_t *o = json_object();
    json_object_set_new(o, "mean", json_finite(v->mean));
    json_object_set_new(o, "stderr", json_finite(v->stderr_mean));
    return o;
}

static json_t *row_json(const struct choice_file_row *r)
{
    json_t *o = json_object(), *kl = value_json(&r->kl);
    json_object_set_new(o, "criteria", words_json(r->criteria, r->n_criteria));
    json_object_set_new(kl, "worst", json_finite(r->worst));
    json_put_text(kl, "worst_category", r->worst_category);
    json_object_set_new(o, "kl", kl);
    json_object_set_new(o, "ppl_ratio", json_finite(r->ppl_ratio));
    json_object_set_new(o, "difference", value_json(&r->diff));
    json_object_set_new(o, "tie", json_boolean(r->tie));
    return o;
}

json_t *choice_json(const struct choice_file *f)
{
    json_t *o = json_object(), *rows = json_array();
    json_object_set_new(o, "schema", json_string(SCHEMA));
    json_object_set_new(o, "measured_on", json_string(f->text ? "text" : "set_aside"));
    json_object_set_new(o, "ctx", json_integer((json_int_t)f->n_ctx));
    json_object_set_new(o, "n_scored", json_integer((json_int_t)f->n_scored));
    json_object_set_new(o, "n_windows", json_integer((json_int_t)f->n_windows));
    json_object_set_new(o, "n_windows_of", json_integer((json_int_t)f->n_windows_of));
    json_object_set_new(o, "n_keep", json_integer((json_int_t)f->n_keep));
    json_object_set_new(o, "n_experts", json_integer((json_int_t)f->n_experts));
    json_object_set_new(o, "categories", words_json(f->categories, f->n_categories));
    for (uint32_t i = 0; i < f->n_rows; i++)
        json_array_append_new(rows, row_json(&f->rows[i]));
    json_object_set_new(o, "rows", rows);
    json_object_set_new(o, "lowest", json_integer(f->lowest));
    json_object_set_new(o, "chosen", json_integer(f->chosen));
    return o;
}

/* ---- reading ---- */

bool choice_is(const json_t *doc)
{
    const char *is = json_string_value(json_object_get(doc, "schema"));
    return is && !strcmp(is, SCHEMA);
}

/* A list of strings; *v owned, the strings borrowed. */
static bool read_words(const json_t *o, const char *key, const char *where, const char *const **v,
                       uint32_t *n, struct err *e)
{
    json_t *a;
    if (!json_need_arr(o, key, where, &a, e))
        return false;
    const char **list = mem_try(json_array_size(a), sizeof *list, key, e);
    *v = list;
    for (*n = 0; list && *n < json_array_size(a); ++*n)
        if (!(list[*n] = json_string_value(json_array_get(a, *n))))
            return err_set(e, ERR_INPUT, "%s: '%s' has %s, expected strings", where, key,
                           json_type_name(json_array_get(a, *n)));
    return list != NULL;
}

static bool read_value(const json_t *o, const char *key, const char *where, struct choice_value *v,
                       json_t **x, struct err *e)
{
    return json_need_obj(o, key, where, x, e) && json_opt_f64(*x, "mean", where, &v->mean, e) &&
           json_opt_f64(*x, "stderr", where, &v->stderr_mean, e);
}

static bool read_row(const json_t *o, uint32_t i, struct choice_file_row *r, struct err *e)
{
    char where[40];
    json_t *kl, *diff;
    snprintf(where, sizeof where, "row %u", i);
    if (!json_is_object(o))
        return err_set(e, ERR_INPUT, "%s is %s, expected an object", where, json_type_name(o));
    return read_words(o, "criteria", where, &r->criteria, &r->n_criteria, e) &&
           (r->n_criteria || err_set(e, ERR_INPUT, "%s has no criterion", where)) &&
           read_value(o, "kl", where, &r->kl, &kl, e) && json_opt_f64(kl, "worst", where, &r->worst, e) &&
           json_opt_str(kl, "worst_category", where, &r->worst_category, e) &&
           json_opt_f64(o, "ppl_ratio", where, &r->ppl_ratio, e) &&
           read_value(o, "difference", where, &r->diff, &diff, e) &&
           json_opt_bool(o, "tie", where, &r->tie, e);
}

static bool read_head(const json_t *doc, struct choice_file *f, struct err *e)
{
    const char *on;
    if (!json_opt_str(doc, "measured_on", "choice", &on, e) ||
        !json_opt_u64(doc, "ctx", "choice", 0, &f->n_ctx, e) ||
        !json_opt_u64(doc, "n_scored", "choice", 0, &f->n_scored, e) ||
        !json_opt_u64(doc, "n_windows", "choice", 0, &f->n_windows, e) ||
        !json_opt_u64(doc, "n_windows_of", "choice", 0, &f->n_windows_of, e) ||
        !json_opt_u64(doc, "n_keep", "choice", 0, &f->n_keep, e) ||
        !json_opt_u64(doc, "n_experts", "choice", 0, &f->n_experts, e) ||
        !read_words(doc, "categories", "choice", &f->categories, &f->n_categories, e))
        return false;
    f->text = on && !strcmp(on, "text");
    return true;
}

static bool read_all(const json_t *doc, struct choice_file *f, struct err *e)
{
    json_t *rows;
    uint64_t lowest, chosen;
    if (!results_schema(doc, SCHEMA, e) || !read_head(doc, f, e) ||
        !json_need_arr(doc, "rows", "choice", &rows, e) ||
        !json_need_u64(doc, "lowest", "choice", &lowest, e) ||
        !json_need_u64(doc, "chosen", "choice", &chosen, e) ||
        !(f->rows = mem_try(json_array_size(rows), sizeof *f->rows, "the rows", e)))
        return false;
    for (; f->n_rows < json_array_size(rows); f->n_rows++)
        if (!read_row(json_array_get(rows, f->n_rows), f->n_rows, &f->rows[f->n_rows], e)) {
            f->n_rows++; /* what it has so far is cleared, too */
            return false;
        }
    if (lowest >= f->n_rows || chosen >= f->n_rows)
        return err_set(e, ERR_INPUT, "'lowest' is %llu, 'chosen' %llu, there are %u rows",
                       (unsigned long long)lowest, (unsigned long long)chosen, f->n_rows);
    f->lowest = (uint32_t)lowest;
    f->chosen = (uint32_t)chosen;
    return true;
}

bool choice_read(const json_t *doc, struct choice_file *f, struct err *e)
{
    *f = (struct choice_file){0};
    if (read_all(doc, f, e))
        return true;
    choice_file_clear(f);
    return false;
}

void choice_file_clear(struct choice_file *f)
{
    for (uint32_t i = 0; i < f->n_rows; i++)
        free((void *)(uintptr_t)f->rows[i].criteria);
    free(f->rows);
    free((void *)(uintptr_t)f->categories);
    *f = (struct choice_file){0};
}
