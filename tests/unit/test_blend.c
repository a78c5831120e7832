/* test_blend.c - src/plan: several stats files in one plan, protected experts, lists of others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "plan/blend.h"
#include "plan/sources.h"
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

/* ---- maxmin ---- */

static double worst_of(const double *share, uint32_t n_domains, uint32_t n, uint32_t set)
{
    double worst = INFINITY;
    for (uint32_t d = 0; d < n_domains; d++) {
        double k = 0;
        for (uint32_t j = 0; j < n; j++)
            k += set >> j & 1 ? share[d * n + j] : 0;
        worst = k < worst ? k : worst;
    }
    return worst;
}

static uint32_t set_of(const uint8_t *in, uint32_t n)
{
    uint32_t set = 0;
    for (uint32_t j = 0; j < n; j++)
        set |= in[j] ? 1u << j : 0;
    return set;
}

static void test_maxmin_by_hand(void **state)
{
    (void)state;
    /* Domain 0 lives on expert 0 and 1, domain 1 on 2 and 3. By the mean 0 and 1 stay (.55, .4 against .3,
     * .28) and domain 1 keeps .05; one of each keeps .6 and .55. */
    static const double share[2][4] = {{0.6, 0.35, 0.05, 0}, {0.0, 0.0, 0.55, 0.45}};
    static const uint8_t none[4], third[4] = {0, 0, 0, 1};
    const struct shape s = {4, 1, 1, 1}, groups = {4, 1, 2, 2};
    uint8_t in[4];
    blend_maxmin(share[0], 2, none, &s, 2, in);
    assert_memory_equal(in, ((uint8_t[]){1, 0, 1, 0}), 4);
    blend_maxmin(share[0], 2, third, &s, 2, in); /* 3 stays in any case */
    assert_memory_equal(in, ((uint8_t[]){1, 0, 0, 1}), 4);
    blend_maxmin(share[0], 2, none, &s, 4, in);
    assert_memory_equal(in, ((uint8_t[]){1, 1, 1, 1}), 4);
    blend_maxmin(share[0], 2, none, &groups, 2, in);
    assert_memory_equal(in, ((uint8_t[]){1, 0, 1, 0}), 4);
    /* all the same: the lower ids */
    static const double same[2][4] = {{0.25, 0.25, 0.25, 0.25}, {0.25, 0.25, 0.25, 0.25}};
    blend_maxmin(same[0], 2, none, &s, 2, in);
    assert_memory_equal(in, ((uint8_t[]){1, 1, 0, 0}), 4);
}

/* Against all subsets: mostly the best, never far from it; the right number, of each group; fixed
 * ones are in. */
static void test_maxmin_brute_force(void **state)
{
    (void)state;
    enum { N = 10, D = 3 };
    struct rng r = {11};
    uint32_t best_found = 0, cases = 0;
    for (int t = 0; t < 300; t++) {
        double share[D * N];
        uint8_t fixed[N] = {0}, in[N];
        const uint32_t g = t % 2 ? 2 : 1, keep = 2 * (uint32_t)(1 + rng_below(&r, 4));
        const struct shape s = {N, 1, g, g};
        for (uint32_t d = 0; d < D; d++) {
            double total = 0;
            for (uint32_t j = 0; j < N; j++)
                total += share[d * N + j] = pow((double)(1 + rng_below(&r, 1000)) / 1000, 3);
            for (uint32_t j = 0; j < N; j++)
                share[d * N + j] /= total;
        }
        if (t % 3 == 0)
            fixed[rng_below(&r, N)] = 1;
        blend_maxmin(share, D, fixed, &s, keep, in);
        uint32_t got = set_of(in, N), must = set_of(fixed, N), low = got & 31, high = got >> 5;
        assert_int_equal(__builtin_popcount(got), keep);
        assert_int_equal(got & must, must);
        if (g == 2)
            assert_int_equal(__builtin_popcount(low), __builtin_popcount(high));
        double best = 0;
        for (uint32_t set = 0; set < 1u << N; set++)
            if (__builtin_popcount(set) == (int)keep && (set & must) == must &&
                (g == 1 || __builtin_popcount(set & 31) == __builtin_popcount(set >> 5))) {
                double w = worst_of(share, D, N, set);
                best = w > best ? w : best;
            }
        double have = worst_of(share, D, N, got);
        assert_true(have <= best + 1e-12);
        if (have < 0.9 * best)
            fail_msg("case %d: %g of %g", t, have, best);
        best_found += have > best - 1e-9;
        cases++;
    }
    if (best_found * 100 < cases * 95)
        fail_msg("only %u of %u are the best", best_found, cases);
}

