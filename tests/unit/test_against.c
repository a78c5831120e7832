/* test_against.c - what against_result makes of sums: numbers worked out by hand. That the sums are right is
 * seen against llama-perplexity in tests/cli/eval_against.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "eval/against.h"

#include <math.h>

static void near_to(double have, double want)
{
    if (!(fabs(have - want) <= 1e-9))
        fail_msg("%.12g, expected %.12g", have, want);
}

/* Four tokens: nll 1 2 3 4, base nll 1 1 3 3, KL 0.4 0.1 0.2 0.3, dp 0.1 -0.1 0.1 -0.1, three of the same
 * top. */
static const struct against_sums four = {.n = 4,
                                         .same_top = 3,
                                         .nll = 10,
                                         .nll2 = 30,
                                         .base_nll = 8,
                                         .base_nll2 = 20,
                                         .cross = 24,
                                         .kl = 1,
                                         .kl2 = 0.3,
                                         .dp2 = 0.04,
                                         .dp4 = 0.0004};

static void test_result(void **state)
{
    (void)state;
    float kl[] = {0.4F, 0.1F, 0.2F, 0.3F};
    struct eval_against r = against_result(&four, kl);
    near_to(r.score.nll, 2.5);
    near_to(r.score.ppl, exp(2.5));
    near_to(r.score.ppl_stderr, exp(2.5) * sqrt(1.25 / 3)); /* variance 30/4 - 2.5^2 */
    near_to(r.base.ppl, exp(2));
    near_to(r.base.ppl_stderr, exp(2) * sqrt(1.0 / 3));
    near_to(r.ln_ratio, 0.5);
    near_to(r.ln_ratio_stderr, sqrt((1.25 + 1 - 2 * 1) / 3)); /* covariance 24/4 - 2.5 * 2 */
    near_to(r.kl_mean, 0.25);
    near_to(r.kl_stderr, sqrt(0.0125 / 3));
    near_to(r.kl_median, ((double)0.2F + (double)0.3F) / 2);
    near_to(r.kl_p90, 0.3 * (double)0.3F + 0.7 * (double)0.4F); /* place 0.9 * 3 */
    near_to(r.kl_max, (double)0.4F);
    near_to(r.top1, 0.75);
    near_to(r.top1_stderr, 0.25);
    near_to(r.dp_rms, 0.1);
    near_to(r.dp_rms_stderr, 0);
}

static void test_without_values(void **state)
{
    (void)state;
    struct eval_against r = against_result(&four, NULL);
    assert_true(isnan(r.kl_median) && isnan(r.kl_p99) && isnan(r.kl_max));
    json_t *o = json_object();
    eval_put_against(o, &r);
    near_to(json_real_value(json_object_get(json_object_get(o, "kl"), "mean")), 0.25);
    assert_null(json_object_get(json_object_get(o, "kl"), "max"));
    json_decref(o);
}

static void test_add(void **state)
{
    (void)state;
    struct against_sums s = {0};
    against_add(&s, &four);
    against_add(&s, &four);
    struct eval_against r = against_result(&s, NULL), one = against_result(&four, NULL);
    assert_int_equal(r.score.n_scored, 8);
    near_to(r.kl_mean, one.kl_mean);
    near_to(r.kl_stderr, one.kl_stderr * sqrt(3.0 / 7));
    near_to(r.top1, one.top1);
}

/* One token: no error can be told, and nothing divides by zero. */
static void test_one(void **state)
{
    (void)state;
    const struct against_sums s = {
        .n = 1, .same_top = 1, .nll = 2, .nll2 = 4, .base_nll = 2, .base_nll2 = 4, .cross = 4};
    float kl[] = {0};
    struct eval_against r = against_result(&s, kl);
    near_to(r.score.ppl_stderr, 0);
    near_to(r.ln_ratio_stderr, 0);
    near_to(r.top1_stderr, 0);
    near_to(r.dp_rms_stderr, 0);
    near_to(r.kl_p99, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_result),
        cmocka_unit_test(test_without_values),
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
