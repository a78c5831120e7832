/* mem.c - see mem.h. */
#include "base/mem.h"
#include "base/sig.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

static void *check(void *p)
{
    if (!p) {
        fputs("reap: out of memory\n", stderr);
        sig_remove_parts();
        _exit(ERR_FAILED);
    }
    return p;
}

void *xmalloc(size_t n)
{
    return check(malloc(n ? n : 1));
}

void *xcalloc(size_t n, size_t size)
{
    return check(calloc(n ? n : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes))
        check(NULL);
    return check(realloc(p, bytes ? bytes : 1));
}

char *xstrdup(const char *s)
{
    return check(strdup(s));
}

char *xstrndup(const char *s, size_t n)
{
    char *p = xmalloc(n + 1);
    memcpy(p, s, n);
    p[n] = 0;
    return p;
}

char *xasprintf(const char *fmt, ...)
{
    char *s;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&s, fmt, ap) < 0)
        s = NULL;
    va_end(ap);
    return check(s);
}

void *mem_try(uint64_t n, uint64_t size, const char *what, struct err *e)
{
    uint64_t bytes;
    void *p = NULL;
    if (!mul_u64(n, size, &bytes) || bytes > PTRDIFF_MAX) {
        err_set(e, ERR_FAILED, "cannot allocate %llu items of %llu bytes for %s", (unsigned long long)n,
                (unsigned long long)size, what);
        return NULL;
    }
    p = calloc(1, bytes ? bytes : 1);
    if (!p)
        err_set(e, ERR_FAILED, "cannot allocate %.1f GiB for %s", (double)bytes / 1073741824.0, what);
    return p;
}
