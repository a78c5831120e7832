/* criteria.c - what makes an expert worth keeping: one number per expert from its sums. Formulas:
 * docs/score.md. */
#include "base/mem.h"
#include "base/rng.h"
#include "stats/stats.h"

#include <math.h>
#include <string.h>

static const struct criterion_info infos[N_CRITERIA] = {
    [CRIT_REAP] = {"reap", NULL, NULL, "mean of gate x ||output|| over the expert's tokens", SUM_REAP},
    [CRIT_REAP_SUM] = {"reap_sum", "weighted_ean_sum", NULL,
                       "the same, summed: rarely used experts count less", SUM_REAP},
    [CRIT_EAN_MEAN] = {"ean_mean", NULL, NULL, "mean of ||output||, without the gate", SUM_EAN},
    [CRIT_EAN_SUM] = {"ean_sum", NULL, NULL, "sum of ||output||", SUM_EAN},
    [CRIT_FREQUENCY] = {"frequency", "expert_frequency", NULL, "number of tokens routed to it", 0},
    [CRIT_GATE_MEAN] = {"gate_mean", NULL, NULL, "mean of the gate weight", SUM_GATE},
    [CRIT_GATE_SUM] = {"gate_sum", "weighted_frequency_sum", "weighted_expert_frequency_sum",
                       "sum of the gate weight", SUM_GATE},
    [CRIT_REAP_L2] = {"reap_l2", NULL, NULL, "root mean square of gate x ||output||", SUM_REAP_SQ},
    [CRIT_EAN_L2] = {"ean_l2", NULL, NULL, "root mean square of ||output||", SUM_EAN_SQ},
    [CRIT_MAX_ACTIVATION] = {"max_activation", "max_activations", NULL, "largest component of any output",
                             SUM_MAX},
    [CRIT_RANDOM] = {"random", NULL, NULL, "a seeded random order: the control", 0},
};

const struct criterion_info *criterion_info(enum criterion c)
{
    return &infos[c];
}

static bool same(const char *a, const char *b)
{
    return b && !strcmp(a, b);
}

bool criterion_parse(const char *name, enum criterion *out)
{
    for (int c = 0; c < N_CRITERIA; c++)
        if (same(name, infos[c].name) || same(name, infos[c].alias) || same(name, infos[c].alias2)) {
            *out = (enum criterion)c;
            return true;
        }
    return false;
}

static double score_of(const struct sums *x, enum criterion c)
{
    double n = (double)x->count;
    if (x->count == 0)
        return 0;
    switch (c) {
    case CRIT_REAP: return x->reap_sum / n;
    case CRIT_REAP_SUM: return x->reap_sum;
    case CRIT_EAN_MEAN: return x->ean_sum / n;
    case CRIT_EAN_SUM: return x->ean_sum;
    case CRIT_FREQUENCY: return n;
    case CRIT_GATE_MEAN: return x->gate_sum / n;
    case CRIT_GATE_SUM: return x->gate_sum;
    case CRIT_REAP_L2: return sqrt(x->reap_sq_sum / n);
    case CRIT_EAN_L2: return sqrt(x->ean_sq_sum / n);
    case CRIT_MAX_ACTIVATION: return x->max_activation;
    case CRIT_RANDOM:
    case N_CRITERIA: break;
    }
    return NAN;
}

bool criterion_check(const struct stats *s, enum criterion c, struct err *e)
{
    if (!(infos[c].needs & s->unknown))
        return true;
    char list[256] = "";
    for (int k = 0; k < N_CRITERIA; k++)
        if (!(infos[k].needs & s->unknown))
            snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", *list ? ", " : "",
                     infos[k].name);
    const char *from = json_string_value(json_object_get(s->import, "format"));
    return err_set(
        e, ERR_INPUT,
        "the criterion %s needs sums that this file does not hold (imported from %.40s); possible are %s",
        infos[c].name, from ? from : "another tool", list);
}

bool criterion_scores(const struct stats *s, uint32_t i, enum criterion c, uint64_t seed, int which,
                      double *score, struct err *e)
{
    const struct stats_layer *l = &s->layers[i];
    if (!criterion_check(s, c, e))
        return false;
    /* one stream per layer, so that a layer's draw does not depend on the others */
    struct rng r = {seed * 0x100000001b3u + l->il + 1};
    for (uint32_t j = 0; j < s->n_experts; j++) {
        if (c == CRIT_RANDOM) {
            score[j] = (double)(rng_next(&r) >> 11) * 0x1p-53;
            continue;
        }
        struct sums x = which < 0 ? stats_total(l, j) : l->half[which][j];
        score[j] = score_of(&x, c);
        if (!isfinite(score[j]))
            return err_set(e, ERR_INPUT, "layer %u, expert %u: %s is not finite", l->il, j, infos[c].name);
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
