/* step.c - see step.h. */
#include "engine/step.h"

#include <math.h>

#define ROUND  256
#define MARGIN 1.5

double step_cost(const struct step_facts *f, uint32_t n)
{
    const double x0 = f->sizes[0], x1 = f->sizes[1], x2 = f->sizes[2];
    const double y0 = (double)f->costs[0], y1 = (double)f->costs[1], y2 = (double)f->costs[2];
    double d01 = (y1 - y0) / (x1 - x0), d12 = (y2 - y1) / (x2 - x1); /* Newton's divided differences */
    double cost = y0 + d01 * (n - x0) + (d12 - d01) / (x2 - x0) * (n - x0) * (n - x1);
    return fmax(cost, n > x2 ? y2 / x2 * n : 0);
}

uint32_t step_choose(const struct step_facts *f)
{
    double n = STEP_MOST;
    if (f->disk > 0 && f->peak > 0 && f->flops > 0) { /* reading = n (each + masked n) */
        double reading = MARGIN * (double)f->weights / f->disk, each = f->flops / f->peak, a = f->masked;
        n = fmin(n, a > 0 ? (sqrt(each * each + 4 * a * reading) - each) / (2 * a) : reading / each);
    }
    if (f->n_tokens)
        n = fmin(n, (double)f->n_tokens);
    if (f->window && n >= f->window) { /* a part of one serves nobody */
        double whole = ceil(n / f->window) * f->window;
        n = whole <= STEP_MOST ? whole : floor(n / f->window) * f->window;
    }
    uint32_t step = ((uint32_t)n + ROUND - 1) / ROUND * ROUND;
    double memory = (double)f->memory,
           room = fmin(memory / 2, memory - memory / STEP_SLACK - 2.5 * (double)f->largest);
    while (step > f->usual && step_cost(f, step) > room)
        step -= ROUND;
    return step > f->usual ? step : f->usual;
}

bool step_separate(const struct step_facts *f, uint32_t step, uint32_t longest, const uint64_t passes[2])
{
    if (!(f->disk > 0) || !(f->peak > 0) || !f->n_tokens)
        return false;
    double reading = (double)f->weights / f->disk, each = f->flops / f->peak, n = (double)f->n_tokens;
    double one = fmax((double)passes[0] * reading, n * (each + f->masked * step));
    double own = fmax((double)passes[1] * reading, n * (each + f->masked * longest));
    return own < 0.95 * one; /* what is gained is to be worth another order of additions */
}

uint64_t step_share(uint64_t bytes, double own, double streamed, double mapped)
{
    double all = (double)bytes;
    if (!(streamed > 0))
        return bytes;
    return (uint64_t)(fmax(all - mapped, all * streamed / (streamed + mapped)) * own / streamed);
}
