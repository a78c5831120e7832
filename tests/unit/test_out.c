/* test_out.c - src/base/out.c and dir.c, the part about several outputs and about what others do meanwhile.
 *
 * rename, renameat2, link and unlink are this program's own here: the N-th call of them fails, or is where the
 * process ends as a kill would end it, before or behind the call. Every N is tried, and for each of these every
 * place where the undoing can be killed in its turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/dir.h"
#include "base/file.h"
#include "base/log.h"
#include "base/out.h"
#include "base/sig.h"
#include "tempdir.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- calls that fail, or are the last ---- */

enum way { FAILS, FAILS_ON, KILLED_BEFORE, KILLED_BEHIND, N_WAYS };
static const char *const way_names[] = {"fails", "fails from there on", "killed before", "killed behind"};
#define KILLED 77

static enum way way;
static unsigned calls, at_call; /* 0: none */
static bool only_renames;       /* links and unlinks do not fail */
static int no_exchange;         /* errno of renameat2 */
static bool no_locks;           /* as on some network file systems */
static bool no_links;           /* files have one name, as on vfat */

/* True: the call fails. */
static bool begin_call(bool renames)
{
    if (only_renames && !renames)
        return false;
    calls++;
    if (!at_call || calls < at_call || (calls > at_call && way != FAILS_ON))
        return false;
    if (way == KILLED_BEFORE)
        _exit(KILLED);
    errno = EIO;
    return way == FAILS || way == FAILS_ON;
}

static int end_call(long r)
{
    if (at_call && calls == at_call && way == KILLED_BEHIND)
        _exit(KILLED);
    return (int)r;
}

/* Their declarations are libc's. */
__attribute__((visibility("default"))) int rename(const char *a, const char *b)
{
    return begin_call(true) ? -1 : end_call(syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 0));
}

__attribute__((visibility("default"))) int renameat2(int da, const char *a, int db, const char *b,
                                                     unsigned flags)
{
    if (no_exchange) {
        errno = no_exchange;
        return -1;
    }
    return begin_call(true) ? -1 : end_call(syscall(SYS_renameat2, da, a, db, b, flags));
}

__attribute__((visibility("default"))) int link(const char *a, const char *b)
{
    if (no_links) {
        errno = EPERM;
        return -1;
    }
    return begin_call(false) ? -1 : end_call(syscall(SYS_linkat, AT_FDCWD, a, AT_FDCWD, b, 0));
}

__attribute__((visibility("default"))) int unlink(const char *a)
{
    return begin_call(false) ? -1 : end_call(syscall(SYS_unlinkat, AT_FDCWD, a, 0));
}

__attribute__((visibility("default"))) int flock(int fd, int how)
{
    if (no_locks) {
        errno = ENOLCK;
        return -1;
    }
    return (int)syscall(SYS_flock, fd, how);
}

static void let_all_work(void)
{
    at_call = calls = 0;
    only_renames = false;
}

/* fn in a process of its own, the given call of it being the last; one more than the calls it made, 0: it was killed. */
static unsigned in_child(bool (*fn)(void), enum way w, unsigned n)
{
    int p[2], status;
    unsigned made = 0;
    assert_int_equal(pipe(p), 0);
    pid_t pid = fork();
    if (pid == 0) {
        way = w;
        at_call = n;
        calls = 0;
        bool ok = fn();
        _exit(ok && write(p[1], &calls, sizeof calls) == sizeof calls ? 0 : 1);
    }
    close(p[1]);
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    if (WEXITSTATUS(status) != KILLED)
        assert_int_equal(WEXITSTATUS(status), 0);
    if (WEXITSTATUS(status) == 0) {
        assert_int_equal(read(p[0], &made, sizeof made), sizeof made);
        made++;
    }
    close(p[0]);
    return made;
}

/* ---- three files as one ---- */

#define N 3
static const char *const names[N] = {"m-1", "m-2", "m-3"};
static bool replaces; /* old files are there, and --force */

static void paths_of(char *v[N])
{
    for (int i = 0; i < N; i++)
        v[i] = strdup(at(names[i]));
}

static void paths_free(char *v[N])
{
    for (int i = 0; i < N; i++)
        free(v[i]);
}

static void set_up(void)
{
    char command[600];
    let_all_work();
    snprintf(command, sizeof command, "rm -rf '%s'/*", at(""));
    assert_int_equal(system(command), 0);
    for (int i = 0; replaces && i < N; i++)
        put(names[i], "old");
}

