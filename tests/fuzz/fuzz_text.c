/* fuzz_text.c - any bytes as text, a number, a size, a name (src/base/text.h, near.h, ids.h; html.h).
 *
 * Numbers that are taken print as themselves; what was made safe is safe, is no longer than it may be, and stays as
 * it is when it is made safe again; text in a page has no markup; a typed name is as far from another one as that is
 * from it. */
#include "base/ids.h"
#include "base/near.h"
#include "fuzz.h"
#include "report/html.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void numbers(const char *s)
{
    uint64_t u, v;
    int64_t i, j;
    double d, f;
    char b[64];
    if (parse_u64(s, &u)) {
        snprintf(b, sizeof b, "%" PRIu64, u);
        MUST(parse_u64(b, &v) && u == v);
        MUST(u > INT64_MAX || (parse_size(s, &v) && u == v));
    }
    if (parse_i64(s, &i)) {
        snprintf(b, sizeof b, "%" PRId64, i);
        MUST(parse_i64(b, &j) && i == j);
    }
    if (parse_f64(s, &d)) {
        MUST(isfinite(d));
        snprintf(b, sizeof b, "%.17g", d);
        MUST(parse_f64(b, &f) && d == f);
    }
    if (parse_size(s, &u)) {
        MUST(u <= INT64_MAX);
        fuzz_fit(b, strlen(human_bytes(u, b)), "");
    }
    if (ids_number(s, strlen(s), &u)) {
        snprintf(b, sizeof b, "%" PRIu64, u);
        MUST(!strcmp(b, s) && u < 10000000000u);
    }
}

static void made_safe(const char *s, size_t n)
{
    struct buf safe = {0}, again = {0}, lines = {0}, line = {0};
    buf_safe(&safe, s, n);
    MUST(safe.n <= n);
    fuzz_fit(safe.s, safe.n, "");
    buf_safe(&again, safe.s, safe.n);
    MUST(safe.n == again.n && (!safe.n || !memcmp(safe.s, again.s, safe.n)));
    buf_safe_but(&lines, s, n, "\n\t");
    fuzz_fit(lines.s, lines.n, "\n\t");
    MUST(lines.n == safe.n);
    buf_line(&line, s, n);
    MUST(line.n <= n && line.n >= safe.n && (!line.n || utf8_valid(line.s, line.n)));
    buf_clear(&safe);
    buf_clear(&again);
    buf_clear(&lines);
    buf_clear(&line);
    size_t good = utf8_good(s, n);
    MUST(good <= n && utf8_valid(s, good) && (good == n || !utf8_len(s + good, n - good)));
}

static void shown(const char *s)
{
    for (size_t size = 4; size < 80; size = size * 3 / 2) {
        char *dst = malloc(size);
        MUST(dst && text_shown(dst, size, s) == dst && memchr(dst, 0, size));
        fuzz_fit(dst, strlen(dst), "");
        free(dst);
    }
}

static void in_a_page(const char *s, size_t n)
{
    struct buf b = {0};
    html_add(&b, s, n);
    MUST(!b.n || (!strpbrk(b.s, "<>\"'") && strlen(b.s) == b.n));
    fuzz_fit(b.s, b.n, "\n\t");
    size_t whole = b.n;
    buf_clear(&b);
    html_clip(&b, s, 50);
    MUST(!b.n || (!strpbrk(b.s, "<>\"'") && b.n <= whole + 4));
    buf_clear(&b);
}

static void names(const char *s)
{
    const char *cut = strchr(s, ' ');
    char a[32];
    snprintf(a, sizeof a, "%.*s", (int)(cut && cut - s < 31 ? cut - s : 31), s);
    const char *b = cut ? cut + 1 : "output";
    MUST(near_distance(a, b) == near_distance(b, a) && near_distance(a, a) == 0);
    struct near x = {.typed = a};
    near_try(&x, b);
    MUST(!x.best || x.best == b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf b = {0};
    buf_add(&b, data, size);
    numbers(b.s);
    shown(b.s);
    names(b.s);
    in_a_page(b.s, b.n);
    buf_clear(&b);
    made_safe((const char *)data, size);
    return 0;
}
