/* runs.c - see runs.h. */
#include "results/runs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sig.h"
#include "results/measure.h"

#include <math.h>
#include <string.h>

/* ---- pairs ---- */

struct entry { /* an answer of the pruned model, sorted */
    const struct batch_answer *a;
    bool used;
};

static int by_id(const void *a, const void *b)
{
    const struct batch_answer *x = ((const struct entry *)a)->a, *y = ((const struct entry *)b)->a;
    int c = strcmp(x->id, y->id);
    return c ? c : (x->repeat > y->repeat) - (x->repeat < y->repeat);
}

/* Answered results, sorted by id and repetition; two of the same are an error. */
static struct entry *index_of(const struct batch_file *f, const char *path, uint64_t *n, struct err *e)
{
    struct entry *v = mem_try(f->n, sizeof *v, "the answers", e);
    *n = 0;
    for (uint64_t i = 0; v && i < f->n; i++)
        if (f->v[i].ok)
            v[(*n)++] = (struct entry){&f->v[i], false};
    if (v)
        qsort(v, *n, sizeof *v, by_id);
    for (uint64_t i = 1; v && i < *n; i++)
        if (by_id(&v[i - 1], &v[i]) == 0) {
            err_set(e, ERR_INPUT, "%s: two answers to '%s', repetition %lld", path, v[i].a->id,
                    (long long)v[i].a->repeat);
            free(v);
            return NULL;
        }
    return v;
}

/* ---- one side, one row ---- */

/* What cannot be is not known. */
static double known(double v)
{
    return v >= 0 ? v : (double)NAN;
}

static double tokens_of(const struct batch_answer *a)
{
    return known((double)(a->completion_tokens >= 0 ? a->completion_tokens : a->response_tokens));
}

/* All that the model wrote. */
static char *whole_text(const struct compare_side *s)
{
    return s->reasoning ? xasprintf("%s\n\n%s", s->reasoning, s->response) : xstrdup(s->response);
}

static void fill_side(struct compare_side *s, const struct batch_answer *a, struct words *w, char **text)
{
    *s = (struct compare_side){.response = a->response,
                               .reasoning = a->reasoning,
                               .finish = a->finish,
                               .tokens = tokens_of(a),
                               .tokens_per_second = known(a->tokens_per_second),
                               .first_token = known(a->first_token)};
    *text = whole_text(s);
    words_split(w, *text);
    s->n_words = w->n_all;
    s->endless = !strcmp(s->finish, "length");
    struct loops l = measure_loops(w, *text, s->endless);
    s->repeat_share = l.repeat_share;
    s->loop_period = l.period;
    s->loop_copies = l.copies;
    s->loop_by_characters = l.by_characters;
}

static const char *last_content(const json_t *messages)
{
    const json_t *last = json_array_get(messages, json_array_size(messages) - 1);
    const char *s = json_string_value(json_object_get(last, "content"));
    return s ? s : "";
}

