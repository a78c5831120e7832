/* test_mask.c - engine_mask: what it refuses, what an observer sees under a mask, gains, engine_match. That a masked model
 * computes what the pruned one does is in families_engine.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "convert/load.h"
#include "families.h"

#include <math.h>
#include <string.h>

#define N_EXPERTS 8 /* of qwen3_moe */
#define N_LAYERS  4

static struct engine *open_model(void)
{
    struct err e = {0};
    struct engine_opts o = golden_engine();
    struct engine *g = engine_open(TEST_DATA_DIR "/families/qwen3_moe/model.gguf", &o, &e);
    golden_ok(g != NULL, &e, "qwen3_moe");
    return g;
}

struct seen {
    uint64_t rows[N_LAYERS][N_EXPERTS];
};

static bool on_rows(void *ud, uint32_t il, uint32_t n_tokens, uint32_t k, const struct routed *rows,
                    struct err *e)
{
    struct seen *s = ud;
    (void)e;
    assert_true(il < N_LAYERS);
    for (size_t i = 0; i < (size_t)n_tokens * k; i++)
        s->rows[il][rows[i].expert]++;
    return true;
}

static void decode(struct engine *g, float *logits)
{
    struct err e = {0};
    int32_t token[32], pos[32], seq[32] = {0};
    for (int i = 0; i < 32; i++) {
        token[i] = 7 * i % 200;
        pos[i] = i;
    }
    engine_clear(g);
    golden_ok(engine_decode(g, &(struct engine_batch){32, token, pos, seq, NULL}, &e), &e, "decode");
    memcpy(logits, engine_logits(g, 31), engine_n_vocab(g) * sizeof *logits);
}

/* Layers 1 and 2 alone are masked, differently, with an observer and logits; then none. */
static void test_observed(void **state)
{
    (void)state;
    struct err e = {0};
    struct engine *g = open_model();
    static const uint32_t low[] = {0, 1, 2}, high[] = {3, 5, 6, 7};
    const struct engine_mask_layer layers[] = {{1, low, 3, 0}, {2, high, 4, 0}};
    struct seen s = {0};
    float *free_logits = test_malloc(engine_n_vocab(g) * sizeof(float)),
          *masked = test_malloc(engine_n_vocab(g) * sizeof(float)),
          *again = test_malloc(engine_n_vocab(g) * sizeof(float));
    const struct engine_run r = {
        .n_ctx = 64, .n_seq_max = 1, .observe = on_rows, .ud = &s, .want_logits = true};
    golden_ok(engine_mask(g, NULL, &e) && engine_start(g, &r, &e), &e, "start");
    decode(g, free_logits);
    assert_true(s.rows[1][3] + s.rows[1][4] + s.rows[1][5] + s.rows[1][6] + s.rows[1][7] > 0);
    assert_true(s.rows[2][0] + s.rows[2][1] + s.rows[2][2] + s.rows[2][4] > 0);
    s = (struct seen){0};
    golden_ok(engine_mask(g, &(struct engine_mask){N_EXPERTS, layers, 2}, &e), &e, "mask");
    decode(g, masked);
    assert_int_equal(s.rows[1][0] + s.rows[1][1] + s.rows[1][2], 64); /* 32 tokens x 2 */
    assert_int_equal(s.rows[2][3] + s.rows[2][5] + s.rows[2][6] + s.rows[2][7], 64);
    assert_memory_not_equal(free_logits, masked, engine_n_vocab(g) * sizeof(float));
    golden_ok(engine_mask(g, NULL, &e), &e, "no mask");
    decode(g, again);
    assert_memory_equal(free_logits, again, engine_n_vocab(g) * sizeof(float));
    test_free(free_logits);
    test_free(masked);
    test_free(again);
    engine_free(g);
}

/* A gain is seen by no router before it and by all logits; of 1 it changes nothing. */
static void test_gain(void **state)
{
    (void)state;
    struct err e = {0};
    struct engine *g = open_model();
    static const uint32_t low[] = {0, 1, 2}, all[] = {0, 1, 2, 3, 4, 5, 6, 7};
    struct engine_mask_layer l[] = {{1, low, 3, 0}, {2, all, 8, 0}};
    const struct engine_mask m = {N_EXPERTS, l, 2};
    size_t n = engine_n_vocab(g) * sizeof(float);
    float *plain = test_malloc(n), *same = test_malloc(n), *other = test_malloc(n);
    const struct engine_run r = {.n_ctx = 64, .n_seq_max = 1, .want_logits = true};
    golden_ok(engine_mask(g, &m, &e) && engine_start(g, &r, &e), &e, "start");
    decode(g, plain);
    l[0].gain = l[1].gain = 1;
    golden_ok(engine_mask(g, &m, &e), &e, "mask");
    decode(g, same);
    assert_memory_equal(plain, same, n);
    for (int i = 0; i < 2; i++) { /* in a layer that loses experts, and in one that keeps all */
        l[i].gain = 0.5f;
        golden_ok(engine_mask(g, &m, &e), &e, "mask");
        decode(g, other);
        assert_memory_not_equal(plain, other, n);
        l[i].gain = 1;
    }
    test_free(plain);
    test_free(same);
    test_free(other);
    engine_free(g);
}

/* With a mask that takes nobody, a layer gives what it gives whole; with a gain, that much more; with another
 * mask, something else, whatever the masks of the layers before it. */
