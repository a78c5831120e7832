/* test_steps.c - which steps of a run are done, which again, and what a death at any moment leaves: the mechanism
 * of src/run/steps.c, with steps that cost nothing.
 *
 * Five steps, named by a letter:
 *   g  gathers: goes on from an unfinished file (as a profile)
 *   c  chooses, chained to g
 *   m  makes what the user asked for, outside of our folder, chained to c
 *   p  proves it: chained to m, looks at what m wrote, writes nothing
 *   l  looks at a text and at what m wrote, not chained; wanted only with a text; goes on, but cannot tell of
 *      what the unfinished file is (as answers) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "run/steps.h"
#include "tempdir.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { G, C, M, P, L, N };

enum death {
    LIVES,
    BEFORE, /* fails without having written */
    HALF,   /* fails, and half of it is written */
    KILLED, /* all of it is written, but the record was not reached */
};

struct world {
    const char *option[N]; /* of each step */
    const char *basis;     /* of l */
    const char *text;      /* NULL: l is not wanted */
    const char *made, *made2;
    bool two, force, no_outputs;
    char did[8], went_on[8];
    int dies;
    enum death how;
    enum err_code code;
};

static const char *const letters = "gcmpl";
static const char *file[N], *record;

/* Valid for the whole test, however many paths it asks for. */
static const char *path(unsigned i, const char *name)
{
    static char paths[8][4096];
    snprintf(paths[i], sizeof paths[i], "%s", at(name));
    return paths[i];
}

static struct world world(void)
{
    file[G] = path(0, "work/g"), file[C] = path(1, "work/c"), file[L] = path(2, "work/l");
    record = path(3, "work/run.json");
    return (struct world){.option = {"1", "1", "1", "1", "1"},
                          .basis = "x",
                          .made = path(4, "made"),
                          .made2 = path(5, "made2"),
                          .dies = -1};
}

/* ---- the steps ---- */

static bool wanted(const void *ctx, uint32_t arg)
{
    const struct world *w = ctx;
    return arg != L || w->text;
}

static bool key(const void *ctx, uint32_t arg, struct buf *b, struct err *e)
{
    const struct world *w = ctx;
    buf_fmt(b, "%s\n", w->option[arg]);
    return strcmp(w->option[arg], "bad") != 0 || err_set(e, ERR_INPUT, "%c has a bad option", letters[arg]);
}

static void basis(const void *ctx, uint32_t arg, struct buf *b)
{
    const struct world *w = ctx;
    (void)arg;
    buf_str(b, w->basis);
}

static struct step_files ours(const void *ctx, uint32_t arg)
{
    (void)ctx;
    return (struct step_files){&file[arg], 1};
}

static struct step_files made(const void *ctx, uint32_t arg)
{
    const struct world *w = ctx;
    (void)arg;
    return (struct step_files){&w->made, w->two ? 2 : 1};
}

static struct step_files text(const void *ctx, uint32_t arg)
{
    const struct world *w = ctx;
    (void)arg;
    return (struct step_files){&w->text, 1};
}

static bool check(const void *ctx, uint32_t arg, const char *out, bool is_ours, struct err *e)
{
    const struct world *w = ctx;
    (void)arg;
    return file_check_output(out, w->force || is_ours, e);
}

static void append(const char *name, const char *s)
{
    FILE *f = fopen(name, "a");
    assert_non_null(f);
    assert_true(fputs(s, f) >= 0 && fclose(f) == 0);
}

static void rewrite(const char *name, const char *s)
{
    unlink(name);
    append(name, s);
}

static void add_letter(char list[8], uint32_t arg)
{
    size_t n = strlen(list);
    list[n] = letters[arg];
    list[n + 1] = 0;
}

