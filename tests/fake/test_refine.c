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

#include <math.h>
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
        .corpus = {.specs = &text, .n_specs = 1, .seed = 7},
        .n_ctx = 40,
        .criterion = criterion_default(),
        .near = 4,
        .z = REFINE_Z,
        .trials = trials,
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
    struct refine_opts o = options(60);
    o.check = at("b.txt");
    struct refine_result r = run_ok(&o);
    check_swaps(&r);
    assert_true(r.n_swaps > 3 && r.n_trials <= o.trials);
    assert_int_equal(r.n_measured, N_LAYERS * 8);
    assert_true(r.gain > o.z * r.gain_stderr);
    assert_true(r.checked && r.check.after.kl < r.check.before.kl);
    assert_true(r.check.gain > 0);
    assert_true(fabs(r.check.gain - (r.check.before.kl - r.check.after.kl)) < 1e-9);
    assert_int_equal(fake.n_open, 1);
    refine_result_clear(&r);
}

/* What promises most is tried first, and the first group has a swap of each layer. */
static void test_best_first(void **state)
{
    (void)state;
    struct refine_opts o = options(2);
    struct refine_result r = run_ok(&o);
    assert_int_equal(r.n_swaps, 2);
    for (uint32_t i = 0; i < 2; i++)
        assert_in_range(r.swaps[i].in, N_EXPERT - 2, N_EXPERT - 1);
    assert_int_not_equal(r.swaps[0].il, r.swaps[1].il);
    refine_result_clear(&r);
}

/* Where no swap is better none is tried, and when all that is near the cut was measured it ends. */
static void test_nothing_better(void **state)
{
    (void)state;
    struct refine_opts o = options(10000);
    o.state = at("state.json"); /* it stays, and says so to the next call */
    o.near = 2;
    fake.worth = alike;
    struct refine_result r = run_ok(&o);
    assert_int_equal(r.n_swaps, 0);
    assert_true(r.exhausted);
    assert_int_equal(r.n_measured, N_LAYERS * 2 * 2);
    assert_int_equal(r.n_trials, 0);
    assert_true(r.gain == 0);
    check_swaps(&r);
    refine_result_clear(&r);
    r = run_ok(&o);
    assert_true(r.exhausted);
    assert_int_equal(r.n_trials, 0);
    refine_result_clear(&r);
}

/* A gain that is not z errors large does not stay, whatever it is. */
static void test_not_sure(void **state)
{
    (void)state;
    struct refine_opts o = options(12);
    o.z = 1e9;
    struct refine_result r = run_ok(&o);
    assert_int_equal(r.n_swaps, 0);
    assert_true(r.gain == 0);
    refine_result_clear(&r);
}

/* 150 windows of letters, none like the other; with a line more it is another file. */
static void put_letters(const char *name, const char *end)
{
    struct buf b = {0};
    uint64_t x = 1;
    for (uint32_t i = 0; i < 6000; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        buf_fmt(&b, "%c", '0' + (char)((x >> 33) % 75));
    }
    buf_fmt(&b, "%s", end);
    put_bytes(name, b.s, b.n);
    buf_clear(&b);
}

/* Where nobody says what is near, all experts are in the end, and the best stay. */
static void test_wider(void **state)
{
    (void)state;
    struct refine_opts o = options(1000);
    o.near = 0;
    struct refine_result r = run_ok(&o);
    assert_true(r.exhausted);
    assert_int_equal(r.n_measured, N_LAYERS * N_EXPERT);
    check_swaps(&r);
    for (uint32_t l = 0; l < N_LAYERS; l++)
        for (uint32_t i = 0; i < N_KEEP; i++)
            assert_int_equal(r.plan->layers[l].keep[i], N_EXPERT - N_KEEP + i);
    refine_result_clear(&r);
}

/* Experts that are worth the same but for chance: what the race says it gained is what the same text, measured whole,
 * says. Who looks after each window and stops where it looks best says far too much. */
static void test_no_boast(void **state)
{
    (void)state;
    double said = 0, is = 0;
    uint32_t n = 0;
    put_letters("long.txt", "");
    put_letters("again.txt", "\n");
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct refine_opts o = options(0);
        o.tokens = 60000;
        fake.worth = alike;
        fake.noise = 0.3;
        text = at("long.txt");
        o.corpus.seed = seed;
        o.check = at("again.txt");
        struct refine_result r = run_ok(&o);
        n += r.n_swaps;
        said += r.gain;
        is += r.check.gain;
        refine_result_clear(&r);
    }
    print_message("%u swaps, said %.6f, is %.6f\n", n, said, is);
    assert_true(n > 0 && is > 0);
    assert_true(said < 1.05 * is);
}

