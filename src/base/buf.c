/* buf.c - see buf.h. */
#include "base/buf.h"
#include "base/mem.h"

#include <stdarg.h>
#include <string.h>

static char *room(struct buf *b, size_t n)
{
    if (n > SIZE_MAX / 2 - b->n)
        BUG("buffer of %zu + %zu bytes", b->n, n);
    size_t need = b->n + n + 1;
    if (need > b->cap) {
        b->cap = need < 64 ? 64 : need + need / 2;
        b->s = xrealloc(b->s, b->cap, 1);
    }
    return b->s + b->n;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    char *at = room(b, n);
    if (n)
        memcpy(at, p, n);
    b->n += n;
    b->s[b->n] = 0;
}

void buf_str(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_char(struct buf *b, char c)
{
    room(b, 1)[0] = c;
    b->s[++b->n] = 0;
}

void buf_zero(struct buf *b, size_t n)
{
    memset(room(b, n), 0, n);
    b->n += n;
    b->s[b->n] = 0;
}

void buf_fmt(struct buf *b, const char *fmt, ...)
{
    va_list ap, ap2;
    va_start(ap, fmt);
    va_copy(ap2, ap);
    char *at = room(b, 0); /* most often there is room, and once is enough */
    int n = vsnprintf(at, b->cap - b->n, fmt, ap);
    va_end(ap);
    if (n < 0)
        BUG("format '%s'", fmt);
    if ((size_t)n >= b->cap - b->n)
        vsnprintf(room(b, (size_t)n), (size_t)n + 1, fmt, ap2);
    va_end(ap2);
    b->n += (size_t)n;
}

void buf_uint(struct buf *b, uint64_t v)
{
    char s[20];
    size_t at = sizeof s;
    do
        s[--at] = (char)('0' + v % 10);
    while (v /= 10);
    buf_add(b, s + at, sizeof s - at);
}

void buf_u32le(struct buf *b, uint32_t v)
{
    unsigned char x[4] = {(unsigned char)v, (unsigned char)(v >> 8), (unsigned char)(v >> 16),
                          (unsigned char)(v >> 24)};
    buf_add(b, x, 4);
}

void buf_u64le(struct buf *b, uint64_t v)
{
    buf_u32le(b, (uint32_t)v);
    buf_u32le(b, (uint32_t)(v >> 32));
}

void buf_clear(struct buf *b)
{
    free(b->s);
    *b = (struct buf){0};
}
