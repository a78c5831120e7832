/* tables.c - see tables.h. */
#include "stats/tables.h"
#include "base/mem.h"
#include "stats/summary.h"

#include <math.h>
#include <string.h>

const double table_ratios[TABLE_RATIOS] = {0.125, 0.25, 0.375, 0.5, 0.75};

/* ---- one file ---- */

static bool fill(struct table *t, uint32_t i, struct err *e)
{
    const struct stats *s = t->s;
    const struct stats_layer *l = &s->layers[i];
    uint32_t n = s->n_experts, g = s->n_groups;
    double *score = xcalloc(4 * (size_t)n, sizeof *score), *even = score + n, *odd = even + n,
           *counts = odd + n;
    uint8_t *in = xcalloc(n, 1);
    double routed = (double)stats_tokens(l) * l->n_used;
    struct table_row *r = &t->rows[i];
    *r = (struct table_row){.il = l->il, .tokens = stats_tokens(l), .least = 1, .correlation = NAN};
    bool ok = criterion_scores(s, i, t->c, 0, -1, score, e) &&
              criterion_scores(s, i, t->c, 0, EVEN, even, e) &&
              criterion_scores(s, i, t->c, 0, ODD, odd, e) &&
              summary_low(s, i, t->c, t->low + (size_t)i * n, &r->n_low, e);
    for (uint32_t j = 0; ok && j < n; j++) {
        counts[j] = (double)stats_total(l, j).count;
        double share = routed > 0 ? counts[j] / routed : 0;
        r->least = share < r->least ? share : r->least;
        r->most = share > r->most ? share : r->most;
        r->n_super += t->super[(size_t)i * n + j];
    }
    r->gini = summary_gini(counts, n);
    if (ok && t->halves)
        r->correlation = summary_rank_correlation(even, odd, n);
    for (size_t k = 0; ok && k < TABLE_RATIOS; k++) {
        r->kept[k] = summary_share(score, n, g, t->keep[k]);
        r->gap[k] = summary_gap(score, n, g, t->keep[k]);
        criterion_choose(score, n, g, t->keep[k], in);
        r->mass[k] = summary_gate_mass(s, i, in);
        struct halves h;
        ok = summary_halves_of(s, i, t->c, t->keep[k], &h, e);
        r->agree[k] = h.same;
        r->held[k] = h.kept;
    }
    free(score);
    free(in);
    return ok;
}

void table_clear(struct table *t)
{
    free(t->rows);
    free(t->low);
    free(t->super);
}

bool table_make(struct table *t, const struct stats *s, const struct criterion *c,
                const uint32_t keep[TABLE_RATIOS], struct err *e)
{
    struct err no = {0};
    size_t all = (size_t)s->n_layers * s->n_experts;
    *t = (struct table){.s = s, .c = c, .halves = s->layers[0].tokens[EVEN] && s->layers[0].tokens[ODD]};
    t->rows = xcalloc(s->n_layers, sizeof *t->rows);
    t->low = xcalloc(all, 1);
    t->super = xcalloc(all, 1);
    memcpy(t->keep, keep, sizeof t->keep);
    if (!summary_super(s, t->super, &t->n_super, &t->super_limit, &no))
        t->super_limit = NAN;
    for (uint32_t i = 0; i < s->n_layers; i++)
        if (!fill(t, i, e))
            return false;
    return true;
}

double table_mean(const struct table *t, size_t off)
{
    double sum = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->s->n_layers; i++) {
        double v = *(const double *)(const void *)((const char *)&t->rows[i] + off);
        if (!isnan(v)) {
            sum += v;
            n++;
        }
    }
    return n ? sum / n : NAN;
}

double table_tokens_for(const struct table *t, size_t k)
{
    double half = (double)stats_tokens(&t->s->layers[0]) / 2;
    return t->halves ? summary_tokens_for(TABLE_MEAN(t, agree[k]), half, TABLE_GOAL) : NAN;
}

double table_tokens_for_score(const struct table *t, size_t k)
{
    double half = (double)stats_tokens(&t->s->layers[0]) / 2;
    return t->halves ? summary_tokens_for_score(TABLE_MEAN(t, held[k]), half, TABLE_GOAL_SCORE) : NAN;
}

/* ---- several files ---- */

bool table_pair(const struct stats *x, const struct stats *y, const struct criterion *c,
                const uint32_t keep[TABLE_RATIOS], struct table_pair *p, struct err *e)
{
    uint32_t n = x->n_experts, n_corr = 0;
    double *a = xcalloc(2 * (size_t)n, sizeof *a), *b = a + n;
    bool ok = true;
    *p = (struct table_pair){0};
    for (uint32_t i = 0; ok && i < x->n_layers; i++) {
        ok = criterion_scores(x, i, c, 0, -1, a, e) && criterion_scores(y, i, c, 0, -1, b, e);
        if (!ok)
            break;
        double r = summary_rank_correlation(a, b, n);
        p->correlation += isnan(r) ? 0 : r;
        n_corr += isnan(r) ? 0 : 1;
        for (size_t k = 0; k < TABLE_RATIOS; k++) {
            p->overlap[k] += summary_agreement(a, b, n, x->n_groups, keep[k]);
            p->by_first[k] += summary_held(a, b, n, x->n_groups, keep[k]);
            p->by_second[k] += summary_held(b, a, n, x->n_groups, keep[k]);
        }
    }
    for (size_t k = 0; k < TABLE_RATIOS; k++) {
        p->overlap[k] /= x->n_layers;
        p->by_first[k] /= x->n_layers;
        p->by_second[k] /= x->n_layers;
    }
    p->correlation = n_corr ? p->correlation / n_corr : NAN;
    free(a);
    return ok;
}

uint8_t *table_low_in_all(struct stats *const *s, const char *const *path, uint32_t n,
                          const struct criterion *c, struct err *e)
{
    uint32_t n_layers = s[0]->n_layers, n_experts = s[0]->n_experts;
    uint8_t *all = xcalloc(n_layers, n_experts), *one = xcalloc(n_experts, 1);
    bool ok = true;
    for (uint32_t f = 0; ok && f < n; f++)
        for (uint32_t i = 0; ok && i < n_layers; i++) {
            uint32_t n_low;
            ok = summary_low(s[f], i, c, one, &n_low, e) || err_ctx(e, "%s", path[f]);
            for (uint32_t j = 0; ok && j < n_experts; j++) {
                uint8_t *x = &all[(size_t)i * n_experts + j];
                *x = one[j] && (f == 0 || *x);
            }
        }
    free(one);
    if (ok)
        return all;
    free(all);
    return NULL;
}
