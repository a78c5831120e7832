/* log.h - what is said besides a result: notes, warnings, progress. Library layers never print.
 *
 * It goes to a listener: that of the thread, else that of the process, else nobody hears it. A program of ours has
 * log_terminal, which prints on standard error, and keeps warnings, so that a --json result can list them; a library has one for
 * the time of each call. */
#ifndef REAP_BASE_LOG_H
#define REAP_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_kind {
    LOG_NOTE,
    LOG_WARNING,
    LOG_LINES, /* what others say, lines and pieces of lines */
};

struct progress;
struct listener {
    void (*say)(void *ud, enum log_kind kind, const char *text, size_t n); /* text: whatever a file says */
    void (*progress)(void *ud, struct progress *p);
    bool (*go_on)(
        void *ud); /* asked in every long loop (sig_check): false ends it as a signal does; NULL: always */
    void *ud;
};
void log_listen_all(const struct listener *l); /* of the process, before there are threads; borrowed */
/* Of this thread, borrowed, until it is changed; NULL: none. The one before. */
const struct listener *log_listen(const struct listener *l);
bool log_go_on(void);

extern const struct listener log_terminal;
extern bool log_quiet;  /* --quiet: no notes, no progress; warnings stay */
extern int log_verbose; /* how many --verbose: 1 the engine's own lines too, 2 those for its developers */

void log_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* "reap: warning: ..." */
/* What others say (the engine, a server), made safe; their line ends stay, and a piece need not end with one. */
void log_lines(const char *text, size_t n);
size_t log_warnings(char ***list); /* those given so far; borrowed */

/* "reap: MESSAGE", coloured where a terminal is: why the program fails. */
void log_error(const char *message);

/* A progress line: on a terminal cut to its width and rewritten at most 4 times a second, elsewhere a plain line
 * every 10 s; nothing in the first second. `unit` is what `done` counts ("tokens"; "bytes" are shown as sizes). total 0:
 * unknown. */
struct progress {
    const char *what, *unit;
    uint64_t total, done;
    uint64_t first;     /* what was there at the start (a resumed run): not counted in the rate */
    double start, last; /* seconds */
    bool ended;
    bool tty; /* of log_terminal */
};
void progress_start(struct progress *p, const char *what, const char *unit, uint64_t total, uint64_t first);
void progress_set(struct progress *p, uint64_t done);
void progress_end(struct progress *p); /* takes the line away */
double now_secs(void);                 /* a clock that only goes forward */

#endif
