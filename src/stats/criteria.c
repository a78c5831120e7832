/* criteria.c - see criteria.h: the table, scores, ranks. */
#include "stats/criteria.h"
#include "base/mem.h"
#include "base/rng.h"
#include "stats/pairs.h"
#include "stats/removal.h"

#include <math.h>
#include <string.h>

/* Sums of products of two contributions' lengths; on the diagonal of their squares. */
static bool pairs_cost(const struct stats *s, uint32_t i, int which, double *cost, struct err *e)
{
    uint32_t n = s->n_experts;
    if (!stats_need_pairs(s, e))
        return false;
    const struct pair_sums *half[2] = {pairs_of(s, i, EVEN), pairs_of(s, i, ODD)};
    for (uint32_t a = 0; a < n; a++) {
        struct sums x = which < 0 ? stats_total(&s->layers[i], a) : s->layers[i].half[which][a];
        cost[(size_t)a * n + a] = x.reap_sq_sum;
        for (uint32_t b = a + 1; b < n; b++) {
            size_t at = pair_at(n, a, b);
            double v = which < 0 ? half[EVEN]->sum[at] + half[ODD]->sum[at] : half[which]->sum[at];
            cost[(size_t)a * n + b] = cost[(size_t)b * n + a] = v;
        }
    }
    return true;
}

/* The first is the default. */
static const struct criterion criteria[] = {
    {
        .name = CRITERION_DEFAULT,
        .form = CRITERION_MEAN,
        .sum = SUM_REAP,
        .formula = "reap_sum / count",
        .what = "mean of gate x ||output|| over the expert's tokens",
        .note = "the default",
    },
    {
        .name = "reap_sum",
        .aliases = {"weighted_ean_sum"},
        .form = CRITERION_SUM,
        .sum = SUM_REAP,
        .formula = "reap_sum",
        .what = "the same, summed: rarely used experts count less",
        .note = "rarely used experts count less",
    },
    {
        .name = "ean_mean",
        .form = CRITERION_MEAN,
        .sum = SUM_EAN,
        .formula = "ean_sum / count",
        .what = "mean of ||output||, without the gate",
        .note = "without the gate",
    },
    {
        .name = "ean_sum",
        .form = CRITERION_SUM,
        .sum = SUM_EAN,
        .formula = "ean_sum",
        .what = "sum of ||output||",
        .note = "",
    },
    {
        .name = "frequency",
        .aliases = {"expert_frequency"},
        .form = CRITERION_COUNT,
        .formula = "count",
        .what = "number of tokens routed to it",
        .note = "",
    },
    {
        .name = "gate_mean",
        .form = CRITERION_MEAN,
        .sum = SUM_GATE,
        .formula = "gate_sum / count",
        .what = "mean of the gate weight",
        .note = "",
    },
    {
        .name = "gate_sum",
        .aliases = {"weighted_frequency_sum", "weighted_expert_frequency_sum"},
        .form = CRITERION_SUM,
        .sum = SUM_GATE,
        .formula = "gate_sum",
        .what = "sum of the gate weight",
        .note = "",
    },
    {
        .name = "reap_l2",
        .form = CRITERION_ROOT,
        .sum = SUM_REAP_SQ,
        .formula = "sqrt(reap_sq_sum / count)",
        .what = "root mean square of gate x ||output||",
        .note = "large contributions count more",
    },
    {
        .name = "ean_l2",
        .form = CRITERION_ROOT,
        .sum = SUM_EAN_SQ,
        .formula = "sqrt(ean_sq_sum / count)",
        .what = "root mean square of ||output||",
        .note = "the same without the gate; what an imatrix can estimate",
    },
    {
        .name = "reap_sq_sum",
        .form = CRITERION_SUM,
        .sum = SUM_REAP_SQ,
        .formula = "reap_sq_sum",
        .what = "sum of the squares of gate x ||output||",
        .note = "large contributions and frequent use count more",
    },
    {
        .name = "loo",
        .form = CRITERION_SUM,
        .sum = SUM_LOO_SQ,
        .formula = "loo_sq_sum",
        .what = "sum of the squares of what the layer's output changes without the expert",
        .note = "routers that renormalise; [arXiv 2609.30465](https://arxiv.org/abs/2609.30465)",
    },
    {
        .name = "loo_mean",
        .form = CRITERION_MEAN,
        .sum = SUM_LOO,
        .formula = "loo_sum / count",
        .what = "mean of what the layer's output changes without the expert",
        .note = "the same routers",
    },
    {
        .name = "hope",
        .form = CRITERION_SET,
        .sum = SUM_REAP_SQ,
        .cost = pairs_cost,
        .formula = "least sum over removed i, j of F_ij, F_ij = sum of c_i c_j, c = gate x ||output||",
        .what =
            "the set that adds least when it goes, pairs of experts counted together: greedy, then exchanges",
        .note = "chooses a set, gives no scores; needs sums of pairs; "
                "[arXiv 2609.18916](https://arxiv.org/abs/2609.18916)",
    },
    {
        .name = "max_activation",
        .aliases = {"max_activations"},
        .form = CRITERION_SUM,
        .sum = SUM_MAX,
        .formula = "max_activation",
        .what = "largest component of any output",
        .note = "",
    },
    {
        .name = "random",
        .form = CRITERION_CHANCE,
        .formula = "a seeded order, a stream per layer",
        .what = "a seeded random order: the control",
        .note = "the control",
    },
};
#define N_CRITERIA (sizeof criteria / sizeof *criteria)

