/* sig.h - signals, crashes, and what must not stay behind when the program ends.
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
#define SIG_CATCHES_CRASHES 1 /* before main already */
#endif

void sig_install(void); /* the signals; by main */
/* Lets the handler of a crash run in this thread although the stack is used up; until the thread ends. `room` is
 * SIG_STACK bytes, borrowed. */
#define SIG_STACK (64u << 10)
void sig_own_stack(void *room);
/* Ends the program as a crash does, with this reason ("the engine gave up: ..."); safe in a signal handler. */
__attribute__((noreturn)) void sig_die(const char *reason);
/* What the program says about its end was said: the SIGABRT that follows adds no line. */
void sig_told(void);
/* Between them a second signal is noted only: names are being exchanged. They nest. */
void sig_hold(void);
void sig_release(void);
bool sig_pending(void);
bool sig_check(struct err *e); /* false with ERR_INTERRUPTED when a signal came */
/* The unfinished outputs, files and folders, any number of them. The path is borrowed until it is
 * unwatched. */
void sig_watch_part(const char *path);
void sig_unwatch_part(const char *path);
/* Removes them now, folders with all that is in them; safe in a signal handler. Does nothing in a child
 * process, whose parent they belong to, and while names are being exchanged: there the next run needs them to see
 * how far it went. */
void sig_remove_parts(void);

#endif
