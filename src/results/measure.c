/* measure.c - see measure.h. */
#include "results/measure.h"
#include "base/mem.h"
#include "base/text.h"

#include <math.h>
#include <string.h>
#include <xxhash.h>

#define GRAM           4
#define MAX_LIMBS      (8u << 20) /* of measure_common: 64 MiB */
#define MAX_PERIOD     200
#define MIN_LOOP_WORDS 24
#define MIN_LOOP_CHARS 100
#define MAX_LOOP_CHARS 4000 /* of the end of a text: enough for 4 copies of the longest unit, and more */

/* ---- words ---- */

static uint32_t code_point(const char *s, size_t k)
{
    const unsigned char *p = (const unsigned char *)s;
    if (k == 3)
        return (p[0] & 15u) << 12 | (p[1] & 63u) << 6 | (p[2] & 63u);
    if (k == 4)
        return (p[0] & 7u) << 18 | (p[1] & 63u) << 12 | (p[2] & 63u) << 6 | (p[3] & 63u);
    return p[0];
}

/* From CJK radicals on to the end of the ideographs, Hangul, compatibility and full-width forms, and the
 * planes of further ideographs. */
static bool stands_alone(uint32_t c)
{
    return (c >= 0x2e80 && c <= 0x9fff) || (c >= 0xac00 && c <= 0xd7af) || (c >= 0xf900 && c <= 0xfaff) ||
           (c >= 0xff00 && c <= 0xffef) || (c >= 0x20000 && c <= 0x3ffff);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Length of the character at s; a byte that is no UTF-8 is one. */
static size_t char_len(const char *s, size_t n)
{
    size_t k = utf8_len(s, n);
    return k ? k : 1;
}

static size_t word_len(const char *s, size_t n)
{
    size_t at = 0, k;
    for (; at < n && !is_space(s[at]); at += k) {
        k = char_len(s + at, n - at);
        if (stands_alone(code_point(s + at, k)))
            return at ? at : k;
    }
    return at;
}

size_t word_next(const char *text, size_t n, size_t *at)
{
    while (*at < n && is_space(text[*at]))
        ++*at;
    return *at < n ? word_len(text + *at, n - *at) : 0;
}

void words_add(struct words *w, const char *text, uint64_t kind)
{
    size_t n = strlen(text), at = 0, k;
    for (; (k = word_next(text, n, &at)) > 0; at += k, w->n_all++) {
        if (w->n == MEASURE_MAX_WORDS)
            continue;
        GROW(w->hash, w->n, w->cap);
        w->hash[w->n++] = XXH3_64bits_withSeed(text + at, k, kind);
    }
}

void words_split(struct words *w, const char *text)
{
    *w = (struct words){0};
    words_add(w, text, 0);
}

void words_clear(struct words *w)
{
    free(w->hash);
    *w = (struct words){0};
}

/* ---- similarity ---- */

struct place { /* of a word in b */
    uint64_t hash, at;
};

static int by_hash(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static uint64_t first_place(const struct place *p, uint64_t n, uint64_t hash)
{
    uint64_t lo = 0, hi = n;
    while (lo < hi) {
        uint64_t mid = lo + (hi - lo) / 2;
        if (p[mid].hash < hash)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The words of b by hash, and the numbers that one step of the subsequence needs. */
struct table {
    struct place *places;
    uint64_t n, n_limbs, *m;
};

static void table_make(struct table *t, const uint64_t *hash, uint64_t n)
{
    *t = (struct table){.places = xcalloc(n + 1, sizeof *t->places), .n = n, .n_limbs = (n + 63) / 64};
    t->m = xcalloc(t->n_limbs + 1, sizeof *t->m);
    for (uint64_t i = 0; i < n; i++)
        t->places[i] = (struct place){hash[i], i};
    qsort(t->places, n, sizeof *t->places, by_hash);
}

static void table_free(struct table *t)
{
    free(t->places);
    free(t->m);
}

/* Longest common subsequence by bits (Crochemore and others 2001): V has a bit for each word of b, all 1 at
 * first; for a word of a with the places M in b, V = (V + (V & M)) | (V & ~M). The zeros of V count the
 * length. */
static void lcs_step(struct table *t, uint64_t *v, uint64_t hash)
{
    uint64_t from = first_place(t->places, t->n, hash), to = from, carry = 0;
    for (; to < t->n && t->places[to].hash == hash; to++)
        t->m[t->places[to].at / 64] |= 1ull << (t->places[to].at % 64);
    if (to == from)
        return;
    for (uint64_t k = 0; k < t->n_limbs; k++) {
        uint64_t x = v[k] & t->m[k], sum, rest = v[k] & ~t->m[k];
        bool over = __builtin_add_overflow(v[k], x, &sum);
        over |= __builtin_add_overflow(sum, carry, &sum);
        carry = over;
        v[k] = sum | rest;
        t->m[k] = 0;
    }
}

static bool bit(const uint64_t *v, uint64_t i)
{
    return v[i / 64] >> (i % 64) & 1;
}

static uint64_t lcs(const struct words *a, const struct words *b)
{
    if (!a->n || !b->n)
        return 0;
    uint64_t length = 0;
    struct table t;
    table_make(&t, b->hash, b->n);
    uint64_t *v = xcalloc(t.n_limbs, sizeof *v);
    memset(v, 0xff, t.n_limbs * sizeof *v);
    for (uint64_t i = 0; i < a->n; i++)
        lcs_step(&t, v, a->hash[i]);
    for (uint64_t i = 0; i < b->n; i++)
        length += !bit(v, i);
    table_free(&t);
    free(v);
    return length;
}

/* The way back through the rows V of all words of a (0: before the first): a bit of 1 says that the word of b adds
 * nothing; of the words of a, the first whose row has the 0 is the partner. */
static void walk_back(const uint64_t *rows, uint64_t n_limbs, uint64_t i, uint64_t k, uint8_t *in_a,
                      uint8_t *in_b)
{
    while (i && k) {
        if (bit(rows + i * n_limbs, k - 1)) {
            k--;
        } else {
            i--;
            if (bit(rows + i * n_limbs, k - 1))
                in_a[i] = in_b[--k] = 1;
        }
    }
}

bool measure_common(const struct words *a, const struct words *b, uint8_t *in_a, uint8_t *in_b)
{
    uint64_t head = measure_common_prefix(a, b), n = a->n - head, m = b->n - head, limbs = (m + 63) / 64;
    if (a->n_all > a->n || b->n_all > b->n || n * limbs > MAX_LIMBS)
        return false;
    memset(in_a, 0, a->n);
    memset(in_b, 0, b->n);
    memset(in_a, 1, head);
    memset(in_b, 1, head);
    if (!n || !m)
        return true;
    struct table t;
    table_make(&t, b->hash + head, m);
    uint64_t *rows = xcalloc((n + 1) * limbs, sizeof *rows);
    memset(rows, 0xff, limbs * sizeof *rows);
    for (uint64_t i = 0; i < n; i++) {
        memcpy(rows + (i + 1) * limbs, rows + i * limbs, limbs * sizeof *rows);
        lcs_step(&t, rows + (i + 1) * limbs, a->hash[head + i]);
    }
    walk_back(rows, limbs, n, m, in_a + head, in_b + head);
    table_free(&t);
    free(rows);
    return true;
}

double measure_similarity(const struct words *a, const struct words *b)
{
    if (!a->n && !b->n)
        return 1;
    return 2.0 * (double)lcs(a, b) / (double)(a->n + b->n);
}

uint64_t measure_common_prefix(const struct words *a, const struct words *b)
{
    uint64_t n = 0;
    while (n < a->n && n < b->n && a->hash[n] == b->hash[n])
        n++;
    return n;
}

/* ---- loops ---- */

static double repeat_share(const struct words *w)
{
    if (w->n < 2 * GRAM)
        return 0;
    uint64_t n = w->n - GRAM + 1, best = 0;
    struct place *g = xcalloc(n, sizeof *g);
    for (uint64_t i = 0; i < n; i++)
        g[i] = (struct place){XXH3_64bits(w->hash + i, GRAM * sizeof *w->hash), i};
    qsort(g, n, sizeof *g, by_hash);
    for (uint64_t i = 0, k; i < n; i = k) {
        uint64_t covered = 0, end = 0; /* words before `end` are counted */
        for (k = i; k < n && g[k].hash == g[i].hash; k++) {
            uint64_t from = g[k].at > end ? g[k].at : end;
            covered += g[k].at + GRAM - from;
            end = g[k].at + GRAM;
        }
        if (k > i + 1 && covered > best)
            best = covered;
    }
    free(g);
    return (double)best / (double)w->n;
}

/* The shortest period that the end of v has for at least min_length items and min_copies copies. */
static uint64_t end_period(const uint64_t *v, uint64_t n, uint64_t min_length, uint64_t min_copies,
                           uint64_t *copies)
{
    for (uint64_t p = 1; p <= MAX_PERIOD && p * min_copies <= n; p++) {
        uint64_t k = p; /* the last k items have the period p */
        while (k < n && v[n - 1 - k] == v[n - 1 - k + p])
            k++;
        if (k >= min_length && k >= p * min_copies) {
            *copies = k / p;
            return p;
        }
    }
    return 0;
}

/* The characters at the end of a text, white space left out: lines of dashes and the like are one unit. */
static uint64_t last_chars(const char *text, uint64_t out[MAX_LOOP_CHARS])
{
    size_t len = strlen(text), at = len > 5 * MAX_LOOP_CHARS ? len - 5 * MAX_LOOP_CHARS : 0;
    uint64_t n = 0;
    while (at < len && ((unsigned char)text[at] & 0xc0) == 0x80)
        at++;
    for (size_t k; at < len; at += k) {
        k = char_len(text + at, len - at);
        if (is_space(text[at]))
            continue;
        if (n == MAX_LOOP_CHARS) { /* a window over the end */
            memmove(out, out + MAX_LOOP_CHARS / 2, MAX_LOOP_CHARS / 2 * sizeof *out);
            n = MAX_LOOP_CHARS / 2;
        }
        out[n++] = XXH3_64bits(text + at, k);
    }
    return n;
}

struct loops measure_loops(const struct words *w, const char *text, bool cut)
{
    struct loops l = {.repeat_share = repeat_share(w)};
    if (w->n == w->n_all) /* else the end was not looked at */
        l.period = end_period(w->hash, w->n, MIN_LOOP_WORDS, 3, &l.copies);
    if (!l.period && cut && w->n && w->n == w->n_all)
        l.period = end_period(w->hash, w->n - 1, MIN_LOOP_WORDS, 3, &l.copies);
    if (l.period)
        return l;
    uint64_t chars[MAX_LOOP_CHARS];
    l.period = end_period(chars, last_chars(text, chars), MIN_LOOP_CHARS, 4, &l.copies);
    l.by_characters = l.period != 0;
    return l;
}

struct interval wilson(uint64_t k, uint64_t n)
{
    const double z = 1.959964;
    if (!n)
        return (struct interval){0, 0, 1};
    double p = (double)k / (double)n, m = (double)n, z2 = z * z / m;
    double mid = p + z2 / 2, half = z * sqrt(p * (1 - p) / m + z2 / (4 * m)), low = (mid - half) / (1 + z2),
           high = (mid + half) / (1 + z2);
    return (struct interval){p, k ? low : 0, k == n ? 1 : high};
}
