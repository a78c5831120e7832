/* out.c - see out.h. */
#include "base/out.h"
#include "base/file.h"
#include "base/log.h"
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
#define BOUNCE       (256u << 10) /* of out_copy: small enough to stay in the cache */
#define TRIES        8            /* to lock a file that others rename away */

/* ---- before the work ---- */

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

static bool exists(const char *path, struct err *e)
{
    return err_set(e, ERR_INPUT, "output '%s' exists; --force replaces it", path);
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
            return exists(path, e);
    } else if (errno != ENOENT && errno != ENOTDIR) {
        return err_sys(e, "cannot look at the output '%s'", path);
    } else if (!force && lstat(path, &st) == 0) {
        return err_set(e, ERR_INPUT, "output '%s' is a link that leads nowhere; --force replaces it", path);
    }
    return file_check_parent(path, e);
}

uint64_t file_free_space(const char *path)
{
    char *dir = path_dir(path);
    struct statvfs v;
    uint64_t avail = UINT64_MAX;
    if (statvfs(dir, &v) == 0 && !mul_u64((uint64_t)v.f_bavail, (uint64_t)v.f_frsize, &avail))
        avail = UINT64_MAX;
    free(dir);
    return avail;
}

bool file_check_space(const char *path, uint64_t n, struct err *e)
{
    uint64_t avail = file_free_space(path);
    char a[32], b[32], *dir = path_dir(path);
    if (avail < n)
        err_set(e, ERR_FAILED, "'%s' has %s free, the output needs %s", dir, human_bytes(avail, a),
                human_bytes(n, b));
    free(dir);
    return avail >= n;
}

/* ---- locks and names ---- */

enum out_got out_try_lock(int fd)
{
    int r;
    while ((r = flock(fd, LOCK_EX | LOCK_NB)) != 0 && errno == EINTR)
        ;
    return r == 0 ? OUT_LOCKED : errno == EWOULDBLOCK ? OUT_TAKEN : OUT_NO_LOCKS;
}

bool out_flock(int fd)
{
    return out_try_lock(fd) != OUT_TAKEN;
}

bool out_still_there(int fd, const char *path)
{
    struct stat st, now;
    return fstat(fd, &st) == 0 && lstat(path, &now) == 0 && now.st_ino == st.st_ino &&
           now.st_dev == st.st_dev;
}

bool out_is_anothers(int fd, const char *path)
{
    struct stat st, now;
    return fstat(fd, &st) == 0 && lstat(path, &now) == 0 &&
           (now.st_ino != st.st_ino || now.st_dev != st.st_dev);
}

static bool taken(const char *path, const char *by, struct err *e)
{
    return err_set(e, ERR_FAILED, "'%s' is being written by another program (it holds '%s')", path, by);
}

/* A file of ours beside `path`, locked. One that a killed run left is taken over; one that another program holds is
 * not; a link planted under that name is removed, never followed. Where there are no locks nobody knows whether it is
 * still written, so a new one takes its name. -1 with *e. */
static int open_ours(const char *ours, const char *path, struct err *e)
{
    for (int tries = 0; tries < TRIES; tries++) {
        struct stat st;
        int how = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
        int fd = open(ours, how | O_EXCL, 0666);
        bool is_new = fd >= 0;
        if (!is_new && errno == EEXIST)
            fd = open(ours, how, 0666);
        if (fd < 0 && errno != ELOOP)
            break;
        bool regular = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
        enum out_got got = regular ? out_try_lock(fd) : OUT_LOCKED;
        if (got == OUT_TAKEN) {
            close(fd);
            taken(path, ours, e);
            return -1;
        }
        bool there = regular && out_still_there(fd, ours); /* else the other has renamed or removed it */
        if (there && st.st_nlink == 1 && (is_new || got == OUT_LOCKED))
            return fd;
        bool planted = !regular || there;
        if (fd >= 0)
            close(fd);
        if (planted && unlink(ours) != 0 && errno != ENOENT)
            break;
    }
    err_sys(e, "cannot create '%s'", ours);
    return -1;
}

/* Without `force` never over a file that is there (EEXIST). errno says why not. */
static bool rename_to(const char *from, const char *to, bool force)
{
    if (force)
        return rename(from, to) == 0;
#ifdef RENAME_NOREPLACE
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return true;
    if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP && errno != EPERM)
        return false;
#endif
    struct stat st;
    if (lstat(to, &st) == 0) {
        errno = EEXIST;
        return false;
    }
    return errno == ENOENT && rename(from, to) == 0;
}

