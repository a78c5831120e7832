/* test_library.c - libreap as other programs have it: only reap.h, linked with the shared library alone. What a call gives, how it
 * fails, what a cancelled one leaves, two threads at once, and what it does to the process: nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <locale.h>
#include <pthread.h>
#include <reap.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tempdir.h"

#define TINY    TEST_DATA_DIR "/../../models/tinymoe-Q8_0.gguf"
#define STATS   TEST_DATA_DIR "/../../examples/stats.json"
#define PLAN    TEST_DATA_DIR "/../../examples/plan.json"
#define GROUPED TEST_DATA_DIR "/families/deepseek_v3/model.gguf"
#define FOLDER  TEST_DATA_DIR "/structural/olmoe"
#define LAYERS  6 /* of tinymoe (models/README.md) */
#define EXPERTS 32
#define KEEP    24 /* of the plan */

static reap_error e;

/* Prints the error that was not expected. */
static void ok(int code)
{
    if (code != REAP_OK)
        fail_msg("%d: %s", code, e.message);
}

static void *there(void *p)
{
    if (!p)
        fail_msg("%d: %s", e.code, e.message);
    return p;
}

static void refused(int code, const char *word)
{
    if (code != REAP_BAD_INPUT || e.code != code || !strstr(e.message, word) || strpbrk(e.message, "\n\033"))
        fail_msg("%d, expected %d and '%s': %s", code, REAP_BAD_INPUT, word, e.message);
}

static void not_there(const void *p, const char *word)
{
    assert_null(p);
    refused(e.code, word);
}

static int exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static char *contents(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *n = (size_t)ftell(f);
    rewind(f);
    char *s = malloc(*n + 1);
    assert_non_null(s);
    assert_int_equal(fread(s, 1, *n, f), *n);
    s[*n] = 0;
    fclose(f);
    return s;
}

static void same_bytes(const char *a, const char *b)
{
    size_t n, m;
    char *s = contents(a, &n), *t = contents(b, &m);
    if (n != m || memcmp(s, t, n) != 0)
        fail_msg("%s and %s differ", a, b);
    free(s);
    free(t);
}

/* ---- what calls give ---- */

static void test_model(void **state)
{
    (void)state;
    reap_model *m = there(reap_model_open(TINY, &e));
    reap_model_info info;
    uint32_t block, n_used;
    assert_int_equal(e.code, REAP_OK);
    assert_string_equal(e.message, "");
    REAP_INIT(&info);
    reap_model_get_info(m, &info);
    assert_string_equal(info.name, "tinymoe");
    assert_string_equal(info.architecture, "qwen3moe");
    assert_string_equal(info.format, "a GGUF file");
    assert_null(info.refusal);
    assert_null(info.class_name);
    assert_int_equal(info.n_layers, LAYERS);
    assert_int_equal(info.n_experts, EXPERTS);
    assert_int_equal(info.n_used, 4);
    assert_int_equal(info.n_params, 12328128); /* models/README.md */
    ok(reap_model_get_layer(m, 5, &block, &n_used, &e));
    assert_int_equal(block, 5);
    assert_int_equal(n_used, 4);
    refused(reap_model_get_layer(m, 6, NULL, NULL, &e), "layer 6 of 6");
    assert_string_equal(
        there((void *)reap_model_hash(m, &e)),
        "faf818861ac0dc94604c269c7706f16464a87d24eb77fed06fa5d8836ac8c99c"); /* of stats.json */
    ok(reap_model_can_keep(m, 4, &e));
    refused(reap_model_can_keep(m, 3, &e), "3");
    assert_true(reap_model_bytes_at(m, 16) < info.bytes);
    assert_int_equal(reap_model_bytes_at(m, EXPERTS), info.bytes);
    /* a caller of an earlier version, whose struct ends behind the name */
    struct {
        size_t size;
        const char *name;
        char behind[16];
    } old = {offsetof(reap_model_info, format), NULL, "untouched"};
    reap_model_get_info(m, (reap_model_info *)(void *)&old);
    assert_string_equal(old.name, "tinymoe");
    assert_string_equal(old.behind, "untouched");
    reap_model_close(m);
    m = there(reap_model_open(FOLDER, NULL));
    reap_model_get_info(m, &info);
    assert_string_equal(info.class_name, "OlmoeForCausalLM");
    reap_model_close(m);
    reap_model_close(NULL);
}

