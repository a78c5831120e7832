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

/* A mean with this variance, as if of one window. */
static void set(uint32_t layer, uint32_t expert, double mean, double var)
{
    w.of_layer[layer] = var; /* the first of a layer says what the others' windows are like */
    worth_measured(&w, layer, expert, mean, sqrt(var), 1);
    w.var[layer * E + expert] = var;
}

static void test_best(void **state)
{
    (void)state;
    struct swap s;
    double var;
    assert_false(worth_best(&w, p, 0, &s)); /* nothing is known */
    set(0, 0, 0.010, 1e-8);
    set(0, 5, 0.004, 1e-8);
    assert_false(worth_best(&w, p, 0, &s)); /* what would come is worth less */
    set(1, 1, 0.002, 1e-8);
    set(1, 6, 0.005, 2e-8);
    set(1, 7, 0.003, 1e-8);
    assert_true(worth_best(&w, p, 1, &s));
    assert_true(s.layer == 1 && s.out == 1 && s.in == 6);
    close_to(worth_gain(&w, s, &var), 0.003);
    close_to(var, 3e-8);
    worth_set_tried(&w, s);
    assert_true(worth_best(&w, p, 1, &s));
    assert_true(s.out == 1 && s.in == 7);
    worth_set_tried(&w, s);
    assert_false(worth_best(&w, p, 1, &s));
    worth_shift(&w, s, 0.004);
    close_to(w.mean[E + 7], 0.005);
    close_to(w.mean[E + 1], 0);
}

/* Where swaps stayed they may be tried again, and less is known, there twice as much less as beside. */
static void test_moved(void **state)
{
    (void)state;
    struct swap s[2] = {{0, 0, 4}, {1, 0, 4}};
    for (uint32_t l = 0; l < 2; l++) {
        set(l, 0, 0.001, 1e-8);
        set(l, 4, 0.002, 1e-8);
        worth_set_tried(&w, s[l]);
    }
    worth_moved(&w, (bool[]){true, false});
    assert_false(worth_was_tried(&w, s[0]));
    assert_true(worth_was_tried(&w, s[1]));
    close_to(w.var[0] - 1e-8, 4 * (w.var[E] - 1e-8));
    assert_true(w.var[E] > 1e-8);
    assert_true(w.var[1] < 0); /* is no candidate for that */
}

/* Experts are swapped within their group alone. */
static void test_groups(void **state)
{
    (void)state;
    struct swap s;
    uint32_t l, x;
    const bool spent[2 * E] = {false};
    w.n_groups = 2;
    set(0, 0, 0.001, 1e-8);
    set(0, 6, 0.009, 1e-8);
    assert_false(worth_best(&w, p, 0, &s)); /* 0 and 6 are of two groups */
    assert_true(worth_most_telling(&w, p, spent, 1, &l, &x) == 0);
    p->layers[0].keep[3] = 4;
    set(0, 4, 0.0089, 1e-8);
    assert_true(worth_best(&w, p, 0, &s));
    assert_true(s.out == 4 && s.in == 6);
    assert_true(worth_most_telling(&w, p, spent, 1, &l, &x) > 0);
    assert_true(l == 0 && (x == 4 || x == 6));
}

/* Windows add up: four of variance 4e-6 and four more are as good as eight. */
static void test_more_windows(void **state)
{
    (void)state;
    worth_measured(&w, 0, 3, 0.001, 1e-3, 4);
    close_to(w.mean[3], 0.001);
    close_to(w.var[3], 1e-6);
    close_to(worth_spread(&w, 0, 3), 4e-6);
    worth_measured(&w, 0, 3, 0.003, 1e-3, 4);
    close_to(w.mean[3], 0.002);
    close_to(w.var[3], 0.5e-6);
    /* a wide expert in a narrow layer: (4 x 400e-6 + 6 x its layer's) / 10 */
    worth_measured(&w, 0, 5, 0, 1e-2, 4);
    close_to(w.of_layer[0], 4e-6 + 0.1 * 396e-6);
    close_to(worth_spread(&w, 0, 5), (4 * 400e-6 + 6 * 43.6e-6) / 10);
    close_to(w.var[5], worth_spread(&w, 0, 5) / 4);
    /* no error can be told of one window: the layer's */
    worth_measured(&w, 0, 6, 0, NAN, 1);
    assert_true(w.var[6] > 0);
}

/* 1 is the least of the kept, and 4 the best of the removed: by how far it is from the one that it would have to pass.
 * By hand: sd = var / sqrt(var + window / n) = 1e-3 / sqrt(2) for one window of variance 1e-6; the mean of what a normal
 * value is above a threshold at its mean is 0.39894 sd. */
static void test_telling(void **state)
{
    (void)state;
    uint32_t l = 9, x = 9;
    bool spent[2 * E] = {false};
    set(0, 0, 0.050, 1e-6);
    set(0, 1, 0.002, 1e-6);
    set(0, 4, 0.002, 1e-6);
    set(0, 5, -0.050, 1e-6);
    double t = worth_most_telling(&w, p, spent, 1, &l, &x);
    assert_true(l == 0 && x == 1);
    assert_true(fabs(t - 0.39894228 * 1e-3 / sqrt(2)) < 1e-9);
    assert_true(worth_most_telling(&w, p, spent, 100, &l, &x) > t); /* more windows tell more */
    spent[1] = true;
    assert_true(worth_most_telling(&w, p, spent, 1, &l, &x) == t);
    assert_int_equal(x, 4);
    spent[4] = true; /* nothing near the cut is left: those far from it tell next to nothing */
    assert_true(worth_most_telling(&w, p, spent, 1, &l, &x) < 1e-12);
    worth_set_nothing(&w, 0, 2); /* is a candidate, and cannot be measured */
    struct swap s;
    assert_true(worth_best(&w, p, 0, &s));
    assert_true(s.out == 2 && s.in == 4);
}

/* Means 1, 3, 5 and 7 (of 1e-3) with an error of 1: what they differ by is 5, of which 4 is no error. */
static void test_settle(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        set(0, i, (double)(2 * i + 1) * 1e-3, 1e-6);
        set(0, 4 + i, 2e-3, 1e-6); /* all alike: nothing to draw them to */
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
        TEST(test_best),         TEST(test_moved),   TEST(test_groups),
        TEST(test_more_windows), TEST(test_telling), TEST(test_settle),
    };
    return cmocka_run_group_tests_name("worth of experts", tests, NULL, NULL);
}
