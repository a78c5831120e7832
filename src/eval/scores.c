/* scores.c - see scores.h. */
#include "eval/scores.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#include <string.h>

static struct eval_row *add(struct eval_scores *r, const char *name, const struct eval_score *s)
{
    GROW(r->rows, r->n, r->cap);
    struct eval_row *row = &r->rows[r->n++];
    *row = (struct eval_row){.name = xstrdup(name), .score = *s};
    eval_add(&r->all.score, s);
    return row;
}

bool eval_scores_texts(struct eval_scores *r, struct engine *g, const char *const *paths, uint32_t n,
                       uint32_t n_ctx, struct err *e)
{
    struct eval_score *s = xcalloc(n, sizeof *s), total;
    bool ok = eval_texts(g, paths, n, n_ctx, s, &total, e);
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
        struct against_result x = against_result(&c->sums[0], c->kl[0]);
        x.score.n_tokens = c->n_tokens;
        x.score.n_windows = c->n_windows;
        against_add(&r->sums, &c->sums[0]);
        add(r, path_base(path), &x.score)->against = x;
    }
    against_free(c);
    return ok;
}

bool eval_scores_samples(struct eval_scores *r, struct engine *g, const struct corpus *c, uint32_t n_ctx,
                         const char *logprobs, bool force, struct err *e)
{
    struct eval_score s;
    if (!eval_samples(g, c, n_ctx, logprobs, force, &s, e))
        return false;
    add(r, c->n_sources == 1 ? path_base(c->sources[0].path) : "samples", &s);
    return true;
}

void eval_scores_end(struct eval_scores *r)
{
    r->all.name = "all";
    if (!r->compared)
        return;
    r->all.against = against_result(&r->sums, r->kl);
    r->all.score.ppl_stderr = r->all.against.score.ppl_stderr;
}

json_t *eval_scores_json(const struct eval_scores *r, json_t *identity, json_t *plan, json_t *base)
{
    json_t *texts = json_array();
    for (uint32_t i = 0; i < r->n; i++) {
        json_t *o = eval_score_json(r->rows[i].name, &r->rows[i].score);
        if (r->compared)
            against_json(o, &r->rows[i].against);
        json_array_append_new(texts, o);
    }
    json_t *o = eval_report(identity, texts, &r->all.score);
    json_decref(texts);
    if (plan)
        json_object_set_new(o, "plan", plan);
    if (r->compared) {
        json_object_set_new(o, "base", base);
        against_json(json_object_get(o, "total"), &r->all.against);
    }
    return o;
}

void eval_scores_clear(struct eval_scores *r)
{
    for (uint32_t i = 0; i < r->n; i++)
        free((void *)r->rows[i].name);
    free(r->rows);
    free(r->kl);
    *r = (struct eval_scores){0};
}
