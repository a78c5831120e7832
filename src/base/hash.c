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

struct sha256 *sha256_new(void)
{
    struct sha256 *h = xmalloc(sizeof *h);
    h->ctx = EVP_MD_CTX_new();
    if (!h->ctx || EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL) != 1)
        BUG("SHA-256 is not available in libcrypto");
    return h;
}

void sha256_add(struct sha256 *h, const void *p, size_t n)
{
    if (EVP_DigestUpdate(h->ctx, p, n) != 1)
        BUG("SHA-256 update");
}

static void finish(struct sha256 *h, uint8_t out[32])
{
    unsigned n = 0;
    if (EVP_DigestFinal_ex(h->ctx, out, &n) != 1 || n != 32)
        BUG("SHA-256 final");
    EVP_MD_CTX_free(h->ctx);
    free(h);
}

void sha256_hex(struct sha256 *h, char hex[65])
{
    uint8_t d[32];
    finish(h, d);
    for (unsigned i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", d[i]);
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
