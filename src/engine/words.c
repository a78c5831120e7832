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
    HAN = 256, /* the writing of Chinese, for the rules that set it apart */
    ENGINE_HAN = 512,
};

/* What the engine takes for a capital and for a small letter. */
enum letters {
    ASCII,       /* where they are a-z and A-Z what they are, beyond it each letter for both */
    ALL,         /* each letter and mark for both */
    ALL_UNMARKED /* each letter for both */
};

/* Expressions of this form, in the order of trying:
 *   [HAN]+  O?U*L+C?  O?U+L*C?  \p{N}{1,DIGITS}  [ ]?[^\s\p{L}\p{N}]+[\r\n/]*  \s*[\r\n]+  \s+(?!\S)  \s+
 * with O [^\r\n\p{L}\p{N}], U UPPER, L LOWER, C a contraction. */
static const struct near {
    const char *pre;
    bool contraction;
    uint32_t digits;
    enum letters letters;
    bool han; /* the first; then HAN is neither U nor L, and no slash follows punctuation */
    bool
        joins; /* words that the engine takes together are passed over: a token hardly ever reaches from one into the next */
} nears[] = {
    {"gpt-4o", true, 3, ASCII, false, false},   {"llama4", true, 3, ASCII, false, false},
    {"kanana2", true, 3, ASCII, false, false},  {"talkie", true, 3, ASCII, false, false},
    {"tekken", false, 1, ASCII, false, false},  {"minimax-m2", true, 3, ASCII, false, false},
    {"tiny_aya", true, 3, ALL, false, false},   {"youtu", true, 1, ALL, false, false},
    {"cohere2moe", true, 3, ALL, false, false}, {"kimi-k2", true, 3, ALL_UNMARKED, true, true},
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

struct range {
    uint32_t first, last;
};
/* What the engine takes for Han (llama.cpp v0.5.0, unicode_cpt_is_han), and what else is (Script=Han of Unicode
 * 17.0, Scripts.txt): radicals, the marks of repetition, numerals, later extensions. */
static const struct range engine_han[] = {{0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},
                                          {0x20000, 0x2A6DF}, {0x2A700, 0x2EBEF}, {0x2F800, 0x2FA1F}},
                          other_han[] = {{0x2E80, 0x2E99},   {0x2E9B, 0x2EF3},   {0x2F00, 0x2FD5},
                                         {0x3005, 0x3005},   {0x3007, 0x3007},   {0x3021, 0x3029},
                                         {0x3038, 0x303B},   {0x16FE2, 0x16FE3}, {0x16FF0, 0x16FF6},
                                         {0x2EBF0, 0x2EE5D}, {0x30000, 0x33479}};

static bool within(uint32_t c, const struct range *r, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (c >= r[i].first && c <= r[i].last)
            return true;
    return false;
}

static unsigned han_of(uint32_t c)
{
    if (c < 0x2E80)
        return 0;
    if (within(c, engine_han, sizeof engine_han / sizeof *engine_han))
        return HAN | ENGINE_HAN;
    return within(c, other_han, sizeof other_han / sizeof *other_han) ? HAN : 0;
}

static unsigned class_flags(uint32_t c, enum letters letters)
{
    bool apart = c < 0x80 && letters == ASCII;
    switch (unicode_class_of(c)) {
    case UNICODE_UPPER: return LETTER | UPPER | ENGINE_UPPER | (apart ? 0 : ENGINE_LOWER);
    case UNICODE_LOWER: return LETTER | LOWER | ENGINE_LOWER | (apart ? 0 : ENGINE_UPPER);
    case UNICODE_OTHER: return LETTER | UPPER | LOWER | ENGINE_UPPER | ENGINE_LOWER;
    case UNICODE_MARK: return UPPER | LOWER | (letters == ALL ? ENGINE_UPPER | ENGINE_LOWER : 0);
    case UNICODE_NUMBER: return NUMBER;
    default: return 0;
    }
}

static uint16_t flags_of(uint32_t c, const struct near *r)
{
    if (unicode_is_space(c))
        return c == '\r' || c == '\n' ? SPACE | LINE_END : SPACE;
    unsigned flags = class_flags(c, r->letters), han = r->han ? han_of(c) : 0;
    if (han & HAN)
        flags &= ~(unsigned)(UPPER | LOWER);
    if (han & ENGINE_HAN)
        flags &= ~(unsigned)(ENGINE_UPPER | ENGINE_LOWER);
    return (uint16_t)(flags | han);
}

struct words {
    const unsigned char *s;
    uint16_t *flags; /* of the character that begins at this byte */
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

static bool has(const struct words *t, uint64_t p, unsigned flags)
{
    return p < t->n && t->flags[p] & flags;
}

static uint64_t run(const struct words *t, uint64_t p, unsigned flags)
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
static uint64_t letters(const struct words *t, uint64_t p, unsigned upper, unsigned lower, bool more_lower)
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
static uint64_t word(const struct words *t, uint64_t p, unsigned upper, unsigned lower, unsigned han)
{
    if (has(t, p, han))
        return run(t, p, han);
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
        while (end < t->n && ((t->s[end] == '/' && !t->rule->han) || has(t, end, LINE_END)))
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
    if (!r || (ascii == n && r->letters == ASCII))
        return n;
    struct words t = {
        .s = (const unsigned char *)s, .n = n, .rule = r, .flags = xmalloc((n ? n : 1) * sizeof *t.flags)};
    for (; p < n; p = next(&t, p))
        t.flags[p] = flags_of(char_at(t.s + p, n - p), r);
    for (p = 0; p < n; p = *end) {
        uint64_t engine = word(&t, p, ENGINE_UPPER, ENGINE_LOWER, ENGINE_HAN);
        *end = word(&t, p, UPPER, LOWER, HAN);
        while (*end < engine && r->joins) {
            p = *end;
            *end = word(&t, p, UPPER, LOWER, HAN);
        }
        if (*end != engine)
            break;
    }
    free(t.flags);
    return p;
}
