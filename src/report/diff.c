/* diff.c - two texts of which each shows what the other lacks, word by word, without a script. */
#include "base/mem.h"
#include "base/text.h"
#include "report/page_part.h"
#include "results/measure.h"

#include <string.h>

/* Below this share of words in common nearly all would be marked, which says nothing. */
#define MIN_COMMON 0.2

/* The part of a text that is shown, as its words. */
static char *shown(const char *s, size_t max, struct words *w)
{
    size_t n = strlen(s), cut = n;
    if (n > max)
        for (cut = max; cut > 0 && ((unsigned char)s[cut] & 0xc0) == 0x80;)
            cut--;
    char *text = xstrndup(s, cut);
    words_split(w, text);
    return text;
}

/* Neighbours that the other text lacks are one mark, with the space between them. */
static void put_words(struct buf *b, const char *text, const uint8_t *common, const char *tag)
{
    size_t n = strlen(text), at = 0, end = 0, k;
    bool open = false;
    for (uint64_t i = 0; (k = word_next(text, n, &at)) > 0; i++) {
        if (open && common[i])
            buf_fmt(b, "</%s>", tag);
        html_add(b, text + end, at - end);
        if (!open && !common[i])
            buf_fmt(b, "<%s>", tag);
        open = !common[i];
        html_add(b, text + at, k);
        end = at += k;
    }
    if (open)
        buf_fmt(b, "</%s>", tag);
    html_add(b, text + end, n - end);
}

void put_difference(struct buf *b, const char *text, const char *other, const char *tag, size_t max)
{
    struct words v, w;
    char *mine = shown(text, max, &v), *theirs = shown(other ? other : "", max, &w);
    uint8_t *in_mine = xcalloc(v.n + 1, 1), *in_theirs = xcalloc(w.n + 1, 1);
    uint64_t n = 0;
    bool ok = measure_common(&v, &w, in_mine, in_theirs);
    for (uint64_t i = 0; ok && i < v.n; i++)
        n += in_mine[i];
    if (ok && (double)(2 * n) >= MIN_COMMON * (double)(v.n + w.n))
        put_words(b, mine, in_mine, tag);
    else
        html_add(b, mine, strlen(mine));
    if (strlen(mine) < strlen(text))
        buf_str(b, " \xe2\x80\xa6");
    words_clear(&v);
    words_clear(&w);
    free(mine);
    free(theirs);
    free(in_mine);
    free(in_theirs);
}