/* What a step writes tells of all that it was made from: options, and for m those of g and c as well. */
static bool run(void *ctx, uint32_t arg, bool go_on, struct err *e)
{
    struct world *w = ctx;
    bool dies = w->dies == (int)arg;
    struct buf b = {0};
    add_letter(w->did, arg);
    if (go_on)
        add_letter(w->went_on, arg);
    if (go_on && arg == G) { /* what is there must be of this option */
        struct err ignored = {0};
        if (!file_read_all(file[arg], 100, &b, &ignored) || strncmp(b.s, w->option[arg], 1) != 0) {
            buf_clear(&b);
            w->did[strlen(w->did) - 1] = 0;
            return err_set(e, ERR_INPUT, "begun with another option");
        }
        buf_clear(&b);
    }
    if (dies && w->how == BEFORE)
        return err_set(e, w->code, "%c dies", letters[arg]);
    buf_fmt(&b, "%s%s", w->option[arg], dies && w->how == HALF ? "" : " whole");
    if (arg == M)
        buf_fmt(&b, " %s %s", w->option[G], w->option[C]);
    if (arg != P)
        rewrite(arg == M ? w->made : file[arg], b.s);
    if (arg == M && w->two)
        rewrite(w->made2, b.s);
    buf_clear(&b);
    return !dies || err_set(e, w->code, "%c dies", letters[arg]);
}

static const struct step list[N] = {
    {.name = "gather", .arg = G, .key = key, .outputs = ours, .run = run, .goes_on = true},
    {.name = "choose", .arg = C, .chained = true, .key = key, .outputs = ours, .run = run},
    {.name = "make", .arg = M, .chained = true, .key = key, .outputs = made, .check = check, .run = run},
    {.name = "prove", .arg = P, .chained = true, .inputs = made, .key = key, .run = run},
    {.name = "look",
     .arg = L,
     .wanted = wanted,
     .inputs = text,
     .basis = basis,
     .key = key,
     .outputs = ours,
     .run = run,
     .goes_on = true},
};

/* ---- calls ---- */

static bool call(struct world *w, bool again, struct err *e)
{
    struct steps s = {.list = list, .n = N, .ctx = w, .again = again, .record = record};
    w->did[0] = w->went_on[0] = 0;
    bool ok = steps_open(&s, e) && steps_check(&s, e) && steps_run(&s, e);
    steps_clear(&s);
    return ok;
}

/* It works, and these steps were done. */
static void does(struct world *w, const char *want)
{
    struct err e = {0};
    w->dies = -1;
    if (!call(w, false, &e))
        fail_msg("%s", e.msg);
    assert_string_equal(w->did, want);
}

static void refused(struct world *w, const char *words)
{
    struct err e = {0};
    assert_false(call(w, false, &e));
    assert_int_equal(e.code, ERR_INPUT);
    if (!strstr(e.msg, words))
        fail_msg("'%s' expected in: %s", words, e.msg);
    assert_string_equal(w->did, "");
}

static void holds(const char *name, const char *want)
{
    struct err e = {0};
    struct buf b = {0};
    if (!file_read_all(name, 1000, &b, &e))
        fail_msg("%s", e.msg);
    assert_string_equal(b.s, want);
    buf_clear(&b);
}

static struct world begun(void)
{
    struct world w = world();
    log_quiet = true;
    put("text", "a text");
    w.text = path(6, "text");
    put("work/x", "");
    does(&w, "gcmpl");
    does(&w, "");
    return w;
}

/* ---- tests ---- */

/* An option of a step makes this step anew, those chained to it, and those that look at what these write. */
static void test_options(void **state)
{
    (void)state;
    static const char *const want[N] = {"gcmp", "cmp", "mp", "p", "l"};
    struct world w = begun();
    for (int i = 0; i < N; i++) {
        w.option[i] = "2";
        does(&w, want[i]);
        does(&w, "");
        w.option[i] = "1"; /* and back */
        does(&w, want[i]);
        does(&w, "");
    }
    holds(w.made, "1 whole 1 1");
    w.option[C] = "bad";
    struct err e = {0};
    assert_false(call(&w, false, &e));
    assert_string_equal(e.msg, "c has a bad option");
    w.option[C] = "1";
    does(&w, "");
}

