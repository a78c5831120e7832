/* test_pairs.c - src/stats/pairs.c and removal.c: sums over pairs of experts, their file, which is a stranger's until
 * it is checked, and the sets that they choose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "stats/criteria.h"
#include "stats/merge.h"
#include "stats/pairs.h"
#include "stats/removal.h"
#include "stats/summary.h"
#include "tempdir.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void expect_err(struct err *e, const char *part)
{
    if (e->code != ERR_INPUT || !strstr(e->msg, part))
        fail_msg("'%s' expected, got %d: %s", part, e->code, e->msg);
    err_clear(e);
}

/* One layer of 4 experts, top-3. Two even tokens, one odd. */
static struct stats *sample(void)
{
    static const struct routed tokens[3][3] = {
        {{2, 1, 2, 2, 1, 1}, {0, 1, 4, 4, 1, 1}, {1, 1, 8, 8, 1, 1}},
        {{0, 1, 1, 1, 1, 1}, {2, 1, 16, 16, 1, 1}, {3, 1, 2, 2, 1, 1}},
        {{3, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1}, {2, 1, 1, 1, 1, 1}},
    };
    struct stats *s = stats_new(1, 4);
    struct err e = {0};
    s->layers[0].il = 5;
    s->layers[0].n_used = 3;
    s->model = json_pack("{s:s, s:i}", "architecture", "test", "n_experts", 4);
    s->calibration = json_pack("{s:i}", "n_tokens", 3);
    stats_set_router(s, ROUTER_RENORMALISED);
    stats_keep_pairs(s);
    for (int t = 0; t < 3; t++)
        assert_true(stats_add(s, 0, t < 2 ? EVEN : ODD, tokens[t], 3, &e));
    return s;
}

static struct stats *load(const char *path)
{
    struct err e = {0};
    struct stats *s = stats_load(path, &e);
    if (!s)
        fail_msg("%s", e.msg);
    return s;
}

static void save(const struct stats *s, const char *name)
{
    struct err e = {0};
    if (!stats_save(s, at(name), true, &e))
        fail_msg("%s", e.msg);
}

/* In the order 01 02 03 12 13 23. */
static void test_sums(void **state)
{
    (void)state;
    static const uint64_t even[6] = {1, 2, 1, 1, 0, 1}, odd[6] = {0, 0, 0, 1, 1, 1};
    static const double even_sum[6] = {32, 8 + 16, 2, 16, 0, 32}, odd_sum[6] = {0, 0, 0, 1, 1, 1};
    struct stats *s = sample();
    save(s, "s.json");
    struct stats *t = load(at("s.json"));
    struct err e = {0};
    bool there = false;
    assert_true(stats_has_pairs(t) && stats_pairs_there(t, &there, &e) && there);
    assert_null(pairs_of(t, 0, EVEN)); /* not yet read */
    assert_true(stats_need_pairs(t, &e));
    const struct stats *const both[] = {s, t};
    for (int k = 0; k < 2; k++) {
        const struct pair_sums *x = pairs_of(both[k], 0, EVEN), *y = pairs_of(both[k], 0, ODD);
        assert_memory_equal(x->count, even, sizeof even);
        assert_memory_equal(y->count, odd, sizeof odd);
        assert_memory_equal(x->sum, even_sum, sizeof even_sum);
        assert_memory_equal(y->sum, odd_sum, sizeof odd_sum);
    }
    stats_drop_pairs(t);
    assert_null(pairs_of(t, 0, EVEN));
    assert_true(stats_need_pairs(t, &e));
    stats_free(s);
    stats_free(t);
}

/* ---- a file that is not what it should be ---- */

/* The file with 8 bytes at `word` exchanged; the stats file says the hash that it then has. */
static void put_word(size_t word, uint64_t v, const struct buf *json, const struct buf *pairs)
{
    struct err e = {0};
    char hex[65], old[65];
    char *p = malloc(pairs->n), *j = strdup(json->s);
    memcpy(p, pairs->s, pairs->n);
    memcpy(p + 8 * word, &v, 8);
    sha256_bytes(pairs->s, pairs->n, old);
    sha256_bytes(p, pairs->n, hex);
    char *in = strstr(j, old);
    assert_non_null(in);
    memcpy(in, hex, 64);
    assert_true(file_write_atomic(at("b.json"), j, json->n, true, &e));
    assert_true(file_write_atomic(at("b.json" PAIRS_SUFFIX), p, pairs->n, true, &e));
    free(p);
    free(j);
}

