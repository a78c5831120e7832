/* test_base.c - src/base: errors, memory, buffers, files, text, JSON, hashes, random numbers.
 *
 * The file tests work in a folder of their own below TMPDIR. A full disk is played by /dev/full and by a
 * limit on the size of files, a signal by a child process (the note of a signal cannot be taken back). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/out.h"
#include "base/rng.h"
#include "base/sig.h"
#include "base/text.h"
#include "tempdir.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* With the address sanitizer a request that is too large must come back as NULL, as without it. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void expect_file(const char *name, const char *text)
{
    struct buf b = {0};
    struct err e = {0};
    assert_true(file_read_all(at(name), 1 << 20, &b, &e));
    assert_string_equal(b.s, text);
    buf_clear(&b);
}

/* e holds an error of this code with this text in it; it is cleared. */
static void expect_err(struct err *e, enum err_code code, const char *part)
{
    if (e->code != code || !strstr(e->msg, part))
        fail_msg("code %d with '%s' expected, got %d: %s", code, part, e->code, e->msg);
    err_clear(e);
}

/* ---- err, mem, buf ---- */

static void test_shell(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"a/b-1.gguf", "a/b-1.gguf"}, {"", "''"},     {"a b", "'a b'"},           {"it's", "'it'\\''s'"},
        {"$(x)", "'$(x)'"},           {"~a", "'~a'"}, {"\xc3\xbc", "'\xc3\xbc'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = {0};
        buf_shell(&b, cases[i][0]);
        assert_string_equal(b.s, cases[i][1]);
        buf_clear(&b);
    }
}

static void test_err_first_stays(void **state)
{
    (void)state;
    struct err e = {0};
    assert_false(err_set(&e, ERR_INPUT, "tensor %d", 7));
    assert_false(err_set(&e, ERR_FAILED, "later"));
    errno = ENOSPC;
    assert_false(err_sys(&e, "later"));
    assert_false(err_ctx(&e, "file '%s'", "a"));
    assert_int_equal(e.code, ERR_INPUT);
    assert_string_equal(e.msg, "file 'a': tensor 7");
    err_clear(&e);
    assert_int_equal(e.code, ERR_NONE);
    assert_string_equal(e.msg, "");
}

static void test_err_sys(void **state)
{
    (void)state;
    static const struct {
        int no;
        enum err_code code;
    } cases[] = {{ENOENT, ERR_INPUT},  {EACCES, ERR_INPUT}, {EISDIR, ERR_INPUT}, {ENOTDIR, ERR_INPUT},
                 {ENOSPC, ERR_FAILED}, {EIO, ERR_FAILED},   {EMFILE, ERR_FAILED}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        errno = cases[i].no;
        assert_false(err_sys(&e, "cannot open '%s'", "x"));
        assert_int_equal(e.code, cases[i].code);
        assert_non_null(strstr(e.msg, "cannot open 'x': "));
        assert_non_null(strstr(e.msg, strerror(cases[i].no)));
    }
}

static void test_err_truncation(void **state)
{
    (void)state;
    char big[3000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    struct err e = {0};
    err_set(&e, ERR_INPUT, "%s", big);
    assert_int_equal(strlen(e.msg), sizeof e.msg - 1);
    err_ctx(&e, "ctx");
    assert_int_equal(strlen(e.msg), sizeof e.msg - 1);
    assert_memory_equal(e.msg, "ctx: xxx", 8);
    err_ctx(&e, "%s", big); /* what went wrong is not pushed out by a long context */
    assert_int_equal(strlen(e.msg), sizeof e.msg - 1);
    assert_non_null(strstr(e.msg, ": ctx: xxx"));
    err_clear(&e);
    errno = ENOENT;
    err_sys(&e, "%s", big);
    assert_non_null(strstr(e.msg, strerror(ENOENT)));

    /* a cut in the middle of a letter leaves no broken UTF-8 */
    for (size_t i = 0; i < sizeof big - 1; i++)
        big[i] = i % 2 ? '\xa4' : '\xc3';
    err_clear(&e);
    err_set(&e, ERR_INPUT, "%s", big);
    assert_true(utf8_valid(e.msg, strlen(e.msg)));
    err_ctx(&e, "%s", big);
    assert_true(utf8_valid(e.msg, strlen(e.msg)));
}

static void test_err_printable(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"a\nb\rc\td", "a?b?c?d"},
        {"\x1b[2Jx\x7f", "?[2Jx?"},
        {"gr\xc3\xbcn \xe2\x82\xac", "gr\xc3\xbcn \xe2\x82\xac"},
        {"\xc2\x9b"
         "2Jx",
         "?2Jx"}, /* CSI as one letter */
        {"gr\xfcn", "gr?n"},
        {"\xe2\x82", "??"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        err_set(&e, ERR_INPUT, "%s", cases[i].in);
        assert_string_equal(e.msg, cases[i].out);
        err_clear(&e);
        err_set(&e, ERR_INPUT, "m");
        err_ctx(&e, "%s", cases[i].in);
        assert_memory_equal(e.msg, cases[i].out, strlen(cases[i].out));
        err_clear(&e);
        errno = EIO;
        err_sys(&e, "%s", cases[i].in);
        assert_memory_equal(e.msg, cases[i].out, strlen(cases[i].out));
    }
    for (int c = 1; c < 256; c++) {
        struct err e = {0};
        err_set(&e, ERR_INPUT, "<%c>", c);
        for (const char *p = e.msg; *p; p++)
            assert_true((unsigned char)*p >= 0x20 && (unsigned char)*p < 0x7f);
    }
}

