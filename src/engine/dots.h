/* dots.h - products of many rows with many rows in float, at the processor's speed. */
#ifndef REAP_ENGINE_DOTS_H
#define REAP_ENGINE_DOTS_H

#include <stddef.h>

#define DOTS_COLS 4 /* n_w is a multiple of it */

/* y[r][at + c] = sum over i < k of x[r][i] w[c][i], for r < n_x and c < n_w. */
typedef void dots_fn(const float *const *w, size_t n_w, const float *const *x, size_t n_x, size_t k,
                     float *const *y, size_t at);
dots_fn *dots_best(void); /* for this processor */

#endif
