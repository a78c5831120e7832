/* summary.c - see summary.h. */
#include "stats/summary.h"
#include "base/mem.h"

#include <string.h>

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

static struct ranked *rank(const double *score, uint32_t n)
{
    struct ranked *r = xcalloc(n, sizeof *r);
    for (uint32_t i = 0; i < n; i++)
        r[i] = (struct ranked){ score[i], i };
    qsort(r, n, sizeof *r, best_first);
    return r;
}

double summary_share(const double *score, uint32_t n_experts, uint32_t n)
{
    struct ranked *r = rank(score, n_experts);
    double total = 0, kept = 0;
    for (uint32_t i = 0; i < n_experts; i++) {
        total += r[i].score;
        kept += i < n ? r[i].score : 0;
    }
    free(r);
    return total > 0 ? kept / total : 1;
}

double summary_agreement(const double *even, const double *odd, uint32_t n_experts, uint32_t n)
{
    struct ranked *a = rank(even, n_experts), *b = rank(odd, n_experts);
    uint8_t *in = xcalloc(n_experts, 1);
    uint32_t same = 0;
    for (uint32_t i = 0; i < n; i++)
        in[a[i].id] = 1;
    for (uint32_t i = 0; i < n; i++)
        same += in[b[i].id];
    free(in);
    free(a);
    free(b);
    return n ? (double)same / n : 1;
}