static bool write_set(void)
{
    struct out v[N];
    struct err e = {0};
    bool ok = true;
    for (int i = 0; i < N; i++)
        v[i].fd = -1;
    for (int i = 0; ok && i < N; i++)
        ok = out_open(&v[i], at(names[i]), replaces, &e) && out_write(&v[i], "new", 3, &e);
    ok = ok && out_commit_all(v, N, &e);
    for (int i = 0; i < N; i++)
        out_abort(&v[i]);
    return ok;
}

static bool recover(void)
{
    char *v[N];
    struct err e = {0};
    paths_of(v);
    bool ok = out_recover((const char *const *)v, N, &e);
    paths_free(v);
    return ok;
}

/* 'n' new, 'o' old, '-' not there. */
static char state_of(const char *name)
{
    char s[4] = "";
    FILE *f = fopen(at(name), "r");
    if (!f)
        return '-';
    size_t n = fread(s, 1, 3, f);
    fclose(f);
    return n == 3 ? s[0] : '?';
}

static void state(char s[N + 1])
{
    for (int i = 0; i < N; i++)
        s[i] = state_of(names[i]);
    s[N] = 0;
}

static void expect_state(const char *want, const char *where, unsigned n)
{
    char have[N + 1];
    state(have);
    if (strcmp(have, want) != 0)
        fail_msg("%s call %u%s: the files are %s, expected %s", where, n, replaces ? ", replacing" : "", have,
                 want);
}

static bool any_left(const char *ending)
{
    for (int i = 0; i < N; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s%s", names[i], ending);
        if (file_exists(at(name)))
            return true;
    }
    return false;
}

static const char *before(void)
{
    return replaces ? "ooo" : "---";
}

/* Whoever opens the first one finds the whole of old or new, or nothing. */
static void expect_whole_or_nothing(const char *where, unsigned n)
{
    char have[N + 1];
    state(have);
    if (have[0] != '-' && strcmp(have, "nnn") != 0 && strcmp(have, before()) != 0)
        fail_msg("%s call %u%s: a part can be opened: %s", where, n, replaces ? ", replacing" : "", have);
}

static void expect_recovered(const char *where, unsigned n)
{
    char have[N + 1];
    assert_true(recover());
    state(have);
    if (strcmp(have, "nnn") != 0)
        expect_state(before(), where, n);
    if (any_left(OUT_READY) || any_left(OUT_OLD))
        fail_msg("%s call %u: names of ours are left", where, n);
}

static void each_failure(enum way w)
{
    for (unsigned n = 1;; n++) {
        set_up();
        way = w;
        at_call = n;
        only_renames = w == FAILS_ON; /* with no call at all nothing could be taken back */
        bool ok = write_set();
        unsigned made = calls;
        let_all_work();
        if (made < n) {
            assert_true(ok && n > 2);
            return;
        }
        if (ok) /* what was replaced could not be removed: the next run does it */
            expect_recovered(way_names[w], n);
        expect_state(ok ? "nnn" : before(), way_names[w], n);
        if (any_left(OUT_READY) || any_left(OUT_OLD) || any_left(OUT_PART))
            fail_msg("%s at call %u: names of ours are left", way_names[w], n);
    }
}

static void each_kill(enum way w)
{
    for (unsigned n = 1;; n++) {
        set_up();
        unsigned made = in_child(write_set, w, n);
        if (made) {
            assert_true(made <= n);
            return;
        }
        expect_whole_or_nothing(way_names[w], n);
        for (unsigned m = 1; !in_child(recover, w, m); m++) /* the undoing is killed, too, later each time */
            expect_whole_or_nothing("undoing, killed at", m);
        expect_recovered(way_names[w], n);
        char have[N + 1];
        state(have);
        if (!strcmp(have, "nnn"))
            continue;
        assert_true(write_set());
        expect_state("nnn", "again, behind", n);
        if (any_left(OUT_PART) || any_left(OUT_READY) || any_left(OUT_OLD))
            fail_msg("again, behind call %u: names of ours are left", n);
    }
}

static void test_all_or_none(void **s)
{
    (void)s;
    log_quiet = true;
    for (int r = 0; r < 4; r++) {
        replaces = r & 1;
        no_links = r & 2;
        for (enum way w = 0; w < N_WAYS; w++)
            if (w != FAILS_ON || !no_links) /* nothing could be taken back */
                (w == FAILS || w == FAILS_ON ? each_failure : each_kill)(w);
    }
    no_links = false;
}

