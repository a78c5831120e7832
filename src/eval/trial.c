/* trial.c - see trial.h. */
#include "eval/trial.h"
#include "base/mem.h"
#include "base/sig.h"
#include "eval/eval_part.h"

#include <math.h>
#include <string.h>

#define MAX_SEQS       64
#define MAX_SEQS_STATE 16

/* What the whole model says behind one token. */
struct base_row {
    struct lse l;
    double nll, rest; /* rest: probability of the tokens that are not kept */
};

/* Of one window; row NULL: not known. */
struct kept {
    struct base_row *row; /* [scored] */
    float *x;             /* [scored][top] logits */
    uint32_t *id;         /* [scored][top] whose; NULL: of the whole vocabulary in its order */
    uint64_t last_use;
};

struct trial {
    struct engine *g;
    const struct view *v;
    struct windows w; /* of the order of the text; list, order and the one batch are ours */
    struct kept *kept;
    uint64_t cache, held, clock, decoded, judged;
    uint32_t vocab, top, n_threads, max_seqs;
    /* the decode that runs */
    const struct trial_ask *ask; /* one of those that share it; NULL: the whole model */
    struct token_loss *row;      /* one window behind the other, */
    uint32_t *first;             /* [w.n] which begins here */
    struct scored *step;         /* [ubatch] */
    struct window_batch batch;
};

/* A scored token of a compute step. */
struct scored {
    const float *x;
    uint32_t window, at;
};

/* ---- text ---- */

static uint32_t scored_of(const struct window *x)
{
    return x->n - 1;
}

/* The windows of each category in their order, categories in turn. */
static void take_turns(struct trial_text *t)
{
    uint32_t n_c = t->corpus.n_categories, *at = xcalloc(n_c, sizeof *at);
    for (bool more = true; more;) {
        more = false;
        for (uint32_t c = 0; c < n_c; c++) {
            while (at[c] < t->w.n &&
                   (t->w.list[at[c]].n < 2 || t->corpus.samples[t->w.list[at[c]].sample].category != c))
                at[c]++;
            if (at[c] == t->w.n)
                continue;
            t->category[t->n] = c;
            t->n_scored += scored_of(&t->w.list[at[c]]);
            t->order[t->n++] = at[c]++;
            more = true;
        }
    }
    free(at);
}

bool trial_text_open(struct trial_text *t, const struct corpus_opts *o, const struct engine *g,
                     uint32_t n_ctx, struct err *e)
{
    *t = (struct trial_text){0};
    bool ok = corpus_load(o, &t->corpus, e) && windows_tokenize(&t->w, &t->corpus, g, e) &&
              windows_cut(&t->w, n_ctx, e);
    if (ok) {
        t->order = xcalloc(t->w.n, sizeof *t->order);
        t->category = xcalloc(t->w.n, sizeof *t->category);
        take_turns(t);
        ok = t->n > 0 || err_set(e, ERR_INPUT, "no sample has two tokens, nothing can be scored");
    }
    if (!ok)
        trial_text_clear(t);
    return ok;
}

uint32_t trial_text_tokens(const struct trial_text *t, uint32_t i)
{
    return t->w.list[t->order[i]].n;
}

void trial_text_clear(struct trial_text *t)
{
    windows_clear(&t->w);
    corpus_free(&t->corpus);
    free(t->order);
    free(t->category);
    *t = (struct trial_text){0};
}

/* ---- what is kept of the whole model ---- */

static bool is_whole(const struct trial *t)
{
    return t->top == t->vocab;
}

static uint64_t kept_bytes(const struct trial *t, uint32_t window)
{
    uint64_t each = is_whole(t) ? sizeof(float) : sizeof(float) + sizeof(uint32_t);
    return scored_of(&t->w.list[window]) * (t->top * each + sizeof(struct base_row));
}

/* How much of the vocabulary is kept, so that all windows fit. */
static uint32_t choose_top(const struct trial *t, uint64_t n_scored)
{
    uint64_t each = t->cache / n_scored, row = sizeof(struct base_row);
    if (!t->cache || each >= row + (uint64_t)t->vocab * sizeof(float))
        return t->vocab;
    uint64_t top = each < row ? 0 : (each - row) / (sizeof(float) + sizeof(uint32_t));
    top = top < TRIAL_TOP ? TRIAL_TOP : top;
    return top < t->vocab ? (uint32_t)top : t->vocab;
}

static void forget(struct trial *t, uint32_t window)
{
    struct kept *k = &t->kept[window];
    if (k->row)
        t->held -= kept_bytes(t, window);
    free(k->row);
    free(k->x);
    free(k->id);
    *k = (struct kept){0};
}

