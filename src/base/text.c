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

/* Bytes of the control character that s begins with (C0, DEL, C1 in UTF-8); 0: none. */
static size_t control_size(const char *s, size_t k)
{
    unsigned char c = (unsigned char)s[0];
    if (c < 0x20 || c == 0x7f)
        return 1;
    return k == 2 && c == 0xc2 && (unsigned char)s[1] < 0xa0 ? 2 : 0;
}

void buf_safe(struct buf *b, const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t k = utf8_len(s + i, n - i);
        if (!k || control_size(s + i, k)) /* C1 controls (U+0080..9f) drive some terminals, too */
            buf_char(b, '?');
        else
            buf_add(b, s + i, k);
        i += k ? k : 1;
    }
}

const char *text_shown(char *dst, size_t size, const char *s)
{
    size_t at = 0, mark = 0, n = strnlen(s, size); /* mark: up to there "..." still fits */
    for (size_t i = 0, k; i < n; i += k) {
        char c[8];
        k = utf8_len(s + i, n - i);
        size_t control = control_size(s + i, k);
        if (control)
            snprintf(c, sizeof c, "\\u%04x", (unsigned char)s[i + control - 1]);
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
