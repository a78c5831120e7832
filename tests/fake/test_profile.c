/* test_profile.c - src/profile/ on the fake engine: what is added up, and that a run which is interrupted,
 * fails, or is cut into shards ends with the same bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "base/sig.h"
#include "engine_fake.h"
#include "plan/make.h"
#include "profile/profile.h"
#include "profile/show.h"
#include "quant/imatrix.h"
#include "stats/merge.h"
#include "stats/pairs.h"
#include "tempdir.h"

#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MODEL   TEST_DATA_DIR "/families/olmoe/model.gguf" /* 2 layers of 16 experts, 4 per token */
#define N_ROWS  24
#define UBATCH  64
#define N_STEPS 64 /* more than there are decodes */

static const char *spec; /* of the running test */

/* Rows of 1 to 100 letters: 'a' to 'y' in even rows, 'A' to 'Y' in odd ones, so that a token tells its
 * half. */
static int setup(void **state)
{
    struct buf b = {0};
    int rc = tempdir_setup(state);
    log_quiet = true;
    fake_reset();
    for (uint32_t i = 0; i < N_ROWS; i++) {
        buf_fmt(&b, "{\"text\": \"");
        for (uint32_t t = 0; t <= i * 37 % 100; t++)
            buf_fmt(&b, "%c", (i & 1 ? 'A' : 'a') + (char)((i * 7 + t) % 25));
        buf_fmt(&b, "\"}\n");
    }
    put_bytes("rows.jsonl", b.s, b.n);
    buf_clear(&b);
    spec = at("rows.jsonl");
    return rc;
}

static struct profile_opts options(const char *out)
{
    struct profile_opts o = {
        .model = MODEL, .corpus = {.specs = &spec, .n_specs = 1}, .n_ctx = 80, .n_seqs = 4, .out = out};
    engine_opts_default(&o.engine);
    o.engine.ubatch = UBATCH;
    return o;
}

static struct profile_result run_ok(const struct profile_opts *o)
{
    struct err e = {0};
    struct profile_result r;
    if (!profile_run(o, &r, &e))
        fail_msg("%s", e.msg);
    return r;
}

/* In a process of its own, because a signal is remembered; its exit status is the error's code. */
static int run_apart(const struct profile_opts *o, struct fake_engine how)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct err e = {0};
        struct profile_result r;
        fake = how;
        sig_install();
        profile_run(o, &r, &e);
        _exit(e.code);
    }
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static const char *pairs_path(const char *stats)
{
    static char path[2][300];
    static int next;
    char *p = path[next++ & 1];
    snprintf(p, sizeof path[0], "%s" PAIRS_SUFFIX, stats);
    return p;
}

static void same_bytes(const char *a, const char *b, const char *what)
{
    struct buf x = {0}, y = {0};
    struct err e = {0};
    if (!file_read_all(a, UINT64_MAX, &x, &e) || !file_read_all(b, UINT64_MAX, &y, &e))
        fail_msg("%s: %s", what, e.msg);
    if (x.n != y.n || memcmp(x.s, y.s, x.n) != 0)
        fail_msg("%s: '%s' and '%s' differ", what, a, b);
    buf_clear(&x);
    buf_clear(&y);
}

/* The stats files, and what lies beside them. */
static void same_file(const char *a, const char *b, const char *what)
{
    same_bytes(a, b, what);
    same_bytes(pairs_path(a), pairs_path(b), what);
}

static struct stats *load(const char *path)
{
    struct err e = {0};
    struct stats *s = stats_load(path, &e);
    if (!s)
        fail_msg("%s", e.msg);
    return s;
}

/* Batches that an unfinished file holds, of; -1: it is finished, and *of stays. */
static json_int_t batches_done(const char *path, json_int_t *of)
{
    struct stats *s = load(path);
    if (s->progress)
        *of = (json_int_t)s->progress->batches;
    json_int_t n = s->progress ? (json_int_t)s->progress->batches_done : -1;
    stats_free(s);
    return n;
}

/* ---- going on ---- */

