/* text.c - see text.h. */
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <string.h>

const char *human_bytes(uint64_t n, char dst[32])
{
    static const char *const unit[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double v = (double)n;
    int u = 0;
    while (v >= 999.95 && u < 6) {
        v /= 1000;
        u++;
    }
    if (u == 0)
        snprintf(dst, 32, "%llu B", (unsigned long long)n);
    else
        snprintf(dst, 32, v < 9.995 ? "%.2f %s" : "%.1f %s", v, unit[u]);
    return dst;
}

const char *human_secs(double s, char dst[32])
{
    if (!(s >= 0) || s > 1e9)
        snprintf(dst, 32, "?");
    else if (s < 9.95)
        snprintf(dst, 32, "%.1f s", s);
    else if (s < 99.5)
        snprintf(dst, 32, "%.0f s", s);
    else if (s < 5400)
        snprintf(dst, 32, "%d min %02d s", (int)(s / 60), (int)s % 60);
    else
        snprintf(dst, 32, "%d h %02d min", (int)(s / 3600), (int)(s / 60) % 60);
    return dst;
}

const char *human_count(uint64_t n, char dst[32])
{
    char raw[32];
    int len = snprintf(raw, sizeof raw, "%llu", (unsigned long long)n);
    char *d = dst;
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            *d++ = ',';
        *d++ = raw[i];
    }
    *d = 0;
    return dst;
}

bool parse_u64(const char *s, uint64_t *out)
{
    if (!isdigit((unsigned char)*s))
        return false;
    char *end;
    errno = 0;
    unsigned long long v = strtoull(s, &end, 10);
    if (errno || *end)
        return false;
    *out = v;
    return true;
}

bool parse_i64(const char *s, int64_t *out)
{
    if (!isdigit((unsigned char)*s) && !(*s == '-' && isdigit((unsigned char)s[1])))
        return false;
    char *end;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (errno || *end)
        return false;
    *out = v;
    return true;
}

/* strtod reads hexadecimal, too; nobody means it here */
static bool is_hex(const char *s)
{
    s += *s == '-';
    return *s == '0' && (s[1] == 'x' || s[1] == 'X');
}

bool parse_f64(const char *s, double *out)
{
    if ((!isdigit((unsigned char)*s) && *s != '-' && *s != '.') || is_hex(s))
        return false;
    char *end;
    errno = 0;
    double v = strtod(s, &end);
    if (end == s || *end || !isfinite(v))
        return false;
    *out = v;
    return true;
}

bool parse_size(const char *s, uint64_t *bytes)
{
    if (!isdigit((unsigned char)*s) || is_hex(s))
        return false;
    if (parse_u64(s, bytes)) /* exact beyond 2^53 */
        return *bytes <= INT64_MAX;
    char *end;
    double v = strtod(s, &end);
    while (*end == ' ')
        end++;
    double base = 1000, mul = 1;
    const char *units = "KMGTP", *u = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    if (u) {
        end++;
        if (*end == 'i') {
            base = 1024;
            end++;
        }
        for (long i = 0; i <= u - units; i++)
            mul *= base;
    }
    if (*end == 'B' || *end == 'b')
        end++;
    v *= mul;
    if (*end || !isfinite(v) || v < 0 || v >= 9e18)
        return false;
    *bytes = (uint64_t)v;
    return true;
}

size_t utf8_len(const char *p, size_t n)
{
    const unsigned char *s = (const unsigned char *)p;
    if (s[0] < 0x80)
        return 1;
    size_t k = s[0] >= 0xf0 && s[0] < 0xf5   ? 4
               : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
               : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
                                             : 0;
    if (!k || k > n)
        return 0;
    for (size_t i = 1; i < k; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return k;
}

size_t utf8_good(const char *s, size_t n)
{
    size_t i = 0, k;
    while (i < n && (k = utf8_len(s + i, n - i)) > 0)
        i += k;
    return i;
}

bool text_ends(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);
    return n >= k && !strcmp(s + n - k, end);
}

bool utf8_valid(const char *s, size_t n)
{
    return utf8_good(s, n) == n;
}

/* Controls; what turns the direction of text, or ends a line where none ends; and what nobody sees, so that two
 * names look alike or one carries words that only a model reads (tags, variation selectors of plane 14, fillers).
 * Unseen, too, but needed are U+200C and U+200D (scripts, emoji), the selectors U+FE00..FE0F (emoji), those of
 * Mongolian (U+180B..180F) and marks that combine: they stay. By code point. */
