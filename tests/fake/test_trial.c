/* test_trial.c - src/eval/trial.c on the fake engine: losses against what the logits say, one window at a time, kept,
 * packed and forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "engine_fake.h"
#include "eval/plan_mask.h"
#include "eval/trial.h"
#include "sweeping.h"
#include "tempdir.h"

#include <math.h>
#include <string.h>

#define CTX    40
#define UBATCH 100

static struct view *v;
static struct engine *g;
static struct trial_text text;
static struct plan *some, *few;

static struct plan *plan_of(uint32_t n_keep)
{
    struct plan *p = plan_new(N_LAYERS, n_keep);
    for (uint32_t l = 0; l < N_LAYERS; l++) {
        p->layers[l].il = l;
        for (uint32_t i = 0; i < n_keep; i++)
            p->layers[l].keep[i] = i;
    }
    return p;
}

/* Two categories of rows, of 2 to 120 tokens. */
static void make_text(void)
{
    struct buf b = {0};
    for (uint32_t f = 0; f < 2; f++) {
        for (uint32_t i = 0; i < 12; i++) {
            buf_str(&b, "{\"text\": \"");
            for (uint32_t k = 0; k < 1 + (i * 37 + f * 11) % 119; k++)
                buf_char(&b, (char)('a' + (k * (i + 3) + f) % 26));
            buf_str(&b, "\"}\n");
        }
        put_bytes(f ? "b.jsonl" : "a.jsonl", b.s, b.n);
        buf_clear(&b);
    }
}

static int setup(void **state)
{
    struct err e = {0};
    int rc = tempdir_setup(state);
    log_quiet = true;
    fake_reset();
    make_text();
    const char *specs[] = {at("a.jsonl"), at("b.jsonl")};
    struct engine_opts o;
    engine_opts_default(&o);
    o.ubatch = UBATCH;
    v = view_open(MODEL, &e);
    g = v ? engine_open(MODEL, &o, &e) : NULL;
    const struct corpus_opts co = {.specs = specs, .n_specs = 2};
    if (!g || !trial_text_open(&text, &co, g, CTX, &e))
        fail_msg("%s", e.msg);
    some = plan_of(12), few = plan_of(5);
    return rc;
}

static int teardown(void **state)
{
    plan_free(some);
    plan_free(few);
    trial_text_clear(&text);
    engine_free(g);
    view_free(v);
    return tempdir_teardown(state);
}

/* ---- what the logits say ---- */

/* Log-probabilities of each position of a window, under a plan; caller frees. */
static double *log_probs(const struct window *x, const struct plan *p)
{
    struct err e = {0};
    double *out = xcalloc((size_t)x->n * FAKE_VOCAB, sizeof *out);
    int32_t *mem = xcalloc(2 * (size_t)x->n, sizeof *mem);
    for (uint32_t i = 0; i < x->n; i++)
        mem[i] = (int32_t)i;
    assert_true(eval_mask(g, v, p, &e));
    engine_clear(g);
    assert_true(engine_decode(g, &(struct engine_batch){x->n, x->tok, mem, mem + x->n, NULL}, &e));
    for (uint32_t i = 0; i < x->n; i++) {
        const float *l = engine_logits(g, i);
        double sum = 0;
        for (uint32_t k = 0; k < FAKE_VOCAB; k++)
            sum += exp((double)l[k]);
        for (uint32_t k = 0; k < FAKE_VOCAB; k++)
            out[(size_t)i * FAKE_VOCAB + k] = (double)l[k] - log(sum);
    }
    free(mem);
    return out;
}

/* KL over the `top` likeliest of the base and all others together. */
static double divergence(const double *p, const double *q, uint32_t top)
{
    double kl = 0, rest_p = 1, rest_q = 1;
    for (uint32_t k = 0; k < FAKE_VOCAB; k++) {
        uint32_t better = 0;
        for (uint32_t i = 0; i < FAKE_VOCAB; i++)
            better += p[i] > p[k] || (p[i] == p[k] && i < k);
        if (better >= top)
            continue;
        kl += exp(p[k]) * (p[k] - q[k]);
        rest_p -= exp(p[k]), rest_q -= exp(q[k]);
    }
    return kl + (rest_p > 1e-9 ? rest_p * log(rest_p / rest_q) : 0);
}

