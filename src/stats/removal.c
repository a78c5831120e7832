/* removal.c - see removal.h. */
#include "stats/removal.h"
#include "base/mem.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Rounding must not make two sets each better than the other. */
#define EPS 1e-12

struct removal {
    const double *cost;
    uint32_t n, size; /* experts; of a group */
    const uint8_t *fixed;
    uint8_t *in;  /* stays */
    double *with; /* [n] sum over those that go of the cost with them, itself included if it goes */
    double total; /* of the whole matrix */
};

static double at(const struct removal *x, uint32_t i, uint32_t j)
{
    return x->cost[(size_t)i * x->n + j];
}

static bool is_fixed(const struct removal *x, uint32_t i)
{
    return x->fixed && x->fixed[i];
}

double removal_cost(const double *cost, uint32_t n, const uint8_t *in)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; !in[i] && j < n; j++)
            sum += in[j] ? 0 : cost[(size_t)i * n + j];
    return sum;
}

static void go(struct removal *x, uint32_t e)
{
    x->in[e] = 0;
    for (uint32_t i = 0; i < x->n; i++)
        x->with[i] += at(x, e, i);
}

static void come_back(struct removal *x, uint32_t e)
{
    x->in[e] = 1;
    for (uint32_t i = 0; i < x->n; i++)
        x->with[i] -= at(x, e, i);
}

static void greedy(struct removal *x, uint32_t each)
{
    uint32_t n_groups = x->n / x->size, *room = xcalloc(n_groups, sizeof *room);
    for (uint32_t g = 0; g < n_groups; g++)
        room[g] = x->size - each;
    for (uint32_t left = n_groups * (x->size - each); left; left--) {
        double least = INFINITY;
        uint32_t who = x->n;
        for (uint32_t i = x->n; i-- > 0;) {
            double adds = at(x, i, i) + 2 * x->with[i];
            if (x->in[i] && !is_fixed(x, i) && room[i / x->size] && (who == x->n || adds < least)) {
                least = adds;
                who = i;
            }
        }
        if (who == x->n)
            break; /* more are fixed than may be */
        go(x, who);
        room[who / x->size]--;
    }
    free(room);
}

/* What the cost becomes larger by when `back` comes back and `away` goes. */
static double change(const struct removal *x, uint32_t back, uint32_t away)
{
    return at(x, away, away) + 2 * (x->with[away] - at(x, away, back)) + at(x, back, back) -
           2 * x->with[back];
}

static bool exchange(struct removal *x)
{
    double best = -EPS * x->total;
    uint32_t back = x->n, away = x->n;
    for (uint32_t i = 0; i < x->n; i++)
        for (uint32_t k = i / x->size * x->size; !x->in[i] && k < (i / x->size + 1) * x->size; k++) {
            double by = x->in[k] && !is_fixed(x, k) ? change(x, i, k) : 0;
            if (by < best) {
                best = by;
                back = i;
                away = k;
            }
        }
    if (back == x->n)
        return false;
    come_back(x, back);
    go(x, away);
    return true;
}

void removal_choose(const double *cost, uint32_t n, uint32_t n_groups, uint32_t n_keep, const uint8_t *fixed,
                    uint8_t *in)
{
    struct removal x = {.cost = cost, .n = n, .size = n / n_groups, .fixed = fixed, .in = in};
    x.with = xcalloc(n, sizeof *x.with);
    memset(in, 1, n);
    for (size_t i = 0; i < (size_t)n * n; i++)
        x.total += cost[i];
    greedy(&x, n_keep / n_groups);
    for (uint32_t round = 0; round < 4 * n && exchange(&x);)
        round++;
    free(x.with);
}
