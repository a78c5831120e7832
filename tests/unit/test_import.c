/* test_import.c - src/import: statistics of other tools. Numbers are exact in binary, expected values by
 * hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/quantize.h"
#include "gguf/gguf_file.h"
#include "import/import.h"
#include "stats/criteria.h"
#include "tempdir.h"

#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void expect_err(struct err *e, enum err_code code, const char *part)
{
    if (e->code != code || !strstr(e->msg, part))
        fail_msg("code %d with '%s' expected, got %d: %s", code, part, e->code, e->msg);
    err_clear(e);
}

static struct import_opts opts(const char *name)
{
    return (struct import_opts){.path = at(name), .architecture = "test"};
}

/* ---- llama-expert-profile ---- */

/* 8 tokens, top-2 of 4 experts. */
#define LAYER(total, counts, reap, ean, more)                                          \
    "{\"total_tokens\": " total ", \"activation_counts\": " counts ", \"reap\": " reap \
    ", \"ean_mean\": " ean more ", \"never_activated\": 1}"
#define COUNTS "[8, 5, 3, 0]"
#define REAP   "[0.5, 2, 1.5, 0]"
#define EAN    "[1, 4, 2, 0]"
#define GATE   ", \"avg_gate_weight\": [0.75, 0.5, 0.25, 0]"
#define GOOD   LAYER("8", COUNTS, REAP, EAN, GATE)

static void test_expert_profile(void **state)
{
    (void)state;
    struct err e = {0};
    struct import_opts o = opts("p.json");
    put("p.json", "{\"10\": " GOOD ", \"9\": " LAYER("4", "[0, 0, 4, 4]", REAP, EAN, GATE) "}");
    struct stats *s = import_expert_profile(&o, &e);
    if (!s)
        fail_msg("%s", e.msg);
    assert_int_equal(s->n_layers, 2);
    assert_int_equal(s->n_experts, 4);
    assert_int_equal(s->layers[0].il, 9);
    assert_int_equal(s->layers[1].il, 10);
    assert_int_equal(s->layers[1].n_used, 2);
    assert_int_equal(s->layers[1].tokens[EVEN], 8);
    assert_int_equal(s->layers[1].tokens[ODD], 0);
    const struct sums one = {.count = 5, .gate_sum = 2.5, .ean_sum = 20, .reap_sum = 10};
    assert_memory_equal(&s->layers[1].half[EVEN][1], &one, sizeof one);
    assert_int_equal(json_integer_value(json_object_get(s->model, "n_experts_used")), 2);
    assert_string_equal(json_string_value(json_object_get(s->model, "architecture")), "test");

    /* kept in our file, and known to the criteria */
    assert_true(stats_save(s, at("s.json"), false, &e));
    stats_free(s);
    s = stats_load(at("s.json"), &e);
    if (!s)
        fail_msg("%s", e.msg);
    assert_int_equal(s->unknown, SUM_ALL & ~(SUM_BIT(SUM_GATE) | SUM_BIT(SUM_EAN) | SUM_BIT(SUM_REAP)));
    double score[4];
    assert_true(criterion_scores(s, 1, criterion_find("reap"), 0, -1, score, &e));
    assert_memory_equal(score, ((double[]){0.5, 2, 1.5, 0}), sizeof score);
    assert_false(criterion_scores(s, 1, criterion_find("reap_l2"), 0, -1, score, &e));
    expect_err(
        &e, ERR_INPUT,
        "the criterion reap_l2 needs sums that this file does not hold (imported from llama-expert-profile); "
        "possible are reap, reap_sum, ean_mean, ean_sum, frequency, gate_mean, gate_sum, random");

    /* and back: what the tool wrote */
    json_t *x = export_expert_profile(s, &e), *l = json_object_get(x, "10");
    assert_non_null(l);
    double v[4];
    assert_true(json_need_f64s(l, "reap", "x", v, 4, &e));
    assert_memory_equal(v, score, sizeof v);
    assert_true(json_need_f64s(l, "avg_gate_weight", "x", v, 4, &e));
    assert_memory_equal(v, ((double[]){0.75, 0.5, 0.25, 0}), sizeof v);
    assert_true(json_need_f64s(l, "activation_frequency", "x", v, 4, &e));
    assert_memory_equal(v, ((double[]){1, 0.625, 0.375, 0}), sizeof v);
    assert_int_equal(json_integer_value(json_object_get(l, "never_activated")), 1);
    assert_int_equal(json_integer_value(json_object_get(l, "total_tokens")), 8);
    json_decref(x);
    stats_free(s);
}

