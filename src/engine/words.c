/* words.c - see words.h. */
#include "engine/words.h"
#include "base/mem.h"

#include <string.h>

/* What a character is: for the model's expression and for the engine's, then for both. */
enum {
    UPPER = 1, /* may stand in the capitals of a word, [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] */
    LOWER = 2, /* or behind them, [\p{Ll}\p{Lm}\p{Lo}\p{M}] */
    ENGINE_UPPER = 4,
    ENGINE_LOWER = 8,
    LETTER = 16,
    NUMBER = 32,
    SPACE = 64,
    LINE_END = 128,
};

/* Expressions of this form, in the order of trying:
 *   O?U*L+C?  O?U+L*C?  \p{N}{1,DIGITS}  [ ]?[^\s\p{L}\p{N}]+[\r\n/]*  \s*[\r\n]+  \s+(?!\S)  \s+
 * with O [^\r\n\p{L}\p{N}], U UPPER, L LOWER, C a contraction. */
static const struct near {
    const char *pre;
    bool contraction;
    uint32_t digits;
    bool all_letters; /* the engine takes each letter and mark for a capital and for a small letter */
} nears[] = {
    {"gpt-4o", true, 3, false},  {"llama4", true, 3, false},  {"kanana2", true, 3, false},
    {"talkie", true, 3, false},  {"tekken", false, 1, false}, {"minimax-m2", true, 3, false},
    {"tiny_aya", true, 3, true}, {"youtu", true, 1, true},    {"cohere2moe", true, 3, true},
};

static const struct near *find(const char *pre)
{
    for (size_t i = 0; i < sizeof nears / sizeof *nears; i++)
        if (!strcmp(pre, nears[i].pre))
            return &nears[i];
    return NULL;
}

bool words_near(const char *pre)
{
    return find(pre) != NULL;
}

/* ---- characters ---- */

static uint8_t flags_of(uint32_t c, const struct near *r)
{
    bool ascii = c < 0x80;
    if (unicode_is_space(c))
        return c == '\r' || c == '\n' ? SPACE | LINE_END : SPACE;
    switch (unicode_class_of(c)) {
    case UNICODE_UPPER: return LETTER | UPPER | ENGINE_UPPER | (ascii && !r->all_letters ? 0 : ENGINE_LOWER);
    case UNICODE_LOWER: return LETTER | LOWER | ENGINE_LOWER | (ascii && !r->all_letters ? 0 : ENGINE_UPPER);
    case UNICODE_OTHER: return LETTER | UPPER | LOWER | ENGINE_UPPER | ENGINE_LOWER;
    case UNICODE_MARK: return UPPER | LOWER | (r->all_letters ? ENGINE_UPPER | ENGINE_LOWER : 0);
    case UNICODE_NUMBER: return NUMBER;
    default: return 0;
    }
}

struct words {
    const unsigned char *s;
    uint8_t *flags; /* of the character that begins at this byte */
    uint64_t n;
    const struct near *rule;
};

static bool goes_on(const struct words *t, uint64_t p)
{
    return p < t->n && (t->s[p] & 0xC0) == 0x80;
}

static uint64_t next(const struct words *t, uint64_t p)
{
    do
        p++;
    while (goes_on(t, p));
    return p;
}

static uint64_t before(const struct words *t, uint64_t p)
{
    do
        p--;
    while (p && goes_on(t, p));
    return p;
}

/* Bad UTF-8 gives characters that are none of all this. */
static uint32_t char_at(const unsigned char *s, uint64_t n)
{
    static const unsigned char mask[] = {0x7F, 0x1F, 0x0F, 0x07};
    uint64_t k = s[0] < 0x80 ? 1 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
    uint32_t c = s[0] & mask[k - 1];
    if (k > n)
        return 0xFFFD;
    for (uint64_t i = 1; i < k; i++)
        c = c << 6 | (s[i] & 0x3Fu);
    return c;
}

/* ---- words ---- */

static bool has(const struct words *t, uint64_t p, uint8_t flags)
{
    return p < t->n && t->flags[p] & flags;
}

static uint64_t run(const struct words *t, uint64_t p, uint8_t flags)
{
    while (has(t, p, flags))
        p = next(t, p);
    return p;
}

static uint64_t contraction(const struct words *t, uint64_t p)
{
    static const char *const list[] = {"s", "t", "re", "ve", "m", "ll", "d"};
    if (!t->rule->contraction || p >= t->n || t->s[p] != '\'')
        return p;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        size_t n = strlen(list[i]), k = 0;
        while (k < n && p + 1 + k < t->n && (t->s[p + 1 + k] | 32) == list[i][k])
            k++;
        if (k == n)
            return p + 1 + n;
    }
    return p;
}

/* O?U*L+ at p, or O?U+L*; p: none. */
static uint64_t letters(const struct words *t, uint64_t p, uint8_t upper, uint8_t lower, bool more_lower)
{
    bool other = !has(t, p, LETTER | NUMBER | LINE_END);
    for (int with = other; with >= 0; with--) {
        uint64_t from = with ? next(t, p) : p, end = run(t, from, upper);
        if (!more_lower) {
            if (end > from)
                return run(t, end, lower);
            continue;
        }
        while (end > from && !has(t, end, lower)) /* as many capitals as leave a small letter */
            end = before(t, end);
        if (has(t, end, lower))
            return run(t, end, lower);
    }
    return p;
}

/* The end of the word that begins at p. */
static uint64_t word(const struct words *t, uint64_t p, uint8_t upper, uint8_t lower)
{
    uint64_t end = letters(t, p, upper, lower, true);
    if (end == p)
        end = letters(t, p, upper, lower, false);
    if (end > p)
        return contraction(t, end);
    for (uint32_t i = 0; i < t->rule->digits && has(t, end, NUMBER); i++)
        end = next(t, end);
    if (end > p)
        return end;
    uint64_t from = t->s[p] == ' ' ? p + 1 : p;
    for (end = from; end < t->n && !has(t, end, SPACE | LETTER | NUMBER);)
        end = next(t, end);
    if (end > from) {
        while (end < t->n && (t->s[end] == '/' || has(t, end, LINE_END)))
            end++;
        return end;
    }
    uint64_t lines = p, last = p;
    for (end = p; has(t, end, SPACE); end = next(t, end)) {
        last = end;
        if (has(t, end, LINE_END))
            lines = next(t, end);
    }
    if (lines > p)
        return lines;
    return end < t->n && last > p ? last : end > p ? end : next(t, p);
}

uint64_t words_differ(const char *pre, const char *s, uint64_t n, uint64_t *end)
{
    const struct near *r = find(pre);
    uint64_t ascii = 0, p = 0;
    while (ascii < n && !(s[ascii] & 0x80))
        ascii++;
    if (!r || (ascii == n && !r->all_letters))
        return n;
    struct words t = {.s = (const unsigned char *)s, .n = n, .rule = r, .flags = xmalloc(n ? n : 1)};
    for (; p < n; p = next(&t, p))
        t.flags[p] = flags_of(char_at(t.s + p, n - p), r);
    for (p = 0; p < n; p = *end) {
        *end = word(&t, p, UPPER, LOWER);
        if (*end != word(&t, p, ENGINE_UPPER, ENGINE_LOWER))
            break;
    }
    free(t.flags);
    return p;
}
