/* worth.c - see worth.h. */
#include "sweep/worth.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

#define WORTH_PAIR   1e-3 /* nats: how far a swap is from what its two experts say, one standard deviation */
#define WORTH_DRIFT  3e-4 /* nats: how far the worth of an expert goes when another of its layer is swapped */
#define BEYOND_PRIOR 8.0  /* as many swaps are taken to have gained what their experts said */
#define LEAST_SHARE  0.25 /* of what experts differ by that is no error, at least */

static size_t at(const struct worth *w, uint32_t layer, uint32_t expert)
{
    return (size_t)layer * w->n_experts + expert;
}

static size_t bit(const struct worth *w, struct swap s)
{
    return at(w, s.layer, s.out) * w->n_experts + s.in;
}

void worth_init(struct worth *w, uint32_t n_layers, uint32_t n_experts, uint32_t n_groups)
{
    size_t n = (size_t)n_layers * n_experts;
    *w = (struct worth){.n_layers = n_layers, .n_experts = n_experts, .n_groups = n_groups};
    w->mean = xcalloc(n, sizeof *w->mean);
    w->var = xcalloc(n, sizeof *w->var);
    w->tried = xcalloc((n * n_experts + 7) / 8, 1);
    for (size_t i = 0; i < n; i++)
        w->var[i] = -1;
}

void worth_clear(struct worth *w)
{
    free(w->mean);
    free(w->var);
    free(w->tried);
    *w = (struct worth){0};
}

static bool is_known(const struct worth *w, uint32_t layer, uint32_t expert)
{
    return w->var[at(w, layer, expert)] >= 0;
}

void worth_set(struct worth *w, uint32_t layer, uint32_t expert, double mean, double var)
{
    w->mean[at(w, layer, expert)] = mean;
    w->var[at(w, layer, expert)] = var;
}

bool worth_was_tried(const struct worth *w, struct swap s)
{
    return w->tried[bit(w, s) / 8] >> (bit(w, s) % 8) & 1;
}

void worth_set_tried(struct worth *w, struct swap s)
{
    w->tried[bit(w, s) / 8] |= (uint8_t)(1u << (bit(w, s) % 8));
}

/* keeps[n_experts]: of one layer of the plan. */
static void kept_of(const struct plan *p, uint32_t layer, uint32_t n_experts, bool *keeps)
{
    memset(keeps, 0, n_experts * sizeof *keeps);
    for (uint32_t i = 0; i < p->n_keep; i++)
        keeps[p->layers[layer].keep[i]] = true;
}

/* ---- what is known ---- */

static void settle(struct worth *w, uint32_t layer, const bool *keeps, bool side)
{
    double n = 0, sum = 0, sum2 = 0, errors = 0;
    for (uint32_t x = 0; x < w->n_experts; x++)
        if (keeps[x] == side && is_known(w, layer, x)) {
            double m = w->mean[at(w, layer, x)];
            n++;
            sum += m;
            sum2 += m * m;
            errors += w->var[at(w, layer, x)];
        }
    double mean = n > 0 ? sum / n : 0, all = n > 0 ? sum2 / n - mean * mean : 0, own = all - errors / n;
    if (n < 2 || all <= 0)
        return;
    own = own > LEAST_SHARE * all ? own : LEAST_SHARE * all;
    for (uint32_t x = 0; x < w->n_experts; x++)
        if (keeps[x] == side && is_known(w, layer, x)) {
            double *m = &w->mean[at(w, layer, x)], *v = &w->var[at(w, layer, x)];
            double share = own + *v > 0 ? own / (own + *v) : 1;
            *m = mean + share * (*m - mean);
            *v *= share;
        }
}

void worth_settle(struct worth *w, const struct plan *p)
{
    bool *keeps = xcalloc(w->n_experts, sizeof *keeps);
    for (uint32_t l = 0; l < w->n_layers; l++) {
        kept_of(p, l, w->n_experts, keeps);
        settle(w, l, keeps, true);
        settle(w, l, keeps, false);
    }
    free(keeps);
}

double worth_gain(const struct worth *w, struct swap s, double *var)
{
    size_t i = at(w, s.layer, s.in), o = at(w, s.layer, s.out);
    *var = w->var[i] + w->var[o] + WORTH_PAIR * WORTH_PAIR;
    return w->mean[i] - w->mean[o] + w->beyond;
}

/* The step of a Kalman filter whose states are taken for independent. */
void worth_learn(struct worth *w, struct swap s, double gain, double var)
{
    size_t i = at(w, s.layer, s.in), o = at(w, s.layer, s.out);
    double expected_var, news = gain - worth_gain(w, s, &expected_var), all = expected_var + var;
    double share_in = w->var[i] / all, share_out = w->var[o] / all;
    w->mean[i] += share_in * news;
    w->mean[o] -= share_out * news;
    w->var[i] *= 1 - share_in;
    w->var[o] *= 1 - share_out;
    w->n_beyond++;
    w->beyond += news / (w->n_beyond + BEYOND_PRIOR);
    worth_set_tried(w, s);
}

void worth_shift(struct worth *w, struct swap s, double gain)
{
    w->mean[at(w, s.layer, s.in)] += gain / 2;
    w->mean[at(w, s.layer, s.out)] -= gain / 2;
}

void worth_moved(struct worth *w, uint32_t layer)
{
    size_t n = (size_t)w->n_experts * w->n_experts;
    for (uint32_t x = 0; x < w->n_experts; x++)
        if (is_known(w, layer, x))
            w->var[at(w, layer, x)] += WORTH_DRIFT * WORTH_DRIFT;
    for (size_t b = layer * n; b < (layer + 1) * n; b++)
        w->tried[b / 8] &= (uint8_t) ~(1u << (b % 8));
}

/* ---- the next ---- */

/* Mean of max(0, gain). */
static double improvement(double gain, double var)
{
    double sd = sqrt(var), x = gain / sd;
    return gain * 0.5 * erfc(-x / sqrt(2)) + sd * exp(-0.5 * x * x) / sqrt(2 * acos(-1));
}

static void best_of_layer(const struct worth *w, uint32_t layer, const bool *keeps, double *best,
                          struct swap *out)
{
    uint32_t size = w->n_experts / w->n_groups;
    for (uint32_t o = 0; o < w->n_experts; o++) {
        if (!keeps[o] || !is_known(w, layer, o))
            continue;
        for (uint32_t i = o / size * size; i < (o / size + 1) * size; i++) {
            struct swap s = {layer, o, i};
            double var, gain;
            if (keeps[i] || !is_known(w, layer, i) || worth_was_tried(w, s))
                continue;
            gain = worth_gain(w, s, &var);
            if (improvement(gain, var) > *best) {
                *best = improvement(gain, var);
                *out = s;
            }
        }
    }
}

bool worth_next(const struct worth *w, const struct plan *p, const bool *busy, struct swap *out)
{
    bool *keeps = xcalloc(w->n_experts, sizeof *keeps);
    double best = -1;
    for (uint32_t l = 0; l < w->n_layers; l++)
        if (!busy[l]) {
            kept_of(p, l, w->n_experts, keeps);
            best_of_layer(w, l, keeps, &best, out);
        }
    free(keeps);
    return best >= 0;
}
