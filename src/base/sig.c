/* sig.c - see sig.h. */
#include "base/sig.h"
#include "base/mem.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile sig_atomic_t pending;

/* The parts that are watched: a list of blocks that only grows, so that it can be read in a signal handler
 * and by another thread at any time. */
struct block {
    const char *part[256]; /* NULL: free */
    struct block *next;
};
static struct block first;
static pid_t owner; /* who watches: a child between fork and exec has the list, but not the files */

static bool take_slot(struct block *b, const char *path)
{
    for (size_t i = 0; i < sizeof b->part / sizeof *b->part; i++) {
        const char *none = NULL;
        if (__atomic_compare_exchange_n(&b->part[i], &none, path, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            return true;
    }
    return false;
}

/* Those of the parent process. */
static void forget_all(void)
{
    for (struct block *b = &first; b; b = b->next)
        memset(b->part, 0, sizeof b->part);
}

void sig_watch_part(const char *path)
{
    pid_t me = getpid(), was = __atomic_exchange_n(&owner, me, __ATOMIC_SEQ_CST);
    if (was && was != me)
        forget_all();
    for (struct block *b = &first; !take_slot(b, path); b = b->next) {
        if (__atomic_load_n(&b->next, __ATOMIC_SEQ_CST))
            continue;
        struct block *none = NULL, *more = xcalloc(1, sizeof *more);
        if (!__atomic_compare_exchange_n(&b->next, &none, more, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            free(more); /* another thread was faster */
    }
}

void sig_unwatch_part(const char *path)
{
    for (struct block *b = &first; b; b = __atomic_load_n(&b->next, __ATOMIC_SEQ_CST))
        for (size_t i = 0; i < sizeof b->part / sizeof *b->part; i++) {
            const char *p = path;
            __atomic_compare_exchange_n(&b->part[i], &p, NULL, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        }
}

/* ---- removing: by system calls alone, as readdir and malloc are not for signal handlers ---- */

#define MAX_DEPTH 8

static void remove_at(int dir, const char *name, int depth);

#ifdef SYS_getdents64
struct entry { /* linux_dirent64 */
    uint64_t ino;
    int64_t off;
    unsigned short len;
    unsigned char type;
    char name[];
};

static void empty(int fd, int depth)
{
    _Alignas(struct entry) char b[2048];
    long n;
    while ((n = syscall(SYS_getdents64, fd, b, sizeof b)) > 0)
        for (long at = 0; at < n;) {
            const struct entry *x = (const struct entry *)(const void *)(b + at);
            if (strcmp(x->name, ".") != 0 && strcmp(x->name, "..") != 0)
                remove_at(fd, x->name, depth + 1);
            at += x->len;
        }
}
#else
static void empty(int fd, int depth)
{
    (void)fd, (void)depth; /* what is in a folder stays, and the next run clears it away (dir.h) */
}
#endif

static void remove_at(int dir, const char *name, int depth)
{
    if (unlinkat(dir, name, 0) == 0 || depth > MAX_DEPTH)
        return;
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    empty(fd, depth);
    close(fd);
    unlinkat(dir, name, AT_REMOVEDIR);
}

void sig_remove_parts(void)
{
    if (getpid() != __atomic_load_n(&owner, __ATOMIC_SEQ_CST))
        return;
    for (const struct block *b = &first; b; b = __atomic_load_n(&b->next, __ATOMIC_SEQ_CST))
        for (size_t i = 0; i < sizeof b->part / sizeof *b->part; i++) {
            const char *p = __atomic_load_n(&b->part[i], __ATOMIC_SEQ_CST);
            if (p)
                remove_at(AT_FDCWD, p, 0);
        }
}

/* ---- signals ---- */

static void on_signal(int no)
{
    if (pending) {
        sig_remove_parts();
        _exit(ERR_INTERRUPTED);
    }
    pending = no;
}

void sig_install(void)
{
    struct sigaction sa = {.sa_handler = on_signal};
    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGHUP, &sa, NULL);
    signal(SIGXFSZ, SIG_IGN); /* so is a file size limit */
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is a write error like any other */
}

bool sig_pending(void)
{
    return pending != 0;
}

bool sig_check(struct err *e)
{
    return !pending || err_set(e, ERR_INTERRUPTED, "interrupted");
}
