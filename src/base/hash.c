/* hash.c - see hash.h. */
#include "base/hash.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sig.h"

#include <openssl/evp.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#define WINDOW (1u << 20)

struct sha256 {
    EVP_MD_CTX *ctx;
};
struct git_sha1 {
    EVP_MD_CTX *ctx;
};

static EVP_MD_CTX *start(const EVP_MD *md)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx || EVP_DigestInit_ex(ctx, md, NULL) != 1)
        BUG("libcrypto lacks a hash");
    return ctx;
}

static void more(EVP_MD_CTX *ctx, const void *p, size_t n)
{
    if (EVP_DigestUpdate(ctx, p, n) != 1)
        BUG("hash update");
}

static void end(EVP_MD_CTX *ctx, uint8_t *out, unsigned size)
{
    unsigned n = 0;
    if (EVP_DigestFinal_ex(ctx, out, &n) != 1 || n != size)
        BUG("hash final");
    EVP_MD_CTX_free(ctx);
}

static void put_hex(const uint8_t *d, unsigned n, char *hex)
{
    for (unsigned i = 0; i < n; i++)
        snprintf(hex + 2 * i, 3, "%02x", d[i]);
}

struct sha256 *sha256_new(void)
{
    struct sha256 *h = xmalloc(sizeof *h);
    h->ctx = start(EVP_sha256());
    return h;
}

void sha256_add(struct sha256 *h, const void *p, size_t n)
{
    more(h->ctx, p, n);
}

static void finish(struct sha256 *h, uint8_t out[32])
{
    end(h->ctx, out, 32);
    free(h);
}

void sha256_hex(struct sha256 *h, char hex[65])
{
    uint8_t d[32];
    finish(h, d);
    put_hex(d, sizeof d, hex);
}

struct git_sha1 *git_sha1_new(uint64_t size)
{
    struct git_sha1 *h = xmalloc(sizeof *h);
    char head[32];
    int n = snprintf(head, sizeof head, "blob %llu", (unsigned long long)size);
    h->ctx = start(EVP_sha1());
    more(h->ctx, head, (size_t)n + 1);
    return h;
}

void git_sha1_add(struct git_sha1 *h, const void *p, size_t n)
{
    more(h->ctx, p, n);
}

void git_sha1_hex(struct git_sha1 *h, char hex[41])
{
    uint8_t d[20];
    end(h->ctx, d, sizeof d);
    free(h);
    put_hex(d, sizeof d, hex);
}

void sha256_bytes(const void *p, size_t n, char hex[65])
{
    struct sha256 *h = sha256_new();
    sha256_add(h, p, n);
    sha256_hex(h, hex);
}

void sha256_raw(const void *p, size_t n, uint8_t out[32])
{
    struct sha256 *h = sha256_new();
    sha256_add(h, p, n);
    finish(h, out);
}

bool sha256_file(const char *path, char hex[65], struct err *e)
{
    uint64_t size;
    int fd = file_open_read(path, &size, e);
    if (fd < 0)
        return false;
    struct sha256 *h = sha256_new();
    uint8_t *b = xmalloc(WINDOW);
    bool ok = true;
    for (uint64_t off = 0; ok && off < size;) {
        uint64_t k = size - off < WINDOW ? size - off : WINDOW;
        ok = sig_check(e) && file_pread(fd, b, k, off, e);
        if (ok)
            sha256_add(h, b, k);
        off += k;
    }
    sha256_hex(h, hex);
    free(b);
    close(fd);
    return ok || err_ctx(e, "%s", path);
}

bool hash128_range(int fd, uint64_t off, uint64_t n, struct hash128 *out, struct err *e)
{
    XXH3_state_t *st = XXH3_createState();
    if (!st || XXH3_128bits_reset(st) != XXH_OK)
        BUG("XXH3 state");
    uint8_t *b = xmalloc(WINDOW);
    bool ok = true;
    while (ok && n) {
        uint64_t k = n < WINDOW ? n : WINDOW;
        ok = sig_check(e) && file_pread(fd, b, k, off, e);
        if (ok)
            XXH3_128bits_update(st, b, k);
        off += k;
        n -= k;
    }
    XXH128_hash_t r = XXH3_128bits_digest(st);
    *out = (struct hash128){r.low64, r.high64};
    XXH3_freeState(st);
    free(b);
    return ok;
}
