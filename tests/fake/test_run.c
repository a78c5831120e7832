/* test_run.c - src/run/ on the fake engine: which steps are done again after which change, what a run leaves when it
 * is interrupted, what it refuses before it begins. The mechanism alone: tests/unit/test_steps.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sig.h"
#include "engine_fake.h"
#include "profile/profile.h"
#include "run/run.h"
#include "stats/criteria.h"
#include "tempdir.h"

#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MODEL TEST_DATA_DIR "/families/olmoe/model.gguf" /* 2 layers of 16 experts, 4 per token */

static const char *const names[] = {"ask for calibration",
                                    "profile",
                                    "plan",
                                    "choose",
                                    "refine",
                                    "prune",
                                    "verify",
                                    "evaluate the parent",
                                    "evaluate the result",
                                    "ask the parent",
                                    "ask the result"};
#define N_NAMES (sizeof names / sizeof *names)

static char *model, *out, *calib, *held, *prompts; /* of the running test */

static void put_repeated(const char *name, const char *s, unsigned n)
{
    struct buf b = {0};
    for (unsigned i = 0; i < n; i++)
        buf_fmt(&b, "%s %u\n", s, i);
    put_bytes(name, b.s, b.n);
    buf_clear(&b);
}

static void copy(const char *from, const char *name)
{
    struct buf b = {0};
    struct err e = {0};
    if (!file_read_all(from, UINT64_MAX, &b, &e))
        fail_msg("%s", e.msg);
    put_bytes(name, b.s, b.n);
    buf_clear(&b);
}

static int setup(void **state)
{
    int rc = tempdir_setup(state);
    fake_reset();
    copy(MODEL, "m.gguf");
    put_repeated("calib/a.txt", "some text of the first file, line", 12);
    put_repeated("calib/b.txt", "and of another one, line", 20);
    put_repeated("held.txt", "held out, line", 16);
    put("prompts/one.txt", "What is 1+1?");
    model = xstrdup(at("m.gguf"));
    out = xstrdup(at("out.gguf"));
    calib = xstrdup(at("calib"));
    held = xstrdup(at("held.txt"));
    prompts = xstrdup(at("prompts"));
    return rc;
}

static int teardown(void **state)
{
    free(model);
    free(out);
    free(calib);
    free(held);
    free(prompts);
    return tempdir_teardown(state);
}

static struct run_opts options(void)
{
    struct run_opts o = {
        .model = model,
        .out = out,
        .corpus = {.specs = (const char *const *)&calib, .n_specs = 1},
        .plan = {.kind = PRUNE_RATIO, .value = 0.25, .criterion = criterion_default()},
        .n_ctx = 128,
        .texts = (const char *const *)&held,
        .n_texts = 1,
        .eval_ctx = 32,
        .prompts = (const char *const *)&prompts,
        .max_tokens = 8,
    };
    engine_opts_default(&o.engine);
    o.engine.ubatch = 64;
    return o;
}

/* ---- calls ---- */

