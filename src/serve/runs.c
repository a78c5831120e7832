/* runs.c - see runs.h. */
#include "serve/runs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sig.h"
#include "serve/batch.h"

#include <string.h>

/* ---- pairs ---- */

struct entry { /* an answer of the pruned model, sorted */
    const char *id;
    json_int_t repeat;
    const json_t *result;
    bool used;
};

static const char *str(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static json_int_t repeat_of(const json_t *o)
{
    return json_integer_value(json_object_get(o, "repeat"));
}

static bool is_answered(const json_t *o)
{
    return !strcmp(str(o, "status"), "ok");
}

static int by_id(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int c = strcmp(x->id, y->id);
    return c ? c : (x->repeat > y->repeat) - (x->repeat < y->repeat);
}

/* Answered results, sorted by id and repetition; two of the same are an error. */
static struct entry *index_of(const json_t *file, const char *path, uint64_t *n, struct err *e)
{
    const json_t *list = json_object_get(file, "results");
    struct entry *v = mem_try(json_array_size(list), sizeof *v, "the answers", e);
    *n = 0;
    for (size_t i = 0; v && i < json_array_size(list); i++) {
        const json_t *x = json_array_get(list, i);
        if (is_answered(x))
            v[(*n)++] = (struct entry){str(x, "id"), repeat_of(x), x, false};
    }
    if (v)
        qsort(v, *n, sizeof *v, by_id);
    for (uint64_t i = 1; v && i < *n; i++)
        if (by_id(&v[i - 1], &v[i]) == 0) {
            err_set(e, ERR_INPUT, "%s: two answers to '%s', repetition %lld", path, v[i].id,
                    (long long)v[i].repeat);
            free(v);
            return NULL;
        }
    return v;
}

/* ---- one side, one row ---- */

static double number(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) && json_number_value(v) >= 0 ? json_number_value(v) : -1;
}

static double tokens_of(const json_t *o)
{
    double n = number(o, "completion_tokens");
    return n >= 0 ? n : number(o, "response_tokens");
}

/* All that the model wrote. */
static char *whole_text(const struct runs_side *s)
{
    return s->reasoning ? xasprintf("%s\n\n%s", s->reasoning, s->response) : xstrdup(s->response);
}

static void fill_side(struct runs_side *s, const json_t *o, struct words *w, char **text)
{
    *s = (struct runs_side){.response = str(o, "response"),
                            .reasoning = str(o, "reasoning"),
                            .finish = str(o, "finish_reason"),
                            .tokens = tokens_of(o),
                            .tokens_per_second = number(o, "tokens_per_second"),
                            .first_token = number(o, "first_token_seconds")};
    *text = whole_text(s);
    words_split(w, *text);
    s->n_words = w->n_all;
    s->endless = !strcmp(s->finish, "length");
    s->loops = measure_loops(w, *text, s->endless);
}

static const char *last_content(const json_t *o)
{
    const json_t *m = json_object_get(o, "messages");
    const char *s = str(json_array_get(m, json_array_size(m) - 1), "content");
    return s ? s : "";
}

static void fill_row(struct runs_row *r, const json_t *base, const json_t *pruned)
{
    struct words a, b;
    char *x, *y;
    *r = (struct runs_row){.id = str(base, "id"),
                           .category = str(base, "category"),
                           .prompt = last_content(base),
                           .repeat = (uint64_t)repeat_of(base)};
    fill_side(&r->base, base, &a, &x);
    fill_side(&r->pruned, pruned, &b, &y);
    r->exact = !strcmp(x, y);
    r->similarity = measure_similarity(&a, &b);
    r->common_prefix = measure_common_prefix(&a, &b);
    words_clear(&a);
    words_clear(&b);
    free(x);
    free(y);
}

/* ---- totals ---- */

static void add_mean(struct runs_mean *m, double v)
{
    if (v < 0)
        return;
    m->sum += v;
    m->n++;
}

double runs_mean_of(const struct runs_mean *m)
{
    return m->n ? m->sum / (double)m->n : -1;
}