/* Inputs are seen by size and time, outputs as well; a step that is not wanted is not touched. */
static void test_files(void **state)
{
    (void)state;
    struct world w = begun();
    put("text", "another text");
    does(&w, "l");
    w.text = NULL;
    does(&w, "");
    w.text = path(6, "text");
    does(&w, "");
    for (int i = 0; i < N; i++)
        if (file[i]) {
            unlink(file[i]);
            does(&w, i == G ? "g" : i == C ? "c" : "l"); /* what is chained has the same key as before */
        }
    unlink(w.made);
    does(&w, "mp");
    append(file[C], "!");
    does(&w, "c");
    holds(file[C], "1 whole");
}

/* A file of somebody else is not replaced; force replaces it. */
static void test_foreign(void **state)
{
    (void)state;
    struct world w = begun();
    append(w.made, " touched"); /* no more what we wrote */
    refused(&w, "exists");
    holds(w.made, "1 whole 1 1 touched");
    rewrite(w.made, "precious");
    refused(&w, "exists");
    w.option[G] = "2"; /* it is found before anything is done */
    refused(&w, "exists");
    holds(w.made, "precious");
    w.force = true;
    does(&w, "gcmp");
    holds(w.made, "1 whole 2 1");
    w.force = false;
    w.option[M] = "2"; /* ours again */
    does(&w, "mp");
    /* another output: the first one is nobody's any more, and the new place must be free */
    put("other", "precious");
    w.made = at("other");
    refused(&w, "exists");
    unlink(w.made);
    does(&w, "mp");
    w.made = at("made");
    refused(&w, "exists");
}

/* Of an output of several files each is looked at. */
static void test_several(void **state)
{
    (void)state;
    struct world w = world();
    log_quiet = true;
    put("work/x", "");
    w.two = true;
    const char *both[] = {w.made, w.made2};
    does(&w, "gcmp");
    does(&w, "");
    for (int i = 0; i < 2; i++) {
        unlink(both[i]);
        does(&w, "mp");
        append(both[i], "!");
        refused(&w, "exists");
        unlink(both[i]);
        does(&w, "mp");
    }
}

static void test_again(void **state)
{
    (void)state;
    struct world w = begun();
    struct err e = {0};
    assert_true(call(&w, true, &e));
    assert_string_equal(w.did, "gcmpl");
    assert_string_equal(w.went_on, "");
    does(&w, "");
}

static void kill_during(struct world *w, int step)
{
    struct err e = {0};
    w->dies = step;
    w->how = KILLED;
    w->code = ERR_FAILED;
    assert_false(call(w, false, &e));
}

/* Wherever and however a call ends, the next one does the rest, and what is there in the end is the same. */
static void test_death(void **state)
{
    (void)state;
    struct world w = begun();
    char option[2] = "";
    unsigned n = 0;
    for (int i = 0; i < N; i++)
        for (enum death how = BEFORE; how <= KILLED; how++, n++) {
            char want[32];
            option[0] = (char)('a' + n);
            struct err e = {0};
            for (int x = 0; x < N; x++)
                w.option[x] = option; /* all are to be done */
            w.dies = i, w.how = how, w.code = n % 2 ? ERR_FAILED : ERR_INTERRUPTED;
            assert_false(call(&w, false, &e));
            assert_int_equal(e.code, w.code);
            assert_int_equal(strlen(w.did), i + 1);
            does(&w, letters + i);
            /* BEFORE leaves the file of the last round */
            assert_string_equal(w.went_on, i == G ? "gl" : "l");
            does(&w, "");
            snprintf(want, sizeof want, "%s whole %s %s", option, option, option);
            holds(w.made, want);
        }
    /* killed while it made the output, and then called with other options: the half output is still ours */
    w.option[M] = "x";
    kill_during(&w, M);
    w.option[C] = "y";
    does(&w, "cmp");
    /* but an output elsewhere is not */
    w.option[M] = "z";
    kill_during(&w, M);
    put("other", "precious");
    w.made = at("other");
    refused(&w, "exists");
}

