/* err.c - see err.h. */
#include "base/err.h"
#include "base/sig.h"
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

/* A message is one line of valid UTF-8 whatever an input holds: control characters would let a file name or a
 * key move the cursor, and a broken sequence (also one that was cut at the end of the buffer) could not be
 * put into a --json result. */
static void sanitize(char *msg)
{
    struct buf b = {0};
    buf_safe(&b, msg, strlen(msg));
    if (b.n) /* never longer than before */
        memcpy(msg, b.s, b.n + 1);
    buf_clear(&b);
}

bool err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
    if (e->code != ERR_NONE)
        return false;
    e->code = code;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->msg, sizeof e->msg, fmt, ap);
    va_end(ap);
    sanitize(e->msg);
    return false;
}

bool err_ctx(struct err *e, const char *fmt, ...)
{
    char ctx[512], old[sizeof e->msg];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(ctx, sizeof ctx, fmt, ap);
    va_end(ap);
    memcpy(old, e->msg, sizeof old);
    int n = snprintf(e->msg, sizeof e->msg, "%s: ", ctx);
    size_t at = n < 0 ? 0 : (size_t)n;
    if (at < sizeof e->msg) {
        size_t len = strnlen(old, sizeof e->msg - 1 - at);
        memcpy(e->msg + at, old, len);
        e->msg[at + len] = 0;
    }
    sanitize(e->msg);
    return false;
}

bool err_sys(struct err *e, const char *fmt, ...)
{
    int no = errno;
    if (e->code != ERR_NONE)
        return false;
    e->code =
        no == ENOENT || no == ENOTDIR || no == EISDIR || no == EACCES || no == ENAMETOOLONG || no == ELOOP
            ? ERR_INPUT
            : ERR_FAILED;
    char what[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    snprintf(e->msg, sizeof e->msg, "%s: %s", what, strerror(no));
    sanitize(e->msg);
    return false;
}

void err_clear(struct err *e)
{
    e->code = ERR_NONE;
    e->msg[0] = 0;
}

void err_bug(const char *file, int line, const char *fmt, ...)
{
    char msg[900], all[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    snprintf(all, sizeof all, "bug at %s:%d: %s", file, line, msg);
    sanitize(all);
    sig_bug(all);
}