static void test_expert_profile_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "not valid JSON"},
        {"[]", "expected an object of 1 to 4096 layers"},
        {"{}", "expected an object of 1 to 4096 layers"},
        {"{\"x\": {}}", "'x' is not a layer"},
        {"{\"01\": {}}", "'01' is not a layer"},
        {"{\"1\": []}", "'1' is not a layer"},
        {"{\"99999999999\": {}}", "is not a layer"},
        {"{\"0\": {}}", "'activation_counts' is missing"},
        {"{\"0\": " LAYER("8", "[]", REAP, EAN, GATE) "}", "0 experts"},
        {"{\"0\": " LAYER("8", "[8, 5, 3.5, 0]", REAP, EAN, GATE) "}",
         "layer 0: 'activation_counts' entry 2"},
        {"{\"0\": " LAYER("8", "[8, 5, -3, 0]", REAP, EAN, GATE) "}", "layer 0: 'activation_counts' entry 2"},
        {"{\"0\": " LAYER("7", COUNTS, REAP, EAN, GATE) "}", "no multiple of 7 tokens"},
        {"{\"0\": " LAYER("1", COUNTS, REAP, EAN, GATE) "}", "no multiple of 1 tokens by 1 to 4 experts"},
        {"{\"0\": " LAYER("0", "[0, 0, 0, 0]", REAP, EAN, GATE) "}", "holds no token"},
        {"{\"0\": " LAYER("8", COUNTS, "[0.5, 2, 1.5]", EAN, GATE) "}",
         "layer 0: 'reap' has 3 entries, expected 4"},
        {"{\"0\": " LAYER("8", COUNTS, "[0.5, -2, 1.5, 0]", EAN, GATE) "}", "expert 1: a sum is -10"},
        {"{\"0\": " LAYER("8", COUNTS, REAP, "[\"1\", 4, 2, 0]", GATE) "}", "'ean_mean' entry 0 is a string"},
        {"{\"0\": " GOOD ", \"1\": " LAYER("8", "[8, 8]", "[1, 1]", "[1, 1]", "") "}",
         "layer 1: 'activation_counts' has 2 entries, expected 4"},
        {"{\"0\": " LAYER("1", "[9223372036854775807, 9223372036854775807, 9223372036854775807, 0]", REAP,
                          EAN, "") "}",
         "too large"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err e = {0};
        struct import_opts o = opts("bad.json");
        put("bad.json", cases[i][0]);
        struct stats *s = import_stats(&o, &e);
        if (s)
            fail_msg("accepted: %s", cases[i][0]);
        if (!strstr(e.msg, "bad.json"))
            fail_msg("the file is not named: %s", e.msg);
        expect_err(&e, ERR_INPUT, cases[i][1]);
    }
}

