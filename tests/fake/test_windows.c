/* test_windows.c - src/corpus/windows.c with an engine: text to tokens, and batches in compute steps.
 * (tests/unit/test_windows.c has what needs none: cutting and packing.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "corpus/windows.h"
#include "engine_fake.h"
#include "tempdir.h"

#include <string.h>

#define MODEL TEST_DATA_DIR "/families/olmoe/model.gguf"

static struct engine *engine;

static int setup(void **state)
{
    log_quiet = true;
    fake_reset();
    return tempdir_setup(state);
}

static int teardown(void **state)
{
    engine_free(engine);
    engine = NULL;
    return tempdir_teardown(state);
}

static void open_engine(int64_t ubatch)
{
    struct engine_opts o;
    struct err e = {0};
    engine_opts_default(&o);
    o.ubatch = ubatch;
    engine_free(engine);
    engine = engine_open(MODEL, &o, &e);
    if (!engine)
        fail_msg("%s", e.msg);
}

/* ---- text to tokens ---- */

static bool tokenize(const char *rows, struct windows *w, struct err *e)
{
    struct corpus c = {0};
    put("rows.jsonl", rows);
    const char *spec = at("rows.jsonl");
    struct corpus_opts o = {.specs = &spec, .n_specs = 1};
    open_engine(64);
    bool ok = corpus_load(&o, &c, e) && windows_tokenize(w, &c, engine, e);
    corpus_free(&c);
    return ok;
}

static void is_text(const struct windows *w, uint32_t i, const char *want)
{
    uint32_t bos = fake.bos >= 0;
    assert_int_equal(w->n_tokens[i], bos + strlen(want));
    assert_true(!bos || w->tokens[i][0] == FAKE_BOS);
    for (uint32_t t = 0; want[t]; t++)
        assert_int_equal(w->tokens[i][bos + t], (uint8_t)want[t]);
}

static void test_tokens(void **state)
{
    (void)state;
    static const char rows[] = "{\"text\": \"ab\"}\n"
                               "{\"prompt\": \"p\", \"response\": \"r\"}\n"
                               "{\"messages\": [{\"role\": \"system\", \"content\": \"s\"}]}\n"
                               "{\"tokens\": [3, 1, 256]}\n";
    for (int bos = 0; bos < 2; bos++) {
        struct windows w;
        struct err e = {0};
        fake.bos = bos ? FAKE_BOS : -1;
        if (!tokenize(rows, &w, &e))
            fail_msg("%s", e.msg);
        is_text(&w, 0, "ab");
        is_text(&w, 1, "user: p\nassistant: r\n");
        is_text(&w, 2, "system: s\n");
        static const int32_t ids[] = {3, 1, 256}; /* as they are: no BOS */
        assert_int_equal(w.n_tokens[3], 3);
        assert_memory_equal(w.tokens[3], ids, sizeof ids);
        assert_int_equal(w.total, 3 * bos + 2 + 21 + 10 + 3);
        windows_clear(&w);
    }
}

/* Rows that turn out to be bad only here are left out when bad rows are to be. */
static void test_skip_bad(void **state)
{
    (void)state;
    struct corpus c = {0};
    struct windows w;
    struct err e = {0};
    put("rows.jsonl", "{\"tokens\": [257]}\n{\"text\": \"ab\"}\n{\"tokens\": [1, 999]}\n{\"text\": \"c\"}\n");
    const char *spec = at("rows.jsonl");
    fake.bos = -1;
    open_engine(64);
    assert_true(corpus_load(&(struct corpus_opts){.specs = &spec, .n_specs = 1, .skip_bad = true}, &c, &e));
    assert_true(windows_tokenize(&w, &c, engine, &e));
    assert_true(w.n_samples == 2 && c.n_samples == 2 && w.total == 3);
    is_text(&w, 0, "ab");
    is_text(&w, 1, "c");
    assert_string_equal(c.samples[1].text, "c");
    assert_true(c.sources[0].n_rows == 4 && c.sources[0].n_used == 2 && c.sources[0].n_bad == 2);
    char **list;
    size_t n = log_warnings(&list);
    assert_true(n > 0 && strstr(list[n - 1], "2 rows left out, the first: ") &&
                strstr(list[n - 1], "rows.jsonl:1: token id 257"));
    windows_clear(&w);
    corpus_free(&c);
    put("rows.jsonl", "{\"tokens\": [257]}\n");
    assert_true(corpus_load(&(struct corpus_opts){.specs = &spec, .n_specs = 1, .skip_bad = true}, &c, &e));
    assert_false(windows_tokenize(&w, &c, engine, &e));
    assert_non_null(strstr(e.msg, "no samples are left"));
    windows_clear(&w);
    corpus_free(&c);
}

