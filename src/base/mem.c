/* mem.c - see mem.h. */
#include "base/mem.h"
#include "base/sig.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

static void *check(void *p)
{
    if (!p)
        sig_die("out of memory");
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

static void *no_room(uint64_t n, uint64_t size, const char *what, struct err *e)
{
    uint64_t bytes;
    if (!mul_u64(n, size, &bytes) || bytes > PTRDIFF_MAX)
        err_set(e, ERR_FAILED, "cannot allocate %llu items of %llu bytes for %s", (unsigned long long)n,
                (unsigned long long)size, what);
    else
        err_set(e, ERR_FAILED, "cannot allocate %.1f GiB for %s", (double)bytes / 1073741824.0, what);
    return NULL;
}

void *mem_try(uint64_t n, uint64_t size, const char *what, struct err *e)
{
    uint64_t bytes;
    bool fits = mul_u64(n, size, &bytes) && bytes <= PTRDIFF_MAX;
    void *p = fits ? calloc(1, bytes ? bytes : 1) : NULL;
    return p ? p : no_room(n, size, what, e);
}

void *grow_try(void *list, uint64_t n, uint64_t *cap, uint64_t most, uint64_t size, const char *what,
               struct err *e)
{
    uint64_t want = *cap < 32 ? 64 : *cap * 2, bytes;
    if (list && n < *cap)
        return list;
    want = want > n ? want : n + 1;
    want = want > most ? most : want;
    bool fits = n < want && mul_u64(want, size, &bytes) && bytes <= PTRDIFF_MAX;
    void *p = fits ? realloc(list, bytes) : NULL;
    if (!p)
        return no_room(n < want ? want : n + 1, size, what, e);
    *cap = want;
    return p;
}
