/* eval.c - see eval.h. */
#include "eval/eval.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "base/sig.h"
#include "base/text.h"
#include "corpus/rowfile.h"
#include "corpus/source.h"
#include "corpus/unused.h"
#include "eval/eval_part.h"

#include <math.h>
#include <string.h>

#define MAX_SEQS 64

struct lse lse_of(const float *x, uint32_t n)
{
    struct lse l = {.max = x[0]};
    for (uint32_t i = 1; i < n; i++)
        if (x[i] > l.max) {
            l.max = x[i];
            l.top = i;
        }
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += (double)expf(x[i] - l.max);
    l.log_sum = log(sum);
    return l;
}

/* log p(next) under the logits of token i of the step. */
static double next_logprob(struct engine *g, uint32_t i, int32_t next)
{
    const float *x = engine_logits(g, i);
    return logprob(x, lse_of(x, engine_n_vocab(g)), next);
}

double error_of_mean(double sum, double sum2, double n)
{
    double mean = sum / n, var = sum2 / n - mean * mean;
    return n > 1 && var > 0 ? sqrt(var / (n - 1)) : 0;
}

static void add_token(struct eval_sums *s, double nll)
{
    s->n++;
    s->nll += nll;
    s->nll2 += nll * nll;
}

void eval_set_score(struct eval_score *s, const struct eval_sums *sums)
{
    double n = (double)sums->n;
    s->sums = *sums;
    s->n_scored = sums->n;
    s->nll = sums->nll / n;
    s->ppl = exp(s->nll);
    s->ppl_stderr = error_of_mean(sums->nll, sums->nll2, n) * s->ppl;
}

/* ---- results ---- */

void eval_add(struct eval_score *t, const struct eval_score *s)
{
    struct eval_sums sums = {t->sums.n + s->sums.n, t->sums.nll + s->sums.nll, t->sums.nll2 + s->sums.nll2};
    t->n_tokens += s->n_tokens;
    t->n_windows += s->n_windows;
    eval_set_score(t, &sums);
}

/* ---- a text, as llama-perplexity does it ---- */

struct text_job {
    struct engine *g;
    const struct text *text;
    struct eval_sums sums;
};

static bool text_step(void *ud, const struct windows *w, const uint32_t *win, const uint32_t *at, uint32_t n,
                      struct err *e)
{
    struct text_job *j = ud;
    for (uint32_t i = 0; i < n; i++) {
        const struct window *x = &w->list[win[i]];
        if (!text_scores(j->text, x, at[i]))
            continue;
        double v = -next_logprob(j->g, i, x->tok[at[i] + 1]);
        if (!isfinite(v))
            return err_set(e, ERR_FAILED,
                           "the model gives a log-probability that is not finite at token %u of window %u",
                           at[i] + 1, win[i]);
        add_token(&j->sums, v);
    }
    return true;
}

static bool run(struct windows *w, struct engine *g, windows_step *fn, void *ud, struct err *e)
{
    struct progress p;
    uint64_t done = 0;
    struct engine_run r = {
        .n_ctx = w->longest, .n_seq_max = w->max_seqs, .want_logits = true, .n_tokens = w->total};
    r.separate_streams = w->separate;
    r.n_ctx *= w->separate ? w->max_seqs : 1;
    if (!engine_start(g, &r, e))
        return false;
    bool ok = true;
    progress_start(&p, "evaluating", "tokens", w->total, 0);
    for (uint32_t b = 0; ok && b < w->n_batches; b++) {
        ok = sig_check(e) && windows_decode(w, b, g, fn, ud, e);
        progress_set(&p, done += w->batches[b].n_tokens);
    }
    progress_end(&p);
    return ok;
}

static bool read_tokens(const struct engine *g, const char *path, bool warns, int32_t **tok, uint32_t *n,
                        struct err *e)
{
    struct buf b = {0};
    size_t bom; /* counts here: other tools score it */
    bool ok = source_read(path, NULL, &b, &bom, e);
    size_t good = b.n ? utf8_good(b.s, b.n) : 0, n_checked = b.n - good < 4 ? good : b.n; /* cut by head -c */
    if (ok && n_checked && !source_check_text(b.s, n_checked, e))
        ok = err_ctx(e, "%s", path); /* the engine ends the program at some of what is no UTF-8 */
    if (ok && warns && rowfile_is_likely(b.s ? b.s : "", b.n))
        log_warn("%s: looks like rows and is scored as the text that it is; --calib reads rows", path);
    if (ok && b.n && b.s[b.n - 1] == '\n')
        b.n--;
    ok = ok && engine_tokenize(g, b.s ? b.s : "", b.n, true, false, tok, n, e);
    buf_clear(&b);
    return ok;
}

