/* test_mask.c - engine_mask: what it refuses, and what an observer sees under a mask. That a masked model
 * computes what the pruned one does is in families_engine.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "convert/load.h"
#include "families.h"

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
    const struct engine_mask_layer layers[] = {{1, low, 3}, {2, high, 4}};
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
    const struct engine_mask_layer a = {0, down, 2}, b = {0, twice, 2}, c = {0, high, 2}, d = {0, ok, 0},
                                   f = {5000, ok, 2}, two[] = {{1, ok, 2}, {1, ok, 2}};
    refused(g, &(struct engine_mask){N_EXPERTS, &a, 1}, "layer 0: expected ascending ids below 8");
    refused(g, &(struct engine_mask){N_EXPERTS, &b, 1}, "layer 0: expected ascending ids below 8");
    refused(g, &(struct engine_mask){N_EXPERTS, &c, 1}, "layer 0: expected ascending ids below 8");
    refused(g, &(struct engine_mask){N_EXPERTS, &d, 1}, "layer 0 keeps 0 of 8 experts");
    refused(g, &(struct engine_mask){N_EXPERTS, &f, 1}, "layer 5000 is out of range");
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
    const struct engine_mask_layer none = {9, ok, 2}, first = {0, ok, 2};
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
    engine_tame_threads(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_observed),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_other_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
