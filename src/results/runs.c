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

/* The tokens of the response alone are those of the answer only where there is nothing else. */
static double tokens_of(const struct batch_answer *a)
{
    bool is_text = !a->reasoning && !a->refusal && !a->tool_calls && !a->function_call;
    return known((double)(a->completion_tokens >= 0 ? a->completion_tokens
                          : is_text                 ? a->response_tokens
                                                    : -1));
}

/* All that the model wrote besides calls. */
static void add_texts(struct buf *b, const struct compare_side *s)
{
    const char *const texts[] = {s->reasoning, s->response, s->refusal};
    buf_str(b, "");
    for (size_t i = 0; i < 3; i++)
        if (texts[i] && *texts[i]) {
            buf_str(b, b->n ? "\n\n" : "");
            buf_str(b, texts[i]);
        }
}

/* One answer, taken apart. */
struct parts {
    struct buf text;
    struct calls calls;
    struct words words; /* of the text, and of the calls: those of different functions have none in common */
};

static void fill_words(struct parts *p)
{
    words_split(&p->words, p->text.s);
    for (size_t i = 0; i < p->calls.n; i++) {
        const struct call *c = &p->calls.v[i];
        struct words name;
        words_split(&name, c->name);
        uint64_t kind = 1;
        for (uint64_t k = 0; k < name.n; k++)
            kind = kind * 31 + name.hash[k];
        words_add(&p->words, c->name, kind);
        words_add(&p->words, c->arguments, kind);
        words_clear(&name);
    }
}

/* A loop may be in the arguments of a call as well. */
static struct loops find_loops(const struct parts *p, bool cut)
{
    struct buf b = {0};
    struct words w;
    buf_str(&b, p->text.s);
    for (size_t i = 0; i < p->calls.n; i++)
        buf_fmt(&b, "\n%s %s", p->calls.v[i].name, p->calls.v[i].arguments);
    words_split(&w, b.s);
    struct loops l = measure_loops(&w, b.s, cut);
    words_clear(&w);
    buf_clear(&b);
    return l;
}

static void parts_clear(struct parts *p)
{
    buf_clear(&p->text);
    calls_clear(&p->calls);
    words_clear(&p->words);
}

static void fill_side(struct compare_side *s, const struct batch_answer *a, struct parts *p, json_t *ignored)
{
    *s = (struct compare_side){.response = a->response,
                               .reasoning = a->reasoning,
                               .refusal = a->refusal,
                               .tool_calls = a->tool_calls,
                               .function_call = a->function_call,
                               .finish = a->finish,
                               .tokens = tokens_of(a),
                               .tokens_per_second = known(a->tokens_per_second),
                               .first_token = known(a->first_token)};
    *p = (struct parts){0};
    add_texts(&p->text, s);
    calls_read(&p->calls, a->tool_calls, a->function_call);
    fill_words(p);
    s->n_words = p->words.n_all;
    s->endless = !strcmp(s->finish, "length");
    s->malformed = !strcmp(s->finish, BATCH_MALFORMED);
    struct loops l = find_loops(p, s->endless);
    s->repeat_share = l.repeat_share;
    s->loop_period = l.period;
    s->loop_copies = l.copies;
    s->loop_by_characters = l.by_characters;
    struct calls_check c = calls_check(&p->calls, a->parameters, ignored);
    s->n_calls = p->calls.n;
    s->n_no_json = c.n_no_json;
    s->n_unknown = c.n_unknown;
    s->fit = s->malformed && c.has_tools ? CALLS_UNFIT : c.fit;
}

static const char *last_content(const json_t *messages)
{
    const json_t *last = json_array_get(messages, json_array_size(messages) - 1);
    const char *s = json_string_value(json_object_get(last, "content"));
    return s ? s : "";
}

/* One message of text, which the prompt is. */
static bool is_plain(const json_t *messages)
{
    return json_array_size(messages) == 1 &&
           json_is_string(json_object_get(json_array_get(messages, 0), "content"));
}

static bool same_text(const char *a, const char *b)
{
    return !strcmp(a ? a : "", b ? b : "");
}

static void fill_row(struct compare_row *r, const struct batch_answer *base,
                     const struct batch_answer *pruned, json_t *ignored)
{
    struct parts a, b;
    *r = (struct compare_row){.id = base->id,
                              .category = base->category,
                              .prompt = last_content(base->messages),
                              .messages = is_plain(base->messages) ? NULL : base->messages,
                              .repeat = base->repeat};
    fill_side(&r->base, base, &a, ignored);
    fill_side(&r->pruned, pruned, &b, ignored);
    struct calls_agreement g = calls_compare(&a.calls, &b.calls);
    bool whole = !r->base.malformed && !r->pruned.malformed; /* else what is there is a part */
    r->same_names = g.names && whole;
    r->same_arguments = g.arguments && whole;
    r->exact = whole && g.equal && same_text(base->response, pruned->response) &&
               same_text(base->reasoning, pruned->reasoning) && same_text(base->refusal, pruned->refusal);
    r->similarity = measure_similarity(&a.words, &b.words);
    r->common_prefix = measure_common_prefix(&a.words, &b.words);
    parts_clear(&a);
    parts_clear(&b);
}