/* ---- a plan from two files ---- */

/* One layer (block 2) of n experts, top-1; reap[j] is the score, 1 token each. */
static struct stats *make_n(uint32_t n, const float *reap)
{
    struct stats *s = stats_new(1, n);
    struct err e = {0};
    s->layers[0].il = 2;
    s->layers[0].n_used = 1;
    s->model = json_pack("{s:s, s:i}", "architecture", "test", "n_experts", (int)n);
    for (int32_t j = 0; j < (int32_t)n; j++)
        assert_true(stats_add(s, 0, EVEN, &(struct routed){j, 1, reap[j], reap[j], reap[j], reap[j]}, 1, &e));
    return s;
}

static struct stats *make(const float *reap)
{
    return make_n(4, reap);
}

static void expect_keep(const struct plan *p, const struct err *e, uint32_t a, uint32_t b)
{
    if (!p)
        fail_msg("%s", e->msg);
    assert_int_equal(p->n_keep, 2);
    assert_int_equal(p->layers[0].il, 2);
    if (p->layers[0].keep[0] != a || p->layers[0].keep[1] != b)
        fail_msg("%u %u expected, got %u %u", a, b, p->layers[0].keep[0], p->layers[0].keep[1]);
}

static void test_blend(void **state)
{
    (void)state;
    put("x", "x"); /* their hashes go into the plan */
    put("y", "y");
    /* x in shares: .5 .3 .15 .05; y, ten times as large: 0 .1 .3 .6 */
    struct stats *x = make((float[]){10, 6, 3, 1}), *y = make((float[]){0, 20, 60, 120});
    struct plan_source src[2] = {{x, at("x"), 1}, {y, at("y"), 1}};
    struct plan_opts o = {.kind = KEEP_COUNT, .value = 2};
    struct plan_summary sum;
    struct err e = {0};
    struct plan *p = plan_blend(src, 2, NULL, &o, &sum, &e);
    expect_keep(p, &e, 0, 3); /* mean .25 .2 .225 .325 */
    assert_true(fabs(sum.score_kept - 0.575) < 1e-12);
    const double *kept = p->lost[0].by_source;
    assert_int_equal(p->lost[0].n_by_source, 2);
    assert_true(fabs(kept[0] - 0.55) < 1e-12 && fabs(kept[1] - 0.6) < 1e-12);
    assert_string_equal(p->blend, "mean");
    plan_free(p);
    plan_summary_clear(&sum);

    src[0].weight = 3; /* .375 .25 .1875 .1875 */
    p = plan_blend(src, 2, NULL, &o, &sum, &e);
    expect_keep(p, &e, 0, 1);
    assert_true(fabs(sum.score_kept - 0.625) < 1e-12);
    plan_free(p);
    plan_summary_clear(&sum);

    o.blend = BLEND_MAXMIN;
    assert_null(plan_blend(src, 2, NULL, &o, &sum, &e));
    expect_err(&e, ERR_INPUT, "weights mean nothing to --blend maxmin");
    src[0].weight = 1;
    p = plan_blend(src, 2, NULL, &o, &sum, &e); /* 0 3 keeps .55 and .6, no other pair more of the worse */
    expect_keep(p, &e, 0, 3);
    plan_free(p);
    plan_summary_clear(&sum);
    o.blend = BLEND_MEAN;

    p = plan_blend(src + 1, 1, NULL, &o, &sum, &e); /* one: its own scores */
    expect_keep(p, &e, 2, 3);
    assert_null(p->blend);
    assert_true(p->lost[0].lowest_kept == 60);
    plan_free(p);
    plan_summary_clear(&sum);

    json_object_set_new(y->model, "architecture", json_string("other"));
    assert_null(plan_blend(src, 2, NULL, &o, &sum, &e));
    expect_err(&e, ERR_INPUT, "of another model");
    stats_free(x);
    stats_free(y);
}