static void same_loss(struct trial_loss l, uint32_t window, const struct plan *p, uint32_t top)
{
    const struct window *x = &text.w.list[text.order[window]];
    double *a = log_probs(x, NULL), *b = log_probs(x, p), kl = 0, nll = 0, base = 0;
    for (uint32_t i = 0; i + 1 < x->n; i++) {
        size_t at = (size_t)i * FAKE_VOCAB;
        kl += divergence(a + at, b + at, top);
        nll -= b[at + (size_t)x->tok[i + 1]];
        base -= a[at + (size_t)x->tok[i + 1]];
    }
    assert_int_equal(l.n, x->n - 1);
    assert_true(fabs(l.kl - kl) < 1e-4 && fabs(l.nll - nll) < 1e-4 && fabs(l.base_nll - base) < 1e-4);
    free(a);
    free(b);
}

static struct trial *open_ok(uint64_t cache)
{
    struct err e = {0};
    struct trial *t = trial_open(g, v, &text, cache, &e);
    if (!t)
        fail_msg("%s", e.msg);
    return t;
}

static void losses(struct trial *t, const struct trial_ask *ask, uint32_t n, struct trial_loss *out)
{
    struct err e = {0};
    if (!trial_losses(t, ask, n, out, &e))
        fail_msg("%s", e.msg);
}

/* ---- tests ---- */

/* Every token of every sample stands in one window, windows of one token apart; categories take turns. */
static void test_text(void **state)
{
    (void)state;
    uint64_t scored = 0;
    uint32_t of[2] = {0};
    for (uint32_t i = 0; i < text.n; i++) {
        assert_int_equal(text.corpus.samples[text.w.list[text.order[i]].sample].category, text.category[i]);
        of[text.category[i]]++;
        scored += trial_text_tokens(&text, i) - 1;
        assert_true(trial_text_tokens(&text, i) >= 2);
        if (i && i < 2 * 12)
            assert_int_not_equal(text.category[i], text.category[i - 1]);
    }
    assert_int_equal(scored, text.n_scored);
    assert_true(of[0] >= 12 && of[1] >= 12);
}

/* The whole vocabulary, and its likeliest tokens alone, which is never more. */
static void test_losses(void **state)
{
    (void)state;
    struct trial *whole = open_ok(TRIAL_CACHE), *top = open_ok(1);
    for (uint32_t i = 0; i < text.n; i += 5) {
        struct trial_ask ask[] = {{i, some, NULL}, {i, few, NULL}, {i, NULL, NULL}};
        struct trial_loss a[3], b[3];
        losses(whole, ask, 3, a);
        losses(top, ask, 3, b);
        for (int k = 0; k < 2; k++) {
            same_loss(a[k], i, ask[k].plan, FAKE_VOCAB);
            same_loss(b[k], i, ask[k].plan, TRIAL_TOP);
            assert_true(b[k].kl > 0 && b[k].kl <= a[k].kl && b[k].nll == a[k].nll);
        }
        assert_true(a[0].kl < a[1].kl);
        assert_true(a[2].kl == 0 && a[2].nll == a[0].base_nll && a[2].same_top == a[2].n);
    }
    trial_free(whole);
    trial_free(top);
}

static uint64_t tokens_of(const struct trial_ask *ask, uint32_t n)
{
    uint64_t k = 0;
    for (uint32_t i = 0; i < n; i++)
        k += trial_text_tokens(&text, ask[i].window);
    return k;
}

/* Packed as they fit, the base once: the same figures as one by one. */
static void test_packed(void **state)
{
    (void)state;
    uint32_t n = text.n;
    struct trial_ask *ask = xcalloc(n, sizeof *ask);
    struct trial_loss *one = xcalloc(n, sizeof *one), *all = xcalloc(n, sizeof *all);
    for (uint32_t i = 0; i < n; i++)
        ask[i] = (struct trial_ask){i, some, NULL};
    struct trial *t = open_ok(TRIAL_CACHE), *u = open_ok(TRIAL_CACHE);
    fake.n_decode = 0;
    losses(t, ask, n, all);
    uint64_t packed = fake.n_decode;
    assert_true(packed < 2 * n && trial_decoded(t) == 2 * tokens_of(ask, n));
    for (uint32_t i = 0; i < n; i++)
        losses(u, &ask[n - 1 - i], 1, &one[n - 1 - i]);
    assert_memory_equal(one, all, n * sizeof *one);
    losses(t, ask, n, one); /* again: the whole model is known */
    assert_int_equal(trial_decoded(t), 3 * tokens_of(ask, n));
    assert_memory_equal(one, all, n * sizeof *one);
    uint32_t windows = 0;
    for (uint32_t first = 0; first < n; first += trial_fit(t, first), windows++)
        assert_true(trial_fit(t, first) > 0);
    assert_int_equal(trial_fit(t, n), 0);
    assert_int_equal(2 * windows, packed);
    trial_free(t);
    trial_free(u);
    free(ask);
    free(one);
    free(all);
}

