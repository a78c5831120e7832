/* test_sweep.c - src/sweep/sweep.c on the fake engine: which plans are measured and what is chosen, and that
 * a sweep goes on from its state to the same sums, wherever it was left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "engine_fake.h"
#include "sweep/sweep.h"
#include "sweeping.h"
#include "tempdir.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double ratios[] = {0.25, 0.5};
static const struct criterion *criteria[2];
static const char *texts[2];
#define N_POINTS 4

static struct sweep_opts options(const char *state)
{
    criteria[0] = criterion_find("reap"), criteria[1] = criterion_find("frequency");
    texts[0] = at("a.txt"), texts[1] = at("b.txt");
    struct sweep_opts o = {
        .model = MODEL,
        .stats = at("stats.json"),
        .texts = texts,
        .n_texts = 2,
        .n_ctx = 100,
        .ratios = ratios,
        .n_ratios = 2,
        .criteria = criteria,
        .n_criteria = 2,
        .state = state,
    };
    engine_opts_default(&o.engine);
    o.engine.ubatch = 300;
    return o;
}

static struct sweep_result run_ok(const struct sweep_opts *o)
{
    struct err e = {0};
    struct sweep_result r;
    if (!sweep_run(o, &r, &e))
        fail_msg("%s", e.msg);
    return r;
}

static void same_sums(const struct sweep_result *a, const struct sweep_result *b)
{
    assert_int_equal(a->n_points, b->n_points);
    for (uint32_t i = 0; i < a->n_points; i++) {
        const struct sweep_point *p = &a->points[i], *q = &b->points[i];
        assert_memory_equal(&p->sums, &q->sums, sizeof p->sums);
        assert_int_equal(p->n_windows, q->n_windows);
        assert_memory_equal(p->window_kl, q->window_kl, p->n_windows * sizeof *p->window_kl);
    }
}

static double worth(uint32_t il, uint32_t expert)
{
    return 0.01 * (double)(expert + il);
}

static int chosen(const struct sweep_opts *o, const struct sweep_result *r, enum pass_which which,
                  double limit)
{
    struct sweep_file f;
    sweep_file_make(o, r, &f);
    pass_ask(&f.pass, which, limit);
    int i = sweep_choose(&f);
    sweep_file_unmake(&f);
    return i;
}

/* ---- what is measured ---- */

/* The more a plan takes away, the farther it is from the whole model; a point with the counts of another is
 * left out; the whole model, as a plan, is no distance away. */
static void test_points(void **state)
{
    (void)state;
    static const double many[] = {0, 0.25, 0.26, 0.5, 0.75};
    struct sweep_opts o = options(NULL);
    o.ratios = many, o.n_ratios = 5, o.n_criteria = 1;
    fake.worth = worth;
    struct sweep_result r = run_ok(&o);
    static const uint32_t keep[] = {16, 12, 8, 4};
    assert_int_equal(r.n_points, 4);
    for (uint32_t i = 0; i < 4; i++) {
        const struct sweep_point *p = &r.points[i];
        assert_int_equal(p->plan->n_keep, keep[i]);
        assert_true(i ? p->r.kl_mean > r.points[i - 1].r.kl_mean && p->bytes < r.points[i - 1].bytes
                      : p->r.kl_mean == 0 && p->r.ln_ratio == 0 && p->bytes == r.view->bytes);
        assert_true(p->r.base.nll == r.points[0].r.base.nll); /* one base for all */
    }
    assert_int_equal(fake.n_open, 1); /* with one load */

    /* the smallest that is near enough; never the whole model */
    assert_int_equal(chosen(&o, &r, PASS_KL, r.points[2].r.kl_mean), 2);
    assert_int_equal(chosen(&o, &r, PASS_KL, r.points[2].r.kl_mean * 0.999), 1);
    assert_int_equal(chosen(&o, &r, PASS_PPL_INCREASE, 1e6), 3);
    assert_int_equal(chosen(&o, &r, PASS_TOP1, 0), 3);
    assert_int_equal(chosen(&o, &r, PASS_TOP1, r.points[1].r.top1), 1);
    assert_int_equal(chosen(&o, &r, PASS_KL, 0), -1);
    sweep_result_clear(&r);
}