/* Wherever the signal comes: what is there is whole batches, and going on ends with the same bytes. */
static void test_interrupted(void **state)
{
    (void)state;
    struct profile_opts whole = options(at("whole.json")), o = options(at("cut.json"));
    uint64_t steps;
    whole.imatrix = at("whole.gguf"), o.imatrix = at("cut.gguf");
    json_int_t most = 0, of = 0;
    run_ok(&whole);
    steps = fake.n_decode;
    assert_in_range(steps, 10, N_STEPS);
    for (uint64_t n = 1; n <= steps; n++) {
        struct fake_engine how = {.bos = FAKE_BOS, .interrupt_at = n};
        o.force = true, o.resume = false;
        int code = run_apart(&o, how);
        json_int_t done = batches_done(o.out, &of);
        /* the batch of the last step ends the run, whatever comes during it */
        assert_int_equal(code, done < 0 ? ERR_NONE : ERR_INTERRUPTED);
        assert_true(done < 0 || (done >= most && done < of));
        most = done > most ? done : most;
        o.force = false, o.resume = true;
        fake_reset();
        struct profile_result r = run_ok(&o);
        assert_true(r.already_done == (done < 0));
        assert_true(done < 0 || (r.done_before > 0 && fake.n_tokens < r.n_tokens));
        same_file(whole.out, o.out, "interrupted and resumed");
        same_bytes(whole.imatrix, o.imatrix, "the importance matrix");
    }
    assert_int_equal(most, of - 1);
    assert_in_range(most, 5, N_STEPS);
}

/* A decode that fails in the middle of a batch leaves the file as the last whole batch left it. */
static void test_failed(void **state)
{
    (void)state;
    struct profile_opts whole = options(at("whole.json")), o = options(at("cut.json"));
    whole.imatrix = at("whole.gguf"), o.imatrix = at("cut.gguf");
    run_ok(&whole);
    uint64_t steps = fake.n_decode;
    o.save_every = 1e-9;
    for (uint64_t n = 1; n <= steps; n += 3) {
        struct fake_engine how = {.bos = FAKE_BOS, .fail_at = n};
        json_int_t of;
        unlink(o.out);
        unlink(pairs_path(o.out));
        unlink(o.imatrix);
        o.resume = false;
        assert_int_equal(run_apart(&o, how), ERR_FAILED);
        assert_int_equal(file_exists(o.out), file_exists(o.imatrix));
        assert_int_equal(file_exists(o.out), file_exists(pairs_path(o.out)));
        if (file_exists(o.out))
            assert_in_range(batches_done(o.out, &of), 1, N_STEPS);
        o.resume = true;
        run_ok(&o);
        same_file(whole.out, o.out, "failed and resumed");
        same_bytes(whole.imatrix, o.imatrix, "the importance matrix");
    }
}

/* What the matrix holds is every token once, and what a run goes on from must be its own. */
static void test_matrix(void **state)
{
    (void)state;
    struct profile_opts o = options(at("s.json"));
    struct err e = {0};
    struct profile_result r;
    o.imatrix = at("im.gguf");
    struct profile_result whole = run_ok(&o);
    struct imatrix *m = imatrix_load(o.imatrix, &e);
    assert_true(m && m->n == 2 && m->chunk_size == 80 && !m->batches && m->n_datasets == 1);
    assert_string_equal(m->datasets[0], "rows.jsonl");
    assert_int_equal(whole.n_weights, 2);
    for (int l = 0; l < 2; l++) {
        double rows = 0, sum = 0;
        for (uint32_t k = 0; k < 16; k++) {
            rows += m->entries[l].counts[k];
            sum += (double)m->entries[l].sums[2 * k + 1];
        }
        assert_true(rows == (double)whole.n_tokens && sum == rows);
    }
    imatrix_free(m);

    /* complete, and it is not there: it cannot be had any more */
    o.resume = true;
    assert_true(run_ok(&o).already_done);
    assert_int_equal(unlink(o.imatrix), 0);
    fake_reset();
    assert_false(profile_run(&o, &r, &e));
    assert_true(e.code == ERR_INPUT && strstr(e.msg, "made without an importance matrix") && !fake.n_decode);
    err_clear(&e);

    /* half of it; the matrix is missing, or another state's */
    o.force = true, o.resume = false;
    assert_int_equal(run_apart(&o, (struct fake_engine){.bos = FAKE_BOS, .interrupt_at = 8}),
                     ERR_INTERRUPTED);
    assert_int_equal(rename(o.imatrix, at("half.gguf")), 0);
    o.force = false, o.resume = true;
    assert_false(profile_run(&o, &r, &e));
    assert_true(e.code == ERR_INPUT && strstr(e.msg, "cannot resume: '") && strstr(e.msg, "is missing"));
    err_clear(&e);
    m = imatrix_load(at("half.gguf"), &e);
    assert_true(m && m->batches > m->batches_done && m->batches_done > 0);
    m->batches_done--;
    struct out out;
    assert_true(out_open(&out, o.imatrix, true, &e) && imatrix_put(m, &out, &e) && out_commit(&out, &e));
    out_abort(&out);
    imatrix_free(m);
    assert_false(profile_run(&o, &r, &e));
    assert_true(e.code == ERR_INPUT && strstr(e.msg, "cannot resume: '") &&
                strstr(e.msg, "the statistics hold"));
    err_clear(&e);
    assert_int_equal(rename(at("half.gguf"), o.imatrix), 0);
    run_ok(&o);
}

