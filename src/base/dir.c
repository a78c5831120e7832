/* dir.c - see dir.h. */
#include "base/dir.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "base/sig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DEPTH 128
#define TRIES     8 /* to lock a folder that another program renames away */

/* False if it does not exist. */
static bool is_empty(const char *path)
{
    DIR *d = opendir(path);
    if (!d)
        return false;
    bool empty = true;
    for (const struct dirent *x; empty && (x = readdir(d));)
        empty = !strcmp(x->d_name, ".") || !strcmp(x->d_name, "..");
    closedir(d);
    return empty;
}

static bool is_link(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

/* ---- removing ---- */

static bool clear_fd(int fd, int depth);

/* errno says why not. */
static bool remove_entry(int dir, const char *name, int depth)
{
    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT) /* another program clears it, too */
        return true;
    int no = errno, sub = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (sub < 0) {
        errno = errno == ENOTDIR ? no : errno;
        return false;
    }
    return clear_fd(sub, depth + 1) && (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT);
}

/* Removes what is in the folder fd, which is closed; as much of it as can be. errno says what stopped it first. */
static bool clear_fd(int fd, int depth)
{
    DIR *d = depth > MAX_DEPTH ? NULL : fdopendir(fd);
    if (!d) {
        close(fd);
        errno = depth > MAX_DEPTH ? ELOOP : errno;
        return false;
    }
    struct stat st;
    int no = 0;
    if (fstat(fd, &st) == 0 && (st.st_mode & S_IRWXU) != S_IRWXU)
        (void)fchmod(fd, st.st_mode | S_IRWXU); /* what is to be replaced was made read-only */
    for (const struct dirent *x; errno = 0, (x = readdir(d));)
        if (strcmp(x->d_name, ".") != 0 && strcmp(x->d_name, "..") != 0 &&
            !remove_entry(fd, x->d_name, depth))
            no = no ? no : errno;
    no = no ? no : errno;
    closedir(d);
    errno = no;
    return !no;
}

/* Removes a folder and all that is in it; symbolic links are removed, not followed. */
static bool remove_folder(const char *path, struct err *e)
{
    if (unlink(path) == 0) /* a link to a folder, under whose name the output was written */
        return true;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, "cannot remove folder '%s'", path);
    return (clear_fd(fd, 0) && rmdir(path) == 0) || err_sys(e, "cannot remove folder '%s'", path);
}

/* ---- output folders ---- */

static bool holds(const char *dir, const char *name)
{
    char *p = path_join(dir, name);
    bool there = file_exists(p);
    free(p);
    return there;
}

static char *trimmed(const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    return xstrndup(path, n);
}

static bool check(const char *path, const char *ours, bool force, struct err *e)
{
    if (!*path)
        return err_set(e, ERR_INPUT, "the output has an empty name");
    if (!file_check_parent(path, e))
        return false;
    if (!file_exists(path))
        return true;
    if (is_empty(path))
        return force || !is_link(path) ||
               err_set(e, ERR_INPUT,
                       "the output '%s' is a link to an empty folder; --force replaces the link", path);
    if (!file_is_dir(path))
        return err_set(e, ERR_INPUT, "the output '%s' exists and is not a folder", path);
    if (!holds(path, ours))
        return err_set(
            e, ERR_INPUT,
            "the output '%s' exists, is not empty and was not written by reap (it holds no %s); it is not "
            "replaced, not even with --force",
            path, ours);
    return force || err_set(e, ERR_INPUT, "the output '%s' exists; --force replaces it", path);
}

bool out_dir_check(const char *path, const char *ours, bool force, struct err *e)
{
    char *p = trimmed(path);
    bool ok = check(p, ours, force, e);
    free(p);
    return ok;
}