/* ---- types ---- */

static const char *const types[] = {"Q8_0", "Q4_K_M"};

static struct sweep_opts with_types(const char *state)
{
    struct sweep_opts o = options(state);
    o.types = types, o.n_types = 2, o.requantize = true, o.n_criteria = 1;
    setenv("REAP_CACHE", at("cache"), 1);
    return o;
}

static bool cache_is_empty(void)
{
    char *path = xasprintf("rmdir '%s'", at("cache/quantised")); /* which only an empty folder allows */
    bool empty = system(path) == 0;
    free(path);
    return empty;
}

/* As it is, then type by type, the whole first; each against the model as it is, whatever was masked before. The
 * files are gone. */
static void test_types(void **state)
{
    (void)state;
    struct sweep_opts o = with_types(NULL);
    fake.worth = worth;
    struct sweep_result r = run_ok(&o);
    static const uint32_t keep[] = {16, 12, 8};
    assert_int_equal(r.n_points, 9);
    for (uint32_t i = 0; i < 9; i++) {
        const struct sweep_point *p = &r.points[i];
        assert_ptr_equal(p->type, i < 3 ? NULL : types[i / 3 - 1]);
        assert_int_equal(p->plan->n_keep, keep[i % 3]);
        assert_true(p->r.base.nll == r.points[0].r.base.nll);
        assert_int_equal(p->bytes, r.points[i % 3].bytes); /* the fake's types are as large */
        assert_true(i < 3 || p->r.kl_mean > r.points[i - 3].r.kl_mean);
    }
    assert_true(r.points[0].r.kl_mean == 0 && r.points[3].r.kl_mean > 0);
    assert_int_equal(fake.n_open, 3);
    assert_true(cache_is_empty());
    sweep_result_clear(&r);
}

/* The sums of windows add up to those of the texts, and say how sure a difference of two criteria is. */
static void test_windows(void **state)
{
    (void)state;
    struct sweep_opts o = options(NULL);
    fake.worth = worth;
    struct sweep_result r = run_ok(&o);
    struct sweep_file f;
    sweep_file_make(&o, &r, &f);
    for (uint32_t i = 0; i < r.n_points; i++) {
        const struct sweep_point *p = &r.points[i], *q = &r.points[(i + 2) % 4];
        double sum = 0;
        assert_int_equal(p->n_windows, 9 + 7); /* of 100 tokens, with one that begins each text */
        for (uint32_t w = 0; w < p->n_windows; w++)
            sum += p->window_kl[w];
        assert_true(fabs(sum - p->sums.kl) <= 1e-12 * fabs(sum));
        bool best = p->sums.kl <= q->sums.kl;
        double d = best ? 0 : p->r.kl_mean - q->r.kl_mean;
        assert_true(fabs(f.points[i].to_best - d) <= 1e-12);
        assert_true(best ? f.points[i].to_best_stderr == 0 : f.points[i].to_best_stderr > 0);
    }
    sweep_file_unmake(&f);
    sweep_result_clear(&r);
}

/* A type that cannot be made ends the sweep; what was measured before it stays. */
static int run_types(void *arg)
{
    struct err e = {0};
    struct sweep_result r;
    bool ok = sweep_run(arg, &r, &e);
    sweep_result_clear(&r);
    return ok ? 0 : strstr(e.msg, "Q4_K_M: ") ? (int)e.code : 99;
}

static void test_type_fails(void **state)
{
    (void)state;
    struct sweep_opts o = with_types(at("state.json"));
    struct sweep_result whole = run_ok(&o);
    unlink(o.state);
    fake_reset();
    fake.fail_quantize = 2;
    assert_int_equal(sweeping_apart(run_types, &o), ERR_FAILED);
    assert_true(cache_is_empty());
    fake_reset();
    struct sweep_result r = run_ok(&o);
    same_sums(&whole, &r);
    for (uint32_t i = 0; i < 9; i++)
        assert_int_equal(r.points[i].bytes, whole.points[i].bytes);
    assert_int_equal(fake.n_quantize, 1); /* the other one was done */
    sweep_result_clear(&r);
    sweep_result_clear(&whole);
}