/* The file's own word for how far it is, against the tokens in it: one batch more or less, and it is refused. */
static void test_resume_lies(void **state)
{
    (void)state;
    struct profile_opts o = options(at("lies.json"));
    struct fake_engine how = {.bos = FAKE_BOS, .interrupt_at = 4};
    assert_int_equal(run_apart(&o, how), ERR_INTERRUPTED);
    o.resume = true;
    for (int by = -1; by <= 2; by++) {
        struct err e = {0};
        struct profile_result r;
        struct profile_opts x = o;
        struct stats *s = load(o.out);
        s->progress->batches_done += (uint64_t)(int64_t)by;
        x.out = at("lie.json");
        assert_true(stats_save(s, x.out, true, &e));
        stats_free(s);
        fake_reset();
        bool ok = profile_run(&x, &r, &e);
        assert_true(ok == !by);
        assert_true(!by ||
                    (e.code == ERR_INPUT && strstr(e.msg, "cannot resume: it says") && !fake.n_decode));
    }
}

/* A finished file is not decoded again, and one of another run is refused. */
static void test_resume(void **state)
{
    (void)state;
    struct profile_opts o = options(at("done.json"));
    static const struct {
        const char *key;
        uint32_t n_ctx, n_seqs;
        int64_t ubatch;
    } other[] = {
        {"('ctx' differs: found 80, expected 79; --ctx 80 goes on)", 79, 4, UBATCH},
        {"('max_sequences' differs: found 4, expected 5; --sequences 4 goes on)", 80, 5, UBATCH},
        {"('ubatch' differs: found 64, expected 65; --ubatch 64 goes on)", 80, 4, UBATCH + 1},
    };
    run_ok(&o);
    o.resume = true;
    fake_reset();
    struct profile_result again = run_ok(&o);
    assert_true(again.already_done && again.done_before == again.n_tokens);
    assert_int_equal(fake.n_decode, 0);
    assert_int_equal(fake.n_start, 0);
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        struct err e = {0};
        struct profile_result r;
        struct profile_opts x = o;
        x.n_ctx = other[i].n_ctx, x.n_seqs = other[i].n_seqs, x.engine.ubatch = other[i].ubatch;
        assert_false(profile_run(&x, &r, &e));
        assert_int_equal(e.code, ERR_INPUT);
        assert_non_null(strstr(e.msg, other[i].key));
    }
}

/* ---- what is added up ---- */

static void to_its_half(uint32_t il, int32_t token, uint32_t pos, uint32_t n_experts, uint32_t k,
                        struct routed *rows)
{
    (void)il, (void)pos, (void)n_experts;
    for (uint32_t i = 0; i < k; i++)
        rows[i] = (struct routed){(int32_t)(token < 'a' ? k + i : i), 0.5f, 2, 1, 0.25f, 1};
}

static int parity_of_step; /* -1: none yet */

static void one_parity(const struct engine_batch *b)
{
    parity_of_step = -1;
    for (uint32_t i = 0; i < b->n; i++) {
        int p = b->token[i] < 'a';
        assert_true(parity_of_step < 0 || parity_of_step == p);
        parity_of_step = p;
    }
}

/* No step mixes even and odd samples, and each half holds its own: tokens of even samples go to experts 0 to
 * 3, those of odd ones to 4 to 7, all with the same numbers. */