/* 4 experts, top-1, 400 tokens: random choices give a deviation of sqrt(400 * 1/4 * 3/4) = 8.66. */
static void test_scrambled(void **state)
{
    (void)state;
    static const struct {
        const char *counts;
        bool good;
    } cases[] = {
        {"[100, 100, 100, 100]", false}, {"[102, 98, 103, 97]", false}, /* 2.5: 0.29 times */
        {"[105, 95, 104, 96]", true},                                   /* 4.5: 0.52 times */
        {"[150, 50, 120, 80]", true},    {"[400, 0, 0, 0]", true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[400];
        struct err e = {0};
        struct import_opts o = opts("p.json");
        snprintf(text, sizeof text, "{\"0\": " LAYER("400", "%s", REAP, EAN, "") "}", cases[i].counts);
        put("p.json", text);
        struct stats *s = import_expert_profile(&o, &e);
        if (!s != !cases[i].good)
            fail_msg("case %zu: %s", i, e.msg);
        if (!s)
            expect_err(&e, ERR_INPUT, "times as far as random choices would");
        else
            assert_int_equal(s->unknown & SUM_BIT(SUM_GATE), SUM_BIT(SUM_GATE)); /* it had none */
        stats_free(s);
        o.force = true;
        s = import_expert_profile(&o, &e);
        assert_non_null(s);
        stats_free(s);
    }
}

/* ---- imatrix ---- */

struct tensor {
    const char *name;
    uint64_t ne[2];
    float v[12];
};

static void put_gguf(const char *file, const char *type, const struct tensor *t, size_t n)
{
    struct buf b = {0};
    uint64_t off = 0;
    gg_put_start(&b, 3, n, 1);
    gg_put_str(&b, "general.type", type);
    for (size_t i = 0; i < n; i++) {
        gg_put_tensor(&b, t[i].name, 2, t[i].ne, 0, off);
        off += gg_align(t[i].ne[0] * t[i].ne[1] * 4, 32);
    }
    gg_pad(&b, 32);
    for (size_t i = 0; i < n; i++) {
        buf_add(&b, t[i].v, t[i].ne[0] * t[i].ne[1] * 4);
        gg_pad(&b, 32);
    }
    put_bytes(file, b.s, b.n);
    buf_clear(&b);
}

static void test_imatrix(void **state)
{
    (void)state;
    static const struct tensor t[] = {
        {"blk.0.attn_q.weight.counts", {1, 1}, {8}},
        {"blk.3.ffn_gate_exps.weight.counts", {1, 3}, {2, 1, 1}},
        {"blk.1.ffn_down_exps.weight.counts", {1, 3}, {5, 0, 3}},
        {"blk.1.ffn_down_exps.weight.in_sum2", {2, 3}, {1, 2, 0, 0, 3, 4}},
    };
    struct err e = {0};
    struct import_opts o = opts("im.gguf");
    put_gguf("im.gguf", "imatrix", t, COUNT(t));
    assert_null(import_stats(&o, &e));
    expect_err(&e, ERR_INPUT, "how many experts does a token use (1 to 3)?");
    o.n_used = 2;
    struct stats *s = import_stats(&o, &e);
    if (!s)
        fail_msg("%s", e.msg);
    assert_int_equal(s->n_layers, 2);
    assert_int_equal(s->layers[0].il, 1);
    assert_int_equal(s->layers[1].il, 3);
    assert_int_equal(s->layers[0].tokens[EVEN], 4);
    assert_int_equal(s->layers[1].tokens[EVEN], 2);
    assert_int_equal(s->layers[0].half[EVEN][0].count, 5);
    assert_int_equal(s->layers[0].half[EVEN][1].count, 0);
    double score[3];
    assert_true(criterion_scores(s, 0, criterion_find("frequency"), 0, -1, score, &e));
    assert_memory_equal(score, ((double[]){5, 0, 3}), sizeof score);
    for (uint32_t c = 0; criterion_at(c); c++)
        if (criterion_needs(criterion_at(c))) {
            assert_false(criterion_scores(s, 0, criterion_at(c), 0, -1, score, &e));
            expect_err(&e, ERR_INPUT, "possible are frequency, random");
        }
    stats_free(s);
    o.n_used = 3;
    assert_null(import_stats(&o, &e));
    expect_err(&e, ERR_INPUT, "add up to 8, which is no multiple of 3");
}

static void test_imatrix_refused(void **state)
{
    (void)state;
    static const char *const counts = "blk.1.ffn_down_exps.weight.counts";
    const struct {
        const char *type;
        struct tensor t;
        const char *part;
    } cases[] = {
        {"model", {counts, {1, 2}, {1, 1}}, "general.type is 'model', expected 'imatrix'"},
        {"imatrix", {"blk.1.ffn_down.weight.counts", {1, 2}, {1, 1}}, "holds no counts of experts"},
        {"imatrix", {counts, {1, 1}, {1}}, "holds 1 counts, expected one for each expert"},
        {"imatrix", {counts, {2, 2}, {1, 1, 1, 1}}, "is f32 [2, 2], expected f32 [1, 2]"},
        {"imatrix", {counts, {1, 2}, {1, -1}}, "the count of expert 1 is -1"},
        {"imatrix", {counts, {1, 2}, {1.5f, 1}}, "the count of expert 0 is 1.5"},
        {"imatrix", {counts, {1, 2}, {1, (float)__builtin_nan("")}}, "the count of expert 1 is"},
        {"imatrix", {counts, {1, 2}, {1e30f, 1}}, "the count of expert 0 is 1e+30"},
        {"imatrix", {counts, {1, 2}, {0, 0}}, "holds no token"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err e = {0};
        struct import_opts o = opts("bad.gguf");
        o.n_used = 1;
        put_gguf("bad.gguf", cases[i].type, &cases[i].t, 1);
        struct stats *s = import_imatrix(&o, &e);
        if (s)
            fail_msg("case %zu accepted", i);
        if (!strstr(e.msg, "bad.gguf"))
            fail_msg("the file is not named: %s", e.msg);
        expect_err(&e, ERR_INPUT, cases[i].part);
    }
}

/* The estimate with real weights: in_sum2 is 1 in column j alone, so it is the squared length of that
 * column. */
static void test_imatrix_estimate(void **state)
{
    (void)state;
    static const char *const path = TEST_DATA_DIR "/families/qwen3_moe/model.gguf";
    struct err e = {0};
    struct view *v = view_open(path, &e);
    if (!v)
        fail_msg("%s", e.msg);
    const struct view_tensor *t = view_find(v, "blk.1.ffn_down_exps.weight");
    assert_non_null(t);
    uint64_t f = t->dims[0], h = t->dims[1], n = t->dims[2];
    float *w = calloc(f * h * n, 4), *in2 = calloc(f * n, 4), *counts = calloc(n, 4);
    assert_true(w && in2 && counts && t->bytes == f * h * n * 4);
    FILE *file = fopen(path, "rb");
    assert_true(file && !fseek(file, (long)t->off, SEEK_SET) && fread(w, 4, f * h * n, file) == f * h * n);
    fclose(file);
    double want[64] = {0};
    for (uint64_t j = 0; j < n; j++) {
        uint64_t col = (3 * j + 1) % f;
        in2[j * f + col] = 1;
        counts[j] = (float)v->shape.n_used;
        for (uint64_t i = 0; i < h; i++)
            want[j] += (double)w[(j * h + i) * f + col] * (double)w[(j * h + i) * f + col];
    }
    struct buf b = {0};
    char name[64];
    uint64_t off = 0;
    gg_put_start(&b, 3, 2ull * v->n_layers, 1);
    gg_put_str(&b, "general.type", "imatrix");
    for (uint32_t i = 0; i < v->n_layers; i++) {
        snprintf(name, sizeof name, "blk.%u.ffn_down_exps.weight.in_sum2", v->layers[i].il);
        gg_put_tensor(&b, name, 2, (uint64_t[]){f, n}, 0, off);
        off += gg_align(f * n * 4, 32);
        snprintf(name, sizeof name, "blk.%u.ffn_down_exps.weight.counts", v->layers[i].il);
        gg_put_tensor(&b, name, 2, (uint64_t[]){1, n}, 0, off);
        off += gg_align(n * 4, 32);
    }
    gg_pad(&b, 32);
    for (uint32_t i = 0; i < v->n_layers; i++) {
        buf_add(&b, in2, f * n * 4);
        gg_pad(&b, 32);
        buf_add(&b, counts, n * 4);
        gg_pad(&b, 32);
    }
    put_bytes("im.gguf", b.s, b.n);
    buf_clear(&b);
    struct import_opts o = {.path = at("im.gguf"), .view = v, .to_float = engine_dequantize};
    struct stats *s = import_imatrix(&o, &e);
    if (!s)
        fail_msg("%s", e.msg);
    uint32_t i = (uint32_t)view_layer_index(v, 1);
    for (uint64_t j = 0; j < n; j++)
        assert_true(s->layers[i].half[EVEN][j].ean_sq_sum == want[j]);
    assert_int_equal(s->unknown & SUM_BIT(SUM_EAN_SQ), 0);
    assert_int_equal(s->unknown & SUM_BIT(SUM_EAN), SUM_BIT(SUM_EAN));
    stats_free(s);

    /* a model with other layers or experts */
    v->n_layers--;
    assert_null(import_imatrix(&o, &e));
    expect_err(&e, ERR_INPUT, "has layer");
    v->n_layers++;
    v->shape.n_experts++;
    assert_null(import_imatrix(&o, &e));
    expect_err(&e, ERR_INPUT, "experts, the model 'model.gguf' has");
    v->shape.n_experts--;
    view_free(v);
    free(w);
    free(in2);
    free(counts);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, tempdir_setup, tempdir_teardown)
    static const struct CMUnitTest tests[] = {
        T(test_expert_profile), T(test_expert_profile_refused), T(test_scrambled),
        T(test_imatrix),        T(test_imatrix_refused),        T(test_imatrix_estimate),
    };
    return cmocka_run_group_tests_name("import", tests, NULL, NULL);
}
