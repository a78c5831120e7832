/* against.c - see against.h. */
#include "eval/against.h"
#include "base/mem.h"
#include "base/sig.h"
#include "eval/eval_part.h"
#include "eval/plan_mask.h"

#include <math.h>
#include <string.h>

struct base_row {
    float *x; /* logits */
    struct lse l;
};

/* One scored token under one side: what goes in and what comes out. */
struct row {
    const float *x;
    uint32_t base; /* index of its base_row */
    uint32_t window;
    int32_t next;
    struct token_loss loss;
    double dp;
};

struct against_job {
    const struct against_side *sides;
    struct text text;
    uint32_t vocab, n_threads;
    float *logits; /* of the base rows: cap x vocab */
    struct base_row *base;
    uint32_t cap, n_base; /* scored tokens of the batch */
    struct row *rows;     /* of the batch under the side that runs */
    uint32_t n_rows;
    uint32_t side;
    float *kl; /* where this batch's divergences go, or NULL */
};

/* ---- one token ---- */

struct token_loss token_loss_of(const float *x, const float *base, struct lse b, uint32_t n, int32_t next)
{
    struct lse l = lse_of(x, n);
    double kl = 0, sum = exp(b.log_sum);
    double shift = ((double)b.max - (double)l.max) + (b.log_sum - l.log_sum);
    for (uint32_t i = 0; i < n; i++) {
        double p = (double)expf(base[i] - b.max);
        if (p > 0)
            kl += p * ((double)base[i] - (double)x[i] - shift);
    }
    return (struct token_loss){.nll = -logprob(x, l, next),
                               .base_nll = -logprob(base, b, next),
                               .kl = kl / sum,
                               .same_top = l.top == b.top};
}

bool token_loss_check(const struct token_loss *l, const char *name, struct err *e)
{
    return (isfinite(l->nll) && isfinite(l->base_nll) && isfinite(l->kl)) ||
           err_set(e, ERR_FAILED,
                   "%s: a probability of a scored token is not finite, or 0 where the base's is not", name);
}

static void compare_row(struct row *r, const struct base_row *b, uint32_t n)
{
    r->loss = token_loss_of(r->x, b->x, b->l, n, r->next);
    r->dp = exp(-r->loss.nll) - exp(-r->loss.base_nll);
}

/* Rows are independent of each other, and are added up in their order: the result does not depend on the
 * threads. */
static void compare_rows(struct against_job *j, uint32_t first)
{
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads((int)j->n_threads) if (j->n_rows - first > 8)
#endif
    for (uint32_t i = first; i < j->n_rows; i++)
        compare_row(&j->rows[i], &j->base[j->rows[i].base], j->vocab);
}

/* ---- steps ---- */

static bool base_step(void *ud, const struct windows *w, const uint32_t *win, const uint32_t *at, uint32_t n,
                      struct err *e)
{
    struct against_job *j = ud;
    (void)e;
    uint32_t first = j->n_base;
    for (uint32_t i = 0; i < n; i++)
        if (text_scores(&j->text, &w->list[win[i]], at[i])) {
            struct base_row *b = &j->base[j->n_base];
            b->x = j->logits + (size_t)j->n_base++ * j->vocab;
            memcpy(b->x, engine_logits(j->sides[0].g, i), j->vocab * sizeof *b->x);
        }
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads((int)j->n_threads) if (j->n_base - first > 8)
#endif
    for (uint32_t i = first; i < j->n_base; i++)
        j->base[i].l = lse_of(j->base[i].x, j->vocab);
    return true;
}

/* The tokens of a batch come in the same order under every side, whatever the steps. */
static bool side_step(void *ud, const struct windows *w, const uint32_t *win, const uint32_t *at, uint32_t n,
                      struct err *e)
{
    struct against_job *j = ud;
    uint32_t first = j->n_rows;
    for (uint32_t i = 0; i < n; i++) {
        const struct window *x = &w->list[win[i]];
        if (text_scores(&j->text, x, at[i])) {
            j->rows[j->n_rows] = (struct row){.x = engine_logits(j->sides[j->side].g, i),
                                              .base = j->n_rows,
                                              .window = win[i],
                                              .next = x->tok[at[i] + 1]};
            j->n_rows++;
        }
    }
    compare_rows(j, first);
    for (uint32_t i = first; i < j->n_rows; i++)
        if (!token_loss_check(&j->rows[i].loss, j->sides[j->side].name, e))
            return false;
    return true;
}

