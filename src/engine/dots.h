/* dots.h - products of many rows of weights with many rows of floats, at the processor's speed. */
#ifndef REAP_ENGINE_DOTS_H
#define REAP_ENGINE_DOTS_H

#include <ggml.h>
#include <stddef.h>

#define DOTS_MOST 32 /* rows of weights at a time, at most */

/* Rows of weights of one type: how many there are, where the first is and the bytes from one to the next. */
struct dots_rows {
    enum ggml_type type;
    const char *first;
    size_t stride, n;
};

/* A way to multiply; k is a multiple of the type's block everywhere. */
struct dots {
    const char *name;
    bool (*can)(enum ggml_type type); /* on this processor */
    size_t rows;                      /* of weights at a time, but for the last ones */
    size_t each;                      /* their number is a multiple of it */
    /* Bytes of a row of x as it is multiplied, and what makes it; NULL: of the floats themselves. */
    size_t (*x_bytes)(size_t k);
    void (*x_make)(const float *x, size_t k, void *to);
    size_t (*scratch)(size_t k); /* bytes of room for weights */
    /* y[r][at + c] = sum over i < k of x[r][i] w[c][i], for r < n_x and c < w->n. What a row gets does not depend on
     * what it is computed beside. */
    void (*multiply)(const struct dots_rows *w, void *scratch, const void *const *x, size_t n_x, size_t k,
                     float *const *y, size_t at);
};

/* The ways for n rows of weights of a type on this processor, the fastest first; NULL: there are not so many. */
const struct dots *dots_way(enum ggml_type type, size_t n, size_t i);
#define dots_for(type, n) dots_way(type, n, 0)

#endif