/* path is in it. */
static void sync_folder(const char *dir, const char *path)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (fsync(fd) != 0 && errno == EIO) /* not every file system can, which is another errno */
        log_warn("the disk could not keep the names in '%s': after a loss of power '%s' may be missing", dir,
                 path);
    close(fd);
}

void out_sync_folder(const char *path)
{
    char *dir = path_dir(path);
    sync_folder(dir, path);
    free(dir);
}

bool out_set_aside(const char *path, char **to, struct err *e)
{
    for (uint32_t i = 1; i <= 1000; i++) {
        *to = i < 2 ? xasprintf("%s.old", path) : xasprintf("%s.old%u", path, i);
        if (rename_to(path, *to, false)) {
            out_sync_folder(path);
            return true;
        }
        if (errno != EEXIST)
            break;
        free(*to);
        *to = NULL;
    }
    err_sys(e, "cannot rename '%s'", path);
    free(*to);
    *to = NULL;
    return false;
}

/* ---- writing ---- */

static void out_free(struct out *o)
{
    if (o->part)
        sig_unwatch_part(o->part);
    free(o->path);
    free(o->part);
    free(o->bounce);
    *o = (struct out){.fd = -1};
}

static void done(struct out *o)
{
    if (o->fd >= 0)
        (void)close(o->fd); /* what could fail was seen by fsync */
    out_free(o);
}

static bool is_gone(const char *name)
{
    return unlink(name) == 0 || errno == ENOENT;
}

void out_abort(struct out *o)
{
    if (o->part && !out_is_anothers(o->fd, o->part) && !is_gone(o->part) &&
        !is_gone(o->part)) /* before the lock goes with the descriptor; a disk may fail once */
        log_warn("cannot remove '%s' (%s); the next run with this output does", o->part, strerror(errno));
    done(o);
}

bool out_open(struct out *o, const char *path, bool force, struct err *e)
{
    *o = (struct out){.fd = -1};
    if (!file_check_output(path, force, e))
        return false;
    char *final = xstrdup(path), *part = xasprintf("%s" OUT_PART, path);
    int fd = open_ours(part, path, e);
    if (fd >= 0)
        sig_watch_part(part);
    *o = (struct out){.fd = fd, .part = part, .path = final, .force = force};
    if (fd >= 0 && (ftruncate(fd, 0) == 0 || err_sys(e, "cannot write '%s'", part)))
        return true;
    if (fd >= 0)
        out_abort(o);
    else
        out_free(o);
    return false;
}

bool out_write(struct out *o, const void *p, uint64_t n, struct err *e)
{
    const uint8_t *s = p;
    o->synced = false;
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
    o->synced = o->synced || fsync(o->fd) == 0;
    return o->synced || err_sys(e, "cannot write '%s'", o->part);
}

/* Nothing gets the name of the output but what was written here. */
static bool is_ours(const struct out *o, struct err *e)
{
    return !out_is_anothers(o->fd, o->part) ||
           err_set(e, ERR_FAILED, "cannot put '%s' in place: another program writes '%s' now", o->path,
                   o->part);
}

static bool not_in_place(const char *path, struct err *e)
{
    return errno == EEXIST ? exists(path, e) : err_sys(e, "cannot put '%s' in place", path);
}

