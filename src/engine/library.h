/* library.h - libllama as a whole: made ready once, what it says, and how it ends. Used by the files of this
 * folder only. */
#ifndef REAP_ENGINE_LIBRARY_H
#define REAP_ENGINE_LIBRARY_H

#include <stdbool.h>

/* Before anything else of the library: its log goes through us (shown with --verbose, silent else), its
 * aborts remove unfinished outputs and give exit status 1, its backends are loaded. Done once, called by
 * everyone. */
void library_init(void);

/* It reports a failure by log lines, the cause first, and then a NULL: the first error line since
 * library_forget, without its "function: " prefix and line end. */
void library_forget(void);
const char *library_said(void);

/* Until it is NULL again, this gets the lines as well; on the thread that says them. */
typedef void library_listener(void *ud, const char *line, bool is_error);
void library_listen(library_listener *fn, void *ud);

#endif