static uint64_t bits(double v)
{
    uint64_t u;
    memcpy(&u, &v, 8);
    return u;
}

static void refused(const char *part)
{
    struct err e = {0};
    struct stats *s = load(at("b.json")); /* which is as good as ever without them */
    double score[4];
    assert_true(criterion_scores(s, 0, criterion_find("reap"), 0, -1, score, &e));
    assert_false(stats_need_pairs(s, &e));
    assert_null(pairs_of(s, 0, EVEN));
    assert_non_null(strstr(e.msg, "b.json" PAIRS_SUFFIX));
    expect_err(&e, part);
    assert_false(criterion_check(s, criterion_find("hope"), &e));
    expect_err(&e, part);
    stats_free(s);
}

/* Words: 0 magic, 1 version, 2 experts, 3 layers, 4 number, 5 top-k, 6 and 7 tokens, 8 to 13 counts, 14 to 19 sums of
 * the even samples, 20 to 31 of the odd ones. */
static void test_refused(void **state)
{
    (void)state;
    const struct {
        size_t word;
        uint64_t v;
        const char *part;
    } cases[] = {
        {0, 1, "does not begin with reappair"},
        {1, 2, "its version is 2, expected 1"},
        {2, 5, "it has 5 experts, the stats file 4"},
        {3, 2, "it has 2 layers, the stats file 1"},
        {4, 6, "layer 5: its number, top-k or tokens"},
        {5, 2, "layer 5: its number, top-k or tokens"},
        {7, 2, "layer 5: its number, top-k or tokens"},
        {8, 2, "experts 0 and 1: more tokens together than alone"},
        {8, 0, "experts 0 and 1: the sum is not a finite number of 0 or more, or is of no token"},
        {9, 1, "expert 0: the pairs hold 3 others for 2 tokens"},
        {14, bits(NAN), "experts 0 and 1: the sum is not a finite number"},
        {14, bits(-1), "experts 0 and 1: the sum is not a finite number"},
        {14, bits(INFINITY), "experts 0 and 1: the sum is not a finite number"},
        {18, bits(1), "experts 1 and 3: the sum is not a finite number"},
        {14, bits(1000), "experts 0 and 1: the sum is larger than the sums of squares allow"},
        {31, bits(7), "experts 2 and 3: the sum is larger"},
    };
    struct stats *s = sample();
    struct buf json = {0}, pairs = {0};
    struct err e = {0};
    save(s, "s.json");
    assert_true(file_read_all(at("s.json"), 1 << 20, &json, &e));
    assert_true(file_read_all(at("s.json" PAIRS_SUFFIX), 1 << 20, &pairs, &e));
    assert_int_equal(pairs.n, 32 * 8);
    put_word(14, bits(31), &json, &pairs); /* a number that may be */
    struct stats *t = load(at("b.json"));
    assert_true(stats_need_pairs(t, &e));
    stats_free(t);
    for (size_t i = 0; i < COUNT(cases); i++) {
        put_word(cases[i].word, cases[i].v, &json, &pairs);
        refused(cases[i].part);
    }
    put_word(14, bits(31), &json, &pairs); /* another's: whole, but not the one that is named */
    assert_true(file_write_atomic(at("b.json"), json.s, json.n, true, &e));
    refused("it belongs to another");
    assert_true(file_write_atomic(at("b.json" PAIRS_SUFFIX), pairs.s, pairs.n - 1, true, &e));
    refused("has 255 bytes, sums over the pairs of this stats file take 256");
    assert_true(file_write_atomic(at("b.json" PAIRS_SUFFIX), "", 0, true, &e));
    refused("has 0 bytes");
    assert_int_equal(unlink(at("b.json" PAIRS_SUFFIX)), 0);
    refused("is not there");
    char *in = strstr(json.s, "\"sha256\": \"");
    assert_non_null(in);
    in[11] = 'X';
    assert_true(file_write_atomic(at("b.json"), json.s, json.n, true, &e));
    assert_null(stats_load(at("b.json"), &e));
    expect_err(&e, "'sha256' is not 64 hexadecimal digits");
    buf_clear(&json);
    buf_clear(&pairs);
    stats_free(s);
}