/* ---- going on ---- */

static int run_to_status(void *arg)
{
    struct err e = {0};
    struct sweep_result r;
    sweep_run(arg, &r, &e);
    sweep_result_clear(&r);
    return e.code;
}

/* Left at every third decode, by a signal or by a failure: the same call goes on, decodes less, and ends with
 * the same sums, bit for bit. */
static void goes_on(struct sweep_opts o, uint32_t every)
{
    struct sweep_result whole = run_ok(&o);
    uint64_t steps = fake.n_decode;
    assert_in_range(steps, 20, 400);
    o.state = at("state.json");
    for (uint64_t n = 2; n <= steps; n += every) {
        bool fails = n % 2;
        fake_reset();
        *(fails ? &fake.fail_at : &fake.interrupt_at) = n;
        unlink(o.state);
        int code = sweeping_apart(run_to_status, &o);
        assert_int_equal(code, fails ? ERR_FAILED : ERR_INTERRUPTED);
        fake_reset();
        struct sweep_result r = run_ok(&o);
        same_sums(&whole, &r);
        assert_true(r.n_tokens + r.done_before <= whole.n_tokens);
        if (!fails)
            assert_true(file_exists(o.state) && (n < 6 || r.n_tokens < whole.n_tokens));
        sweep_result_clear(&r);
    }
    fake_reset(); /* another look at what is done starts no engine */
    struct sweep_result r = run_ok(&o);
    same_sums(&whole, &r);
    assert_int_equal(fake.n_open, 0);
    sweep_result_clear(&r);
    sweep_result_clear(&whole);
}

static void test_goes_on(void **state)
{
    (void)state;
    goes_on(options(NULL), 3);
}

static void test_types_go_on(void **state)
{
    (void)state;
    goes_on(with_types(NULL), 17);
    assert_true(cache_is_empty());
}

/* A signal that comes with the last decode ends nothing: there is nothing left to do. */
static void test_last_decode(void **state)
{
    (void)state;
    struct sweep_opts o = options(NULL);
    struct sweep_result r = run_ok(&o);
    fake.interrupt_at = 2 * fake.n_decode;
    assert_int_equal(sweeping_apart(run_to_status, &o), ERR_NONE);
    sweep_result_clear(&r);
}

static void refused(const struct sweep_opts *o, const char *says)
{
    struct err e = {0};
    struct sweep_result r;
    assert_false(sweep_run(o, &r, &e));
    assert_int_equal(e.code, ERR_INPUT);
    if (!strstr(e.msg, says))
        fail_msg("'%s' does not say '%s'", e.msg, says);
    sweep_result_clear(&r);
}

/* A state is of one model, text, set of plans and way of computing. */
static void test_other_state(void **state)
{
    (void)state;
    static const double other[] = {0.25, 0.75};
    static const char says[] = "is of a sweep over another model, text, plans, types or options";
    struct sweep_opts o = options(at("state.json")), x;
    struct sweep_result r = run_ok(&o);
    sweep_result_clear(&r);
    x = o, x.ratios = other;
    refused(&x, says);
    x = o, x.n_ctx = 101;
    refused(&x, says);
    x = o, x.n_texts = 1;
    refused(&x, says);
    x = o, x.engine.ubatch = 301;
    refused(&x, says);
    x = o, x.n_criteria = 1;
    refused(&x, says);
    x = o, x.types = types, x.n_types = 1, x.requantize = true;
    refused(&x, says);
    x.requantize = false; /* the test's model is of F32 */
    refused(&x, says);
    put("state.json", "{\"schema\": \"reap.plan/1\"}");
    refused(&o, "is not the state of a sweep");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, sweeping_setup, tempdir_teardown)
    static const struct CMUnitTest tests[] = {
        TEST(test_points),  TEST(test_types),       TEST(test_windows),     TEST(test_type_fails),
        TEST(test_goes_on), TEST(test_types_go_on), TEST(test_last_decode), TEST(test_other_state),
    };
    return cmocka_run_group_tests_name("sweep on a fake engine", tests, NULL, NULL);
}
