/* refine.c - see refine.h.
 *
 * Rounds: a few swaps of one kept and one removed expert are drawn, each in a layer of its own where there
 * are enough, and all are measured together, so that the whole model is decoded once for them. The best one
 * stays if it lowers the mean KL divergence. If several did, the next round tries all of them at once as
 * well. */
#include "sweep/refine.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/sig.h"
#include "base/text.h"
#include "convert/load.h"
#include "eval/plan_mask.h"

#include <math.h>
#include <string.h>

#define ROUND    8  /* swaps measured together */
#define ATTEMPTS 64 /* draws until one has not been tried */

struct candidate {
    struct plan *plan;
    struct refine_swap swap[ROUND];
    uint32_t n;
    struct against_sums sums;
};

struct job {
    const struct refine_opts *o;
    struct refine_result *r;
    struct engine *g;
    double **score; /* [layer][expert] */
    uint32_t near;
    struct rng rng;
    struct refine_swap *tried;
    uint32_t n_tried, cap_tried;
    struct against_sums now; /* of the plan as it is */
    struct refine_swap better[ROUND];
    uint32_t n_better; /* of the last round, one per layer */
    json_t *texts;     /* names and hashes, for the document */
};

/* ---- measuring ---- */

static bool measure(const struct job *j, const char *const *texts, uint32_t n_texts,
                    const struct plan *const *plans, uint32_t n, struct against_sums *sums, struct err *e)
{
    struct against_side sides[ROUND + 1] = {{j->r->view->path, j->g, j->r->view, NULL}};
    bool ok = true;
    for (uint32_t i = 0; i < n; i++) {
        sides[i + 1] = (struct against_side){j->r->view->path, j->g, j->r->view, plans[i]};
        sums[i] = (struct against_sums){0};
    }
    for (uint32_t t = 0; ok && t < n_texts; t++) {
        struct against *c = against_open(sides, n + 1, texts[t], j->o->n_ctx, false, e);
        ok = c != NULL;
        for (uint32_t b = 0; ok && b < c->n_batches; b++)
            ok = against_batch(c, b, e);
        for (uint32_t i = 0; ok && i < n; i++)
            against_add(&sums[i], &c->sums[i]);
        against_free(c);
    }
    return ok;
}

/* ---- swaps ---- */

static bool keeps(const struct plan *p, uint32_t layer, uint32_t x)
{
    for (uint32_t i = 0; i < p->n_keep; i++)
        if (p->layers[layer].keep[i] == x)
            return true;
    return false;
}

/* The nth of the kept experts of a group from the lowest score, or of the removed from the highest; -1: there
 * are fewer. */
static int64_t nearest(const struct job *j, uint32_t layer, uint32_t group, bool kept, uint32_t nth)
{
    const struct shape *s = &j->r->view->shape;
    uint32_t size = s->n_experts / s->n_groups, *ids = xcalloc(size, sizeof *ids), n = 0;
    int64_t found = -1;
    criterion_rank(j->score[layer] + (size_t)group * size, size, ids);
    for (uint32_t i = 0; i < size && found < 0; i++) {
        uint32_t x = group * size + ids[kept ? size - 1 - i : i];
        if (keeps(j->r->plan, layer, x) == kept && n++ == nth)
            found = x;
    }
    free(ids);
    return found;
}

static bool was_tried(const struct job *j, const struct refine_swap *s)
{
    for (uint32_t i = 0; i < j->n_tried; i++)
        if (!memcmp(&j->tried[i], s, sizeof *s))
            return true;
    return false;
}

static bool has_layer(const struct refine_swap *s, uint32_t n, uint32_t il)
{
    for (uint32_t i = 0; i < n; i++)
        if (s[i].il == il)
            return true;
    return false;
}

/* Draws a swap that was not tried, in none of the n layers of `taken`. */
static bool draw(struct job *j, const struct refine_swap *taken, uint32_t n, struct refine_swap *out)
{
    const struct view *v = j->r->view;
    for (int i = 0; i < ATTEMPTS; i++) {
        uint32_t layer = (uint32_t)rng_below(&j->rng, v->n_layers),
                 group = (uint32_t)rng_below(&j->rng, v->shape.n_groups);
        int64_t gone = nearest(j, layer, group, true, (uint32_t)rng_below(&j->rng, j->near)),
                come = nearest(j, layer, group, false, (uint32_t)rng_below(&j->rng, j->near));
        struct refine_swap s = {v->layers[layer].il, (uint32_t)gone, (uint32_t)come};
        if (gone < 0 || come < 0 || (n < v->n_layers && has_layer(taken, n, s.il)) || was_tried(j, &s))
            continue;
        GROW(j->tried, j->n_tried, j->cap_tried);
        j->tried[j->n_tried++] = *out = s;
        return true;
    }
    return false;
}