static void test_stats(void **state)
{
    (void)state;
    reap_stats *s = there(reap_stats_open(STATS, &e));
    reap_stats_info info;
    reap_criterion c;
    double scores[EXPERTS];
    uint64_t counts[EXPERTS], sum = 0;
    uint32_t block, n = 0, can = 0;
    REAP_INIT(&info);
    reap_stats_get_info(s, &info);
    assert_string_equal(info.model_name, "tinymoe");
    assert_int_equal(info.n_experts, EXPERTS);
    assert_false(info.unfinished);
    ok(reap_stats_get_layer(s, 2, &block, counts, &e));
    for (int k = 0; k < EXPERTS; k++)
        sum += counts[k];
    assert_int_equal(block, 2);
    assert_int_equal(sum, 4 * info.n_tokens); /* top-k of each token */
    REAP_INIT(&c);
    ok(reap_get_criterion(0, &c));
    assert_string_equal(c.name, "reap");
    while (reap_get_criterion(n, &c) == REAP_OK) {
        if (reap_stats_get_scores(s, 0, c.name, 7, scores, &e) == REAP_OK)
            can++;
        else
            refused(e.code, c.name); /* of sums that the file does not hold */
        n++;
    }
    assert_true(can >= 12 && n > can);
    refused(reap_stats_get_scores(s, 0, "reab", 0, scores, &e), "no criterion 'reab'");
    refused(reap_stats_get_scores(s, LAYERS, NULL, 0, scores, &e), "layer 6 of 6");
    /* the file and itself: what was summed twice scores the same */
    const reap_stats *twice[2] = {s, s};
    not_there(reap_stats_merge(twice, 2, 0, &e), "stats.json");
    ok(reap_stats_save(s, at("stats.json"), 0, &e));
    refused(reap_stats_save(s, at("stats.json"), 0, &e), "exists");
    reap_stats *again = there(reap_stats_open(at("stats.json"), &e));
    double other[EXPERTS];
    ok(reap_stats_get_scores(s, 3, NULL, 0, scores, &e));
    ok(reap_stats_get_scores(again, 3, NULL, 0, other, &e));
    assert_memory_equal(scores, other, sizeof scores);
    reap_stats_close(again);
    reap_model *foreign = there(reap_model_open(GROUPED, &e)), *own = there(reap_model_open(TINY, &e));
    ok(reap_stats_check(s, own, &e));
    refused(reap_stats_check(s, foreign, &e), "stats.json");
    reap_model_close(own);
    reap_model_close(foreign);
    reap_stats_close(s);
}

static reap_plan *plan_of(reap_model *m, const reap_plan_options *o)
{
    reap_stats *s = there(reap_stats_open(STATS, &e));
    const reap_stats *sources[1] = {s};
    reap_plan *p = reap_plan_make(sources, NULL, 1, m, o, &e);
    reap_stats_close(s);
    return p;
}

static void same_choice(const reap_plan *a, const reap_plan *b)
{
    for (uint32_t i = 0; i < LAYERS; i++) {
        uint32_t x, y;
        const uint32_t *ka = there((void *)reap_plan_get_layer(a, i, &x, &e)),
                       *kb = there((void *)reap_plan_get_layer(b, i, &y, &e));
        assert_int_equal(x, y);
        assert_memory_equal(ka, kb, KEEP * sizeof *ka);
    }
}