bool out_commit(struct out *o, struct err *e)
{
    if (!out_sync(o, e) || !is_ours(o, e))
        return false;
    if (!rename_to(o->part, o->path, o->force))
        return not_in_place(o->path, e);
    out_sync_folder(o->path);
    done(o);
    return true;
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

/* ---- several as one ----
 *
 * Forward: the first one's unfinished file becomes .reap-ready (all are complete now); what is replaced becomes
 * .reap-old, the first one at once, so that no mixture can be opened; the unfinished files get their names beside the
 * old ones; at last .reap-ready gets its own, and from then on it is done. The names alone say how far it went, so that
 * taking it back, after a failure or by the next run, needs to know nothing else, and may itself be killed anywhere:
 *
 * - NAME is the same file as the unfinished one: it is new, and is called back. Where files have one name only (vfat),
 *   it is new when there is no unfinished file;
 * - .reap-old is there: it gets its name again.
 *
 * Any other file that has NAME was put there by somebody else since. It stays, and where there is .reap-old as well
 * nothing is done until one of them was moved away. */

/* All that is needed between the renames: there no memory may be asked for, which may end the program. */
struct member {
    char *path, *part, *old, *dir;
};

static struct member member_of(const char *path, bool first)
{
    return (struct member){xstrdup(path), xasprintf("%s%s", path, first ? OUT_READY : OUT_PART),
                           xasprintf("%s" OUT_OLD, path), path_dir(path)};
}

static void member_clear(struct member *m)
{
    free(m->path);
    free(m->part);
    free(m->old);
    free(m->dir);
}

/* 1: there, 0: not; -1: the disk does not say, and nothing may be concluded. */
static int look(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 ? 1 : errno == ENOENT || errno == ENOTDIR ? 0 : -1;
}

/* `to` is not there, or another name of the same file. By another way when rename is refused: a disk that fails is
 * when this is needed. */
static bool move(const char *from, const char *to)
{
    if (rename(from, to) == 0) /* of two names of one file it leaves both */
        return look(from) == 0 || unlink(from) == 0;
    return link(from, to) == 0 && unlink(from) == 0;
}

static bool has_no_links(int no)
{
    return no == EPERM || no == ENOSYS || no == EOPNOTSUPP;
}

/* Whether NAME, which is there, is what the commit that is taken back put there. What else is at hand is given the
 * name of the unfinished file, to see whether files have several names here at all. */
static bool is_placed(const struct member *m, const char *ready)
{
    if (look(m->part) != 0)
        return file_same(m->path, m->part);
    if (link(look(m->old) == 1 ? m->old : ready, m->part) == 0) {
        (void)unlink(m->part);
        return false;
    }
    return has_no_links(errno);
}

/* NAME is somebody else's, and so is its place: what was there cannot go back. */
static bool is_occupied(const struct member *m, const char *ready)
{
    return look(m->path) == 1 && look(m->old) == 1 && !file_same(m->path, m->old) && !is_placed(m, ready);
}

static bool take_back_one(const struct member *m, const char *ready)
{
    int path = look(m->path), part = look(m->part), old = look(m->old);
    if (path < 0 || part < 0 || old < 0 || is_occupied(m, ready))
        return false;
    if (path && is_placed(m, ready) && !(part ? unlink(m->path) == 0 : move(m->path, m->part)))
        return false;
    return !old || move(m->old, m->path);
}

/* The first one last: while it is .reap-ready, the rest may be in any state. */
static bool take_back(const struct member *v, uint32_t n)
{
    bool ok = true;
    for (uint32_t i = n; i-- > 1;)
        ok = take_back_one(&v[i], v[0].part) && ok;
    return ok && take_back_one(&v[0], v[0].part);
}

static void sync_folders(const struct member *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (i == 0 || strcmp(v[i].dir, v[i - 1].dir) != 0)
            sync_folder(v[i].dir, v[i].path);
}

static void remove_ours(const char *name)
{
    if (!is_gone(name) && !is_gone(name)) /* a disk may fail once */
        log_warn("cannot remove '%s' (%s); the output is complete, and the next run with it removes this",
                 name, strerror(errno));
}

/* What the renames needed. Behind a commit the unfinished names are ours; later somebody else may have them. */
static void remove_old(const struct member *v, uint32_t n, bool committed)
{
    for (uint32_t i = 0; i < n; i++) {
        if (committed || file_same(v[i].path, v[i].part))
            remove_ours(v[i].part);
        remove_ours(v[i].old);
    }
}

static bool put_aside(const struct member *m, bool force, struct err *e)
{
    int there = look(m->path);
    if (there < 0)
        return err_sys(e, "cannot look at '%s'", m->path);
    if (!there)
        return true;
    if (!force)
        return exists(m->path, e);
    return rename(m->path, m->old) == 0 || err_sys(e, "cannot replace '%s'", m->path);
}

/* A second name, so that what has NAME can be told from what others put there. */
static bool give_name(const struct member *m, struct err *e)
{
    return link(m->part, m->path) == 0 || (has_no_links(errno) && rename_to(m->part, m->path, false)) ||
           not_in_place(m->path, e);
}

static bool put_in_place(const struct member *v, uint32_t n, bool force, struct err *e)
{
    bool ok = true;
    for (uint32_t i = 0; ok && i < n; i++)
        ok = put_aside(&v[i], force, e);
    if (ok)
        sync_folders(v, n);
    for (uint32_t i = n; ok && i-- > 1;)
        ok = give_name(&v[i], e);
    if (ok)
        sync_folders(v, n);
    return ok && (rename_to(v[0].part, v[0].path, false) || not_in_place(v[0].path, e));
}

/* *stuck: it failed, and could not be taken back. */
static bool commit_members(const struct member *v, uint32_t n, const char *first_part, bool force,
                           bool *stuck, struct err *e)
{
    if (rename(first_part, v[0].part) != 0)
        return not_in_place(v[0].path, e);
    if (put_in_place(v, n, force, e)) {
        sync_folders(v, n);
        remove_old(v, n, true);
        return true;
    }
    if (take_back(v, n) && move(v[0].part, first_part))
        return false;
    log_warn("'%s' and what belongs to it could not be put back; the next run with this output tries again",
             v[0].path);
    *stuck = true;
    return false;
}

bool out_commit_all(struct out *outs, uint32_t n_outs, struct err *e)
{
    struct member *v = xcalloc(n_outs ? n_outs : 1, sizeof *v);
    struct out *first = NULL;
    uint32_t n = 0;
    bool ok = true, force = false, stuck = false;
    for (uint32_t i = 0; i < n_outs; i++) {
        if (outs[i].fd < 0)
            continue;
        first = first ? first : &outs[i];
        force = outs[i].force;
        v[n] = member_of(outs[i].path, n == 0);
        n++;
        ok = ok && out_sync(&outs[i], e) && is_ours(&outs[i], e);
    }
    sig_hold();
    if (n == 1)
        ok = ok && out_commit(first, e);
    else if (n > 1)
        ok = ok && commit_members(v, n, first->part, force, &stuck, e);
    for (uint32_t i = 0; (ok || stuck) && i < n_outs; i++)
        done(&outs[i]); /* stuck: what the next run needs stays */
    sig_release();
    for (uint32_t i = 0; i < n; i++)
        member_clear(&v[i]);
    free(v);
    return ok;
}

static bool undo(const struct member *v, uint32_t n, struct err *e)
{
    for (uint32_t i = 0; i < n; i++)
        if (is_occupied(&v[i], v[0].part))
            return err_set(
                e, ERR_INPUT,
                "a killed run set '%s' aside, and '%s' was put there since: move one of the two away",
                v[i].old, v[i].path);
    if (!take_back(v, n))
        return err_sys(e, "cannot undo what a killed run began at '%s'", v[0].path);
    sync_folders(v, n);
    return unlink(v[0].part) == 0 || errno == ENOENT || err_sys(e, "cannot remove '%s'", v[0].part);
}

/* With .reap-ready: begun and not ended, as when somebody removed that. Without it, and the first one there: ended,
 * but for what was replaced. */
static bool recover(const struct member *v, uint32_t n, int ready, struct err *e)
{
    int first = look(v[0].path);
    if (ready >= 0 || (first == 0 && look(v[0].old) == 1))
        return undo(v, n, e);
    if (first == 1)
        remove_old(v, n, false);
    return true;
}

bool out_recover(const char *const *paths, uint32_t n, struct err *e)
{
    if (n < 2)
        return true;
    struct member *v = xcalloc(n, sizeof *v);
    for (uint32_t i = 0; i < n; i++)
        v[i] = member_of(paths[i], i == 0);
    int ready = open(v[0].part, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    bool ok = ready >= 0 || errno == ENOENT || errno == ENOTDIR || err_sys(e, "cannot open '%s'", v[0].part);
    if (ok && ready >= 0 && !out_flock(ready))
        ok = taken(v[0].path, v[0].part, e);
    sig_hold();
    ok = ok && recover(v, n, ready, e);
    sig_release();
    if (ready >= 0)
        close(ready);
    for (uint32_t i = 0; i < n; i++)
        member_clear(&v[i]);
    free(v);
    return ok;
}

/* ---- for a whole run ---- */

bool out_lock(struct out_lock *l, const char *path, struct err *e)
{
    *l = (struct out_lock){.fd = -1};
    char *ours = xasprintf("%s" OUT_LOCK, path);
    l->fd = open_ours(ours, path, e);
    if (l->fd < 0) {
        free(ours);
        return false;
    }
    l->path = ours;
    sig_watch_part(ours);
    return true;
}

/* What a killed run left goes also when this one is refused. */
static void remove_stale(const char *path)
{
    char *part = xasprintf("%s" OUT_PART, path);
    int fd = open(part, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0) {
        if (out_flock(fd) && out_still_there(fd, part))
            (void)unlink(part);
        close(fd);
    }
    free(part);
}

bool out_hold(struct out_lock *l, const char *path, bool force, struct err *e)
{
    *l = (struct out_lock){.fd = -1};
    if (!file_check_output(path, true, e) || !out_lock(l, path, e))
        return false;
    if (file_check_output(path, force, e))
        return true;
    remove_stale(path);
    out_unlock(l);
    return false;
}

void out_unlock(struct out_lock *l)
{
    if (l->path) {
        if (!out_is_anothers(l->fd, l->path) && !is_gone(l->path) &&
            !is_gone(l->path)) /* before the lock goes with the descriptor; a disk may fail once */
            log_warn("cannot remove '%s' (%s); the next run with this output does", l->path, strerror(errno));
        close(l->fd);
        sig_unwatch_part(l->path);
        free(l->path);
    }
    *l = (struct out_lock){.fd = -1};
}
