/* mend.c - see mend.h. */
#include "serve/mend.h"
#include "base/text.h"

#include <string.h>

#define ESCAPE 6 /* \uXXXX */

/* The code of an escape at s; -1: there is none. */
static int escape_code(const char *s, size_t n)
{
    int v = 0;
    if (n < ESCAPE || s[0] != '\\' || s[1] != 'u')
        return -1;
    for (int i = 2; i < ESCAPE; i++) {
        static const char hex[] = "0123456789abcdefABCDEF";
        const char *p = s[i] ? strchr(hex, s[i]) : NULL;
        if (!p)
            return -1;
        v = v * 16 + (int)(p - hex < 16 ? p - hex : p - hex - 6);
    }
    return v;
}

/* What stands at a backslash; returns its length. */
static size_t mend_escape(struct buf *b, const char *s, size_t n, struct mended *m)
{
    int code = escape_code(s, n);
    size_t k = code >= 0 ? ESCAPE : n > 1 && (s[1] & 0x80) == 0 ? 2 : 1;
    if (code == 0) {
        m->n_nul++;
        buf_str(b, "\\u2400");
        return k;
    }
    if (code >= 0xd800 && code <= 0xdfff) {
        int low = code < 0xdc00 ? escape_code(s + k, n - k) : -1;
        if (low < 0xdc00 || low > 0xdfff) {
            m->n_invalid++;
            buf_str(b, "\\ufffd");
            return k;
        }
        k += ESCAPE;
    }
    buf_add(b, s, k);
    return k;
}

void json_mend(struct buf *b, const char *s, size_t n, struct mended *m)
{
    for (size_t at = 0, k; at < n; at += k) {
        size_t from = at;
        while (at < n && s[at] != '\\' && (k = utf8_len(s + at, n - at)))
            at += k;
        buf_add(b, s + from, at - from);
        k = 0;
        if (at < n && s[at] == '\\') {
            k = mend_escape(b, s + at, n - at, m);
        } else if (at < n) {
            m->n_invalid++;
            buf_str(b, "\xef\xbf\xbd");
            k = 1;
        }
    }
}