/* The folder PART, made if need be, locked; where there are no locks a new one. -1 with *e. */
static int open_part(const char *part, const char *path, struct err *e)
{
    for (int tries = 0; tries < TRIES; tries++) {
        bool is_new = mkdir(part, 0777) == 0;
        if (!is_new && errno != EEXIST)
            break;
        int fd = open(part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
            continue;
        if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
            err_set(e, ERR_INPUT, "'%s' is in the way: it is not an unfinished output of reap", part);
        if (fd < 0) {
            int why = errno;
            (void)rmdir(part); /* one that was just made */
            errno = why;
            break;
        }
        enum out_got got = out_try_lock(fd);
        if (got == OUT_TAKEN) {
            close(fd);
            err_set(e, ERR_FAILED, "'%s' is being written by another program (it holds '%s')", path, part);
            return -1;
        }
        bool is_stale = got == OUT_NO_LOCKS && !is_new && out_still_there(fd, part);
        if (is_stale && !remove_folder(part, e)) {
            close(fd);
            return -1;
        }
        if (!is_stale &&
            out_still_there(fd, part)) /* else the other has given it its name: it must not be cleared */
            return fd;
        close(fd);
    }
    err_sys(e, "cannot make folder '%s'", part);
    return -1;
}

/* Where a folder cannot be exchanged in one step, a kill may leave the old one aside. An empty one that somebody
 * made since (mkdir -p, before each run) takes nothing from it. */
static bool put_back_old(const char *path, struct err *e)
{
    char *old = xasprintf("%s" OUT_OLD, path);
    bool ok = true;
    if (file_is_dir(old) && (!file_exists(path) || is_empty(path)))
        ok = rename(old, path) == 0 || err_sys(e, "cannot put '%s' back", path);
    else if (file_is_dir(old))
        ok = remove_folder(old, e);
    free(old);
    return ok;
}

static bool clear_part(int fd, const char *part, struct err *e)
{
    int again = dup(fd); /* a descriptor that is closed behind the reading; the lock stays */
    return (again >= 0 && clear_fd(again, 0)) || err_sys(e, "cannot clear '%s'", part);
}

static void out_dir_free(struct out_dir *o)
{
    if (o->fd >= 0)
        close(o->fd);
    if (o->part)
        sig_unwatch_part(o->part);
    free(o->path);
    free(o->part);
    *o = (struct out_dir){.fd = -1};
}

bool out_dir_open(struct out_dir *o, const char *path, const char *ours, bool force, struct err *e)
{
    *o = (struct out_dir){.fd = -1};
    if (!out_dir_check(path, ours, force, e))
        return false;
    char *final = trimmed(path), *part = xasprintf("%s" OUT_PART, final);
    int fd = open_part(part, path, e);
    if (fd >= 0)
        sig_watch_part(part);
    *o = (struct out_dir){final, part, fd, ours, force};
    if (fd >= 0 && put_back_old(final, e) && check(final, ours, force, e) && clear_part(fd, part, e))
        return true;
    if (fd >= 0)
        (void)rmdir(part); /* one that was just made */
    out_dir_free(o);
    return false;
}

/* Puts PART in the place of the old folder; the name that this has then, NULL with *e. No memory is asked for between
 * the renames, which may end the program. */
static const char *exchange(const char *part, const char *path, const char *old, struct err *e)
{
#ifdef RENAME_EXCHANGE
    if (renameat2(AT_FDCWD, part, AT_FDCWD, path, RENAME_EXCHANGE) == 0)
        return part;
#endif
    if (rename(path, old) == 0) {
        if (rename(part, path) == 0)
            return old;
        if (rename(old, path) != 0)
            log_warn("'%s' could not be put back; the next run with this output tries again", path);
    }
    err_sys(e, "cannot put '%s' in place", path);
    return NULL;
}

/* *replaced: where the old one is now, `old` or PART; NULL when there is none. */
static bool put_in_place(const struct out_dir *o, const char *old, const char **replaced, struct err *e)
{
    if (is_link(o->path) || (file_exists(o->path) && !is_empty(o->path)))
        return (*replaced = exchange(o->part, o->path, old, e)) != NULL;
    return rename(o->part, o->path) == 0 || /* over an empty folder at the most */
           err_sys(e, "cannot put '%s' in place", o->path);
}

bool out_dir_commit(struct out_dir *o, struct err *e)
{
    char *old = xasprintf("%s" OUT_OLD, o->path);
    const char *replaced = NULL;
    struct err bad = {0};
    (void)fsync(o->fd);                             /* not every file system can; the files are synced */
    bool ok = check(o->path, o->ours, o->force, e); /* somebody else may have put something there meanwhile */
    if (ok && out_is_anothers(o->fd, o->part))
        ok = err_set(e, ERR_FAILED, "cannot put '%s' in place: another program writes '%s' now", o->path,
                     o->part);
    sig_hold();
    ok = ok && put_in_place(o, old, &replaced, e);
    sig_release();
    if (ok)
        out_sync_folder(o->path); /* before the old one goes */
    if (replaced && !remove_folder(replaced, &bad) && !remove_folder(replaced, &bad))
        log_warn("%s; what it replaces is done, and the next run with this output removes it", bad.msg);
    free(old);
    if (ok)
        out_dir_free(o);
    return ok;
}

void out_dir_abort(struct out_dir *o)
{
    struct err ignored = {0};
    if (o->part && !out_is_anothers(o->fd, o->part))
        (void)remove_folder(o->part, &ignored);
    out_dir_free(o);
}
