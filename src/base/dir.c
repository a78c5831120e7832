/* dir.c - see dir.h. */
#include "base/dir.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DEPTH 32
#define MARK      ".reap-part" /* says that a folder NAME.part is ours to clear away */

/* ---- reading ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct dir_entry *)a)->name, ((const struct dir_entry *)b)->name);
}

bool dir_list(const char *path, struct dir_entry **list, size_t *n, struct err *e)
{
    *list = NULL;
    *n = 0;
    DIR *d = opendir(path);
    if (!d)
        return err_sys(e, "cannot read folder '%s'", path);
    size_t cap = 0;
    for (const struct dirent *x; errno = 0, (x = readdir(d));) {
        struct stat st;
        if (!strcmp(x->d_name, ".") || !strcmp(x->d_name, "..") || fstatat(dirfd(d), x->d_name, &st, 0) != 0)
            continue;
        if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
            continue;
        GROW(*list, *n, cap);
        (*list)[(*n)++] = (struct dir_entry){xstrdup(x->d_name), S_ISDIR(st.st_mode), (uint64_t)st.st_size};
    }
    bool ok = errno == 0 || err_sys(e, "cannot read folder '%s'", path);
    closedir(d);
    if (!ok) {
        dir_list_free(*list, *n);
        *list = NULL;
        *n = 0;
        return false;
    }
    if (*n)
        qsort(*list, *n, sizeof **list, by_name);
    return true;
}

void dir_list_free(struct dir_entry *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(list[i].name);
    free(list);
}

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

/* ---- removing ---- */

/* Removes what is in the folder fd, which is closed. */
static bool clear_fd(int fd, int depth)
{
    DIR *d = depth > MAX_DEPTH ? NULL : fdopendir(fd);
    if (!d) {
        close(fd);
        return false;
    }
    bool ok = true;
    for (const struct dirent *x; (x = readdir(d));) {
        if (!strcmp(x->d_name, ".") || !strcmp(x->d_name, ".."))
            continue;
        if (unlinkat(fd, x->d_name, 0) == 0)
            continue;
        int sub = openat(fd, x->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        ok = sub >= 0 && clear_fd(sub, depth + 1) && unlinkat(fd, x->d_name, AT_REMOVEDIR) == 0 && ok;
    }
    closedir(d);
    return ok;
}

/* Removes a folder and all that is in it; symbolic links are removed, not followed. */
static bool remove_folder(const char *path, struct err *e)
{
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
    if (!file_exists(path) || is_empty(path))
        return true;
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

/* An existing PATH.part: ours to take, if it is a folder with our mark (or an empty one) and nobody writes
 * it. */
static bool take_over(const char *part, struct err *e)
{
    if (mkdir(part, 0777) == 0)
        return true;
    if (errno != EEXIST)
        return err_sys(e, "cannot make folder '%s'", part);
    if (!is_empty(part) && !holds(part, MARK))
        return err_set(e, ERR_INPUT, "'%s' is in the way: it is not an unfinished output of reap", part);
    return true;
}

bool out_dir_open(struct out_dir *o, const char *path, const char *ours, bool force, struct err *e)
{
    *o = (struct out_dir){.fd = -1};
    if (!out_dir_check(path, ours, force, e))
        return false;
    char *final = trimmed(path), *part = xasprintf("%s.part", final), *mark = path_join(part, MARK);
    bool ok = take_over(part, e);
    int fd = ok ? open(part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (ok && fd < 0)
        ok = err_sys(e, "cannot open folder '%s'", part);
    if (ok && flock(fd, LOCK_EX | LOCK_NB) != 0)
        ok = err_set(e, ERR_FAILED, "'%s' is being written by another program (it holds '%s')", path, part);
    int again = ok ? dup(fd) : -1;
    if (ok && (again < 0 || !clear_fd(again, 0)))
        ok = err_sys(e, "cannot clear '%s'", part);
    if (ok)
        sig_watch_part(part);
    int m = ok ? open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0666) : -1;
    if (ok && m < 0)
        ok = err_sys(e, "cannot create '%s'", mark);
    if (m >= 0)
        close(m);
    free(mark);
    if (ok) {
        *o = (struct out_dir){final, part, fd};
        return true;
    }
    if (fd >= 0)
        close(fd);
    sig_unwatch_part(part);
    free(final);
    free(part);
    return false;
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

/* Puts PART in the place of the old folder, which is then PART. */
static bool exchange(const char *part, const char *path, struct err *e)
{
#ifdef RENAME_EXCHANGE
    if (renameat2(AT_FDCWD, part, AT_FDCWD, path, RENAME_EXCHANGE) == 0)
        return true;
#endif
    char *old = xasprintf("%s.old", path);
    bool ok = !file_exists(old) && rename(path, old) == 0;
    if (ok && rename(part, path) != 0) {
        ok = false;
        (void)rename(old, path);
    }
    ok = ok && rename(old, part) == 0;
    if (!ok)
        err_sys(e, "cannot put '%s' in place", path);
    free(old);
    return ok;
}

bool out_dir_commit(struct out_dir *o, struct err *e)
{
    (void)unlinkat(o->fd, MARK, 0);
    (void)fsync(o->fd); /* not every file system can; the files are synced */
    if (!file_exists(o->path) || is_empty(o->path)) {
        if (rename(o->part, o->path) != 0)
            return err_sys(e, "cannot put '%s' in place", o->path);
    } else if (!exchange(o->part, o->path, e) || !remove_folder(o->part, e)) {
        return false;
    }
    char *parent = path_dir(o->path);
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(parent);
    out_dir_free(o);
    return true;
}

void out_dir_abort(struct out_dir *o)
{
    struct err ignored = {0};
    if (o->part)
        (void)remove_folder(o->part, &ignored);
    out_dir_free(o);
}
