/* test_merge.c - src/stats/merge.c: shards and runs added up. Sums are exact in binary. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stats/merge.h"

#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void expect_err(struct err *e, enum err_code code, const char *part)
{
    if (e->code != code || !strstr(e->msg, part))
        fail_msg("code %d with '%s' expected, got %d: %s", code, part, e->code, e->msg);
    err_clear(e);
}

/* One layer of 2 experts, top-1. `even` tokens go to expert 0 with ||f|| = ||c|| = f, one odd token to
 * expert 1 with 2f. */
static struct stats *make(const char *calibration, int even, float f)
{
    struct stats *s = stats_new(1, 2);
    struct err e = {0};
    s->layers[0].il = 3;
    s->layers[0].n_used = 1;
    s->model = json_pack("{s:s, s:s, s:i}", "architecture", "test", "name", calibration, "n_experts", 2);
    s->calibration = json_parse(calibration, strlen(calibration), &e);
    assert_non_null(s->calibration);
    for (int t = 0; t < even; t++)
        assert_true(stats_add(s, 0, EVEN, &(struct routed){0, 1, f, f, f, f}, 1, &e));
    assert_true(stats_add(s, 0, ODD, &(struct routed){1, 0.5f, 2 * f, 2 * f, f, f}, 1, &e));
    return s;
}

#define SHARD(i, n) "{\"ctx\":8,\"n_tokens\":9,\"seed\":1,\"shard\":{\"index\":" #i ",\"of\":" #n "}}"
#define RUN(seed, ctx, text)                                                                           \
    "{\"ctx\":" #ctx ",\"n_tokens\":3,\"n_samples\":2,\"seed\":" #seed ",\"files\":[{\"file\":\"" text \
    "\",\"sha256\":\"" text "\"}]}"

static void test_shards(void **state)
{
    (void)state;
    struct stats *s[3] = {make(SHARD(3, 3), 3, 4), make(SHARD(1, 3), 1, 1), make(SHARD(2, 3), 2, 2)};
    static const char *const path[3] = {"c", "a", "b"};
    struct err e = {0};
    struct stats *m = stats_merge(s, path, 3, false, &e);
    if (!m)
        fail_msg("%s", e.msg);
    const struct sums even = {.count = 6,
                              .gate_sum = 6,
                              .gate_sq_sum = 6,
                              .ean_sum = 17,
                              .ean_sq_sum = 57,
                              .reap_sum = 17,
                              .reap_sq_sum = 57,
                              .max_activation = 4,
                              .loo_sum = 17,
                              .loo_sq_sum = 57};
    const struct sums odd = {.count = 3,
                             .gate_sum = 1.5,
                             .gate_sq_sum = 0.75,
                             .ean_sum = 14,
                             .ean_sq_sum = 84,
                             .reap_sum = 14,
                             .reap_sq_sum = 84,
                             .max_activation = 4,
                             .loo_sum = 7,
                             .loo_sq_sum = 21};
    assert_memory_equal(&m->layers[0].half[EVEN][0], &even, sizeof even);
    assert_memory_equal(&m->layers[0].half[ODD][1], &odd, sizeof odd);
    assert_int_equal(m->layers[0].tokens[EVEN], 6);
    assert_int_equal(m->layers[0].tokens[ODD], 3);
    assert_int_equal(m->layers[0].il, 3);
    assert_null(json_object_get(m->calibration, "shard")); /* it says what the whole run says */
    assert_int_equal(json_integer_value(json_object_get(m->calibration, "n_tokens")), 9);
    stats_free(m);
    for (int i = 0; i < 3; i++)
        stats_free(s[i]);
}

