/* mem.h - allocation and size arithmetic.
 *
 * x...: small things; the program ends when memory for them is gone (exit status 1, no unfinished output
 * stays). mem_try: sizes that come from a model or a file; fails with a message that says how much was
 * wanted. Products of untrusted numbers go through mul_u64/add_u64 first. */
#ifndef REAP_BASE_MEM_H
#define REAP_BASE_MEM_H

#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t size); /* zeroed; overflow ends the program */
void *xrealloc(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Zeroed array of n items; NULL with *e set ("cannot allocate 3.2 GiB for WHAT"). n == 0 gives a valid
 * pointer. */
void *mem_try(uint64_t n, uint64_t size, const char *what, struct err *e);

/* An array whose length a file says: room for item n, doubled, so that what is allocated follows what was
 * read; never for more than `most` items. The new place of the list (old contents kept, new room not zeroed),
 * or NULL with *e set, the list as it was. Of `what` the message says how much was wanted. */
void *grow_try(void *list, uint64_t n, uint64_t *cap, uint64_t most, uint64_t size, const char *what,
               struct err *e);

static inline bool mul_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool add_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/* Makes room for one more item in a growing array: GROW(list, n, cap). */
#define GROW(list, n, cap)                                    \
    do {                                                      \
        if ((n) == (cap)) {                                   \
            (cap) = (cap) ? (cap)*2 : 16;                     \
            (list) = xrealloc((list), (cap), sizeof *(list)); \
        }                                                     \
    } while (0)

#endif