/* ---- totals ---- */

/* The mean over the rows of those that are known. */
struct mean {
    double sum;
    uint64_t n;
};

struct side_sums {
    uint64_t n_endless, n_loops, n_calling, n_fit, n_checked, n_calls, n_no_json, n_unknown, n_malformed;
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
    t->n_malformed += s->malformed;
    t->n_calling += s->n_calls > 0;
    t->n_checked += s->fit != CALLS_NOT_CHECKED;
    t->n_fit += s->fit == CALLS_FIT;
    t->n_calls += s->n_calls;
    t->n_no_json += s->n_no_json;
    t->n_unknown += s->n_unknown;
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
                                 .first_token = mean_of(&t->first_token),
                                 .calling = rate_of(t->n_calling, n),
                                 .fit = rate_of(t->n_fit, t->n_checked),
                                 .n_malformed = t->n_malformed,
                                 .n_checked = t->n_checked,
                                 .n_calls = t->n_calls,
                                 .n_no_json = t->n_no_json,
                                 .n_unknown = t->n_unknown};
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
    uint64_t n_exact = 0, n_names = 0, n_arguments = 0;
    for (uint64_t i = 0; i < c->n_rows; i++) {
        const struct compare_row *r = &c->rows[i];
        if (!all && !same_category(r->category, t->category))
            continue;
        v[t->n++] = r->similarity;
        sum += r->similarity;
        n_exact += r->exact;
        if (compare_calls(r)) {
            t->n_calling++;
            n_names += r->same_names;
            n_arguments += r->same_arguments;
        }
        add_side(&base, &r->base);
        add_side(&pruned, &r->pruned);
    }
    qsort(v, t->n, sizeof *v, by_value);
    if (t->n) {
        t->similarity_mean = sum / (double)t->n;
        t->similarity_median = (v[(t->n - 1) / 2] + v[t->n / 2]) / 2;
    }
    t->exact = rate_of(n_exact, t->n);
    t->same_names = rate_of(n_names, t->n_calling);
    t->same_arguments = rate_of(n_arguments, t->n_calling);
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

/* What the second file has, and the first, which it is held against. */
static void put_differences(const struct batch_head *a, const struct batch_head *b, struct buf said[2])
{
    char two[JSON_TWO];
    const char *key = json_difference(a->parameters, b->parameters, NULL);
    if (key) {
        json_two(two, json_object_get(b->parameters, key), json_object_get(a->parameters, key));
        buf_fmt(&said[0], " ('%s'%s%s)", key, *two ? ": " : "", two);
    }
    if (a->endpoint && b->endpoint)
        buf_fmt(&said[1], " (found %s, expected %s)", b->endpoint, a->endpoint);
}

static void warn_differences(const struct batch_head *a, const struct batch_head *b)
{
    struct buf said[2] = {{0}};
    put_differences(a, b, said);
    const bool same[] = {a->parameters && b->parameters && json_equal(a->parameters, b->parameters),
                         a->endpoint && b->endpoint && !strcmp(a->endpoint, b->endpoint)};
    static const char *const what[] = {"parameters", "endpoint"};
    for (size_t i = 0; i < 2; i++) {
        if (!same[i])
            log_warn("the two files were made with different '%s'%s: differences may come from there",
                     what[i], said[i].s ? said[i].s : "");
        buf_clear(&said[i]);
    }
}

static bool same_parameters(const struct batch_answer *a, const struct batch_answer *b)
{
    return a->parameters && b->parameters ? json_equal(a->parameters, b->parameters)
                                          : !a->parameters && !b->parameters;
}

static bool pair_up(struct runs *c, struct entry *v, uint64_t n, struct err *e)
{
    struct compare_file *f = &c->result;
    uint64_t n_others = 0, n_lost = 0;
    f->ignored = json_object();
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
        else if (hit && (batch_answer_lost_call(x) || batch_answer_lost_call(hit->a)))
            n_lost++;
        else if (hit)
            fill_row(&f->rows[f->n_rows++], x, hit->a, f->ignored);
        else
            f->n_only_base += x->ok;
        if (hit) {
            hit->used = true;
            n_others += !same_parameters(x, hit->a);
        }
    }
    if (ok && n_lost)
        log_warn(
            "%llu pairs are left out: an answer ended with a call of a tool that its file does not hold; "
            "reap batch asks it again",
            (unsigned long long)n_lost);
    if (ok && n_others)
        log_warn("%llu prompts were asked with other tools or parameters of their own in the two files: "
                 "differences may come from there",
                 (unsigned long long)n_others);
    if (!json_object_size(f->ignored)) {
        json_decref(f->ignored);
        f->ignored = NULL;
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
    batch_warn_unfinished(base);
    batch_warn_unfinished(pruned);
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