/* The plan of examples/, made in three ways. */
static void test_plans(void **state)
{
    (void)state;
    reap_model *m = there(reap_model_open(TINY, &e));
    reap_plan *want = there(reap_plan_open(PLAN, &e)), *p;
    reap_plan_info info;
    reap_plan_options o;
    REAP_INIT(&info);
    reap_plan_get_info(want, &info);
    assert_int_equal(info.n_keep, KEEP);
    assert_int_equal(info.n_layers, LAYERS);
    assert_string_equal(info.criterion, "reap");
    assert_null(reap_plan_get_layer(want, LAYERS, NULL, &e));
    REAP_INIT(&o);
    o.prune_ratio = 0.25;
    p = there(plan_of(m, &o));
    same_choice(p, want);
    ok(reap_plan_check(p, m, 0, &e));
    reap_plan_close(p);

    double scores[LAYERS * EXPERTS];
    uint32_t keep[LAYERS * KEEP];
    reap_stats *s = there(reap_stats_open(STATS, &e));
    for (uint32_t i = 0; i < LAYERS; i++)
        ok(reap_stats_get_scores(s, i, NULL, 0, scores + i * EXPERTS, &e));
    p = there(reap_plan_from_scores(m, scores, &o, &e));
    same_choice(p, want);
    reap_plan_close(p);
    for (uint32_t i = 0; i < LAYERS; i++)
        for (uint32_t k = 0; k < KEEP; k++) /* from the last to the first */
            keep[i * KEEP + k] = reap_plan_get_layer(want, i, NULL, NULL)[KEEP - 1 - k];
    p = there(reap_plan_from_keep(m, keep, KEEP, &e));
    same_choice(p, want);
    ok(reap_plan_save(p, at("p.json"), 0, &e));
    refused(reap_plan_save(p, at("p.json"), 0, &e), "exists");
    ok(reap_plan_save(p, at("p.json"), 1, &e));
    reap_plan_close(p);
    p = there(reap_plan_open(at("p.json"), &e));
    same_choice(p, want);
    ok(reap_plan_check(p, m, 0, &e));
    reap_plan_close(p);

    /* who is protected stays, and has the place of another */
    reap_expert protect[2] = {{0, 0}, {3, 0}};
    for (int i = 0; i < 2; i++) { /* the lowest of its layer */
        const double *x = scores + protect[i].block * EXPERTS;
        for (uint32_t k = 1; k < EXPERTS; k++)
            if (x[k] < x[protect[i].expert])
                protect[i].expert = k;
    }
    o.protect = protect;
    o.n_protect = 2;
    reap_plan *both[2] = {there(plan_of(m, &o)), there(reap_plan_from_scores(m, scores, &o, &e))};
    same_choice(both[0], both[1]);
    for (int i = 0; i < 2; i++) {
        const uint32_t *ids = reap_plan_get_layer(both[0], protect[i].block, NULL, NULL);
        int found = 0;
        for (uint32_t k = 0; k < KEEP; k++)
            found += ids[k] == protect[i].expert;
        assert_int_equal(found, 1);
    }
    reap_plan_close(both[0]);
    reap_plan_close(both[1]);

    /* refused */
    protect[0].expert = EXPERTS;
    not_there(plan_of(m, &o), "expert 32 of 32");
    not_there(reap_plan_from_scores(m, scores, &o, &e), "expert 32 of 32");
    o.n_protect = 0;
    o.keep = 8;
    not_there(plan_of(m, &o), "more than one of keep");
    o.prune_ratio = 0;
    o.keep = 3;
    not_there(plan_of(m, &o), "3");
    o.keep = 0;
    o.keep_ratio = 1.5;
    not_there(plan_of(m, &o), "1.5");
    o.keep_ratio = 0.5;
    o.criterion = "reab";
    not_there(plan_of(m, &o), "reab");
    o.criterion = NULL;
    o.size = 0;
    not_there(plan_of(m, &o), "REAP_INIT");
    scores[33] = 0.0 / (double)(o.size);
    o.size = sizeof o;
    not_there(reap_plan_from_scores(m, scores, &o, &e), "layer 1, expert 1");
    keep[0] = keep[1];
    not_there(reap_plan_from_keep(m, keep, KEEP, &e), "twice");
    keep[0] = EXPERTS;
    not_there(reap_plan_from_keep(m, keep, KEEP, &e), "32");
    reap_model *foreign = there(reap_model_open(GROUPED, &e));
    refused(reap_plan_check(want, foreign, 0, &e), "plan.json");
    refused(reap_prune(foreign, want, at("x.gguf"), NULL, NULL, &e), "plan.json");
    assert_false(exists(at("x.gguf")));
    reap_model_close(foreign);
    reap_plan_close(want);
    reap_stats_close(s);
    reap_model_close(m);
}

