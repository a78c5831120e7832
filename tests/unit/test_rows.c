/* test_rows.c - src/engine/rows.c against the same in double, with rows that fill no vector, strides, what is no number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "engine/panels.h"
#include "engine/rows.h"

#include <math.h>
#include <string.h>

static struct ggml_context *c;

static int begin(void **state)
{
    (void)state;
    c = ggml_init((struct ggml_init_params){.mem_size = 1 << 24});
    return c ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    ggml_free(c);
    return 0;
}

/* [n, rows, 3], of a wider tensor with `beside` more in each row. */
static struct ggml_tensor *some(int64_t n, int64_t rows, int64_t beside, float by)
{
    struct rng r = {(uint64_t)(n + rows)};
    struct ggml_tensor *t = ggml_new_tensor_3d(c, GGML_TYPE_F32, n + beside, rows, 3);
    float *v = t->data;
    for (int64_t i = 0; i < ggml_nelements(t); i++)
        v[i] = by * ((float)rng_below(&r, 20001) / 10000 - 1);
    return beside ? ggml_view_3d(c, t, n, rows, 3, t->nb[1], t->nb[2], 0) : t;
}

static float *at(const struct ggml_tensor *t, int64_t i, int64_t row, int64_t third)
{
    return (float *)(void *)((char *)t->data + i * (int64_t)t->nb[0] + row * (int64_t)t->nb[1] +
                             third * (int64_t)t->nb[2]);
}

static void near(double got, double want, double scale)
{
    assert_true(fabs(got - want) <= 4e-7 * scale + 1e-12);
}

#define EACH(t)                              \
    for (int64_t k = 0; k < (t)->ne[2]; k++) \
        for (int64_t j = 0; j < (t)->ne[1]; j++)

static const int64_t lengths[] = {1, 2, 15, 16, 17, 32, 100, 128};
#define N_LENGTHS (sizeof lengths / sizeof *lengths)

static void compute(struct ggml_tensor *t, int threads)
{
    assert_true(rows_can(t));
    memset(t->data, 0xff, ggml_nbytes(t));
    rows(t, threads);
}

static void test_soft_max(void **state)
{
    (void)state;
    if (!panels_here())
        skip();
    for (size_t l = 0; l < N_LENGTHS; l++) {
        struct ggml_tensor *x = some(lengths[l], 5, 0, 30), *t = ggml_soft_max_ext(c, x, NULL, 0.5f, 0);
        *at(x, lengths[l] - 1, 2, 1) = 500;
        *at(x, 0, 1, 1) = lengths[l] > 1 ? -INFINITY : 1;
        compute(t, 1 + (int)(l % 3));
        EACH(t)
        {
            double most = -INFINITY, sum = 0;
            for (int64_t i = 0; i < lengths[l]; i++)
                most = fmax(most, 0.5 * (double)*at(x, i, j, k));
            for (int64_t i = 0; i < lengths[l]; i++)
                sum += exp(0.5 * (double)*at(x, i, j, k) - most);
            for (int64_t i = 0; i < lengths[l]; i++)
                near((double)*at(t, i, j, k), exp(0.5 * (double)*at(x, i, j, k) - most) / sum, 1);
        }
    }
}

/* All of them, each once, in order; of equal ones the first comes first; some order also where there are no numbers. */
static void check_order(enum ggml_sort_order order, int64_t n, bool numbers)
{
    struct ggml_tensor *x = some(n, 4, 3, 2), *t = ggml_argsort(c, x, order);
    EACH(x) for (int64_t i = 0; i < n; i++) * at(x, i, j, k) = roundf(*at(x, i, j, k) * 8) / 8;
    if (!numbers)
        EACH(x)
        {
            *at(x, 0, j, k) = *at(x, n / 2, j, k) = NAN;
            *at(x, n - 1, j, k) = -INFINITY;
        }
    compute(t, 2);
    EACH(t)
    {
        bool seen[256] = {0};
        for (int64_t i = 0; i < n; i++) {
            int32_t own = *(int32_t *)(void *)at(t, i, j, k),
                    last = i ? *(int32_t *)(void *)at(t, i - 1, j, k) : -1;
            assert_true(own >= 0 && own < n && !seen[own]);
            seen[own] = true;
            if (!i || !numbers)
                continue;
            float a = *at(x, last, j, k), b = *at(x, own, j, k);
            assert_true(order == GGML_SORT_ORDER_DESC ? a >= b : a <= b);
            assert_true(a != b || last < own);
        }
    }
}

