/* test_stats.c - src/stats: adding up, invariants, the file, criteria, summaries.
 *
 * Numbers are chosen so that their sums are exact in binary; expected values are computed by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/rng.h"
#include "stats/stats.h"
#include "stats/summary.h"
#include "tempdir.h"

#include <math.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* Two layers (blocks 1 and 3) of 4 experts, top-2. */
static struct stats *new_stats(void)
{
    struct stats *s = stats_new(2, 4);
    for (uint32_t i = 0; i < 2; i++) {
        s->layers[i].il = 1 + 2 * i;
        s->layers[i].n_used = 2;
    }
    s->model = json_pack("{s:s, s:i, s:i}", "architecture", "test", "n_experts", 4, "n_experts_used", 2);
    s->calibration = json_pack("{s:i, s:f, s:[s, n]}", "n_tokens", 3, "x", 0.1, "files", "a \xc3\xa4");
    return s;
}

static void add(struct stats *s, uint32_t i, enum half h, const struct routed *r, uint32_t k)
{
    struct err e = {0};
    if (!stats_add(s, i, h, r, k, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(e.code, ERR_NONE);
}

/* Two tokens in the even half and one in the odd half, the same in both layers. Expert 3 gets none. */
static struct stats *sample_stats(void)
{
    static const struct routed tokens[3][2] = {
        {{0, 0.75f, 4, 3, 2.5f, 2}, {1, 0.25f, 8, 2, 6, 1}},
        {{2, 0.5f, 2, 1, 1, 0.5f}, {0, 0.5f, 8, 4, 7.5f, 4}},
        {{1, 0.875f, 16, 14, 9, 16}, {2, 0.125f, 4, 0.5f, 3, 0.25f}},
    };
    struct stats *s = new_stats();
    for (uint32_t i = 0; i < 2; i++)
        for (int t = 0; t < 3; t++)
            add(s, i, t < 2 ? EVEN : ODD, tokens[t], 2);
    return s;
}

static bool same_json(const json_t *a, const json_t *b)
{
    return a == b || json_equal(a, b); /* which does not take NULL for equal to NULL */
}

/* Exactly: all of it, the bits of the sums included. */
static void expect_same(const struct stats *a, const struct stats *b)
{
    assert_int_equal(a->n_experts, b->n_experts);
    assert_int_equal(a->n_layers, b->n_layers);
    for (uint32_t i = 0; i < a->n_layers; i++) {
        const struct stats_layer *x = &a->layers[i], *y = &b->layers[i];
        assert_int_equal(x->il, y->il);
        assert_int_equal(x->n_used, y->n_used);
        for (int h = 0; h < 2; h++) {
            assert_true(x->tokens[h] == y->tokens[h]);
            assert_memory_equal(x->half[h], y->half[h], a->n_experts * sizeof(struct sums));
        }
    }
    assert_int_equal(a->unknown, b->unknown);
    assert_int_equal(a->router, b->router);
    assert_true(same_json(a->model, b->model) && same_json(a->calibration, b->calibration) &&
                !a->progress == !b->progress);
    if (a->progress)
        assert_memory_equal(a->progress, b->progress, 2 * sizeof a->progress->batches);
}

static void expect_exact(double have, double want)
{
    if (memcmp(&have, &want, sizeof have) != 0)
        fail_msg("%.17g expected, got %.17g", want, have);
}

static void expect_err(struct err *e, enum err_code code, const char *part)
{
    if (e->code != code || !strstr(e->msg, part))
        fail_msg("code %d with '%s' expected, got %d: %s", code, part, e->code, e->msg);
    err_clear(e);
}

/* ---- adding up ---- */

static void test_add(void **state)
{
    (void)state;
    struct stats *s = sample_stats();
    const struct stats_layer *l = &s->layers[0];
    const struct sums zero = {0};
    const struct sums even0 = {.count = 2,
                               .gate_sum = 1.25,
                               .gate_sq_sum = 0.8125,
                               .ean_sum = 12,
                               .ean_sq_sum = 80,
                               .reap_sum = 7,
                               .reap_sq_sum = 25,
                               .max_activation = 7.5,
                               .loo_sum = 6,
                               .loo_sq_sum = 20};
    const struct sums odd1 = {.count = 1,
                              .gate_sum = 0.875,
                              .gate_sq_sum = 0.765625,
                              .ean_sum = 16,
                              .ean_sq_sum = 256,
                              .reap_sum = 14,
                              .reap_sq_sum = 196,
                              .max_activation = 9,
                              .loo_sum = 16,
                              .loo_sq_sum = 256};
    assert_memory_equal(&l->half[EVEN][0], &even0, sizeof zero);
    assert_memory_equal(&l->half[ODD][1], &odd1, sizeof zero);
    assert_memory_equal(&l->half[ODD][0], &zero, sizeof zero);
    assert_memory_equal(&l->half[EVEN][3], &zero, sizeof zero);
    assert_memory_equal(&l->half[ODD][3], &zero, sizeof zero);
    assert_int_equal(l->tokens[EVEN], 2);
    assert_int_equal(l->tokens[ODD], 1);
    assert_int_equal(stats_tokens(l), 3);
    for (int h = 0; h < 2; h++)
        assert_memory_equal(l->half[h], s->layers[1].half[h], 4 * sizeof zero);
    stats_free(s);
    stats_free(NULL);
}

static void test_total(void **state)
{
    (void)state;
    struct stats *s = sample_stats();
    const struct sums total1 = {.count = 2,
                                .gate_sum = 1.125,
                                .gate_sq_sum = 0.828125,
                                .ean_sum = 24,
                                .ean_sq_sum = 320,
                                .reap_sum = 16,
                                .reap_sq_sum = 200,
                                .max_activation = 9, /* the larger, from the odd half */
                                .loo_sum = 17,
                                .loo_sq_sum = 257};
    struct sums t = stats_total(&s->layers[0], 1);
    assert_memory_equal(&t, &total1, sizeof t);
    t = stats_total(&s->layers[0], 0); /* only in the even half: the larger comes from there */
    assert_memory_equal(&t, &s->layers[0].half[EVEN][0], sizeof t);
    stats_free(s);
}

/* In whatever order the tokens come, the halves stay apart and counts agree. */
static void test_add_many(void **state)
{
    (void)state;
    struct rng r = {3};
    struct stats *s = new_stats();
    double gates[2] = {0};
    uint64_t counts[2][4] = {{0}};
    for (int t = 0; t < 1000; t++) {
        enum half h = rng_below(&r, 3) ? EVEN : ODD;
        int32_t a = (int32_t)rng_below(&r, 4), b = (int32_t)((uint64_t)a + 1 + rng_below(&r, 3)) % 4;
        float g = (float)rng_below(&r, 1024) / 1024;
        const struct routed tok[2] = {{a, g, 1, g, 1, g}, {b, 1 - g, 1, 1 - g, 1, g}};
        for (uint32_t i = 0; i < 2; i++)
            add(s, i, h, tok, 2);
        gates[h] += 1;
        counts[h][a]++;
        counts[h][b]++;
    }
    struct err e = {0};
    assert_true(stats_check(s, &e));
    for (int h = 0; h < 2; h++) {
        double g = 0;
        for (uint32_t j = 0; j < 4; j++) {
            assert_int_equal(s->layers[1].half[h][j].count, counts[h][j]);
            g += s->layers[1].half[h][j].gate_sum;
        }
        expect_exact(g, gates[h]);
    }
    stats_free(s);
}

static void test_add_refused(void **state)
{
    (void)state;
    static const struct {
        struct routed r[2];
        const char *part;
    } cases[] = {
        {{{0, 1, 1, 1, 1, 1}, {4, 1, 1, 1, 1, 1}}, "routed to expert 4 of 4"},
        {{{0, 1, 1, 1, 1, 1}, {-1, 1, 1, 1, 1, 1}}, "routed to expert -1 of 4"},
        {{{INT32_MIN, 1, 1, 1, 1, 1}, {0, 1, 1, 1, 1, 1}}, "of 4"},
        {{{2, 1, 1, 1, 1, 1}, {2, 1, 1, 1, 1, 1}}, "routed to expert 2 twice"},
        {{{0, 1, 1, 1, 1, 1}, {1, NAN, 1, 1, 1, 1}}, "expert 1 is not finite"},
        {{{0, 1, 1, 1, 1, 1}, {1, 1, INFINITY, 1, 1, 1}}, "expert 1 is not finite"},
        {{{0, 1, 1, 1, 1, 1}, {1, 1, 1, -INFINITY, 1, 1}}, "expert 1 is not finite"},
        {{{0, 1, 1, 1, NAN, 1}, {1, 1, 1, 1, 1, 1}}, "expert 0 is not finite"},
        {{{0, 1, 1, 1, 1, NAN}, {1, 1, 1, 1, 1, 1}}, "expert 0 is not finite"},
    };
    struct stats *s = sample_stats(), *same = sample_stats();
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int h = 0; h < 2; h++) {
            struct err e = {0};
            assert_false(stats_add(s, 1, h ? ODD : EVEN, cases[i].r, 2, &e));
            assert_int_equal(e.code, ERR_FAILED);
            assert_non_null(strstr(e.msg, "layer 3: ")); /* the number of the block, not of the entry */
            if (!strstr(e.msg, cases[i].part))
                fail_msg("case %zu: %s", i, e.msg);
            expect_same(s, same); /* the good expert of the token was not added either */
        }
    stats_free(s);
    stats_free(same);
}

/* ---- invariants ---- */

static void test_check(void **state)
{
    (void)state;
    /* Each changes one thing of the sample; x is an expert of the second layer. */
    enum what { TOKENS, BOTH_TOKENS, N_USED, COUNT_OF, FIELD, HUGE_COUNTS, HUGE_TOKENS };
    static const struct {
        enum what what;
        int half;
        uint32_t expert;
        size_t off;
        double value;
        const char *part;
    } cases[] = {
        {TOKENS, EVEN, 0, 0, 0, "layer 3 has seen 3 tokens, layer 1 2"},
        {TOKENS, ODD, 0, 0, 0, "layer 3 has seen 2 tokens, layer 1 1"},
        {BOTH_TOKENS, EVEN, 0, 0, 0, "layer 1: the counts add up to 4, expected 3 tokens x top-2 = 6"},
        {N_USED, 0, 0, 0, 0, "layer 3: the counts add up to 4, expected 2 tokens x top-1 = 2"},
        {COUNT_OF, EVEN, 1, 0, 0, "layer 3: the counts add up to 5, expected"},
        {COUNT_OF, ODD, 1, 0, 0, "layer 3: the counts add up to 3, expected"},
        {HUGE_COUNTS, EVEN, 0, 0, 0, "layer 3: the counts are too large"},
        {HUGE_TOKENS, EVEN, 0, 0, 0, "tokens are too many"},
        {FIELD, EVEN, 0, offsetof(struct sums, gate_sum), NAN, "layer 3, expert 0: gate_sum is not finite"},
        {FIELD, ODD, 1, offsetof(struct sums, gate_sum), INFINITY, "expert 1: gate_sum is not finite"},
        {FIELD, EVEN, 0, offsetof(struct sums, gate_sq_sum), -1, "layer 3, expert 0: a sum is -1"},
        {FIELD, EVEN, 1, offsetof(struct sums, ean_sum), -0.5, "layer 3, expert 1: a sum is -0.5"},
        {FIELD, EVEN, 1, offsetof(struct sums, ean_sum), NAN, "layer 3, expert 1: a sum is"},
        {FIELD, ODD, 2, offsetof(struct sums, ean_sq_sum), INFINITY, "layer 3, expert 2: a sum is inf"},
        {FIELD, ODD, 2, offsetof(struct sums, reap_sum), -1, "layer 3, expert 2: a sum is -1"},
        {FIELD, ODD, 2, offsetof(struct sums, reap_sq_sum), NAN, "layer 3, expert 2: a sum is"},
        {FIELD, EVEN, 2, offsetof(struct sums, max_activation), -1, "layer 3, expert 2: a sum is -1"},
        {FIELD, EVEN, 3, offsetof(struct sums, ean_sum), 1, "expert 3: sums without a single token"},
        {FIELD, ODD, 0, offsetof(struct sums, reap_sum), 1, "expert 0: sums without a single token"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct stats *s = sample_stats();
        struct stats_layer *l = &s->layers[1];
        struct sums *x = &l->half[cases[i].half][cases[i].expert];
        struct err e = {0};
        assert_true(stats_check(s, &e));
        switch (cases[i].what) {
        case TOKENS: l->tokens[cases[i].half]++; break;
        case BOTH_TOKENS: l->tokens[EVEN]++, s->layers[0].tokens[EVEN]++; break;
        case N_USED: l->n_used = 1; break;
        case COUNT_OF: x->count++; break;
        case FIELD: memcpy((char *)x + cases[i].off, &cases[i].value, sizeof(double)); break;
        case HUGE_COUNTS: x->count = UINT64_MAX - 1; break; /* the sum would wrap round to a small number */
        case HUGE_TOKENS:
            for (int k = 0; k < 2; k++) { /* x 2 gives 4 in 64 bits, which is what the counts say */
                s->layers[k].tokens[EVEN] = (1ull << 63) + 2;
                s->layers[k].tokens[ODD] = 1;
            }
            break;
        }
        if (stats_check(s, &e))
            fail_msg("case %zu passes", i);
        expect_err(&e, ERR_INPUT, cases[i].part);
        stats_free(s);
    }

    struct err e = {0};
    struct stats *s = sample_stats();
    s->layers[0].half[EVEN][0].gate_sum = -3; /* a weight may be negative; norms may not */
    assert_true(stats_check(s, &e));
    stats_free(s);
    s = new_stats(); /* before the first token */
    assert_true(stats_check(s, &e));
    stats_free(s);
}

/* ---- the file ---- */

static void expect_equal_files(const char *a, const char *b)
{
    struct buf x = {0}, y = {0};
    struct err e = {0};
    assert_true(file_read_all(at(a), 1 << 20, &x, &e) && file_read_all(at(b), 1 << 20, &y, &e));
    assert_string_equal(x.s, y.s);
    buf_clear(&x);
    buf_clear(&y);
}

static void round_trip(struct stats *s)
{
    struct err e = {0};
    if (!stats_save(s, at("a.json"), true, &e))
        fail_msg("%s", e.msg);
    struct stats *t = stats_load(at("a.json"), &e);
    if (!t)
        fail_msg("%s", e.msg);
    expect_same(s, t);
    assert_true(stats_save(t, at("b.json"), true, &e));
    expect_equal_files("a.json", "b.json");
    stats_free(t);
    stats_free(s);
}

static void test_round_trip(void **state)
{
    (void)state;
    round_trip(sample_stats());
    round_trip(new_stats());

    struct stats *s = sample_stats();
    s->progress = calloc(1, sizeof *s->progress);
    *s->progress = (struct stats_progress){1, 7, NAN, NAN, NAN};
    round_trip(s);
    s = sample_stats();
    s->progress = calloc(1, sizeof *s->progress);
    *s->progress = (struct stats_progress){3, 7, 0.95, 0.25, 0.995};
    round_trip(s);
    s = sample_stats(); /* of an earlier version */
    s->progress = calloc(1, sizeof *s->progress);
    *s->progress = (struct stats_progress){3, 7, 0.95, 0.25, NAN};
    round_trip(s);

    /* numbers that need all 17 digits, the smallest, the largest, minus zero */
    struct rng r = {5};
    s = sample_stats();
    for (int k = 0; k < 2; k++)
        for (int h = 0; h < 2; h++)
            for (uint32_t j = 0; j < 4; j++) {
                struct sums *x = &s->layers[k].half[h][j];
                for (int i = 0; x->count && i < SUM_GATE_MASS; i++)
                    *sum_of(x, (enum sum)i) = ldexp((double)rng_next(&r), (int)rng_below(&r, 200) - 160);
            }
    s->layers[0].half[EVEN][0].gate_sum = 0x1p-1074;
    s->layers[0].half[EVEN][1].gate_sum = -0.0;
    s->layers[0].half[ODD][1].gate_sum = -0.0;
    s->layers[0].half[EVEN][2].ean_sq_sum = 1.7976931348623157e308;
    s->layers[0].half[ODD][2].ean_sq_sum = 0;
    s->layers[1].half[EVEN][0].gate_sum = -0.1;
    round_trip(s);
}

/* Sums that a router or an earlier version does not have: they are not in the file, and criteria say why. */
static void test_routers(void **state)
{
    (void)state;
    static const struct {
        enum router router;
        uint32_t n_used;
        bool loo, mass;
        const char *why;
    } cases[] = {
        {ROUTER_RENORMALISED, 2, true, false, NULL},
        {ROUTER_RENORMALISED, 1, false, false, "its router chooses one expert alone in some layer"},
        {ROUTER_SOFTMAX, 2, false, true, "a softmax over all experts and does not renormalise"},
        {ROUTER_UNNORMALISED, 2, false, false, "weights each expert by itself"},
        {ROUTER_INPUT, 2, false, false, "multiplies the experts' input"},
        {ROUTER_UNKNOWN, 2, false, false, "an earlier version wrote it"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct stats *s = new_stats();
        struct err e = {0};
        const float gates[4] = {0.5f, 0.25f, 0.125f, 0.125f};
        uint32_t k = cases[i].n_used;
        s->layers[0].n_used = k;
        stats_set_router(s, cases[i].router);
        float loo = cases[i].loo ? 1 : NAN;
        const struct routed r[2] = {{0, 0.5f, 1, 0.5f, 1, loo}, {1, 0.5f, 1, 0.5f, 1, loo}};
        for (uint32_t l = 0; l < 2; l++) {
            add(s, l, EVEN, r, s->layers[l].n_used);
            if (cases[i].mass)
                assert_true(stats_add_gates(s, l, EVEN, 1, gates, &e));
        }
        assert_true(stats_save(s, at("r.json"), true, &e));
        struct stats *t = stats_load(at("r.json"), &e);
        if (!t)
            fail_msg("case %zu: %s", i, e.msg);
        expect_same(s, t);
        assert_int_equal(!(t->unknown & SUM_BIT(SUM_LOO)), cases[i].loo);
        assert_int_equal(!(t->unknown & SUM_BIT(SUM_GATE_MASS)), cases[i].mass);
        assert_int_equal(criterion_check(t, criterion_find("loo"), &e), cases[i].loo);
        if (cases[i].why)
            expect_err(&e, ERR_INPUT, cases[i].why);
        if (cases[i].mass) {
            expect_exact(t->layers[1].half[EVEN][3].gate_mass, 0.125); /* that no token was routed to */
            t->layers[1].half[EVEN][3].gate_mass = 7;
            assert_false(stats_check(t, &e));
            expect_err(&e, ERR_INPUT, "layer 3: 'gate_mass' adds up to");
            const float bad[4] = {0.5f, NAN, 0, 0};
            assert_false(stats_add_gates(s, 1, ODD, 1, bad, &e));
            expect_err(&e, ERR_FAILED, "layer 3: the router gives expert 1");
        }
        stats_free(s);
        stats_free(t);
    }
}

/* Keys of layers are numbers, not letters in order: 10 comes behind 9. */
static void test_order_of_layers(void **state)
{
    (void)state;
    struct stats *s = sample_stats();
    struct err e = {0};
    s->layers[0].il = 10;
    s->layers[1].il = 9;
    assert_true(stats_save(s, at("a.json"), false, &e));
    struct stats *t = stats_load(at("a.json"), &e);
    assert_non_null(t);
    assert_int_equal(t->layers[0].il, 9);
    assert_int_equal(t->layers[1].il, 10);
    assert_false(stats_save(t, at("a.json"), false, &e));
    expect_err(&e, ERR_INPUT, "--force");
    stats_free(t);
    stats_free(s);
}

/* One layer of two experts, top-1, one even token; %s are the places that the cases fill. */
static const char file_form[] =
    "{\"schema\":%s,\"model\":{\"n_experts\":%s},\"layers\":{%s:"
    "{\"total_tokens\":1,\"n_experts_used\":%s,\"count\":[1,0],\"gate_sum\":%s,\"gate_sq_sum\":[1,0],"
    "\"ean_sum\":[2,0],\"ean_sq_sum\":[4,0],\"reap_sum\":[2,0],\"reap_sq_sum\":[4,0],"
    "\"max_activation\":[1,0],\"halves\":{"
    "\"even\":{\"total_tokens\":%s,\"count\":%s,\"gate_sum\":[1,0],\"gate_sq_sum\":[1,0],"
    "\"ean_sum\":[2,0],\"ean_sq_sum\":[4,0],\"reap_sum\":%s,\"reap_sq_sum\":[4,0],\"max_activation\":[1,0]},"
    "\"odd\":{\"total_tokens\":0,\"count\":[0,0],\"gate_sum\":[0,0],\"gate_sq_sum\":[0,0],"
    "\"ean_sum\":[0,0],\"ean_sq_sum\":[0,0],\"reap_sum\":[0,0],\"reap_sq_sum\":[0,0],"
    "\"max_activation\":[0,0]}}}%s}}";

enum place { SCHEMA, EXPERTS, KEY, USED, GATE, TOKENS_EVEN, COUNTS, REAP, BEHIND, N_PLACES };
static const char *const good[N_PLACES] = {
    "\"reap.stats/1\"", "2", "\"7\"", "1", "[1,0]", "1", "[1,0]", "[2,0]", ""};

static void put_form(const char *name, enum place p, const char *text)
{
    const char *v[N_PLACES];
    memcpy(v, good, sizeof v);
    v[p] = text;
    struct buf b = {0};
    buf_fmt(&b, file_form, v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8]);
    put_bytes(name, b.s, b.n);
    buf_clear(&b);
}

static void test_load_refused(void **state)
{
    (void)state;
    static const struct {
        enum place place;
        const char *text, *part;
    } cases[] = {
        {SCHEMA, "\"reap.stats/2\"", "schema is 'reap.stats/2', expected 'reap.stats/1'"},
        {SCHEMA, "1", "'schema' is an integer, expected a string"},
        {EXPERTS, "0", "0 experts in 1 layers: expected 1 to 65536"},
        {EXPERTS, "65537", "65537 experts"},
        {EXPERTS, "-1", "'n_experts' is an integer, expected an integer of 0 or more"},
        {EXPERTS, "2.0", "'n_experts' is a number"},
        {EXPERTS, "3", "'count' has 2 entries, expected 3"},
        {KEY, "\"x\"", "a layer's key must be its number"},
        {KEY, "\"\"", "a layer's key must be its number"},
        {KEY, "\"07\"", "a layer's key must be its number"},
        {KEY, "\"-7\"", "a layer's key must be its number"},
        {KEY, "\"+7\"", "a layer's key must be its number"},
        {KEY, "\" 7\"", "a layer's key must be its number"},
        {KEY, "\"7 \"", "a layer's key must be its number"},
        {KEY, "\"2147483648\"", "a layer's key must be its number"},
        {KEY, "\"99999999999999999999\"", "a layer's key must be its number"},
        {KEY, "\"7\":1,\"7\"", "duplicate"},
        {KEY, "\"8\":1,\"7\"", "layers.8: expected an object"},
        {USED, "0", "'n_experts_used' is 0, expected 1 to 2"},
        {USED, "3", "'n_experts_used' is 3, expected 1 to 2"},
        {USED, "2", "the counts add up to 1, expected 1 tokens x top-2 = 2"},
        {GATE, "[1]", "layers.7: 'gate_sum' has 1 entries, expected 2"},
        {GATE, "[1,\"0\"]", "layers.7: 'gate_sum' entry 1 is a string, expected a finite number"},
        {GATE, "[1.00001,0]", "'gate_sum' of expert 0 is 1.00001, but the halves give 1"},
        {GATE, "[1,1e-300]", "'gate_sum' of expert 1"},
        {GATE, "{}", "layers.7: 'gate_sum' is an object, expected a list"},
        {TOKENS_EVEN, "2", "'total_tokens' is 1, but the halves add up to 2"},
        {TOKENS_EVEN, "null", "layers.7.halves.even: 'total_tokens' is null"},
        {COUNTS, "[2,0]", "'count' of expert 0 is 1, but the halves add up to 2"},
        {COUNTS, "[1.0,0]", "layers.7.halves.even: 'count' entry 0 is not an integer"},
        {COUNTS, "[1,-1]", "layers.7.halves.even: 'count' entry 1 is not an integer of 0 or more"},
        {REAP, "[2,0],\"reap_sum\":[2,0]", "duplicate"},
        {REAP, "[1e999,0]", "line 1, column"},
        {REAP, "[-2,0]", "'reap_sum' of expert 0 is 2, but the halves give -2"},
        {BEHIND, ",\"8\":{}", "layers.8: 'total_tokens' is missing"},
        {BEHIND, "}", "line 1, column"},
    };
    struct err e = {0};
    put_form("good.json", SCHEMA, good[SCHEMA]);
    struct stats *s = stats_load(at("good.json"), &e);
    if (!s)
        fail_msg("%s", e.msg);
    assert_int_equal(s->layers[0].il, 7);
    assert_null(s->calibration);
    round_trip(s);
    put_form("near.json", GATE, "[1.0000001,0]"); /* fewer digits are forgiven, the halves count */
    s = stats_load(at("near.json"), &e);
    assert_non_null(s);
    expect_exact(stats_total(&s->layers[0], 0).gate_sum, 1);
    stats_free(s);

    for (size_t i = 0; i < COUNT(cases); i++) {
        put_form("bad.json", cases[i].place, cases[i].text);
        if (stats_load(at("bad.json"), &e))
            fail_msg("case %zu is accepted: %s", i, cases[i].text);
        if (!strstr(e.msg, "bad.json: "))
            fail_msg("the file is not named: %s", e.msg);
        expect_err(&e, ERR_INPUT, cases[i].part);
    }
    static const char *const whole[][2] = {
        {"", "not valid JSON"},
        {"[]", "expected a JSON object with \"schema\": \"reap.stats/1\""},
        {"{}", "'schema' is missing, expected a string"},
        {"{\"schema\":\"reap.stats/1\"}", "'model' is missing"},
        {"{\"schema\":\"reap.stats/1\",\"model\":{}}", "'layers' is missing"},
        {"{\"schema\":\"reap.stats/1\",\"model\":{\"n_experts\":2},\"layers\":{}}", "2 experts in 0 layers"},
    };
    for (size_t i = 0; i < COUNT(whole); i++) {
        put("bad.json", whole[i][0]);
        assert_null(stats_load(at("bad.json"), &e));
        expect_err(&e, ERR_INPUT, whole[i][1]);
    }
    assert_null(stats_load(at("none.json"), &e));
    expect_err(&e, ERR_INPUT, "none.json");
}

/* Halves that are finite alone but not together: no total is near enough to infinity. */
static void test_load_overflow(void **state)
{
    (void)state;
    struct stats *s = sample_stats();
    struct err e = {0};
    s->layers[0].half[EVEN][1].ean_sq_sum = 1e308;
    assert_true(stats_save(s, at("a.json"), false, &e));
    stats_free(s);
    json_t *o = json_read(at("a.json"), &e), *odd = NULL;
    assert_int_equal(
        json_unpack(o, "{s:{s:{s:{s:{s:o}}}}}", "layers", "1", "halves", "odd", "ean_sq_sum", &odd), 0);
    json_array_set_new(odd, 1, json_real(1e308));
    assert_true(json_write(at("b.json"), o, false, &e));
    json_decref(o);
    s = stats_load(at("b.json"), &e);
    stats_free(s);
    assert_null(s);
    expect_err(&e, ERR_INPUT, "layers.1: 'ean_sq_sum' of expert 1");
}

/* ---- criteria ---- */

static void test_names(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"reap", "reap"},
        {"reap_sum", "reap_sum"},
        {"weighted_ean_sum", "reap_sum"},
        {"ean_mean", "ean_mean"},
        {"ean_sum", "ean_sum"},
        {"frequency", "frequency"},
        {"expert_frequency", "frequency"},
        {"gate_mean", "gate_mean"},
        {"gate_sum", "gate_sum"},
        {"weighted_frequency_sum", "gate_sum"},
        {"weighted_expert_frequency_sum", "gate_sum"},
        {"reap_l2", "reap_l2"},
        {"ean_l2", "ean_l2"},
        {"reap_sq_sum", "reap_sq_sum"},
        {"loo", "loo"},
        {"loo_mean", "loo_mean"},
        {"hope", "hope"},
        {"max_activation", "max_activation"},
        {"max_activations", "max_activation"},
        {"random", "random"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct criterion *c = criterion_find(cases[i][0]);
        if (!c || strcmp(c->name, cases[i][1]) != 0)
            fail_msg("'%s' gives %s", cases[i][0], c ? c->name : "nothing");
    }
    static const char *const bad[] = {"", "REAP", "reap ", " reap", "rea", "reap_mean", "(null)", "ean"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_null(criterion_find(bad[i]));
    uint32_t n = 0;
    for (; criterion_at(n); n++) { /* every one has its own name and says what it is */
        const struct criterion *c = criterion_at(n);
        assert_ptr_equal(criterion_find(c->name), c);
        assert_string_equal(criterion_name_at(n), c->name);
        assert_true(c->what && *c->what && c->formula && *c->formula && c->note);
    }
    assert_int_equal(n, 15);
    assert_null(criterion_name_at(n));
    assert_string_equal(criterion_default()->name, "reap");
}

/* A row per sum: no two of one name or place, and adding up follows the row. */
static void test_sum_rows(void **state)
{
    (void)state;
    for (int k = 0; k < N_SUMS; k++) {
        struct sums x = {.count = 1}, y = {.count = 1};
        *sum_of(&x, (enum sum)k) = 3;
        *sum_of(&y, (enum sum)k) = 2;
        sums_add(&x, &y);
        expect_exact(sum_value(&x, (enum sum)k), sum_infos[k].is_max ? 3 : 5);
        for (int other = 0; other < N_SUMS; other++) {
            expect_exact(sum_value(&y, (enum sum)other), other == k ? 2 : 0);
            assert_true(other == k || strcmp(sum_infos[k].key, sum_infos[other].key) != 0);
        }
    }
}

/* The totals of the sample, by hand:
 *   expert 0: n 2, g .75 + .5,    f 4 + 8,  c 3 + 4,   c^2 9 + 16,   max 7.5, all in the even half
 *   expert 1: n 2, g .25 + .875,  f 8 + 16, c 2 + 14,  c^2 4 + 196,  max 9
 *   expert 2: n 2, g .5 + .125,   f 2 + 4,  c 1 + 0.5, c^2 1 + 0.25, max 3
 *   expert 3: nothing
 * and of what the layer loses: 2 + 4, 1 + 16, .5 + .25; squares 4 + 16, 1 + 256, .25 + .0625 */
static void test_scores(void **state)
{
    (void)state;
    struct stats *s = sample_stats();
    const struct {
        const struct criterion *c;
        int which;
        double want[4];
    } cases[] = {
        {criterion_find("reap"), -1, {3.5, 8, 0.75, 0}},
        {criterion_find("reap_sum"), -1, {7, 16, 1.5, 0}},
        {criterion_find("ean_mean"), -1, {6, 12, 3, 0}},
        {criterion_find("ean_sum"), -1, {12, 24, 6, 0}},
        {criterion_find("frequency"), -1, {2, 2, 2, 0}},
        {criterion_find("gate_mean"), -1, {0.625, 0.5625, 0.3125, 0}},
        {criterion_find("gate_sum"), -1, {1.25, 1.125, 0.625, 0}},
        {criterion_find("reap_l2"), -1, {sqrt(12.5), 10, sqrt(0.625), 0}},
        {criterion_find("ean_l2"), -1, {sqrt(40), sqrt(160), sqrt(10), 0}},
        {criterion_find("max_activation"), -1, {7.5, 9, 3, 0}},
        {criterion_find("reap_sq_sum"), -1, {25, 200, 1.25, 0}},
        {criterion_find("loo"), -1, {20, 257, 0.3125, 0}},
        {criterion_find("loo_mean"), -1, {3, 8.5, 0.375, 0}},
        {criterion_find("loo"), ODD, {0, 256, 0.0625, 0}},
        {criterion_find("reap"), EVEN, {3.5, 2, 1, 0}},
        {criterion_find("reap"), ODD, {0, 14, 0.5, 0}},
        {criterion_find("frequency"), EVEN, {2, 1, 1, 0}},
        {criterion_find("frequency"), ODD, {0, 1, 1, 0}},
        {criterion_find("max_activation"), EVEN, {7.5, 6, 1, 0}},
        {criterion_find("reap_l2"), ODD, {0, 14, 0.5, 0}},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        for (uint32_t layer = 0; layer < 2; layer++) {
            double score[4];
            struct err e = {0};
            assert_true(criterion_scores(s, layer, cases[i].c, 42, cases[i].which, score, &e));
            for (int j = 0; j < 4; j++)
                if (memcmp(&score[j], &cases[i].want[j], sizeof(double)) != 0)
                    fail_msg("%s of expert %d (%d): %.17g expected, got %.17g", cases[i].c->name, j,
                             cases[i].which, cases[i].want[j], score[j]);
        }
    stats_free(s);
}

/* The engine reports the largest |component|, so an output with -100 in it counts 100 and beats 1, in
 * whatever order they come, and a later small one takes nothing away. */
static void test_max_activation(void **state)
{
    (void)state;
    static const float f[2][3] = {{-100, 2, 3}, {1, 0.5f, -0.25f}};
    struct stats *s = new_stats();
    double score[4];
    struct err e = {0};
    for (uint32_t t = 0; t < 3; t++) {
        const struct routed r[2] = {{3, 1, 1, 1, fabsf(f[0][t]), 1}, {0, 1, 1, 1, fabsf(f[1][t]), 1}};
        add(s, 0, t == 1 ? ODD : EVEN, r, 2);
    }
    assert_true(criterion_scores(s, 0, criterion_find("max_activation"), 0, -1, score, &e));
    expect_exact(score[3], 100);
    expect_exact(score[0], 1);
    stats_free(s);
}

static void test_not_finite(void **state)
{
    (void)state;
    struct stats *s = sample_stats();
    double score[4];
    struct err e = {0};
    s->layers[1].half[ODD][2].reap_sum = NAN;
    assert_true(criterion_scores(s, 1, criterion_find("ean_sum"), 0, -1, score, &e));
    assert_true(criterion_scores(s, 1, criterion_find("reap"), 0, EVEN, score, &e));
    assert_false(criterion_scores(s, 1, criterion_find("reap"), 0, -1, score, &e));
    expect_err(&e, ERR_INPUT, "layer 3, expert 2: reap is not finite");
    s->layers[0].half[EVEN][1].ean_sum = s->layers[0].half[ODD][1].ean_sum = 1e308;
    assert_false(criterion_scores(s, 0, criterion_find("ean_sum"), 0, -1, score, &e));
    expect_err(&e, ERR_INPUT, "layer 1, expert 1: ean_sum is not finite");
    stats_free(s);
}

static void test_random(void **state)
{
    (void)state;
    enum { E = 64 };
    struct stats *s = stats_new(2, E), *alone = stats_new(1, E);
    double a[E], b[E];
    struct err e = {0};
    s->layers[0].il = 0;
    s->layers[1].il = alone->layers[0].il = 5;
    assert_true(criterion_scores(s, 1, criterion_find("random"), 7, -1, a, &e));
    for (int j = 0; j < E; j++)
        assert_true(a[j] >= 0 && a[j] < 1);
    assert_true(criterion_scores(s, 1, criterion_find("random"), 7, -1, b, &e));
    assert_memory_equal(a, b, sizeof a);
    assert_true(criterion_scores(alone, 0, criterion_find("random"), 7, -1, b,
                                 &e)); /* by block, whatever else there is */
    assert_memory_equal(a, b, sizeof a);
    assert_true(criterion_scores(s, 0, criterion_find("random"), 7, -1, b, &e));
    assert_memory_not_equal(a, b, sizeof a);
    assert_true(criterion_scores(s, 1, criterion_find("random"), 8, -1, b, &e));
    assert_memory_not_equal(a, b, sizeof a);

    /* Over many layers and seeds each expert is in the better half about as often as any other. */
    uint32_t rank[E], hits[E] = {0};
    for (uint64_t seed = 0; seed < 500; seed++)
        for (uint32_t i = 0; i < 2; i++) {
            assert_true(criterion_scores(s, i, criterion_find("random"), seed, -1, a, &e));
            criterion_rank(a, E, rank);
            for (int k = 0; k < E / 2; k++)
                hits[rank[k]]++;
        }
    for (int j = 0; j < E; j++)
        assert_in_range(hits[j], 420, 580); /* 500 +- 5 standard deviations */
    stats_free(s);
    stats_free(alone);
}

static void test_rank(void **state)
{
    (void)state;
    static const struct {
        double score[6];
        uint32_t want[6];
    } cases[] = {
        {{1, 2, 3, 4, 5, 6}, {5, 4, 3, 2, 1, 0}},
        {{2, 2, 2, 2, 2, 2}, {0, 1, 2, 3, 4, 5}},
        {{0, 3, 1, 3, 0, 1}, {1, 3, 2, 5, 0, 4}},
        {{-1, 0, 1e-300, -0.0, 1e300, -1e300}, {4, 2, 1, 3, 0, 5}}, /* the two zeros are a tie */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint32_t ids[6];
        criterion_rank(cases[i].score, 6, ids);
        assert_memory_equal(ids, cases[i].want, sizeof ids);
    }
    uint32_t one = 9;
    criterion_rank(cases[0].score, 1, &one);
    assert_int_equal(one, 0);
}

/* ---- summaries ---- */

static void test_summary_share(void **state)
{
    (void)state;
    static const double score[8] = {1, 0, 4, 2, 0, 8, 1, 0}; /* total 16; best 8, 4, 2, 1, 1, 0, 0, 0 */
    static const double want[9] = {0, 0.5, 0.75, 0.875, 0.9375, 1, 1, 1, 1};
    static const double none[4];
    for (uint32_t n = 0; n <= 8; n++)
        expect_exact(summary_share(score, 8, 1, n), want[n]);
    for (uint32_t n = 0; n <= 4; n++)
        expect_exact(summary_share(none, 4, 1, n), 1); /* nothing can be lost */
}

static void test_summary_agreement(void **state)
{
    (void)state;
    static const double even[6] = {6, 5, 4, 3, 2, 1}; /* 0 1 2 3 4 5 */
    static const double odd[6] = {5, 1, 6, 2, 4, 3};  /* 2 0 4 5 3 1 */
    static const double want[7] = {1, 0, 0.5, 2.0 / 3, 0.5, 0.8, 1};
    static const double tied[6];
    for (uint32_t n = 0; n <= 6; n++) {
        expect_exact(summary_agreement(even, odd, 6, 1, n), want[n]);
        expect_exact(summary_agreement(odd, even, 6, 1, n), want[n]);
        expect_exact(summary_agreement(even, even, 6, 1, n), 1);
        expect_exact(summary_agreement(even, tied, 6, 1, n), 1); /* ties go to the lower id on both sides */
    }
}

/* What a choice by one score keeps of another one. */
static void test_summary_held(void **state)
{
    (void)state;
    static const double a[6] = {6, 5, 4, 3, 2, 1}; /* 0 1 2 3 4 5 */
    static const double b[6] = {8, 1, 4, 2, 4, 1}; /* 0 2 4 3 1 5 */
    static const double none[6];
    static const double want[7] = {1, 1, 9. / 12, 13. / 16, 15. / 18, 1, 1};
    for (uint32_t n = 0; n <= 6; n++) {
        expect_exact(summary_held(a, b, 6, 1, n), want[n]);
        expect_exact(summary_held(a, a, 6, 1, n), 1);
        expect_exact(summary_held(a, none, 6, 1, n), 1);
    }
    expect_exact(summary_held(none, b, 6, 2, 2),
                 10. / 12); /* of a tie the lower ids: 0 and 3; the best are 0 and 4 */
}

/* Halves that keep other experts of the same score agree by the score, and by it alone. */
static void test_summary_halves(void **state)
{
    (void)state;
    struct stats *s = stats_new(2, 4);
    struct halves h;
    struct err e = {0};
    struct buf b = {0};
    static const double reap[2][2][4] = {{{8, 4, 4, 1}, {8, 2, 4, 1}},  /* at 2: 0 1 and 0 2 */
                                         {{8, 4, 2, 1}, {1, 2, 4, 8}}}; /* 0 1 and 3 2 */
    for (uint32_t i = 0; i < 2; i++) {
        s->layers[i].n_used = 1;
        for (int x = 0; x < 2; x++) {
            s->layers[i].tokens[x] = 4;
            for (uint32_t j = 0; j < 4; j++) {
                s->layers[i].half[x][j].count = 1;
                s->layers[i].half[x][j].reap_sum = reap[i][x][j];
            }
        }
    }
    const struct criterion *c = criterion_find("reap");
    assert_true(summary_halves_of(s, 0, c, 2, &h, &e));
    expect_exact(h.same, 0.5);
    expect_exact(h.kept, (10. / 12 + 1) / 2); /* 8 + 2 of 12 that it could keep, and 8 + 4 of 12 */
    assert_true(summary_halves_of(s, 1, c, 2, &h, &e));
    expect_exact(h.same, 0);
    expect_exact(h.kept, 0.25); /* 3 of 12, both ways */
    assert_true(summary_halves(s, c, 2, &h, &e));
    expect_exact(h.same, 0.25);
    expect_exact(h.kept, ((10. / 12 + 1) / 2 + 0.25) / 2);
    assert_true(summary_halves_text(&h, &b));
    assert_string_equal(b.s, "same choice from each half: 25.0 % of the experts, 58.3 % of the score");
    buf_clear(&b);
    s->layers[1].tokens[ODD] = 0;
    assert_true(summary_halves(s, c, 2, &h, &e));
    assert_true(isnan(h.same) && isnan(h.kept));
    assert_false(summary_halves_text(&h, &b));
    s->unknown = SUM_BIT(SUM_REAP);
    assert_false(summary_halves(s, c, 2, &h, &e));
    stats_free(s);
}

/* With groups of four of which two stay: the second group keeps its own best. */
static void test_summary_groups(void **state)
{
    (void)state;
    static const double a[8] = {8, 7, 6, 5, 4, 0, 3, 3}, b[8] = {8, 1, 6, 5, 1, 2, 3, 3};
    expect_exact(summary_share(a, 8, 1, 4), 26.0 / 36);
    expect_exact(summary_share(a, 8, 2, 4), 22.0 / 36);   /* 8 7 | 4 3 */
    expect_exact(summary_agreement(a, b, 8, 1, 4), 0.75); /* 0 1 2 3, 0 2 3 6 */
    expect_exact(summary_agreement(a, b, 8, 2, 4), 0.5);  /* 0 1 4 6, 0 2 6 7 */
    expect_exact(summary_gap(a, 8, 1, 4), 0.2);           /* 5 stays, 4 goes */
    expect_exact(summary_gap(a, 8, 2, 4), 0);             /* 7 and 6, but 3 and 3 */
    expect_exact(summary_gap(a, 8, 1, 1), 0.125);
    expect_exact(summary_gap(a, 8, 1, 7), 1); /* above nothing */
    assert_true(isnan(summary_gap(a, 8, 1, 8)));
}

static void test_summary_gini(void **state)
{
    (void)state;
    static const double equal[4] = {3, 3, 3, 3}, one[4] = {0, 7, 0, 0}, some[4] = {1, 3, 2, 2}, none[4];
    expect_exact(summary_gini(equal, 4), 0);
    expect_exact(summary_gini(one, 4), 0.75);
    expect_exact(summary_gini(some, 4), 6.0 / 32); /* -3*1 - 1*2 + 1*2 + 3*3, over 4 * 8 */
    assert_true(isnan(summary_gini(none, 4)));
}

static void test_rank_correlation(void **state)
{
    (void)state;
    static const double a[4] = {1, 2, 3, 4}, up[4] = {10, 20, 30, 1e9}, down[4] = {4, 3, 2, 1};
    static const double one[4] = {1, 3, 2, 4}, tied[4] = {5, 5, 6, 7}, same[4] = {1, 1, 1, 1};
    expect_exact(summary_rank_correlation(a, up, 4), 1);
    expect_exact(summary_rank_correlation(a, down, 4), -1);
    expect_exact(summary_rank_correlation(a, one, 4), 0.8); /* 1 - 6 * 2 / (4 * 15) */
    /* ranks .5 .5 2 3 against 0 1 2 3: 4.5 / sqrt(5 * 4.5) */
    expect_exact(summary_rank_correlation(a, tied, 4), 4.5 / sqrt(22.5));
    assert_true(isnan(summary_rank_correlation(a, same, 4)));
    expect_exact(summary_tokens_for(0.75, 1000, 0.875),
                 4000); /* half the disagreement: four times the text */
    expect_exact(summary_tokens_for(1, 1000, 0.875), 0);
}

static void test_summary_low(void **state)
{
    (void)state;
    struct stats *s = sample_stats(); /* reap: even 3.5 2 1 0, odd 0 14 0.5 0 */
    uint8_t in[4];
    uint32_t n = 9;
    struct err e = {0};
    assert_true(summary_low(s, 0, criterion_find("reap"), in, &n,
                            &e)); /* both halves: 3 is last (of a tie the higher id) */
    assert_int_equal(n, 1);
    assert_memory_equal(in, ((uint8_t[]){0, 0, 0, 1}), 4);
    stats_free(s);
}

static void test_summary_super(void **state)
{
    (void)state;
    /* 2 layers of 201 experts: 402 values, P99.5 lies at 0.995 * 401 = 398.995, between the fourth and the
     * third largest. */
    struct stats *s = stats_new(2, 201);
    uint8_t *in = calloc(402, 1);
    uint32_t n;
    double limit;
    struct err e = {0};
    assert_non_null(in);
    for (uint32_t i = 0; i < 2; i++)
        for (uint32_t j = 0; j < 201; j++) {
            s->layers[i].half[EVEN][j].count = 1;
            s->layers[i].half[EVEN][j].max_activation = 1;
        }
    s->layers[0].half[EVEN][7].max_activation = 100;
    s->layers[1].half[ODD][0].max_activation = 50;
    s->layers[1].half[EVEN][200].max_activation = 11;
    s->layers[1].half[EVEN][100].max_activation = 3;
    assert_true(summary_super(s, in, &n, &limit, &e));
    assert_true(fabs(limit - (3 + 0.995 * 8)) < 1e-9); /* above 100 / 10 */
    assert_int_equal(n, 3);
    assert_true(in[7] && in[201] && in[201 + 200] && !in[201 + 100]);
    s->layers[1].half[EVEN][200].max_activation = 9; /* the percentile falls below a tenth of the largest */
    assert_true(summary_super(s, in, &n, &limit, &e));
    expect_exact(limit, 10);
    assert_int_equal(n, 2);
    free(in);
    stats_free(s);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, tempdir_setup, tempdir_teardown)
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_total),
        cmocka_unit_test(test_add_many),
        cmocka_unit_test(test_add_refused),
        cmocka_unit_test(test_check),
        T(test_round_trip),
        T(test_routers),
        T(test_order_of_layers),
        T(test_load_refused),
        T(test_load_overflow),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_sum_rows),
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_max_activation),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_rank),
        cmocka_unit_test(test_summary_share),
        cmocka_unit_test(test_summary_agreement),
        cmocka_unit_test(test_summary_held),
        cmocka_unit_test(test_summary_halves),
        cmocka_unit_test(test_summary_groups),
        cmocka_unit_test(test_summary_gini),
        cmocka_unit_test(test_rank_correlation),
        cmocka_unit_test(test_summary_low),
        cmocka_unit_test(test_summary_super),
    };
    return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