static void add_side(struct runs_sums *t, const struct runs_side *s)
{
    t->n_endless += s->endless;
    t->n_loops += s->loops.period > 0;
    add_mean(&t->words, (double)s->n_words);
    add_mean(&t->tokens, s->tokens);
    add_mean(&t->tokens_per_second, s->tokens_per_second);
    add_mean(&t->first_token, s->first_token);
    add_mean(&t->repeat_share, s->loops.repeat_share);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool same_category(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

/* all: of every row; else of those of t->category */
static void fill_total(const struct runs *c, struct runs_total *t, bool all)
{
    double *v = xcalloc(c->n_rows + 1, sizeof *v), sum = 0;
    for (uint64_t i = 0; i < c->n_rows; i++) {
        const struct runs_row *r = &c->rows[i];
        if (!all && !same_category(r->category, t->category))
            continue;
        v[t->n++] = r->similarity;
        sum += r->similarity;
        t->n_exact += r->exact;
        add_side(&t->base, &r->base);
        add_side(&t->pruned, &r->pruned);
    }
    qsort(v, t->n, sizeof *v, by_value);
    if (t->n) {
        t->similarity_mean = sum / (double)t->n;
        t->similarity_median = (v[(t->n - 1) / 2] + v[t->n / 2]) / 2;
    }
    free(v);
}

static void fill_totals(struct runs *c)
{
    uint32_t cap = 0;
    fill_total(c, &c->total, true);
    for (uint64_t i = 0; i < c->n_rows; i++) {
        uint32_t k = 0;
        while (k < c->n_categories && !same_category(c->categories[k].category, c->rows[i].category))
            k++;
        if (k < c->n_categories)
            continue;
        GROW(c->categories, c->n_categories, cap);
        c->categories[k] = (struct runs_total){.category = c->rows[i].category};
        fill_total(c, &c->categories[k], false);
        c->n_categories++;
    }
}

/* ---- both files ---- */

static void warn_differences(const struct runs *c)
{
    static const char *const keys[] = {"parameters", "endpoint"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!json_equal(json_object_get(c->base_file, keys[i]), json_object_get(c->pruned_file, keys[i])))
            log_warn("the two files were made with different '%s': differences may come from there", keys[i]);
}

static bool pair_up(struct runs *c, struct entry *v, uint64_t n, struct err *e)
{
    const json_t *list = json_object_get(c->base_file, "results");
    size_t n_base = json_array_size(list);
    c->rows = mem_try(n_base, sizeof *c->rows, "the rows", e);
    bool ok = c->rows != NULL;
    for (size_t i = 0; ok && i < n_base; i++) {
        const json_t *x = json_array_get(list, i);
        struct entry want = {str(x, "id"), repeat_of(x), NULL, false}, *hit;
        hit = is_answered(x) ? bsearch(&want, v, n, sizeof *v, by_id) : NULL;
        if (!sig_check(e))
            ok = false;
        else if (hit && strcmp(str(x, "prompt_sha256"), str(hit->result, "prompt_sha256")) != 0)
            ok = err_set(e, ERR_INPUT, "the messages of '%s' are not the same in %s and %s", want.id,
                         c->base_path, c->pruned_path);
        else if (hit)
            fill_row(&c->rows[c->n_rows++], x, hit->result);
        else
            c->n_only_base += is_answered(x);
        if (hit)
            hit->used = true;
    }
    for (uint64_t i = 0; i < n; i++)
        c->n_only_pruned += !v[i].used;
    return ok;
}

struct runs *runs_open(const char *base, const char *pruned, struct err *e)
{
    struct runs *c = xcalloc(1, sizeof *c);
    struct entry *a = NULL, *b = NULL;
    uint64_t n_a, n_b;
    c->base_path = xstrdup(base);
    c->pruned_path = xstrdup(pruned);
    bool ok = (c->base_file = batch_load(base, e)) && (c->pruned_file = batch_load(pruned, e)) &&
              (a = index_of(c->base_file, base, &n_a, e)) &&
              (b = index_of(c->pruned_file, pruned, &n_b, e)) && pair_up(c, b, n_b, e);
    if (ok && !c->n_rows)
        ok = err_set(e, ERR_INPUT, "no prompt is answered in both %s and %s", base, pruned);
    if (ok) {
        warn_differences(c);
        fill_totals(c);
    }
    free(a);
    free(b);
    if (ok)
        return c;
    runs_free(c);
    return NULL;
}

void runs_free(struct runs *c)
{
    if (!c)
        return;
    free(c->rows);
    free(c->categories);
    free(c->base_path);
    free(c->pruned_path);
    json_decref(c->base_file);
    json_decref(c->pruned_file);
    free(c);
}

/* ---- JSON ---- */

static json_t *rate_json(uint64_t k, uint64_t n)
{
    struct interval w = wilson(k, n);
    json_t *o = json_object();
    json_object_set_new(o, "count", json_integer((json_int_t)k));
    json_object_set_new(o, "rate", json_real(w.rate));
    json_object_set_new(o, "low", json_real(w.low));
    json_object_set_new(o, "high", json_real(w.high));
    return o;
}

static json_t *known(double v)
{
    return v >= 0 ? json_real(v) : json_null();
}

static json_t *sums_json(const struct runs_sums *t, uint64_t n)
{
    json_t *o = json_object();
    json_object_set_new(o, "endless", rate_json(t->n_endless, n));
    json_object_set_new(o, "loops", rate_json(t->n_loops, n));
    json_object_set_new(o, "repeat_share", known(runs_mean_of(&t->repeat_share)));
    json_object_set_new(o, "words", known(runs_mean_of(&t->words)));
    json_object_set_new(o, "tokens", known(runs_mean_of(&t->tokens)));
    json_object_set_new(o, "tokens_per_second", known(runs_mean_of(&t->tokens_per_second)));
    json_object_set_new(o, "first_token_seconds", known(runs_mean_of(&t->first_token)));
    return o;
}

static json_t *total_json(const struct runs_total *t)
{
    json_t *o = json_object();
    json_object_set_new(o, "n", json_integer((json_int_t)t->n));
    json_object_set_new(o, "exact", rate_json(t->n_exact, t->n));
    json_object_set_new(o, "similarity_mean", json_real(t->similarity_mean));
    json_object_set_new(o, "similarity_median", json_real(t->similarity_median));
    json_object_set_new(o, "base", sums_json(&t->base, t->n));
    json_object_set_new(o, "pruned", sums_json(&t->pruned, t->n));
    return o;
}

static json_t *side_json(const struct runs_side *s, bool texts)
{
    json_t *o = json_object();
    if (texts) {
        json_object_set_new(o, "response", json_string(s->response));
        if (s->reasoning)
            json_object_set_new(o, "reasoning", json_string(s->reasoning));
    }
    json_object_set_new(o, "finish_reason", json_string(s->finish));
    json_object_set_new(o, "words", json_integer((json_int_t)s->n_words));
    json_object_set_new(o, "tokens", known(s->tokens));
    json_object_set_new(o, "tokens_per_second", known(s->tokens_per_second));
    json_object_set_new(o, "first_token_seconds", known(s->first_token));
    json_object_set_new(o, "endless", json_boolean(s->endless));
    json_object_set_new(o, "repeat_share", json_real(s->loops.repeat_share));
    json_object_set_new(o, "loop_period", json_integer((json_int_t)s->loops.period));
    json_object_set_new(o, "loop_copies", json_integer((json_int_t)s->loops.copies));
    json_object_set_new(o, "loop_unit", json_string(s->loops.by_characters ? "characters" : "words"));
    return o;
}

static json_t *row_json(const struct runs_row *r, bool texts)
{
    json_t *o = json_object();
    json_object_set_new(o, "id", json_string(r->id));
    json_object_set_new(o, "category", r->category ? json_string(r->category) : json_null());
    json_object_set_new(o, "repeat", json_integer((json_int_t)r->repeat));
    if (texts)
        json_object_set_new(o, "prompt", json_string(r->prompt));
    json_object_set_new(o, "exact", json_boolean(r->exact));
    json_object_set_new(o, "similarity", json_real(r->similarity));
    json_object_set_new(o, "common_prefix_words", json_integer((json_int_t)r->common_prefix));
    json_object_set_new(o, "base", side_json(&r->base, texts));
    json_object_set_new(o, "pruned", side_json(&r->pruned, texts));
    return o;
}

static json_t *file_json(const json_t *file, const char *path)
{
    json_t *o = json_object(), *model = json_object_get(file, "model"),
           *parameters = json_object_get(file, "parameters");
    json_object_set_new(o, "file", json_text(path));
    json_object_set_new(o, "model", model ? json_incref(model) : json_null());
    json_object_set_new(o, "parameters", parameters ? json_incref(parameters) : json_null());
    return o;
}

json_t *runs_json(const struct runs *c, bool texts)
{
    json_t *o = json_object(), *rows = json_array(), *categories = json_array();
    for (uint32_t i = 0; i < c->n_categories; i++) {
        const struct runs_total *t = &c->categories[i];
        json_t *x = total_json(t);
        json_object_set_new(x, "category", t->category ? json_string(t->category) : json_null());
        json_array_append_new(categories, x);
    }
    for (uint64_t i = 0; i < c->n_rows; i++)
        json_array_append_new(rows, row_json(&c->rows[i], texts));
    json_object_set_new(o, "schema", json_string("reap.compare/1"));
    json_object_set_new(o, "base", file_json(c->base_file, c->base_path));
    json_object_set_new(o, "pruned", file_json(c->pruned_file, c->pruned_path));
    json_object_set_new(o, "n_only_base", json_integer((json_int_t)c->n_only_base));
    json_object_set_new(o, "n_only_pruned", json_integer((json_int_t)c->n_only_pruned));
    json_object_set_new(o, "total", total_json(&c->total));
    json_object_set_new(o, "categories", categories);
    json_object_set_new(o, "rows", rows);
    return o;
}