static void remove_each(const char *ending)
{
    for (int i = 0; i < N; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s%s", names[i], ending);
        unlink(at(name));
    }
}

/* A file that somebody puts under one of the names behind a kill is theirs; what it stands in the way of is kept,
 * and goes back when theirs was moved away. */
static void test_theirs_behind_a_kill(void **s)
{
    (void)s;
    char have[N + 1];
    bool was_refused = false;
    for (int i = 0; i < 2 * N; i++)
        for (unsigned n = 1;; n++) {
            const char *theirs = names[i % N];
            replaces = i < N;
            set_up();
            if (in_child(write_set, KILLED_BEHIND, n))
                break;
            unlink(at(theirs));
            put(theirs, "mine");
            bool ok = recover();
            if (state_of(theirs) != 'm')
                fail_msg("killed behind call %u%s: somebody's %s is gone", n, replaces ? ", replacing" : "",
                         theirs);
            was_refused |= !ok;
            if (ok)
                continue;
            unlink(at(theirs));
            assert_true(recover());
            state(have);
            assert_true(!strcmp(have, before()) || strchr(have, '-'));
            assert_false(any_left(OUT_OLD) || any_left(OUT_READY));
        }
    assert_true(was_refused);
}

/* Somebody clears away names that are ours: what was replaced is there all the same. */
static void test_our_names_cleared(void **s)
{
    (void)s;
    static const char *const endings[] = {OUT_PART, OUT_READY};
    char have[N + 1];
    replaces = true;
    for (int i = 0; i < 2; i++)
        for (unsigned n = 1;; n++) {
            set_up();
            if (in_child(write_set, KILLED_BEHIND, n))
                break;
            remove_each(endings[i]);
            for (int k = 0; !recover() && k < N; k++) { /* it is said which of the two has to go */
                char old[64];
                snprintf(old, sizeof old, "%s" OUT_OLD, names[k]);
                if (state_of(old) == 'o')
                    unlink(at(names[k]));
            }
            state(have);
            if (strcmp(have, "ooo") != 0 && strcmp(have, "nnn") != 0)
                fail_msg("killed behind call %u, *%s removed: the files are %s", n, endings[i], have);
        }
}

/* A crash while names are exchanged leaves what the next run needs. */
static void test_crash_between(void **s)
{
    (void)s;
    put("x" OUT_PART, "");
    char *part = strdup(at("x" OUT_PART));
    sig_watch_part(part);
    sig_hold();
    sig_remove_parts();
    assert_true(file_exists(part));
    sig_release();
    sig_remove_parts();
    assert_false(file_exists(part));
    sig_unwatch_part(part);
    free(part);
}

/* Without force: a file that appears while we write stays, whether one or several are written. */
static void test_appears_meanwhile(void **s)
{
    (void)s;
    struct out v[2];
    struct err e = {0};
    for (int i = 0; i < 2; i++)
        for (int without = 0; without < 2; without++) {
            e = (struct err){0};
            replaces = false;
            set_up();
            no_exchange = without ? EINVAL : 0;
            assert_true(out_open(&v[0], at(names[0]), false, &e) && out_open(&v[1], at(names[1]), false, &e));
            put(names[i], "mine");
            assert_false(out_commit_all(v, 2, &e));
            no_exchange = 0;
            assert_true(strstr(e.msg, "exists") && e.code == ERR_INPUT);
            out_abort(&v[0]);
            out_abort(&v[1]);
            assert_int_equal(state_of(names[i]), 'm');
            assert_int_equal(state_of(names[!i]), '-');
            if (i == 0) {
                e = (struct err){0};
                unlink(at(names[0]));
                assert_true(out_open(&v[0], at(names[0]), false, &e));
                put(names[0], "mine");
                assert_false(out_commit(&v[0], &e));
                out_abort(&v[0]);
                assert_int_equal(state_of(names[0]), 'm');
            }
        }
}

/* ---- locks ---- */