static void test_order(void **state)
{
    (void)state;
    if (!panels_here())
        skip();
    for (size_t l = 0; l < N_LENGTHS; l++)
        for (int numbers = 0; numbers < 2; numbers++) {
            check_order(GGML_SORT_ORDER_DESC, lengths[l], numbers);
            check_order(GGML_SORT_ORDER_ASC, lengths[l], numbers);
        }
}

static void test_swiglu(void **state)
{
    (void)state;
    if (!panels_here())
        skip();
    for (size_t l = 0; l < N_LENGTHS; l++) {
        struct ggml_tensor *x = some(lengths[l], 5, l % 2 ? 7 : 0, 20), *u = some(lengths[l], 5, 0, 3),
                           *t = ggml_swiglu_split(c, x, u);
        *at(x, 0, 0, 0) = -200;
        *at(x, 0, 1, 0) = 200;
        compute(t, 1 + (int)(l % 3));
        EACH(t) for (int64_t i = 0; i < lengths[l]; i++)
        {
            double v = (double)*at(x, i, j, k), w = (double)*at(u, i, j, k), want = v / (1 + exp(-v)) * w;
            near((double)*at(t, i, j, k), want, fabs(want));
        }
    }
}

static void test_gates(void **state)
{
    (void)state;
    for (size_t l = 1; l < N_LENGTHS; l++) {
        struct ggml_tensor *x = some(lengths[l], 5, l % 2 ? 7 : 0, 20), *g = some(1, 5, 0, 3),
                           *one = some(1, 1, 0, 3);
        struct ggml_tensor *const products[] = {ggml_mul(c, x, g), ggml_mul(c, x, one)};
        for (int p = 0; p < 2; p++) {
            compute(products[p], 1 + (int)(l % 3));
            EACH(x)
            for (int64_t i = 0; i < lengths[l]; i++)
                assert_true(*at(products[p], i, j, k) ==
                            *at(x, i, j, k) * (p ? *at(one, 0, 0, k) : *at(g, 0, j, k)));
        }
    }
}

static void test_left_to_the_engine(void **state)
{
    (void)state;
    struct ggml_tensor *x = some(32, 4, 0, 1), *mask = ggml_new_tensor_2d(c, GGML_TYPE_F32, 32, 4),
                       *long_one = ggml_new_tensor_1d(c, GGML_TYPE_F32, 1025);
    assert_false(rows_can(ggml_soft_max_ext(c, x, mask, 1, 0)));
    assert_false(rows_can(ggml_argsort(c, long_one, GGML_SORT_ORDER_DESC)));
    assert_false(rows_can(ggml_swiglu(c, x)));
    assert_false(rows_can(ggml_geglu_split(c, x, x)));
    assert_false(rows_can(ggml_mul(c, x, x)));
    assert_false(rows_can(ggml_add(c, x, x)));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_soft_max, begin, end),
        cmocka_unit_test_setup_teardown(test_order, begin, end),
        cmocka_unit_test_setup_teardown(test_swiglu, begin, end),
        cmocka_unit_test_setup_teardown(test_gates, begin, end),
        cmocka_unit_test_setup_teardown(test_left_to_the_engine, begin, end)};
    return cmocka_run_group_tests_name("rows", tests, NULL, NULL);
}