/* Windows that were not asked for of late make room for one; those of this decode stay. */
static void make_room(struct trial *t, uint64_t bytes)
{
    while (t->held + bytes > t->cache) {
        uint32_t oldest = t->w.n;
        for (uint32_t i = 0; i < t->w.n; i++)
            if (t->kept[i].row && t->kept[i].last_use < t->clock &&
                (oldest == t->w.n || t->kept[i].last_use < t->kept[oldest].last_use))
                oldest = i;
        if (oldest == t->w.n)
            return;
        forget(t, oldest);
    }
}

static bool kept_new(struct trial *t, uint32_t window, struct err *e)
{
    static const char what[] = "what the whole model says of a window (a smaller --ctx takes less)";
    uint64_t n = scored_of(&t->w.list[window]), floats;
    struct kept *k = &t->kept[window];
    if (!mul_u64(n, t->top, &floats))
        return err_set(e, ERR_INPUT, "a window of %llu scored tokens is too long", (unsigned long long)n);
    make_room(t, kept_bytes(t, window));
    k->row = xcalloc(n, sizeof *k->row);
    t->held += kept_bytes(t, window);
    k->x = mem_try(floats, sizeof *k->x, what, e);
    k->id = k->x && !is_whole(t) ? mem_try(floats, sizeof *k->id, what, e) : NULL;
    if (k->x && (k->id || is_whole(t)))
        return true;
    forget(t, window);
    return false;
}

/* ---- the likeliest tokens ---- */

/* The value of rank k (0: the highest) of n, which are moved about: C. A. R. Hoare, FIND, 1961. */
static float value_of_rank(float *v, uint32_t n, uint32_t k)
{
    int64_t lo = 0, hi = (int64_t)n - 1;
    while (lo < hi) {
        float pivot = v[k];
        int64_t i = lo, j = hi;
        while (i <= j) {
            while (v[i] > pivot)
                i++;
            while (pivot > v[j])
                j--;
            if (i > j)
                break;
            float x = v[i];
            v[i++] = v[j];
            v[j--] = x;
        }
        if (j < (int64_t)k)
            lo = i;
        if ((int64_t)k < i)
            hi = j;
    }
    return v[k];
}

/* The `top` likeliest in the order of their ids; of equals the lower ids. Logits are finite here. */
static void keep_top(const struct trial *t, const float *x, struct base_row *r, float *kept, uint32_t *id)
{
    float *v = xcalloc(t->vocab, sizeof *v);
    memcpy(v, x, t->vocab * sizeof *v);
    float least = value_of_rank(v, t->vocab, t->top - 1);
    uint32_t equal = t->top, n = 0;
    for (uint32_t i = 0; i < t->vocab; i++)
        equal -= x[i] > least;
    double sum = exp(r->l.log_sum), top = 0;
    for (uint32_t i = 0; i < t->vocab && n < t->top; i++)
        if (x[i] > least || (x[i] == least && equal)) {
            equal -= x[i] == least;
            kept[n] = x[i];
            id[n++] = i;
            top += (double)expf(x[i] - r->l.max);
        }
    r->rest = sum > top ? (sum - top) / sum : 0;
    free(v);
}

/* KL over the kept tokens and all others as one. What rounding leaves of a plan's rest is no less than TINY. */
#define TINY 1e-12
static struct token_loss top_loss_of(const struct trial *t, const float *x, const struct base_row *r,
                                     const float *kept, const uint32_t *id, int32_t next)
{
    struct lse l = lse_of(x, t->vocab);
    double kl = 0, sum_b = exp(r->l.log_sum), sum = exp(l.log_sum), top = 0;
    double shift = ((double)r->l.max - (double)l.max) + (r->l.log_sum - l.log_sum);
    for (uint32_t i = 0; i < t->top; i++) {
        double p = (double)expf(kept[i] - r->l.max);
        top += (double)expf(x[id[i]] - l.max);
        if (p > 0)
            kl += p / sum_b * ((double)kept[i] - (double)x[id[i]] - shift);
    }
    double rest = (sum - top) / sum;
    if (r->rest > TINY)
        kl += r->rest * log(r->rest / (rest > TINY ? rest : TINY));
    return (struct token_loss){
        .nll = -logprob(x, l, next), .base_nll = r->nll, .kl = kl, .same_top = l.top == r->l.top};
}

/* ---- one token ---- */

