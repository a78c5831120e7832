/* test_tinymoe.c - profiles of the trained model that comes with the repository: what must not change them
 * (threads, an interruption, a kill), what may a little (the memory's layout, where norms are computed), and
 * that they add up.
 *
 * The text is the beginning of the repository's own source files, so it differs from version to version;
 * nothing here depends on it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "golden.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROOT      TEST_DATA_DIR "/../.."
#define MODEL     ROOT "/models/tinymoe-Q8_0.gguf"
#define CTX       256
#define MAX_ROWS  10
#define ROW_BYTES 1500 /* more than one window */

/* ---- text ---- */

static int visible(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

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

static void add_sources(struct buf rows[3], const char *dir, uint32_t *n)
{
    struct dirent **list;
    int count = scandir(dir, &list, visible, alphasort);
    assert_true(count >= 0);
    for (int i = 0; i < count; i++) {
        char *path = path_join(dir, list[i]->d_name);
        size_t len = strlen(path);
        if (file_is_dir(path))
            add_sources(rows, path, n);
        else if (*n < MAX_ROWS && len > 2 && !strcmp(path + len - 2, ".c")) {
            add_row(&rows[0], path);
            add_row(&rows[1 + *n % 2], path);
            ++*n;
        }
        free(path);
        free(list[i]);
    }
    free(list);
}

/* rows.jsonl, and its even and its odd rows in files of their own. */
static int setup(void **state)
{
    static const char *const names[] = {"rows.jsonl", "even.jsonl", "odd.jsonl"};
    struct buf rows[3] = {{0}};
    uint32_t n = 0;
    if (golden_setup(state) != 0)
        return -1;
    add_sources(rows, ROOT "/src", &n);
    assert_int_equal(n, MAX_ROWS);
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

static void test_threads(void **state)
{
    (void)state;
    const char *rows = golden_tmp("rows.jsonl");
    struct profile_opts o = options(&rows, "one.json");
    struct profile_result r;
    stats_free(golden_run(&o, &r));
    assert_int_equal(r.n_samples, MAX_ROWS);
    assert_true(r.n_windows > r.n_samples); /* samples were longer than the context */
    o = options(&rows, "two.json");
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
    struct profile_opts o = options(&rows, "host.json");
    struct stats *a = golden_run(&o, NULL);
    o = options(&rows, "device.json");
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
    struct profile_opts o = options(&rows, "unified.json");
    struct stats *a = golden_run(&o, NULL);
    o = options(&rows, "separate.json");
    o.separate_streams = true;
    struct stats *b = golden_run(&o, NULL);
    for (uint32_t i = 0; i < a->n_layers; i++)
        same_but_for_rounding(a, b, i);
    stats_free(a);
    stats_free(b);
}

/* ---- the program, interrupted ---- */

static void wait_secs(double s)
{
    struct timespec t = {(time_t)s, (long)((s - floor(s)) * 1e9)};
    while (nanosleep(&t, &t) != 0 && errno == EINTR)
        ;
}

/* Runs reap profile; after `secs` it gets the signal (0: none). Returns what waitpid() says. */
static int reap(const char *out, const char *save_every, bool resume, double secs, int signal_no)
{
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);
        if (null < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
            _exit(99);
        execl(REAP_BIN, REAP_BIN, "profile", MODEL, "--calib", golden_tmp("rows.jsonl"), "--ctx", "256",
              "--ubatch", "256", "--sequences", "1", "--threads", "1", "--device", "none", "--output", out,
              "--save-every", save_every, resume ? "--resume" : "--quiet", (char *)NULL);
        _exit(99);
    }
    assert_true(pid > 0);
    int status;
    if (signal_no) {
        wait_secs(secs);
        kill(pid, signal_no);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static bool ended(int status, int code)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == code;
}

/* The whole run without an interruption; returns how long it took. */
static double reference(const char *out)
{
    double start = now_secs();
    assert_true(ended(reap(out, "0", false, 0, 0), 0));
    return now_secs() - start;
}

/* Batches that a file holds, -1: there is no file. It must be usable: loads, and its sums agree. */
static long long batches_done(const char *path)
{
    struct err e = {0};
    uint64_t n = 0;
    if (!file_exists(path))
        return -1;
    struct stats *s = stats_load(path, &e);
    golden_ok(s != NULL, &e, "the file of an interrupted run");
    if (s->progress) {
        uint64_t of;
        assert_true(json_need_u64(s->progress, "batches_done", "progress", &n, &e));
        assert_true(json_need_u64(s->progress, "batches", "progress", &of, &e));
        assert_true(n < of);
    } else {
        n = UINT32_MAX;
    }
    stats_free(s);
    return (long long)n;
}

/* When a signal arrives cannot be chosen: try until one came in the middle. */
static void test_interrupt(void **state)
{
    (void)state;
    const char *out = golden_tmp("cut.json"), *whole = golden_tmp("whole.json");
    double secs = reference(whole);
    long long done = -1;
    for (int i = 0; i < 40 && (done < 1 || done == UINT32_MAX); i++) {
        unlink(out);
        int no = i % 2 ? SIGTERM : SIGINT, status = reap(out, "0", false, secs * (0.5 + 0.1 * (i % 5)), no);
        if (!ended(status, 0) && !ended(status, ERR_INTERRUPTED) &&
            !WIFSIGNALED(status)) /* a signal before there is a handler */
            fail_msg("status %d after a signal", status);
        done = batches_done(out);
        if (done >= 0 && done != UINT32_MAX)
            assert_true(ended(status, ERR_INTERRUPTED));
    }
    assert_true(done >= 1 && done != UINT32_MAX);
    assert_true(ended(reap(out, "0", true, 0, 0), 0));
    golden_same_file(whole, out, "an uninterrupted and a resumed run");
    assert_true(ended(reap(out, "0", true, 0, 0), 0)); /* nothing left to do */
    golden_same_file(whole, out, "resumed when it was complete");
}

/* Killed outright, several times, with saves in short intervals: what lies there is always a whole file, and
 * going on from it ends as if nothing had happened. */
static void test_kill(void **state)
{
    (void)state;
    const char *out = golden_tmp("killed.json"), *whole = golden_tmp("whole.json");
    double secs = reference(whole);
    long long before = -1, most = -1;
    for (int i = 0; i < 5; i++) {
        reap(out, "0.05", true, secs * (0.3 + 0.05 * i), SIGKILL);
        long long done = batches_done(out);
        assert_true(done >= before); /* what was saved once is never lost */
        before = done;
        most = done != UINT32_MAX && done > most ? done : most;
    }
    assert_true(most >= 1);
    assert_true(ended(reap(out, "0.05", true, 0, 0), 0));
    golden_same_file(whole, out, "an uninterrupted run and one that was killed");
}

int main(int argc, char **argv)
{
    (void)argc;
    engine_tame_threads(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_threads, setup, golden_teardown),
        cmocka_unit_test_setup_teardown(test_halves, setup, golden_teardown),
        cmocka_unit_test_setup_teardown(test_device_norms, setup, golden_teardown),
        cmocka_unit_test_setup_teardown(test_separate_streams, setup, golden_teardown),
        cmocka_unit_test_setup_teardown(test_interrupt, setup, golden_teardown),
        cmocka_unit_test_setup_teardown(test_kill, setup, golden_teardown),
    };
    return cmocka_run_group_tests_name("tinymoe", tests, NULL, NULL);
}
