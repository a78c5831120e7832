/* test_refine.c - src/sweep/refine.c on the fake engine, where every expert has a worth and only that counts:
 * which swaps stay is known beforehand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "engine_fake.h"
#include "sweep/refine.h"
#include "sweeping.h"
#include "tempdir.h"

#include <string.h>

#define N_KEEP 12

static const char *text;

/* The lower ids are worth least, and the plan keeps them. */
static double worth(uint32_t il, uint32_t expert)
{
    return 0.002 * (double)(expert + 1) * (il ? 1 : 1.7);
}

static double alike(uint32_t il, uint32_t expert)
{
    (void)il, (void)expert;
    return 0.01;
}

static struct refine_opts options(uint32_t trials)
{
    struct buf b = {0};
    buf_fmt(&b, "{\"schema\": \"reap.plan/1\", \"n_experts\": 16, \"n_keep\": 12, \"keep\": {");
    for (uint32_t l = 0; l < N_LAYERS; l++) {
        buf_fmt(&b, "%s\"%u\": [", l ? ", " : "", l);
        for (uint32_t i = 0; i < N_KEEP; i++)
            buf_fmt(&b, "%s%u", i ? ", " : "", i);
        buf_fmt(&b, "]");
    }
    buf_fmt(&b, "}}\n");
    put_bytes("plan.json", b.s, b.n);
    buf_clear(&b);
    text = at("a.txt");
    struct refine_opts o = {
        .model = MODEL,
        .plan = at("plan.json"),
        .stats = at("stats.json"),
        .texts = &text,
        .n_texts = 1,
        .n_ctx = 100,
        .criterion = criterion_default(),
        .near = N_EXPERT,
        .trials = trials,
        .seed = 7,
    };
    engine_opts_default(&o.engine);
    fake.worth = worth;
    return o;
}

static struct refine_result run_ok(const struct refine_opts *o)
{
    struct err e = {0};
    struct refine_result r;
    if (!refine_run(o, &r, &e))
        fail_msg("%s", e.msg);
    return r;
}

/* Worth of what a plan takes away. */
static double damage(bool (*in)[N_EXPERT])
{
    double d = 0;
    for (uint32_t l = 0; l < N_LAYERS; l++)
        for (uint32_t x = 0; x < N_EXPERT; x++)
            d += in[l][x] ? 0 : worth(l, x);
    return d;
}

/* The swaps, made one after the other from the plan as it was, give the plan as it is; what came is not worth
 * less than what went, all in all. */
static void check_swaps(const struct refine_result *r)
{
    bool in[N_LAYERS][N_EXPERT] = {{0}};
    for (uint32_t l = 0; l < N_LAYERS; l++)
        for (uint32_t x = 0; x < N_KEEP; x++)
            in[l][x] = true;
    double before = damage(in);
    for (uint32_t i = 0; i < r->n_swaps; i++) {
        const struct refine_swap *s = &r->swaps[i];
        assert_true(in[s->il][s->out] && !in[s->il][s->in]);
        in[s->il][s->out] = false;
        in[s->il][s->in] = true;
    }
    assert_true(r->n_swaps ? damage(in) < before : damage(in) == before);
    for (uint32_t l = 0; l < N_LAYERS; l++)
        for (uint32_t i = 0, x = 0; x < N_EXPERT; x++)
            if (in[l][x])
                assert_int_equal(r->plan->layers[l].keep[i++], x); /* ascending */
}

static void test_better(void **state)
{
    (void)state;
    struct refine_opts o = options(200);
    const char *check = at("b.txt");
    o.check = check;
    struct refine_result r = run_ok(&o);
    check_swaps(&r);
    assert_true(r.n_swaps > 3 && r.n_trials <= o.trials);
    assert_true(r.after.kl_mean < r.before.kl_mean && r.check_after.kl_mean < r.check_before.kl_mean);
    assert_int_equal(fake.n_open, 1);
    refine_result_clear(&r);
}

/* Where no swap is better none stays, and when all that is near the cut was tried it ends. */
static void test_nothing_better(void **state)
{
    (void)state;
    struct refine_opts o = options(10000);
    o.near = 2;
    fake.worth = alike;
    struct refine_result r = run_ok(&o);
    assert_int_equal(r.n_swaps, 0);
    assert_true(r.exhausted);
    assert_int_equal(r.n_trials, N_LAYERS * 2 * 2);
    assert_true(r.after.kl_mean == r.before.kl_mean);
    check_swaps(&r);
    refine_result_clear(&r);
}

/* The number of trials is a limit to the one, and a budget that is spent begins no round. */
static void test_limits(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 19; n += 6) {
        struct refine_opts o = options(n);
        struct refine_result r = run_ok(&o);
        assert_int_equal(r.n_trials, n);
        assert_false(r.exhausted);
        refine_result_clear(&r);
    }
    struct refine_opts o = options(50);
    o.budget = 1e-12;
    struct refine_result r = run_ok(&o);
    assert_int_equal(r.n_trials, 0);
    assert_int_equal(r.n_swaps, 0);
    assert_false(r.exhausted || r.interrupted);
    refine_result_clear(&r);
}

/* One seed, one plan; the size of a compute step does not matter to it. */
static void test_seeds(void **state)
{
    (void)state;
    struct refine_opts o = options(24);
    struct refine_result a = run_ok(&o), b = run_ok(&o);
    assert_int_equal(a.n_swaps, b.n_swaps);
    assert_memory_equal(a.swaps, b.swaps, a.n_swaps * sizeof *a.swaps);
    assert_true(a.after.kl_mean == b.after.kl_mean);
    refine_result_clear(&b);
    o.seed = 8;
    b = run_ok(&o);
    check_swaps(&b);
    assert_true(a.n_swaps != b.n_swaps || memcmp(a.swaps, b.swaps, a.n_swaps * sizeof *a.swaps) != 0);
    refine_result_clear(&a);
    refine_result_clear(&b);
}

/* ---- interrupted ---- */

/* 0: not interrupted, else 100 + the swaps that stayed. */
static int run_and_look(void *arg)
{
    struct err e = {0};
    struct refine_result r;
    int status;
    if (refine_run(arg, &r, &e)) {
        check_swaps(&r);
        status = r.interrupted ? 100 + (int)r.n_swaps : 0;
    } else {
        status = e.code;
    }
    refine_result_clear(&r);
    return status;
}

/* Before the plan itself is measured there is nothing to keep; behind that, what was found so far. */
static void test_interrupted(void **state)
{
    (void)state;
    struct refine_opts o = options(40);
    struct refine_result r = run_ok(&o);
    uint64_t steps = fake.n_decode;
    int most = 0;
    for (uint64_t n = 1; n < steps; n += 7) {
        fake_reset();
        fake.worth = worth;
        fake.interrupt_at = n;
        int status = sweeping_apart(run_and_look, &o);
        assert_true(n < 4 ? status == ERR_INTERRUPTED
                          : status == ERR_INTERRUPTED || status >= 100 || n + 1 >= steps);
        if (status >= 100 && status != ERR_INTERRUPTED) {
            assert_true(status >= most); /* never fewer than at an earlier signal */
            most = status;
        }
    }
    assert_in_range(most, 101, 100 + r.n_swaps);
    refine_result_clear(&r);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, sweeping_setup, tempdir_teardown)
    static const struct CMUnitTest tests[] = {
        TEST(test_better), TEST(test_nothing_better), TEST(test_limits),
        TEST(test_seeds),  TEST(test_interrupted),
    };
    return cmocka_run_group_tests_name("refine on a fake engine", tests, NULL, NULL);
}