static void base_token(const struct trial *t, const struct scored *s)
{
    const struct kept *k = &t->kept[s->window];
    struct base_row *r = &k->row[s->at];
    float *x = k->x + (size_t)s->at * t->top;
    r->l = lse_of(s->x, t->vocab);
    r->nll = -logprob(s->x, r->l, t->w.list[s->window].tok[s->at + 1]);
    if (is_whole(t))
        memcpy(x, s->x, t->vocab * sizeof *x);
    else if (isfinite(r->l.log_sum))
        keep_top(t, s->x, r, x, k->id + (size_t)s->at * t->top);
}

static void plan_token(struct trial *t, const struct scored *s)
{
    const struct kept *k = &t->kept[s->window];
    const struct base_row *r = &k->row[s->at];
    const float *x = k->x + (size_t)s->at * t->top;
    int32_t next = t->w.list[s->window].tok[s->at + 1];
    t->row[t->first[s->window] + s->at] =
        is_whole(t) ? token_loss_of(s->x, x, r->l, t->vocab, next)
                    : top_loss_of(t, s->x, r, x, k->id + (size_t)s->at * t->top, next);
}

/* Tokens are independent of each other, and added up in their order later: the figures do not depend on the
 * threads. */
static bool step(void *ud, const struct windows *w, const uint32_t *win, const uint32_t *at, uint32_t n,
                 struct err *e)
{
    struct trial *t = ud;
    uint32_t m = 0;
    (void)e;
    for (uint32_t i = 0; i < n; i++)
        if (at[i] + 1 < w->list[win[i]].n)
            t->step[m++] = (struct scored){engine_logits(t->g, i), win[i], at[i]};
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads((int)t->n_threads) if (m > 8)
#endif
    for (uint32_t i = 0; i < m; i++)
        if (t->ask)
            plan_token(t, &t->step[i]);
        else
            base_token(t, &t->step[i]);
    return true;
}

/* ---- decodes ---- */

/* Whether a window goes into the batch too. */
static bool joins(const struct trial *t, const struct window_batch *b, uint32_t window)
{
    for (uint32_t i = 0; i < b->n; i++)
        if (t->w.order[i] == window)
            return false;
    return !b->n || (b->n < t->max_seqs && b->n_tokens + t->w.list[window].n <= engine_ubatch(t->g));
}

static void join(struct trial *t, uint32_t window)
{
    t->w.order[t->batch.n++] = window;
    t->batch.n_tokens += t->w.list[window].n;
}

static bool set_mask(const struct trial *t, struct err *e)
{
    return t->ask ? eval_mask_but(t->g, t->v, t->ask->plan, t->ask->but, e) : eval_mask(t->g, t->v, NULL, e);
}

static bool decode(struct trial *t, const struct trial_ask *ask, struct err *e)
{
    t->ask = ask;
    if (!sig_check(e) || !set_mask(t, e) || !windows_decode(&t->w, 0, t->g, step, t, e))
        return false;
    t->decoded += t->batch.n_tokens;
    t->judged += ask ? t->batch.n_tokens : 0;
    return true;
}

static void forget_batch(struct trial *t)
{
    for (uint32_t i = 0; i < t->batch.n; i++)
        forget(t, t->w.order[i]);
}

/* The whole model on the windows of n asks that it is not known of. */
static bool need_base(struct trial *t, const struct trial_ask *ask, uint32_t n, struct err *e)
{
    t->clock++;
    for (uint32_t i = 0; i < n; i++)
        t->kept[ask[i].window].last_use = t->clock;
    t->batch = (struct window_batch){0};
    bool ok = true;
    for (uint32_t i = 0; ok && i < n; i++)
        if (!t->kept[ask[i].window].row && (ok = kept_new(t, ask[i].window, e))) {
            t->kept[ask[i].window].last_use = t->clock;
            join(t, ask[i].window);
        }
    ok = ok && (!t->batch.n || decode(t, NULL, e));
    if (!ok)
        forget_batch(t);
    return ok;
}

static bool whole_loss(const struct trial *t, uint32_t window, struct trial_loss *l, struct err *e)
{
    *l = (struct trial_loss){.n = scored_of(&t->w.list[window])};
    l->same_top = l->n;
    for (uint32_t i = 0; i < l->n; i++)
        l->base_nll += t->kept[window].row[i].nll;
    l->nll = l->base_nll;
    return isfinite(l->nll) ||
           err_set(e, ERR_FAILED, "%s: a probability of a scored token is not finite", t->v->path);
}

