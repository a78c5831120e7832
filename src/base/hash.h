/* hash.h - SHA-256 (in files: anybody can check it with sha256sum) and XXH3-128 (inside one run, to find
 * equal bytes fast). */
#ifndef REAP_BASE_HASH_H
#define REAP_BASE_HASH_H

#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

struct sha256; /* a running hash */
struct sha256 *sha256_new(void);
void sha256_add(struct sha256 *h, const void *p, size_t n);
void sha256_hex(struct sha256 *h, char hex[65]); /* ends and frees it */

bool sha256_file(const char *path, char hex[65], struct err *e);
void sha256_bytes(const void *p, size_t n, char hex[65]);
void sha256_raw(const void *p, size_t n, uint8_t out[32]);

/* The name that git gives a file, and the hub to small ones: SHA-1 over "blob SIZE", a NUL and its bytes. */
struct git_sha1;
struct git_sha1 *git_sha1_new(uint64_t size);
void git_sha1_add(struct git_sha1 *h, const void *p, size_t n);
void git_sha1_hex(struct git_sha1 *h, char hex[41]); /* ends and frees it */

struct hash128 {
    uint64_t lo, hi;
};
/* XXH3-128 of bytes [off, off+n) of fd, read in windows of 1 MiB. */
bool hash128_range(int fd, uint64_t off, uint64_t n, struct hash128 *out, struct err *e);

#endif
