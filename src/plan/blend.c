/* blend.c - see blend.h.
 *
 * The best set is a hard problem (a knapsack with several constraints). Two starts: the best by the mean of
 * the shares, and greedily the expert that lifts the worst domain most. From each, the exchange of one expert
 * that stays for one that goes, of the same group, which improves most, until none does. A set is better when
 * its worst domain keeps more; then when all domains together do. */
#include "plan/blend.h"
#include "base/mem.h"
#include "stats/criteria.h"

#include <math.h>
#include <string.h>

struct problem {
    const double *share;
    uint32_t n_domains, n, n_groups, each; /* each: stay in a group */
    const uint8_t *fixed;
};

struct value {
    double worst, sum;
};

/* Rounding must not make two sets each better than the other. */
#define EPS 1e-12

static bool better(struct value a, struct value b)
{
    if (fabs(a.worst - b.worst) > EPS)
        return a.worst > b.worst;
    return a.sum > b.sum + EPS;
}

/* What the domains keep of their score: kept[n_domains]. */
static void kept_of(const struct problem *p, const uint8_t *in, double *kept)
{
    for (uint32_t d = 0; d < p->n_domains; d++) {
        kept[d] = 0;
        for (uint32_t j = 0; j < p->n; j++)
            kept[d] += in[j] ? p->share[(size_t)d * p->n + j] : 0;
    }
}

/* The value when `add` comes and `drop` (-1: none) goes. */
static struct value value_with(const struct problem *p, const double *kept, uint32_t add, int64_t drop)
{
    struct value v = {INFINITY, 0};
    for (uint32_t d = 0; d < p->n_domains; d++) {
        const double *share = p->share + (size_t)d * p->n;
        double k = kept[d] + share[add] - (drop < 0 ? 0 : share[drop]);
        v.worst = k < v.worst ? k : v.worst;
        v.sum += k;
    }
    return v;
}

static struct value value_of(const struct problem *p, const double *kept)
{
    struct value v = {INFINITY, 0};
    for (uint32_t d = 0; d < p->n_domains; d++) {
        v.worst = kept[d] < v.worst ? kept[d] : v.worst;
        v.sum += kept[d];
    }
    return v;
}

static void start_greedy(const struct problem *p, uint8_t *in, double *kept, uint32_t *room)
{
    uint32_t size = p->n / p->n_groups, left = p->each * p->n_groups;
    for (uint32_t g = 0; g < p->n_groups; g++)
        room[g] = p->each;
    for (uint32_t j = 0; j < p->n; j++) {
        in[j] = p->fixed[j];
        room[j / size] -= in[j] ? 1u : 0u;
        left -= in[j] ? 1u : 0u;
    }
    for (; left; left--) {
        struct value best = {-INFINITY, -INFINITY};
        uint32_t at = p->n;
        kept_of(p, in, kept);
        for (uint32_t j = 0; j < p->n; j++) {
            if (in[j] || !room[j / size])
                continue;
            struct value v = value_with(p, kept, j, -1);
            if (at == p->n || better(v, best)) {
                best = v;
                at = j;
            }
        }
        in[at] = 1;
        room[at / size]--;
    }
}

static void start_mean(const struct problem *p, uint8_t *in)
{
    double *mean = xcalloc(p->n, sizeof *mean);
    for (uint32_t j = 0; j < p->n; j++) {
        for (uint32_t d = 0; d < p->n_domains; d++)
            mean[j] += p->share[(size_t)d * p->n + j];
        if (p->fixed[j])
            mean[j] = INFINITY;
    }
    criterion_choose(mean, p->n, p->n_groups, p->each * p->n_groups, in);
    free(mean);
}

static struct value exchange(const struct problem *p, uint8_t *in, double *kept)
{
    uint32_t size = p->n / p->n_groups;
    for (uint32_t round = 0; round < 4 * p->n; round++) {
        kept_of(p, in, kept);
        struct value best = value_of(p, kept);
        int64_t add = -1, drop = -1;
        for (uint32_t j = 0; j < p->n; j++)
            for (uint32_t k = j / size * size; !in[j] && k < (j / size + 1) * size; k++) {
                if (!in[k] || p->fixed[k])
                    continue;
                struct value v = value_with(p, kept, j, k);
                if (better(v, best)) {
                    best = v;
                    add = j;
                    drop = k;
                }
            }
        if (add < 0)
            break;
        in[add] = 1;
        in[drop] = 0;
    }
    kept_of(p, in, kept);
    return value_of(p, kept);
}

void blend_maxmin(const double *share, uint32_t n_domains, const uint8_t *fixed, const struct shape *s,
                  uint32_t n_keep, uint8_t *in)
{
    const struct problem p = {share, n_domains, s->n_experts, s->n_groups, n_keep / s->n_groups, fixed};
    double *kept = xcalloc(n_domains, sizeof *kept);
    uint32_t *room = xcalloc(s->n_groups, sizeof *room);
    uint8_t *other = xcalloc(p.n, 1);
    start_mean(&p, in);
    struct value a = exchange(&p, in, kept);
    start_greedy(&p, other, kept, room);
    if (better(exchange(&p, other, kept), a))
        memcpy(in, other, p.n);
    free(other);
    free(room);
    free(kept);
}
