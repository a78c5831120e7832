/* file.c - see file.h. */
#include "base/file.h"
#include "base/mem.h"
#include "base/sig.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define WRITE_BEHIND (32u << 20)
#define WINDOW       (1u << 20)   /* of file_read_all */
#define BOUNCE       (256u << 10) /* of out_copy: small enough to stay in the cache */

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

bool file_read_all(const char *path, uint64_t max, struct buf *out, struct err *e)
{
    bool in = !strcmp(path, "-");
    int fd = in ? STDIN_FILENO : file_open_read(path, NULL, e);
    if (fd < 0)
        return false;
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
    if (!in)
        close(fd);
    if (ok && !out->s)
        buf_add(out, "", 0);
    return ok;
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
    char *part = xasprintf("%s.part", out);
    bool same = file_same(out, in) || file_same(part, in);
    free(part);
    return same;
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
    char *real = realpath(path, NULL);
    char *name = xstrdup(path_base(real ? real : path));
    free(real);
    return name;
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

bool file_check_parent(const char *path, struct err *e)
{
    struct stat st;
    char *dir = path_dir(path);
    bool ok = true;
    if (stat(dir, &st) != 0)
        ok = err_sys(e, "folder '%s' of the output", dir);
    else if (!S_ISDIR(st.st_mode))
        ok = err_set(e, ERR_INPUT, "'%s' is not a folder, cannot write '%s'", dir, path);
    else if (access(dir, W_OK | X_OK) != 0)
        ok = err_sys(e, "cannot write in folder '%s'", dir);
    free(dir);
    return ok;
}

bool file_check_output(const char *path, bool force, struct err *e)
{
    if (!*path)
        return err_set(e, ERR_INPUT, "the output has an empty name");
    struct stat st;
    if (stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            return err_set(e, ERR_INPUT, "output '%s' is a folder, expected a file name", path);
        if (!S_ISREG(st.st_mode)) /* the rename would put a file in the place of /dev/null */
            return err_set(e, ERR_INPUT, "output '%s' is not a regular file", path);
        if (!force)
            return err_set(e, ERR_INPUT, "output '%s' exists; --force replaces it", path);
    }
    return file_check_parent(path, e);
}

/* The .part file, empty and locked. One that a killed run left is taken over; one that another program is
 * writing is not; a link planted under that name is removed, never followed. */
static int open_part(const char *part, const char *path, struct err *e)
{
    for (int tries = 0; tries < 8; tries++) {
        struct stat st, now;
        int fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
        if (fd < 0 && errno != ELOOP) {
            err_sys(e, "cannot create '%s'", part);
            return -1;
        }
        if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1) {
            if (fd >= 0)
                close(fd);
            if (unlink(part) != 0 && errno != ENOENT)
                break;
            continue;
        }
        if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
            close(fd);
            err_set(e, ERR_FAILED, "'%s' is being written by another program (it holds '%s')", path, part);
            return -1;
        }
        /* between open and lock the other writer may have renamed it away */
        if (lstat(part, &now) == 0 && now.st_ino == st.st_ino && now.st_dev == st.st_dev &&
            ftruncate(fd, 0) == 0)
            return fd;
        close(fd);
    }
    err_sys(e, "cannot create '%s'", part);
    return -1;
}

bool out_open(struct out *o, const char *path, bool force, struct err *e)
{
    *o = (struct out){.fd = -1};
    if (!file_check_output(path, force, e))
        return false;
    char *part = xasprintf("%s.part", path);
    int fd = open_part(part, path, e);
    if (fd < 0) {
        free(part);
        return false;
    }
    o->fd = fd;
    o->part = part;
    o->path = xstrdup(path);
    sig_watch_part(o->part);
    return true;
}