static void test_protect(void **state)
{
    (void)state;
    struct stats *x = make((float[]){10, 6, 3, 1});
    put("x", "x");
    const struct plan_source src = {x, at("x"), 1};
    uint32_t three[] = {3}, all[] = {1, 2, 3}, four[] = {4};
    struct id_list l = {2, 1, three};
    const struct id_lists lists = {&l, 1, 0, false};
    struct plan_opts o = {.kind = KEEP_COUNT, .value = 2, .protect = &lists};
    struct plan_summary sum;
    struct err e = {0};
    struct plan *p = plan_blend(&src, 1, NULL, &o, &sum, &e);
    expect_keep(p, &e, 0, 3);
    assert_int_equal(sum.n_protected, 1);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(p->fixed, "2"), 0)), 3);
    plan_free(p);
    plan_summary_clear(&sum);
    l = (struct id_list){2, 3, all};
    assert_null(plan_blend(&src, 1, NULL, &o, &sum, &e));
    expect_err(&e, ERR_INPUT, "layer 2: 3 experts are protected, but only 2 stay");
    l = (struct id_list){2, 1, four};
    assert_null(plan_blend(&src, 1, NULL, &o, &sum, &e));
    expect_err(&e, ERR_INPUT, "--protect: layer 2: expert 4 of 4");
    l = (struct id_list){1, 1, three};
    assert_null(plan_blend(&src, 1, NULL, &o, &sum, &e));
    expect_err(&e, ERR_INPUT, "--protect: layer 1 has no experts");
    /* groups: two of the second one, of which one stays */
    json_object_set_new(x->model, "n_expert_groups", json_integer(2));
    json_object_set_new(x->model, "n_expert_groups_used", json_integer(2));
    uint32_t second[] = {2, 3};
    l = (struct id_list){2, 2, second};
    o.value = 4;
    p = plan_blend(&src, 1, NULL, &o, &sum, &e);
    assert_non_null(p);
    plan_free(p);
    plan_summary_clear(&sum);

    /* super experts: 10 is the only one above P99.5 of 1 3 6 10 (9.94) */
    json_object_del(x->model, "n_expert_groups");
    o = (struct plan_opts){
        .kind = KEEP_COUNT, .value = 2, .criterion = criterion_find("frequency"), .protect_super = true};
    for (int j = 0; j < 4; j++) /* last by frequency, were it not for that */
        x->layers[0].half[EVEN][j].max_activation = j == 3 ? 10 : 1;
    p = plan_blend(&src, 1, NULL, &o, &sum, &e);
    expect_keep(p, &e, 0, 3);
    plan_free(p);
    plan_summary_clear(&sum);
    x->unknown = SUM_BIT(SUM_MAX);
    assert_null(plan_blend(&src, 1, NULL, &o, &sum, &e));
    expect_err(&e, ERR_INPUT, "max_activation needs sums");
    stats_free(x);
}

static void expect_ids(const json_t *layers, uint32_t n, const int *ids)
{
    const json_t *a = json_object_get(layers, "2");
    assert_int_equal(json_array_size(a), n);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(json_integer_value(json_array_get(a, i)), ids[i]);
}