static void test_mem(void **state)
{
    (void)state;
    uint64_t v = 0;
    assert_true(mul_u64(UINT32_MAX, UINT32_MAX, &v));
    assert_true(v == 18446744065119617025u);
    assert_false(mul_u64(1ull << 32, 1ull << 32, &v));
    assert_true(mul_u64(UINT64_MAX, 1, &v) && v == UINT64_MAX);
    assert_true(add_u64(UINT64_MAX - 1, 1, &v) && v == UINT64_MAX);
    assert_false(add_u64(UINT64_MAX, 1, &v));

    struct err e = {0};
    uint32_t *p = mem_try(1000, sizeof *p, "counts", &e);
    assert_non_null(p);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(p[i], 0);
    free(p);
    void *none = mem_try(0, 8, "nothing", &e);
    assert_non_null(none);
    free(none);
    assert_int_equal(e.code, ERR_NONE);
    assert_null(mem_try(1ull << 40, 1ull << 40, "sums", &e));
    expect_err(&e, ERR_FAILED, "sums");
    assert_null(mem_try(UINT64_MAX, 1, "sums", &e));
    expect_err(&e, ERR_FAILED, "sums");
    assert_null(mem_try(1ull << 46, 64, "sums", &e));
    expect_err(&e, ERR_FAILED, "GiB for sums");

    int *list = NULL;
    size_t n = 0, cap = 0;
    for (int i = 0; i < 1000; i++) {
        GROW(list, n, cap);
        list[n++] = i;
    }
    assert_int_equal(list[999], 999);
    free(list);
    char *s = xstrndup("abcdef", 3);
    assert_string_equal(s, "abc");
    free(s);
    s = xasprintf("%s-%d", "a", 5);
    assert_string_equal(s, "a-5");
    free(s);
}

static void test_buf(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_str(&b, "");
    assert_string_equal(b.s, "");
    for (int i = 0; i < 500; i++) {
        buf_fmt(&b, "%d,", i);
        assert_int_equal(strlen(b.s), b.n);
    }
    assert_memory_equal(b.s, "0,1,2,3,", 8);
    assert_memory_equal(b.s + b.n - 4, "499,", 5);
    buf_clear(&b);
    assert_null(b.s);
    buf_u32le(&b, 0x04030201);
    buf_u64le(&b, 0x0c0b0a0908070605);
    buf_zero(&b, 2);
    buf_char(&b, 'x');
    buf_add(&b, NULL, 0);
    assert_memory_equal(b.s, "\1\2\3\4\5\6\7\x8\x9\xa\xb\xc\0\0x", 16);
    assert_int_equal(b.n, 15);
    buf_clear(&b);
}

/* ---- file ---- */

static void test_read_all(void **state)
{
    (void)state;
    put("a", "hello");
    put("empty", "");
    struct buf b = {0};
    struct err e = {0};
    assert_true(file_read_all(at("a"), 5, &b, &e));
    assert_string_equal(b.s, "hello");
    buf_clear(&b);
    assert_true(file_read_all(at("empty"), 0, &b, &e));
    assert_string_equal(b.s, "");
    buf_clear(&b);
    assert_false(file_read_all(at("a"), 4, &b, &e));
    expect_err(&e, ERR_INPUT, "larger than 4 bytes");
    buf_clear(&b);
    assert_false(file_read_all(at("none"), 4, &b, &e));
    expect_err(&e, ERR_INPUT, "none");
    assert_false(file_read_all(tmp, 4, &b, &e));
    expect_err(&e, ERR_INPUT, "a folder, expected a file");
    assert_int_equal(mkfifo(at("pipe"), 0600), 0);
    assert_false(file_read_all(at("pipe"), 4, &b, &e)); /* and does not wait for a writer */
    expect_err(&e, ERR_INPUT, "not a regular file");
    buf_clear(&b);
}

static void test_pread(void **state)
{
    (void)state;
    put("a", "0123456789");
    struct err e = {0};
    uint64_t size = 0;
    int fd = file_open_read(at("a"), &size, &e);
    assert_true(fd >= 0);
    assert_int_equal(size, 10);
    char s[8] = {0};
    assert_true(file_pread(fd, s, 3, 7, &e));
    assert_string_equal(s, "789");
    assert_true(file_pread(fd, s, 0, 99, &e));
    assert_false(file_pread(fd, s, 4, 8, &e));
    expect_err(&e, ERR_INPUT, "file ends at byte 10, 2 more bytes expected");
    close(fd);
}

