/* fold.c - for LD_PRELOAD: below the folder FOLD, which is written as an absolute path without links, names are the same in
 * any case, as on vfat, or a case-insensitive ext4, XFS or APFS; and what lies there keeps the names that it was made with in lower case. */
#undef _FILE_OFFSET_BITS /* both names of a function are defined here: open and open64 */
#include <ctype.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The path in lower case behind FOLD, in `to`; relative ones are meant from the folder above FOLD. */
static const char *fold(const char *path, char to[PATH_MAX])
{
    const char *top = getenv("FOLD"), *name = top ? strrchr(top, '/') + 1 : NULL;
    size_t n = top ? strlen(*path == '/' ? top : name) : 0;
    if (!top || strncmp(path, *path == '/' ? top : name, n) != 0 || path[n] != '/' ||
        strlen(path) >= PATH_MAX)
        return path;
    strcpy(to, path);
    for (char *c = to + n; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return to;
}

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))

#define PATH_OF(p) fold(p, (char[PATH_MAX]){0})

#define OPEN(name)                                                                  \
    int name(const char *path, int flags, ...)                                      \
    {                                                                               \
        va_list ap;                                                                 \
        va_start(ap, flags);                                                        \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;       \
        va_end(ap);                                                                 \
        return REAL(int, name, const char *, int, ...)(PATH_OF(path), flags, mode); \
    }
#define STAT(name, st)                                                       \
    int name(const char *path, struct st *s)                                 \
    {                                                                        \
        return REAL(int, name, const char *, struct st *)(PATH_OF(path), s); \
    }
OPEN(open)
OPEN(open64)
STAT(stat, stat)
STAT(lstat, stat)
STAT(stat64, stat64)
STAT(lstat64, stat64)

int mkdir(const char *path, mode_t mode)
{
    return REAL(int, mkdir, const char *, mode_t)(PATH_OF(path), mode);
}

int rename(const char *from, const char *to)
{
    return REAL(int, rename, const char *, const char *)(PATH_OF(from), PATH_OF(to));
}

int renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
    return REAL(int, renameat2, int, const char *, int, const char *, unsigned)(a, PATH_OF(from), b,
                                                                                PATH_OF(to), flags);
}

int unlink(const char *path)
{
    return REAL(int, unlink, const char *)(PATH_OF(path));
}

int access(const char *path, int how)
{
    return REAL(int, access, const char *, int)(PATH_OF(path), how);
}
