/* shim.c - for LD_PRELOAD: one call of libc goes wrong in a program that knows nothing of it.
 *
 *   SHIM_FAULT="CALLS N HOW"   the N-th call of CALLS (names with commas; see `names`; create: an open that may make a
 *                              file), from 1, and HOW is one of
 *                                fail:E   it fails with errno E
 *                                from:E   so do all that follow (a full disk stays full)
 *                                short    read, pread, write, fread, fwrite do half of what was asked
 *                                before   the process gets SIGKILL instead of the call
 *                                behind   the process gets SIGKILL when the call is done
 *                                wait:MS  it comes so much later
 *                              N = 0: nothing goes wrong, calls are counted
 *   SHIM_PATH=TEXT             only calls whose path holds this count (those that have a path)
 *   SHIM_FROM=NAME             only calls from the code of the mapped file whose name ends so count; "main": the program
 *   SHIM_HELD=FILE             is made when a call begins to wait
 *   SHIM_COUNTS=FILE           at the end: a line "NAME CALLS" for each function, "hit TIMES"
 *   SHIM_LOG=FILE              what was done to the disk, a line each; see log_disk
 *
 * The variables and LD_PRELOAD are taken out of the environment, so that a child process is left alone. */
#undef _FILE_OFFSET_BITS /* both names of a function are defined here: open and open64 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* clang-format off */
#define FNS(X)                                                                                                   \
    X(open) X(openat) X(create) X(close) X(read) X(pread) X(write) X(pwrite) X(fsync) X(fdatasync) X(sync_file_range)      \
    X(ftruncate) X(flock) X(lseek) X(dup) X(rename) X(renameat) X(renameat2) X(link) X(linkat) X(symlink)        \
    X(unlink) X(unlinkat) X(mkdir) X(mkdirat) X(rmdir) X(opendir) X(fdopendir) X(readdir) X(stat) X(lstat)       \
    X(fstat) X(fstatat) X(statvfs) X(access) X(realpath) X(readlink) X(fopen) X(fread) X(fwrite) X(fflush)       \
    X(fclose) X(malloc) X(calloc) X(realloc) X(posix_memalign) X(strdup) X(vasprintf) X(mmap) X(pthread_create)  \
    X(pipe2) X(fork) X(execv)
/* clang-format on */
enum fn {
#define X(n) FN_##n,
    FNS(X)
#undef X
        N_FN
};
static const char *const names[] = {
#define X(n) #n,
    FNS(X)
#undef X
};

enum how { FAIL, FROM, SHORT, BEFORE, BEHIND, WAIT };
static struct {
    bool ready, wanted[N_FN];
    long at;
    enum how how;
    int arg;
    char path[PATH_MAX], held[PATH_MAX], counts[PATH_MAX];
    uintptr_t lo, hi; /* of the code that counts; 0: all */
    int log;
    pid_t pid;
} shim = {.log = -1};
static long calls[N_FN], matched, hits;

/* ---- at the end ---- */

static void put_counts(void)
{
    if (!shim.counts[0] || getpid() != shim.pid)
        return;
    char s[4096];
    int n = 0;
    for (int i = 0; i < N_FN; i++)
        if (calls[i])
            n += snprintf(s + n, sizeof s - (size_t)n, "%s %ld\n", names[i], calls[i]);
    n += snprintf(s + n, sizeof s - (size_t)n, "hit %ld\n", hits);
    long fd = syscall(SYS_openat, AT_FDCWD, shim.counts, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0)
        return;
    syscall(SYS_write, fd, s, n);
    syscall(SYS_close, fd);
}

__attribute__((destructor)) static void end(void)
{
    put_counts();
}

__attribute__((noreturn)) void _exit(int status)
{
    put_counts();
    for (;;)
        syscall(SYS_exit_group, status);
}

__attribute__((noreturn)) static void killed(void)
{
    put_counts();
    syscall(SYS_kill, shim.pid, SIGKILL);
    for (;;)
        pause();
}

/* ---- what is asked for ---- */

static int in_object(struct dl_phdr_info *o, size_t size, void *arg)
{
    (void)size;
    const char *want = arg, *name = o->dlpi_name;
    size_t n = strlen(name), k = strlen(want);
    bool is = strcmp(want, "main") ? n >= k && !strcmp(name + n - k, want) : !*name;
    for (int i = 0; is && i < o->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &o->dlpi_phdr[i];
        if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
            continue;
        shim.lo = (uintptr_t)(o->dlpi_addr + p->p_vaddr);
        shim.hi = shim.lo + p->p_memsz;
    }
    return is;
}

