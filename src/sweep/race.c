/* race.c - a candidate against the plan, on windows that are drawn one after the other. See refine_part.h. */
#include "base/ids.h"
#include "base/mem.h"
#include "sweep/refine_part.h"

#include <math.h>
#include <string.h>

/* ---- text ---- */

static void make_packs(struct race_text *t)
{
    t->packs = xcalloc(t->text.n, sizeof *t->packs);
    for (uint32_t i = 0; i < t->text.n;) {
        uint32_t n = trial_fit(t->trial, i);
        t->packs[t->n_packs++] = (struct pack){i, n};
        i += n;
    }
}

bool race_text_open(struct race_text *t, const struct corpus_opts *o, struct engine *g, const struct view *v,
                    uint32_t n_ctx, uint64_t cache, struct err *e)
{
    *t = (struct race_text){0};
    if (!trial_text_open(&t->text, o, g, n_ctx, e))
        return false;
    t->n_scored = xcalloc(t->text.n, sizeof *t->n_scored);
    for (uint32_t i = 0; i < t->text.n; i++)
        t->n_scored[i] = trial_text_tokens(&t->text, i) - 1;
    if (!(t->trial = trial_open(g, v, &t->text, cache, e)))
        return false;
    make_packs(t);
    return true;
}

void race_text_clear(struct race_text *t)
{
    trial_free(t->trial);
    trial_text_clear(&t->text);
    free(t->packs);
    free(t->n_scored);
    *t = (struct race_text){0};
}

/* ---- order ---- */

struct place {
    uint32_t category, turn, pack;
};

static int by_turn(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->turn != y->turn)
        return x->turn < y->turn ? -1 : 1;
    return x->category < y->category ? -1 : x->category > y->category;
}

static bool is_known(const struct job *j, uint32_t pack)
{
    return j->loss[j->t.packs[pack].first] >= 0;
}

/* Packs in random order, categories in turn: not those first whose loss under the plan is known, though they are cheaper.
 * What was seen on them proposed the swap, and would speak for it once more. */
static void race_order(const struct job *j, struct rng *rng, uint32_t *order)
{
    const struct race_text *t = &j->t;
    uint32_t n = t->n_packs, n_c = t->text.corpus.n_categories, *turn = xcalloc(n_c, sizeof *turn);
    struct place *v = xcalloc(n, sizeof *v);
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    for (uint32_t i = 0; i + 1 < n; i++) {
        uint32_t k = i + (uint32_t)rng_below(rng, n - i), x = order[i];
        order[i] = order[k];
        order[k] = x;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t c = t->text.category[t->packs[order[i]].first];
        v[i] = (struct place){c, turn[c]++, order[i]};
    }
    qsort(v, n, sizeof *v, by_turn);
    for (uint32_t i = 0; i < n; i++)
        order[i] = v[i].pack;
    free(v);
    free(turn);
}

/* ---- candidates ---- */

static void apply(struct plan *p, struct swap s)
{
    uint32_t *keep = p->layers[s.layer].keep;
    for (uint32_t i = 0; i < p->n_keep; i++)
        if (keep[i] == s.out)
            keep[i] = s.in;
    qsort(keep, p->n_keep, sizeof *keep, ids_compare);
}

struct plan *plan_with(const struct plan *p, const struct swap *s, uint32_t n)
{
    struct plan *q = plan_new(p->n_layers, p->n_keep);
    for (uint32_t l = 0; l < p->n_layers; l++) {
        q->layers[l].il = p->layers[l].il;
        memcpy(q->layers[l].keep, p->layers[l].keep, p->n_keep * sizeof *p->layers[l].keep);
    }
    for (uint32_t l = p->n_layers; l < p->n_layers + p->n_mtp; l++)
        memcpy(plan_new_mtp(q, p->layers[l].il), p->layers[l].keep, p->n_keep * sizeof *p->layers[l].keep);
    for (uint32_t i = 0; i < n; i++)
        apply(q, s[i]);
    return q;
}

void duel_begin(struct job *j, struct duel *d)
{
    d->order = xcalloc(j->t.n_packs, sizeof *d->order);
    d->loss = xcalloc(j->t.text.n, sizeof *d->loss);
    if (d->kind == DUEL_ALONE) {
        /* of one plan all on the same windows: what they have in common is no difference */
        struct rng same = {j->o->corpus.seed + j->n_steps};
        d->first = d->n = j->at[(size_t)d->but.layer * j->worth.n_experts + d->but.expert];
        race_order(j, &same, d->order);
        return;
    }
    d->plan = plan_with(j->r->plan, d->swap, d->n_swaps);
    race_order(j, &j->rng, d->order);
}

void duel_clear(struct duel *d)
{
    plan_free(d->plan);
    free(d->order);
    free(d->loss);
    *d = (struct duel){0};
}

/* ---- measuring ---- */

/* Sums of KL of the windows of a pack under a plan. */
static bool measure(struct job *j, struct pack p, const struct plan *plan, const struct plan_but *but,
                    double *loss, struct err *e)
{
    struct trial_ask *ask = xcalloc(p.n, sizeof *ask);
    struct trial_loss *l = xcalloc(p.n, sizeof *l);
    for (uint32_t i = 0; i < p.n; i++)
        ask[i] = (struct trial_ask){p.first + i, plan, but};
    bool ok = trial_losses(j->t.trial, ask, p.n, l, e);
    for (uint32_t i = 0; ok && i < p.n; i++) /* rounding may leave less than nothing */
        loss[p.first + i] = l[i].kl > 0 ? l[i].kl : 0;
    free(ask);
    free(l);
    return ok;
}

bool duel_step(struct job *j, struct duel *d, struct err *e)
{
    uint32_t at = d->order[d->n];
    struct pack p = j->t.packs[at];
    bool alone = d->kind == DUEL_ALONE;
    if ((!is_known(j, at) && !measure(j, p, j->r->plan, NULL, j->loss, e)) ||
        !measure(j, p, alone ? j->r->plan : d->plan, alone ? &d->but : NULL, d->loss, e))
        return false;
    d->n++;
    return true;
}

uint32_t duel_windows(const struct job *j, const struct duel *d)
{
    uint32_t n = 0;
    for (uint32_t i = d->first; i < d->n; i++)
        n += j->t.packs[d->order[i]].n;
    return n;
}

struct paired duel_result(const struct job *j, const struct duel *d)
{
    uint32_t n = duel_windows(j, d), m = 0;
    double *a = xcalloc(n, sizeof *a), *b = xcalloc(n, sizeof *b);
    uint32_t *tokens = xcalloc(n, sizeof *tokens), *category = xcalloc(n, sizeof *category);
    for (uint32_t i = d->first; i < d->n; i++) {
        struct pack p = j->t.packs[d->order[i]];
        for (uint32_t w = p.first; w < p.first + p.n; w++) {
            a[m] = j->loss[w];
            b[m] = d->loss[w];
            tokens[m] = j->t.n_scored[w];
            category[m++] = j->t.text.category[w];
        }
    }
    struct paired r = paired_of(a, b, tokens, category, n);
    free(a);
    free(b);
    free(tokens);
    free(category);
    return r;
}