/* Where little may be kept, windows are forgotten and computed again, to the same figures; a window twice, and without
 * any cache the whole vocabulary. */
static void test_forgotten(void **state)
{
    (void)state;
    struct trial *t = open_ok(20000), *none = open_ok(0), *whole = open_ok(TRIAL_CACHE);
    struct trial_loss *first = xcalloc(text.n, sizeof *first);
    struct rng r = {3};
    for (uint32_t i = 0; i < text.n; i++)
        losses(t, &(struct trial_ask){i, few, NULL}, 1, &first[i]);
    for (uint32_t i = 0; i < 200; i++) {
        uint32_t k = (uint32_t)rng_below(&r, text.n);
        struct trial_ask ask[] = {{k, few, NULL}, {k, few, NULL}, {k, some, NULL}};
        struct trial_loss a[3], b[3];
        losses(t, ask, 3, a);
        assert_memory_equal(&a[0], &first[k], sizeof *a);
        assert_memory_equal(&a[1], &first[k], sizeof *a);
        if (i % 10)
            continue;
        losses(none, ask, 3, a);
        losses(whole, ask, 3, b);
        assert_memory_equal(a, b, sizeof a);
    }
    uint64_t before = trial_decoded(t);
    losses(t, &(struct trial_ask){0, few, NULL}, 1, first);
    losses(t, &(struct trial_ask){0, few, NULL}, 1, first);
    assert_true(trial_decoded(t) - before <= 3 * (uint64_t)trial_text_tokens(&text, 0));
    free(first);
    trial_free(t);
    trial_free(none);
    trial_free(whole);
}

/* Expert 12 of the second layer alone is worth something, and then expert 3 of it. */
static double worth_12(uint32_t il, uint32_t expert)
{
    return il == 1 && expert == 12 ? 0.25 : 0;
}
static double worth_3(uint32_t il, uint32_t expert)
{
    return il == 1 && expert == 3 ? 0.25 : 0;
}

/* One expert more than the plan has, or one less, in one layer; asks that differ in it share no decode. */
static void test_but(void **state)
{
    (void)state;
    struct plan_but back = {1, 12}, away = {1, 3}, other = {0, 12};
    struct trial_loss l[4];
    struct trial *t = open_ok(TRIAL_CACHE);
    struct trial_ask ask[] = {{1, some, NULL}, {2, some, &back}, {1, some, &back}, {1, some, &other}};
    fake.worth = worth_12;
    losses(t, ask, 4, l);
    assert_true(l[0].kl > 0.01 && l[3].kl == l[0].kl);
    assert_true(l[1].kl == 0 && l[2].kl == 0);
    fake.worth = worth_3;
    ask[1] = (struct trial_ask){1, some, &away};
    losses(t, ask, 2, l);
    assert_true(l[0].kl == 0 && l[1].kl > 0.01);
    trial_free(t);
}

/* A decode that fails leaves nothing half known. */
static void test_failed(void **state)
{
    (void)state;
    struct trial *t = open_ok(TRIAL_CACHE), *u = open_ok(TRIAL_CACHE);
    for (uint64_t n = 1; n <= 3; n++) {
        struct err e = {0};
        struct trial_ask ask[] = {{1, some, NULL}, {2, some, NULL}, {3, few, NULL}};
        struct trial_loss a[3], b[3];
        fake.fail_at = fake.n_decode + n;
        assert_false(trial_losses(t, ask, 3, a, &e));
        assert_int_equal(e.code, ERR_FAILED);
        fake.fail_at = 0;
        losses(t, ask, 3, a);
        losses(u, ask, 3, b);
        assert_memory_equal(a, b, sizeof a);
        trial_free(t);
        t = open_ok(TRIAL_CACHE);
    }
    trial_free(t);
    trial_free(u);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    static const struct CMUnitTest tests[] = {
        TEST(test_text),      TEST(test_losses), TEST(test_packed),
        TEST(test_forgotten), TEST(test_but),    TEST(test_failed),
    };
    return cmocka_run_group_tests_name("trials on a fake engine", tests, NULL, NULL);
}