static void add_row(struct against_sums *s, const struct row *r)
{
    double dp2 = r->dp * r->dp;
    s->n++;
    s->same_top += r->loss.same_top;
    s->nll += r->loss.nll;
    s->nll2 += r->loss.nll * r->loss.nll;
    s->base_nll += r->loss.base_nll;
    s->base_nll2 += r->loss.base_nll * r->loss.base_nll;
    s->cross += r->loss.nll * r->loss.base_nll;
    s->kl += r->loss.kl;
    s->kl2 += r->loss.kl * r->loss.kl;
    s->dp2 += dp2;
    s->dp4 += dp2 * dp2;
}

static void add_to_window(struct against_window *w, const struct row *r)
{
    w->n++;
    w->kl += r->loss.kl;
    w->nll += r->loss.nll;
    w->base_nll += r->loss.base_nll;
}

/* ---- a batch ---- */

/* Switches masks only where an engine runs under more than one. */
static bool set_side(const struct against_job *j, uint32_t n_sides, uint32_t i, struct err *e)
{
    bool masked = false;
    for (uint32_t k = 0; k < n_sides; k++)
        masked = masked || (j->sides[k].g == j->sides[i].g && j->sides[k].plan);
    return !masked || eval_mask(j->sides[i].g, j->sides[i].v, j->sides[i].plan, e);
}

static bool decode_side(struct against *c, uint32_t i, uint32_t b, struct err *e)
{
    struct against_job *j = c->job;
    j->side = i;
    j->n_rows = 0;
    bool ok = sig_check(e) && set_side(j, c->n_sides, i, e) &&
              windows_decode(&j->text.w, b, j->sides[i].g, i ? side_step : base_step, j, e);
    return ok;
}

/* A window is in one batch alone. */
static void clear_windows(struct against *c, uint32_t i, uint32_t b)
{
    const struct windows *w = &c->job->text.w;
    for (uint32_t k = 0; k < w->batches[b].n; k++)
        c->windows[i - 1][w->order[w->batches[b].first + k]] = (struct against_window){0};
}

bool against_batch(struct against *c, uint32_t b, struct err *e)
{
    struct against_job *j = c->job;
    struct against_sums *sums = xcalloc(c->n_sides, sizeof *sums);
    j->n_base = 0;
    bool ok = decode_side(c, 0, b, e);
    for (uint32_t i = 1; ok && i < c->n_sides; i++) {
        ok = decode_side(c, i, b, e);
        clear_windows(c, i, b); /* of a try that failed */
        for (uint32_t k = 0; ok && k < j->n_rows; k++) {
            if (c->kl)
                c->kl[i - 1][c->sums[i - 1].n + k] = (float)j->rows[k].loss.kl;
            add_row(&sums[i - 1], &j->rows[k]);
            add_to_window(&c->windows[i - 1][j->rows[k].window], &j->rows[k]);
        }
    }
    for (uint32_t i = 0; ok && i + 1 < c->n_sides; i++)
        against_add(&c->sums[i], &sums[i]);
    free(sums);
    return ok;
}

uint32_t against_tokens(const struct against *c, uint32_t b)
{
    return c->job->text.w.batches[b].n_tokens;
}

/* ---- opening ---- */

