/* sig.c - see sig.h. */
#include "base/sig.h"
#include "base/log.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Atomic int pending, held;

/* The parts that are watched: a list of blocks that only grows, so that it can be read in a signal handler
 * and by another thread at any time. */
struct block {
    const char *part[256]; /* NULL: free */
    struct block *next;
};
static struct block first;
static pid_t owner; /* who watches: a child between fork and exec has the list, but not the files */

static void remove_at(int dir, const char *name, int depth);

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
        struct block *none = NULL, *more = calloc(1, sizeof *more);
        if (!more) {
            remove_at(AT_FDCWD, path, 0); /* is in no list yet */
            sig_die("out of memory");
        }
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
    (void)fchmod(fd, 0700);
    empty(fd, depth);
    close(fd);
    unlinkat(dir, name, AT_REMOVEDIR);
}

void sig_remove_parts(void)
{
    if (held || getpid() != __atomic_load_n(&owner, __ATOMIC_SEQ_CST))
        return;
    for (const struct block *b = &first; b; b = __atomic_load_n(&b->next, __ATOMIC_SEQ_CST))
        for (size_t i = 0; i < sizeof b->part / sizeof *b->part; i++) {
            const char *p = __atomic_load_n(&b->part[i], __ATOMIC_SEQ_CST);
            if (p)
                remove_at(AT_FDCWD, p, 0);
        }
}

/* ---- signals that were noted ---- */

bool sig_note(int no)
{
    bool again = pending && !held;
    if (!again)
        pending = no;
    return again;
}

void sig_hold(void)
{
    held++;
}

void sig_release(void)
{
    held--;
}

bool sig_pending(void)
{
    return pending != 0;
}

bool sig_check(struct err *e)
{
    return (!pending && log_go_on()) || err_set(e, ERR_INTERRUPTED, "interrupted");
}

/* ---- the end ---- */

static const struct sig_ends *ends; /* NULL: the process is somebody else's */
static void (*_Atomic last_words)(const char *reason);

void sig_end_by(const struct sig_ends *of_program)
{
    ends = of_program;
}

void sig_last_words(void (*say)(const char *reason))
{
    last_words = say;
}

static _Noreturn void give_up(const char *reason)
{
    void (*say)(const char *) = last_words;
    sig_remove_parts();
    if (say)
        say(reason);
    abort();
}

void sig_die(const char *reason)
{
    if (ends)
        ends->die(reason);
    give_up(reason);
}

void sig_bug(const char *reason)
{
    if (ends)
        ends->bug(reason);
    give_up(reason);
}