static void test_versions(void **state)
{
    (void)state;
    struct {
        reap_prune_options o;
        int more;
    } later = {.more = 0};
    reap_model *m = there(reap_model_open(TINY, &e));
    reap_plan *p = there(reap_plan_open(PLAN, &e));
    later.o.size = sizeof later;
    later.o.dry_run = 1;
    ok(reap_prune(m, p, at("x.gguf"), &later.o, NULL, &e));
    later.more = 1;
    refused(reap_prune(m, p, at("x.gguf"), &later.o, NULL, &e), "does not know");
    reap_plan_close(p);
    reap_model_close(m);
    assert_string_equal(reap_version(), REAP_VERSION);
    char header[32];
    snprintf(header, sizeof header, "%d.%d.%d", REAP_VERSION_MAJOR, REAP_VERSION_MINOR, REAP_VERSION_PATCH);
    assert_string_equal(header, REAP_VERSION);
}

/* ---- errors ---- */

static void test_bad_files(void **state)
{
    (void)state;
    put("odd\033.gguf", "GGUF");
    put("stats.json", "{\"schema\": \"reap.stats/1\"}");
    put("plan.json", "[]");
    not_there(reap_model_open(at("none.gguf"), &e), "none.gguf");
    not_there(reap_model_open(at("odd\033.gguf"), &e), "odd?.gguf");
    not_there(reap_model_open(TEST_DATA_DIR "/structural/dense", &e), "dense model");
    not_there(reap_stats_open(at("stats.json"), &e), "stats.json");
    not_there(reap_stats_open(at("none.json"), &e), "none.json");
    not_there(reap_plan_open(at("plan.json"), &e), "plan.json");
    assert_null(reap_model_open(at("none.gguf"), NULL));
    not_there(reap_plan_make(NULL, NULL, 0, NULL, NULL, &e), "none are given");
    not_there(reap_stats_merge(NULL, 0, 0, &e), "no statistics");
}

/* ---- cutting ---- */

struct heard {
    uint64_t done, total, cancel_at; /* 0: never */
    int calls, warnings, notes;
    char what[32];
};

static void on_message(void *user, enum reap_message kind, const char *text)
{
    struct heard *h = user;
    h->warnings += kind == REAP_WARNING;
    h->notes += kind == REAP_NOTE;
    assert_null(strpbrk(text, "\n\033"));
}

static int on_progress(void *user, const char *what, uint64_t done, uint64_t total)
{
    struct heard *h = user;
    h->calls++;
    if (total) {
        assert_true(done >= h->done && done <= total);
        h->done = done;
        h->total = total;
        snprintf(h->what, sizeof h->what, "%s", what);
    }
    return h->cancel_at && h->done >= h->cancel_at;
}

static void listen(struct heard *h)
{
    reap_listener l;
    REAP_INIT(&l);
    l.user = h;
    l.message = on_message;
    l.progress = on_progress;
    reap_listen(h ? &l : NULL);
}

static void test_prune(void **state)
{
    (void)state;
    reap_model *m = there(reap_model_open(TINY, &e));
    reap_plan *p = there(reap_plan_open(PLAN, &e));
    reap_prune_options o;
    reap_prune_result dry, r;
    reap_verify_result v;
    struct heard h = {0};
    REAP_INIT(&o);
    REAP_INIT(&dry);
    REAP_INIT(&r);
    REAP_INIT(&v);
    o.dry_run = 1;
    ok(reap_prune(m, p, at("x.gguf"), &o, &dry, &e));
    assert_false(exists(at("x.gguf")));
    listen(&h);
    ok(reap_prune(m, p, at("x.gguf"), NULL, &r, &e));
    assert_true(h.calls > 10);
    assert_int_equal(h.done, h.total);
    assert_string_equal(h.what, "pruning");
    listen(NULL);
    struct stat st;
    assert_int_equal(stat(at("x.gguf"), &st), 0);
    assert_int_equal(st.st_size, r.bytes_out);
    assert_int_equal(r.bytes_out, dry.bytes_out);
    assert_int_equal(r.tensor_bytes, reap_model_bytes_at(m, KEEP));
    assert_int_equal(r.n_files, 1);
    assert_string_equal(r.files[0], at("x.gguf"));
    assert_string_equal(dry.files[0], at("x.gguf"));
    refused(reap_prune(m, p, at("x.gguf"), NULL, NULL, &e), "exists");
    o.dry_run = 0;
    o.force = 1;
    refused(reap_prune(m, p, TINY, &o, NULL, &e), "the model itself");
    refused(reap_prune(m, p, PLAN, &o, NULL, &e), "the plan itself");
    reap_model *cut = there(reap_model_open(at("x.gguf"), &e));
    ok(reap_verify(m, cut, p, NULL, &v, &e));
    assert_int_equal(v.n_differences, 0);
    assert_true(v.bytes > r.tensor_bytes / 2);
    assert_null(v.found);
    reap_verify_result_clear(&v);
    ok(reap_verify(m, cut, NULL, NULL, &v, &e)); /* told from the bytes */
    same_choice(there(v.found), p);
    reap_verify_result_clear(&v);
    reap_model_close(cut);
    FILE *f = fopen(at("x.gguf"), "r+b"); /* one bit of the last tensor */
    assert_non_null(f);
    assert_int_equal(fseek(f, -40, SEEK_END), 0);
    int byte = fgetc(f);
    assert_int_equal(fseek(f, -40, SEEK_END), 0);
    fputc(byte ^ 1, f);
    fclose(f);
    cut = there(reap_model_open(at("x.gguf"), &e));
    assert_int_equal(reap_verify(m, cut, p, NULL, &v, &e), REAP_DIFFERS);
    assert_int_equal(e.code, REAP_DIFFERS);
    assert_true(v.n_differences == 1 && v.n_said == 1 && strstr(e.message, v.said[0]));
    reap_verify_result_clear(&v);
    assert_int_equal(v.n_said, 0);
    reap_model_close(cut);
    reap_prune_result_clear(&r);
    reap_prune_result_clear(&dry);
    reap_plan_close(p);
    reap_model_close(m);
}