static bool same_vocabulary(const struct against_side *a, const struct against_side *b, const char *path,
                            const struct text *ta, uint32_t n_ctx, struct err *e)
{
    uint32_t na = engine_n_vocab(a->g), nb = engine_n_vocab(b->g);
    if (na != nb)
        return err_set(e, ERR_INPUT, "%s has a vocabulary of %u tokens, %s of %u: they cannot be compared",
                       b->name, nb, a->name, na);
    int32_t ba = engine_bos(a->g), bb = engine_bos(b->g);
    if (ba != bb)
        return err_set(e, ERR_INPUT,
                       "%s begins a text with token %d, %s with %d (-1: none): they cannot be compared",
                       b->name, bb, a->name, ba);
    struct text tb;
    if (!text_open(&tb, b->g, path, n_ctx, e))
        return false;
    bool ok = ta->n_tokens == tb.n_tokens;
    if (!ok)
        err_set(e, ERR_INPUT, "%s: has %u tokens for %s, %u for %s: they cannot be compared", path,
                tb.n_tokens, b->name, ta->n_tokens, a->name);
    for (uint32_t i = 0; ok && i < ta->w.n_tokens[0]; i++) {
        int32_t x = ta->w.tokens[0][i], y = tb.w.tokens[0][i];
        if (x != y || strcmp(engine_token(a->g, x), engine_token(b->g, y)) != 0)
            ok = err_set(e, ERR_INPUT, "%s: token %u is %d for %s, %d for %s%s: they cannot be compared",
                         path, i, y, b->name, x, a->name, x == y ? ", which stands for another text" : "");
    }
    text_clear(&tb);
    return ok;
}

static uint32_t most_scored(const struct text *t)
{
    uint32_t most = 0;
    for (uint32_t b = 0; b < t->w.n_batches; b++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < t->w.batches[b].n; i++) {
            const struct window *x = &t->w.list[t->w.order[t->w.batches[b].first + i]];
            n += x->n > t->first ? x->n - t->first - 1 : 0;
        }
        most = n > most ? n : most;
    }
    return most;
}

static bool start(const struct against_job *j, uint32_t n_sides, struct err *e)
{
    const struct windows *w = &j->text.w;
    struct engine_run r = {
        .n_ctx = w->longest, .n_seq_max = w->max_seqs, .want_logits = true, .n_tokens = w->total};
    for (uint32_t i = 0; i < n_sides; i++) {
        bool first = true;
        for (uint32_t k = 0; k < i; k++)
            first = first && j->sides[k].g != j->sides[i].g;
        if (!set_side(j, n_sides, i, e) || (first && !engine_start(j->sides[i].g, &r, e)))
            return false;
    }
    return true;
}

static bool make_room(struct against *c, bool with_kl, struct err *e)
{
    struct against_job *j = c->job;
    uint64_t floats, scored = 0;
    j->cap = most_scored(&j->text);
    for (uint32_t i = 0; i < j->text.w.n; i++)
        scored += j->text.w.list[i].n - j->text.first - 1;
    if (!mul_u64(j->cap, j->vocab, &floats))
        return err_set(e, ERR_INPUT, "a window of %u scored tokens is too long", j->cap);
    c->sums = xcalloc(c->n_sides, sizeof *c->sums);
    c->windows = xcalloc(c->n_sides, sizeof *c->windows);
    for (uint32_t i = 0; i + 1 < c->n_sides; i++)
        if (!(c->windows[i] = mem_try(j->text.w.n, sizeof **c->windows, "the sums of every window", e)))
            return false;
    j->base = xcalloc(j->cap, sizeof *j->base);
    j->rows = xcalloc(j->cap, sizeof *j->rows);
    j->logits = mem_try(floats, sizeof *j->logits,
                        "the base model's logits of a window (a smaller --ctx takes less)", e);
    if (!j->logits)
        return false;
    if (with_kl)
        c->kl = xcalloc(c->n_sides, sizeof *c->kl);
    for (uint32_t i = 0; with_kl && i + 1 < c->n_sides; i++)
        if (!(c->kl[i] = mem_try(scored, sizeof **c->kl, "the divergence of every token", e)))
            return false;
    return true;
}

