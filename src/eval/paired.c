/* paired.c - see paired.h. */
#include "eval/paired.h"
#include "base/mem.h"

#include <math.h>

/* Of a category. */
struct stratum {
    double sum, tokens, mean, square; /* square: sum of squared residuals */
    uint32_t n;
};

static double value(const double *a, const double *b, uint32_t i)
{
    return b ? a[i] - b[i] : a[i];
}

static uint32_t n_strata(const uint32_t *category, uint32_t n)
{
    uint32_t most = 0;
    for (uint32_t i = 0; category && i < n; i++)
        most = category[i] > most ? category[i] : most;
    return most + 1;
}

/* What a residual of one window is worth squared, from all categories that can tell; without such a category from the
 * windows about their common mean, which is too much rather than too little. */
static double pooled(const struct stratum *s, uint32_t n_s, const double *a, const double *b,
                     const uint32_t *n_tokens, uint32_t n)
{
    double square = 0, sum = 0, tokens = 0;
    uint32_t free = 0, windows = 0;
    for (uint32_t c = 0; c < n_s; c++) {
        square += s[c].n > 1 ? s[c].square : 0;
        free += s[c].n > 1 ? s[c].n - 1 : 0;
        sum += s[c].sum, tokens += s[c].tokens, windows += s[c].n;
    }
    if (free)
        return square / free;
    for (uint32_t i = 0; i < n; i++) {
        double r = value(a, b, i) - sum / tokens * n_tokens[i];
        square += n_tokens[i] ? r * r : 0;
    }
    return windows > 1 ? square / (windows - 1) : (double)NAN;
}

static struct paired mean_of(const struct stratum *s, uint32_t n_s, double each)
{
    struct paired p = {.stderr_mean = NAN};
    double var = 0;
    for (uint32_t c = 0; c < n_s; c++) {
        if (!s[c].n)
            continue;
        double m = s[c].n, square = s[c].n > 1 ? m / (m - 1) * s[c].square : each;
        if (!p.n_categories || s[c].mean > p.worst) {
            p.worst = s[c].mean;
            p.worst_category = c;
        }
        p.n_categories++;
        p.n_windows += s[c].n;
        p.mean += s[c].mean;
        var += square / (s[c].tokens * s[c].tokens);
    }
    if (p.n_categories) {
        p.mean /= p.n_categories;
        p.stderr_mean = sqrt(var) / p.n_categories;
    }
    return p;
}

struct paired paired_of(const double *a, const double *b, const uint32_t *n_tokens, const uint32_t *category,
                        uint32_t n)
{
    uint32_t n_s = n_strata(category, n);
    struct stratum *s = xcalloc(n_s, sizeof *s);
    for (uint32_t i = 0; i < n; i++) {
        struct stratum *x = &s[category ? category[i] : 0];
        x->n += n_tokens[i] > 0;
        x->sum += n_tokens[i] ? value(a, b, i) : 0;
        x->tokens += n_tokens[i];
    }
    for (uint32_t c = 0; c < n_s; c++)
        s[c].mean = s[c].n ? s[c].sum / s[c].tokens : 0;
    for (uint32_t i = 0; i < n; i++) {
        struct stratum *x = &s[category ? category[i] : 0];
        double r = value(a, b, i) - x->mean * n_tokens[i];
        x->square += n_tokens[i] ? r * r : 0;
    }
    struct paired p = mean_of(s, n_s, pooled(s, n_s, a, b, n_tokens, n));
    free(s);
    return p;
}

bool paired_differs(const struct paired *p)
{
    return fabs(p->mean) >= PAIRED_TIE * p->stderr_mean && p->mean != 0;
}