static void test_runs(void **state)
{
    (void)state;
    struct stats *s[2] = {make(RUN(1, 8, "x"), 2, 1), make(RUN(2, 8, "y"), 2, 1)};
    static const char *const path[2] = {"a", "b"};
    struct err e = {0};
    struct stats *m = stats_merge(s, path, 2, false, &e);
    assert_non_null(m);
    assert_int_equal(m->layers[0].half[EVEN][0].count, 4);
    json_t *c = m->calibration;
    assert_int_equal(json_integer_value(json_object_get(c, "n_tokens")), 6);
    assert_int_equal(json_integer_value(json_object_get(c, "n_samples")), 4);
    assert_int_equal(json_array_size(json_object_get(c, "files")), 2);
    assert_true(json_is_null(json_object_get(c, "seed"))); /* differs */
    assert_int_equal(json_integer_value(json_object_get(c, "ctx")), 8);
    stats_free(m);
    for (int i = 0; i < 2; i++)
        stats_free(s[i]);
}

/* What was not used adds up; samples are those of the first file, and no part of what makes a run. */
static void test_unused(void **state)
{
    (void)state;
#define UNUSED(text, more) "{\"ctx\":8,\"n_tokens\":3,\"files\":[{\"sha256\":\"" text "\"}]" more "}"
    struct stats *s[3] = {
        make(UNUSED("a", ""), 1, 1),
        make(UNUSED("b", ",\"samples\":[{\"text\":\"B\"}],\"unused\":{\"rejected\":2}"), 1, 1),
        make(UNUSED("c", ",\"unused\":{\"rejected\":3,\"tools\":1}"), 1, 1)};
    static const char *const path[3] = {"b", "a", "c"};
    struct err e = {0};
    struct stats *m = stats_merge(s, path, 3, false, &e);
    if (!m)
        fail_msg("%s", e.msg);
    const json_t *u = json_object_get(m->calibration, "unused");
    assert_int_equal(json_object_size(u), 2);
    assert_int_equal(json_integer_value(json_object_get(u, "rejected")), 5);
    assert_int_equal(json_integer_value(json_object_get(u, "tools")), 1);
    assert_null(json_object_get(m->calibration, "samples"));
    stats_free(m);
    m = stats_merge(s + 1, path + 1, 2, false, &e);
    assert_int_equal(json_array_size(json_object_get(m->calibration, "samples")), 1);
    stats_free(m);
    for (int i = 0; i < 3; i++)
        stats_free(s[i]);
    /* shards of one run, of which one was made before there were samples */
    s[0] = make(SHARD(1, 2), 3, 1), s[1] = make(SHARD(2, 2), 4, 1);
    json_object_set_new(s[0]->calibration, "samples", json_pack("[{s:s}]", "text", "A"));
    if (!(m = stats_merge(s, path, 2, false, &e)))
        fail_msg("%s", e.msg);
    assert_int_equal(json_integer_value(json_object_get(m->calibration, "n_tokens")), 9);
    assert_int_equal(json_array_size(json_object_get(m->calibration, "samples")), 1);
    stats_free(m);
    stats_free(s[0]);
    stats_free(s[1]);
}