/* Both files, or none. */
static void test_both(void **state)
{
    (void)state;
    struct stats *s = sample();
    struct err e = {0};
    assert_true(file_write_atomic(at("a.json" PAIRS_SUFFIX), "x", 1, false, &e));
    assert_false(stats_save(s, at("a.json"), false, &e));
    expect_err(&e, "a.json" PAIRS_SUFFIX);
    assert_false(file_exists(at("a.json")));
    assert_false(stats_check_output(at("a.json"), true, false, &e));
    expect_err(&e, "--force");
    assert_true(stats_check_output(at("a.json"), false, false, &e));
    assert_true(stats_save(s, at("a.json"), true, &e));
    stats_free(load(at("a.json")));
    stats_free(s);
}

/* ---- merging ---- */

static void test_merge(void **state)
{
    (void)state;
    struct err e = {0};
    struct stats *s = sample();
    save(s, "a.json");
    json_object_set_new(s->calibration, "seed", json_integer(7)); /* another run */
    save(s, "b.json");
    stats_free(s);
    const char *path[2] = {strdup(at("a.json")), strdup(at("b.json"))};
    struct stats *in[2] = {load(path[0]), load(path[1])};
    struct stats *sum = stats_merge(in, path, 2, false, &e);
    assert_non_null(sum);
    const struct pair_sums *even = pairs_of(sum, 0, EVEN);
    assert_int_equal(even->count[1], 4);
    assert_true(even->sum[1] == 48 && pairs_of(sum, 0, ODD)->sum[5] == 2);
    assert_null(pairs_of(in[0], 0, EVEN)); /* they may be large: out of memory again */
    stats_free(sum);
    assert_int_equal(unlink(at("b.json" PAIRS_SUFFIX)), 0); /* lost: the rest is added up */
    log_quiet = true;
    sum = stats_merge(in, path, 2, false, &e);
    assert_non_null(sum);
    assert_false(stats_has_pairs(sum));
    assert_int_equal(stats_tokens(&sum->layers[0]), 6);
    stats_free(sum);
    assert_true(file_write_atomic(at("b.json" PAIRS_SUFFIX), "x", 1, true, &e)); /* broken: it is not */
    assert_null(stats_merge(in, path, 2, false, &e));
    expect_err(&e, "has 1 bytes");
    for (int i = 0; i < 2; i++) {
        stats_free(in[i]);
        free((void *)(uintptr_t)path[i]);
    }
}

/* ---- sets ---- */

/* Expert 0 and 1 are small, but always together; 2 and 3 are larger and never. */
static const double together[16] = {
    4, 4, 0, 0, /* */
    4, 4, 0, 0, /* */
    0, 0, 5, 0, /* */
    0, 0, 0, 6, /* */
};

static void test_set(void **state)
{
    (void)state;
    uint8_t in[4];
    removal_choose(together, 4, 1, 2, NULL, in); /* {1, 2}: 9; {0, 1}, by size: 16 */
    assert_memory_equal(in, ((uint8_t[]){1, 0, 0, 1}), 4);
    assert_true(removal_cost(together, 4, in) == 9);
    removal_choose(together, 4, 2, 2, NULL, in); /* one of each group */
    assert_memory_equal(in, ((uint8_t[]){1, 0, 0, 1}), 4);
    removal_choose(together, 4, 1, 2, (const uint8_t[]){0, 1, 1, 0}, in);
    assert_memory_equal(in, ((uint8_t[]){0, 1, 1, 0}), 4);
    removal_choose(together, 4, 1, 4, NULL, in);
    assert_memory_equal(in, ((uint8_t[]){1, 1, 1, 1}), 4);
    assert_true(removal_cost(together, 4, in) == 0);
    static const double zero[16] = {0};
    removal_choose(zero, 4, 1, 2, NULL, in); /* a tie: the lower ids stay */
    assert_memory_equal(in, ((uint8_t[]){1, 1, 0, 0}), 4);
}