/* The best of each file stay, in whatever way the files are blended. */
static void test_protect_share(void **state)
{
    (void)state;
    put("x", "x");
    put("y", "y");
    /* shares: .5 .3 .15 .05 and 0 0 .4 .6; x weighs nine times as much: .45 .27 .175 .105 */
    struct stats *x = make((float[]){10, 6, 3, 1}), *y = make((float[]){0, 0, 60, 90});
    struct plan_source src[2] = {{x, at("x"), 9}, {y, at("y"), 1}};
    struct plan_opts o = {.kind = KEEP_COUNT, .value = 2};
    struct plan_summary sum;
    struct err e = {0};
    struct plan *p = plan_blend(src, 2, NULL, &o, &sum, &e);
    expect_keep(p, &e, 0, 1);
    assert_null(p->origins[0].fixed);
    plan_free(p);
    plan_summary_clear(&sum);

    static const double one_place[] = {1e-6, 0.04, 0.5}; /* of two: rounded up */
    for (size_t i = 0; i < COUNT(one_place); i++) {
        o.protect_share = one_place[i];
        p = plan_blend(src, 2, NULL, &o, &sum, &e);
        expect_keep(p, &e, 0, 3);
        assert_int_equal(sum.n_protected, 2);
        expect_ids(p->fixed, 2, (int[]){0, 3});
        expect_ids(p->origins[0].fixed, 1, (int[]){0});
        expect_ids(p->origins[1].fixed, 1, (int[]){3});
        assert_true(plan_write(at("p"), p, true, &e));
        struct plan *q = plan_load(at("p"), &e); /* what it says of this is read again */
        assert_non_null(q);
        assert_true(q->protect_share == one_place[i] && !json_object_get(q->rest, "protect_share"));
        expect_ids(q->origins[1].fixed, 1, (int[]){3});
        plan_free(q);
        plan_free(p);
        plan_summary_clear(&sum);
    }

    o.protect_share = 0.51; /* two of each: 0 1 and 2 3 */
    assert_null(plan_blend(src, 2, NULL, &o, &sum, &e));
    expect_err(&e, ERR_INPUT,
               "layer 2: 4 experts are protected, but only 2 stay; a smaller --protect-share protects fewer");
    o.value = 3; /* ceil(.6 * 3) = 2 of each, but y scores one alone; maxmin by itself keeps 0 1 3 or 0 2 3 */
    o.protect_share = 0.6;
    o.blend = BLEND_MAXMIN;
    src[0].weight = 1;
    struct stats *z = make((float[]){0, 0, 0, 90});
    src[1].stats = z;
    p = plan_blend(src, 2, NULL, &o, &sum, &e);
    assert_non_null(p);
    assert_memory_equal(p->layers[0].keep, ((uint32_t[]){0, 1, 3}), 12);
    expect_ids(p->origins[1].fixed, 1, (int[]){3});
    plan_free(p);
    plan_summary_clear(&sum);

    /* with a list: 2 stays too, which leaves no place */
    uint32_t two[] = {2};
    struct id_list l = {2, 1, two};
    const struct id_lists lists = {&l, 1, 0, false};
    o.protect = &lists;
    assert_null(plan_blend(src, 2, NULL, &o, &sum, &e));
    expect_err(&e, ERR_INPUT, "layer 2: 4 experts are protected, but only 3 stay");
    o.protect = NULL;

    stats_free(x);
    stats_free(y);
    stats_free(z);
}

/* Two groups, 0-3 and 4-7, of which two stay each: the best of each group, for each file. */
static void test_protect_share_groups(void **state)
{
    (void)state;
    put("x", "x");
    put("y", "y");
    struct stats *x = make_n(8, (float[]){4, 3, 2, 1, 1, 2, 3, 4}),
                 *y = make_n(8, (float[]){1, 2, 3, 4, 4, 3, 2, 1});
    struct plan_source src[2] = {{x, at("x"), 1}, {y, at("y"), 1}};
    struct plan_opts o = {.kind = KEEP_COUNT, .value = 4, .protect_share = 0.04};
    struct plan_summary sum;
    struct err e = {0};
    x->n_groups = x->n_groups_used = y->n_groups = y->n_groups_used = 2;
    struct plan *p = plan_blend(src, 2, NULL, &o, &sum, &e);
    if (!p)
        fail_msg("%s", e.msg);
    assert_memory_equal(p->layers[0].keep, ((uint32_t[]){0, 3, 4, 7}), 16);
    expect_ids(p->origins[0].fixed, 2, (int[]){0, 7});
    expect_ids(p->origins[1].fixed, 2, (int[]){3, 4});
    plan_free(p);
    plan_summary_clear(&sum);
    o.protect_share = 0.6; /* two of each group for each file */
    assert_null(plan_blend(src, 2, NULL, &o, &sum, &e));
    expect_err(&e, ERR_INPUT, "layer 2: 4 experts of group 0 are protected, but only 2 stay of each");
    stats_free(x);
    stats_free(y);
}

