/* gzip.c - see gzip.h; zlib does the work. Memory grows with what is unpacked, so that a small file that
 * claims to be a large one costs no more than it gives, and no more than the limit. */
#include "base/gzip.h"
#include "base/sig.h"
#include "base/text.h"

#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

#define CHUNK   (256 * 1024)
#define WINDOW  (15 + 16) /* the largest, and gzip's header */
#define AT_ONCE (1u << 30)

bool gzip_is(const char *s, size_t n)
{
    return n >= 3 && !memcmp(s, "\x1f\x8b\x08", 3);
}

static bool too_long(uint64_t max, struct err *e)
{
    char size[32];
    return err_set(e, ERR_INPUT, "more than %s when it is unpacked, which is the most that is read at once",
                   human_bytes(max, size));
}

/* One member from s[*at] on. */
static bool unpack_member(z_stream *z, const char *s, size_t n, size_t *at, uint64_t max, struct buf *out,
                          struct err *e)
{
    static _Thread_local unsigned char chunk[CHUNK];
    for (int got = Z_OK; got != Z_STREAM_END;) {
        size_t left = n - *at;
        z->next_in = (const unsigned char *)s + *at;
        z->avail_in = left < AT_ONCE ? (unsigned)left : AT_ONCE;
        z->next_out = chunk;
        z->avail_out = CHUNK;
        unsigned given = z->avail_in;
        got = inflate(z, Z_NO_FLUSH);
        size_t n_out = CHUNK - z->avail_out, n_in = given - z->avail_in;
        *at += n_in;
        if (got == Z_MEM_ERROR)
            return err_set(e, ERR_FAILED, "no memory to unpack it");
        if (got != Z_OK && got != Z_STREAM_END && got != Z_BUF_ERROR)
            return err_set(e, ERR_INPUT, "not a good gzip file at byte %zu: %s", *at,
                           z->msg ? z->msg : "it needs a dictionary");
        if (n_out > max - out->n)
            return too_long(max, e);
        buf_add(out, chunk, n_out);
        if (got != Z_STREAM_END && !n_in && !n_out)
            return err_set(e, ERR_INPUT, "the gzip file is cut off at byte %zu", n);
        if (!sig_check(e))
            return false;
    }
    return true;
}

bool gzip_unpack(const char *s, size_t n, uint64_t max, struct buf *out, struct err *e)
{
    size_t at = 0;
    do {
        z_stream z = {0};
        if (inflateInit2(&z, WINDOW) != Z_OK)
            return err_set(e, ERR_FAILED, "no memory to unpack it");
        bool ok = unpack_member(&z, s, n, &at, max, out, e);
        inflateEnd(&z);
        if (!ok)
            return false;
        while (at < n && !s[at]) /* tapes and some writers fill up with zeros */
            at++;
    } while (gzip_is(s + at, n - at));
    return at == n ||
           err_set(e, ERR_INPUT, "what follows the end of the gzip file at byte %zu is no part of it", at);
}
