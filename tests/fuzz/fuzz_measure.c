/* fuzz_measure.c - two answers, any bytes with a line "%%" between them: how alike they are, whether they run in
 * circles, and how a page marks where they differ.
 *
 * Likeness is the same both ways, 1 for a text and itself, and what common words say; shares are shares; without its
 * marks a marked text is the text. */
#include "fuzz.h"
#include "report/html.h"
#include "report/page_part.h"
#include "results/measure.h"

#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t count(const uint8_t *flags, uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += flags[i] != 0;
    return sum;
}

static void compare(const struct words *a, const struct words *b)
{
    double s = measure_similarity(a, b);
    MUST(s >= 0 && s <= 1 && s == measure_similarity(b, a));
    MUST(measure_similarity(a, a) == 1 && measure_similarity(b, b) == 1);
    uint64_t head = measure_common_prefix(a, b);
    MUST(head <= a->n && head <= b->n && head == measure_common_prefix(b, a));
    uint8_t *in_a = calloc(a->n + 1, 1), *in_b = calloc(b->n + 1, 1);
    MUST(in_a && in_b);
    if (measure_common(a, b, in_a, in_b)) {
        uint64_t n = count(in_a, a->n);
        MUST(n == count(in_b, b->n) && n >= head);
        MUST(a->n + b->n == 0 || fabs(2.0 * (double)n / (double)(a->n + b->n) - s) < 1e-9);
    }
    free(in_a);
    free(in_b);
}

static void loops(const struct words *w, const char *text)
{
    for (int cut = 0; cut < 2; cut++) {
        struct loops l = measure_loops(w, text, cut);
        MUST(l.repeat_share >= 0 && l.repeat_share <= 1 && l.period <= 200);
        MUST(!l.period || l.copies >= 3);
    }
}

static void marks(const char *a, const char *b)
{
    struct buf marked = {0}, plain = {0}, want = {0};
    buf_str(&marked, "");
    buf_str(&plain, "");
    put_difference(&marked, a, b, "ins", 2000);
    html_clip(&want, a, 2000);
    bool open = false;
    for (const char *s = marked.s; *s;) {
        bool begins = !strncmp(s, "<ins>", 5), ends = !strncmp(s, "</ins>", 6);
        MUST(!(begins && open) && !(ends && !open));
        open = begins || (open && !ends);
        if (begins || ends)
            s += begins ? 5 : 6;
        else
            buf_char(&plain, *s++);
    }
    MUST(!open && !strcmp(plain.s, want.s ? want.s : "") && !strpbrk(plain.s, "<>"));
    buf_clear(&marked);
    buf_clear(&plain);
    buf_clear(&want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf a = {0}, b = {0};
    struct words x = {0}, y = {0};
    const char *cut = memmem(data, size, "\n%%\n", 4);
    size_t n = cut ? (size_t)(cut - (const char *)data) : size;
    buf_add(&a, data, n);
    buf_add(&b, cut ? cut + 4 : "", cut ? size - n - 4 : 0);
    words_split(&x, a.s);
    words_split(&y, b.s);
    compare(&x, &y);
    loops(&x, a.s);
    loops(&y, b.s);
    marks(a.s, b.s);
    words_clear(&x);
    words_clear(&y);
    buf_clear(&a);
    buf_clear(&b);
    return 0;
}