static void test_halves(void **state)
{
    (void)state;
    struct profile_opts o = options(at("halves.json"));
    fake.bos = -1;
    fake.route = to_its_half;
    fake.on_decode = one_parity;
    struct profile_result r = run_ok(&o);
    struct stats *s = load(o.out);
    assert_int_equal(s->n_layers, 2);
    assert_int_equal(s->layers[0].tokens[0] + s->layers[0].tokens[1], r.n_tokens);
    assert_int_equal(r.n_never, 2 * (16 - 8));
    for (uint32_t i = 0; i < 2; i++)
        for (uint32_t x = 0; x < 16; x++)
            for (uint32_t h = 0; h < 2; h++) {
                const struct stats_layer *l = &s->layers[i];
                const struct sums *u = &l->half[h][x];
                uint64_t n = x / 4 == h ? l->tokens[h] : 0;
                assert_int_equal(u->count, n);
                assert_true(u->gate_sum == 0.5 * (double)n && u->ean_sum == 2 * (double)n);
                assert_true(u->reap_sum == (double)n && u->max_activation == (n ? 0.25 : 0));
            }
    stats_free(s);
}

static void all_alike(uint32_t il, int32_t token, uint32_t pos, uint32_t n_experts, uint32_t k,
                      struct routed *rows)
{
    (void)token;
    for (uint32_t i = 0; i < k; i++)
        rows[i] = (struct routed){(int32_t)((k * (pos + il) + i) % n_experts), 0.5f, 2, 1, 1, 1};
}

/* Where the means are equal the lower ids stay. */
static void test_ties(void **state)
{
    (void)state;
    struct profile_opts o = options(at("ties.json"));
    struct plan_opts po = {
        .stats_path = o.out, .kind = KEEP_COUNT, .value = 6, .criterion = criterion_default()};
    struct plan_summary sum;
    struct err e = {0};
    fake.route = all_alike;
    run_ok(&o);
    struct stats *s = load(o.out);
    struct plan *p = plan_make(s, NULL, &po, &sum, &e);
    assert_non_null(p);
    for (uint32_t l = 0; l < 2; l++)
        for (uint32_t i = 0; i < 6; i++)
            assert_int_equal(p->layers[l].keep[i], i);
    plan_summary_clear(&sum);
    plan_free(p);
    stats_free(s);
}

/* ---- what it was made from ---- */

static const json_t *made_from(const char *out, struct stats **s)
{
    *s = load(out);
    return (*s)->calibration;
}

static const char *text_of(const json_t *samples, size_t i, const char *key)
{
    return json_string_value(json_object_get(json_array_get(samples, i), key));
}

/* Two samples as the engine was given them: the first, and the first of another category. */
static void test_samples(void **state)
{
    (void)state;
    const char *specs[] = {at("chat.jsonl"), at("long.txt")};
    struct profile_opts o = options(at("s.json"));
    struct buf b = {0};
    struct stats *s;
    put("chat.jsonl", "{\"messages\": [{\"role\": \"user\", \"content\": \"one\"}]}\n"
                      "{\"messages\": [{\"role\": \"user\", \"content\": \"two\"}]}\n");
    for (unsigned i = 0; i < 1999; i++)
        buf_char(&b, 'x');
    buf_str(&b, "\xc3\xa4 and more"); /* the character stands on the limit */
    put("long.txt", b.s);
    o.corpus.specs = specs, o.corpus.n_specs = 2;
    fake.bos = -1;
    run_ok(&o);
    const json_t *list = json_object_get(made_from(o.out, &s), "samples");
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(text_of(list, 0, "text"), "user: one\n");
    assert_string_equal(text_of(list, 0, "file"), at("chat.jsonl"));
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "line")), 1);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "n_tokens")), 10);
    assert_null(json_object_get(json_array_get(list, 0), "cut"));
    assert_string_equal(text_of(list, 1, "file"), at("long.txt"));
    assert_null(json_object_get(json_array_get(list, 1), "line"));
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 1), "n_tokens")), b.n);
    assert_true(json_is_true(json_object_get(json_array_get(list, 1), "cut")));
    assert_int_equal(strlen(text_of(list, 1, "text")), 1999);
    assert_null(json_object_get(s->calibration, "unused"));
    stats_free(s);
    buf_clear(&b);
    o.corpus.n_specs = 1, o.force = true;
    fake.bos = FAKE_BOS;
    run_ok(&o);
    list = json_object_get(made_from(o.out, &s), "samples");
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(text_of(list, 1, "text"), "<bos>user: two\n");
    stats_free(s);
}

