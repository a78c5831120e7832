/* panels.h - products of rows of floats with panels: 32 rows of weights side by side, so that each number of x is multiplied
 * with 32 weights at once and no sum has to be taken across a vector. Where the processor has AVX-512. */
#ifndef REAP_ENGINE_PANELS_H
#define REAP_ENGINE_PANELS_H

#include "engine/dots.h"

#define PANEL_COLS 32 /* rows of weights of a panel: as many, or half */
#define PANEL_ROWS 12 /* rows of x at a time */

bool panels_here(void); /* the functions below can be used */
bool panels_take(enum ggml_type type);

/* n (16 or 32) rows of k weights, F32, F16 or BF16, as a panel: to[k][n]. */
void panel_make(enum ggml_type type, const char *rows, size_t stride, size_t n, size_t k, float *to);
/* The same of columns, n (16 or 32) of them, which lie side by side already: to[k][n] of k rows. */
void panel_copy(enum ggml_type type, const char *rows, size_t stride, size_t k, size_t n, float *to);
/* y[r][at + c] = sum over i < k of x[r][i] panel[i][c], for r < n_x (at most PANEL_ROWS), c < n; with add, that is added. */
void panel_multiply(const float *panel, size_t n, const float *const *x, size_t n_x, size_t k,
                    float *const *y, size_t at, bool add);

extern const struct dots *const panel_ways[]; /* as ints_ways */

#endif
