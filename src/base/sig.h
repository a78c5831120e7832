/* sig.h - signals, crashes, and what must not stay behind when the program ends.
 *
 * All of this is the program's, which says so at its start (sig_own_process, sig_install). In a library, which does not, no
 * signal is handled and nothing is printed, loops end when the listener of the thread wants it (log.h), and what ends the process
 * removes unfinished outputs, says why by sig_last_words, and aborts.
 *
 * SIGINT, SIGTERM and SIGHUP are only noted; long loops call sig_check() and unwind, so that outputs are removed or
 * saved by the code that owns them. A second signal ends the program at once: the outputs that are being written are
 * removed, the exit status is 130. A signal that comes in ignored (nohup, a shell's background job) stays so.
 *
 * The same outputs go when memory is gone, on a broken invariant (BUG), on an abort inside the engine, and when the
 * program crashes (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, an exception of C++ that nobody catches): these end the
 * program without unwinding, in whichever thread they come, with one line and exit status 1. The handler of a crash
 * runs on a stack of its own in the main thread, and in others that call sig_own_stack. Under a sanitizer crashes are
 * the sanitizer's. */
#ifndef REAP_BASE_SIG_H
#define REAP_BASE_SIG_H

#include "base/err.h"

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SIG_CATCHES_CRASHES 0
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SIG_CATCHES_CRASHES 0
#endif
#endif
#ifndef SIG_CATCHES_CRASHES
#define SIG_CATCHES_CRASHES 1
#endif

/* The process is a program of ours: crashes are caught, and why it ends stands on standard error. Before main. */
void sig_own_process(void);
void sig_install(void); /* the signals; by main */
/* In a library: called with the reason, with everything removed, before the process is aborted. NULL: nothing is. */
void sig_last_words(void (*say)(const char *reason));
/* Lets the handler of a crash run in this thread although the stack is used up; until the thread ends. `room` is
 * SIG_STACK bytes, borrowed. */
#define SIG_STACK (64u << 10)
void sig_own_stack(void *room);
/* Ends the program as a crash does, with this reason ("the engine gave up: ..."); safe in a signal handler. */
__attribute__((noreturn)) void sig_die(const char *reason);
/* The same with a core, for a mistake of ours. */
__attribute__((noreturn)) void sig_bug(const char *reason);
/* Between them a second signal is noted only: names are being exchanged. They nest. */
void sig_hold(void);
void sig_release(void);
bool sig_pending(void);
/* As a second signal: for a thread that sees that the work cannot come to its end. Not in a library. */
void sig_insist(void);
/* False with ERR_INTERRUPTED when a signal came, or the listener of this thread (log.h) wants no more. */
bool sig_check(struct err *e);
/* The unfinished outputs, files and folders, any number of them. The path is borrowed until it is
 * unwatched. */
void sig_watch_part(const char *path);
void sig_unwatch_part(const char *path);
/* Removes them now, folders with all that is in them; safe in a signal handler. Does nothing in a child
 * process, whose parent they belong to, and while names are being exchanged: there the next run needs them to see
 * how far it went. */
void sig_remove_parts(void);

/* ---- between sig.c and sig_program.c ---- */
struct sig_ends {
    void (*die)(const char *reason), (*bug)(const char *reason); /* do not return */
};
void sig_end_by(const struct sig_ends *of_program);
bool sig_note(int no); /* a signal; true: it is the second, and nothing is held */

#endif