const struct criterion *criterion_at(uint32_t i)
{
    return i < N_CRITERIA ? &criteria[i] : NULL;
}

const struct criterion *criterion_default(void)
{
    return &criteria[0];
}

const char *criterion_name_at(uint32_t i)
{
    return i < N_CRITERIA ? criteria[i].name : NULL;
}

static bool same(const char *a, const char *b)
{
    return b && !strcmp(a, b);
}

const struct criterion *criterion_find(const char *name)
{
    for (const struct criterion *c = criteria; c < criteria + N_CRITERIA; c++)
        if (same(name, c->name) || same(name, c->aliases[0]) || same(name, c->aliases[1]))
            return c;
    return NULL;
}

unsigned criterion_needs(const struct criterion *c)
{
    return c->form == CRITERION_COUNT || c->form == CRITERION_CHANCE ? 0 : SUM_BIT(c->sum);
}

bool criterion_has_scores(const struct criterion *c)
{
    return c->form != CRITERION_SET;
}

static double score_of(const struct sums *x, const struct criterion *c)
{
    double n = (double)x->count;
    if (x->count == 0)
        return 0;
    switch (c->form) {
    case CRITERION_SUM: return sum_value(x, c->sum);
    case CRITERION_MEAN: return sum_value(x, c->sum) / n;
    case CRITERION_ROOT: return sqrt(sum_value(x, c->sum) / n);
    case CRITERION_COUNT: return n;
    case CRITERION_CHANCE:
    case CRITERION_SET: break;
    }
    return NAN;
}

bool criterion_can(const struct stats *s, const struct criterion *c)
{
    struct err no = {0};
    bool there;
    return !(criterion_needs(c) & s->unknown) &&
           (c->form != CRITERION_SET || (stats_pairs_there(s, &there, &no) && there));
}

bool criterion_check(const struct stats *s, const struct criterion *c, struct err *e)
{
    if (!(criterion_needs(c) & s->unknown))
        return c->form != CRITERION_SET || stats_need_pairs(s, e) || err_ctx(e, "criterion %s", c->name);
    char list[400] = "", why[200];
    for (const struct criterion *k = criteria; k < criteria + N_CRITERIA; k++)
        if (criterion_can(s, k))
            snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", *list ? ", " : "", k->name);
    stats_why_unknown(s, c->sum, why);
    return err_set(e, ERR_INPUT,
                   "the criterion %s needs sums that this file does not hold (%s); possible are %s", c->name,
                   why, list);
}