static void test_paths(void **state)
{
    (void)state;
    static const struct {
        const char *path, *dir, *base;
    } cases[] = {
        {"a", ".", "a"}, {"a/b", "a", "b"}, {"/a", "/", "a"}, {"/x y/b.c", "/x y", "b.c"}, {"a/", "a", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *dir = path_dir(cases[i].path);
        assert_string_equal(dir, cases[i].dir);
        assert_string_equal(path_base(cases[i].path), cases[i].base);
        free(dir);
    }
    char *p = path_join("a/", "b"), *q = path_join("a", "b"), *r = path_join("", "b");
    assert_string_equal(p, "a/b");
    assert_string_equal(q, "a/b");
    free(p);
    free(q);
    free(r);
    put("a", "x");
    assert_int_equal(symlink("a", at("link")), 0);
    assert_int_equal(symlink("nowhere", at("dangling")), 0);
    assert_true(file_exists(at("a")) && file_exists(at("dangling")) && !file_exists(at("b")));
    /* there, not there, and not to be known */
    bool there;
    struct err no = {0};
    assert_int_equal(symlink("circle", at("circle")), 0);
    assert_true(file_there(at("a"), &there, &no) && there);
    assert_true(file_there(at("dangling"), &there, &no) && there);
    assert_true(file_there(at("b"), &there, &no) && !there);
    assert_true(file_there(at("a/b"), &there, &no) && !there);
    assert_false(file_there(at("circle/b"), &there, &no));
    assert_true(!there && strstr(no.msg, "circle/b") && strstr(no.msg, "symbolic links"));
    assert_true(file_is_dir(tmp) && !file_is_dir(at("a")));
    assert_true(file_same(at("a"), at("link")) && !file_same(at("a"), tmp) && !file_same(at("b"), at("b")));
}

static void test_out_commit_and_abort(void **state)
{
    (void)state;
    struct out o;
    struct err e = {0};
    assert_true(out_open(&o, at("x"), false, &e));
    assert_true(out_write(&o, "abc", 3, &e) && out_zero(&o, 5000, &e));
    assert_int_equal(o.pos, 5003);
    assert_true(file_exists(at("x.reap-part")) && !file_exists(at("x")));
    out_abort(&o);
    assert_false(file_exists(at("x.reap-part")) || file_exists(at("x")));
    out_abort(&o); /* twice is legal */
    assert_int_equal(o.fd, -1);

    assert_true(out_open(&o, at("x"), false, &e) && out_write(&o, "abc", 3, &e) && out_commit(&o, &e));
    out_abort(&o);
    expect_file("x", "abc");
    assert_false(file_exists(at("x.reap-part")));

    assert_false(out_open(&o, at("x"), false, &e));
    expect_err(&e, ERR_INPUT, "exists; --force replaces it");
    assert_true(out_open(&o, at("x"), true, &e) && out_write(&o, "new", 3, &e));
    out_abort(&o);
    expect_file("x", "abc"); /* what was there stays until the commit */
    assert_true(file_write_atomic(at("x"), "new", 3, true, &e));
    expect_file("x", "new");

    assert_true(out_open(&o, at("y"), false, &e) && out_write(&o, "abc", 3, &e));
    assert_int_equal(mkdir(at("y"), 0777), 0);
    assert_false(out_commit(&o, &e));
    expect_err(&e, ERR_INPUT, "exists");
    out_abort(&o);
    assert_false(file_exists(at("y.reap-part")));
}

/* Several files that belong together: all are complete before the first is put in place. */
static void test_out_sync(void **state)
{
    (void)state;
    struct out o[2];
    struct err e = {0};
    for (int pass = 0; pass < 2; pass++) {
        const char *names[2] = {pass ? "c" : "a", pass ? "d" : "b"};
        for (int i = 0; i < 2; i++)
            assert_true(out_open(&o[i], at(names[i]), false, &e) && out_write(&o[i], names[i], 1, &e));
        for (int i = 0; i < 2; i++)
            assert_true(out_sync(&o[i], &e));
        for (int i = 0; i < 2; i++) {
            char part[16];
            snprintf(part, sizeof part, "%s.reap-part", names[i]);
            assert_true(file_exists(at(part)) && !file_exists(at(names[i])));
            if (pass)
                out_abort(&o[i]); /* also removes a file that is synced and closed */
            else
                assert_true(out_commit(&o[i], &e));
            assert_false(file_exists(at(part)));
            assert_int_equal(file_exists(at(names[i])), !pass);
        }
    }
    expect_file("a", "a");
    expect_file("b", "b");
}

static void test_out_part_link(void **state)
{
    (void)state;
    struct out o;
    struct err e = {0};
    put("victim", "precious");
    assert_int_equal(symlink("victim", at("x.reap-part")), 0);
    assert_true(file_write_atomic(at("x"), "abc", 3, false, &e));
    expect_file("victim", "precious");
    expect_file("x", "abc");
    put("z.reap-part", "left by a killed run");
    assert_true(file_write_atomic(at("z"), "z", 1, false, &e));
    expect_file("z", "z");
    assert_int_equal(mkdir(at("d.reap-part"), 0777), 0);
    assert_false(out_open(&o, at("d"), false, &e));
    expect_err(&e, ERR_INPUT, "d.reap-part");
    out_abort(&o);
    assert_true(file_is_dir(at("d.reap-part")));
}

static void test_out_refused(void **state)
{
    (void)state;
    struct err e = {0};
    put("file", "");
    assert_int_equal(mkfifo(at("pipe"), 0600), 0);
    static const struct {
        const char *name, *part;
    } cases[] = {
        {"", "is a folder"},
        {"none/x", "folder"},
        {"file/x", "file"},
        {"pipe", "not a regular file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_false(file_check_output(at(cases[i].name), true, &e));
        expect_err(&e, ERR_INPUT, cases[i].part);
        assert_false(file_write_atomic(at(cases[i].name), "x", 1, true, &e));
        expect_err(&e, ERR_INPUT, cases[i].part);
    }
    assert_false(file_check_output("", false, &e));
    expect_err(&e, ERR_INPUT, "empty name");
    assert_false(file_check_output("/dev/null", true, &e)); /* never replaced by a rename */
    expect_err(&e, ERR_INPUT, "not a regular file");
    assert_false(file_check_space(at("x"), UINT64_MAX / 2, &e));
    expect_err(&e, ERR_FAILED, "free, the output needs");
    assert_true(file_check_space(at("x"), 0, &e));
    assert_in_range(file_free_space(at("x")), 1, UINT64_MAX / 2);
    assert_true(file_free_space(at("missing/x")) == UINT64_MAX);
}

static void test_out_read_only_folder(void **state)
{
    (void)state;
    if (geteuid() == 0)
        skip(); /* for root every folder is writable */
    struct err e = {0};
    assert_int_equal(mkdir(at("ro"), 0555), 0);
    assert_false(file_check_output(at("ro/x"), false, &e));
    expect_err(&e, ERR_INPUT, "cannot write in folder");
    assert_false(file_write_atomic(at("ro/x"), "x", 1, false, &e));
    expect_err(&e, ERR_INPUT, "cannot write in folder");
}

static void test_out_full(void **state)
{
    (void)state;
    struct err e = {0};
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (full >= 0) {
        struct out o = {.fd = full, .path = xstrdup(at("x")), .part = xstrdup(at("x.reap-part"))};
        assert_false(out_write(&o, "abc", 3, &e));
        expect_err(&e, ERR_FAILED, strerror(ENOSPC));
        out_abort(&o);
    }
    /* the same through the whole path: no file may grow beyond 64 KiB */
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){.rlim_cur = 65536, .rlim_max = old.rlim_max};
    void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
    put("old", "old");
    char *big = xcalloc(100000, 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    bool ok = file_write_atomic(at("old"), big, 100000, true, &e);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, before);
    free(big);
    assert_false(ok);
    expect_err(&e, ERR_FAILED, "old.reap-part");
    expect_file("old", "old");
    assert_false(file_exists(at("old.reap-part")));
}

/* Copies n bytes from `off` of fd and compares. */
static void check_copy(int fd, uint64_t off, uint64_t n)
{
    struct out o;
    struct err e = {0};
    struct hash128 a, b;
    assert_true(out_open(&o, at("copy"), true, &e) && out_write(&o, "head", 4, &e));
    if (!out_copy(&o, fd, off, n, &e))
        fail_msg("%s", e.msg);
    assert_true(out_write(&o, "tail", 4, &e));
    assert_int_equal(o.pos, n + 8);
    assert_true(out_commit(&o, &e));
    uint64_t size;
    int got = file_open_read(at("copy"), &size, &e);
    assert_true(got >= 0);
    assert_int_equal(size, n + 8);
    assert_true(hash128_range(fd, off, n, &a, &e) && hash128_range(got, 4, n, &b, &e));
    assert_true(a.lo == b.lo && a.hi == b.hi);
    char tail[4];
    assert_true(file_pread(got, tail, 4, n + 4, &e));
    assert_memory_equal(tail, "tail", 4);
    close(got);
}

static void test_out_copy(void **state)
{
    (void)state;
    enum { MIB = 1 << 20, SIZE = 65 * MIB };
    uint64_t *data = xmalloc(SIZE);
    struct rng r = {11};
    for (size_t i = 0; i < SIZE / 8; i++)
        data[i] = rng_next(&r);
    struct err e = {0};
    assert_true(file_write_atomic(at("src"), data, SIZE, false, &e));
    /* the same file system (copied in the kernel where that works), and memory (through the buffer) */
    int fds[2] = {file_open_read(at("src"), NULL, &e), memfd_create("src", MFD_CLOEXEC)};
    for (uint64_t done = 0; fds[1] >= 0 && done < SIZE;) {
        ssize_t k = write(fds[1], (const char *)data + done, SIZE - done);
        assert_true(k > 0);
        done += (uint64_t)k;
    }
    free(data);
    static const uint64_t sizes[] = {0,   1,       4095,        4096,     MIB - 1,
                                     MIB, MIB + 1, 3 * MIB + 7, 64 * MIB, 64 * MIB + 1};
    for (int f = 0; f < 2; f++) {
        if (fds[f] < 0)
            continue;
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            check_copy(fds[f], 13, sizes[i]);
        struct out o;
        assert_true(out_open(&o, at("short"), false, &e));
        assert_false(out_copy(&o, fds[f], SIZE - 10, 11, &e));
        expect_err(&e, ERR_INPUT, "file ends at byte");
        out_abort(&o);
        close(fds[f]);
    }
}

static void test_dir_make(void **state)
{
    (void)state;
    struct err e = {0};
    assert_true(dir_make(at("a/b c/d"), &e) && dir_make(at("a/b c/d/"), &e));
    assert_true(file_is_dir(at("a/b c/d")));
    put("f", "");
    assert_false(dir_make(at("f"), &e));
    expect_err(&e, ERR_INPUT, "not a folder");
    assert_false(dir_make(at("f/g"), &e));
    expect_err(&e, ERR_INPUT, "f/g");
}

static void test_interrupted(void **state)
{
    (void)state;
    put("src", "0123456789");
    pid_t pid = fork();
    if (pid == 0) {
        struct err e = {0};
        struct out o;
        int fd = file_open_read(at("src"), NULL, &e), rc = 1;
        sig_install();
        if (sig_check(&e) && out_open(&o, at("x"), false, &e) && raise(SIGTERM) == 0 && sig_pending() &&
            !out_copy(&o, fd, 0, 10, &e))
            rc = (int)e.code;
        out_abort(&o);
        _exit(rc);
    }
    int st;
    assert_int_equal(waitpid(pid, &st, 0), pid);
    assert_true(WIFEXITED(st));
    assert_int_equal(WEXITSTATUS(st), ERR_INTERRUPTED);
    assert_false(file_exists(at("x.reap-part")) || file_exists(at("x")));

    pid = fork();
    if (pid == 0) { /* a second signal ends it at once, the .part files go */
        struct err e = {0};
        struct out o, o2;
        sig_install();
        if (!out_open(&o, at("x"), false, &e) || !out_open(&o2, at("y"), false, &e))
            _exit(1);
        raise(SIGINT);
        raise(SIGINT);
        _exit(2);
    }
    assert_int_equal(waitpid(pid, &st, 0), pid);
    assert_int_equal(WEXITSTATUS(st), ERR_INTERRUPTED);
    assert_false(file_exists(at("x.reap-part")) || file_exists(at("y.reap-part")));
}

/* ---- text ---- */

static void test_parse_size(void **state)
{
    (void)state;
    static const struct {
        const char *s;
        bool ok;
        uint64_t n;
    } cases[] = {
        {"0", true, 0},
        {"1200", true, 1200},
        {"1200B", true, 1200},
        {"1k", true, 1000},
        {"1K", true, 1000},
        {"1KiB", true, 1024},
        {"1Ki", true, 1024},
        {"1kb", true, 1000},
        {"800MiB", true, 800ull << 20},
        {"9.75G", true, 9750000000},
        {"1.5GiB", true, 1610612736},
        {"2T", true, 2000000000000},
        {"1 GB", true, 1000000000},
        {"1e3", true, 1000},
        {"9007199254740993", true, 9007199254740993},
        {"9223372036854775807", true, INT64_MAX},
        {"", false, 0},
        {"-1", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"G", false, 0},
        {"1X", false, 0},
        {"1GG", false, 0},
        {"1iB", false, 0},
        {"1GiBs", false, 0},
        {"0x10", false, 0},
        {"nan", false, 0},
        {"inf", false, 0},
        {"1e400", false, 0},
        {"9223372036854775808", false, 0},
        {"99999P", false, 0},
        {"1,5G", false, 0},
        {".5G", false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t n = 0;
        if (parse_size(cases[i].s, &n) != cases[i].ok || (cases[i].ok && n != cases[i].n))
            fail_msg("'%s': %llu", cases[i].s, (unsigned long long)n);
    }
}

static void test_parse_numbers(void **state)
{
    (void)state;
    uint64_t u;
    int64_t i;
    double d;
    assert_true(parse_u64("18446744073709551615", &u) && u == UINT64_MAX);
    assert_true(parse_u64("007", &u) && u == 7);
    assert_true(parse_i64("-9223372036854775808", &i) && i == INT64_MIN);
    assert_true(parse_f64("-0.25", &d) && d >= -0.25 && d <= -0.25);
    assert_true(parse_f64(".5", &d) && parse_f64("1e-3", &d));
    static const char *const bad[] = {"", " 1", "1 ", "+1", "-", "1x", "0x1", "--1", "x"};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
        assert_false(parse_u64(bad[k], &u) || parse_i64(bad[k], &i) || parse_f64(bad[k], &d));
    assert_false(parse_u64("18446744073709551616", &u) || parse_u64("-1", &u) || parse_u64("1.0", &u));
    assert_false(parse_i64("9223372036854775808", &i) || parse_i64("1.0", &i));
    assert_false(parse_f64("inf", &d) || parse_f64("-inf", &d) || parse_f64("-nan", &d));
    assert_false(parse_f64("1e999", &d) || parse_f64("-0x1p3", &d));
}

static void test_human(void **state)
{
    (void)state;
    static const struct {
        uint64_t n;
        const char *bytes, *count;
    } sizes[] = {
        {0, "0 B", "0"},
        {999, "999 B", "999"},
        {1000, "1.00 kB", "1,000"},
        {1234, "1.23 kB", "1,234"},
        {12345, "12.3 kB", "12,345"},
        {999949, "999.9 kB", "999,949"},
        {999950, "1.00 MB", "999,950"},
        {13100000000, "13.1 GB", "13,100,000,000"},
        {UINT64_MAX, "18.4 EB", "18,446,744,073,709,551,615"},
    };
    static const struct {
        double s;
        const char *text;
    } secs[] = {
        {0, "0.0 s"},        {1.25, "1.2 s"},       {9.96, "10 s"},       {42, "42 s"}, {99.4, "99 s"},
        {187, "3 min 07 s"}, {5399, "89 min 59 s"}, {7500, "2 h 05 min"}, {-1, "?"},    {INFINITY, "?"},
        {NAN, "?"},
    };
    char d[32];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_string_equal(human_bytes(sizes[i].n, d), sizes[i].bytes);
        assert_string_equal(human_count(sizes[i].n, d), sizes[i].count);
    }
    for (size_t i = 0; i < sizeof secs / sizeof *secs; i++)
        assert_string_equal(human_secs(secs[i].s, d), secs[i].text);
}

static void test_shown(void **state)
{
    (void)state;
    static const struct {
        const char *s;
        size_t size;
        const char *want;
    } cases[] = {
        {"", 5, ""},
        {"abcd", 5, "abcd"},
        {"abcde", 5, "a..."},
        {"a\x1b[1m", 16, "a\\u001b[1m"},
        {"a\nb", 8, "a..."},
        {"\xc2\x9b\x7f", 20, "\\u009b\\u007f"},
        {"a\xe2\x80\xae\xe2\x80\x8d", 20, "a\\u202e\xe2\x80\x8d"},
        {"\xf3\xa0\x81\x81z", 20, "\\U000e0041z"},
        {"a\xff\xc3", 20, "a??"},
        {"\xc3\xa4\xc3\xa4\xc3\xa4", 7, "\xc3\xa4\xc3\xa4\xc3\xa4"},
        {"\xc3\xa4\xc3\xa4\xc3\xa4", 6, "\xc3\xa4..."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char dst[32];
        assert_string_equal(text_shown(dst, cases[i].size, cases[i].s), cases[i].want);
    }
}

/* Each code point on either side of every edge, in all ways of writing it. */
static void test_misleading(void **state)
{
    (void)state;
    static const struct {
        const char *s;
        bool misleads;
        const char *json;
    } cases[] = {
        {"\t", true, "\\u0009"},
        {" ", false, NULL},
        {"~", false, NULL},
        {"\x7f", true, "\\u007f"},
        {"\xc2\x80", true, "\\u0080"},
        {"\xc2\x9f", true, "\\u009f"},
        {"\xc2\xa0", false, NULL},
        {"\xc2\xac", false, NULL},
        {"\xc2\xad", true, "\\u00ad"},
        {"\xc2\xae", false, NULL},
        {"\xcd\x8f", true, "\\u034f"},
        {"\xd8\x9c", true, "\\u061c"},
        {"\xe1\xa0\x8e", false, NULL}, /* U+180E, Mongolian */
        {"\xe2\x80\x8a", false, NULL}, /* U+200A, a space that is seen */
        {"\xe2\x80\x8b", true, "\\u200b"},
        {"\xe2\x80\x8c", false, NULL}, /* ZWNJ */
        {"\xe2\x80\x8d", false, NULL}, /* ZWJ */
        {"\xe2\x80\x8e", true, "\\u200e"},
        {"\xe2\x80\x8f", true, "\\u200f"},
        {"\xe2\x80\x90", false, NULL},
        {"\xe2\x80\xa7", false, NULL},
        {"\xe2\x80\xa8", true, "\\u2028"},
        {"\xe2\x80\xae", true, "\\u202e"},
        {"\xe2\x80\xaf", false, NULL},
        {"\xe2\x81\x9f", false, NULL},
        {"\xe2\x81\xa0", true, "\\u2060"},
        {"\xe2\x81\xa9", true, "\\u2069"},
        {"\xe2\x81\xaf", true, "\\u206f"},
        {"\xe2\x81\xb0", false, NULL},
        {"\xef\xb8\x8f", false, NULL}, /* U+FE0F, emoji */
        {"\xef\xbb\xbf", true, "\\ufeff"},
        {"\xef\xbf\xb9", true, "\\ufff9"},
        {"\xef\xbf\xbd", false, NULL},
        {"\xf0\x9f\x8c\xb1", false, NULL},
        {"\xf3\xa0\x80\x80", true, "\\udb40\\udc00"},
        {"\xf3\xa0\x81\xbf", true, "\\udb40\\udc7f"},
        {"\xf3\xa0\xbf\xbf", true, "\\udb43\\udfff"},
        {"\xf3\xb0\x80\x80", false, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *s = cases[i].s;
        struct buf safe = {0}, but = {0}, json = {0}, line = {0};
        struct err e = {0};
        size_t n = strlen(s);
        assert_int_equal(utf8_len(s, n), n);
        assert_int_equal(text_misleads(s, n), cases[i].misleads);
        buf_safe(&safe, s, n);
        assert_string_equal(safe.s, cases[i].misleads ? "?" : s);
        buf_safe_but(&but, s, n, "\t\n");
        assert_string_equal(but.s, *s == '\t' ? s : safe.s);
        buf_escape(&json, s, n);
        assert_string_equal(json.s, cases[i].misleads ? cases[i].json : s);
        buf_line(&line, s, n);
        assert_string_equal(line.s, (unsigned char)*s < 0x20 || *s == 0x7f ||
                                            (s[0] == '\xc2' && (unsigned char)s[1] < 0xa0)
                                        ? "?"
                                        : s);
        err_set(&e, ERR_INPUT, "a%sb", s);
        assert_int_equal(strlen(e.msg), 2 + strlen(safe.s));
        buf_clear(&safe);
        buf_clear(&but);
        buf_clear(&json);
        buf_clear(&line);
    }
}

/* What misleads is escaped in values and keys, and reads back equal; the canonical form, which is hashed, is as it was. */
static void test_json_shown(void **state)
{
    (void)state;
    static const char text[] = "a\x7f\xc2\x9b\xe2\x80\xae\xf3\xa0\x81\x81\xc3\xa4\xe2\x80\x8d\n";
    struct buf b = {0}, c = {0};
    struct err e = {0};
    json_t *o = json_object();
    json_object_set_new(o, text, json_string(text));
    json_print(&b, o);
#define SHOWN "\"a\\u007f\\u009b\\u202e\\udb40\\udc41\xc3\xa4\xe2\x80\x8d\\n\""
    assert_string_equal(b.s, "{\n " SHOWN ": " SHOWN "\n}\n");
    json_t *again = json_parse(b.s, b.n, &e);
    assert_true(json_equal(o, again));
    json_canonical(&c, o);
    assert_non_null(strstr(c.s, "a\x7f\xc2\x9b\xe2\x80\xae\xf3\xa0\x81\x81"));
    json_decref(again);
    json_decref(o);
    buf_clear(&b);
    buf_clear(&c);
}

static void test_grow(void **state)
{
    (void)state;
    struct err e = {0};
    uint64_t cap = 0, *list = NULL;
    for (uint64_t n = 0; n < 1000; n++) { /* doubled, and never beyond what may be there */
        void *p = grow_try(list, n, &cap, 1000, sizeof *list, "numbers", &e);
        assert_non_null(p);
        list = p;
        list[n] = n;
        assert_true(cap > n && cap <= 1000 && (cap == 1000 || cap <= 2 * n + 64));
    }
    assert_null(grow_try(list, 1000, &cap, 1000, sizeof *list, "numbers", &e));
    assert_int_equal(cap, 1000);
    for (uint64_t n = 0; n < 1000; n++)
        assert_int_equal(list[n], n);
    err_clear(&e);
    assert_null(grow_try(list, UINT64_MAX / 8, &cap, UINT64_MAX, sizeof *list, "numbers", &e));
    expect_err(&e, ERR_FAILED, "numbers");
    free(list);
}

static void test_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *s;
        size_t n, good; /* good == n: valid */
    } cases[] = {
        {"", 0, 0},
        {"abc", 3, 3},
        {"a\0b", 3, 3},
        {"\xc3\xa4", 2, 2},
        {"\xe2\x82\xac", 3, 3},
        {"\xf0\x9f\x8c\xb1", 4, 4},
        {"\xf4\x8f\xbf\xbf", 4, 4},
        {"\xed\x9f\xbf", 3, 3},
        {"\xee\x80\x80", 3, 3},
        {"\xc2\x80", 2, 2},
        {"\xe0\xa0\x80", 3, 3},
        {"\xf0\x90\x80\x80", 4, 4},
        {"x\x80", 2, 1},
        {"\xc0\x80", 2, 0},
        {"\xc1\xbf", 2, 0},
        {"\xe0\x9f\xbf", 3, 0}, /* overlong */
        {"\xf0\x8f\xbf\xbf", 4, 0},
        {"\xed\xa0\x80", 3, 0},
        {"\xed\xbf\xbf", 3, 0}, /* surrogates */
        {"\xf4\x90\x80\x80", 4, 0},
        {"\xf5\x80\x80\x80", 4, 0},
        {"\xff", 1, 0}, /* beyond U+10FFFF */
        {"ab\xe2\x82", 4, 2},
        {"ab\xc3", 3, 2},
        {"\xc3"
         "a",
         2, 0},
        {"\xe2\x82"
         "aa",
         4, 0}, /* cut */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(utf8_good(cases[i].s, cases[i].n), cases[i].good);
        assert_int_equal(utf8_valid(cases[i].s, cases[i].n), cases[i].good == cases[i].n);
    }
}

/* ---- json ---- */

static json_t *parse(const char *s, struct err *e)
{
    return json_parse(s, strlen(s), e);
}

static void test_json_reals(void **state)
{
    (void)state;
    struct rng r = {3};
    static const double fixed[] = {0.0,
                                   -0.0,
                                   0.1,
                                   1.0,
                                   -1.5,
                                   1e22,
                                   1e23,
                                   5e-324,
                                   2.2250738585072014e-308,
                                   1.7976931348623157e308,
                                   123456789012345678.0,
                                   1.0 / 3};
    size_t n_fixed = sizeof fixed / sizeof *fixed;
    for (size_t i = 0; i < n_fixed + 1000; i++) {
        double d, got[1];
        uint64_t bits = rng_next(&r);
        if (i < n_fixed)
            d = fixed[i];
        else
            memcpy(&d, &bits, sizeof d);
        if (!isfinite(d))
            continue;
        struct buf b = {0};
        struct err e = {0};
        json_t *o = json_object();
        json_object_set_new(o, "v", json_f64s(&d, 1));
        json_print(&b, o);
        json_decref(o);
        o = json_parse(b.s, b.n, &e);
        if (!o)
            fail_msg("%s: %s", b.s, e.msg);
        assert_true(json_is_real(json_array_get(json_object_get(o, "v"), 0)));
        assert_true(json_need_f64s(o, "v", "o", got, 1, &e));
        assert_memory_equal(&d, got, sizeof d); /* to the bit, the sign of zero as well */
        json_decref(o);
        buf_clear(&b);
    }
}

static void test_json_refused(void **state)
{
    (void)state;
    static const struct {
        const char *s, *part;
    } cases[] = {
        {"{\"a\":1,\"a\":2}", "duplicate"},
        {"{\"x\":{\"a\":1,\n\"a\":1}}", "line 2, column"},
        {"{\"a\":1,}", "line 1, column 8"},
        {"{\"a\":NaN}", "not valid JSON"},
        {"{\"a\":1} 2", "not valid JSON"},
        {"", "not valid JSON"},
        {"\"\\u0000\"", "NUL"},
        {"\"\xff\"", "not valid JSON"},
        {"{\"\x1b[2J\":1}", "control"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        assert_null(parse(cases[i].s, &e));
        for (const char *p = e.msg; *p; p++)
            assert_true((unsigned char)*p >= 0x20);
        expect_err(&e, ERR_INPUT, cases[i].part);
    }
    struct err e = {0};
    assert_null(json_parse_row("{\"a\":1,}", 8, &e)); /* which line it is, the caller says */
    assert_int_equal(e.code, ERR_INPUT);
    assert_int_equal(strncmp(e.msg, "column 8: not valid JSON", 24), 0);
    err_clear(&e);
    put("bad.json", "{\n\"a\" 1}");
    assert_null(json_read(at("bad.json"), &e));
    expect_err(&e, ERR_INPUT, "bad.json: line 2, column");
}

static void test_json_layout(void **state)
{
    (void)state;
    static const char text[] =
        "{\n \"z\": 1,\n \"a\": [1, 2.5, \"x\\n\", null, true],\n \"l\": [\n  [0, 1],\n  {\n"
        "   \"k\": \"\xc3\xa4\"\n  }\n ],\n \"e\": {},\n \"n\": []\n}\n";
    struct err e = {0};
    json_t *o = parse(text, &e);
    assert_non_null(o);
    assert_true(json_write(at("o.json"), o, false, &e));
    expect_file("o.json", text);
    assert_false(json_write(at("o.json"), o, false, &e));
    expect_err(&e, ERR_INPUT, "exists");
    json_t *again = json_read(at("o.json"), &e);
    assert_true(json_equal(o, again));
    json_decref(again);
    json_decref(o);
}

static void test_json_need(void **state)
{
    (void)state;
    struct err e = {0};
    json_t *o =
               parse("{\"s\":\"x\",\"u\":5,\"neg\":-1,\"r\":1.5,\"l\":[1,2.5],\"m\":[1,\"x\"],\"o\":{}}", &e),
           *v;
    const char *s;
    uint64_t u;
    double d[2];
    assert_true(json_need_str(o, "s", "plan", &s, &e) && !strcmp(s, "x"));
    assert_true(json_need_u64(o, "u", "plan", &u, &e) && u == 5);
    assert_true(json_need_obj(o, "o", "plan", &v, &e) && json_need_arr(o, "l", "plan", &v, &e));
    assert_true(json_need_f64s(o, "l", "plan", d, 2, &e));
    assert_false(json_need_str(o, "u", "plan", &s, &e));
    expect_err(&e, ERR_INPUT, "plan: 'u' is an integer, expected a string");
    assert_false(json_need_str(o, "none", "plan", &s, &e));
    expect_err(&e, ERR_INPUT, "plan: 'none' is missing");
    assert_false(json_need_u64(o, "neg", "plan", &u, &e));
    expect_err(&e, ERR_INPUT, "expected an integer of 0 or more");
    assert_false(json_need_u64(o, "r", "plan", &u, &e));
    expect_err(&e, ERR_INPUT, "'r' is a number");
    assert_false(json_need_obj(o, "l", "plan", &v, &e));
    expect_err(&e, ERR_INPUT, "'l' is a list, expected an object");
    assert_false(json_need_arr(o, "o", "plan", &v, &e));
    expect_err(&e, ERR_INPUT, "expected a list");
    assert_false(json_need_f64s(o, "l", "plan", d, 1, &e));
    expect_err(&e, ERR_INPUT, "'l' has 2 entries, expected 1");
    assert_false(json_need_f64s(o, "m", "plan", d, 2, &e));
    expect_err(&e, ERR_INPUT, "'m' entry 1 is a string");
    json_decref(o);
}

/* ---- hash, rng ---- */

static void test_sha256(void **state)
{
    (void)state;
    static const char abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    char hex[65];
    struct err e = {0};
    sha256_bytes("abc", 3, hex);
    assert_string_equal(hex, abc);
    sha256_bytes("", 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    struct sha256 *h = sha256_new();
    sha256_add(h, "a", 1);
    sha256_add(h, "bc", 2);
    sha256_hex(h, hex);
    assert_string_equal(hex, abc);
    put("abc", "abc");
    assert_true(sha256_file(at("abc"), hex, &e));
    assert_string_equal(hex, abc);
    assert_false(sha256_file(at("none"), hex, &e));
    expect_err(&e, ERR_INPUT, "none");
}

static void test_hash128(void **state)
{
    (void)state;
    enum { HALF = (1 << 20) + 12345 };
    char *data = xmalloc(2 * HALF);
    struct rng r = {1};
    for (size_t i = 0; i < HALF; i++)
        data[i] = data[i + HALF] = (char)rng_next(&r);
    data[2 * HALF - 1] ^= 1;
    struct err e = {0};
    assert_true(file_write_atomic(at("f"), data, 2 * HALF, false, &e));
    free(data);
    int fd = file_open_read(at("f"), NULL, &e);
    static const struct {
        uint64_t off_a, off_b, n;
        bool equal;
    } cases[] = {
        {0, HALF, HALF - 1, true}, {0, HALF, HALF, false}, {5, HALF + 5, 1 << 20, true},
        {0, 1, 1 << 20, false},    {0, 99, 0, true},       {7, HALF + 7, 1, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct hash128 a, b;
        assert_true(hash128_range(fd, cases[i].off_a, cases[i].n, &a, &e));
        assert_true(hash128_range(fd, cases[i].off_b, cases[i].n, &b, &e));
        assert_int_equal(a.lo == b.lo && a.hi == b.hi, cases[i].equal);
    }
    struct hash128 h;
    assert_false(hash128_range(fd, HALF, HALF + 1, &h, &e));
    expect_err(&e, ERR_INPUT, "file ends at byte");
    close(fd);
}

static void test_rng(void **state)
{
    (void)state;
    struct rng r = {0}; /* reference numbers of SplitMix64 with seed 0 */
    assert_true(rng_next(&r) == 0xe220a8397b1dcdaf);
    assert_true(rng_next(&r) == 0x6e789e6aa1b965f4);
    assert_true(rng_next(&r) == 0x06c45d188009454f);
    unsigned hits[7] = {0};
    for (int i = 0; i < 7000; i++) {
        uint64_t v = rng_below(&r, 7);
        assert_true(v < 7);
        hits[v]++;
    }
    for (int i = 0; i < 7; i++)
        assert_in_range(hits[i], 850, 1150);
    assert_int_equal(rng_below(&r, 1), 0);
    assert_true(rng_below(&r, UINT64_MAX) < UINT64_MAX);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, tempdir_setup, tempdir_teardown)
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_err_first_stays),
        cmocka_unit_test(test_shell),
        cmocka_unit_test(test_err_sys),
        cmocka_unit_test(test_err_truncation),
        cmocka_unit_test(test_err_printable),
        cmocka_unit_test(test_mem),
        cmocka_unit_test(test_buf),
        T(test_read_all),
        T(test_pread),
        T(test_paths),
        T(test_out_commit_and_abort),
        T(test_out_sync),
        T(test_out_part_link),
        T(test_out_refused),
        T(test_out_read_only_folder),
        T(test_out_full),
        T(test_out_copy),
        T(test_dir_make),
        T(test_interrupted),
        cmocka_unit_test(test_parse_size),
        cmocka_unit_test(test_parse_numbers),
        cmocka_unit_test(test_human),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_shown),
        cmocka_unit_test(test_misleading),
        cmocka_unit_test(test_json_shown),
        cmocka_unit_test(test_grow),
        cmocka_unit_test(test_json_reals),
        T(test_json_refused),
        T(test_json_layout),
        cmocka_unit_test(test_json_need),
        T(test_sha256),
        T(test_hash128),
        cmocka_unit_test(test_rng),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
