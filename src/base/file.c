/* file.c - see file.h. */
#include "base/file.h"
#include "base/hub_path.h"
#include "base/mem.h"
#include "base/out.h"
#include "base/sig.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of file_read_all: a sanitizer maps larger pieces anew each time, which takes half of the time of fuzzing. */
#define WINDOW (1u << 16)

int file_open_read(const char *path, uint64_t *size, struct err *e)
{
    /* O_NONBLOCK: opening a FIFO must not hang; it changes nothing for a regular file */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        err_sys(e, "cannot open '%s'", path);
        return -1;
    }
    struct stat st;
    if (fstat(fd, &st) != 0) {
        err_sys(e, "cannot stat '%s'", path);
        close(fd);
        return -1;
    }
    if (!S_ISREG(st.st_mode)) {
        err_set(e, ERR_INPUT, "'%s' is %s, expected a file", path,
                S_ISDIR(st.st_mode) ? "a folder" : "not a regular file");
        close(fd);
        return -1;
    }
    if (size)
        *size = (uint64_t)st.st_size;
    return fd;
}

bool file_pread(int fd, void *dst, uint64_t n, uint64_t off, struct err *e)
{
    uint8_t *p = dst;
    while (n) {
        size_t want = n > (1u << 30) ? (1u << 30) : (size_t)n;
        ssize_t r = pread(fd, p, want, (off_t)off);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return err_sys(e, "cannot read at byte %llu", (unsigned long long)off);
        if (r == 0)
            return err_set(e, ERR_INPUT, "file ends at byte %llu, %llu more bytes expected",
                           (unsigned long long)off, (unsigned long long)n);
        p += r;
        off += (uint64_t)r;
        n -= (uint64_t)r;
    }
    return true;
}

void file_read_ahead(int fd, uint64_t off, uint64_t n)
{
#ifdef POSIX_FADV_WILLNEED
    (void)posix_fadvise(fd, (off_t)off, (off_t)n, POSIX_FADV_WILLNEED);
#else
    (void)fd, (void)off, (void)n;
#endif
}

void file_read_as_told(int fd, bool as_told)
{
#ifdef POSIX_FADV_RANDOM
    (void)posix_fadvise(fd, 0, 0, as_told ? POSIX_FADV_RANDOM : POSIX_FADV_NORMAL);
#else
    (void)fd, (void)as_told;
#endif
}

bool file_read_fd(int fd, const char *path, uint64_t max, struct buf *out, struct err *e)
{
    bool ok = true;
    char *chunk = xmalloc(WINDOW);
    for (;;) {
        ssize_t r = read(fd, chunk, WINDOW);
        if (r < 0 && errno == EINTR) {
            if ((ok = sig_check(e)))
                continue;
            break;
        }
        if (r < 0) {
            ok = err_sys(e, "cannot read '%s'", path);
            break;
        }
        if (r == 0)
            break;
        if ((uint64_t)r > max - out->n) {
            ok = err_set(e, ERR_INPUT, "'%s' is larger than %llu bytes, the most that is read here", path,
                         (unsigned long long)max);
            break;
        }
        buf_add(out, chunk, (size_t)r);
    }
    free(chunk);
    if (ok && !out->s)
        buf_add(out, "", 0);
    return ok;
}

bool file_read_all(const char *path, uint64_t max, struct buf *out, struct err *e)
{
    bool in = !strcmp(path, "-");
    int fd = in ? STDIN_FILENO : file_open_read(path, NULL, e);
    if (fd < 0)
        return false;
    bool ok = file_read_fd(fd, path, max, out, e);
    if (!in)
        close(fd);
    if (!ok)
        buf_clear(out);
    return ok;
}

bool file_there(const char *path, bool *there, struct err *e)
{
    struct stat st;
    *there = lstat(path, &st) == 0;
    return *there || errno == ENOENT || errno == ENOTDIR || err_sys(e, "cannot look at '%s'", path);
}

bool file_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

bool file_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

void file_stamp(const char *path, struct buf *b)
{
    struct stat st;
    if (stat(path, &st) == 0)
        buf_fmt(b, "%lld %lld.%09ld", (long long)st.st_size, (long long)st.st_mtim.tv_sec,
                st.st_mtim.tv_nsec);
    else
        buf_str(b, "missing");
}