bool criterion_scores(const struct stats *s, uint32_t i, const struct criterion *c, uint64_t seed, int which,
                      double *score, struct err *e)
{
    const struct stats_layer *l = &s->layers[i];
    if (!criterion_check(s, c, e))
        return false;
    if (!criterion_has_scores(c))
        return err_set(
            e, ERR_INPUT,
            "the criterion %s chooses a set of experts and gives none of them a score, which is needed here",
            c->name);
    /* one stream per layer, so that a layer's draw does not depend on the others */
    struct rng r = {seed * 0x100000001b3u + l->il + 1};
    for (uint32_t j = 0; j < s->n_experts; j++) {
        if (c->form == CRITERION_CHANCE) {
            score[j] = (double)(rng_next(&r) >> 11) * 0x1p-53;
            continue;
        }
        struct sums x = which < 0 ? stats_total(l, j) : l->half[which][j];
        score[j] = score_of(&x, c);
        if (!isfinite(score[j]))
            return err_set(e, ERR_INPUT, "layer %u, expert %u: %s is not finite", l->il, j, c->name);
    }
    return true;
}

struct ranked {
    double score;
    uint32_t id;
};

static int best_first(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

void criterion_rank(const double *score, uint32_t n, uint32_t *ids)
{
    struct ranked *r = xcalloc(n, sizeof *r);
    for (uint32_t i = 0; i < n; i++)
        r[i] = (struct ranked){score[i], i};
    qsort(r, n, sizeof *r, best_first);
    for (uint32_t i = 0; i < n; i++)
        ids[i] = r[i].id;
    free(r);
}

void criterion_choose(const double *score, uint32_t n, uint32_t n_groups, uint32_t n_keep, uint8_t *in)
{
    uint32_t size = n / n_groups, each = n_keep / n_groups;
    uint32_t *best = xcalloc(size, sizeof *best);
    memset(in, 0, n);
    for (uint32_t g = 0; g < n_groups; g++) {
        criterion_rank(score + g * size, size, best);
        for (uint32_t i = 0; i < each; i++)
            in[g * size + best[i]] = 1;
    }
    free(best);
}

/* ---- what the experts of a layer are worth ---- */

bool merit_of(struct merit *w, const struct stats *s, uint32_t i, const struct criterion *c, uint64_t seed,
              int which, struct err *e)
{
    size_t n = s->n_experts;
    *w = (struct merit){.n = s->n_experts};
    if (criterion_has_scores(c)) {
        w->score = xcalloc(n, sizeof *w->score);
        return criterion_scores(s, i, c, seed, which, w->score, e);
    }
    w->cost = xcalloc(n * n, sizeof *w->cost);
    return criterion_check(s, c, e) && c->cost(s, i, which, w->cost, e) &&
           (isfinite(merit_total(w)) ||
            err_set(e, ERR_INPUT, "layer %u: the sums of %s are not finite", s->layers[i].il, c->name));
}

void merit_clear(struct merit *w)
{
    free(w->score);
    free(w->cost);
    *w = (struct merit){0};
}

void merit_choose(const struct merit *w, uint32_t n_groups, uint32_t n_keep, const uint8_t *fixed,
                  uint8_t *in)
{
    if (w->cost) {
        removal_choose(w->cost, w->n, n_groups, n_keep, fixed, in);
        return;
    }
    double *rank = xcalloc(w->n, sizeof *rank);
    for (uint32_t k = 0; k < w->n; k++)
        rank[k] = fixed && fixed[k] ? INFINITY : w->score[k];
    criterion_choose(rank, w->n, n_groups, n_keep, in);
    free(rank);
}

double merit_total(const struct merit *w)
{
    const double *v = w->cost ? w->cost : w->score;
    size_t n = w->cost ? (size_t)w->n * w->n : w->n;
    double sum = 0;
    for (size_t k = 0; k < n; k++)
        sum += v[k];
    return sum;
}

double merit_kept(const struct merit *w, const uint8_t *in)
{
    double sum = 0;
    if (w->cost)
        return merit_total(w) - removal_cost(w->cost, w->n, in);
    for (uint32_t k = 0; k < w->n; k++)
        sum += in[k] ? w->score[k] : 0;
    return sum;
}