static void apply(struct plan *p, const struct refine_swap *s)
{
    for (uint32_t l = 0; l < p->n_layers; l++)
        for (uint32_t i = 0; p->layers[l].il == s->il && i < p->n_keep; i++)
            if (p->layers[l].keep[i] == s->out) {
                p->layers[l].keep[i] = s->in;
                qsort(p->layers[l].keep, p->n_keep, sizeof *p->layers[l].keep, ids_compare);
                return;
            }
}

static void candidate_fill(struct candidate *c, const struct plan *p)
{
    c->plan = plan_new(p->n_layers, p->n_keep);
    for (uint32_t l = 0; l < p->n_layers; l++) {
        c->plan->layers[l].il = p->layers[l].il;
        memcpy(c->plan->layers[l].keep, p->layers[l].keep, p->n_keep * sizeof *p->layers[l].keep);
    }
    for (uint32_t i = 0; i < c->n; i++)
        apply(c->plan, &c->swap[i]);
}

/* ---- a round ---- */

static uint32_t fill_round(struct job *j, struct candidate *c, uint32_t max)
{
    struct refine_swap taken[ROUND];
    uint32_t n = 0, n_taken = 0;
    if (j->n_better > 1) { /* those that helped one by one and are not in the plan yet */
        c[n].n = j->n_better;
        memcpy(c[n++].swap, j->better, j->n_better * sizeof *j->better);
    }
    while (n < max && draw(j, taken, n_taken, &taken[n_taken])) {
        c[n].n = 1;
        c[n++].swap[0] = taken[n_taken++];
    }
    for (uint32_t i = 0; i < n; i++)
        candidate_fill(&c[i], j->r->plan);
    return n;
}

static void keep_best(struct job *j, const struct candidate *c, uint32_t n)
{
    int best = -1;
    for (uint32_t i = 0; i < n; i++)
        if (c[i].sums.kl < (best < 0 ? j->now.kl : c[best].sums.kl))
            best = (int)i;
    j->n_better = 0;
    if (best < 0)
        return;
    struct refine_result *r = j->r;
    r->swaps = xrealloc(r->swaps, r->n_swaps + c[best].n, sizeof *r->swaps);
    for (uint32_t k = 0; k < c[best].n; k++) {
        apply(r->plan, &c[best].swap[k]);
        r->swaps[r->n_swaps++] = c[best].swap[k];
    }
    for (uint32_t i = 0; i < n; i++)
        if ((int)i != best && c[i].n == 1 && c[i].sums.kl < j->now.kl &&
            !has_layer(c[best].swap, c[best].n, c[i].swap[0].il) &&
            !has_layer(j->better, j->n_better, c[i].swap[0].il))
            j->better[j->n_better++] = c[i].swap[0];
    j->now = c[best].sums;
}

/* 1: go on, 0: nothing left to try, -1: failed. */
static int round_of(struct job *j, struct err *e)
{
    struct candidate c[ROUND] = {0};
    const struct plan *plans[ROUND];
    struct against_sums sums[ROUND];
    uint32_t left = j->o->trials - j->r->n_trials, n = fill_round(j, c, left < ROUND ? left : ROUND);
    for (uint32_t i = 0; i < n; i++)
        plans[i] = c[i].plan;
    bool ok = !n || measure(j, j->o->texts, j->o->n_texts, plans, n, sums, e);
    for (uint32_t i = 0; ok && i < n; i++)
        c[i].sums = sums[i];
    if (ok && n)
        keep_best(j, c, n);
    j->r->n_trials += ok ? n : 0;
    for (uint32_t i = 0; i < n; i++)
        plan_free(c[i].plan);
    return !ok ? -1 : n > 0;
}

static bool rounds(struct job *j, struct err *e)
{
    const struct refine_opts *o = j->o;
    struct progress p;
    double start = now_secs();
    int go = 1;
    progress_start(&p, "refining", "trials", o->trials, 0);
    while (go > 0 && j->r->n_trials < o->trials && !(o->budget > 0 && now_secs() - start >= o->budget)) {
        go = round_of(j, e);
        progress_set(&p, j->r->n_trials);
    }
    progress_end(&p);
    j->r->exhausted = go == 0;
    if (go < 0 && e->code == ERR_INTERRUPTED) { /* what was found so far is worth keeping */
        err_clear(e);
        j->r->interrupted = true;
        return true;
    }
    return go >= 0;
}

/* ---- the document ---- */

static json_t *side_json(const struct eval_against *r)
{
    json_t *o = json_object();
    json_object_set_new(o, "ppl", json_real(r->score.ppl));
    eval_put_against(o, r);
    return o;
}

