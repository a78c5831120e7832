/* test_paired.c - differences with their error: numbers worked out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "eval/paired.h"

#include <math.h>

static void near_to(double have, double want)
{
    if (!(fabs(have - want) <= 1e-12))
        fail_msg("%.15g, expected %.15g", have, want);
}

/* Windows of equal length: the mean and its error are those of the differences 1 2 3 4 over 10 tokens each. */
static void test_one_category(void **state)
{
    (void)state;
    const double a[] = {11, 12, 13, 14}, b[] = {10, 10, 10, 10};
    const uint32_t n[] = {10, 10, 10, 10};
    struct paired p = paired_of(a, b, n, NULL, 4);
    assert_int_equal(p.n_windows, 4);
    assert_int_equal(p.n_categories, 1);
    near_to(p.mean, 0.25);
    near_to(p.stderr_mean, sqrt(5.0 / 3 / 4) / 10); /* variance 5/3 of four */
    near_to(p.worst, 0.25);
    assert_true(paired_differs(&p));
    const double c[] = {11, 9, 13, 8};
    p = paired_of(c, b, n, NULL, 4);
    assert_false(paired_differs(&p));
}

/* Windows count by their tokens, and only what differs from the category's own rate is an error: differences that are
 * in proportion to the tokens have none. */
static void test_lengths(void **state)
{
    (void)state;
    const double a[] = {1, 3, 6}, b[] = {1, 3, 9};
    const uint32_t n[] = {10, 30, 60};
    struct paired p = paired_of(a, NULL, n, NULL, 3);
    near_to(p.mean, 0.1);
    near_to(p.stderr_mean, 0);
    assert_true(paired_differs(&p));
    p = paired_of(b, NULL, n, NULL, 3);
    near_to(p.mean, 0.13); /* residuals -0.3, -0.9, 1.2: squares 2.34, x 3/2 */
    near_to(p.stderr_mean, sqrt(1.5 * 2.34) / 100);
}

/* Categories count alike, whatever they have of tokens; the error is that of a mean of means; the worst is named. */
static void test_categories(void **state)
{
    (void)state;
    const double a[] = {1, 3, 0, 2, 30, 50};
    const uint32_t n[] = {1, 1, 1, 1, 100, 100}, c[] = {2, 2, 0, 0, 5, 5};
    struct paired p = paired_of(a, NULL, n, c, 6);
    assert_int_equal(p.n_categories, 3);
    assert_int_equal(p.n_windows, 6);
    near_to(p.mean, (2 + 1 + 0.4) / 3);
    near_to(p.worst, 2);
    assert_int_equal(p.worst_category, 2);
    near_to(p.stderr_mean, sqrt(1 + 1 + 0.01) / 3); /* each: 2 x (1 + 1) / 2^2; 2 x (100 + 100) / 200^2 */
}

/* A category of one window takes the others' residuals; a window without a token is none. */
static void test_lone(void **state)
{
    (void)state;
    const double a[] = {1, 3, 7, 99};
    const uint32_t n[] = {1, 1, 2, 0}, c[] = {0, 0, 1, 1};
    struct paired p = paired_of(a, NULL, n, c, 4);
    assert_int_equal(p.n_windows, 3);
    near_to(p.mean, (2 + 3.5) / 2);
    near_to(p.stderr_mean, sqrt(1 + 2.0 / 4) / 2); /* one free residual of two: 2; over 2 tokens squared */
    const uint32_t alone[] = {0, 1, 2, 3};
    p = paired_of(a, NULL, n, alone, 4);
    assert_int_equal(p.n_categories, 3);
    assert_true(p.stderr_mean > 0 && isfinite(p.stderr_mean));
}

static void test_nothing(void **state)
{
    (void)state;
    const double a[] = {3};
    const uint32_t one[] = {1}, none[] = {0};
    struct paired p = paired_of(a, NULL, one, NULL, 1);
    near_to(p.mean, 3);
    assert_true(isnan(p.stderr_mean));
    assert_false(paired_differs(&p)); /* no error, no difference */
    p = paired_of(a, NULL, none, NULL, 1);
    assert_int_equal(p.n_windows, 0);
    near_to(p.mean, 0);
    assert_false(paired_differs(&p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_category), cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_categories),   cmocka_unit_test(test_lone),
        cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
