/* scores.c - see scores.h. */
#include "eval/scores.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#include <string.h>

static struct eval_text *add(struct eval_scores *r, const char *name, const struct eval_score *s)
{
    GROW(r->rows, r->n, r->cap);
    struct eval_text *row = &r->rows[r->n++];
    *row = (struct eval_text){.name = xstrdup(name), .score = *s};
    eval_add(&r->all.score, s);
    return row;
}

bool eval_scores_texts(struct eval_scores *r, struct engine *g, const char *const *paths, uint32_t n,
                       uint32_t n_ctx, struct err *e)
{
    struct eval_score *s = xcalloc(n, sizeof *s);
    bool ok = true;
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

bool eval_scores_against(struct eval_scores *r, const struct against_side sides[2], const char *path,
                         uint32_t n_ctx, struct err *e)
{
    struct against *c = against_open(sides, 2, path, n_ctx, true, e);
    bool ok = c && all_batches(c, e);
    if (ok) {
        uint64_t n = c->sums[0].n;
        r->compared = true;
        r->kl = xrealloc(r->kl, r->sums.n + n, sizeof *r->kl);
        memcpy(r->kl + r->sums.n, c->kl[0], n * sizeof *r->kl);
        struct eval_against x = against_result(&c->sums[0], c->kl[0]);
        x.score.n_tokens = c->n_tokens;
        x.score.n_windows = c->n_windows;
        against_add(&r->sums, &c->sums[0]);
        struct eval_text *row = add(r, path_base(path), &x.score);
        row->compared = true;
        row->against = x;
    }
    against_free(c);
    return ok;
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
    *r = (struct eval_scores){0};
}
