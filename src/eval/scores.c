/* scores.c - see scores.h. */
#include "eval/scores.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "eval/eval.h"
#include "eval/paired.h"

#include <string.h>
#include <unistd.h>

static struct eval_text *add(struct eval_scores *r, const char *name, const struct eval_score *s)
{
    GROW(r->rows, r->n, r->cap);
    struct eval_text *row = &r->rows[r->n++];
    *row = (struct eval_text){.name = xstrdup(name), .score = *s};
    eval_add(&r->all.score, s);
    return row;
}

bool eval_scores_check(const char *const *paths, uint32_t n, bool twice, struct err *e)
{
    for (uint32_t i = 0; i < n; i++) {
        uint64_t size;
        if (!strcmp(paths[i], "-"))
            return !twice || err_set(e, ERR_INPUT, "--text -: --against reads the text twice, give a file");
        int fd = file_open_read(paths[i], &size, e);
        if (fd < 0)
            return false;
        close(fd);
        if (!size)
            return err_set(e, ERR_INPUT, "%s: the text is empty", paths[i]);
    }
    return true;
}

bool eval_scores_texts(struct eval_scores *r, struct engine *g, const char *const *paths, uint32_t n,
                       uint32_t n_ctx, struct err *e)
{
    struct eval_score *s = xcalloc(n, sizeof *s);
    bool ok = n < 2 || eval_check_texts(g, paths, n, n_ctx, NULL, e); /* the last may be too short */
    for (uint32_t i = 0; ok && i < n; i++)
        ok = eval_score_text(g, paths[i], n_ctx, &s[i], e);
    for (uint32_t i = 0; ok && i < n; i++)
        add(r, path_base(paths[i]), &s[i]);
    free(s);
    return ok;
}

static bool all_batches(struct against *c, struct err *e)
{
    struct progress p;
    uint64_t total = 0, done = 0;
    bool ok = true;
    for (uint32_t b = 0; b < c->n_batches; b++)
        total += against_tokens(c, b);
    progress_start(&p, "comparing", "tokens", total, 0);
    for (uint32_t b = 0; ok && b < c->n_batches; b++) {
        ok = against_batch(c, b, e);
        progress_set(&p, done += against_tokens(c, b));
    }
    progress_end(&p);
    return ok;
}

static void add_windows(struct eval_scores *r, const struct against *c, uint32_t side)
{
    uint32_t n = (uint32_t)c->n_windows;
    r->windows = xrealloc(r->windows, r->n_windows + n, sizeof *r->windows);
    r->window_row = xrealloc(r->window_row, r->n_windows + n, sizeof *r->window_row);
    memcpy(r->windows + r->n_windows, c->windows[side], n * sizeof *r->windows);
    for (uint32_t i = 0; i < n; i++)
        r->window_row[r->n_windows++] = r->n;
}

/* Of one model: its row, and what the rows together need. */
static void add_compared(struct eval_scores *r, struct against *c, uint32_t side, const char *path)
{
    uint64_t n = c->sums[side].n;
    r->compared = true;
    r->kl = xrealloc(r->kl, r->sums.n + n, sizeof *r->kl);
    memcpy(r->kl + r->sums.n, c->kl[side], n * sizeof *r->kl);
    struct eval_against x = against_result(&c->sums[side], c->kl[side]);
    x.score.n_tokens = c->n_tokens;
    x.score.n_windows = c->n_windows;
    against_add(&r->sums, &c->sums[side]);
    add_windows(r, c, side);
    struct eval_text *row = add(r, path_base(path), &x.score);
    row->compared = true;
    row->against = x;
}

bool eval_scores_against(struct eval_scores *r, const struct against_side *sides, uint32_t n,
                         const char *path, uint32_t n_ctx, struct err *e)
{
    struct against *c = against_open(sides, n + 1, path, n_ctx, true, e);
    bool ok = c && all_batches(c, e);
    for (uint32_t i = 0; ok && i < n; i++)
        add_compared(&r[i], c, i, path);
    against_free(c);
    return ok;
}

static struct paired difference(const struct eval_scores *a, const struct eval_scores *b, bool kl)
{
    uint32_t n = a->n_windows, *tokens = xcalloc((size_t)n + 1, sizeof *tokens);
    double *x = xcalloc((size_t)n + 1, sizeof *x), *y = xcalloc((size_t)n + 1, sizeof *y);
    for (uint32_t i = 0; i < n; i++) {
        tokens[i] = a->windows[i].n;
        x[i] = kl ? a->windows[i].kl : a->windows[i].nll;
        y[i] = kl ? b->windows[i].kl : b->windows[i].nll;
    }
    struct paired p = paired_of(x, y, tokens, a->window_row, n);
    free(tokens);
    free(x);
    free(y);
    return p;
}

struct eval_difference eval_scores_difference(const struct eval_scores *a, const struct eval_scores *b)
{
    struct paired kl = difference(a, b, true), nll = difference(a, b, false);
    return (struct eval_difference){.n_windows = kl.n_windows,
                                    .kl = kl.mean,
                                    .kl_stderr = kl.stderr_mean,
                                    .kl_differs = paired_differs(&kl),
                                    .nll = nll.mean,
                                    .nll_stderr = nll.stderr_mean,
                                    .nll_differs = paired_differs(&nll)};
}

bool eval_scores_samples(struct eval_scores *r, struct engine *g, struct corpus *c, uint32_t n_ctx,
                         struct out *rows, struct err *e)
{
    struct eval_score s;
    if (!eval_samples(g, c, n_ctx, rows, &s, e))
        return false;
    add(r, c->n_sources == 1 ? path_base(c->sources[0].path) : "samples", &s);
    return true;
}

void eval_scores_end(struct eval_scores *r)
{
    r->all.name = "all";
    if (!r->compared)
        return;
    r->all.compared = true;
    r->all.against = against_result(&r->sums, r->kl);
}

struct eval_file eval_scores_file(const struct eval_scores *r)
{
    return (struct eval_file){.texts = r->rows, .n_texts = r->n, .total = r->all};
}

void eval_scores_clear(struct eval_scores *r)
{
    for (uint32_t i = 0; i < r->n; i++)
        free((void *)r->rows[i].name);
    free(r->rows);
    free(r->kl);
    free(r->windows);
    free(r->window_row);
    *r = (struct eval_scores){0};
}
