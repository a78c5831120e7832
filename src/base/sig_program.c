/* sig_program.c - signals, crashes and the end of a program of ours; see sig.h. */
#include "base/sig.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static void on_signal(int no)
{
    if (sig_note(no)) {
        sig_remove_parts();
        _exit(ERR_INTERRUPTED);
    }
}

void sig_insist(void)
{
    on_signal(SIGINT);
}

static _Atomic int dying; /* the first thread that gets here speaks, and ends all */
static _Thread_local bool is_dying;
static _Atomic bool told; /* the SIGABRT of a bug adds no line */

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

/* Behind a line of progress where a terminal is. */
static void say(const char *reason)
{
    if (!told)
        say_line(isatty(STDERR_FILENO) ? "\nreap: " : "reap: ", reason);
}

static void bug(const char *reason)
{
    say(reason);
    sig_remove_parts();
    told = true;
    abort();
}

static void die(const char *reason)
{
    if (is_dying) /* it crashed once more: nobody would end its waiting */
        end();
    is_dying = true;
    if (dying++)
        for (;;)
            pause();
    say(reason);
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
            die(crashes[i].reason);
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

void sig_own_process(void)
{
    static const struct sig_ends of_program = {die, bug};
    sig_end_by(&of_program);
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