/* The number of trials is a limit to the one, tokens to a compute step, and a budget that is spent begins nothing. */
static void test_limits(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 7; n += 3) {
        struct refine_opts o = options(n);
        struct refine_result r = run_ok(&o);
        assert_int_equal(r.n_trials, n);
        assert_false(r.exhausted);
        refine_result_clear(&r);
    }
    struct refine_opts o = options(0);
    o.tokens = 6000;
    struct refine_result r = run_ok(&o);
    assert_in_range(r.n_tokens, o.tokens, o.tokens + 3 * 512);
    refine_result_clear(&r);
    o.tokens = 0;
    o.budget = 1e-12;
    r = run_ok(&o);
    assert_int_equal(r.n_trials, 0);
    assert_int_equal(r.n_swaps, 0);
    assert_false(r.exhausted);
    refine_result_clear(&r);
}

static void same_result(const struct refine_result *a, const struct refine_result *b)
{
    assert_int_equal(a->n_swaps, b->n_swaps);
    assert_int_equal(a->n_trials, b->n_trials);
    assert_memory_equal(a->swaps, b->swaps, a->n_swaps * sizeof *a->swaps);
    assert_true(a->gain == b->gain && a->gain_stderr == b->gain_stderr);
}

/* One seed, one plan. */
static void test_seeds(void **state)
{
    (void)state;
    struct refine_opts o = options(12);
    o.engine.ubatch = 80; /* two windows at once: there is an order to draw */
    struct refine_result a = run_ok(&o), b = run_ok(&o);
    same_result(&a, &b);
    refine_result_clear(&b);
    o.corpus.seed = 8;
    b = run_ok(&o);
    check_swaps(&b);
    assert_true(a.n_tokens != b.n_tokens || a.n_swaps != b.n_swaps ||
                memcmp(a.swaps, b.swaps, a.n_swaps * sizeof *a.swaps) != 0);
    refine_result_clear(&a);
    refine_result_clear(&b);
}

static void test_short_text(void **state)
{
    (void)state;
    struct refine_opts o = options(5);
    struct err e = {0};
    struct refine_result r;
    o.n_ctx = 200;
    assert_false(refine_run(&o, &r, &e));
    assert_int_equal(e.code, ERR_INPUT);
    assert_non_null(strstr(e.msg, "windows of up to 200 tokens"));
    refine_result_clear(&r);
}

/* ---- ended and begun again ---- */

static int run_and_look(void *arg)
{
    struct err e = {0};
    struct refine_result r;
    int status = refine_run(arg, &r, &e) ? 0 : (int)e.code;
    refine_result_clear(&r);
    return status;
}

/* However often it is interrupted: what comes of it is what comes of one run. */
static void test_interrupted(void **state)
{
    (void)state;
    struct refine_opts o = options(6);
    struct refine_result r = run_ok(&o);
    assert_true(r.n_swaps > 1);
    for (uint64_t every = 7; every < 30; every += 13) {
        char name[32];
        snprintf(name, sizeof name, "state-%d.json", (int)every);
        o.state = at(name);
        int n = 0, status;
        do {
            fake_reset();
            fake.worth = worth;
            fake.interrupt_at = every;
            status = sweeping_apart(run_and_look, &o);
            assert_true(status == 0 || status == ERR_INTERRUPTED);
        } while (status && ++n < 200);
        assert_true(status == 0 && n > 0);
        fake_reset();
        fake.worth = worth;
        struct refine_result s = run_ok(&o);
        same_result(&r, &s);
        assert_int_equal(s.n_tokens, r.n_tokens); /* what a limit of tokens counts */
        json_t *a = plan_keep_json(r.plan), *b = plan_keep_json(s.plan);
        assert_true(json_equal(a, b));
        json_decref(a);
        json_decref(b);
        refine_result_clear(&s);
    }
    refine_result_clear(&r);
}

/* A budget that is spent leaves the state where it was; another goes on from it. */
static void test_goes_on(void **state)
{
    (void)state;
    struct refine_opts o = options(5);
    struct refine_result r = run_ok(&o), s;
    o.state = at("state.json");
    o.trials = 3;
    s = run_ok(&o);
    assert_int_equal(s.n_trials, 3);
    refine_result_clear(&s);
    o.trials = 5;
    fake.n_tokens = 0;
    s = run_ok(&o);
    assert_int_equal(s.n_trials, 5);
    assert_true(fake.n_tokens < s.n_tokens); /* of which some were decoded before */
    check_swaps(&s);
    refine_result_clear(&s);
    refine_result_clear(&r);
    struct err e = {0};
    o.z = 3;
    assert_false(refine_run(&o, &s, &e));
    assert_non_null(strstr(e.msg, "of a refinement of another model, plan, text or options"));
    refine_result_clear(&s);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, sweeping_setup, tempdir_teardown)
    static const struct CMUnitTest tests[] = {
        TEST(test_better),     TEST(test_best_first),  TEST(test_nothing_better), TEST(test_not_sure),
        TEST(test_wider),      TEST(test_no_boast),    TEST(test_limits),         TEST(test_seeds),
        TEST(test_short_text), TEST(test_interrupted), TEST(test_goes_on),
    };
    return cmocka_run_group_tests_name("refine on a fake engine", tests, NULL, NULL);
}
