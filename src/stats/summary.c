/* summary.c - see summary.h. */
#include "stats/summary.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

double summary_share(const double *score, uint32_t n_experts, uint32_t n_groups, uint32_t n)
{
    uint8_t *in = xcalloc(n_experts, 1);
    double total = 0, kept = 0;
    criterion_choose(score, n_experts, n_groups, n, in);
    for (uint32_t j = 0; j < n_experts; j++) {
        total += score[j];
        kept += in[j] ? score[j] : 0;
    }
    free(in);
    return total > 0 ? kept / total : 1;
}

double summary_agreement(const double *a, const double *b, uint32_t n_experts, uint32_t n_groups, uint32_t n)
{
    uint8_t *x = xcalloc(2, n_experts), *y = x + n_experts;
    uint32_t same = 0;
    criterion_choose(a, n_experts, n_groups, n, x);
    criterion_choose(b, n_experts, n_groups, n, y);
    for (uint32_t j = 0; j < n_experts; j++)
        same += x[j] && y[j];
    free(x);
    return n ? (double)same / n : 1;
}

double summary_held(const double *a, const double *b, uint32_t n_experts, uint32_t n_groups, uint32_t n)
{
    uint8_t *x = xcalloc(2, n_experts), *y = x + n_experts;
    double held = 0, most = 0;
    criterion_choose(a, n_experts, n_groups, n, x);
    criterion_choose(b, n_experts, n_groups, n, y);
    for (uint32_t j = 0; j < n_experts; j++) {
        held += x[j] ? b[j] : 0;
        most += y[j] ? b[j] : 0;
    }
    free(x);
    return most > 0 ? held / most : 1;
}

/* What `other` keeps by w, as a share of what w's own choice does. */
static double held(const struct merit *w, const uint8_t *own, const uint8_t *other)
{
    double most = merit_kept(w, own);
    return most > 0 ? merit_kept(w, other) / most : 1;
}

bool summary_halves_of(const struct stats *s, uint32_t i, const struct criterion *c, uint32_t n,
                       struct halves *h, struct err *e)
{
    const struct stats_layer *l = &s->layers[i];
    struct merit w[2] = {{0}, {0}};
    uint32_t same = 0;
    uint8_t *in[2] = {xcalloc(2, s->n_experts)};
    in[ODD] = in[EVEN] + s->n_experts;
    bool ok = merit_of(&w[EVEN], s, i, c, 0, EVEN, e) && merit_of(&w[ODD], s, i, c, 0, ODD, e);
    *h = (struct halves){NAN, NAN};
    if (ok && l->tokens[EVEN] && l->tokens[ODD]) {
        for (int k = 0; k < 2; k++)
            merit_choose(&w[k], s->n_groups, n, NULL, in[k]);
        for (uint32_t j = 0; j < s->n_experts; j++)
            same += in[EVEN][j] && in[ODD][j];
        h->same = n ? (double)same / n : 1;
        h->kept = (held(&w[ODD], in[ODD], in[EVEN]) + held(&w[EVEN], in[EVEN], in[ODD])) / 2;
    }
    for (int k = 0; k < 2; k++)
        merit_clear(&w[k]);
    free(in[EVEN]);
    return ok;
}

bool summary_halves(const struct stats *s, const struct criterion *c, uint32_t n, struct halves *h,
                    struct err *e)
{
    struct halves sum = {0, 0}, one;
    for (uint32_t i = 0; i < s->n_layers; i++) {
        if (!summary_halves_of(s, i, c, n, &one, e))
            return false;
        sum.same += one.same;
        sum.kept += one.kept;
    }
    *h = (struct halves){sum.same / s->n_layers, sum.kept / s->n_layers};
    return true;
}

bool summary_halves_text(const struct halves *h, struct buf *b)
{
    if (isnan(h->same) || isnan(h->kept))
        return false;
    buf_fmt(b, "same choice from each half: %.1f %% of the experts, %.1f %% of the score", 100 * h->same,
            100 * h->kept);
    return true;
}