bool out_write(struct out *o, const void *p, uint64_t n, struct err *e)
{
    const uint8_t *s = p;
    while (n) {
        size_t want = n > (1u << 30) ? (1u << 30) : (size_t)n;
        ssize_t r = write(o->fd, s, want);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return err_sys(e, "cannot write '%s'", o->part);
        s += r;
        n -= (uint64_t)r;
        o->pos += (uint64_t)r;
    }
    return true;
}

bool out_zero(struct out *o, uint64_t n, struct err *e)
{
    static const uint8_t zeros[4096];
    while (n) {
        uint64_t k = n < sizeof zeros ? n : sizeof zeros;
        if (!out_write(o, zeros, k, e))
            return false;
        n -= k;
    }
    return true;
}

/* What is written goes to the disk early, so that the sync at the end waits for little. */
static void write_behind(struct out *o)
{
#ifdef SYNC_FILE_RANGE_WRITE
    if (o->pos - o->sent < WRITE_BEHIND)
        return;
    (void)sync_file_range(o->fd, (off_t)o->sent, (off_t)(o->pos - o->sent),
                          SYNC_FILE_RANGE_WRITE); /* only a hint */
    o->sent = o->pos;
#else
    (void)o;
#endif
}

bool out_copy(struct out *o, int fd, uint64_t off, uint64_t n, struct err *e)
{
    if (!o->bounce)
        o->bounce = xmalloc(BOUNCE);
    while (n) {
        uint64_t k = n < BOUNCE ? n : BOUNCE;
        if (!sig_check(e) || !file_pread(fd, o->bounce, k, off, e) || !out_write(o, o->bounce, k, e))
            return false;
        write_behind(o);
        off += k;
        n -= k;
    }
    return true;
}

void out_end(struct out *o)
{
    free(o->bounce);
    o->bounce = NULL;
#ifdef SYNC_FILE_RANGE_WRITE
    (void)sync_file_range(o->fd, (off_t)o->sent, (off_t)(o->pos - o->sent), SYNC_FILE_RANGE_WRITE);
    o->sent = o->pos;
#endif
}

bool out_sync(struct out *o, struct err *e)
{
    return fsync(o->fd) == 0 || err_sys(e, "cannot write '%s'", o->part);
}

static void out_free(struct out *o)
{
    if (o->part)
        sig_unwatch_part(o->part);
    free(o->path);
    free(o->part);
    free(o->bounce);
    *o = (struct out){.fd = -1};
}

bool out_commit(struct out *o, struct err *e)
{
    if (!out_sync(o, e))
        return false;
    if (rename(o->part, o->path) != 0)
        return err_sys(e, "cannot put '%s' in place", o->path);
    (void)close(o->fd); /* what could fail was seen by fsync */
    char *dir = path_dir(o->path);
    int dfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dfd >= 0) {
        (void)fsync(dfd); /* not every file system can; the data itself is synced */
        close(dfd);
    }
    free(dir);
    out_free(o);
    return true;
}

void out_abort(struct out *o)
{
    if (o->part)
        unlink(o->part); /* before the lock goes with the descriptor */
    if (o->fd >= 0)
        close(o->fd);
    out_free(o);
}

bool file_write_atomic(const char *path, const void *p, uint64_t n, bool force, struct err *e)
{
    struct out o;
    if (!out_open(&o, path, force, e))
        return false;
    if (out_write(&o, p, n, e) && out_commit(&o, e))
        return true;
    out_abort(&o);
    return false;
}

bool file_check_space(const char *path, uint64_t n, struct err *e)
{
    char *dir = path_dir(path);
    struct statvfs v;
    bool ok = true;
    if (statvfs(dir, &v) == 0) {
        uint64_t avail;
        if (!mul_u64((uint64_t)v.f_bavail, (uint64_t)v.f_frsize, &avail))
            avail = UINT64_MAX;
        char a[32], b[32];
        if (avail < n)
            ok = err_set(e, ERR_FAILED, "'%s' has %s free, the output needs %s", dir, human_bytes(avail, a),
                         human_bytes(n, b));
    }
    free(dir);
    return ok;
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
