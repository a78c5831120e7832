/* buf.h - a growing string of bytes. Always NUL-terminated (the NUL is not counted). */
#ifndef REAP_BASE_BUF_H
#define REAP_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
    char *s; /* NULL until something was added */
    size_t n, cap;
};

void buf_add(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, const char *s);
void buf_char(struct buf *b, char c);
void buf_zero(struct buf *b, size_t n); /* n zero bytes */
void buf_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_uint(struct buf *b, uint64_t v); /* in decimal: a fifth of the time of buf_fmt */
void buf_u32le(struct buf *b, uint32_t v);
void buf_u64le(struct buf *b, uint64_t v);
void buf_clear(struct buf *b); /* frees */

#endif