double summary_gap(const double *score, uint32_t n_experts, uint32_t n_groups, uint32_t n)
{
    uint32_t size = n_experts / n_groups, each = n / n_groups;
    uint32_t *best = xcalloc(size, sizeof *best);
    double least = NAN;
    for (uint32_t g = 0; g < n_groups && each && each < size; g++) {
        criterion_rank(score + g * size, size, best);
        double last = score[g * size + best[each - 1]], first = score[g * size + best[each]];
        double gap = last > 0 ? (last - first) / last : 0;
        least = isnan(least) || gap < least ? gap : least;
    }
    free(best);
    return least;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double *sorted(const double *v, size_t n)
{
    double *s = xcalloc(n, sizeof *s);
    memcpy(s, v, n * sizeof *s);
    qsort(s, n, sizeof *s, ascending);
    return s;
}

double summary_gini(const double *v, uint32_t n)
{
    double *s = sorted(v, n), total = 0, weighted = 0;
    for (uint32_t i = 0; i < n; i++) {
        total += s[i];
        weighted += (2.0 * i + 1 - n) * s[i];
    }
    free(s);
    return total > 0 ? weighted / (n * total) : NAN;
}

/* Rank from 0, the smallest first; equal values get their mean rank. */
static double *mean_ranks(const double *v, uint32_t n)
{
    uint32_t *ids = xcalloc(n, sizeof *ids);
    double *rank = xcalloc(n, sizeof *rank);
    criterion_rank(v, n, ids);
    for (uint32_t i = 0, k; i < n; i = k) {
        for (k = i + 1; k < n && v[ids[k]] == v[ids[i]];)
            k++;
        for (uint32_t m = i; m < k; m++)
            rank[ids[m]] = n - 1 - (i + k - 1) / 2.0;
    }
    free(ids);
    return rank;
}

double summary_rank_correlation(const double *a, const double *b, uint32_t n)
{
    double *x = mean_ranks(a, n), *y = mean_ranks(b, n), mean = (n - 1) / 2.0, xx = 0, yy = 0, xy = 0;
    for (uint32_t i = 0; i < n; i++) {
        xx += (x[i] - mean) * (x[i] - mean);
        yy += (y[i] - mean) * (y[i] - mean);
        xy += (x[i] - mean) * (y[i] - mean);
    }
    free(x);
    free(y);
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : NAN;
}

double summary_tokens_for(double agreement, double tokens, double goal)
{
    double factor = (1 - agreement) / (1 - goal);
    return tokens * factor * factor;
}

double summary_tokens_for_score(double kept, double tokens, double goal)
{
    return tokens * (1 - kept) / (1 - goal);
}

bool summary_low(const struct stats *s, uint32_t i, const struct criterion *c, uint8_t *in, uint32_t *n,
                 struct err *e)
{
    const struct stats_layer *l = &s->layers[i];
    uint32_t quarter = s->n_experts >= 4 ? s->n_experts / 4 : 1;
    double *score = xcalloc(s->n_experts, sizeof *score);
    uint32_t *ids = xcalloc(s->n_experts, sizeof *ids);
    bool ok = true, halves = l->tokens[EVEN] && l->tokens[ODD];
    memset(in, 0, s->n_experts);
    for (int h = halves ? EVEN : -1; ok && h <= (halves ? ODD : -1); h++) {
        ok = criterion_scores(s, i, c, 0, h, score, e);
        criterion_rank(score, s->n_experts, ids);
        for (uint32_t k = 0; ok && k < quarter; k++)
            in[ids[s->n_experts - 1 - k]]++;
    }
    *n = 0;
    for (uint32_t j = 0; j < s->n_experts; j++) {
        in[j] = in[j] == (halves ? 2 : 1);
        *n += in[j];
    }
    free(ids);
    free(score);
    return ok;
}

bool summary_super(const struct stats *s, uint8_t *in, uint32_t *n, double *limit, struct err *e)
{
    size_t all = (size_t)s->n_layers * s->n_experts;
    double *v = xcalloc(all, sizeof *v);
    bool ok = true;
    for (uint32_t i = 0; ok && i < s->n_layers; i++)
        ok = criterion_scores(s, i, criterion_find("max_activation"), 0, -1, v + (size_t)i * s->n_experts, e);
    double *up = sorted(v, all);
    double at = 0.995 * (double)(all - 1);
    size_t below = (size_t)at;
    double p = up[below];
    if (below + 1 < all)
        p += (at - (double)below) * (up[below + 1] - p);
    *limit = p > up[all - 1] / 10 ? p : up[all - 1] / 10;
    *n = 0;
    for (size_t j = 0; j < all; j++) {
        in[j] = v[j] > *limit;
        *n += in[j];
    }
    free(up);
    free(v);
    return ok;
}

double summary_gate_mass(const struct stats *s, uint32_t i, const uint8_t *in)
{
    double all = 0, kept = 0;
    if (s->unknown & SUM_BIT(SUM_GATE_MASS))
        return NAN;
    for (uint32_t j = 0; j < s->n_experts; j++) {
        double mass = stats_total(&s->layers[i], j).gate_mass;
        all += mass;
        kept += in[j] ? mass : 0;
    }
    return all > 0 ? kept / all : NAN;
}