/* What no one looks at is counted, warned of once, and goes with the file. */
static void test_unused(void **state)
{
    (void)state;
    struct profile_opts o = options(at("s.json"));
    struct stats *s;
    char **said;
    size_t before = log_warnings(&said);
    spec = at("chat.jsonl");
    put("chat.jsonl", "{\"messages\": [{\"role\": \"user\", \"content\": \"one\"},"
                      "{\"role\": \"assistant\", \"content\": \"1\", \"thinking\": \"well\"}]}\n"
                      "{\"messages\": [{\"role\": \"user\", \"content\": \"two\", \"thinking\": \"hm\"}]}\n"
                      "{\"prompt\": \"three\", \"chosen\": \"3\", \"rejected\": \"4\"}\n");
    run_ok(&o);
    assert_int_equal(log_warnings(&said), before + 2); /* the other: it is short */
    assert_non_null(strstr(said[before],
                           "not used for calibration: 'rejected' (1 row), 'messages.thinking' (2 messages)"));
    const json_t *unused = json_object_get(made_from(o.out, &s), "unused");
    assert_int_equal(json_object_size(unused), 2);
    assert_int_equal(json_integer_value(json_object_get(unused, "rejected")), 1);
    assert_int_equal(json_integer_value(json_object_get(unused, "messages.thinking")), 2);
    stats_free(s);
}