struct against *against_open(const struct against_side *sides, uint32_t n, const char *path, uint32_t n_ctx,
                             bool with_kl, struct err *e)
{
    struct against *c = xcalloc(1, sizeof *c);
    struct against_job *j = c->job = xcalloc(1, sizeof *j);
    c->n_sides = n;
    j->sides = sides;
    j->vocab = engine_n_vocab(sides[0].g);
    j->n_threads = engine_cores();
    bool ok = text_open(&j->text, sides[0].g, path, n_ctx, e);
    for (uint32_t i = 1; ok && i < n; i++)
        if (sides[i].g != sides[0].g)
            ok = same_vocabulary(&sides[0], &sides[i], path, &j->text, n_ctx, e);
    ok = ok && make_room(c, with_kl, e) && start(j, n, e);
    if (!ok) {
        against_free(c);
        return NULL;
    }
    c->n_tokens = j->text.n_tokens;
    c->n_windows = j->text.w.n;
    c->n_batches = j->text.w.n_batches;
    return c;
}

void against_free(struct against *c)
{
    if (!c)
        return;
    for (uint32_t i = 0; c->kl && i + 1 < c->n_sides; i++)
        free(c->kl[i]);
    for (uint32_t i = 0; c->windows && i + 1 < c->n_sides; i++)
        free(c->windows[i]);
    free(c->kl);
    free(c->windows);
    free(c->sums);
    text_clear(&c->job->text);
    free(c->job->logits);
    free(c->job->base);
    free(c->job->rows);
    free(c->job);
    free(c);
}

/* ---- results ---- */

void against_add(struct against_sums *to, const struct against_sums *s)
{
    to->n += s->n;
    to->same_top += s->same_top;
    to->nll += s->nll;
    to->nll2 += s->nll2;
    to->base_nll += s->base_nll;
    to->base_nll2 += s->base_nll2;
    to->cross += s->cross;
    to->kl += s->kl;
    to->kl2 += s->kl2;
    to->dp2 += s->dp2;
    to->dp4 += s->dp4;
}

static struct eval_score score_of(uint64_t n, double nll, double nll2)
{
    struct eval_score s = {0};
    eval_set_score(&s, &(struct eval_sums){n, nll, nll2});
    return s;
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Between the two values around it, as llama-perplexity does. */
static double percentile(const float *v, uint64_t n, double share)
{
    double at = share * (double)(n - 1);
    uint64_t i = (uint64_t)at;
    at -= (double)i;
    return (1 - at) * (double)v[i] + at * (double)v[i + 1 < n ? i + 1 : i];
}

struct eval_against against_result(const struct against_sums *s, float *kl)
{
    double n = (double)s->n, top = (double)s->same_top / n, dp = sqrt(s->dp2 / n);
    double a = error_of_mean(s->nll, s->nll2, n), b = error_of_mean(s->base_nll, s->base_nll2, n);
    double cov = n > 1 ? (s->cross / n - s->nll / n * s->base_nll / n) / (n - 1) : 0;
    double var = a * a + b * b - 2 * cov;
    struct eval_against r = {
        .score = score_of(s->n, s->nll, s->nll2),
        .base = score_of(s->n, s->base_nll, s->base_nll2),
        .ln_ratio = (s->nll - s->base_nll) / n,
        .ln_ratio_stderr = var > 0 ? sqrt(var) : 0,
        .kl_mean = s->kl / n,
        .kl_stderr = error_of_mean(s->kl, s->kl2, n),
        .kl_median = NAN,
        .kl_p90 = NAN,
        .kl_p99 = NAN,
        .kl_max = NAN,
        .top1 = top,
        .top1_stderr = n > 1 ? sqrt(top * (1 - top) / (n - 1)) : 0,
        .dp_rms = dp,
        .dp_rms_stderr = dp > 0 ? 0.5 / dp * error_of_mean(s->dp2, s->dp4, n) : 0,
    };
    if (!kl || !s->n)
        return r;
    qsort(kl, s->n, sizeof *kl, by_value);
    r.kl_median = percentile(kl, s->n, 0.5);
    r.kl_p90 = percentile(kl, s->n, 0.9);
    r.kl_p99 = percentile(kl, s->n, 0.99);
    r.kl_max = (double)kl[s->n - 1];
    return r;
}