/* Letters of the steps that the notes say were done, those already done as '-': "ppve--" */
static void read_notes(const char *path, char did[N_NAMES + 1])
{
    struct buf b = {0};
    struct err e = {0};
    size_t n = 0;
    if (!file_read_all(path, 1 << 20, &b, &e))
        fail_msg("%s", e.msg);
    buf_str(&b, "");
    for (char *save = NULL, *line = strtok_r(b.s, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        for (size_t i = 0; i < N_NAMES; i++) {
            size_t k = strlen(names[i]);
            if (strncmp(line, names[i], k) != 0 || (line[k] && line[k] != ' '))
                continue;
            assert_true(n < N_NAMES);
            did[n++] = strstr(line + k, "already done") ? '-' : names[i][0];
        }
    did[n] = 0;
    buf_clear(&b);
}

static bool call(const struct run_opts *o, struct run_result *r, char did[N_NAMES + 1], struct err *e)
{
    const char *path = at("notes");
    int was = dup(STDERR_FILENO), fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(was >= 0 && fd >= 0);
    dup2(fd, STDERR_FILENO);
    bool ok = run_all(o, r, e);
    dup2(was, STDERR_FILENO);
    close(was);
    close(fd);
    read_notes(path, did);
    return ok;
}

/* It works; want: the steps by letter, '-' for one that was done already. */
static struct run_result does(const struct run_opts *o, const char *want)
{
    struct err e = {0};
    struct run_result r;
    char did[N_NAMES + 1];
    if (!call(o, &r, did, &e))
        fail_msg("%s", e.msg);
    assert_string_equal(did, want);
    return r;
}

static void just(const struct run_opts *o, const char *want)
{
    struct run_result r = does(o, want);
    run_result_clear(&r);
}

/* Refused before the first step. */
static void refused(const struct run_opts *o, const char *words)
{
    struct err e = {0};
    struct run_result r;
    char did[N_NAMES + 1];
    assert_false(call(o, &r, did, &e));
    run_result_clear(&r);
    assert_int_equal(e.code, ERR_INPUT);
    if (!strstr(e.msg, words))
        fail_msg("'%s' expected in: %s", words, e.msg);
    assert_string_equal(did, "");
}

static void same_file(const char *a, const char *b)
{
    struct buf x = {0}, y = {0};
    struct err e = {0};
    if (!file_read_all(a, UINT64_MAX, &x, &e) || !file_read_all(b, UINT64_MAX, &y, &e))
        fail_msg("%s", e.msg);
    if (x.n != y.n || memcmp(x.s, y.s, x.n) != 0)
        fail_msg("'%s' and '%s' differ", a, b);
    buf_clear(&x);
    buf_clear(&y);
}

/* ---- tests ---- */

static void test_options(void **state)
{
    (void)state;
    struct run_opts o = options();
    struct run_result a = does(&o, "pppvee"), b = does(&o, "------");
    assert_int_equal(a.n_keep, 12);
    assert_int_equal(a.n_experts, 16);
    assert_string_equal(a.output, at("out.gguf"));
    assert_string_equal(a.work, at("out.gguf.work"));
    assert_true(a.bytes_after < a.bytes_before);
    assert_int_equal(a.n_texts, 1);
    assert_true(a.texts[0].ppl_before > 1 && a.texts[0].ppl_after > 1);
    assert_int_equal(a.answers.n, 0);
    assert_true(a.halves.same > 0.5 && a.halves.same <= 1 && a.halves.kept > 0.5 && a.halves.kept <= 1);
    /* what was done is told again */
    assert_true(a.bytes_before == b.bytes_before && a.bytes_after == b.bytes_after && a.n_keep == b.n_keep &&
                a.halves.kept == b.halves.kept && a.texts[0].ppl_before == b.texts[0].ppl_before &&
                a.texts[0].ppl_after == b.texts[0].ppl_after);
    run_result_clear(&a);
    run_result_clear(&b);
    copy(o.out, "first.gguf");
    /* another plan: the profile stays */
    o.plan.kind = KEEP_COUNT, o.plan.value = 8;
    just(&o, "-ppv-e");
    just(&o, "------");
    o.plan.criterion = criterion_find("frequency");
    just(&o, "-ppv-e");
    o = options();
    just(&o, "-ppv-e");
    same_file(o.out, at("first.gguf"));
    o.eval_ctx = 16;
    just(&o, "----ee");
    o.engine.flash_attn =
        "off"; /* may change all that the engine computes; the plan that comes of it is the same */
    just(&o, "pppvee");
    o.n_ctx = 100;
    just(&o, "pppv-e");
    o.texts = NULL, o.n_texts = 0;
    just(&o, "----");
    o.again = true;
    just(&o, "pppv");
}

/* A criterion by measurement: done once, again with another budget, part or plan, and the model is cut again when it comes
 * out otherwise. */
static void test_choice(void **state)
{
    (void)state;
    struct buf b = {0};
    struct run_opts o = options();
    const char *rows = xstrdup(at("rows.jsonl"));
    for (unsigned i = 0; i < 40; i++)
        buf_fmt(&b, "{\"text\": \"row %u of some text, a little different each time: %u\"}\n", i, i * i);
    put_bytes("rows.jsonl", b.s, b.n);
    buf_clear(&b);
    o.corpus.specs = &rows;
    o.choose = true, o.plan.criterion = NULL;
    refused(&o, "only where something is set aside");
    o.corpus.set_aside = 0.01;
    refused(&o, "nothing is set aside: no category has enough samples");
    assert_false(file_exists(at("out.gguf.work")));
    o.corpus.set_aside = 0.2;
    struct run_result r = does(&o, "pcpvee"), s = does(&o, "------");
    assert_non_null(r.choice);
    assert_true(json_equal(r.choice, s.choice));
    assert_true(r.halves.kept > 0);
    run_result_clear(&r);
    run_result_clear(&s);
    o.choose_budget = 1e9;
    just(&o, "-cpv-e");
    o.corpus.set_aside = 0.3;
    just(&o, "pcpv-e");
    o.choose = false, o.plan.criterion = criterion_default();
    r = does(&o, "-ppv-e");
    assert_null(r.choice);
    run_result_clear(&r);
    o.corpus.set_aside = 0;
    just(&o, "pppv-e");
    free((void *)(uintptr_t)rows);
}

/* A plan bettered by trial: the first one stays beside it, and what is behind it is of the second. */
static void test_refined(void **state)
{
    (void)state;
    struct buf b = {0};
    struct run_opts o = options();
    const char *rows = xstrdup(at("rows.jsonl"));
    for (unsigned i = 0; i < 40; i++)
        buf_fmt(&b, "{\"text\": \"row %u of some text, a little different each time: %u\"}\n", i, i * i);
    put_bytes("rows.jsonl", b.s, b.n);
    buf_clear(&b);
    o.corpus.specs = &rows;
    o.corpus.set_aside = 0.2;
    o.refine_budget = 1e6; /* until nothing is left to try */
    struct run_result r = does(&o, "pprpvee"), s = does(&o, "-------");
    assert_non_null(json_object_get(r.refined, "check"));
    assert_true(json_equal(r.refined, s.refined));
    assert_true(file_exists(at("out.gguf.work/plan-first.json")));
    assert_false(file_exists(at("out.gguf.work/plan.json.state")));
    run_result_clear(&r);
    run_result_clear(&s);
    put("out.gguf.work/plan.json.state", "{}"); /* what something else left is no obstacle */
    o.refine_budget = 2e6;
    just(&o, "--rpv-e");
    o.refine_budget = 0;
    r = does(&o, "-ppv-e");
    assert_null(r.refined);
    run_result_clear(&r);
    free((void *)(uintptr_t)rows);
}

static void test_outputs(void **state)
{
    (void)state;
    struct run_opts o = options();
    just(&o, "pppvee");
    copy(o.out, "first.gguf");
    unlink(o.out);
    just(&o, "--pv-e");
    same_file(o.out, at("first.gguf"));
    unlink(at("out.gguf.work/eval-after.json"));
    just(&o, "-----e");
    unlink(at("out.gguf.work/plan.json"));
    just(&o, "-p----");
    put("out.gguf.work/stats.json", "garbage");
    just(&o, "p-----");
    /* one that somebody changed is neither called verified nor replaced */
    int fd = open(o.out, O_WRONLY);
    assert_true(fd >= 0 && pwrite(fd, "XXXX", 4, 500000) == 4 && close(fd) == 0);
    refused(&o, "exists");
    put("out.gguf", "precious");
    refused(&o, "exists");
    o.force = true;
    just(&o, "--pv-e");
    same_file(o.out, at("first.gguf"));
    o.force = false;
    just(&o, "------");
    put("out.gguf.work/run.json", "{\"schema\":");
    refused(&o, "exists");
    o.force = true;
    just(&o, "pppvee");
    same_file(o.out, at("first.gguf"));
}

static void test_inputs(void **state)
{
    (void)state;
    struct run_opts o = options();
    just(&o, "pppvee");
    put_repeated("held.txt", "another text, line", 16);
    just(&o, "----ee");
    put_repeated("calib/c.txt", "one more file, line", 9);
    just(&o, "pppv-e");
    put_repeated("calib/c.txt", "ONE more file, line", 9); /* the folder itself did not change */
    just(&o, "pppv-e");
    put_repeated("calib/deep/d.txt", "below, line", 9);
    just(&o, "pppv-e");
    put_repeated("calib/deep/d.txt", "BELOW, line", 9);
    just(&o, "pppv-e");
    utimensat(AT_FDCWD, at("calib/a.txt"), NULL, 0); /* the text is what is in it */
    just(&o, "------");
    utimensat(AT_FDCWD, o.model, NULL, 0); /* of a model the time counts */
    just(&o, "pppvee");
    o.corpus.seed = 7;
    just(&o, "pppv-e");
    /* rows of another file under the same name */
    const char *rows = xasprintf("%s:1", at("rows.jsonl"));
    o.corpus.specs = &rows;
    put("rows.jsonl", "{\"text\":\"one row of text\"}\n");
    just(&o, "pppv-e");
    put("rows.jsonl", "{\"text\":\"two rows\"}\n{\"text\":\"of text\"}\n");
    struct run_result r = does(&o, "pppv-e");
    assert_true(isnan(r.halves.same) && isnan(r.halves.kept)); /* of a single sample there are no halves */
    run_result_clear(&r);
    free((void *)(uintptr_t)rows);
}

/* What can be known is said before the work, and leaves no folder behind. */
static void test_refused(void **state)
{
    (void)state;
    const char *none = at("missing.txt"), *input = "-", *bad = at("bad.jsonl");
    struct run_opts o;
#define REFUSED(words, ...)                             \
    do {                                                \
        o = options();                                  \
        __VA_ARGS__;                                    \
        refused(&o, words);                             \
        assert_false(file_exists(at("out.gguf.work"))); \
    } while (0)
    REFUSED("a run can be repeated", o.corpus.specs = &input);
    REFUSED("missing.txt' does not exist", o.texts = &none);
    REFUSED("--prompts: ", o.prompts = &none, o.n_prompts = 1);
    REFUSED("--calib is missing", o.corpus.n_specs = 0);
    REFUSED("--calib-prompts: ", o.calib_prompts = &none, o.n_calib_prompts = 1);
    REFUSED("has 16", o.plan.kind = KEEP_COUNT, o.plan.value = 17);
    REFUSED("top-k", o.plan.kind = KEEP_COUNT, o.plan.value = 3);
    REFUSED("--fit", o.plan.kind = FIT_BYTES, o.plan.fit = 1000);
    REFUSED("m.gguf", o.out = o.model, o.force = true);
    REFUSED("folder", o.out = calib);
    put("bad.jsonl", "{\"prompt\":\"fine\"}\n{\"prompt\":5}\n");
    REFUSED("bad.jsonl: line 2: row: 'prompt' is an integer", o.prompts = &bad, o.n_prompts = 1);
    REFUSED("bad.jsonl: line 2: row: 'prompt'", o.calib_prompts = &bad, o.n_calib_prompts = 1);
    /* text that is read behind the first answers */
    REFUSED("missing.txt", o.calib_prompts = (const char *const *)&prompts, o.n_calib_prompts = 1,
            o.corpus.specs = &none);
    REFUSED("--map is for rows of --calib", o.calib_prompts = (const char *const *)&prompts,
            o.n_calib_prompts = 1, o.corpus.n_specs = 0, o.corpus.map = "user=q");
    put("out.gguf", "precious");
    REFUSED("exists", (void)0);
#undef REFUSED
    o = options();
    o.work = held;
    refused(&o, "out.gguf' exists");
    unlink(o.out);
    refused(&o, "held.txt");
}

/* A text that is too short is known before the profile. */
static void test_early(void **state)
{
    (void)state;
    struct run_opts o = options();
    struct err e = {0};
    struct run_result r;
    char did[N_NAMES + 1];
    put("held.txt", "short");
    assert_false(call(&o, &r, did, &e));
    run_result_clear(&r);
    assert_string_equal(did, "");
    assert_false(file_exists(at("out.gguf.work")));
    assert_non_null(strstr(e.msg, "held.txt: has 6 tokens, at least"));
    put_repeated("held.txt", "held out, line", 16);
    const char *none = at("missing");
    o.out = at("n.gguf");
    o.corpus.specs = &none;
    err_clear(&e);
    assert_false(call(&o, &r, did, &e));
    run_result_clear(&r);
    assert_string_equal(did, "");
    assert_non_null(strstr(e.msg, "cannot open '"));
    assert_false(file_exists(at("n.gguf")));
}

/* In a process of its own, because a signal is remembered. */
static int call_apart(const struct run_opts *o, struct fake_engine how)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct err e = {0};
        struct run_result r;
        fake = how;
        log_quiet = true;
        sig_install();
        run_all(o, &r, &e);
        _exit(e.code);
    }
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* Wherever the signal comes or the engine fails: the next call goes on, and ends with the same files. */
static void test_interrupted(void **state)
{
    (void)state;
    struct run_opts o = options();
    just(&o, "pppvee");
    copy(at("out.gguf.work/stats.json"), "stats.json");
    copy(out, "whole.gguf");
    uint64_t decodes = fake.n_decode;
    assert_in_range(decodes, 20, 200);
    for (uint64_t n = 2; n <= decodes; n += 1 + decodes / 12) {
        struct fake_engine how = {.bos = FAKE_BOS, .n_ctx_train = 4096};
        unlink(out);
        unlink(at("out.gguf.work/stats.json"));
        unlink(at("out.gguf.work/run.json"));
        *(n % 2 ? &how.interrupt_at : &how.fail_at) = n;
        assert_int_equal(call_apart(&o, how), n % 2 ? ERR_INTERRUPTED : ERR_FAILED);
        struct err e = {0};
        struct run_result r;
        char did[N_NAMES + 1];
        if (!call(&o, &r, did, &e))
            fail_msg("%s", e.msg);
        run_result_clear(&r);
        same_file(at("out.gguf.work/stats.json"), at("stats.json"));
        same_file(out, at("whole.gguf"));
        just(&o, "------");
    }
}

/* ---- prompts ---- */

/* A stand-in for llama-server: what it was called with is in "args", what it was asked in "asked". */
static void stand_in(void)
{
    char *dir = path_dir(REAP_BIN);
    char *s = xasprintf("#!/bin/sh\necho \"$@\" >>'%s'\n"
                        "for a; do [ \"$was\" != --port ] || break; was=$a; done\n"
                        "exec '%s/bad_server' '%s' '%s' \"$a\"\n",
                        at("args"), dir, at("port"), at("asked"));
    put("llama-server", s);
    chmod(at("llama-server"), 0755);
    setenv("REAP_LLAMA_SERVER", at("llama-server"), 1);
    free(s);
    free(dir);
}

static unsigned lines(const char *name, const char *with)
{
    struct buf b = {0};
    struct err e = {0};
    unsigned n = 0;
    if (!file_read_all(at(name), 1 << 20, &b, &e))
        fail_msg("%s", e.msg);
    for (const char *p = b.s; p && (p = strstr(p, with)); p++)
        n++;
    buf_clear(&b);
    return n;
}

static void test_prompts(void **state)
{
    (void)state;
    struct run_opts o = options();
    stand_in();
    o.n_prompts = 1;
    o.n_texts = 0;
    o.engine.cpu_moe = true;
    struct run_result r = does(&o, "pppvaa");
    assert_true(r.answers.n == 1 && r.answers.n_exact == 1 && r.answers.endless_before == 0);
    run_result_clear(&r);
    assert_true(file_exists(at("out.gguf.work/compare.json")) &&
                file_exists(at("out.gguf.work/report.html")));
    assert_int_equal(lines("args", "--ubatch-size 64 --cpu-moe"), 2);
    assert_int_equal(lines("asked", "What is 1+1?"), 2);
    just(&o, "------");
    /* a prompt more: what was answered is not asked again */
    put("prompts/two.txt", "What is 2+2?");
    just(&o, "----aa");
    assert_int_equal(lines("asked", "What is 1+1?"), 2);
    assert_int_equal(lines("asked", "What is 2+2?"), 2);
    utimensat(AT_FDCWD, at("prompts/two.txt"), NULL, 0); /* a prompt is what is in it */
    just(&o, "------");
    o.plan.value = 0.5;
    just(&o, "-ppv-a");
    assert_int_equal(lines("asked", "What is 1+1?"), 3); /* answers of another model are no answers */
    o.engine.cache_type_k = "q8_0";
    unsigned was = lines("asked", "What is 1+1?");
    just(&o, "pppvaa");
    assert_int_equal(lines("asked", "What is 1+1?"), was + 2);
    put("out.gguf.work/answers-before.json", "garbage");
    just(&o, "----a-");
    /* --again asks all again */
    unsigned before = lines("asked", "What is 1+1?");
    o.again = true;
    just(&o, "pppvaa");
    assert_int_equal(lines("asked", "What is 1+1?"), before + 2);
}

static size_t n_files(const char *stats)
{
    struct err e = {0};
    json_t *doc = json_read(stats, &e);
    size_t n = json_array_size(json_object_get(json_object_get(doc, "calibration"), "files"));
    json_decref(doc);
    return n;
}

/* Its own answers as calibration text. */
static void test_calib_prompts(void **state)
{
    (void)state;
    struct run_opts o = options();
    const char *more = at("more");
    stand_in();
    put("more/one.txt", "Tell me of experts.");
    put("more/two.txt", "And of routers.");
    more = xstrdup(more);
    o.n_texts = 0;
    o.corpus.n_specs = 0;
    o.calib_prompts = &more, o.n_calib_prompts = 1, o.calib_max_tokens = 32;
    just(&o, "apppv");
    assert_int_equal(lines("asked", "Tell me of experts."), 1);
    assert_int_equal(lines("asked", "\"temperature\":1"), 2); /* drawn, not the likeliest */
    assert_int_equal(n_files(at("out.gguf.work/stats.json")), 1);
    just(&o, "-----");
    /* what is asked before and after is another thing */
    o.n_prompts = 1;
    just(&o, "-----aa");
    /* a prompt more: the others are not asked again, and all that stands on the text is done again */
    put("more/three.txt", "And of gates.");
    just(&o, "apppv-a");
    assert_int_equal(lines("asked", "Tell me of experts."), 1);
    assert_int_equal(lines("asked", "And of gates."), 1);
    /* together with other text */
    o.corpus.n_specs = 1;
    just(&o, "-pppv-a");
    assert_int_equal(n_files(at("out.gguf.work/stats.json")), 3);
    o.calib_max_tokens = 64;
    just(&o, "apppv-a");
    o.n_calib_prompts = 0;
    just(&o, "pppv-a");
    free((void *)(uintptr_t)more);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_options), TEST(test_choice),        TEST(test_refined), TEST(test_outputs),
        TEST(test_inputs),  TEST(test_refused),       TEST(test_early),   TEST(test_interrupted),
        TEST(test_prompts), TEST(test_calib_prompts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