static bool open_text(struct text *t, const struct engine *g, const char *path, uint32_t n_ctx, bool warns,
                      struct err *e)
{
    int32_t *tok = NULL, bos = engine_bos(g);
    uint32_t n = 0;
    *t = (struct text){.first = n_ctx / 2};
    if (n_ctx < 4)
        return err_set(e, ERR_INPUT, "--ctx %u is too short to score anything", n_ctx);
    if (!read_tokens(g, path, warns, &tok, &n, e))
        return false;
    windows_from_tokens(&t->w, tok, n / n_ctx * n_ctx);
    t->n_tokens = n;
    bool ok = n >= 2 * n_ctx;
    if (!ok)
        err_set(
            e, ERR_INPUT,
            "%s: has %u tokens, at least %u are needed (two windows of %u); use a longer text or a smaller --ctx",
            path, n, 2 * n_ctx, n_ctx);
    ok = ok && windows_cut(&t->w, n_ctx, e);
    for (uint32_t i = 0; ok && bos >= 0 && i < t->w.n; i++)
        tok[(size_t)i * n_ctx] = bos;
    if (!ok)
        text_clear(t);
    return ok;
}

static void pack(struct windows *w, struct engine *g, uint32_t n_seqs)
{
    const struct engine_run r = {
        .n_ctx = w->longest, .n_seq_max = n_seqs, .want_logits = true, .n_tokens = w->total};
    windows_settle(w, g, &r, ENGINE_UBATCH, n_seqs, 1);
}

bool text_open(struct text *t, struct engine *g, const char *path, uint32_t n_ctx, struct err *e)
{
    if (!open_text(t, g, path, n_ctx, true, e))
        return false;
    pack(&t->w, g, MAX_SEQS);
    return true;
}

bool eval_check_texts(const struct engine *g, const char *const *paths, uint32_t n, uint32_t n_ctx,
                      uint64_t *n_tokens, struct err *e)
{
    struct text t;
    for (uint32_t i = 0; i < n; i++) {
        if (!strcmp(paths[i], "-")) /* can be read once */
            continue;
        if (!open_text(&t, g, paths[i], n_ctx, false, e))
            return false;
        if (n_tokens)
            *n_tokens += t.w.total;
        text_clear(&t);
    }
    return true;
}

void text_clear(struct text *t)
{
    windows_clear(&t->w);
}

bool eval_score_text(struct engine *g, const char *path, uint32_t n_ctx, struct eval_score *s, struct err *e)
{
    struct text t;
    struct text_job j = {.g = g, .text = &t};
    *s = (struct eval_score){0};
    if (!text_open(&t, g, path, n_ctx, e))
        return false;
    bool ok = run(&t.w, g, text_step, &j, e);
    s->n_tokens = t.n_tokens;
    s->n_windows = t.w.n;
    if (ok)
        eval_set_score(s, &j.sums);
    text_clear(&t);
    return ok;
}

/* ---- samples ---- */

struct sample_job {
    struct engine *g;
    double **lp; /* per sample: log-probability of token i + 1; NAN: not scored (first of a later window) */
};

static bool sample_step(void *ud, const struct windows *w, const uint32_t *win, const uint32_t *at,
                        uint32_t n, struct err *e)
{
    struct sample_job *j = ud;
    for (uint32_t i = 0; i < n; i++) {
        const struct window *x = &w->list[win[i]];
        if (at[i] + 1 >= x->n)
            continue;
        double v = next_logprob(j->g, i, x->tok[at[i] + 1]);
        if (!isfinite(v))
            return err_set(e, ERR_FAILED,
                           "the model gives a log-probability that is not finite at token %u of sample %u",
                           x->at + at[i] + 1, x->sample + 1);
        j->lp[x->sample][x->at + at[i]] = v;
    }
    return true;
}