/* Of a router that does not renormalise, the plan says how much of its softmax stays. */
static void test_gate_mass(void **state)
{
    (void)state;
    put("x", "x");
    struct stats *x = make((float[]){10, 6, 3, 1});
    struct plan_opts o = {.kind = KEEP_COUNT, .value = 2};
    const struct plan_source src = {x, at("x"), 1};
    struct plan_summary sum;
    struct err e = {0};
    struct plan *p = plan_blend(&src, 1, NULL, &o, &sum, &e);
    assert_non_null(p);
    assert_true(isnan(sum.gate_mass) && isnan(p->lost[0].gate_mass));
    for (uint32_t i = 0; i < sum.n_notes; i++)
        assert_null(strstr(sum.notes[i].text, "renormalise"));
    plan_free(p);
    plan_summary_clear(&sum);

    static const float gates[2][4] = {{0.5f, 0.25f, 0.125f, 0.125f}, {0.25f, 0.25f, 0.25f, 0.25f}};
    stats_set_router(x, ROUTER_SOFTMAX);
    assert_true(stats_add_gates(x, 0, EVEN, 2, gates[0], &e)); /* two tokens: .75 and .5 of experts 0 and 1 */
    p = plan_blend(&src, 1, NULL, &o, &sum, &e);
    if (!p)
        fail_msg("%s", e.msg);
    assert_true(sum.gate_mass == 0.625 && sum.gate_mass_least == 0.625 && sum.gate_mass_layer == 2);
    bool warned = false;
    for (uint32_t i = 0; i < sum.n_notes; i++)
        warned |= sum.notes[i].warning &&
                  strstr(sum.notes[i].text, "grow by a factor of 1.60 (1.60 in layer 2)") != NULL;
    assert_true(warned);
    assert_true(plan_write(at("p"), p, true, &e));
    struct plan *q = plan_load(at("p"), &e);
    assert_non_null(q);
    assert_true(q->lost[0].gate_mass == 0.375);
    plan_free(q);
    plan_free(p);
    plan_summary_clear(&sum);
    o.value = 4; /* all stay: nothing grows, and nothing is said */
    p = plan_blend(&src, 1, NULL, &o, &sum, &e);
    assert_non_null(p);
    assert_true(sum.gate_mass == 1);
    for (uint32_t i = 0; i < sum.n_notes; i++)
        assert_null(strstr(sum.notes[i].text, "renormalise"));
    plan_free(p);
    plan_summary_clear(&sum);
    stats_free(x);
}

/* None of the softmax in one layer, all of it in the next: the least is that of the first. */
static void test_no_gate_mass(void **state)
{
    (void)state;
    put("x", "x");
    struct stats *x = stats_new(2, 4);
    struct err e = {0};
    x->model = json_pack("{s:s, s:i}", "architecture", "test", "n_experts", 4);
    stats_set_router(x, ROUTER_SOFTMAX);
    static const float gates[2][4] = {{0, 0, 0.5f, 0.5f}, {0.5f, 0.5f, 0, 0}};
    for (uint32_t i = 0; i < 2; i++) {
        x->layers[i].il = i;
        x->layers[i].n_used = 1;
        assert_true(stats_add(x, i, EVEN, &(struct routed){0, 1, 1, 1, 1, NAN}, 1, &e));
        assert_true(stats_add_gates(x, i, EVEN, 1, gates[i], &e));
    }
    const struct plan_opts o = {.kind = KEEP_COUNT, .value = 2};
    const struct plan_source src = {x, at("x"), 1};
    struct plan_summary sum;
    struct plan *p = plan_blend(&src, 1, NULL, &o, &sum, &e);
    if (!p)
        fail_msg("%s", e.msg);
    assert_true(sum.gate_mass == 0.5 && sum.gate_mass_least == 0 && sum.gate_mass_layer == 0);
    plan_free(p);
    plan_summary_clear(&sum);
    stats_free(x);
}

/* ---- lists ---- */

