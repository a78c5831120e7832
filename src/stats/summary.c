/* summary.c - see summary.h. */
#include "stats/summary.h"
#include "base/mem.h"

double summary_share(const double *score, uint32_t n_experts, uint32_t n)
{
    uint32_t *best = xcalloc(n_experts, sizeof *best);
    double total = 0, kept = 0;
    criterion_rank(score, n_experts, best);
    for (uint32_t i = 0; i < n_experts; i++) {
        total += score[best[i]];
        kept += i < n ? score[best[i]] : 0;
    }
    free(best);
    return total > 0 ? kept / total : 1;
}

double summary_agreement(const double *even, const double *odd, uint32_t n_experts, uint32_t n)
{
    uint32_t *a = xcalloc(2 * (size_t)n_experts, sizeof *a), *b = a + n_experts, same = 0;
    uint8_t *in = xcalloc(n_experts, 1);
    criterion_rank(even, n_experts, a);
    criterion_rank(odd, n_experts, b);
    for (uint32_t i = 0; i < n; i++)
        in[a[i]] = 1;
    for (uint32_t i = 0; i < n; i++)
        same += in[b[i]];
    free(in);
    free(a);
    return n ? (double)same / n : 1;
}
