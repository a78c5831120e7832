/* test_dots.c - src/engine/dots.c, ints.c: products of rows against sums in double, for every type that there is a way for on
 * this processor; a row's result whatever it is computed beside. */
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

#define N_W  48
#define N_X  19
#define K    768
#define WIDE 60 /* of a row of y */

static const enum ggml_type types[] = {GGML_TYPE_F32,    GGML_TYPE_F16,   GGML_TYPE_BF16, GGML_TYPE_Q8_0,
                                       GGML_TYPE_Q4_0,   GGML_TYPE_Q4_K,  GGML_TYPE_Q5_K, GGML_TYPE_Q6_K,
                                       GGML_TYPE_IQ4_NL, GGML_TYPE_MXFP4, GGML_TYPE_Q3_K};
#define N_TYPES (sizeof types / sizeof *types)

static float as_float[N_W * K], x[N_X * K], y[N_X * WIDE];
static char weights[N_W * K * sizeof(float)];
static struct dots_rows w;

static float uniform(struct rng *r)
{
    return (float)rng_below(r, 200001) / 100000 - 1;
}

/* Rows of weights of a type, and as floats what they are. */
static void make_weights(enum ggml_type type, size_t k)
{
    struct rng r = {7};
    const struct ggml_type_traits *t = ggml_get_type_traits(type);
    w = (struct dots_rows){type, weights, ggml_row_size(type, (int64_t)k), N_W};
    for (size_t i = 0; i < N_W * k; i++)
        as_float[i] = uniform(&r) + 0.3f * (float)(i / k % 3);
    if (type == GGML_TYPE_F32)
        memcpy(weights, as_float, N_W * k * sizeof(float));
    else
        ggml_quantize_chunk(type, as_float, weights, 0, N_W, (int64_t)k, NULL);
    for (size_t c = 0; type != GGML_TYPE_F32 && c < N_W; c++)
        t->to_float(weights + c * w.stride, as_float + c * k, (int64_t)k);
}

/* Whole numbers up to 127, which each 32 hold, times a power of two: what no way has to round. Else any. */
static void make_x(size_t k, bool whole)
{
    struct rng r = {9};
    for (size_t i = 0; i < N_X * k; i++) {
        float scale = 1 + (float)(i / 32 % 4 * 3);
        x[i] = whole ? i % 32 ? (float)rng_below(&r, 255) - 127 : 127 : uniform(&r) * scale;
    }
}

static void multiply(const struct dots *d, size_t n_x, size_t k, size_t at)
{
    const void *rows[N_X];
    float *to[N_X];
    size_t x_bytes = d->x_bytes ? d->x_bytes(k) : 0;
    char *made = xmalloc(n_x * x_bytes + 1), *scratch = xmalloc(d->scratch(k) + 1);
    for (size_t i = 0; i < n_x; i++) {
        rows[i] = x_bytes ? (void *)(made + i * x_bytes) : (void *)(x + i * k);
        if (x_bytes)
            d->x_make(x + i * k, k, made + i * x_bytes);
        to[i] = y + i * WIDE;
    }
    for (size_t c = 0; c < w.n; c += d->rows) {
        struct dots_rows part = {w.type, w.first + c * w.stride, w.stride,
                                 w.n - c < d->rows ? w.n - c : d->rows};
        d->multiply(&part, scratch, rows, n_x, k, to, at + c);
    }
    free(made);
    free(scratch);
}

/* How much a product may be off: float32's rounding of the greatest that may come up in it, and that of x to 8 bits by
 * its greatest of 32, whose scale is of half precision, or to the 8 bits of BF16. */