static void test_lists(void **state)
{
    (void)state;
    static const char *const same[] = {
        "{\"n_expert\": 8, \"keep\": {\"10\": [3], \"9\": [5, 0, 7]}}",
        "{\"10\": [3], \"9\": [5, 0, 7]}",
        "{\"10\": [3]}\n\n{\"9\": [5, 0, 7]}\n",
        "# who stays\n10: 3\n 9 : 5,0  7 # three\r\n",
        "9:5 0 7\n10:3",
    };
    for (size_t i = 0; i < COUNT(same); i++) {
        struct id_lists l;
        struct err e = {0};
        put("l", same[i]);
        if (!lists_read(at("l"), &l, &e))
            fail_msg("case %zu: %s", i, e.msg);
        assert_int_equal(l.n, 2);
        assert_int_equal(l.l[0].il, 9);
        assert_int_equal(l.l[0].n, 3);
        assert_memory_equal(l.l[0].ids, ((uint32_t[]){5, 0, 7}), 12);
        assert_int_equal(l.l[1].il, 10);
        assert_int_equal(l.l[1].ids[0], 3);
        assert_int_equal(l.is_keep, i == 0);
        assert_int_equal(l.n_experts, i == 0 ? 8 : 0);
        lists_clear(&l);
    }
    static const char *const bad[][2] = {
        {"", "holds no layer"},
        {"{}", "holds no layer"},
        {"# nothing\n", "holds no layer"},
        {"[1]", "expected an object of layers, found a list"},
        {"{\"0\": [1", "not valid JSON"},
        {"{\"0\": [1]}\n{\"1\": [1\n", "line 2: "},
        {"{\"x\": [1]}", "'x' is not a layer number"},
        {"{\"01\": [1]}", "'01' is not a layer number"},
        {"{\"4294967296\": [1]}", "numbers below 2^31"},
        {"{\"0\": 1}", "layer 0: expected a list of expert ids"},
        {"{\"0\": [1, -1]}", "layer 0: entry 1 is not an expert id"},
        {"{\"0\": [1, 1.0]}", "layer 0: entry 1 is not an expert id"},
        {"{\"0\": [65536]}", "layer 0: entry 0 is not an expert id"},
        {"{\"0\": [4, 3, 4]}", "layer 0: expert 4 is listed twice"},
        {"{\"0\": [1]}\n{\"0\": [2]}\n", "layer 0 is there twice"},
        {"{\"keep\": []}", "'keep' is a list"},
        {"{\"n_expert\": 0, \"keep\": {\"0\": [1]}}", "n_expert is 0"},
        {"{\"n_experts\": \"8\", \"keep\": {\"0\": [1]}}", "'n_experts' is a string"},
        {"0 1 2\n", "line 1: expected 'LAYER: IDS', found '0 1 2'"},
        {"0: 1\nx: 2\n", "line 2: expected 'LAYER: IDS'"},
        {"0: 1 x\n", "'x' is not an expert id"},
        {"0: 1 99999999999\n", "'99999999999' is not an expert id"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct id_lists l;
        struct err e = {0};
        put("l", bad[i][0]);
        if (lists_read(at("l"), &l, &e))
            fail_msg("accepted: %s", bad[i][0]);
        expect_err(&e, ERR_INPUT, bad[i][1]);
    }
}

static void test_from_lists(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum keep_kind kind;
        double value; /* 0: not counted */
        uint32_t n_keep, first[2];
        const char *part; /* or what is said */
    } cases[] = {
        {"{\"n_expert\": 8, \"keep\": {\"0\": [6, 1], \"3\": [0, 7]}}", KEEP_COUNT, 0, 2, {1, 6}, NULL},
        {"{\"0\": [3, 0, 2, 1]}\n{\"1\": [0, 1, 2, 3]}", PRUNE_RATIO, 0.5, 2, {0, 3}, NULL},
        {"{\"0\": [3, 0, 2, 1]}\n{\"1\": [0, 1, 2, 3]}", KEEP_COUNT, 2, 2, {0, 3}, NULL},
        {"{\"0\": [9, 0, 2]}", KEEP_COUNT, 2, 2, {0, 9}, NULL}, /* only the best are listed */
        {"{\"n_expert\": 8, \"keep\": {\"0\": [6, 1]}}", KEEP_COUNT, 1, 0, {0}, "already says who stays"},
        {"{\"n_expert\": 6, \"keep\": {\"0\": [6, 1]}}", KEEP_COUNT, 0, 0, {0}, "layer 0: expert 6 of 6"},
        {"{\"keep\": {\"0\": [6, 1], \"1\": [2]}}",
         KEEP_COUNT,
         0,
         0,
         {0},
         "layer 1 lists 1 experts, expected 2 as in"},
        {"{\"0\": [9, 0, 2]}", PRUNE_RATIO, 0.5, 0, {0}, "a ratio says nothing without --model"},
        {"{\"0\": [9, 0, 2]}", KEEP_COUNT, 4, 0, {0}, "layer 0 lists 3 experts, expected at least 4"},
        {"{\"0\": [1, 0, 2]}", KEEP_COUNT, 4, 0, {0}, "keeping 4 experts: the model has 3"},
        {"{\"0\": []}", KEEP_COUNT, 0, 0, {0}, "layer 0 keeps no expert"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct id_lists l;
        struct err e = {0};
        const struct plan_opts o = {.kind = cases[i].kind, .value = cases[i].value};
        put("l", cases[i].text);
        assert_true(lists_read(at("l"), &l, &e));
        struct plan *p = plan_from_lists(&l, at("l"), cases[i].value > 0, NULL, &o, &e);
        if (!p != !!cases[i].part)
            fail_msg("case %zu: %s", i, p ? "accepted" : e.msg);
        if (p) {
            assert_int_equal(p->n_keep, cases[i].n_keep);
            assert_memory_equal(p->layers[0].keep, cases[i].first, sizeof cases[i].first);
            assert_true(plan_write(at("p.json"), p, true, &e));
            struct plan *q = plan_load(at("p.json"), &e); /* what prune reads */
            if (!q)
                fail_msg("%s", e.msg);
            plan_free(q);
        } else {
            expect_err(&e, ERR_INPUT, cases[i].part);
        }
        plan_free(p);
        lists_clear(&l);
    }
}

/* ---- how the files are named ---- */

static void names_of_sources(void **state)
{
    (void)state;
    static const struct {
        const char *arg, *path;
        double weight;
    } good[] = {
        {"a.json", "a.json", 1}, {"a.json:2", "a.json", 2}, {"dir:x/a.json", "dir:x/a.json", 1},
        {"a:b:0.5", "a:b", 0.5}, {"a:", "a:", 1},           {"a:1e9", "a", 1e9},
    };
    struct plan_sources s = {0};
    struct err e = {0};
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_true(plan_sources_add(&s, good[i].arg, true, &e));
        assert_string_equal(s.v[i].path, good[i].path);
        assert_true(s.v[i].weight == good[i].weight);
    }
    assert_true(plan_sources_add(&s, "a.json:2", false, &e)); /* the operand has no weight */
    assert_string_equal(s.v[COUNT(good)].path, "a.json:2");
    static const char *const bad[] = {"a:0", "a:-1", "a:2e9"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_false(plan_sources_add(&s, bad[i], true, &e));
        expect_err(&e, ERR_INPUT, "the weight must be above 0");
    }
    assert_int_equal(s.n, COUNT(good) + 1);
    plan_sources_clear(&s);

    put("twice.json", "{}");
    assert_true(plan_sources_add(&s, at("none.json"), true, &e));
    assert_false(plan_sources_load(&s, "plan.json", &e));
    expect_err(&e, ERR_INPUT, "none.json");
    plan_sources_clear(&s);
    assert_true(plan_sources_add(&s, at("twice.json"), true, &e));
    assert_false(plan_sources_load(&s, at("twice.json"), &e));
    expect_err(&e, ERR_INPUT, "is an input");
    plan_sources_clear(&s);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, tempdir_setup, tempdir_teardown)
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_maxmin_by_hand),
        cmocka_unit_test(test_maxmin_brute_force),
        T(test_blend),
        T(test_protect),
        T(test_protect_share),
        T(test_gate_mass),
        T(test_no_gate_mass),
        T(test_protect_share_groups),
        T(test_lists),
        T(test_from_lists),
        T(names_of_sources),
    };
    return cmocka_run_group_tests_name("blend", tests, NULL, NULL);
}
