/* compare.c - see compare.h. */
#include "results/compare.h"
#include "base/mem.h"
#include "results/results_part.h"

#include <math.h>
#include <string.h>

#define SCHEMA "reap.compare/1"

bool compare_calls(const struct compare_row *r)
{
    return r->base.n_calls || r->pruned.n_calls || r->base.fit != CALLS_NOT_CHECKED ||
           r->pruned.fit != CALLS_NOT_CHECKED;
}

/* ---- writing ---- */

static json_t *rate_json(const struct compare_rate *r)
{
    json_t *o = json_object();
    json_object_set_new(o, "count", json_integer((json_int_t)r->count));
    json_object_set_new(o, "rate", json_real(r->rate));
    json_object_set_new(o, "low", json_real(r->low));
    json_object_set_new(o, "high", json_real(r->high));
    return o;
}

static json_t *count_json(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *calling_json(const struct compare_sums *t)
{
    json_t *o = json_object();
    json_object_set_new(o, "answers", rate_json(&t->calling));
    json_object_set_new(o, "n_calls", count_json(t->n_calls));
    json_object_set_new(o, "no_json", count_json(t->n_no_json));
    json_object_set_new(o, "unknown_tool", count_json(t->n_unknown));
    json_object_set_new(o, "n_checked", count_json(t->n_checked));
    if (t->n_checked)
        json_object_set_new(o, "fit", rate_json(&t->fit));
    return o;
}

static json_t *sums_json(const struct compare_sums *t, bool calls)
{
    json_t *o = json_object();
    json_object_set_new(o, "endless", rate_json(&t->endless));
    json_object_set_new(o, "loops", rate_json(&t->loops));
    json_object_set_new(o, "malformed", count_json(t->n_malformed));
    json_object_set_new(o, "repeat_share", json_finite(t->repeat_share));
    json_object_set_new(o, "words", json_finite(t->words));
    json_object_set_new(o, "tokens", json_finite(t->tokens));
    json_object_set_new(o, "tokens_per_second", json_finite(t->tokens_per_second));
    json_object_set_new(o, "first_token_seconds", json_finite(t->first_token));
    if (calls)
        json_object_set_new(o, "calls", calling_json(t));
    return o;
}

static json_t *total_json(const struct compare_total *t)
{
    json_t *o = json_object();
    json_object_set_new(o, "n", json_integer((json_int_t)t->n));
    json_object_set_new(o, "exact", rate_json(&t->exact));
    json_object_set_new(o, "similarity_mean", json_real(t->similarity_mean));
    json_object_set_new(o, "similarity_median", json_real(t->similarity_median));
    if (t->n_calling) {
        json_t *x = json_object();
        json_object_set_new(x, "n", count_json(t->n_calling));
        json_object_set_new(x, "same_names", rate_json(&t->same_names));
        json_object_set_new(x, "same_arguments", rate_json(&t->same_arguments));
        json_object_set_new(o, "calls", x);
    }
    json_object_set_new(o, "base", sums_json(&t->base, t->n_calling));
    json_object_set_new(o, "pruned", sums_json(&t->pruned, t->n_calling));
    return o;
}

static json_t *or_null(const json_t *v)
{
    return v ? json_incref((json_t *)(uintptr_t)v) : json_null();
}

static void put_value(json_t *o, const char *key, const json_t *v)
{
    if (v)
        json_object_set_new(o, key, or_null(v));
}

static void put_side_calls(json_t *o, const struct compare_side *s)
{
    json_object_set_new(o, "n_calls", count_json(s->n_calls));
    json_object_set_new(o, "no_json", count_json(s->n_no_json));
    json_object_set_new(o, "unknown_tool", count_json(s->n_unknown));
    if (s->fit != CALLS_NOT_CHECKED)
        json_object_set_new(o, "fit", json_boolean(s->fit == CALLS_FIT));
}

static json_t *side_json(const struct compare_side *s, bool texts)
{
    json_t *o = json_object();
    if (texts) {
        json_object_set_new(o, "response", json_string(s->response));
        json_put_text(o, "reasoning", s->reasoning);
        json_put_text(o, "refusal", s->refusal);
        put_value(o, "tool_calls", s->tool_calls);
        put_value(o, "function_call", s->function_call);
    }
    json_object_set_new(o, "finish_reason", json_string(s->finish));
    json_object_set_new(o, "words", json_integer((json_int_t)s->n_words));
    json_object_set_new(o, "tokens", json_finite(s->tokens));
    json_object_set_new(o, "tokens_per_second", json_finite(s->tokens_per_second));
    json_object_set_new(o, "first_token_seconds", json_finite(s->first_token));
    json_object_set_new(o, "endless", json_boolean(s->endless));
    if (s->malformed)
        json_object_set_new(o, "malformed", json_true());
    json_object_set_new(o, "repeat_share", json_real(s->repeat_share));
    json_object_set_new(o, "loop_period", json_integer((json_int_t)s->loop_period));
    json_object_set_new(o, "loop_copies", json_integer((json_int_t)s->loop_copies));
    json_object_set_new(o, "loop_unit", json_string(s->loop_by_characters ? "characters" : "words"));
    if (s->n_calls || s->fit != CALLS_NOT_CHECKED)
        put_side_calls(o, s);
    return o;
}

static json_t *row_json(const struct compare_row *r, bool texts)
{
    json_t *o = json_object();
    json_object_set_new(o, "id", json_string(r->id));
    json_object_set_new(o, "category", r->category ? json_string(r->category) : json_null());
    json_object_set_new(o, "repeat", json_integer((json_int_t)r->repeat));
    if (texts) {
        json_object_set_new(o, "prompt", json_string(r->prompt));
        put_value(o, "messages", r->messages);
    }
    json_object_set_new(o, "exact", json_boolean(r->exact));
    json_object_set_new(o, "similarity", json_real(r->similarity));
    json_object_set_new(o, "common_prefix_words", json_integer((json_int_t)r->common_prefix));
    if (compare_calls(r)) {
        json_object_set_new(o, "same_names", json_boolean(r->same_names));
        json_object_set_new(o, "same_arguments", json_boolean(r->same_arguments));
    }
    json_object_set_new(o, "base", side_json(&r->base, texts));
    json_object_set_new(o, "pruned", side_json(&r->pruned, texts));
    return o;
}

static json_t *input_json(const struct compare_input *x)
{
    json_t *o = json_object();
    json_object_set_new(o, "file", json_text(x->file));
    json_object_set_new(o, "model", or_null(x->model));
    json_object_set_new(o, "parameters", or_null(x->parameters));
    return o;
}

json_t *compare_json(const struct compare_file *f, bool texts)
{
    json_t *o = json_object(), *rows = json_array(), *categories = json_array();
    for (uint32_t i = 0; i < f->n_categories; i++) {
        const char *name = f->categories[i].category;
        json_t *x = total_json(&f->categories[i]);
        json_object_set_new(x, "category", name ? json_string(name) : json_null());
        json_array_append_new(categories, x);
    }
    for (uint64_t i = 0; i < f->n_rows; i++)
        json_array_append_new(rows, row_json(&f->rows[i], texts));
    json_object_set_new(o, "schema", json_string(SCHEMA));
    json_object_set_new(o, "base", input_json(&f->base));
    json_object_set_new(o, "pruned", input_json(&f->pruned));
    json_object_set_new(o, "n_only_base", json_integer((json_int_t)f->n_only_base));
    json_object_set_new(o, "n_only_pruned", json_integer((json_int_t)f->n_only_pruned));
    json_object_set_new(o, "total", total_json(&f->total));
    put_value(o, "schema_ignored", f->ignored);
    json_object_set_new(o, "categories", categories);
    json_object_set_new(o, "rows", rows);
    return o;
}

bool compare_write(const char *path, const struct compare_file *f, bool force, struct err *e)
{
    json_t *o = compare_json(f, true);
    bool ok = json_write(path, o, force, e);
    json_decref(o);
    return ok;
}

/* ---- reading ---- */

static bool read_rate(const json_t *o, const char *key, const char *where, struct compare_rate *r,
                      struct err *e)
{
    json_t *x;
    return json_opt_obj(o, key, where, &x, e) && json_opt_u64(x, "count", key, 0, &r->count, e) &&
           json_opt_f64(x, "rate", key, &r->rate, e) && json_opt_f64(x, "low", key, &r->low, e) &&
           json_opt_f64(x, "high", key, &r->high, e);
}

static bool read_calling(const json_t *sums, const char *key, struct compare_sums *s, struct err *e)
{
    json_t *o;
    return json_opt_obj(sums, "calls", key, &o, e) && read_rate(o, "answers", key, &s->calling, e) &&
           json_opt_u64(o, "n_calls", key, 0, &s->n_calls, e) &&
           json_opt_u64(o, "no_json", key, 0, &s->n_no_json, e) &&
           json_opt_u64(o, "unknown_tool", key, 0, &s->n_unknown, e) &&
           json_opt_u64(o, "n_checked", key, 0, &s->n_checked, e) && read_rate(o, "fit", key, &s->fit, e);
}

static bool read_sums(const json_t *t, const char *key, struct compare_sums *s, struct err *e)
{
    json_t *o;
    return json_opt_obj(t, key, "total", &o, e) && read_rate(o, "endless", key, &s->endless, e) &&
           read_rate(o, "loops", key, &s->loops, e) &&
           json_opt_u64(o, "malformed", key, 0, &s->n_malformed, e) &&
           json_opt_f64(o, "repeat_share", key, &s->repeat_share, e) &&
           json_opt_f64(o, "words", key, &s->words, e) && json_opt_f64(o, "tokens", key, &s->tokens, e) &&
           json_opt_f64(o, "tokens_per_second", key, &s->tokens_per_second, e) &&
           json_opt_f64(o, "first_token_seconds", key, &s->first_token, e) && read_calling(o, key, s, e);
}

static bool read_total(const json_t *doc, struct compare_total *t, struct err *e)
{
    json_t *o, *calls;
    return json_need_obj(doc, "total", "file", &o, e) && json_need_u64(o, "n", "total", &t->n, e) &&
           read_rate(o, "exact", "total", &t->exact, e) &&
           json_opt_f64(o, "similarity_mean", "total", &t->similarity_mean, e) &&
           json_opt_f64(o, "similarity_median", "total", &t->similarity_median, e) &&
           json_opt_obj(o, "calls", "total", &calls, e) &&
           json_opt_u64(calls, "n", "calls", 0, &t->n_calling, e) &&
           read_rate(calls, "same_names", "calls", &t->same_names, e) &&
           read_rate(calls, "same_arguments", "calls", &t->same_arguments, e) &&
           read_sums(o, "base", &t->base, e) && read_sums(o, "pruned", &t->pruned, e);
}

static bool read_side_calls(const json_t *o, const char *at, struct compare_side *s, struct err *e)
{
    json_t *list, *old;
    bool fit;
    if (!json_opt_arr(o, "tool_calls", at, &list, e) || !json_opt_obj(o, "function_call", at, &old, e) ||
        !json_opt_str(o, "refusal", at, &s->refusal, e) ||
        !json_opt_u64(o, "n_calls", at, 0, &s->n_calls, e) ||
        !json_opt_u64(o, "no_json", at, 0, &s->n_no_json, e) ||
        !json_opt_u64(o, "unknown_tool", at, 0, &s->n_unknown, e) || !json_opt_bool(o, "fit", at, &fit, e))
        return false;
    s->tool_calls = list;
    s->function_call = old;
    s->fit = !json_object_get(o, "fit") ? CALLS_NOT_CHECKED : fit ? CALLS_FIT : CALLS_UNFIT;
    return true;
}

static bool read_side(const json_t *row, const char *key, const char *where, struct compare_side *s,
                      struct err *e)
{
    json_t *o;
    char at[96];
    const char *unit;
    snprintf(at, sizeof at, "%s.%s", where, key);
    bool ok = json_need_obj(row, key, where, &o, e) && json_opt_str(o, "response", at, &s->response, e) &&
              json_opt_str(o, "reasoning", at, &s->reasoning, e) &&
              json_opt_str(o, "finish_reason", at, &s->finish, e) &&
              json_opt_u64(o, "words", at, 0, &s->n_words, e) &&
              json_opt_f64(o, "tokens", at, &s->tokens, e) &&
              json_opt_f64(o, "tokens_per_second", at, &s->tokens_per_second, e) &&
              json_opt_f64(o, "first_token_seconds", at, &s->first_token, e) &&
              json_opt_bool(o, "endless", at, &s->endless, e) &&
              json_opt_bool(o, "malformed", at, &s->malformed, e) &&
              json_opt_f64(o, "repeat_share", at, &s->repeat_share, e) &&
              json_opt_u64(o, "loop_period", at, 0, &s->loop_period, e) &&
              json_opt_u64(o, "loop_copies", at, 0, &s->loop_copies, e) &&
              json_opt_str(o, "loop_unit", at, &unit, e) && read_side_calls(o, at, s, e);
    if (ok)
        s->loop_by_characters = unit && !strcmp(unit, "characters");
    return ok;
}

static bool read_row(const json_t *o, size_t i, struct compare_row *r, struct err *e)
{
    char where[64];
    json_t *messages;
    snprintf(where, sizeof where, "row %zu", i);
    if (!json_is_object(o))
        return err_set(e, ERR_INPUT, "%s is %s, expected an object", where, json_type_name(o));
    if (!json_opt_arr(o, "messages", where, &messages, e))
        return false;
    r->messages = messages;
    return json_need_str(o, "id", where, &r->id, e) && json_opt_str(o, "category", where, &r->category, e) &&
           json_opt_str(o, "prompt", where, &r->prompt, e) &&
           json_opt_u64(o, "repeat", where, 0, &r->repeat, e) &&
           json_opt_bool(o, "exact", where, &r->exact, e) &&
           json_opt_bool(o, "same_names", where, &r->same_names, e) &&
           json_opt_bool(o, "same_arguments", where, &r->same_arguments, e) &&
           json_opt_f64(o, "similarity", where, &r->similarity, e) &&
           json_opt_u64(o, "common_prefix_words", where, 0, &r->common_prefix, e) &&
           read_side(o, "base", where, &r->base, e) && read_side(o, "pruned", where, &r->pruned, e);
}

static bool read_file(struct compare_file *f, struct err *e)
{
    json_t *rows;
    if (!results_schema(f->doc, SCHEMA, e) || !read_total(f->doc, &f->total, e) ||
        !json_opt_u64(f->doc, "n_only_base", "file", 0, &f->n_only_base, e) ||
        !json_opt_u64(f->doc, "n_only_pruned", "file", 0, &f->n_only_pruned, e) ||
        !json_need_arr(f->doc, "rows", "file", &rows, e) ||
        !(f->rows = mem_try(json_array_size(rows), sizeof *f->rows, "the rows", e)))
        return false;
    f->n_rows = json_array_size(rows);
    for (size_t i = 0; i < f->n_rows; i++) {
        if (!read_row(json_array_get(rows, i), i, &f->rows[i], e))
            return false;
    }
    return true;
}

bool compare_read(const char *path, struct compare_file *f, struct err *e)
{
    *f = (struct compare_file){.doc = json_read(path, e)};
    if (!f->doc)
        return false;
    if (read_file(f, e))
        return true;
    compare_file_clear(f);
    return err_ctx(e, "%s", path);
}

void compare_file_clear(struct compare_file *f)
{
    free(f->categories);
    free(f->rows);
    json_decref(f->ignored);
    json_decref(f->doc);
    *f = (struct compare_file){0};
}