/* The file and the line of the row that cannot be used. */
static void test_bad_rows(void **state)
{
    (void)state;
    static const struct {
        const char *rows, *says[2];
        bool no_template;
    } cases[] = {
        {"{\"text\": \"a\"}\n\n{\"tokens\": [1, 257]}\n", {"rows.jsonl:3: ", "token id 257"}, false},
        {"{\"text\": \"a\"}\n{\"prompt\": \"p\", \"response\": \"r\"}\n",
         {"rows.jsonl:2: ", "template"},
         true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct windows w = {0};
        struct err e = {0};
        fake.no_template = cases[i].no_template;
        assert_false(tokenize(cases[i].rows, &w, &e));
        assert_int_equal(e.code, ERR_INPUT);
        for (int k = 0; k < 2; k++)
            if (!strstr(e.msg, cases[i].says[k]))
                fail_msg("'%s' does not say '%s'", e.msg, cases[i].says[k]);
        windows_clear(&w);
    }
}

/* ---- compute steps ---- */

static struct windows random_windows(struct rng *r, uint32_t n, uint32_t most, uint32_t n_ctx)
{
    struct windows w = {.n_samples = n};
    struct err e = {0};
    w.tokens = xcalloc(n, sizeof *w.tokens);
    w.n_tokens = xcalloc(n, sizeof *w.n_tokens);
    for (uint32_t i = 0; i < n; i++) {
        w.total += w.n_tokens[i] = 1 + (uint32_t)rng_below(r, most);
        w.tokens[i] = xcalloc(w.n_tokens[i], sizeof **w.tokens);
        for (uint32_t t = 0; t < w.n_tokens[i]; t++)
            w.tokens[i][t] = (int32_t)rng_below(r, FAKE_VOCAB);
    }
    assert_true(windows_cut(&w, n_ctx, &e));
    return w;
}

struct seen {
    uint32_t batch, n;
    uint32_t steps, last; /* tokens of the last step */
    uint8_t *token;       /* times, by place in the text: [window * n_ctx + at] */
    uint32_t n_ctx;
    uint32_t stop_at; /* the step at which fn fails; 0: none */
};

static bool on_step(void *ud, const struct windows *w, const uint32_t *win, const uint32_t *pos, uint32_t n,
                    struct err *e)
{
    struct seen *s = ud;
    const struct window_batch *b = &w->batches[s->batch];
    if (++s->steps == s->stop_at)
        return err_set(e, ERR_FAILED, "enough");
    for (uint32_t i = 0; i < n; i++) {
        bool mine = false;
        for (uint32_t k = 0; k < b->n; k++)
            mine = mine || w->order[b->first + k] == win[i];
        assert_true(mine && pos[i] < w->list[win[i]].n);
        s->token[win[i] * s->n_ctx + pos[i]]++;
    }
    s->n += n;
    s->last = n;
    return true;
}

static void start(const struct windows *w)
{
    struct err e = {0};
    struct engine_run r = {.n_ctx = w->longest, .n_seq_max = w->max_seqs};
    assert_true(engine_start(engine, &r, &e));
}

/* Every token of a batch once, none of another, in steps that fit; a step of one token only where the whole
 * batch is one. (The fake checks sequences and positions.) */
static void test_decode(void **state)
{
    (void)state;
    struct rng r = {5};
    for (int round = 0; round < 60; round++) {
        uint32_t n_ctx = 1 + (uint32_t)rng_below(&r, 90), ubatch = 2 + (uint32_t)rng_below(&r, 60);
        struct windows w = random_windows(&r, 1 + (uint32_t)rng_below(&r, 30), 120, n_ctx);
        struct err e = {0};
        open_engine(ubatch);
        windows_pack(&w, ubatch, 1 + (uint32_t)rng_below(&r, 6), 2);
        start(&w);
        struct seen s = {.token = xcalloc((size_t)w.n * n_ctx, 1), .n_ctx = n_ctx};
        for (uint32_t b = 0; b < w.n_batches; b++) {
            s.batch = b, s.n = s.steps = 0;
            uint64_t clears = fake.n_clear;
            if (!windows_decode(&w, b, engine, on_step, &s, &e))
                fail_msg("%s", e.msg);
            assert_int_equal(fake.n_clear, clears + 1);
            assert_int_equal(s.n, w.batches[b].n_tokens);
            assert_true(s.last > 1 || s.n == 1 || (ubatch == 2 && s.n % 2));
        }
        for (uint32_t i = 0; i < w.n; i++)
            for (uint32_t t = 0; t < n_ctx; t++)
                assert_int_equal(s.token[i * n_ctx + t], t < w.list[i].n);
        free(s.token);
        windows_clear(&w);
    }
}

/* Nothing runs behind a step that failed, in the engine or in the function that looks. */
static void test_decode_fails(void **state)
{
    (void)state;
    struct rng r = {9};
    struct windows w = random_windows(&r, 1, 1, 1000);
    windows_clear(&w);
    int32_t *tok = xcalloc(100, sizeof *tok);
    windows_from_tokens(&w, tok, 100);
    struct err e = {0};
    assert_true(windows_cut(&w, 100, &e));
    open_engine(10);
    windows_pack(&w, 10, 1, 1);
    start(&w);
    for (uint32_t n = 1; n <= 10; n++)
        for (int who = 0; who < 2; who++) {
            struct seen s = {.token = xcalloc(100, 1), .n_ctx = 100, .stop_at = who ? n : 0};
            err_clear(&e);
            fake.n_decode = 0;
            fake.fail_at = who ? 0 : n;
            assert_false(windows_decode(&w, 0, engine, on_step, &s, &e));
            assert_int_equal(e.code, ERR_FAILED);
            assert_int_equal(fake.n_decode, n);
            assert_int_equal(s.n, 10 * (n - 1));
            free(s.token);
        }
    windows_clear(&w);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    static const struct CMUnitTest tests[] = {
        TEST(test_tokens), TEST(test_bad_rows),     TEST(test_skip_bad),
        TEST(test_decode), TEST(test_decode_fails),
    };
    return cmocka_run_group_tests_name("windows on a fake engine", tests, NULL, NULL);
}