static const struct {
    uint32_t first, last;
} misleading[] = {
    {0x0000, 0x001f},   {0x007f, 0x009f},   {0x00ad, 0x00ad},   {0x034f, 0x034f}, {0x061c, 0x061c},
    {0x115f, 0x1160},   {0x17b4, 0x17b5},   {0x200b, 0x200b},   {0x200e, 0x200f}, {0x2028, 0x202e},
    {0x2060, 0x206f},   {0x3164, 0x3164},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0}, {0xfff0, 0xfffb},
    {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
};
#define N_MISLEADING (sizeof misleading / sizeof *misleading)

/* Of a sequence that utf8_len takes. */
static uint32_t code_point(const char *s, size_t k)
{
    static const unsigned char lead[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t c = (unsigned char)s[0] & lead[k];
    for (size_t i = 1; i < k; i++)
        c = c << 6 | ((unsigned char)s[i] & 0x3f);
    return c;
}

bool text_misleads(const char *s, size_t k)
{
    uint32_t c = code_point(s, k);
    if (c >= 0x20 && c < 0x7f)
        return false;
    for (size_t i = 0; i < N_MISLEADING && misleading[i].first <= c; i++)
        if (c <= misleading[i].last)
            return true;
    return false;
}

static bool is_control(const char *s, size_t k)
{
    uint32_t c = code_point(s, k);
    return c < 0x20 || (c >= 0x7f && c < 0xa0); /* C1 drives some terminals, too */
}

static void replace(struct buf *b, const char *s, size_t n, bool (*is_bad)(const char *s, size_t k))
{
    for (size_t i = 0; i < n;) {
        size_t k = utf8_len(s + i, n - i);
        if (!k || is_bad(s + i, k))
            buf_char(b, '?');
        else
            buf_add(b, s + i, k);
        i += k ? k : 1;
    }
}

void buf_safe(struct buf *b, const char *s, size_t n)
{
    replace(b, s, n, text_misleads);
}

void buf_line(struct buf *b, const char *s, size_t n)
{
    replace(b, s, n, is_control);
}

void buf_shell(struct buf *b, const char *s)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+./:=@%,";
    if (*s && !s[strspn(s, plain)]) {
        buf_str(b, s);
        return;
    }
    buf_char(b, '\'');
    for (; *s; s++)
        if (*s == '\'')
            buf_str(b, "'\\''");
        else
            buf_char(b, *s);
    buf_char(b, '\'');
}

void buf_safe_but(struct buf *b, const char *s, size_t n, const char *keep)
{
    for (size_t at = 0, k; at < n; at += k) {
        for (k = 0; at + k < n && (!s[at + k] || !strchr(keep, s[at + k]));)
            k++;
        buf_safe(b, s + at, k);
        if (at + k < n)
            buf_char(b, s[at + k++]);
    }
}

void buf_escape(struct buf *b, const char *s, size_t n)
{
    for (size_t i = 0, k; i < n; i += k ? k : 1) {
        k = utf8_len(s + i, n - i);
        uint32_t c = k ? code_point(s + i, k) : 0;
        if (!k || !text_misleads(s + i, k))
            buf_add(b, s + i, k ? k : 1);
        else if (c < 0x10000)
            buf_fmt(b, "\\u%04x", c);
        else
            buf_fmt(b, "\\u%04x\\u%04x", 0xd7c0 + (c >> 10), 0xdc00 + (c & 0x3ff));
    }
}

const char *text_shown(char *dst, size_t size, const char *s)
{
    size_t at = 0, mark = 0, n = strnlen(s, size); /* mark: up to there "..." still fits */
    for (size_t i = 0, k; i < n; i += k) {
        char c[12];
        k = utf8_len(s + i, n - i);
        if (k && text_misleads(s + i, k))
            snprintf(c, sizeof c, k < 4 ? "\\u%04x" : "\\U%08x", code_point(s + i, k));
        else
            snprintf(c, sizeof c, "%.*s", k ? (int)k : 1, k ? s + i : "?");
        k = k ? k : 1;
        if (at + strlen(c) >= size) {
            memcpy(dst + mark, "...", 3);
            at = mark + 3;
            break;
        }
        memcpy(dst + at, c, strlen(c));
        at += strlen(c);
        mark = at + 4 <= size ? at : mark;
    }
    dst[at] = 0;
    return dst;
}