static void test_lock(void **s)
{
    (void)s;
    struct out_lock a, b;
    struct err e = {0};
    assert_true(out_lock(&a, at("x"), &e));
    assert_true(file_exists(at("x" OUT_LOCK)));
    assert_false(out_lock(&b, at("x"), &e));
    assert_true(e.code == ERR_FAILED && strstr(e.msg, "is being written by another program"));
    out_unlock(&b);
    out_unlock(&a);
    out_unlock(&a);
    assert_false(file_exists(at("x" OUT_LOCK)));
    put("x" OUT_LOCK, "of a killed run");
    e = (struct err){0};
    assert_true(out_lock(&a, at("x"), &e));
    out_unlock(&a);
    assert_false(file_exists(at("x" OUT_LOCK)));
    assert_false(out_hold(&a, at("nowhere/x"), true, &e));
    out_unlock(&a);
    put("x", "");
    put("x" OUT_LOCK, "of a killed run");
    put("x" OUT_PART, "of a killed run");
    e = (struct err){0};
    assert_false(out_hold(&a, at("x"), false, &e));
    assert_true(e.code == ERR_INPUT && strstr(e.msg, "exists"));
    assert_false(file_exists(at("x" OUT_LOCK)) || file_exists(at("x" OUT_PART)));
}

/* ---- folders ---- */

static bool write_folder(void)
{
    struct out_dir d;
    struct err e = {0};
    if (!out_dir_open(&d, at("d"), "ours", replaces, &e))
        return false;
    char *path = path_join(d.part, "ours"), *more = path_join(d.part, "new");
    bool ok = file_write_atomic(path, "new", 3, false, &e) && file_write_atomic(more, "new", 3, false, &e) &&
              out_dir_commit(&d, &e);
    free(path);
    free(more);
    out_dir_abort(&d);
    return ok;
}

static void each_folder_kill(enum way w)
{
    for (unsigned n = 1;; n++) {
        set_up();
        if (replaces)
            assert_true(mkdir(at("d"), 0777) == 0 && (put("d/ours", "old"), put("d/old", "old"), true));
        unsigned made = in_child(write_folder, w, n);
        if (made) {
            assert_true(made <= n);
            return;
        }
        bool is_new = state_of("d/new") == 'n' && state_of("d/ours") == 'n' && !file_exists(at("d/old"));
        bool is_old = state_of("d/old") == 'o' && state_of("d/ours") == 'o' && !file_exists(at("d/new"));
        bool kept = is_old || is_new || (!replaces && !file_exists(at("d"))) ||
                    (no_exchange && state_of("d" OUT_OLD "/old") == 'o');
        if (!kept)
            fail_msg("%s call %u: neither the old folder nor the new one is there", way_names[w], n);
        if (is_new && !replaces)
            continue;
        assert_true(write_folder());
        assert_int_equal(state_of("d/new"), 'n');
        assert_false(file_exists(at("d/old")) || file_exists(at("d" OUT_PART)) ||
                     file_exists(at("d" OUT_OLD)));
    }
}

static void test_folder(void **s)
{
    (void)s;
    for (int r = 0; r < 2; r++)
        for (int without = 0; without < 2; without++) {
            replaces = r;
            no_exchange = without ? EINVAL : 0;
            each_folder_kill(KILLED_BEFORE);
            each_folder_kill(KILLED_BEHIND);
        }
    no_exchange = 0;
}

/* A folder that somebody puts there while we write is theirs. */
static void test_folder_meanwhile(void **s)
{
    (void)s;
    struct out_dir d;
    struct err e = {0};
    set_up();
    assert_true(out_dir_open(&d, at("d"), "ours", true, &e));
    assert_int_equal(mkdir(at("d"), 0777), 0);
    put("d/mine", "mine");
    assert_false(out_dir_commit(&d, &e));
    assert_true(strstr(e.msg, "was not written by reap") != NULL);
    out_dir_abort(&d);
    assert_int_equal(state_of("d/mine"), 'm');
    assert_false(file_exists(at("d" OUT_PART)));
}

/* What a link leads to is not touched, the link is replaced. */
static void test_folder_link(void **s)
{
    (void)s;
    set_up();
    assert_int_equal(mkdir(at("real"), 0777), 0);
    put("real/ours", "old");
    assert_int_equal(symlink("real", at("d")), 0);
    replaces = true;
    assert_true(write_folder());
    replaces = false;
    struct stat st;
    assert_true(lstat(at("d"), &st) == 0 && S_ISDIR(st.st_mode));
    assert_int_equal(state_of("real/ours"), 'o');
    assert_int_equal(state_of("d/ours"), 'n');
    assert_false(file_exists(at("d" OUT_PART)));
}