/* Against all sets, on random layers; exchanges find what the greedy choice misses. */
static void test_best(void **state)
{
    (void)state;
    struct rng r = {11};
    uint32_t best = 0, n = 8;
    double worst = 1;
    for (int layer = 0; layer < 200; layer++) {
        double f[64], v[8][4], least = INFINITY;
        uint8_t in[8], all[8];
        for (uint32_t i = 0; i < 8 * 4; i++)
            v[i / 4][i % 4] = rng_below(&r, 3) ? 0 : (double)rng_below(&r, 100);
        for (uint32_t i = 0; i < n; i++)
            for (uint32_t j = 0; j < n; j++) {
                f[i * n + j] = i == j ? (double)rng_below(&r, 50) : 0;
                for (int k = 0; k < 4; k++)
                    f[i * n + j] += v[i][k] * v[j][k];
            }
        removal_choose(f, n, 1, 4, NULL, in);
        for (uint32_t m = 0; m < 256; m++) {
            if (__builtin_popcount(m) != 4)
                continue;
            for (uint32_t i = 0; i < n; i++)
                all[i] = m >> i & 1;
            double c = removal_cost(f, n, all);
            least = c < least ? c : least;
        }
        double have = removal_cost(f, n, in);
        assert_true(have >= least * (1 - 1e-12));
        best += have <= least * (1 + 1e-12);
        worst = least / have < worst ? least / have : worst;
    }
    if (best < 190 || worst < 0.8)
        fail_msg("the best set in %u of 200, at worst %.3f of it", best, worst);
}

/* The criterion over a file: F of the sample by hand is
 *   0: 17  32  24   2
 *   1: 32  65  17   1
 *   2: 24  17 261  33
 *   3:  2   1  33   5 */
static void test_criterion(void **state)
{
    (void)state;
    struct stats *s = sample();
    const struct criterion *c = criterion_find("hope");
    struct err e = {0};
    struct merit w, even;
    uint8_t in[4];
    double score[4];
    assert_false(criterion_has_scores(c));
    assert_true(criterion_check(s, c, &e) && criterion_can(s, c));
    assert_true(merit_of(&w, s, 0, c, 0, -1, &e));
    assert_memory_equal(w.cost, ((double[]){17, 32, 24, 2, 32, 65, 17, 1, 24, 17, 261, 33, 2, 1, 33, 5}),
                        16 * sizeof(double));
    merit_choose(&w, 1, 2, NULL, in); /* 0 and 3 cost 26 together, 1 and 3 72 */
    assert_memory_equal(in, ((uint8_t[]){0, 1, 1, 0}), 4);
    assert_true(merit_total(&w) == 566 && merit_kept(&w, in) == 540);
    assert_true(merit_of(&even, s, 0, c, 0, EVEN, &e));
    assert_true(even.cost[0] == 17 && even.cost[3] == 2 && even.cost[6] == 16 && even.cost[7] == 0);
    merit_clear(&even);
    merit_clear(&w);
    struct halves h;
    assert_true(summary_halves(s, c, 3, &h, &e));
    assert_true(h.same > 0 && h.same <= 1 && h.kept > 0 && h.kept <= 1);
    assert_false(criterion_scores(s, 0, c, 0, -1, score, &e));
    expect_err(&e, "the criterion hope chooses a set");
    stats_free(s);
    s = stats_new(1, 4);
    assert_false(criterion_check(s, c, &e) || criterion_can(s, c));
    expect_err(&e, "profile --pairs on keeps them");
    s->import = json_pack("{s:s}", "format", "another");
    assert_false(criterion_check(s, c, &e));
    expect_err(&e, "imported from another");
    stats_free(s);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, tempdir_setup, tempdir_teardown)
    const struct CMUnitTest tests[] = {
        T(test_sums),
        T(test_refused),
        T(test_both),
        T(test_merge),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_best),
        cmocka_unit_test(test_criterion),
    };
    return cmocka_run_group_tests_name("pairs of experts", tests, NULL, NULL);
}
