/* folder.c - see folder.h. */
#include "base/folder.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- names ---- */

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

bool folder_names(const char *path, char ***names, size_t *n, struct err *e)
{
    size_t cap = 0;
    *names = NULL;
    *n = 0;
    DIR *d = opendir(path);
    if (!d)
        return err_sys(e, "cannot open folder '%s'", path);
    for (const struct dirent *x; errno = 0, (x = readdir(d));) {
        if (!strcmp(x->d_name, ".") || !strcmp(x->d_name, ".."))
            continue;
        GROW(*names, *n, cap);
        (*names)[(*n)++] = xstrdup(x->d_name);
    }
    bool ok = errno == 0 || err_sys(e, "cannot read folder '%s'", path);
    closedir(d);
    if (!ok) {
        folder_names_free(*names, *n);
        *names = NULL;
        *n = 0;
    } else if (*n) {
        qsort(*names, *n, sizeof **names, by_bytes);
    }
    return ok;
}

void folder_names_free(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

/* ---- bounds ---- */

/* Of two real paths. */
static bool is_within(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    return !strncmp(path, dir, n) && (!path[n] || path[n] == '/' || (n && dir[n - 1] == '/'));
}

/* HUB/blobs of HUB/snapshots/REVISION, or of a folder in that. */
static char *blobs_of(const char *root)
{
    static const char dir[] = "/snapshots/";
    const char *last = NULL;
    for (const char *p = root; (p = strstr(p, dir)); p++)
        last = p;
    return last ? xasprintf("%.*s/blobs", (int)(last - root), root) : NULL;
}

bool folder_bounds(const char *path, struct folder_bounds *b, struct err *e)
{
    *b = (struct folder_bounds){.root = realpath(path, NULL)};
    if (!b->root)
        return err_sys(e, "cannot read folder '%s'", path);
    b->blobs = blobs_of(b->root);
    return true;
}

void folder_bounds_clear(struct folder_bounds *b)
{
    free(b->root);
    free(b->blobs);
    *b = (struct folder_bounds){0};
}

bool folder_holds(const struct folder_bounds *b, const char *end)
{
    return is_within(end, b->root) || (b->blobs && is_within(end, b->blobs));
}

/* ---- entries ---- */

static bool fail_look(const char *path, struct err *e)
{
    int why = errno;
    char to[PATH_MAX];
    ssize_t n = why == ENOENT ? readlink(path, to, sizeof to) : -1;
    if (n > 0)
        return err_set(e, ERR_INPUT, "'%s' is a link to '%.*s', which does not exist", path, (int)n, to);
    errno = why;
    return err_sys(e, "cannot look at '%s'", path);
}

bool folder_look(const struct folder_bounds *b, const struct folder_level *above, const char *path,
                 struct folder_entry *x, struct err *e)
{
    struct stat st;
    *x = (struct folder_entry){0};
    if (stat(path, &st) != 0 || !(x->end = realpath(path, NULL)))
        return fail_look(path, e);
    x->kind = !folder_holds(b, x->end) ? FOLDER_OUTSIDE
              : S_ISDIR(st.st_mode)    ? FOLDER_SUB
              : S_ISREG(st.st_mode)    ? FOLDER_FILE
                                       : FOLDER_SPECIAL;
    x->mode = st.st_mode & 0777;
    for (; above && x->kind == FOLDER_SUB; above = above->above)
        if (!strcmp(above->end, x->end)) {
            folder_entry_clear(x);
            return err_set(e, ERR_INPUT, "'%s' is a link back to a folder above it", path);
        }
    return true;
}

void folder_entry_clear(struct folder_entry *x)
{
    free(x->end);
    *x = (struct folder_entry){0};
}

bool folder_left_out(const struct folder_entry *x, const char *path)
{
    if (x->kind == FOLDER_OUTSIDE)
        log_warn("%s: a link that leads out of the folder, to '%s'; left out", path, x->end);
    else if (x->kind == FOLDER_SPECIAL)
        log_warn("%s: not a regular file; left out", path);
    return x->kind == FOLDER_OUTSIDE || x->kind == FOLDER_SPECIAL;
}

/* ---- files ---- */

/* Where an open file is; the path says it only where the system does not. */
static char *place_of(int fd, const char *path)
{
    char name[64], to[PATH_MAX];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(name, to, sizeof to);
    return n > 0 && (size_t)n < sizeof to ? xstrndup(to, (size_t)n) : realpath(path, NULL);
}

int folder_open_file(const struct folder_bounds *b, const char *path, uint64_t *size, struct err *e)
{
    int fd = file_open_read(path, size, e);
    if (fd < 0)
        return -1;
    char *place = place_of(fd, path);
    bool ok = place && folder_holds(b, place);
    if (!place)
        fail_look(path, e);
    else if (!ok)
        err_set(e, ERR_INPUT, "'%s' is a link that leads out of the folder '%s', to '%s'", path, b->root,
                place);
    free(place);
    if (ok)
        return fd;
    close(fd);
    return -1;
}

bool folder_read_file(const struct folder_bounds *b, const char *path, uint64_t max, struct buf *out,
                      struct err *e)
{
    int fd = folder_open_file(b, path, NULL, e);
    if (fd < 0)
        return false;
    bool ok = file_read_fd(fd, path, max, out, e);
    close(fd);
    return ok;
}