bool file_same(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

bool file_would_destroy(const char *out, const char *in)
{
    static const char *const ours[] = {"", OUT_PART, OUT_READY, OUT_OLD, OUT_LOCK, OUT_JOURNAL};
    bool same = false;
    for (size_t i = 0; !same && i < sizeof ours / sizeof *ours; i++) {
        char *path = xasprintf("%s%s", out, ours[i]);
        same = file_same(path, in);
        free(path);
    }
    return same;
}

/* What a path will be once it is made: the real path of as much as there is, and the rest. Caller frees; NULL: not even
 * the current folder can be named. */
static char *real_or_future(const char *path)
{
    char *head = path_absolute(path), *rest = xstrdup(""), *real;
    while (!(real = realpath(head, NULL))) {
        char *slash = strrchr(head, '/');
        if (!slash || slash == head)
            break;
        char *longer = xasprintf("%s%s", slash, rest);
        free(rest);
        rest = longer;
        *slash = 0;
    }
    char *all = real ? xasprintf("%s%s", real, rest) : NULL;
    free(real);
    free(head);
    free(rest);
    return all;
}

bool file_lies_in(const char *path, const char *folder)
{
    char *outer = file_is_dir(folder) ? realpath(folder, NULL) : NULL, *inner = real_or_future(path);
    size_t n = outer ? strlen(outer) : 0;
    bool yes =
        n && inner && !strncmp(inner, outer, n) && (!inner[n] || inner[n] == '/' || outer[n - 1] == '/');
    free(outer);
    free(inner);
    return yes;
}

bool file_check_apart(const char *out, const char *in, const char *what, struct err *e)
{
    return !out || !in || !file_would_destroy(out, in) ||
           err_set(e, ERR_INPUT, "the output '%s' is %s", out, what);
}

bool file_check_texts(const char *out, const char *const *texts, uint32_t n, struct err *e)
{
    for (uint32_t i = 0; out && i < n; i++)
        if (file_would_destroy(out, texts[i]))
            return err_set(e, ERR_INPUT, "the output '%s' is the text '%s' itself", out, texts[i]);
    return true;
}

const char *path_base(const char *path)
{
    const char *p = strrchr(path, '/');
    return p ? p + 1 : path;
}

char *path_own_name(const char *path)
{
    char *id = hub_id_of_path(path), *real = file_is_dir(path) ? realpath(path, NULL) : NULL,
         *name = xstrdup(path_base(id     ? id
                                   : real ? real
                                          : path));
    free(real);
    free(id);
    return name;
}

char *path_absolute(const char *path)
{
    char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);
    char *p = here ? path_join(here, path) : xstrdup(path);
    free(here);
    return p;
}

char *path_dir(const char *path)
{
    const char *p = strrchr(path, '/');
    if (!p)
        return xstrdup(".");
    return p == path ? xstrdup("/") : xstrndup(path, (size_t)(p - path));
}

char *path_own_program(void)
{
    char p[4096];
    ssize_t n = readlink("/proc/self/exe", p, sizeof p);
    return n > 0 && (size_t)n < sizeof p ? xstrndup(p, (size_t)n) : NULL;
}

char *path_join(const char *dir, const char *name)
{
    size_t n = strlen(dir);
    return xasprintf("%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", name);
}

bool dir_make(const char *path, struct err *e)
{
    char *p = xstrdup(path);
    bool ok = true;
    for (char *s = p + 1; ok && *s; s++) {
        if (*s != '/')
            continue;
        *s = 0;
        if (mkdir(p, 0777) != 0 && errno != EEXIST)
            ok = err_sys(e, "cannot make folder '%s'", p);
        *s = '/';
    }
    if (ok && mkdir(p, 0777) != 0 && errno != EEXIST)
        ok = err_sys(e, "cannot make folder '%s'", p);
    if (ok && !file_is_dir(p))
        ok = err_set(e, ERR_INPUT, "'%s' exists and is not a folder", p);
    free(p);
    return ok;
}
