/* err.h - how a function says what went wrong.
 *
 * What can fail returns bool (or a pointer) and takes `struct err *e` as its last argument. The first error
 * stays: later err_set() calls on the same struct change nothing, so that cleanup code cannot hide the cause.
 * Context is added on the way up with err_ctx(). The code is the exit status of the program (design: 0 done,
 * 1 failed, 2 bad input, 3 a check did not hold, 130 interrupted, 141 nobody reads the result). Messages are one line: the thing, what was
 * found, what was expected; no capital, no full stop. */
#ifndef REAP_BASE_ERR_H
#define REAP_BASE_ERR_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum err_code {
    ERR_NONE = 0,
    ERR_FAILED = 1,
    ERR_INPUT = 2,
    ERR_CHECK = 3,
    ERR_INTERRUPTED = 130,
    ERR_PIPE =
        141, /* the reader of standard output has gone (`| head`): said to nobody; as shells name SIGPIPE */
};

struct err {
    enum err_code code;
    char msg[1024];
};

/* Both return false, so that `return err_set(...)` reads well. err_set keeps an error that is already there;
 * err_ctx puts "CONTEXT: " in front of the message. */
bool err_set(struct err *e, enum err_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool err_ctx(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* ERR_FAILED with ": strerror(errno)" behind the message (ERR_INPUT when the file does not exist, is a folder
 * or may not be read). */
bool err_sys(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void err_clear(struct err *e);

/* A broken invariant of ours, never the fault of an input: says where, removes unfinished outputs, aborts. */
#define BUG(...) err_bug(__FILE__, __LINE__, __VA_ARGS__)
__attribute__((noreturn)) void err_bug(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), cold));

#endif