static void fill_row(struct compare_row *r, const struct batch_answer *base,
                     const struct batch_answer *pruned)
{
    struct words a, b;
    char *x, *y;
    *r = (struct compare_row){.id = base->id,
                              .category = base->category,
                              .prompt = last_content(base->messages),
                              .repeat = base->repeat};
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

/* The mean over the rows of those that are known. */
struct mean {
    double sum;
    uint64_t n;
};

struct side_sums {
    uint64_t n_endless, n_loops;
    struct mean words, tokens, tokens_per_second, first_token, repeat_share;
};

static void add_mean(struct mean *m, double v)
{
    if (isnan(v))
        return;
    m->sum += v;
    m->n++;
}

static double mean_of(const struct mean *m)
{
    return m->n ? m->sum / (double)m->n : (double)NAN;
}

static void add_side(struct side_sums *t, const struct compare_side *s)
{
    t->n_endless += s->endless;
    t->n_loops += s->loop_period > 0;
    add_mean(&t->words, (double)s->n_words);
    add_mean(&t->tokens, s->tokens);
    add_mean(&t->tokens_per_second, s->tokens_per_second);
    add_mean(&t->first_token, s->first_token);
    add_mean(&t->repeat_share, s->repeat_share);
}

static struct compare_rate rate_of(uint64_t k, uint64_t n)
{
    struct interval w = wilson(k, n);
    return (struct compare_rate){k, w.rate, w.low, w.high};
}

static struct compare_sums sums_of(const struct side_sums *t, uint64_t n)
{
    return (struct compare_sums){.endless = rate_of(t->n_endless, n),
                                 .loops = rate_of(t->n_loops, n),
                                 .repeat_share = mean_of(&t->repeat_share),
                                 .words = mean_of(&t->words),
                                 .tokens = mean_of(&t->tokens),
                                 .tokens_per_second = mean_of(&t->tokens_per_second),
                                 .first_token = mean_of(&t->first_token)};
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
static void fill_total(const struct compare_file *c, struct compare_total *t, bool all)
{
    double *v = xcalloc(c->n_rows + 1, sizeof *v), sum = 0;
    struct side_sums base = {0}, pruned = {0};
    uint64_t n_exact = 0;
    for (uint64_t i = 0; i < c->n_rows; i++) {
        const struct compare_row *r = &c->rows[i];
        if (!all && !same_category(r->category, t->category))
            continue;
        v[t->n++] = r->similarity;
        sum += r->similarity;
        n_exact += r->exact;
        add_side(&base, &r->base);
        add_side(&pruned, &r->pruned);
    }
    qsort(v, t->n, sizeof *v, by_value);
    if (t->n) {
        t->similarity_mean = sum / (double)t->n;
        t->similarity_median = (v[(t->n - 1) / 2] + v[t->n / 2]) / 2;
    }
    t->exact = rate_of(n_exact, t->n);
    t->base = sums_of(&base, t->n);
    t->pruned = sums_of(&pruned, t->n);
    free(v);
}

static void fill_totals(struct compare_file *c)
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
        c->categories[k] = (struct compare_total){.category = c->rows[i].category};
        fill_total(c, &c->categories[k], false);
        c->n_categories++;
    }
}

/* ---- both files ---- */

static void warn_differences(const struct batch_head *a, const struct batch_head *b)
{
    const bool same[] = {a->parameters && b->parameters && json_equal(a->parameters, b->parameters),
                         a->endpoint && b->endpoint && !strcmp(a->endpoint, b->endpoint)};
    static const char *const what[] = {"parameters", "endpoint"};
    for (size_t i = 0; i < 2; i++)
        if (!same[i])
            log_warn("the two files were made with different '%s': differences may come from there", what[i]);
}

static bool pair_up(struct runs *c, struct entry *v, uint64_t n, struct err *e)
{
    struct compare_file *f = &c->result;
    f->rows = mem_try(c->base.n, sizeof *f->rows, "the rows", e);
    bool ok = f->rows != NULL;
    for (uint64_t i = 0; ok && i < c->base.n; i++) {
        const struct batch_answer *x = &c->base.v[i];
        struct entry want = {x, false}, *hit = x->ok ? bsearch(&want, v, n, sizeof *v, by_id) : NULL;
        if (!sig_check(e))
            ok = false;
        else if (hit && strcmp(x->prompt_sha256, hit->a->prompt_sha256) != 0)
            ok = err_set(e, ERR_INPUT, "the messages of '%s' are not the same in %s and %s", x->id,
                         f->base.file, f->pruned.file);
        else if (hit)
            fill_row(&f->rows[f->n_rows++], x, hit->a);
        else
            f->n_only_base += x->ok;
        if (hit)
            hit->used = true;
    }
    for (uint64_t i = 0; i < n; i++)
        f->n_only_pruned += !v[i].used;
    return ok;
}

static struct compare_input input_of(const char *path, const struct batch_head *h)
{
    return (struct compare_input){path, h->model, h->parameters};
}

struct runs *runs_open(const char *base, const char *pruned, struct err *e)
{
    struct runs *c = xcalloc(1, sizeof *c);
    struct entry *a = NULL, *b = NULL;
    uint64_t n_a, n_b;
    bool ok = batch_read(base, &c->base, e) && batch_read(pruned, &c->pruned, e);
    if (ok) {
        c->result.base = input_of(base, &c->base.head);
        c->result.pruned = input_of(pruned, &c->pruned.head);
    }
    ok = ok && (a = index_of(&c->base, base, &n_a, e)) && (b = index_of(&c->pruned, pruned, &n_b, e)) &&
         pair_up(c, b, n_b, e);
    if (ok && !c->result.n_rows)
        ok = err_set(e, ERR_INPUT, "no prompt is answered in both %s and %s", base, pruned);
    if (ok) {
        warn_differences(&c->base.head, &c->pruned.head);
        fill_totals(&c->result);
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
    compare_file_clear(&c->result);
    batch_file_clear(&c->base);
    batch_file_clear(&c->pruned);
    free(c);
}
