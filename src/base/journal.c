/* journal.c - see journal.h. */
#include "base/journal.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_LEFT (1ull << 30) /* as much as a result file may have */
#define TRIES    8            /* to lock a file that others remove */

static bool is_ours(int fd)
{
    struct stat st;
    return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink <= 1;
}

/* -1 with *e. It holds answers, so nothing is removed that stands there in its place. */
static int open_locked(const char *path, const char *out, struct err *e)
{
    for (int i = 0; i < TRIES; i++) {
        int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
        if (fd < 0 && errno != ELOOP && errno != EISDIR && errno != ENXIO) {
            err_sys(e, "cannot create '%s'", path);
            return -1;
        }
        bool ours = is_ours(fd), locked = ours && out_flock(fd);
        if (locked && out_still_there(fd, path))
            return fd;
        if (fd >= 0)
            close(fd);
        if (ours && !locked) {
            err_set(e, ERR_FAILED, "'%s' is being written by another program (it holds '%s')", out, path);
            return -1;
        }
        if (!ours && file_exists(path)) {
            err_set(e, ERR_INPUT, "'%s' is no journal of '%s': move it away", path, out);
            return -1;
        }
        /* the other run has ended, and removed it between our open and our lock */
    }
    err_set(e, ERR_FAILED, "'%s' is being written by another program", out);
    return -1;
}

static bool read_left(struct journal *j, struct buf *left, struct err *e)
{
    struct stat st;
    if (fstat(j->fd, &st) != 0)
        return err_sys(e, "cannot stat '%s'", j->path);
    uint64_t n = (uint64_t)st.st_size;
    if (!n)
        return true;
    if (n > MAX_LEFT)
        return err_set(e, ERR_INPUT, "'%s' is larger than %llu bytes, the most that is read here", j->path,
                       MAX_LEFT);
    char *s = mem_try(n, 1, j->path, e);
    if (!s)
        return false;
    bool ok = file_pread(j->fd, s, n, 0, e) || err_ctx(e, "%s", j->path);
    const char *hole = ok ? memchr(s, 0, n) : NULL,
               *end = ok ? memrchr(s, '\n', hole ? (size_t)(hole - s) : n) : NULL;
    if (end)
        buf_add(left, s, (size_t)(end - s) + 1);
    free(s);
    return ok;
}

bool journal_open(struct journal *j, const char *out, struct buf *left, struct err *e)
{
    *j = (struct journal){.fd = -1, .path = xasprintf("%s" OUT_JOURNAL, out)};
    j->fd = open_locked(j->path, out, e);
    if (j->fd >= 0) {
        j->is_needed = true; /* until it is known what it holds */
        if (read_left(j, left, e)) {
            j->is_needed = left->n > 0;
            return true;
        }
    }
    journal_close(j);
    return false;
}

static bool put(struct journal *j, const char *s, size_t n)
{
    while (n) {
        ssize_t k = write(j->fd, s, n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return false;
        s += k;
        n -= (size_t)k;
    }
    return true;
}

static bool sync_data(struct journal *j)
{
    int rc;
    while ((rc = fdatasync(j->fd)) != 0 && errno == EINTR)
        ;
    return rc == 0;
}

bool journal_add(struct journal *j, const char *lines, size_t n, struct err *e)
{
    if (put(j, lines, n) && sync_data(j)) {
        j->n += n;
        return j->is_needed = true;
    }
    err_sys(e, "cannot write '%s'", j->path);
    (void)!ftruncate(j->fd,
                     (off_t)j->n); /* else its last line is not whole, and is dropped by who reads it */
    return false;
}

bool journal_restart(struct journal *j, const char *lines, size_t n, struct err *e)
{
    if (ftruncate(j->fd, 0) != 0)
        return err_sys(e, "cannot write '%s'", j->path);
    j->n = 0;
    bool ok = journal_add(j, lines, n, e);
    j->is_needed = false;
    return ok;
}

void journal_close(struct journal *j)
{
    if (j->fd >= 0 && !j->is_needed && unlink(j->path) != 0) /* before the lock goes with the descriptor */
        log_warn("cannot remove '%s', which is not needed any more: %s", j->path, strerror(errno));
    if (j->fd >= 0)
        close(j->fd);
    free(j->path);
    *j = (struct journal){.fd = -1};
}

bool journal_exists(const char *out)
{
    char *path = xasprintf("%s" OUT_JOURNAL, out);
    bool is = file_exists(path);
    free(path);
    return is;
}