/* Parts of one run by programs whose usual step differs. */
static void test_other_step(void **state)
{
    (void)state;
    struct stats *s[2] = {make(SHARD(1, 2), 3, 1), make(SHARD(2, 2), 4, 1)};
    static const char *const path[2] = {"a", "b"};
    struct err e = {0};
    json_object_set_new(s[0]->calibration, "ubatch", json_integer(512));
    json_object_set_new(s[1]->calibration, "ubatch", json_integer(1024));
    assert_null(stats_merge(s, path, 2, false, &e));
    expect_err(&e, ERR_INPUT, "b was made with another 'ubatch' than a (found 1024, expected 512)");
    e = (struct err){0};
    struct stats *m = stats_merge(s, path, 2, true, &e);
    if (!m)
        fail_msg("%s", e.msg);
    assert_int_equal(json_integer_value(json_object_get(m->calibration, "n_tokens")), 9);
    assert_true(json_is_null(json_object_get(m->calibration, "ubatch")));
    assert_int_equal(json_integer_value(json_object_get(m->calibration, "ctx")), 8);
    stats_free(m);
    json_object_set_new(s[1]->calibration, "seed", json_integer(77)); /* which is another choice of samples */
    assert_null(stats_merge(s, path, 2, true, &e));
    expect_err(&e, ERR_INPUT, "shard 2 of 2 is missing");
    stats_free(s[0]);
    stats_free(s[1]);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *cal[3]; /* NULL ends */
        bool force;
        const char *part; /* NULL: fine */
    } cases[] = {
        {{SHARD(1, 3), SHARD(2, 3)}, true, "shard 3 of 3 is missing"},
        {{SHARD(2, 3), SHARD(3, 3)}, true, "shard 1 of 3 is missing"},
        {{SHARD(1, 2), SHARD(1, 2), SHARD(2, 2)}, true, "shard 1 of 2 is there twice: a and b"},
        {{SHARD(1, 2), SHARD(2, 3)}, true, "cut differently"},
        {{SHARD(1, 2), SHARD(2, 2)}, true, "hold 6 tokens together, the run has 9"},
        {{SHARD(0, 2), SHARD(2, 2)}, true, "a: is shard 0 of 2"},
        {{SHARD(3, 2), SHARD(2, 2)}, true, "a: is shard 3 of 2"},
        {{SHARD("1", 2), SHARD(2, 2)}, true, "calibration.shard: 'index' is a string"},
        {{"{\"shard\":[]}", SHARD(2, 2)}, true, "calibration.shard is a list"},
        {{RUN(1, 8, "x"), RUN(1, 8, "x")}, true, "its text would count twice"},
        {{RUN(1, 8, "x"), RUN(1, 9, "y")}, false, "another 'ctx'"},
        {{RUN(1, 8, "x"), RUN(1, 9, "y")}, true, NULL},
        {{RUN(1, 8, "x"), RUN(1, 8, "y"), RUN(1, 8, "x")}, true, "would count twice"},
        {{"{\"ctx\":8,\"n_tokens\":9,\"seed\":1}", SHARD(1, 3)},
         true,
         "of the same run, its text would count twice"},
        {{RUN(1, 8, "x")}, false, NULL},
    };
    static const char *const path[3] = {"a", "b", "c"};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct stats *s[3] = {0};
        struct err e = {0};
        uint32_t n = 0;
        for (; n < 3 && cases[i].cal[n]; n++)
            s[n] = make(cases[i].cal[n], 2, 1);
        struct stats *m = stats_merge(s, path, n, cases[i].force, &e);
        if (!m != !!cases[i].part)
            fail_msg("case %zu: %s", i, m ? "merged" : e.msg);
        if (!m)
            expect_err(&e, ERR_INPUT, cases[i].part);
        stats_free(m);
        for (uint32_t k = 0; k < n; k++)
            stats_free(s[k]);
    }
}

static void test_other_models(void **state)
{
    (void)state;
    static const char *const path[2] = {"a", "b"};
    for (int i = 0; i < 5; i++) {
        struct stats *s[2] = {make(RUN(1, 8, "x"), 2, 1), make(RUN(1, 8, "y"), 2, 1)};
        struct err e = {0};
        const char *part = "";
        switch (i) {
        case 0:
            json_object_set_new(s[1]->model, "architecture", json_string("x")), part = "'architecture'";
            break;
        case 1:
            json_object_set_new(s[1]->model, "router_hash", json_string("x")), part = "'router_hash'";
            break;
        case 2: s[1]->layers[0].il = 4, part = "has layer 4 with top-1, a layer 3"; break;
        case 3:
            s[1]->progress = calloc(1, sizeof *s[1]->progress), part = "b is of a run that has not ended";
            break;
        case 4: s[1]->layers[0].half[EVEN][0].count = INT64_MAX, part = "too large"; break;
        }
        assert_null(stats_merge(s, path, 2, true, &e));
        expect_err(&e, ERR_INPUT, part);
        stats_free(s[0]);
        stats_free(s[1]);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shards),       cmocka_unit_test(test_runs),
        cmocka_unit_test(test_unused),       cmocka_unit_test(test_refused),
        cmocka_unit_test(test_other_models), cmocka_unit_test(test_other_step),
    };
    return cmocka_run_group_tests_name("merge", tests, NULL, NULL);
}
