/* sig.h - SIGINT and SIGTERM. The handler only notes the signal; long loops call sig_check() and unwind, so
 * that outputs are removed or saved by the code that owns them. A second signal ends the program at once: the
 * .part file that is being written is removed, the exit status is 130. */
#ifndef REAP_BASE_SIG_H
#define REAP_BASE_SIG_H

#include "base/err.h"

void sig_install(void);
bool sig_pending(void);
bool sig_check(struct err *e); /* false with ERR_INTERRUPTED when a signal came */
/* The files to remove when the program must end at once (a second signal, an abort of the engine). The path
 * is borrowed. */
void sig_watch_part(const char *path);
void sig_unwatch_part(const char *path);
void sig_remove_parts(void); /* removes them now; safe in a signal handler */

#endif
