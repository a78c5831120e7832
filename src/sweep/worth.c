/* worth.c - see worth.h. */
#include "sweep/worth.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

#define WORTH_DRIFT  3e-4 /* nats: how far the worth of an expert goes when another of its layer is swapped */
#define DRIFT_BESIDE 0.5  /* of it: when one of another layer is */
#define LEAST_SHARE  0.25 /* of what experts differ by that is no error, at least */
#define LAYER_COUNTS 6.0  /* windows: the spread of the layer counts as if seen on so many of the expert's */
#define LAYER_PACE   0.1

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
    w->spread = xcalloc(n, sizeof *w->spread);
    w->windows = xcalloc(n, sizeof *w->windows);
    w->of_layer = xcalloc(n_layers, sizeof *w->of_layer);
    w->tried = xcalloc((n * n_experts + 7) / 8, 1);
    for (size_t i = 0; i < n; i++)
        w->var[i] = -1;
    for (uint32_t l = 0; l < n_layers; l++)
        w->of_layer[l] = -1;
}

void worth_clear(struct worth *w)
{
    free(w->mean);
    free(w->var);
    free(w->spread);
    free(w->windows);
    free(w->of_layer);
    free(w->tried);
    *w = (struct worth){0};
}

bool worth_is_known(const struct worth *w, uint32_t layer, uint32_t expert)
{
    return w->var[at(w, layer, expert)] >= 0;
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

void worth_set_nothing(struct worth *w, uint32_t layer, uint32_t expert)
{
    w->mean[at(w, layer, expert)] = w->var[at(w, layer, expert)] = 0;
}

double worth_spread(const struct worth *w, uint32_t layer, uint32_t expert)
{
    size_t i = at(w, layer, expert);
    double n = w->windows[i], others = w->of_layer[layer];
    return others < 0 ? w->spread[i] : (n * w->spread[i] + LAYER_COUNTS * others) / (n + LAYER_COUNTS);
}

void worth_measured(struct worth *w, uint32_t layer, uint32_t expert, double mean, double stderr_mean,
                    uint32_t n_windows)
{
    size_t i = at(w, layer, expert);
    double n = n_windows, own = isfinite(stderr_mean) ? stderr_mean * stderr_mean * n : 0;
    double *all = &w->of_layer[layer];
    *all = *all < 0 ? own : *all + LAYER_PACE * (own - *all);
    w->spread[i] = (w->windows[i] * w->spread[i] + n * own) / (w->windows[i] + n);
    w->windows[i] += n;
    double var = worth_spread(w, layer, expert) / n;
    if (w->var[i] < 0) {
        w->mean[i] = mean;
        w->var[i] = var;
        return;
    }
    double share = w->var[i] + var > 0 ? w->var[i] / (w->var[i] + var) : 0.5;
    w->mean[i] += share * (mean - w->mean[i]);
    w->var[i] *= 1 - share;
}

static void settle(struct worth *w, uint32_t layer, const bool *keeps, bool side)
{
    double n = 0, sum = 0, sum2 = 0, errors = 0;
    for (uint32_t x = 0; x < w->n_experts; x++)
        if (keeps[x] == side && worth_is_known(w, layer, x)) {
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
        if (keeps[x] == side && worth_is_known(w, layer, x)) {
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
    *var = w->var[i] + w->var[o];
    return w->mean[i] - w->mean[o];
}

void worth_shift(struct worth *w, struct swap s, double gain)
{
    w->mean[at(w, s.layer, s.in)] += gain / 2;
    w->mean[at(w, s.layer, s.out)] -= gain / 2;
}

void worth_moved(struct worth *w, const bool *layers)
{
    size_t n = (size_t)w->n_experts * w->n_experts;
    for (uint32_t l = 0; l < w->n_layers; l++) {
        double drift = layers[l] ? WORTH_DRIFT : DRIFT_BESIDE * WORTH_DRIFT;
        for (uint32_t x = 0; x < w->n_experts; x++)
            if (w->var[at(w, l, x)] > 0)
                w->var[at(w, l, x)] += drift * drift;
        for (size_t b = l * n; layers[l] && b < (l + 1) * n; b++)
            w->tried[b / 8] &= (uint8_t) ~(1u << (b % 8));
    }
}

/* ---- the next ---- */

/* Mean of max(0, x) of a normal x. */
static double improvement(double mean, double sd)
{
    double x = mean / sd;
    return mean * 0.5 * erfc(-x / sqrt(2)) + sd * exp(-0.5 * x * x) / sqrt(2 * acos(-1));
}

/* What the best swap of a group gains is max(0, best of the removed - least of the kept). It changes when expert x passes
 * the one that is best on its side without it, or the one of the other side that makes a swap worth while. */
static double threshold(const struct worth *w, uint32_t layer, const bool *keeps, uint32_t x)
{
    uint32_t size = w->n_experts / w->n_groups, first = x / size * size;
    double best_in = -INFINITY, least_out = INFINITY;
    for (uint32_t i = first; i < first + size; i++) {
        double m = w->mean[at(w, layer, i)];
        if (i == x || !worth_is_known(w, layer, i))
            continue;
        if (keeps[i])
            least_out = fmin(least_out, m);
        else
            best_in = fmax(best_in, m);
    }
    return keeps[x] ? fmin(least_out, best_in) : fmax(best_in, least_out);
}

static double telling(const struct worth *w, uint32_t layer, const bool *keeps, uint32_t x, double n_windows)
{
    size_t i = at(w, layer, x);
    double other = threshold(w, layer, keeps, x), news = worth_spread(w, layer, x) / n_windows;
    if (!isfinite(other) || !(w->var[i] > 0))
        return 0;
    return improvement(-fabs(w->mean[i] - other), w->var[i] / sqrt(w->var[i] + news));
}

double worth_most_telling(const struct worth *w, const struct plan *p, const bool *spent, uint32_t n_windows,
                          uint32_t *layer, uint32_t *expert)
{
    bool *keeps = xcalloc(w->n_experts, sizeof *keeps);
    double most = 0;
    for (uint32_t l = 0; l < w->n_layers; l++) {
        kept_of(p, l, w->n_experts, keeps);
        for (uint32_t x = 0; x < w->n_experts; x++) {
            double t =
                worth_is_known(w, l, x) && !spent[at(w, l, x)] ? telling(w, l, keeps, x, n_windows) : 0;
            if (t > most) {
                most = t;
                *layer = l;
                *expert = x;
            }
        }
    }
    free(keeps);
    return most;
}

bool worth_best(const struct worth *w, const struct plan *p, uint32_t layer, struct swap *s)
{
    bool *keeps = xcalloc(w->n_experts, sizeof *keeps);
    uint32_t size = w->n_experts / w->n_groups;
    double best = 0, var;
    kept_of(p, layer, w->n_experts, keeps);
    for (uint32_t o = 0; o < w->n_experts; o++)
        for (uint32_t i = o / size * size; keeps[o] && i < (o / size + 1) * size; i++) {
            struct swap x = {layer, o, i};
            if (keeps[i] || !worth_is_known(w, layer, o) || !worth_is_known(w, layer, i) ||
                worth_was_tried(w, x) || worth_gain(w, x, &var) <= best)
                continue;
            best = worth_gain(w, x, &var);
            *s = x;
        }
    free(keeps);
    return best > 0;
}