static bool plan_loss(const struct trial *t, uint32_t window, struct trial_loss *l, struct err *e)
{
    *l = (struct trial_loss){.n = scored_of(&t->w.list[window])};
    for (uint32_t i = 0; i < l->n; i++) {
        const struct token_loss *r = &t->row[t->first[window] + i];
        if (!token_loss_check(r, t->v->path, e))
            return false;
        l->same_top += r->same_top;
        l->kl += r->kl;
        l->nll += r->nll;
        l->base_nll += r->base_nll;
    }
    return true;
}

/* n asks of one plan that share a decode. */
static bool ask_together(struct trial *t, const struct trial_ask *ask, uint32_t n, struct trial_loss *out,
                         struct err *e)
{
    bool ok = need_base(t, ask, n, e);
    t->batch = (struct window_batch){0};
    for (uint32_t i = 0, at = 0; i < n; i++) {
        t->first[ask[i].window] = at;
        at += scored_of(&t->w.list[ask[i].window]);
        join(t, ask[i].window);
    }
    ok = ok && (!ask->plan || decode(t, ask, e));
    for (uint32_t i = 0; ok && i < n; i++)
        ok = (ask->plan ? plan_loss : whole_loss)(t, ask[i].window, &out[i], e);
    return ok;
}

bool trial_losses(struct trial *t, const struct trial_ask *ask, uint32_t n, struct trial_loss *out,
                  struct err *e)
{
    bool ok = true;
    for (uint32_t i = 0, k; ok && i < n; i = k) {
        t->batch = (struct window_batch){0};
        for (k = i; k < n && ask[k].plan == ask[i].plan && ask[k].but == ask[i].but &&
                    joins(t, &t->batch, ask[k].window);
             k++)
            join(t, ask[k].window);
        ok = ask_together(t, ask + i, k - i, out + i, e);
    }
    return ok;
}

uint32_t trial_fit(const struct trial *t, uint32_t first)
{
    struct window_batch b = {0};
    for (uint32_t i = first; i < t->w.n; i++) {
        const struct window *x = &t->w.list[i];
        if (b.n && (b.n == t->max_seqs || b.n_tokens + x->n > engine_ubatch(t->g)))
            break;
        b.n++;
        b.n_tokens += x->n;
    }
    return b.n;
}

/* ---- opening ---- */

struct trial *trial_open(struct engine *g, const struct view *v, const struct trial_text *text,
                         uint64_t cache_bytes, struct err *e)
{
    struct trial *t = xcalloc(1, sizeof *t);
    uint32_t most = engine_has_state(g) ? MAX_SEQS_STATE : MAX_SEQS;
    struct engine_run r = {.n_seq_max = most < text->n ? most : text->n, .want_logits = true};
    *t = (struct trial){
        .g = g, .v = v, .cache = cache_bytes, .vocab = engine_n_vocab(g), .n_threads = engine_cores()};
    t->w.n = text->n;
    t->w.list = xcalloc(text->n, sizeof *t->w.list);
    for (uint32_t i = 0; i < text->n; i++) {
        t->w.list[i] = text->w.list[text->order[i]];
        r.n_ctx = t->w.list[i].n > r.n_ctx ? t->w.list[i].n : r.n_ctx;
        r.n_tokens += t->w.list[i].n;
    }
    uint64_t whole = text->n_scored * t->vocab * sizeof(float);
    r.keeps = whole < t->cache ? whole : t->cache;
    engine_settle(g, &r, ENGINE_UBATCH);
    uint32_t ubatch = engine_ubatch(g);
    r.n_tokens = 0; /* decoded again and again, nobody knows how often */
    t->w.batches = &t->batch;
    t->w.n_batches = 1;
    t->max_seqs = r.n_seq_max;
    t->w.order = xcalloc(t->max_seqs, sizeof *t->w.order);
    t->top = choose_top(t, text->n_scored);
    t->kept = xcalloc(text->n, sizeof *t->kept);
    t->first = xcalloc(text->n, sizeof *t->first);
    t->step = xcalloc(ubatch, sizeof *t->step);
    t->row = xcalloc(r.n_ctx > ubatch ? r.n_ctx : ubatch, sizeof *t->row);
    if (eval_mask(g, v, NULL, e) && engine_start(g, &r, e))
        return t;
    trial_free(t);
    return NULL;
}

void trial_free(struct trial *t)
{
    if (!t)
        return;
    for (uint32_t i = 0; i < t->w.n; i++)
        forget(t, i);
    free(t->kept);
    free(t->w.list);
    free(t->w.order);
    free(t->first);
    free(t->step);
    free(t->row);
    free(t);
}

uint64_t trial_decoded(const struct trial *t)
{
    return t->decoded;
}

uint64_t trial_judged(const struct trial *t)
{
    return t->judged;
}
