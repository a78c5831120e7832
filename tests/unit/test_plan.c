/* test_plan.c - which experts stay and how many (src/plan, shape_* of src/model/view.c), and the plan
 * file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/rng.h"
#include "plan/make.h"
#include "tempdir.h"

#include <math.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void expect_err(struct err *e, enum err_code code, const char *part)
{
    if (e->code != code || !strstr(e->msg, part))
        fail_msg("code %d with '%s' expected, got %d: %s", code, part, e->code, e->msg);
    err_clear(e);
}

/* ---- which ---- */

/* Who stays, ascending, as a plan holds them. */
static void choose(const double *score, const struct shape *s, uint32_t n_keep, uint32_t *keep)
{
    uint8_t in[64] = {0};
    uint32_t n = 0;
    criterion_choose(score, s->n_experts, s->n_groups, n_keep, in);
    for (uint32_t j = 0; j < s->n_experts; j++)
        if (in[j])
            keep[n++] = j;
    assert_int_equal(n, n_keep);
}

static void test_choose(void **state)
{
    (void)state;
    static const struct {
        double score[8];
        struct shape s; /* experts, top-k, groups, groups used */
        uint32_t n_keep, want[8];
    } cases[] = {
        {{1, 8, 2, 7, 3, 6, 4, 5}, {8, 2, 1, 1}, 3, {1, 3, 5}}, /* ascending ids, not by score */
        {{1, 8, 2, 7, 3, 6, 4, 5}, {8, 2, 1, 1}, 1, {1}},
        {{1, 8, 2, 7, 3, 6, 4, 5}, {8, 2, 1, 1}, 8, {0, 1, 2, 3, 4, 5, 6, 7}},
        {{5, 5, 5, 5, 5, 5, 5, 5}, {8, 2, 1, 1}, 3, {0, 1, 2}},    /* all the same: the lower ids */
        {{0, 5, 9, 5, 5, 0, 9, 5}, {8, 2, 1, 1}, 4, {1, 2, 3, 6}}, /* 9, 9, then two of the four fives */
        {{0, 0, 0, 1, 0, 0, 0, 0}, {8, 2, 1, 1}, 2, {0, 3}},
        /* two groups: the second one keeps its best two although all of the first are better */
        {{10, 20, 30, 40, 4, 3, 2, 1}, {8, 2, 2, 1}, 4, {2, 3, 4, 5}},
        {{10, 20, 30, 40, 4, 3, 2, 1}, {8, 2, 1, 1}, 4, {0, 1, 2, 3}},
        {{1, 1, 1, 1, 2, 2, 2, 2}, {8, 2, 2, 2}, 4, {0, 1, 4, 5}}, /* ties inside of a group */
        {{1, 2, 3, 4, 5, 6, 7, 8}, {8, 2, 4, 2}, 4, {1, 3, 5, 7}},
        {{2, 1, 4, 3, 5, 5, 7, 8}, {8, 2, 4, 2}, 4, {0, 2, 4, 7}},
        {{2, 1, 4, 3, 5, 5, 7, 8}, {8, 2, 4, 2}, 8, {0, 1, 2, 3, 4, 5, 6, 7}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint32_t keep[8] = {0};
        choose(cases[i].score, &cases[i].s, cases[i].n_keep, keep);
        if (memcmp(keep, cases[i].want, sizeof keep) != 0)
            fail_msg("case %zu: %u %u %u %u ...", i, keep[0], keep[1], keep[2], keep[3]);
    }
}

/* Random scores with many ties: ascending ids, equal numbers per group, nobody outside beats anybody inside
 * of the same group, and less kept is part of more kept. */
static void test_choose_properties(void **state)
{
    (void)state;
    enum { MAX = 64 };
    static const uint32_t groups[] = {1, 2, 4, 8};
    struct rng r = {99};
    for (int round = 0; round < 500; round++) {
        uint32_t g = groups[rng_below(&r, 4)], size = 2 + (uint32_t)rng_below(&r, 7), n = g * size;
        uint32_t each = 1 + (uint32_t)rng_below(&r, size);
        struct shape s = {n, 2, g, g};
        double score[MAX];
        uint32_t keep[MAX], more[MAX];
        bool in[MAX] = {false}, in_more[MAX] = {false};
        for (uint32_t j = 0; j < n; j++)
            score[j] = (double)rng_below(&r, 5);
        choose(score, &s, each * g, keep);
        for (uint32_t k = 0; k < each * g; k++) {
            assert_true(!k || keep[k] > keep[k - 1]);
            assert_int_equal(keep[k] / size, k / each);
            in[keep[k]] = true;
        }
        for (uint32_t a = 0; a < n; a++)
            for (uint32_t b = a + 1; b < n; b++)
                if (a / size == b / size) {
                    assert_false(in[a] && !in[b] && score[a] < score[b]);
                    assert_false(!in[a] && in[b] && score[a] >= score[b]);
                }
        if (each == size)
            continue;
        choose(score, &s, (each + 1) * g, more);
        for (uint32_t k = 0; k < (each + 1) * g; k++)
            in_more[more[k]] = true;
        for (uint32_t j = 0; j < n; j++)
            assert_true(!in[j] || in_more[j]);
    }
}

/* ---- how many ---- */

static void test_keep_ok(void **state)
{
    (void)state;
    static const struct {
        struct shape s; /* experts, top-k, groups, groups used */
        const char *ok; /* for n = 0, 1, ... : possible or not */
    } cases[] = {
        {{8, 2, 1, 1}, "..+++++++..."},         /* top-k to all */
        {{8, 1, 1, 1}, ".++++++++..."},         /* at least 1 */
        {{8, 8, 1, 1}, "........+..."},         /* a token uses all */
        {{8, 2, 2, 1}, "....+.+.+..."},         /* multiples of 2, 2 in each */
        {{8, 2, 4, 2}, "........+..."},         /* multiples of 4, 2 in each */
        {{16, 6, 4, 2}, "............+...+.."}, /* two groups must hold 6: 3 in each */
        {{16, 6, 4, 4}, "........+...+...+.."}, /* four do with 2 in each */
        {{16, 4, 4, 1}, "................+.."}, /* one group must hold 4 */
        {{16, 5, 2, 2}, "......+.+.+.+.+.+.."}, {{12, 1, 3, 1}, "......+..+..+.."},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (uint32_t n = 0; cases[i].ok[n]; n++) {
            struct err e = {0};
            bool want = cases[i].ok[n] == '+';
            if (shape_keep_ok(&cases[i].s, n) != want)
                fail_msg("case %zu: %u experts", i, n);
            assert_int_equal(shape_check_keep(&cases[i].s, n, &e), want);
            assert_int_equal(e.code, want ? ERR_NONE : ERR_INPUT);
        }
        assert_false(shape_keep_ok(&cases[i].s, UINT64_MAX));
        assert_false(
            shape_keep_ok(&cases[i].s, (1ull << 32) + cases[i].s.n_experts)); /* not cut to 32 bits */
    }
    static const struct shape deepseek = {256, 8, 8, 4};
    for (uint32_t n = 0; n <= 300; n++)
        assert_int_equal(shape_keep_ok(&deepseek, n), n % 8 == 0 && n >= 16 && n <= 256);
}

static void test_keep_messages(void **state)
{
    (void)state;
    static const struct {
        struct shape s;
        uint32_t n;
        const char *what, *near;
    } cases[] = {
        {{8, 2, 1, 1}, 9, "keeping 9 experts: the model has 8", ""},
        {{8, 2, 1, 1}, UINT32_MAX, "the model has 8", ""},
        {{8, 2, 1, 1}, 0, "routed to 2 (top-k)", "the smallest possible is 2"},
        {{8, 2, 1, 1},
         1,
         "keeping 1 of 8 experts: a token is routed to 2 (top-k)",
         "the smallest possible is 2"},
        {{256, 8, 8, 4}, 7, "routed to 8 (top-k)", "the smallest possible is 16"},
        {{256, 8, 8, 4}, 100, "must be a multiple of the 8 expert groups", "nearest 96 or 104"},
        {{256, 8, 8, 4}, 255, "must be a multiple of the 8 expert groups", "nearest 248 or 256"},
        {{256, 8, 8, 4}, 9, "must be a multiple of the 8 expert groups", "the smallest possible is 16"},
        {{256, 8, 8, 4}, 8, "each of the 8 groups must keep at least 2", "the smallest possible is 16"},
        {{16, 6, 4, 2}, 8, "2 groups must hold the top-k of 6", "the smallest possible is 12"},
        {{16, 6, 4, 2}, 13, "multiple of the 4 expert groups", "nearest 12 or 16"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err e = {0};
        assert_false(shape_check_keep(&cases[i].s, cases[i].n, &e));
        if (!strstr(e.msg, cases[i].near))
            fail_msg("'%s' expected in: %s", cases[i].near, e.msg);
        expect_err(&e, ERR_INPUT, cases[i].what);
    }
}

static void test_count(void **state)
{
    (void)state;
    static const struct {
        struct shape s;
        enum keep_kind kind;
        double value;
        uint32_t round_to, want; /* 0: refused */
        const char *part;
    } cases[] = {
        {{128, 8, 1, 1}, PRUNE_RATIO, 0.25, 0, 96, NULL},
        {{128, 8, 1, 1}, KEEP_RATIO, 0.25, 0, 32, NULL},
        {{128, 8, 1, 1}, PRUNE_RATIO, 0.5, 0, 64, NULL},
        {{32, 4, 1, 1}, PRUNE_RATIO, 0.3, 0, 23, NULL}, /* 22.4: no more is pruned than asked */
        {{32, 4, 1, 1}, KEEP_RATIO, 0.7, 0, 23, NULL},
        /* decimal ratios that are not exact in binary */
        {{10, 1, 1, 1}, KEEP_RATIO, 0.7, 0, 7, NULL},
        {{10, 1, 1, 1}, KEEP_RATIO, 0.1, 0, 1, NULL},
        {{10, 1, 1, 1}, PRUNE_RATIO, 0.7, 0, 3, NULL},
        {{10, 1, 1, 1}, PRUNE_RATIO, 0.3, 0, 7, NULL},
        {{10, 1, 1, 1}, PRUNE_RATIO, 0.9, 0, 1, NULL},
        {{100, 1, 1, 1}, PRUNE_RATIO, 0.43, 0, 57, NULL},
        {{100, 1, 1, 1}, KEEP_RATIO, 0.29, 0, 29, NULL},
        {{1000, 1, 1, 1}, KEEP_RATIO, 0.001, 0, 1, NULL},
        {{10, 1, 1, 1}, KEEP_RATIO, 0.7001, 0, 8, NULL}, /* but a little more is more */
        /* the ends */
        {{10, 2, 1, 1}, PRUNE_RATIO, 0, 0, 10, NULL},
        {{10, 2, 1, 1}, KEEP_RATIO, 1, 0, 10, NULL},
        {{10, 2, 1, 1}, PRUNE_RATIO, 1, 0, 2, NULL},
        {{10, 2, 1, 1}, KEEP_RATIO, 0, 0, 2, NULL},
        {{10, 1, 1, 1}, KEEP_RATIO, 0, 0, 1, NULL},
        /* as many as a token uses */
        {{10, 4, 1, 1}, KEEP_RATIO, 0.2, 0, 4, NULL},
        {{10, 10, 1, 1}, PRUNE_RATIO, 0.5, 0, 10, NULL},
        /* groups: up to a multiple */
        {{256, 8, 8, 4}, PRUNE_RATIO, 0.4, 0, 160, NULL}, /* 153.6 */
        {{256, 8, 8, 4}, PRUNE_RATIO, 0.25, 0, 192, NULL},
        {{256, 8, 8, 4}, KEEP_RATIO, 0.01, 0, 16, NULL},
        {{16, 6, 4, 2}, KEEP_RATIO, 0.5, 0, 12, NULL},
        /* --round-to: the next multiple upwards */
        {{128, 8, 1, 1}, PRUNE_RATIO, 0.3, 8, 96, NULL}, /* 90 */
        {{128, 8, 1, 1}, PRUNE_RATIO, 0.25, 8, 96, NULL},
        {{128, 8, 1, 1}, PRUNE_RATIO, 0.3, 1, 90, NULL},
        {{128, 8, 1, 1}, PRUNE_RATIO, 0.3, 128, 128, NULL},
        {{128, 8, 1, 1}, KEEP_COUNT, 90, 16, 96, NULL},
        {{128, 8, 1, 1}, KEEP_COUNT, 96, 16, 96, NULL},
        {{128, 8, 1, 1}, KEEP_COUNT, 1, 3, 9, NULL},    /* above the top-k of 8 */
        {{256, 8, 8, 4}, KEEP_COUNT, 97, 3, 120, NULL}, /* of 8 groups and of 3: 24 */
        {{10, 2, 1, 1}, KEEP_RATIO, 0.9, 4, 0, "no count of experts from 9 to 10 is a multiple of 4"},
        {{10, 2, 1, 1}, KEEP_RATIO, 0.9, 11, 0, "--round-to 11: the model has only 10 experts"},
        {{16, 6, 4, 2}, KEEP_RATIO, 0.5, 5, 0, "no count of experts from 8 to 16 is a multiple of 5"},
        /* a count alone is taken at its word */
        {{128, 8, 1, 1}, KEEP_COUNT, 90, 0, 90, NULL},
        {{128, 8, 1, 1}, KEEP_COUNT, 128, 0, 128, NULL},
        {{128, 8, 1, 1}, KEEP_COUNT, 8, 1, 8, NULL},
        {{128, 8, 1, 1}, KEEP_COUNT, 7, 0, 0, "the smallest possible is 8"},
        {{128, 8, 1, 1}, KEEP_COUNT, 129, 0, 0, "the model has 128"},
        {{256, 8, 8, 4}, KEEP_COUNT, 100, 0, 0, "nearest 96 or 104"},
        {{128, 8, 1, 1}, FIT_BYTES, 0, 0, 0, "--fit needs the model"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct plan_opts o = {.kind = cases[i].kind, .value = cases[i].value, .round_to = cases[i].round_to};
        struct err e = {0};
        uint32_t n = 0;
        bool ok = plan_count(&cases[i].s, NULL, &o, &n, &e);
        if (ok != (cases[i].want > 0) || (ok && n != cases[i].want))
            fail_msg("case %zu: %u expected, got %u %s", i, cases[i].want, n, e.msg);
        assert_int_equal(ok, e.code == ERR_NONE);
        if (!ok)
            expect_err(&e, ERR_INPUT, cases[i].part);
    }
}

/* For all ratios of two digits: what is kept is the whole number that is not less, as counted in integers. */
static void test_count_all_ratios(void **state)
{
    (void)state;
    static const uint32_t experts[] = {8, 10, 16, 60, 64, 100, 128, 160, 256, 384, 512};
    for (size_t i = 0; i < COUNT(experts); i++)
        for (uint32_t p = 0; p <= 100; p++) {
            struct shape s = {experts[i], 1, 1, 1};
            struct plan_opts keep = {.kind = KEEP_RATIO, .value = p / 100.0};
            struct plan_opts prune = {.kind = PRUNE_RATIO, .value = p / 100.0};
            struct err e = {0};
            uint32_t n = 0, up = (experts[i] * p + 99) / 100, rest = experts[i] - experts[i] * p / 100;
            assert_true(plan_count(&s, NULL, &keep, &n, &e));
            assert_int_equal(n, up ? up : 1);
            assert_true(plan_count(&s, NULL, &prune, &n, &e));
            assert_int_equal(n, rest ? rest : 1);
        }
}

/* The one place where a share becomes a count, and the next count that can be routed. */
static void test_share(void **state)
{
    (void)state;
    static const struct {
        struct shape s;
        double keep;
        uint32_t share, next;
    } cases[] = {
        {{10, 2, 1, 1}, 0.7, 7, 7}, /* 0.7 * 10 is 7.000000000000001 as doubles multiply */
        {{10, 2, 1, 1}, 1 - 0.3, 7, 7},  {{10, 2, 1, 1}, 0.71, 8, 8}, {{10, 2, 1, 1}, 0.1, 1, 2},
        {{10, 2, 1, 1}, 0, 1, 2},        {{10, 2, 1, 1}, 1, 10, 10},  {{32, 4, 1, 1}, 1 - 0.125, 28, 28},
        {{256, 8, 8, 4}, 0.7, 180, 184}, /* a multiple of 8 */
        {{16, 2, 8, 4}, 0.5, 8, 16},     /* two in each group */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(shape_share(&cases[i].s, cases[i].keep), cases[i].share);
        assert_int_equal(shape_next_ok(&cases[i].s, cases[i].share), cases[i].next);
    }
    const struct shape s = {10, 2, 1, 1};
    assert_int_equal(shape_next_ok(&s, 11), 0);
}

/* ---- counts of a stats file ---- */

static void test_shape_of_stats(void **state)
{
    (void)state;
    static const struct {
        const char *model, *part; /* part NULL: fine */
        uint32_t groups, used;
    } cases[] = {
        {"{}", NULL, 1, 1},
        {"{\"n_expert_groups\": 1, \"n_expert_groups_used\": 1}", NULL, 1, 1},
        {"{\"n_expert_groups\": 4, \"n_expert_groups_used\": 2}", NULL, 4, 2},
        {"{\"n_expert_groups\": 4}", "'n_expert_groups_used' is missing", 0, 0},
        {"{\"n_expert_groups\": \"4\", \"n_expert_groups_used\": 2}", "'n_expert_groups' is a string", 0, 0},
        {"{\"n_expert_groups\": 0, \"n_expert_groups_used\": 0}", "do not fit 8 experts", 0, 0},
        {"{\"n_expert_groups\": 3, \"n_expert_groups_used\": 1}", "1 of 3 expert groups do not fit 8", 0, 0},
        {"{\"n_expert_groups\": 8, \"n_expert_groups_used\": 1}", "do not fit 8 experts", 0, 0},
        {"{\"n_expert_groups\": 16, \"n_expert_groups_used\": 1}", "do not fit 8 experts", 0, 0},
        {"{\"n_expert_groups\": 4, \"n_expert_groups_used\": 5}", "5 of 4 expert groups", 0, 0},
        {"{\"n_expert_groups\": 4294967298, \"n_expert_groups_used\": 1}", "do not fit 8 experts", 0, 0},
        {"{\"n_expert_groups\": 9223372036854775807, \"n_expert_groups_used\": 1}", "do not fit 8", 0, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct stats *s = stats_new(2, 8);
        struct err e = {0};
        s->layers[0].n_used = 3; /* the largest top-k counts, wherever it is */
        s->layers[1].n_used = 2;
        s->model = json_parse(cases[i].model, strlen(cases[i].model), &e);
        assert_non_null(s->model);
        bool ok = stats_read_groups(s, &e);
        struct shape sh = shape_of_stats(s);
        if (ok != !cases[i].part)
            fail_msg("case %zu: %s", i, e.msg);
        if (ok) {
            assert_int_equal(sh.n_experts, 8);
            assert_int_equal(sh.n_used, 3);
            assert_int_equal(sh.n_groups, cases[i].groups);
            assert_int_equal(sh.n_groups_used, cases[i].used);
        } else {
            expect_err(&e, ERR_INPUT, cases[i].part);
        }
        stats_free(s);
    }
}

/* ---- the file ---- */

static void test_load(void **state)
{
    (void)state;
    struct err e = {0};
    put("p.json", "{\"schema\": \"reap.plan/1\", \"n_keep\": 2, \"what\": {\"else\": 1.5},\n"
                  " \"keep\": {\"10\": [0, 7], \"9\": [3, 4], \"0\": [4294967293, 4294967294]}}\n");
    struct plan *p = plan_load(at("p.json"), &e);
    if (!p)
        fail_msg("%s", e.msg);
    assert_int_equal(e.code, ERR_NONE);
    static const uint32_t want[3][3] = {{0, 4294967293, 4294967294}, {9, 3, 4}, {10, 0, 7}};
    assert_int_equal(p->n_keep, 2);
    assert_int_equal(p->n_layers, 3);
    for (uint32_t i = 0; i < 3; i++) { /* by number, not by letter */
        assert_int_equal(p->layers[i].il, want[i][0]);
        assert_memory_equal(p->layers[i].keep, want[i] + 1, 2 * sizeof(uint32_t));
    }
    json_t *doc = plan_json(p);
    assert_non_null(json_object_get(doc, "what")); /* other keys are ignored and stay */
    json_decref(doc);
    plan_free(p);
    plan_free(NULL);
}

/* A plan with all that can be said comes back as it was, its bytes too. */
static void test_round_trip(void **state)
{
    (void)state;
    static const char text[] =
        "{\n \"schema\": \"reap.plan/1\",\n \"version\": \"9\",\n \"n_keep\": 1,\n \"n_experts\": 4,\n"
        " \"criterion\": \"random\",\n \"seed\": 7,\n \"blend\": \"mean\",\n \"model\": {\n  \"architecture\": \"x\"\n },\n"
        " \"sources\": [\n  {\n   \"stats\": \"s.json\",\n   \"sha256\": \"00\",\n   \"weight\": 2.0,\n   \"score_kept\": 0.5,\n"
        "   \"n_tokens\": 3,\n   \"calibration\": {\n    \"ctx\": 8\n   }\n  },\n  {\n   \"keep_list\": \"l\"\n  }\n ],\n"
        " \"protected\": {\n  \"2\": [3]\n },\n \"keep\": {\n  \"2\": [3],\n  \"10\": [0]\n },\n"
        " \"lost\": {\n  \"2\": {\n   \"score_lost\": 0.1,\n   \"tokens_lost\": 0.2,\n   \"reap_sum_lost\": 0.3,\n"
        "   \"lowest_kept\": 4.0,\n   \"highest_removed\": 3.0,\n   \"score_kept_by_source\": [0.5, 0.25],\n"
        "   \"never_routed\": [0, 1]\n  },\n  \"10\": {\n   \"lowest_kept\": 1.0,\n   \"highest_removed\": null\n  }\n },\n"
        " \"measured\": {\n  \"ppl\": 5.0\n },\n \"refined\": {\n  \"trials\": 3\n },\n \"else\": true\n}\n";
    struct err e = {0};
    struct buf b = {0};
    put("p.json", text);
    struct plan *p = plan_load(at("p.json"), &e);
    if (!p || !plan_write(at("q.json"), p, false, &e) || !file_read_all(at("q.json"), 1 << 20, &b, &e))
        fail_msg("%s", e.msg);
    assert_string_equal(b.s, text);
    assert_string_equal(p->criterion, "random");
    assert_int_equal(p->seed, 7);
    assert_int_equal(p->origins[0].n_tokens, 3);
    assert_int_equal(p->origins[1].n_tokens, -1);
    assert_int_equal(p->lost[0].n_never, 2);
    assert_true(isnan(p->lost[1].score) && p->lost[0].by_source[1] == 0.25);
    assert_true(isnan(plan_tokens_lost(p))); /* one layer does not say it */
    p->lost[1].tokens = 0.4;
    assert_true(fabs(plan_tokens_lost(p) - 0.3) < 1e-15);
    plan_forget_lost(p);
    assert_true(isnan(plan_tokens_lost(p)));
    buf_clear(&b);
    plan_free(p);
}

/* What code asks for is of the right type. */
static void test_members_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"\"criterion\": 5", "plan: 'criterion' is an integer, expected a string"},
        {"\"n_experts\": \"4\"", "'n_experts' is a string"},
        {"\"n_experts\": 65537", "n_experts is 65537, expected at most 65536"},
        {"\"seed\": -1", "'seed' is an integer, expected an integer of 0 or more"},
        {"\"model\": []", "'model' is a list"},
        {"\"sources\": {}", "'sources' is an object, expected a list"},
        {"\"sources\": [7]", "sources, entry 0 is an integer"},
        {"\"sources\": [{\"weight\": \"1\"}]", "sources, entry 0: 'weight' is a string"},
        {"\"lost\": []", "'lost' is a list"},
        {"\"lost\": {\"0\": 1}", "lost.0 is an integer"},
        {"\"lost\": {\"0\": {\"never_routed\": [-1]}}", "lost.0: 'never_routed' entry 0"},
        {"\"lost\": {\"0\": {\"score_kept_by_source\": [\"1\"]}}", "'score_kept_by_source' entry 0"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err e = {0};
        char text[300];
        snprintf(text, sizeof text,
                 "{\"schema\": \"reap.plan/1\", \"n_keep\": 1, \"keep\": {\"0\": [0]}, %s}", cases[i][0]);
        put("p.json", text);
        assert_null(plan_load(at("p.json"), &e));
        expect_err(&e, ERR_INPUT, cases[i][1]);
    }
}

static void test_load_refused(void **state)
{
    (void)state;
#define PLAN(n, keep) "{\"schema\":\"reap.plan/1\",\"n_keep\":" n ",\"keep\":" keep "}"
    static const char *const cases[][2] = {
        {"", "not valid JSON"},
        {"{", "line 1, column"},
        {PLAN("1", "{\"0\":[1]}") "x", "line 1, column"},
        {"[]", "expected a JSON object with \"schema\": \"reap.plan/1\""},
        {"7", "expected a JSON object"},
        {"{}", "plan: 'schema' is missing, expected a string"},
        {"{\"schema\":null}", "'schema' is null, expected a string"},
        {"{\"schema\":\"reap.stats/1\"}", "schema is 'reap.stats/1', expected 'reap.plan/1'"},
        {"{\"schema\":\"reap.plan/2\"}", "schema is 'reap.plan/2'"},
        {"{\"schema\":\"reap.plan/1\",\"schema\":\"reap.plan/1\"}", "duplicate"},
        {"{\"schema\":\"reap.plan/1\",\"keep\":{}}", "'n_keep' is missing, expected an integer of 0 or more"},
        {"{\"schema\":\"reap.plan/1\",\"n_keep\":1}", "'keep' is missing, expected an object"},
        {PLAN("1", "[[1]]"), "'keep' is a list, expected an object"},
        {PLAN("1", "{}"), "'keep' has no layers"},
        {PLAN("1.0", "{\"0\":[1]}"), "'n_keep' is a number"},
        {PLAN("\"1\"", "{\"0\":[1]}"), "'n_keep' is a string"},
        {PLAN("-1", "{\"0\":[1]}"), "'n_keep' is an integer, expected an integer of 0 or more"},
        {PLAN("0", "{\"0\":[]}"), "n_keep is 0, expected 1 to 65536"},
        {PLAN("65537", "{\"0\":[1]}"), "n_keep is 65537"},
        {PLAN("4294967297", "{\"0\":[1]}"), "n_keep is 4294967297"},
        {PLAN("99999999999999999999", "{\"0\":[1]}"), "line 1, column"},
        {PLAN("1", "{\"x\":[1]}"), "keep: 'x' is not a layer number"},
        {PLAN("1", "{\"\":[1]}"), "keep: '' is not a layer number"},
        {PLAN("1", "{\"1x\":[1]}"), "keep: '1x' is not a layer number"},
        {PLAN("1", "{\" 1\":[1]}"), "keep: ' 1' is not a layer number"},
        {PLAN("1", "{\"1 \":[1]}"), "keep: '1 ' is not a layer number"},
        {PLAN("1", "{\"+1\":[1]}"), "keep: '+1' is not a layer number"},
        {PLAN("1", "{\"-1\":[1]}"), "keep: '-1' is not a layer number"},
        {PLAN("1", "{\"01\":[1]}"), "keep: '01' is not a layer number"},
        {PLAN("1", "{\"0x1\":[1]}"), "keep: '0x1' is not a layer number"},
        {PLAN("1", "{\"2147483648\":[1]}"), "is not a layer number"},
        {PLAN("1", "{\"18446744073709551617\":[1]}"), "is not a layer number"},
        {PLAN("1", "{\"1\":[1],\"1\":[1]}"), "duplicate"},
        {PLAN("1", "{\"5\":1}"), "keep.5: expected a list of expert ids"},
        {PLAN("1", "{\"5\":null}"), "keep.5: expected a list of expert ids"},
        {PLAN("1", "{\"5\":[]}"), "layer 5 keeps 0 experts, but n_keep is 1"},
        {PLAN("2", "{\"0\":[0,1],\"5\":[1]}"), "layer 5 keeps 1 experts, but n_keep is 2"},
        {PLAN("1", "{\"5\":[1,2]}"), "layer 5 keeps 2 experts, but n_keep is 1"},
        {PLAN("2", "{\"5\":[1,-2]}"), "layer 5: entry 1 is -2, expected an expert id"},
        {PLAN("2", "{\"5\":[1,2.0]}"), "layer 5: entry 1 is 2.0, expected an expert id"},
        {PLAN("2", "{\"5\":[\"1\",2]}"), "layer 5: entry 0 is \"1\", expected an expert id"},
        {PLAN("2", "{\"5\":[true,2]}"), "layer 5: entry 0 is true, expected an expert id"},
        {PLAN("2", "{\"5\":[1,4294967295]}"), "layer 5: entry 1 is 4294967295, expected an expert id"},
        {PLAN("2", "{\"5\":[1,4294967298]}"), "layer 5: entry 1 is 4294967298, expected an expert id"},
        {PLAN("2", "{\"5\":[3,3]}"), "layer 5: expert 3 is listed twice"},
        {PLAN("3", "{\"5\":[1,4,3]}"), "layer 5: expert 3 stands behind 4, expected ascending ids"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err e = {0};
        put("bad plan.json", cases[i][0]);
        struct plan *p = plan_load(at("bad plan.json"), &e);
        if (p)
            fail_msg("accepted: %s", cases[i][0]);
        if (!strstr(e.msg, "bad plan.json: "))
            fail_msg("the file is not named: %s", e.msg);
        expect_err(&e, ERR_INPUT, cases[i][1]);
    }
    struct err e = {0};
    assert_null(plan_load(at("none.json"), &e));
    expect_err(&e, ERR_INPUT, "none.json");
    assert_null(plan_load(tmp, &e));
    expect_err(&e, ERR_INPUT, "a folder");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, tempdir_setup, tempdir_teardown)
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choose),
        cmocka_unit_test(test_choose_properties),
        cmocka_unit_test(test_keep_ok),
        cmocka_unit_test(test_keep_messages),
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_count_all_ratios),
        cmocka_unit_test(test_share),
        cmocka_unit_test(test_shape_of_stats),
        T(test_load),
        T(test_load_refused),
        T(test_round_trip),
        T(test_members_refused),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