/* An unfinished file of other options is not gone on with. */
static void test_goes_on(void **state)
{
    (void)state;
    struct world w = begun();
    struct err e = {0};
    w.option[G] = "2";
    w.dies = G, w.how = HALF, w.code = ERR_INTERRUPTED;
    assert_false(call(&w, false, &e));
    w.option[G] = "3";
    does(&w, "gcmp");
    assert_string_equal(w.went_on, "g"); /* it was tried */
    holds(file[G], "3 whole");
    put("work/g", "garbage");
    does(&w, "g");
    holds(file[G], "3 whole");
}

/* What cannot tell itself is gone on with when the basis is the same, though the key is not; what it refuses
 * stays. */
static void test_basis(void **state)
{
    (void)state;
    struct world w = begun();
    struct err e = {0};
    w.option[L] = "2";
    w.dies = L, w.how = BEFORE, w.code = ERR_INPUT;
    assert_false(call(&w, false, &e));
    assert_string_equal(w.did, "l"); /* once */
    assert_string_equal(w.went_on, "l");
    holds(file[L], "1 whole");
    does(&w, "l");
    assert_string_equal(w.went_on, "l");
    /* another one: removed, even when nothing is written */
    w.basis = "y";
    w.option[L] = "3";
    w.dies = L;
    err_clear(&e);
    assert_false(call(&w, false, &e));
    assert_string_equal(w.went_on, "");
    assert_false(file_exists(file[L]));
    does(&w, "l");
    assert_string_equal(w.went_on, "");
    w.dies = L, w.how = HALF, w.code = ERR_INTERRUPTED;
    w.option[L] = "4";
    err_clear(&e);
    assert_false(call(&w, false, &e));
    does(&w, "l");
    assert_string_equal(w.went_on, "l");
}

/* A record that cannot be read is a warning, and all is done; outputs are then nobody's. */
static void test_record(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "{\"schema\":",
        "[]",
        "",
        "{\"schema\":\"reap.run/1\",\"steps\":{\"gather\":3,\"choose\":{\"key\":4},\"make\":[]}}",
        "{\"schema\":\"reap.run/9\",\"steps\":{}}",
    };
    struct world w = begun();
    char **warnings;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        size_t before = log_warnings(&warnings);
        put("work/run.json", broken[i]);
        refused(&w, "exists");
        w.force = true;
        does(&w, "gcmpl");
        w.force = false;
        size_t after = log_warnings(&warnings);
        assert_int_equal(after, before + 2);
        assert_non_null(strstr(warnings[before], "all steps are done again"));
    }
    unlink(record);
    w.force = true;
    does(&w, "gcmpl");
    does(&w, "");
    /* one that cannot be looked at may well be there: nothing is done */
    assert_int_equal(symlink("circle", at("circle")), 0);
    record = at("circle/run.json");
    refused(&w, "cannot look at");
}

/* Names that JSON cannot hold as they are. */
static void test_names(void **state)
{
    (void)state;
    struct world w = world();
    log_quiet = true;
    put("work/x", "");
    w.made = at("made\x1b\xff");
    does(&w, "gcmp");
    does(&w, "");
    w.option[M] = "2";
    kill_during(&w, M);
    does(&w, "mp");
    does(&w, "");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, tempdir_setup, tempdir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_options), TEST(test_files),   TEST(test_foreign), TEST(test_several), TEST(test_again),
        TEST(test_death),   TEST(test_goes_on), TEST(test_record),  TEST(test_names),   TEST(test_basis),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
