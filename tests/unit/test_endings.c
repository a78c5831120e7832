/* test_endings.c - what ends the program without unwinding leaves no unfinished output behind: lack of
 * memory, a broken invariant, a second signal, an abort inside the engine; in any thread, and however many
 * outputs there are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/dir.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/out.h"
#include "base/sig.h"
#include "engine/quantize.h"
#include "tempdir.h"

#include <fcntl.h>
#include <ggml.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the endings ---- */

/* A size that no machine has, asked for so that no compiler or sanitizer sees it coming. */
static void no_memory(void)
{
    volatile size_t n = SIZE_MAX;
    (void)xrealloc(NULL, n, 16);
}

static void bug(void)
{
    BUG("on purpose: %d", 1);
}

static void *bug_in_thread(void *arg)
{
    (void)arg;
    bug();
    return NULL;
}

static void *no_memory_in_thread(void *arg)
{
    (void)arg;
    no_memory();
    return NULL;
}

static void run_thread(void *(*fn)(void *))
{
    pthread_t t;
    if (pthread_create(&t, NULL, fn, NULL) == 0)
        pthread_join(t, NULL);
}

static void thread_bug(void)
{
    run_thread(bug_in_thread);
}

static void thread_no_memory(void)
{
    run_thread(no_memory_in_thread);
}

static void two_signals(void)
{
    sig_install();
    raise(SIGTERM);
    raise(SIGTERM);
}

/* The engine's own way out of an assertion, once quantising was asked for; nothing else of the engine has
 * been used. */
static void engine_abort(void)
{
    struct err e = {0};
    struct quantize_opts o = {.type = "Q8_0", .threads = 1, .force = true};
    engine_quantize(at("there is none.gguf"), at("q.gguf"), &o, &e);
    ggml_abort(__FILE__, __LINE__, "on purpose");
}

#if SIG_CATCHES_CRASHES
#define ABORTED ERR_FAILED, 0
#else
#define ABORTED 0, SIGABRT
#endif

static const struct {
    const char *name;
    void (*fn)(void);
    int exit, signal; /* how it ends */
} endings[] = {
    {"no memory", no_memory, ERR_FAILED, 0},
    {"no memory in a thread", thread_no_memory, ERR_FAILED, 0},
    {"a bug", bug, ABORTED},
    {"a bug in a thread", thread_bug, ABORTED},
    {"two signals", two_signals, ERR_INTERRUPTED, 0},
    {"an abort of the engine", engine_abort, ERR_FAILED, 0},
};
#define N_ENDINGS (sizeof endings / sizeof *endings)

/* ---- outputs ---- */

static void quiet(void)
{
    int null = open("/dev/null", O_WRONLY);
    dup2(null, STDERR_FILENO);
}

/* Begins outputs in a process of its own and ends it; returns what waitpid says. */
static int end_with(void (*begin)(void), void (*fn)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        quiet();
        begin();
        fn();
        _exit(99);
    }
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
    return status;
}

static void check_status(size_t i, int status)
{
    bool ok = endings[i].signal ? WIFSIGNALED(status) && WTERMSIG(status) == endings[i].signal
                                : WIFEXITED(status) && WEXITSTATUS(status) == endings[i].exit;
    if (!ok)
        fail_msg("%s: ended with %x", endings[i].name, (unsigned)status);
}

static void begin_file(void)
{
    static struct out o;
    struct err e = {0};
    if (!out_open(&o, at("x"), false, &e) || !out_write(&o, "half", 4, &e))
        _exit(98);
}

static void test_file(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ENDINGS; i++) {
        check_status(i, end_with(begin_file, endings[i].fn));
        if (file_exists(at("x.reap-part")) || file_exists(at("x")))
            fail_msg("%s: leaves an output", endings[i].name);
    }
}

/* A folder with what is in it, and with nothing of what a link in it leads to. */
static void begin_folder(void)
{
    static struct out_dir o;
    static struct out f;
    struct err e = {0};
    if (!out_dir_open(&o, at("d"), "config.json", false, &e) || !dir_make(at("d.reap-part/sub/deep"), &e))
        _exit(98);
    for (int i = 0; i < 200; i++) {
        char name[96];
        snprintf(name, sizeof name, "d.reap-part/sub/a file with a rather long name, number %03d", i);
        put(name, "whole");
    }
    put("d.reap-part/sub/deep/x", "whole");
    if (symlink(at("mine"), at("d.reap-part/link")) != 0 || !out_open(&f, at("d.reap-part/model"), false, &e))
        _exit(98);
}

static void test_folder(void **state)
{
    (void)state;
    put("mine/keep", "this");
    for (size_t i = 0; i < N_ENDINGS; i++) {
        check_status(i, end_with(begin_folder, endings[i].fn));
        if (file_exists(at("d.reap-part")) || file_exists(at("d")))
            fail_msg("%s: leaves an output", endings[i].name);
        assert_true(file_exists(at("mine/keep")));
    }
}

/* Shards of one output; every 50th is there, which is enough to see whom a list forgets. */
#define N_PARTS 5000
#define STEP    50

static void begin_many(void)
{
    char name[32];
    for (int i = 0; i < N_PARTS; i++) {
        snprintf(name, sizeof name, "%d.reap-part", i);
        if (i % STEP == STEP - 1)
            put(name, "");
        sig_watch_part(xstrdup(at(name)));
    }
}

static void test_many(void **state)
{
    (void)state;
    check_status(2, end_with(begin_many, bug));
    for (int i = 0; i < N_PARTS; i++) {
        char name[32];
        snprintf(name, sizeof name, "%d.reap-part", i);
        if (file_exists(at(name)))
            fail_msg("%s is still there", name);
    }
}

/* What is done, or another's, stays: an output that has its name, and those of a parent process. */
static void begin_done(void)
{
    static struct out o;
    struct err e = {0};
    if (!out_open(&o, at("done"), true, &e) || !out_commit(&o, &e))
        _exit(98);
    put("done.reap-part", "of another program");
}

static void test_done(void **state)
{
    (void)state;
    struct out o;
    struct err e = {0};
    assert_true(out_open(&o, at("parents"), false, &e));
    for (size_t i = 0; i < N_ENDINGS; i++) {
        check_status(i, end_with(begin_done, endings[i].fn));
        assert_true(file_exists(at("done")) && file_exists(at("done.reap-part")));
    }
    assert_true(out_commit(&o, &e));
}

static void nothing(void)
{
}

static void test_child(void **state)
{
    (void)state;
    struct out o;
    struct err e = {0};
    assert_true(out_open(&o, at("parents"), false, &e));
    for (size_t i = 0; i < N_ENDINGS; i++) {
        check_status(i, end_with(nothing, endings[i].fn));
        if (i + 1 < N_ENDINGS) /* quantising has an output of its own */
            assert_true(file_exists(at("parents.reap-part")));
    }
    out_abort(&o);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, tempdir_setup, tempdir_teardown)
    static const struct CMUnitTest tests[] = {
        T(test_file), T(test_folder), T(test_many), T(test_done), T(test_child),
    };
    return cmocka_run_group_tests_name("endings", tests, NULL, NULL);
}