static void read_fault(const char *s)
{
    static const char *const hows[] = {"fail:", "from:", "short", "before", "behind", "wait:"};
    char fns[256], how[64];
    if (sscanf(s, "%255s %ld %63s", fns, &shim.at, how) != 3)
        abort();
    char *save = NULL;
    for (char *t = strtok_r(fns, ",", &save); t; t = strtok_r(NULL, ",", &save))
        for (int i = 0; i < N_FN; i++)
            if (!strcmp(t, names[i]))
                shim.wanted[i] = true;
    for (int i = 0; i < 6; i++)
        if (!strncmp(how, hows[i], strlen(hows[i]))) {
            shim.how = (enum how)i;
            shim.arg = atoi(how + strlen(hows[i]));
        }
}

static void take(const char *name, char *dst)
{
    const char *s = getenv(name);
    if (s)
        snprintf(dst, PATH_MAX, "%s", s);
    unsetenv(name);
}

__attribute__((constructor)) static void begin(void)
{
    char fault[PATH_MAX] = "", from[PATH_MAX] = "", log[PATH_MAX] = "";
    shim.pid = getpid();
    take("SHIM_FAULT", fault);
    take("SHIM_PATH", shim.path);
    take("SHIM_FROM", from);
    take("SHIM_HELD", shim.held);
    take("SHIM_COUNTS", shim.counts);
    take("SHIM_LOG", log);
    unsetenv("LD_PRELOAD");
    if (fault[0])
        read_fault(fault);
    if (from[0] && !dl_iterate_phdr(in_object, from))
        shim.lo = shim.hi = 1; /* not mapped: no call comes from it */
    if (log[0])
        shim.log = (int)syscall(SYS_openat, AT_FDCWD, log,
                                O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
    shim.ready = true;
}

/* What becomes of this call: 0 as usual, FAIL + 1 and so on. `from` is where it came from. */
static int hit(enum fn f, const char *path, const void *from)
{
    if (!shim.ready || getpid() != shim.pid || (shim.path[0] && path && !strstr(path, shim.path)) ||
        (shim.lo && ((uintptr_t)from < shim.lo || (uintptr_t)from >= shim.hi)))
        return 0;
    __atomic_add_fetch(&calls[f], 1, __ATOMIC_SEQ_CST);
    if (!shim.wanted[f])
        return 0;
    long n = __atomic_add_fetch(&matched, 1, __ATOMIC_SEQ_CST);
    if (shim.at <= 0 || (shim.how == FROM ? n < shim.at : n != shim.at))
        return 0;
    __atomic_add_fetch(&hits, 1, __ATOMIC_SEQ_CST);
    if (shim.how == BEFORE)
        killed();
    if (shim.how == WAIT) {
        int fd = shim.held[0]
                     ? (int)syscall(SYS_openat, AT_FDCWD, shim.held, O_WRONLY | O_CREAT | O_CLOEXEC, 0666)
                     : -1;
        if (fd >= 0)
            syscall(SYS_close, fd);
        nanosleep(&(struct timespec){shim.arg / 1000, shim.arg % 1000 * 1000000L}, NULL);
        return 0;
    }
    return shim.how == FROM ? FAIL + 1 : (int)shim.how + 1;
}

/* ---- what is done to the disk ---- */

/* "KIND INODE PARENT PATH": w written, s synced, c made, r renamed to PATH, u removed. PARENT is the folder's inode. */
static void log_disk(char kind, ino_t ino, ino_t parent, const char *path)
{
    char s[PATH_MAX + 64];
    int n = snprintf(s, sizeof s, "%c %lu %lu %s\n", kind, (unsigned long)ino, (unsigned long)parent, path);
    syscall(SYS_write, shim.log, s, n);
}

static ino_t ino_at(int dir, const char *path)
{
    struct stat st;
    return syscall(SYS_newfstatat, dir, path, &st, AT_SYMLINK_NOFOLLOW) ? 0 : st.st_ino;
}

static ino_t parent_at(int dir, const char *path)
{
    char s[PATH_MAX];
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    while (n && path[n - 1] != '/')
        n--;
    snprintf(s, sizeof s, "%.*s.", (int)n, path);
    struct stat st;
    return syscall(SYS_newfstatat, dir, s, &st, 0) ? 0 : st.st_ino;
}

static void log_fd(char kind, int fd)
{
    struct stat st;
    int e = errno;
    if (shim.log >= 0 && !syscall(SYS_fstat, fd, &st) && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
        log_disk(kind, st.st_ino, 0, "-");
    errno = e;
}

static void log_at(char kind, int dir, const char *path, ino_t ino)
{
    int e = errno;
    if (shim.log >= 0)
        log_disk(kind, ino ? ino : ino_at(dir, path), parent_at(dir, path), path);
    errno = e;
}

/* ---- the functions ---- */

static void *next(const char *name)
{
    void *p = dlsym(RTLD_NEXT, name);
    if (!p)
        abort();
    return p;
}

#define CALLER __builtin_return_address(0)
#define REAL(ret, sym, params) \
    static ret(*real) params;  \
    if (!real)                 \
    *(void **)&real = next(#sym)

/* The function `fn` under one of its names in libc; `done` when it succeeded. */
#define WRAP(fn, sym, ret, bad, path, params, args, before, done) \
    ret sym params                                                \
    {                                                             \
        REAL(ret, sym, params);                                   \
        int h = hit(FN_##fn, path, CALLER);                       \
        if (h == FAIL + 1) {                                      \
            errno = shim.arg;                                     \
            return bad;                                           \
        }                                                         \
        before;                                                   \
        ret r = real args;                                        \
        if (r != bad) {                                           \
            done;                                                 \
        }                                                         \
        if (h == BEHIND + 1)                                      \
            killed();                                             \
        return r;                                                 \
    }
#define PLAIN(fn, sym, ret, bad, path, params, args) WRAP(fn, sym, ret, bad, path, params, args, , )

/* The same where an amount can be cut in half. */
#define HALVED(fn, sym, ret, bad, params, n, args, done) \
    ret sym params                                       \
    {                                                    \
        REAL(ret, sym, params);                          \
        int h = hit(FN_##fn, NULL, CALLER);              \
        if (h == FAIL + 1) {                             \
            errno = shim.arg;                            \
            return bad;                                  \
        }                                                \
        if (h == SHORT + 1 && (n) > 1)                   \
            (n) /= 2;                                    \
        ret r = real args;                               \
        done;                                            \
        if (h == BEHIND + 1)                             \
            killed();                                    \
        return r;                                        \
    }

/* open and openat: their mode is optional. A file that was not there is made. */
#define OPENS(fn, sym, dir, params, args)                                \
    int sym params                                                       \
    {                                                                    \
        static int (*real)(int, const char *, int, ...);                 \
        if (!real)                                                       \
            *(void **)&real = next("openat");                            \
        va_list ap;                                                      \
        va_start(ap, flags);                                             \
        mode_t mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;          \
        va_end(ap);                                                      \
        int h = hit(FN_##fn, p, CALLER);                                 \
        if (!h && flags & O_CREAT)                                       \
            h = hit(FN_create, p, CALLER);                               \
        if (h == FAIL + 1) {                                             \
            errno = shim.arg;                                            \
            return -1;                                                   \
        }                                                                \
        bool made = shim.log >= 0 && flags & O_CREAT && !ino_at(dir, p); \
        int r = real args;                                               \
        if (r >= 0 && made)                                              \
            log_at('c', dir, p, 0);                                      \
        if (r >= 0 && flags & O_TRUNC)                                   \
            log_fd('w', r);                                              \
        if (h == BEHIND + 1)                                             \
            killed();                                                    \
        return r;                                                        \
    }
OPENS(open, open, AT_FDCWD, (const char *p, int flags, ...), (AT_FDCWD, p, flags, mode))
OPENS(open, open64, AT_FDCWD, (const char *p, int flags, ...), (AT_FDCWD, p, flags | O_LARGEFILE, mode))
OPENS(openat, openat, d, (int d, const char *p, int flags, ...), (d, p, flags, mode))
OPENS(openat, openat64, d, (int d, const char *p, int flags, ...), (d, p, flags | O_LARGEFILE, mode))

/* As Linux does it: the descriptor is gone, whatever is said. */
int close(int fd)
{
    int h = hit(FN_close, NULL, CALLER);
    int r = (int)syscall(SYS_close, fd);
    if (h == BEHIND + 1)
        killed();
    if (h != FAIL + 1)
        return r;
    errno = shim.arg;
    return -1;
}

HALVED(read, read, ssize_t, -1, (int fd, void *b, size_t n), n, (fd, b, n), )
HALVED(pread, pread, ssize_t, -1, (int fd, void *b, size_t n, off_t o), n, (fd, b, n, o), )
HALVED(pread, pread64, ssize_t, -1, (int fd, void *b, size_t n, off_t o), n, (fd, b, n, o), )
HALVED(write, write, ssize_t, -1, (int fd, const void *b, size_t n), n, (fd, b, n), log_fd('w', fd))
HALVED(pwrite, pwrite, ssize_t, -1, (int fd, const void *b, size_t n, off_t o), n, (fd, b, n, o),
       log_fd('w', fd))
HALVED(pwrite, pwrite64, ssize_t, -1, (int fd, const void *b, size_t n, off_t o), n, (fd, b, n, o),
       log_fd('w', fd))
HALVED(fread, fread, size_t, 0, (void *b, size_t s, size_t n, FILE *f), n, (b, s, n, f), )
HALVED(fwrite, fwrite, size_t, 0, (const void *b, size_t s, size_t n, FILE *f), n, (b, s, n, f), )

WRAP(fsync, fsync, int, -1, NULL, (int fd), (fd), , log_fd('s', fd))
WRAP(fdatasync, fdatasync, int, -1, NULL, (int fd), (fd), , log_fd('s', fd))
WRAP(ftruncate, ftruncate, int, -1, NULL, (int fd, off_t n), (fd, n), , log_fd('w', fd))
WRAP(ftruncate, ftruncate64, int, -1, NULL, (int fd, off_t n), (fd, n), , log_fd('w', fd))
PLAIN(sync_file_range, sync_file_range, int, -1, NULL, (int fd, off_t a, off_t n, unsigned f), (fd, a, n, f))
PLAIN(flock, flock, int, -1, NULL, (int fd, int op), (fd, op))
PLAIN(lseek, lseek, off_t, -1, NULL, (int fd, off_t o, int w), (fd, o, w))
PLAIN(lseek, lseek64, off_t, -1, NULL, (int fd, off_t o, int w), (fd, o, w))
PLAIN(dup, dup, int, -1, NULL, (int fd), (fd))

/* What had the name of the target is gone behind a rename, unless the two were exchanged. */
WRAP(rename, rename, int, -1, b, (const char *a, const char *b), (a, b),
     ino_t old = shim.log >= 0 ? ino_at(AT_FDCWD, b) : 0;
     ino_t from = shim.log >= 0 ? parent_at(AT_FDCWD, a) : 0, if (old) log_at('u', AT_FDCWD, b, old);
     log_at('r', AT_FDCWD, b, 0); if (shim.log >= 0) log_disk('u', 0, from, a))
WRAP(renameat, renameat, int, -1, b, (int d, const char *a, int k, const char *b), (d, a, k, b), ,
     log_at('r', k, b, 0))
WRAP(renameat2, renameat2, int, -1, b, (int d, const char *a, int k, const char *b, unsigned f),
     (d, a, k, b, f), , log_at('r', k, b, 0);
     if (f & 2) log_at('r', d, a, 0))
WRAP(link, link, int, -1, b, (const char *a, const char *b), (a, b), , log_at('r', AT_FDCWD, b, 0))
WRAP(linkat, linkat, int, -1, b, (int d, const char *a, int k, const char *b, int f), (d, a, k, b, f), ,
     log_at('r', k, b, 0))
WRAP(symlink, symlink, int, -1, b, (const char *a, const char *b), (a, b), , log_at('c', AT_FDCWD, b, 0))
WRAP(unlink, unlink, int, -1, p, (const char *p), (p), ino_t i = shim.log >= 0 ? ino_at(AT_FDCWD, p) : 0,
     log_at('u', AT_FDCWD, p, i))
WRAP(unlinkat, unlinkat, int, -1, p, (int d, const char *p, int f), (d, p, f),
     ino_t i = shim.log >= 0 ? ino_at(d, p) : 0, log_at('u', d, p, i))
WRAP(rmdir, rmdir, int, -1, p, (const char *p), (p), ino_t i = shim.log >= 0 ? ino_at(AT_FDCWD, p) : 0,
     log_at('u', AT_FDCWD, p, i))
WRAP(mkdir, mkdir, int, -1, p, (const char *p, mode_t m), (p, m), , log_at('c', AT_FDCWD, p, 0))
WRAP(mkdirat, mkdirat, int, -1, p, (int d, const char *p, mode_t m), (d, p, m), , log_at('c', d, p, 0))

PLAIN(opendir, opendir, DIR *, NULL, p, (const char *p), (p))
PLAIN(fdopendir, fdopendir, DIR *, NULL, NULL, (int fd), (fd))
PLAIN(readdir, readdir, struct dirent *, NULL, NULL, (DIR * d), (d))
PLAIN(readdir, readdir64, struct dirent64 *, NULL, NULL, (DIR * d), (d))
PLAIN(stat, stat, int, -1, p, (const char *p, struct stat *s), (p, s))
PLAIN(stat, stat64, int, -1, p, (const char *p, struct stat64 *s), (p, s))
PLAIN(lstat, lstat, int, -1, p, (const char *p, struct stat *s), (p, s))
PLAIN(lstat, lstat64, int, -1, p, (const char *p, struct stat64 *s), (p, s))
PLAIN(fstat, fstat, int, -1, NULL, (int fd, struct stat *s), (fd, s))
PLAIN(fstat, fstat64, int, -1, NULL, (int fd, struct stat64 *s), (fd, s))
PLAIN(fstatat, fstatat, int, -1, p, (int d, const char *p, struct stat *s, int f), (d, p, s, f))
PLAIN(fstatat, fstatat64, int, -1, p, (int d, const char *p, struct stat64 *s, int f), (d, p, s, f))
PLAIN(statvfs, statvfs, int, -1, p, (const char *p, struct statvfs *s), (p, s))
PLAIN(statvfs, statvfs64, int, -1, p, (const char *p, struct statvfs64 *s), (p, s))
PLAIN(access, access, int, -1, p, (const char *p, int m), (p, m))
PLAIN(realpath, realpath, char *, NULL, p, (const char *p, char *b), (p, b))
PLAIN(readlink, readlink, ssize_t, -1, p, (const char *p, char *b, size_t n), (p, b, n))
PLAIN(fopen, fopen, FILE *, NULL, p, (const char *p, const char *m), (p, m))
PLAIN(fopen, fopen64, FILE *, NULL, p, (const char *p, const char *m), (p, m))
PLAIN(fflush, fflush, int, EOF, NULL, (FILE * f), (f))
PLAIN(fclose, fclose, int, EOF, NULL, (FILE * f), (f))
PLAIN(execv, execv, int, -1, p, (const char *p, char *const a[]), (p, a))
PLAIN(pipe2, pipe2, int, -1, NULL, (int fd[2], int f), (fd, f))
PLAIN(fork, fork, pid_t, -1, NULL, (void), ())
PLAIN(strdup, strdup, char *, NULL, NULL, (const char *s), (s))
PLAIN(vasprintf, vasprintf, int, -1, NULL, (char **s, const char *f, va_list ap), (s, f, ap))

int pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *x)
{
    REAL(int, pthread_create, (pthread_t *, const pthread_attr_t *, void *(*)(void *), void *));
    return hit(FN_pthread_create, NULL, CALLER) == FAIL + 1 ? EAGAIN : real(t, a, f, x);
}

void *mmap(void *a, size_t n, int p, int f, int fd, off_t o)
{
    if (hit(FN_mmap, NULL, CALLER) == FAIL + 1) {
        errno = shim.arg;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, a, n, p, f, fd, o);
}
void *mmap64(void *a, size_t n, int p, int f, int fd, off_t o)
{
    return mmap(a, n, p, f, fd, o);
}

/* Memory: by glibc's own names, because the first calls come before anything can be looked up. */
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static bool refused(enum fn f, const void *from)
{
    if (hit(f, NULL, from) != FAIL + 1)
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t n)
{
    return refused(FN_malloc, CALLER) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    return refused(FN_calloc, CALLER) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    return refused(FN_realloc, CALLER) ? NULL : __libc_realloc(p, n);
}

int posix_memalign(void **p, size_t align, size_t n)
{
    if (refused(FN_posix_memalign, CALLER))
        return ENOMEM;
    *p = __libc_memalign(align, n);
    return *p ? 0 : ENOMEM;
}