static double tolerance(const struct dots *d, const float *a, const float *b, size_t k, bool whole)
{
    double sum = 0, most = 0;
    for (size_t i = 0; i < k; i++)
        most = fmax(most, fabs((double)b[i]));
    for (size_t i = 0; i < k; i += 32) {
        double top = 0, all = 0;
        for (size_t j = i; j < k && j < i + 32; j++) {
            top = fmax(top, fabs((double)a[j]));
            all += fabs((double)b[j]);
            sum += 2e-6 * fabs((double)a[j]) * most + 1e-30;
        }
        sum += whole || !d->x_bytes ? 0 : all * top * (1.0 / 254 + 1.0 / 2048);
    }
    return sum;
}

static void check(const struct dots *d, size_t k, size_t n_x, size_t at, bool whole)
{
    for (size_t i = 0; i < N_X * WIDE; i++)
        y[i] = 1e9f;
    multiply(d, n_x, k, at);
    for (size_t i = 0; i < N_X; i++)
        for (size_t c = 0; c < WIDE; c++) {
            double sum = 0;
            if (i >= n_x || c < at || c >= at + N_W) {
                assert_true(y[i * WIDE + c] == 1e9f);
                continue;
            }
            const float *a = x + i * k, *b = as_float + (c - at) * k;
            for (size_t j = 0; j < k; j++)
                sum += (double)a[j] * (double)b[j];
            assert_true(fabs((double)y[i * WIDE + c] - sum) <= tolerance(d, a, b, k, whole));
        }
}

static void test_sums(void **state)
{
    (void)state;
    static const size_t lengths[] = {3, 8, 32, 96, 133, 256, 768};
    size_t tried = 0;
    for (size_t t = 0; t < N_TYPES; t++) {
        const struct dots *d;
        for (size_t way = 0; (d = dots_way(types[t], N_W, way)); way++)
            for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
                size_t k = lengths[l];
                if (k % (size_t)ggml_blck_size(types[t]))
                    continue;
                make_weights(types[t], k);
                for (int whole = 0; whole < 2; whole++) {
                    make_x(k, whole);
                    for (size_t n_x = 1; n_x <= N_X; n_x += n_x < 9 ? 1 : 10)
                        check(d, k, n_x, n_x % 5, whole);
                }
                tried++;
            }
    }
    assert_true(tried >= 21); /* floats, wherever */
    assert_null(dots_for(GGML_TYPE_Q3_K, N_W));
    assert_null(dots_for(GGML_TYPE_F32, N_W + 1));
}

static void test_alone_or_not(void **state)
{
    (void)state;
    static float all[N_X * WIDE];
    for (size_t t = 0; t < N_TYPES; t++) {
        const struct dots *d;
        size_t k = ggml_blck_size(types[t]) == 1 ? 133 : K;
        for (size_t way = 0; (d = dots_way(types[t], N_W, way)); way++) {
            make_weights(types[t], k);
            make_x(k, false);
            multiply(d, N_X, k, 0);
            memcpy(all, y, sizeof y);
            for (size_t n = 1; n < N_X; n++) {
                memset(y, 0, sizeof y);
                multiply(d, n, k, 0);
                for (size_t i = 0; i < n; i++)
                    assert_memory_equal(y + i * WIDE, all + i * WIDE, N_W * sizeof(float));
            }
        }
    }
}

/* What is no number stays so, in its own row alone. */
static void test_not_finite(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t t = 0; t < N_TYPES; t++)
        for (size_t i = 0; i < 6; i++) {
            const struct dots *d = dots_way(types[t], N_W, i / 3);
            if (!d)
                continue;
            make_weights(types[t], K);
            make_x(K, false);
            x[K + 37] = bad[i % 3];
            multiply(d, 3, K, 0);
            for (size_t c = 0; c < N_W; c++) {
                assert_true(isfinite(y[c]) && isfinite(y[2 * WIDE + c]));
                assert_true(!isfinite(y[WIDE + c]));
            }
        }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums), cmocka_unit_test(test_alone_or_not), cmocka_unit_test(test_not_finite)};
    return cmocka_run_group_tests_name("products of rows", tests, NULL, NULL);
}
