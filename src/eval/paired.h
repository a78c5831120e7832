/* paired.h - whether one of two things measured on the same windows of text is better: a difference with its error.
 *
 * Windows differ far more from each other than two plans differ on one of them, and the tokens of a window are not
 * independent. So the difference is taken window by window, and windows are what the error counts. Each category is
 * a stratum with a mean of its own; what is asked is the mean over the categories, each of equal weight.
 *
 *   D_c = sum of (a - b) / sum of tokens, over the windows of category c      a ratio estimate
 *   Var(D_c) = m / (m - 1) x sum of (a - b - D_c x tokens)^2 / (sum of tokens)^2      of m windows
 *   D = mean of D_c; Var(D) = sum of Var(D_c) / C^2
 *
 * W. G. Cochran, Sampling Techniques, 3rd edition 1977: 6.4 (ratios), 5.3 (strata), 5A.12 (strata of one unit). */
#ifndef REAP_EVAL_PAIRED_H
#define REAP_EVAL_PAIRED_H

#include <stdbool.h>
#include <stdint.h>

struct paired {
    uint32_t n_windows, n_categories; /* that have a token */
    double mean, stderr_mean; /* per token; the error is not a number when there is one window in all */
    double worst;             /* the highest of the categories' means */
    uint32_t worst_category;
};

/* a, b: sums over the scored tokens of each window (b NULL: nothing is taken off a); n_tokens: how many these are, 0
 * leaves the window out; category: its number, NULL: one for all. A category of one window takes the windows of the
 * others for its error. Without a token: all 0, the error not a number. */
struct paired paired_of(const double *a, const double *b, const uint32_t *n_tokens, const uint32_t *category,
                        uint32_t n);

/* A difference below this many errors is called a tie. */
#define PAIRED_TIE 2
/* Whether the difference is one: not where no error can be told. */
bool paired_differs(const struct paired *p);

#endif
