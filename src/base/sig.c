/* sig.c - see sig.h. */
#include "base/sig.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
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

/* ---- signals ---- */

static void on_signal(int no)
{
    if (pending && !held) {
        sig_remove_parts();
        _exit(ERR_INTERRUPTED);
    }
    pending = no;
}

void sig_hold(void)
{
    held++;
}

void sig_release(void)
{
    held--;
}

/* ---- crashes ---- */

static _Atomic int dying; /* the first thread that gets here speaks, and ends all */
static _Thread_local bool is_dying;
static _Atomic bool told;

void sig_told(void)
{
    told = true;
}

/* One line, and nothing in it that drives a terminal: a reason may hold what a file says. */
static void say_line(const char *begin, const char *reason)
{
    char line[1024], *s = line;
    size_t n = 0;
    for (; *begin; begin++)
        line[n++] = *begin;
    for (; *reason && n < sizeof line - 1; reason++)
        line[n++] = *reason < ' ' || *reason > '~' ? '?' : *reason;
    line[n++] = '\n';
    while (n) {
        ssize_t r = write(STDERR_FILENO, s, n);
        if (r < 0 && errno != EINTR)
            return;
        s += r > 0 ? r : 0;
        n -= r > 0 ? (size_t)r : 0;
    }
}

/* A fuzzer keeps the input of what aborts, and sees nothing of _exit. */
static _Noreturn void end(void)
{
#if REAP_FUZZ
    abort();
#else
    _exit(ERR_FAILED);
#endif
}

void sig_die(const char *reason)
{
    if (is_dying) /* it crashed once more: nobody would end its waiting */
        end();
    is_dying = true;
    if (dying++)
        for (;;)
            pause();
    if (!told)
        say_line(isatty(STDERR_FILENO) ? "\nreap: " : "reap: ", reason); /* behind a line of progress */
    sig_remove_parts();
    end();
}

#if SIG_CATCHES_CRASHES
static const struct {
    int no;
    const char *reason;
} crashes[] = {
    {SIGSEGV, "crashed (SIGSEGV, an invalid access to memory)"},
    {SIGBUS,
     "a file became shorter, or its disk failed, while it was mapped into memory (SIGBUS); --no-mmap reads "
     "models without mapping them"},
    {SIGFPE, "crashed (SIGFPE, an impossible computation)"},
    {SIGILL, "crashed (SIGILL, an instruction that this CPU does not have)"},
    {SIGABRT, "crashed (SIGABRT)"},
};

static void on_crash(int no)
{
    for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++)
        if (crashes[i].no == no)
            sig_die(crashes[i].reason);
}
#endif

void sig_own_stack(void *room)
{
#if SIG_CATCHES_CRASHES /* a sanitizer has one of its own, which it wants to find again */
    stack_t s = {.ss_sp = room, .ss_size = SIG_STACK};
    (void)sigaltstack(&s, NULL);
#else
    (void)room;
#endif
}

/* From the start: objects of the engine are made before main, and may run out of memory. */
__attribute__((constructor(101))) static void catch_crashes(void)
{
#if SIG_CATCHES_CRASHES
    static _Alignas(64) char room[SIG_STACK];
    sig_own_stack(room);
    struct sigaction sa = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK | (int)SA_RESETHAND};
    sigemptyset(&sa.sa_mask);
    for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++)
        sigaction(crashes[i].no, &sa, NULL);
#endif
}

void sig_install(void)
{
    static const int noted[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK}, was;
    sigemptyset(&sa.sa_mask);
    for (size_t i = 0; i < sizeof noted / sizeof *noted; i++)
        if (sigaction(noted[i], NULL, &was) == 0 && was.sa_handler != SIG_IGN)
            sigaction(noted[i], &sa, NULL);
    signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is a write error like any other */
    signal(SIGPIPE, SIG_IGN); /* so is a closed pipe */
}

bool sig_pending(void)
{
    return pending != 0;
}

bool sig_check(struct err *e)
{
    return !pending || err_set(e, ERR_INTERRUPTED, "interrupted");
}