/* 16 experts, 4 per token: 4,000 tokens are 1,000 for each. */
static void test_too_short(void **state)
{
    (void)state;
    static const struct {
        unsigned n;
        const char *words; /* NULL: enough */
    } cases[] = {
        {4000, NULL},
        {3999,
         "3,999 tokens are 999 for each expert of a layer: the choice is not settled yet; 4,000 give each 1,000"},
        {7, "7 tokens are 1 for each expert"},
        {3, "3 tokens are less than 1 for each expert"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct profile_opts o = options(at("s.json"));
        struct buf b = {0};
        char **said;
        size_t before = log_warnings(&said);
        for (unsigned k = 0; k < cases[i].n; k++)
            buf_char(&b, 'x');
        put("text.txt", b.s);
        buf_clear(&b);
        spec = at("text.txt");
        o.force = true;
        fake.bos = -1;
        run_ok(&o);
        size_t n = log_warnings(&said);
        assert_int_equal(n, before + (cases[i].words != NULL));
        if (cases[i].words && !strstr(said[before], cases[i].words))
            fail_msg("'%s' expected in: %s", cases[i].words, said[before]);
    }
}

/* An unfinished file of a version that kept no samples is gone on with, and gets them. */
static void test_old_file(void **state)
{
    (void)state;
    struct profile_opts whole = options(at("whole.json")), o = options(at("cut.json"));
    struct err e = {0};
    run_ok(&whole);
    assert_int_equal(run_apart(&o, (struct fake_engine){.bos = FAKE_BOS, .interrupt_at = fake.n_decode / 2}),
                     ERR_INTERRUPTED);
    json_t *doc = json_read(o.out, &e);
    assert_int_equal(json_object_del(json_object_get(doc, "calibration"), "samples"), 0);
    assert_true(json_write(o.out, doc, true, &e));
    o.resume = true;
    fake_reset();
    run_ok(&o);
    same_file(whole.out, o.out, "resumed without samples");
    /* but a key more than this run would write is another run */
    json_object_set_new(json_object_get(doc, "calibration"), "unused", json_pack("{s:i}", "tools", 3));
    assert_true(json_write(o.out, doc, true, &e));
    struct profile_result r;
    assert_false(profile_run(&o, &r, &e));
    assert_non_null(strstr(e.msg, "'unused' differs"));
    json_decref(doc);
}

/* A template that writes the date writes that of the first day, whenever the run goes on. */
static void test_another_day(void **state)
{
    (void)state;
    struct profile_opts whole = options(at("whole.json")), o = options(at("cut.json"));
    spec = at("chat.jsonl");
    put("chat.jsonl",
        "{\"prompt\": \"one, which is longer\"}\n{\"prompt\": \"two\"}\n{\"prompt\": \"three\"}\n");
    o.n_ctx = whole.n_ctx = 8;
    fake.day = "2026-11-28";
    run_ok(&whole);
    assert_int_equal(
        run_apart(&o, (struct fake_engine){.bos = FAKE_BOS, .day = "2026-11-28", .interrupt_at = 2}),
        ERR_INTERRUPTED);
    o.resume = true;
    fake_reset();
    fake.day = "2026-11-29";
    run_ok(&o);
    same_file(whole.out, o.out, "resumed on another day");
}

/* ---- packing and shards ---- */

/* Another size of step gives the same counts: what a token does depends on its window alone. */
static void test_steps(void **state)
{
    (void)state;
    struct profile_opts a = options(at("a.json")), b = options(at("b.json"));
    b.engine.ubatch = 17;
    b.n_seqs = 1;
    run_ok(&a);
    run_ok(&b);
    struct stats *s = load(a.out), *t = load(b.out);
    for (uint32_t i = 0; i < 2; i++)
        for (uint32_t x = 0; x < 16; x++)
            for (uint32_t h = 0; h < 2; h++) {
                const struct sums *u = &s->layers[i].half[h][x], *v = &t->layers[i].half[h][x];
                assert_int_equal(u->count, v->count);
                assert_true(u->max_activation == v->max_activation);
                assert_true(fabs(u->reap_sum - v->reap_sum) <= 1e-9 * u->reap_sum);
            }
    stats_free(s);
    stats_free(t);
}

/* The shards share out the batches of the whole run. */
static void test_shards(void **state)
{
    (void)state;
    struct profile_opts o = options(at("whole.json"));
    run_ok(&o);
    struct stats *whole = load(o.out);
    uint64_t counts[2][16] = {{0}};
    for (uint32_t k = 1; k <= 3; k++) {
        o = options(at("shard.json"));
        o.shard = k, o.n_shards = 3, o.force = true;
        run_ok(&o);
        struct stats *s = load(o.out);
        for (uint32_t i = 0; i < 2; i++)
            for (uint32_t x = 0; x < 16; x++)
                counts[i][x] += stats_total(&s->layers[i], x).count;
        stats_free(s);
    }
    for (uint32_t i = 0; i < 2; i++)
        for (uint32_t x = 0; x < 16; x++)
            assert_int_equal(counts[i][x], stats_total(&whole->layers[i], x).count);
    stats_free(whole);
}

/* A shard that was begun in other steps than are usual now goes on in these. */
static void test_shard_resumes(void **state)
{
    (void)state;
    struct profile_opts o = options(at("shard.json")), part = options(at("part.json"));
    o.shard = part.shard = 1, o.n_shards = part.n_shards = 2;
    run_ok(&o);
    assert_int_equal(run_apart(&part, (struct fake_engine){.bos = FAKE_BOS, .interrupt_at = 2}),
                     ERR_INTERRUPTED);
    part.resume = true, part.engine.ubatch = 0;
    run_ok(&part);
    same_file(o.out, part.out, "a shard, resumed");
}

/* What is set aside is in no sum, of whole runs, of shards and of runs that go on; the file says what it is, and is not
 * gone on with under another share. */
static void test_set_aside(void **state)
{
    (void)state;
    struct err e = {0};
    struct profile_result r;
    struct profile_opts o = options(at("whole.json"));
    o.corpus.set_aside = 0.25; /* of 24 rows: 1, 5, 9, ... from 0 */
    run_ok(&o);
    struct stats *whole = load(o.out);
    struct stats_aside a;
    uint64_t tokens = 0;
    for (uint32_t i = 0; i < N_ROWS; i++)
        tokens += i % 4 == 1 ? 0 : 2 + i * 37 % 100; /* and a BOS each */
    assert_int_equal(stats_tokens(&whole->layers[0]), tokens);
    assert_true(stats_aside(whole, &a, &e));
    assert_true(a.share == 0.25 && a.n_choice == 3 && a.n_check == 3 && strlen(a.sha256) == 64);
    assert_int_equal(json_integer_value(json_object_get(whole->calibration, "n_samples")), 18);
    struct stats *shards[2];
    static const char *const names[] = {"1", "2"};
    for (uint32_t k = 0; k < 2; k++) {
        struct profile_opts s = o;
        s.out = at(k ? "two.json" : "one.json");
        s.shard = k + 1, s.n_shards = 2;
        run_ok(&s);
        shards[k] = load(s.out);
    }
    struct stats *merged = stats_merge(shards, names, 2, false, &e);
    assert_non_null(merged);
    assert_int_equal(stats_tokens(&merged->layers[0]), tokens);
    assert_true(json_equal(json_object_get(merged->calibration, "set_aside"),
                           json_object_get(whole->calibration, "set_aside")));
    stats_free(merged);
    stats_free(shards[0]);
    stats_free(shards[1]);
    stats_free(whole);

    struct profile_opts part = o;
    part.out = at("part.json");
    part.resume = true;
    assert_int_equal(run_apart(&part, (struct fake_engine){.bos = FAKE_BOS, .interrupt_at = 5}),
                     ERR_INTERRUPTED);
    part.corpus.set_aside = 0;
    assert_false(profile_run(&part, &r, &e));
    assert_int_equal(e.code, ERR_INPUT);
    assert_non_null(strstr(e.msg, "differs)"));
    part.corpus.set_aside = 0.25;
    run_ok(&part);
    same_file(o.out, part.out, "set aside, and gone on with");
}

/* An engine that routes otherwise than the file says is not believed. */
static void twice(uint32_t il, int32_t token, uint32_t pos, uint32_t n_experts, uint32_t k,
                  struct routed *rows)
{
    (void)il, (void)token, (void)pos, (void)n_experts;
    for (uint32_t i = 0; i < k; i++)
        rows[i] = (struct routed){3, 0.5f, 2, 1, 1, 1};
}

static void test_bad_rows(void **state)
{
    (void)state;
    struct profile_opts o = options(at("bad.json"));
    struct err e = {0};
    struct profile_result r;
    fake.route = twice;
    assert_false(profile_run(&o, &r, &e));
    assert_false(file_exists(o.out));
}

/* The samples of a profile, in its order, and no computing. */
static void test_show(void **state)
{
    (void)state;
    struct profile_opts o = options(at("none.json"));
    struct err e = {0};
    struct profile_result r = run_ok(&o);
    uint64_t n_start = fake.n_start, n_decode = fake.n_decode;
    struct stats *s = load(o.out);
    o.out = NULL;
    json_t *shown = profile_show(&o, 5, &e);
    if (!shown)
        fail_msg("%s", e.msg);
    assert_int_equal(fake.n_start, n_start);
    assert_int_equal(fake.n_decode, n_decode);
    const json_t *list = json_object_get(shown, "samples"), *cal = json_object_get(s->calibration, "samples");
    assert_int_equal(json_array_size(list), 5);
    assert_int_equal(json_integer_value(json_object_get(shown, "n_samples")), N_ROWS);
    assert_int_equal(json_integer_value(json_object_get(shown, "n_tokens")), r.n_tokens);
    assert_int_equal(json_integer_value(json_object_get(shown, "n_windows")), r.n_windows);
    assert_int_equal(json_integer_value(json_object_get(shown, "longest")),
                     98); /* 26 * 37 % 100 + 1, with BOS */
    static const char *const same[] = {"file", "line", "n_tokens", "text"};
    for (size_t i = 0; i < 4; i++)
        assert_true(json_equal(json_object_get(json_array_get(list, 0), same[i]),
                               json_object_get(json_array_get(cal, 0), same[i])));
    const json_t *ids = json_object_get(json_array_get(list, 0), "tokens");
    assert_int_equal(json_integer_value(json_array_get(ids, 0)), FAKE_BOS);
    struct buf b = {0};
    profile_show_text(shown, &b);
    assert_non_null(strstr(b.s, "--- 5: "));
    assert_non_null(strstr(b.s, "\n<bos>"));
    buf_clear(&b);
    json_decref(shown);
    stats_free(s);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, tempdir_teardown)
    static const struct CMUnitTest tests[] = {
        TEST(test_interrupted), TEST(test_failed),        TEST(test_matrix),    TEST(test_resume),
        TEST(test_resume_lies), TEST(test_halves),        TEST(test_ties),      TEST(test_steps),
        TEST(test_shards),      TEST(test_shard_resumes), TEST(test_set_aside), TEST(test_bad_rows),
        TEST(test_samples),     TEST(test_unused),        TEST(test_too_short), TEST(test_old_file),
        TEST(test_another_day), TEST(test_show),
    };
    return cmocka_run_group_tests_name("profile on a fake engine", tests, NULL, NULL);
}