static json_t *row_json(const struct corpus *c, const struct windows *w, uint32_t i, const double *lp)
{
    json_t *o = json_object(), *ids = json_array(), *lps = json_array();
    double sum = 0;
    uint64_t scored = 0;
    if (c->samples[i].id)
        json_object_set_new(o, "id", json_string(c->samples[i].id));
    else
        json_object_set_new(o, "id", json_integer(i));
    for (uint32_t t = 0; t < w->n_tokens[i]; t++)
        json_array_append_new(ids, json_integer(w->tokens[i][t]));
    for (uint32_t t = 0; t + 1 < w->n_tokens[i]; t++) {
        json_array_append_new(lps, isnan(lp[t]) ? json_null() : json_real(lp[t]));
        if (!isnan(lp[t])) {
            sum -= lp[t];
            scored++;
        }
    }
    json_object_set_new(o, "n_tokens", json_integer(w->n_tokens[i]));
    json_object_set_new(o, "nll", scored ? json_real(sum / (double)scored) : json_null());
    json_object_set_new(o, "ids", ids);
    json_object_set_new(o, "logprobs", lps);
    return o;
}

static bool write_rows(const struct corpus *c, const struct windows *w, double *const *lp, struct out *rows,
                       struct err *e)
{
    bool ok = true;
    for (uint32_t i = 0; ok && i < w->n_samples; i++) {
        json_t *o = row_json(c, w, i, lp[i]);
        struct buf line = {0};
        json_print_line(&line, o);
        ok = out_write(rows, line.s, line.n, e);
        buf_clear(&line);
        json_decref(o);
    }
    return ok;
}

/* The longest sample, or the context that the model was trained for if that is shorter. */
static uint32_t default_ctx(const struct windows *w, const struct engine *g)
{
    uint32_t n = 1, trained = engine_n_ctx_train(g);
    for (uint32_t i = 0; i < w->n_samples; i++)
        n = w->n_tokens[i] > n ? w->n_tokens[i] : n;
    return trained && n > trained ? trained : n;
}

static double **unscored(const struct windows *w)
{
    double **lp = xcalloc(w->n_samples, sizeof *lp);
    for (uint32_t i = 0; i < w->n_samples; i++) {
        lp[i] = xcalloc(w->n_tokens[i], sizeof **lp);
        for (uint32_t t = 0; t < w->n_tokens[i]; t++)
            lp[i][t] = NAN;
    }
    return lp;
}

static void add_up(const struct windows *w, double *const *lp, struct eval_sums *sums)
{
    for (uint32_t i = 0; i < w->n_samples; i++)
        for (uint32_t t = 0; t + 1 < w->n_tokens[i]; t++)
            if (!isnan(lp[i][t]))
                add_token(sums, -lp[i][t]);
}

static void say_unused(const struct corpus *c, const struct windows *w, const struct engine *g)
{
    struct buf b = {0};
    json_t *all = json_object(), *chat = engine_chat_info(g);
    unused_add(all, c->unused);
    unused_add(all, w->unused);
    if (unused_text(all, chat, &b))
        log_warn("not scored: %s", b.s);
    buf_clear(&b);
    json_decref(all);
    json_decref(chat);
}

bool eval_samples(struct engine *g, struct corpus *c, uint32_t n_ctx, struct out *rows, struct eval_score *s,
                  struct err *e)
{
    struct windows w = {0};
    struct sample_job j = {.g = g};
    struct eval_sums sums = {0};
    *s = (struct eval_score){0};
    bool ok = windows_tokenize(&w, c, g, e);
    if (!ok) {
        windows_clear(&w);
        return false;
    }
    say_unused(c, &w, g);
    if (!n_ctx)
        n_ctx = default_ctx(&w, g);
    j.lp = unscored(&w);
    ok = windows_cut(&w, n_ctx, e);
    if (ok) {
        pack(&w, g, engine_has_state(g) ? 16 : MAX_SEQS);
        s->n_windows = w.n;
        s->n_tokens = w.total;
        ok = run(&w, g, sample_step, &j, e);
    }
    if (ok) {
        add_up(&w, j.lp, &sums);
        ok = sums.n ? true : err_set(e, ERR_INPUT, "no sample has two tokens, nothing can be scored");
    }
    if (ok)
        eval_set_score(s, &sums);
    ok = ok && (!rows || write_rows(c, &w, j.lp, rows, e));
    for (uint32_t i = 0; i < w.n_samples; i++)
        free(j.lp[i]);
    free(j.lp);
    windows_clear(&w);
    return ok;
}
