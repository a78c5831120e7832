/* test_tinymoe.c - profiles of the trained model that comes with the repository: what must not change them
 * (threads), what may a little (the memory's layout, where norms are computed), and that they add up. Interruptions
 * are tests/fake/test_profile.c's and tests/cli/interrupt.sh's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "base/text.h"
#include "golden.h"

#include <math.h>
#include <string.h>

#define MODEL     TEST_DATA_DIR "/../../models/tinymoe-Q8_0.gguf"
#define CTX       128
#define N_ROWS    8
#define ROW_BYTES 800 /* more than one window */

/* ---- text ---- */

/* One row: the beginning of a file, cut between characters. */
static void add_row(struct buf *b, const char *path)
{
    struct err e = {0};
    struct buf text = {0};
    golden_ok(file_read_all(path, 1 << 24, &text, &e), &e, path);
    json_t *o = json_object();
    size_t n = text.n < ROW_BYTES ? text.n : ROW_BYTES;
    json_object_set_new(o, "text", json_stringn(text.s, utf8_good(text.s, n)));
    char *s = json_dumps(o, JSON_COMPACT);
    buf_fmt(b, "%s\n", s);
    free(s);
    json_decref(o);
    buf_clear(&text);
}

/* rows.jsonl, and its even and its odd rows in files of their own. */
static int setup(void **state)
{
    static const char *const names[] = {"rows.jsonl", "even.jsonl", "odd.jsonl"};
    static const char *const texts[N_ROWS] = {
        "code/herringbone.txt", "code/leakcheck.txt", "code/lexer.txt",  "code/sdf.txt",
        "code/sprintf.txt",     "code/textedit.txt",  "prose/story.txt", "prose/erzaehlung.txt"};
    struct buf rows[3] = {{0}};
    if (golden_setup(state) != 0)
        return -1;
    for (uint32_t i = 0; i < N_ROWS; i++) {
        char *path = path_join(TEST_DATA_DIR "/text", texts[i]);
        add_row(&rows[0], path);
        add_row(&rows[1 + i % 2], path);
        free(path);
    }
    for (int i = 0; i < 3; i++) {
        struct err e = {0};
        golden_ok(file_write_atomic(golden_tmp(names[i]), rows[i].s, rows[i].n, false, &e), &e, names[i]);
        buf_clear(&rows[i]);
    }
    return 0;
}

/* ---- runs inside this process ---- */

static struct profile_opts options(const char *const *rows, const char *out)
{
    struct profile_opts o = golden_profile(MODEL, rows, out);
    o.n_ctx = CTX;
    return o;
}

/* The run that the others are compared with, made once. */
static struct stats *plain(void)
{
    struct err e = {0};
    const char *rows = golden_tmp("rows.jsonl");
    struct profile_opts o = options(&rows, "one.json");
    struct profile_result r;
    if (!file_exists(golden_tmp("one.json"))) {
        stats_free(golden_run(&o, &r));
        assert_int_equal(r.n_samples, N_ROWS);
        assert_true(r.n_windows > r.n_samples); /* samples were longer than the context */
    }
    struct stats *s = stats_load(golden_tmp("one.json"), &e);
    golden_ok(s != NULL, &e, "one.json");
    return s;
}

static void test_threads(void **state)
{
    (void)state;
    const char *rows = golden_tmp("rows.jsonl");
    struct profile_opts o = options(&rows, "two.json");
    stats_free(plain());
    o.engine.threads = 2;
    stats_free(golden_run(&o, NULL));
    golden_same_file(golden_tmp("one.json"), golden_tmp("two.json"), "one thread and two");
}

/* The halves are what runs over the even and the odd samples alone give. A window at a time: the arithmetic
 * is the same. */
static void test_halves(void **state)
{
    (void)state;
    const char *rows[3] = {golden_tmp("rows.jsonl"), golden_tmp("even.jsonl"), golden_tmp("odd.jsonl")};
    struct stats *s[3];
    for (int i = 0; i < 3; i++) {
        char out[32];
        snprintf(out, sizeof out, "part-%d.json", i);
        struct profile_opts o = options(&rows[i], out);
        o.n_seqs = 1;
        s[i] = golden_run(&o, NULL);
    }
    for (uint32_t i = 0; i < s[0]->n_layers; i++)
        for (uint32_t j = 0; j < s[0]->n_experts; j++)
            for (int h = 0; h < 2; h++) {
                struct sums all = s[0]->layers[i].half[h][j], part = stats_total(&s[1 + h]->layers[i], j);
                assert_int_equal(all.count, part.count);
                assert_true(golden_near(all.gate_sum, part.gate_sum, 1e-12));
                assert_true(golden_near(all.ean_sq_sum, part.ean_sq_sum, 1e-12));
                assert_true(golden_near(all.reap_sum, part.reap_sum, 1e-12));
                assert_true(golden_near(all.max_activation, part.max_activation, 0));
            }
    for (int i = 0; i < 3; i++)
        stats_free(s[i]);
}