static void test_cancel(void **state)
{
    (void)state;
    const char *const models[] = {TINY, FOLDER};
    for (int i = 0; i < 2; i++) {
        struct heard h = {0};
        reap_model *m = there(reap_model_open(models[i], &e));
        reap_plan_options o;
        reap_model_info info;
        reap_prune_options how;
        REAP_INIT(&o);
        REAP_INIT(&info);
        REAP_INIT(&how);
        reap_model_get_info(m, &info);
        o.keep = info.n_experts - 1;
        how.force = 1;
        double *scores = calloc((size_t)info.n_layers * info.n_experts, sizeof *scores);
        reap_plan *p = there(reap_plan_from_scores(m, scores, &o, &e));
        free(scores);
        ok(reap_prune(m, p, at("old"), NULL, NULL, &e));
        struct stat before, after;
        assert_int_equal(lstat(at("old"), &before), 0);
        for (int there_already = 0; there_already < 2; there_already++) {
            const char *out = there_already ? at("old") : at("new");
            for (int part = 1; part <= 3; part++) {
                h = (struct heard){.cancel_at = part == 1 ? 1 : info.bytes / 4 * (unsigned)part};
                listen(&h);
                assert_int_equal(reap_prune(m, p, out, &how, NULL, &e), REAP_CANCELLED);
                listen(NULL);
                assert_int_equal(e.code, REAP_CANCELLED);
                assert_true(h.done > 0);
                assert_false(exists(at("new")) || exists(at("new.reap-part")) || exists(at("old.reap-part")));
            }
        }
        assert_int_equal(lstat(at("old"), &after), 0);
        assert_true(before.st_ino == after.st_ino && before.st_mtime == after.st_mtime);
        ok(reap_prune(m, p, at("new"), NULL, NULL, &e)); /* nothing stayed locked */
        char command[4096];
        snprintf(command, sizeof command, "rm -rf '%s' '%s'", at("old"), at("new"));
        assert_int_equal(system(command), 0);
        reap_plan_close(p);
        reap_model_close(m);
    }
}

/* What is said to whom: nothing to nobody, and the warning of a plan of another model to the listener. */
static void test_messages(void **state)
{
    (void)state;
    struct heard h = {0};
    put("p.json", "{\"schema\":\"reap.plan/1\",\"n_keep\":31,\"keep\":{}}");
    reap_model *m = there(reap_model_open(TINY, &e));
    reap_plan *p = there(reap_plan_open(PLAN, &e));
    size_t n;
    char *s = contents(PLAN, &n), *hash = strstr(s, "faf81886");
    assert_non_null(hash);
    *hash = '0';
    put_bytes("foreign.json", s, n);
    free(s);
    reap_plan *foreign = there(reap_plan_open(at("foreign.json"), &e));
    listen(&h);
    refused(reap_plan_check(foreign, m, 0, &e), "foreign.json");
    assert_int_equal(h.warnings, 0);
    ok(reap_plan_check(foreign, m, 1, &e));
    assert_int_equal(h.warnings, 1);
    listen(NULL);
    ok(reap_plan_check(foreign, m, 1, &e));
    assert_int_equal(h.warnings, 1);
    reap_plan_close(foreign);
    reap_plan_close(p);
    reap_model_close(m);
}