static void test_match(void **state)
{
    (void)state;
    struct err e = {0};
    struct engine *g = open_model();
    static const uint32_t low[] = {0, 1, 2}, all[] = {0, 1, 2, 3, 4, 5, 6, 7};
    struct engine_mask_layer l[] = {{0, all, 8, 0}, {1, low, 3, 0}, {2, all, 8, 0.5f}};
    struct engine_mask m = {N_EXPERTS, l, 3};
    const struct engine_run r = {.n_ctx = 64, .n_seq_max = 1, .want_logits = true};
    int32_t token[32], pos[32], seq[32] = {0};
    for (int i = 0; i < 32; i++) {
        token[i] = 7 * i % 200;
        pos[i] = i;
    }
    const struct engine_batch b = {32, token, pos, seq, NULL};
    struct engine_match x[] = {{.il = 0}, {.il = 1}, {.il = 2}}, y = {.il = 1}, none = {.il = 3};
    golden_ok(engine_mask(g, &m, &e) && engine_start(g, &r, &e), &e, "start");
    golden_ok(engine_match(g, &b, x, 3, &e), &e, "match");
    assert_true(x[0].yy > 0 && x[0].ym == x[0].yy && x[0].mm == x[0].yy);
    assert_true(x[1].mm > 0 && x[1].mm != x[1].yy && x[1].ym * x[1].ym < x[1].mm * x[1].yy);
    assert_true(fabs(x[2].ym / x[2].yy - 0.5) < 1e-6 && fabs(x[2].mm / x[2].yy - 0.25) < 1e-6);
    m.layers = &l[1]; /* layer 0 was whole in effect: the same without its entry */
    m.n_layers = 1;
    golden_ok(engine_mask(g, &m, &e) && engine_match(g, &b, &y, 1, &e), &e, "match");
    assert_true(y.yy == x[1].yy && y.ym == x[1].ym && y.mm == x[1].mm);
    golden_ok(engine_match(g, &b, &y, 1, &e), &e, "match"); /* sums add up */
    assert_true(y.mm == 2 * x[1].mm);
    assert_false(engine_match(g, &b, &none, 1, &e));
    assert_non_null(strstr(e.msg, "layer 3: "));
    engine_free(g);
}

static void refused(struct engine *g, const struct engine_mask *m, const char *words)
{
    struct err e = {0};
    if (engine_mask(g, m, &e))
        fail_msg("accepted, expected an error with '%s'", words);
    if (!strstr(e.msg, words))
        fail_msg("'%s', expected '%s'", e.msg, words);
}

static void test_refused(void **state)
{
    (void)state;
    struct engine *g = open_model();
    static const uint32_t down[] = {2, 1}, twice[] = {1, 1}, high[] = {1, 8}, ok[] = {1, 2};
    const struct engine_mask_layer a = {0, down, 2, 0}, b = {0, twice, 2, 0}, c = {0, high, 2, 0},
                                   d = {0, ok, 0, 0}, h = {0, ok, 2, -1}, f = {5000, ok, 2, 0},
                                   two[] = {{1, ok, 2, 0}, {1, ok, 2, 0}};
    refused(g, &(struct engine_mask){N_EXPERTS, &a, 1}, "layer 0: expected ascending ids below 8");
    refused(g, &(struct engine_mask){N_EXPERTS, &b, 1}, "layer 0: expected ascending ids below 8");
    refused(g, &(struct engine_mask){N_EXPERTS, &c, 1}, "layer 0: expected ascending ids below 8");
    refused(g, &(struct engine_mask){N_EXPERTS, &d, 1}, "layer 0 keeps 0 of 8 experts");
    refused(g, &(struct engine_mask){N_EXPERTS, &f, 1}, "layer 5000 is out of range");
    refused(g, &(struct engine_mask){N_EXPERTS, &h, 1}, "layer 0: its gain is -1");
    refused(g, &(struct engine_mask){N_EXPERTS, two, 2}, "layer 1 is given twice");
    engine_free(g);
}

/* A layer that the graph does not route in is an error before anything is computed; another number of experts
 * at the first decode. */
static void test_other_model(void **state)
{
    (void)state;
    struct err e = {0};
    struct engine *g = open_model();
    static const uint32_t ok[] = {1, 2};
    const struct engine_mask_layer none = {9, ok, 2, 0}, first = {0, ok, 2, 0};
    const struct engine_run r = {.n_ctx = 64, .n_seq_max = 1, .want_logits = true};
    golden_ok(engine_mask(g, &(struct engine_mask){N_EXPERTS, &none, 1}, &e), &e, "mask");
    assert_false(engine_start(g, &r, &e));
    assert_non_null(strstr(e.msg, "layer 9: the engine's graph has no router scores"));
    err_clear(&e);
    golden_ok(engine_mask(g, NULL, &e) && engine_start(g, &r, &e), &e, "start");
    refused(g, &(struct engine_mask){N_EXPERTS, &none, 1},
            "layer 9: the engine's graph has no router scores");
    golden_ok(engine_mask(g, &(struct engine_mask){N_EXPERTS + 1, &first, 1}, &e), &e, "mask");
    int32_t token[2] = {1, 2}, pos[2] = {0, 1}, seq[2] = {0};
    assert_false(engine_decode(g, &(struct engine_batch){2, token, pos, seq, NULL}, &e));
    assert_non_null(strstr(e.msg, "layer 0: the router's scores are no float32 rows of 9 experts"));
    engine_free(g);
}

int main(int argc, char **argv)
{
    (void)argc;
    engine_begin(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_observed), cmocka_unit_test(test_gain),        cmocka_unit_test(test_match),
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_other_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
