/* test_worth.c - src/sweep/worth.c: what measurements say of experts, and which swap comes next; numbers by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sweep/worth.h"

#include <math.h>

#define E 8

static struct worth w;
static struct plan *p; /* two layers keep 0 to 3 */

static int setup(void **state)
{
    (void)state;
    worth_init(&w, 2, E, 1);
    p = plan_new(2, 4);
    for (uint32_t l = 0; l < 2; l++)
        for (uint32_t i = 0; i < 4; i++)
            p->layers[l].keep[i] = i;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    worth_clear(&w);
    plan_free(p);
    return 0;
}

static void close_to(double a, double b)
{
    if (fabs(a - b) > 1e-12)
        fail_msg("%.15g, expected %.15g", a, b);
}

static void test_next(void **state)
{
    (void)state;
    bool busy[2] = {false, false};
    struct swap s;
    assert_false(worth_next(&w, p, busy, &s)); /* nothing is known */
    worth_set(&w, 0, 0, 0.010, 1e-8);
    worth_set(&w, 0, 5, 0.004, 1e-8);
    worth_set(&w, 1, 1, 0.002, 1e-8);
    worth_set(&w, 1, 6, 0.005, 1e-8);
    worth_set(&w, 1, 7, 0.003, 1e-8);
    assert_true(worth_next(&w, p, busy, &s));
    assert_true(s.layer == 1 && s.out == 1 && s.in == 6);
    worth_set_tried(&w, s);
    assert_true(worth_next(&w, p, busy, &s));
    assert_true(s.layer == 1 && s.out == 1 && s.in == 7);
    busy[1] = true;
    assert_true(worth_next(&w, p, busy, &s)); /* a bad one, but the only one */
    assert_true(s.layer == 0 && s.out == 0 && s.in == 5);
    worth_set_tried(&w, s);
    assert_false(worth_next(&w, p, busy, &s));
    worth_moved(&w, 0);
    assert_true(worth_next(&w, p, busy, &s));
    assert_false(worth_was_tried(&w, s));
}

/* Of two that promise the same, the one that is less known. */
static void test_unknown_first(void **state)
{
    (void)state;
    bool busy[2] = {false, false};
    struct swap s;
    for (uint32_t l = 0; l < 2; l++) {
        worth_set(&w, l, 0, 0.003, 1e-8);
        worth_set(&w, l, 4, 0.003, l ? 9e-6 : 1e-8);
    }
    assert_true(worth_next(&w, p, busy, &s));
    assert_int_equal(s.layer, 1);
}

/* Experts are swapped within their group alone. */
static void test_groups(void **state)
{
    (void)state;
    bool busy[2] = {false, false};
    struct swap s;
    w.n_groups = 2;
    worth_set(&w, 0, 0, 0.001, 1e-8);
    worth_set(&w, 0, 6, 0.009, 1e-8);
    assert_false(worth_next(&w, p, busy, &s)); /* 0 and 6 are of two groups */
    p->layers[0].keep[3] = 4;
    worth_set(&w, 0, 4, 0.001, 1e-8);
    assert_true(worth_next(&w, p, busy, &s));
    assert_true(s.out == 4 && s.in == 6);
}

/* All variance 1e-6: 3 and 5 measured with the same; the swap of both brings news of 2e-3. */
static void test_learn(void **state)
{
    (void)state;
    struct swap s = {0, 3, 5};
    double var;
    worth_set(&w, 0, 3, 0.002, 1e-6);
    worth_set(&w, 0, 5, 0.001, 1e-6);
    close_to(worth_gain(&w, s, &var), -0.001);
    close_to(var, 3e-6); /* with the pair's own */
    worth_learn(&w, s, 0.001, 1e-6);
    close_to(w.mean[5], 0.001 + 0.002 / 4);
    close_to(w.mean[3], 0.002 - 0.002 / 4);
    close_to(w.var[3], 0.75e-6);
    close_to(w.beyond, 0.002 / 9);
    close_to(worth_gain(&w, s, &var), 0.002 / 9); /* 0.0015 - 0.0015, and what swaps bring beyond */
    assert_true(worth_was_tried(&w, s));
    worth_shift(&w, s, 0.004);
    close_to(w.mean[5], 0.0035);
    close_to(w.mean[3], -0.0005);
}

/* Means 1, 3, 5 and 7 (of 1e-3) with an error of 1: what they differ by is 5, of which 4 is no error. */
static void test_settle(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        worth_set(&w, 0, i, (double)(2 * i + 1) * 1e-3, 1e-6);
        worth_set(&w, 0, 4 + i, 2e-3, 1e-6); /* all alike: nothing to draw them to */
    }
    worth_settle(&w, p);
    for (uint32_t i = 0; i < 4; i++) {
        close_to(w.mean[i], (4 + 0.8 * ((double)(2 * i + 1) - 4)) * 1e-3);
        close_to(w.var[i], 0.8e-6);
        close_to(w.mean[4 + i], 2e-3);
        close_to(w.var[4 + i], 1e-6);
    }
    assert_true(w.var[E] < 0); /* of the other layer nothing is known */
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    static const struct CMUnitTest tests[] = {
        TEST(test_next), TEST(test_unknown_first), TEST(test_groups), TEST(test_learn), TEST(test_settle),
    };
    return cmocka_run_group_tests_name("worth of experts", tests, NULL, NULL);
}