/* ---- threads ---- */

#define ROUNDS 6

struct worker {
    const char *model;
    const char *out[ROUNDS];
    int cancels; /* every second round */
    struct heard h;
    const char *failed;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    for (int i = 0; i < ROUNDS && !w->failed; i++) {
        unsigned cancel = w->cancels && i % 2;
        reap_error we;
        reap_model *m = reap_model_open(w->model, &we);
        reap_model_info info;
        reap_plan_options o;
        REAP_INIT(&info);
        REAP_INIT(&o);
        if (!m)
            return w->failed = "open", NULL;
        reap_model_get_info(m, &info);
        for (o.keep = info.n_experts / 2; reap_model_can_keep(m, o.keep, NULL) != REAP_OK;)
            o.keep++;
        double *scores = calloc((size_t)info.n_layers * info.n_experts, sizeof *scores);
        reap_plan *p = reap_plan_from_scores(m, scores, &o, &we);
        free(scores);
        w->h = (struct heard){.cancel_at = cancel};
        listen(&w->h);
        if (!p || reap_prune(m, p, w->out[i], NULL, NULL, &we) != (cancel ? REAP_CANCELLED : REAP_OK))
            w->failed = "prune";
        listen(NULL);
        reap_model *cut = w->failed || cancel ? NULL : reap_model_open(w->out[i], &we);
        if (cut ? reap_verify(m, cut, p, NULL, NULL, &we) != REAP_OK : !cancel)
            w->failed = w->failed ? w->failed : "verify";
        reap_model_close(cut);
        reap_plan_close(p);
        reap_model_close(m);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    struct worker w[3] = {{.model = TINY}, {.model = GROUPED, .cancels = 1}, {.model = FOLDER}};
    pthread_t t[3];
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < ROUNDS; i++) {
            char name[32];
            snprintf(name, sizeof name, "%d-%d", k, i);
            w[k].out[i] = at(name);
        }
    for (int k = 0; k < 3; k++)
        assert_int_equal(pthread_create(&t[k], NULL, work, &w[k]), 0);
    for (int k = 0; k < 3; k++)
        pthread_join(t[k], NULL);
    for (int k = 0; k < 3; k++)
        if (w[k].failed)
            fail_msg("%s: %s", w[k].model, w[k].failed);
    for (int i = 0; i < ROUNDS; i++)
        assert_int_equal(exists(w[1].out[i]), i % 2 == 0);
    same_bytes(w[0].out[0], w[0].out[ROUNDS - 1]);
}

/* ---- the process ---- */

static volatile int no_memory, no_json;

/* In the place of libc's, for the library as well. */
__attribute__((visibility("default"))) char *strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *p = no_memory ? NULL : malloc(n);
    return p ? memcpy(p, s, n) : NULL;
}

static int lose_memory(void *user, const char *what, uint64_t done, uint64_t total)
{
    (void)user, (void)what;
    no_memory = total && done > total / 2;
    return 0;
}

static int leave(void *user, const char *what, uint64_t done, uint64_t total)
{
    (void)user, (void)what;
    if (total && done > total / 2) {
        if (!exists(at("x.gguf.reap-part")))
            _exit(90);
        reap_remove_unfinished();
        _exit(exists(at("x.gguf.reap-part")) ? 91 : 42);
    }
    return 0;
}

/* jansson's, in whose place these are for the library, too: without memory for a key. */
int json_object_set_new(void *object, const char *key, void *value);
int json_object_set_new_nocheck(void *object, const char *key, void *value);

__attribute__((visibility("default"))) int json_object_set_new_nocheck(void *object, const char *key,
                                                                       void *value)
{
    static int (*real)(void *, const char *, void *);
    if (!real)
        *(void **)(void *)&real = dlsym(RTLD_NEXT, "json_object_set_new_nocheck");
    bool fails = no_json && !strcmp(key, "criterion");
    no_json = no_json && !fails; /* once: another thread gave memory back */
    return fails ? -1 : real(object, key, value);
}

