/* test_dots.c - src/engine/dots.c: products of rows against sums in double; a row's result whatever it is computed beside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "engine/dots.h"

#include <math.h>
#include <string.h>

#define MOST 40

static float w[MOST * 300], x[MOST * 300], y[MOST * MOST];

static void fill(float *v, size_t n, uint64_t seed)
{
    struct rng r = {seed};
    for (size_t i = 0; i < n; i++)
        v[i] = (float)rng_below(&r, 2001) / 1000 - 1;
}

static void multiply(size_t n_w, size_t n_x, size_t k, size_t at)
{
    const float *rw[MOST], *rx[MOST];
    float *ry[MOST];
    for (size_t i = 0; i < n_w; i++)
        rw[i] = w + i * k;
    for (size_t i = 0; i < n_x; i++) {
        rx[i] = x + i * k;
        ry[i] = y + i * MOST;
    }
    dots_best()(rw, n_w, rx, n_x, k, ry, at);
}

static void test_sums(void **state)
{
    (void)state;
    static const size_t lengths[] = {1, 3, 8, 48, 96, 133, 300};
    fill(w, sizeof w / sizeof *w, 1);
    fill(x, sizeof x / sizeof *x, 2);
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++)
        for (size_t n_x = 1; n_x < 15; n_x++)
            for (size_t n_w = DOTS_COLS; n_w <= 12; n_w += DOTS_COLS) {
                size_t k = lengths[l], at = 5;
                for (size_t i = 0; i < MOST * MOST; i++)
                    y[i] = 1e9f;
                multiply(n_w, n_x, k, at);
                for (size_t i = 0; i < MOST; i++)
                    for (size_t c = 0; c < MOST; c++) {
                        double sum = 0, all = 1e-30;
                        bool made = i < n_x && c >= at && c < at + n_w;
                        for (size_t j = 0; made && j < k; j++) {
                            sum += (double)x[i * k + j] * (double)w[(c - at) * k + j];
                            all += fabs((double)x[i * k + j] * (double)w[(c - at) * k + j]);
                        }
                        assert_true(made ? fabs((double)y[i * MOST + c] - sum) <= 1e-6 * all
                                         : y[i * MOST + c] == 1e9f);
                    }
            }
}

static void test_alone_or_not(void **state)
{
    (void)state;
    static float all[MOST * MOST];
    size_t k = 133, n = 13;
    fill(w, sizeof w / sizeof *w, 3);
    fill(x, sizeof x / sizeof *x, 4);
    multiply(12, n, k, 0);
    memcpy(all, y, sizeof y);
    for (size_t m = 1; m < n; m++) {
        memset(y, 0, sizeof y);
        multiply(12, m, k, 0);
        for (size_t i = 0; i < m; i++)
            assert_memory_equal(y + i * MOST, all + i * MOST, 12 * sizeof(float));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(test_sums),
                                              cmocka_unit_test(test_alone_or_not)};
    return cmocka_run_group_tests_name("products of rows", tests, NULL, NULL);
}