/* Before the rounds: a signal that ends these must not keep what they found out of the document. */
static bool hash_texts(struct job *j, struct err *e)
{
    j->texts = json_array();
    for (uint32_t i = 0; i < j->o->n_texts; i++) {
        char hex[65];
        if (!sha256_file(j->o->texts[i], hex, e))
            return false;
        json_t *x = json_object();
        json_object_set_new(x, "name", json_text(path_base(j->o->texts[i])));
        json_object_set_new(x, "sha256", json_string(hex));
        json_array_append_new(j->texts, x);
    }
    return true;
}

static void write_doc(struct job *j)
{
    struct refine_result *r = j->r;
    json_t *o = json_object(), *swaps = json_array();
    for (uint32_t i = 0; i < r->n_swaps; i++) {
        json_t *s = json_object();
        json_object_set_new(s, "layer", json_integer(r->swaps[i].il));
        json_object_set_new(s, "out", json_integer(r->swaps[i].out));
        json_object_set_new(s, "in", json_integer(r->swaps[i].in));
        json_array_append_new(swaps, s);
    }
    json_object_set(o, "texts", j->texts);
    json_object_set_new(o, "ctx", json_integer(j->o->n_ctx));
    json_object_set_new(o, "seed", json_integer((json_int_t)j->o->seed));
    json_object_set_new(o, "near", json_integer(j->near));
    json_object_set_new(o, "trials", json_integer(r->n_trials));
    json_object_set_new(o, "swaps", swaps);
    json_object_set_new(o, "before", side_json(&r->before));
    json_object_set_new(o, "after", side_json(&r->after));
    plan_forget_lost(r->plan); /* of the plan as it was */
    json_decref(r->plan->measured);
    json_decref(r->plan->refined);
    r->plan->measured = NULL;
    r->plan->refined = o;
}

/* ---- all of it ---- */

static bool load_scores(struct job *j, struct err *e)
{
    const struct view *v = j->r->view;
    struct stats *s = stats_load(j->o->stats, e);
    bool ok = s != NULL;
    if (ok && (s->n_experts != v->shape.n_experts || s->n_layers != v->n_layers))
        ok = err_set(e, ERR_INPUT, "%s: has %u layers of %u experts, the model has %u of %u", j->o->stats,
                     s->n_layers, s->n_experts, v->n_layers, v->shape.n_experts);
    ok = ok && view_match(v, s->model, j->o->stats, e);
    j->score = xcalloc(v->n_layers, sizeof *j->score);
    for (uint32_t l = 0; ok && l < v->n_layers; l++) {
        j->score[l] = xcalloc(v->shape.n_experts, sizeof **j->score);
        ok = criterion_scores(s, l, j->o->criterion, j->o->seed, -1, j->score[l], e);
    }
    stats_free(s);
    return ok;
}

static bool prepare(struct job *j, struct err *e)
{
    const struct refine_opts *o = j->o;
    struct refine_result *r = j->r;
    if (!(r->view = view_open(o->model, e)) || !view_hash(r->view, e) ||
        !(r->plan = eval_plan(o->plan, r->view, o->force, e)) || !load_scores(j, e))
        return false;
    if (r->plan->n_keep == r->view->shape.n_experts)
        return err_set(e, ERR_INPUT, "%s: keeps all experts, there is nothing to swap", o->plan);
    j->near = o->near ? o->near : r->view->shape.n_experts / 8;
    j->near = j->near < 2 ? 2 : j->near;
    j->rng.s = o->seed;
    return (j->g = load_engine(r->view, &o->engine, e));
}

static bool refine(struct job *j, struct err *e)
{
    struct refine_result *r = j->r;
    const struct plan *now = r->plan;
    struct against_sums check;
    if (j->o->check) {
        if (!measure(j, &j->o->check, 1, &now, 1, &check, e))
            return false;
        r->check_before = against_result(&check, NULL);
    }
    if (!measure(j, j->o->texts, j->o->n_texts, &now, 1, &j->now, e))
        return false;
    r->before = against_result(&j->now, NULL);
    if (!hash_texts(j, e) || !rounds(j, e))
        return false;
    r->after = against_result(&j->now, NULL);
    if (j->o->check && !r->interrupted) {
        if (!measure(j, &j->o->check, 1, &now, 1, &check, e))
            return false;
        r->check_after = against_result(&check, NULL);
    }
    write_doc(j);
    return true;
}

bool refine_run(const struct refine_opts *o, struct refine_result *r, struct err *e)
{
    struct job j = {.o = o, .r = r};
    *r = (struct refine_result){0};
    bool ok = prepare(&j, e) && refine(&j, e);
    engine_free(j.g);
    for (uint32_t l = 0; j.score && l < r->view->n_layers; l++)
        free(j.score[l]);
    free(j.score);
    free(j.tried);
    json_decref(j.texts);
    return ok;
}

void refine_result_clear(struct refine_result *r)
{
    plan_free(r->plan);
    view_free(r->view);
    free(r->swaps);
    *r = (struct refine_result){0};
}