__attribute__((visibility("default"))) int json_object_set_new(void *object, const char *key, void *value)
{
    return json_object_set_new_nocheck(object, key, value);
}

static void last_words(const char *reason)
{
    if (exists(at("x.gguf.reap-part")) || strcmp(reason, "out of memory") != 0)
        _exit(92);
}

/* What a prune with such a listener, or without one a plan that is saved, ends with in a process of its own. */
static int ends_by(int (*progress)(void *, const char *, uint64_t, uint64_t))
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        reap_model *m = reap_model_open(TINY, &e);
        reap_plan *p = reap_plan_open(PLAN, &e);
        reap_listener l;
        REAP_INIT(&l);
        l.progress = progress;
        reap_listen(&l);
        reap_set_last_words(last_words);
        signal(SIGABRT, SIG_DFL); /* cmocka has it */
        no_json = !progress;
        if (progress)
            reap_prune(m, p, at("x.gguf"), NULL, NULL, &e);
        else
            reap_plan_save(p, at("x.gguf"), 0, &e);
        _exit(99);
    }
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
    assert_false(exists(at("x.gguf")) || exists(at("x.gguf.reap-part")));
    return status;
}

static void test_ends(void **state)
{
    (void)state;
    int status = ends_by(lose_memory);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
        fail_msg("without memory it ends with %x", (unsigned)status);
    status = ends_by(NULL);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
        fail_msg("without memory for JSON it ends with %x", (unsigned)status);
    status = ends_by(leave);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 42)
        fail_msg("with unfinished outputs removed it ends with %x", (unsigned)status);
}

static void test_signals(void **state)
{
    (void)state;
    static const int all[] = {SIGINT, SIGTERM, SIGHUP,  SIGBUS,  SIGSEGV,
                              SIGFPE, SIGILL,  SIGPIPE, SIGXFSZ, SIGABRT};
    pid_t pid = fork(); /* cmocka, and a sanitizer, have handlers of theirs in some */
    int status;
    if (pid == 0) {
        struct sigaction before[sizeof all / sizeof *all], now;
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            sigaction(all[i], NULL, &before[i]);
        reap_model *m = reap_model_open(TINY, &e);
        reap_plan *p = reap_plan_open(PLAN, &e);
        int code = reap_prune(m, p, at("x.gguf"), NULL, NULL, &e);
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
            sigaction(all[i], NULL, &now);
            if (now.sa_handler != before[i].sa_handler)
                _exit(all[i]);
        }
        _exit(code);
    }
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
    assert_int_equal(status, 0);
}

/* Numbers in files have points, wherever the host lives; tests/cli/library.sh makes a locale with commas. */
static void test_locale(void **state)
{
    (void)state;
    reap_plan *p = there(reap_plan_open(PLAN, &e));
    ok(reap_plan_save(p, at("c.json"), 0, &e));
    const char *name = getenv("COMMA_LOCALE");
    if (!name || !setlocale(LC_ALL, name)) {
        if (name)
            fail_msg("there is no locale '%s'", name);
        print_message("left out: no locale with commas\n");
    } else {
        char s[8];
        reap_stats *stats = there(reap_stats_open(STATS, &e));
        snprintf(s, sizeof s, "%.1f", 0.5);
        assert_string_equal(s, "0,5");
        ok(reap_plan_save(p, at("comma.json"), 0, &e));
        ok(reap_stats_save(stats, at("stats.json"), 0, &e));
        snprintf(s, sizeof s, "%.1f", 0.5);
        assert_string_equal(s, "0,5"); /* still the host's */
        setlocale(LC_ALL, "C");
        same_bytes(at("c.json"), at("comma.json"));
        same_bytes(at("stats.json"), STATS);
        reap_stats_close(stats);
    }
    reap_plan_close(p);
}

#define T(f) cmocka_unit_test_setup_teardown(f, tempdir_setup, tempdir_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(test_model),     T(test_stats), T(test_plans),   T(test_versions),
        T(test_bad_files), T(test_prune), T(test_cancel),  T(test_messages),
        T(test_threads),   T(test_ends),  T(test_signals), T(test_locale),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