/* The link is the user's, as a folder would be; and so is what it leads to. */
static void test_folder_link_to_none(void **s)
{
    (void)s;
    struct stat st;
    set_up();
    assert_int_equal(mkdir(at("real"), 0777), 0);
    assert_int_equal(symlink("real", at("d")), 0);
    assert_false(write_folder());
    assert_true(lstat(at("d"), &st) == 0 && S_ISLNK(st.st_mode));
    replaces = true;
    assert_true(write_folder());
    replaces = false;
    assert_int_equal(state_of("d/ours"), 'n');
    assert_false(file_exists(at("real/ours")));
}

/* What a kill between two renames put aside goes back also when somebody made the folder anew, empty. */
static void test_folder_made_anew(void **s)
{
    (void)s;
    struct out_dir d;
    struct err e = {0};
    set_up();
    put("d" OUT_OLD "/ours", "old");
    assert_int_equal(mkdir(at("d"), 0777), 0);
    assert_false(out_dir_open(&d, at("d"), "ours", false, &e));
    assert_int_equal(state_of("d/ours"), 'o');
    assert_false(file_exists(at("d" OUT_PART)) || file_exists(at("d" OUT_OLD)));
}

/* An old folder goes whatever somebody made of it. */
static void test_folder_grown(void **s)
{
    (void)s;
    char deep[200] = "d";
    set_up();
    for (int i = 0; i < 40; i++)
        strcat(deep, "/x");
    strcat(deep, "/file");
    put("d/ours", "old");
    put(deep, "");
    put("d/read-only/file", "");
    assert_int_equal(chmod(at("d/read-only"), 0555) | chmod(at("d"), 0555), 0);
    replaces = true;
    assert_true(write_folder());
    replaces = false;
    assert_int_equal(state_of("d/new"), 'n');
    assert_false(file_exists(at("d/read-only")) || file_exists(at("d" OUT_PART)));
}

/* The unfinished file of one program is never the output of another: where there are no locks, and where somebody cleared it away. */
static void test_two_writers(void **s)
{
    (void)s;
    struct out a, b;
    struct out_dir c, d;
    struct out_lock k, l;
    for (int cleared = 0; cleared < 2; cleared++) {
        struct err e = {0};
        set_up();
        no_locks = !cleared;
        assert_true(out_open(&a, at("f"), true, &e) && out_write(&a, "the first", 9, &e));
        if (cleared)
            unlink(at("f" OUT_PART));
        assert_true(out_open(&b, at("f"), true, &e) && out_write(&b, "ne", 2, &e));
        assert_false(out_commit(&a, &e));
        assert_true(e.code == ERR_FAILED && strstr(e.msg, "another program"));
        out_abort(&a);
        e = (struct err){0};
        assert_false(file_exists(at("f")));
        assert_true(out_write(&b, "w", 1, &e) && out_commit(&b, &e));
        assert_int_equal(state_of("f"), 'n');
        assert_true(out_lock(&k, at("f"), &e));
        if (cleared)
            unlink(at("f" OUT_LOCK));
        assert_true(out_lock(&l, at("f"), &e));
        out_unlock(&k);
        assert_true(file_exists(at("f" OUT_LOCK)));
        out_unlock(&l);
        assert_false(file_exists(at("f" OUT_LOCK)));
        assert_true(out_dir_open(&c, at("d"), "ours", true, &e));
        put("d" OUT_PART "/first", "");
        if (cleared)
            assert_true(unlink(at("d" OUT_PART "/first")) == 0 && rmdir(at("d" OUT_PART)) == 0);
        assert_true(out_dir_open(&d, at("d"), "ours", true, &e));
        put("d" OUT_PART "/ours", "new");
        assert_false(out_dir_commit(&c, &e));
        out_dir_abort(&c);
        e = (struct err){0};
        assert_true(out_dir_commit(&d, &e));
        assert_int_equal(state_of("d/ours"), 'n');
        assert_false(file_exists(at("d/first")) || file_exists(at("d" OUT_PART)));
    }
    no_locks = false;
}

#define T(f) cmocka_unit_test_setup_teardown(f, tempdir_setup, tempdir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_all_or_none),
        T(test_theirs_behind_a_kill),
        T(test_our_names_cleared),
        T(test_crash_between),
        T(test_appears_meanwhile),
        T(test_lock),
        T(test_folder),
        T(test_folder_meanwhile),
        T(test_folder_link),
        T(test_folder_link_to_none),
        T(test_folder_made_anew),
        T(test_folder_grown),
        T(test_two_writers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
