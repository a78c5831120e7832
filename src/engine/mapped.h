/* mapped.h - the files behind this process's mappings, read past the page cache.
 *
 * Where a model is mapped by a library, its weights have addresses and no file; /proc/self/maps says which file lies behind. */
#ifndef REAP_ENGINE_MAPPED_H
#define REAP_ENGINE_MAPPED_H

#include <stdbool.h>
#include <stddef.h>

#define MAPPED_PAGE 4096

struct mapped;
struct mapped *mapped_new(void);
void mapped_free(struct mapped *m);

/* The functions of struct ahead_io; ud is a struct mapped. The first says false as well where the path of the mapping has come to
 * be another file (its first page is compared). */
bool mapped_is(void *ud, const char *p, size_t n);
bool mapped_read(void *ud, const char *p, size_t n, char *dst);
void mapped_forget(void *ud, const char *p, size_t n);
void mapped_scattered(void *ud, bool yes);

#endif
