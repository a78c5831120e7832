/* criteria.c - see criteria.h: the table, scores, ranks. */
#include "stats/criteria.h"
#include "base/mem.h"
#include "base/rng.h"

#include <math.h>
#include <string.h>

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
    case CRITERION_CHANCE: break;
    }
    return NAN;
}

bool criterion_check(const struct stats *s, const struct criterion *c, struct err *e)
{
    if (!(criterion_needs(c) & s->unknown))
        return true;
    char list[400] = "", why[200];
    for (const struct criterion *k = criteria; k < criteria + N_CRITERIA; k++)
        if (!(criterion_needs(k) & s->unknown))
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