static void test_device_norms(void **state)
{
    (void)state;
    const struct golden_tol tol = {1e-5, 1e-5, 1e-5, 0, 0};
    const char *rows = golden_tmp("rows.jsonl");
    struct stats *a = plain();
    struct profile_opts o = options(&rows, "device.json");
    o.engine.device_norms = true;
    struct stats *b = golden_run(&o, NULL);
    golden_same_stats(a, b, &tol, "norms on the device");
    stats_free(a);
    stats_free(b);
}

static void add_sums(struct sums *to, const struct sums *x)
{
    to->count += x->count;
    to->gate_sum += x->gate_sum;
    to->ean_sum += x->ean_sum;
    to->reap_sum += x->reap_sum;
}

static bool near_sums(const struct sums *a, const struct sums *b, double rel)
{
    return golden_near(a->gate_sum, b->gate_sum, rel) && golden_near(a->ean_sum, b->ean_sum, rel) &&
           golden_near(a->reap_sum, b->reap_sum, rel);
}

/* A memory per sequence changes the order in which attention adds up; Q8_0 products round, so a few routing
 * decisions move. */
static void same_but_for_rounding(const struct stats *a, const struct stats *b, uint32_t i)
{
    struct sums all[2] = {{0}};
    uint64_t moved = 0;
    assert_int_equal(stats_tokens(&a->layers[i]), stats_tokens(&b->layers[i]));
    for (uint32_t j = 0; j < a->n_experts; j++) {
        struct sums x = stats_total(&a->layers[i], j), y = stats_total(&b->layers[i], j);
        uint64_t off = x.count > y.count ? x.count - y.count : y.count - x.count;
        moved += off;
        add_sums(&all[0], &x);
        add_sums(&all[1], &y);
        assert_true((double)off <= 2 + 0.005 * (double)x.count);
        assert_true(off || near_sums(&x, &y, 1e-2)); /* two that moved may cancel out in the count */
    }
    assert_true((double)moved <= 0.005 * (double)all[0].count);
    assert_true(near_sums(&all[0], &all[1], 1e-3));
}

static void test_separate_streams(void **state)
{
    (void)state;
    const char *rows = golden_tmp("rows.jsonl");
    struct stats *a = plain();
    struct profile_opts o = options(&rows, "separate.json");
    o.separate_streams = true;
    struct stats *b = golden_run(&o, NULL);
    for (uint32_t i = 0; i < a->n_layers; i++)
        same_but_for_rounding(a, b, i);
    stats_free(a);
    stats_free(b);
}

/* Bytes that this process has read by calls of the system. */
static uint64_t bytes_read(void)
{
    unsigned long long n = 0;
    FILE *f = fopen("/proc/self/io", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "rchar: %llu", &n), 1);
    fclose(f);
    return n;
}

/* Too little memory for the weights, 12 MB, so most of them are read anew for every step: other steps, and the engine's plain
 * layout of weights; nothing else is different. */
static void test_streamed(void **state)
{
    (void)state;
    const char *rows = golden_tmp("rows.jsonl");
    struct stats *a = plain();
    struct profile_opts o = options(&rows, "streamed.json");
    o.engine.memory = 11u << 20;
    o.engine.ubatch = 128; /* a context of more leaves none of it */
    uint64_t before = bytes_read();
    char **said;
    size_t n = log_warnings(&said);
    struct stats *b = golden_run(&o, NULL);
    bool streamed = false;
    for (size_t i = n; i < log_warnings(&said); i++)
        streamed = streamed || strstr(said[i], "read from the disk again and again");
    assert_true(streamed);
    assert_true(bytes_read() - before > 100u << 20);
    for (uint32_t i = 0; i < a->n_layers; i++)
        same_but_for_rounding(a, b, i);
    stats_free(a);
    stats_free(b);
}

int main(int argc, char **argv)
{
    (void)argc;
    engine_begin(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),      cmocka_unit_test(test_halves),
        cmocka_unit_test(test_device_norms), cmocka_unit_test(test_separate_streams),
        cmocka_unit_test(test_streamed),
    };
    return cmocka_run_group_tests_name("tinymoe", tests, setup, golden_teardown);
}
