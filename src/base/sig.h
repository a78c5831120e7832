/* sig.h - SIGINT, SIGTERM and SIGHUP, and what must not stay behind when the program ends.
 *
 * The handler only notes the signal; long loops call sig_check() and unwind, so that outputs are removed or
 * saved by the code that owns them. A second signal ends the program at once: the outputs that are being
 * written are removed, the exit status is 130. The same outputs go when memory is gone, on a broken invariant
 * (BUG) and on an abort inside the engine: these end the program without unwinding, too, in whichever thread
 * they come. */
#ifndef REAP_BASE_SIG_H
#define REAP_BASE_SIG_H

#include "base/err.h"

void sig_install(void);
bool sig_pending(void);
bool sig_check(struct err *e); /* false with ERR_INTERRUPTED when a signal came */
/* The unfinished outputs, files and folders, any number of them. The path is borrowed until it is
 * unwatched. */
void sig_watch_part(const char *path);
void sig_unwatch_part(const char *path);
/* Removes them now, folders with all that is in them; safe in a signal handler. Does nothing in a child
 * process, whose parent they belong to. */
void sig_remove_parts(void);

#endif
