/* test_measure.c - similarity, loops and intervals of reap compare. The similarity is compared with the
 * textbook dynamic program, the intervals with Wilson's formula as a few lines of Python compute it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rng.h"
#include "results/measure.h"

#include <math.h>
#include <string.h>

static void near(double got, double want, double bound)
{
    if (!(fabs(got - want) <= bound))
        fail_msg("%.17g, expected %.17g", got, want);
}

static void test_words(void **state)
{
    static const struct {
        const char *text;
        uint64_t n;
    } cases[] = {
        {"", 0},
        {" \n\t", 0},
        {"one", 1},
        {" one  two\nthree ", 3},
        {"don't stop-it", 2},
        {"\xe4\xbd\xa0\xe5\xa5\xbd", 2}, /* two ideographs */
        {"ab\xe4\xbd\xa0"
         "cd",
         3},                                        /* between letters */
        {"\xed\x95\x9c\xea\xb5\xad", 2},            /* Hangul */
        {"gr\xc3\xbc\xc3\x9f \xd0\xb4\xd0\xb0", 2}, /* letters of other alphabets make words */
        {"\xff\xfe x", 2},                          /* no UTF-8 */
        {"\xf0\xa0\x80\x80\xf0\xa0\x80\x81", 2},    /* U+20000, U+20001 */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct words w;
        words_split(&w, cases[i].text);
        if (w.n != cases[i].n || w.n_all != w.n)
            fail_msg("'%s': %llu words", cases[i].text, (unsigned long long)w.n);
        words_clear(&w);
    }
}

static double similarity(const char *a, const char *b)
{
    struct words x, y;
    words_split(&x, a);
    words_split(&y, b);
    double s = measure_similarity(&x, &y);
    near(measure_similarity(&y, &x), s, 0);
    words_clear(&x);
    words_clear(&y);
    return s;
}

static void test_similarity(void **state)
{
    (void)state;
    near(similarity("", ""), 1, 0);
    near(similarity("a", ""), 0, 0);
    near(similarity("a b c", "a b  c\n"), 1, 0);
    near(similarity("a b c", "d e f"), 0, 0);
    near(similarity("a b c d", "a x c d"), 0.75, 0);
    near(similarity("a b", "b a"), 0.5, 0);
    near(similarity("the cat sat on the mat", "the mat sat on the cat"), 2.0 * 4 / 12, 1e-15);
}

/* The textbook's table. */
static uint64_t slow_lcs(const struct words *a, const struct words *b)
{
    uint64_t *row = xcalloc(b->n + 1, sizeof *row);
    for (uint64_t i = 0; i < a->n; i++)
        for (uint64_t k = 0, diagonal = 0; k < b->n; k++) {
            uint64_t above = row[k + 1];
            row[k + 1] = a->hash[i] == b->hash[k] ? diagonal + 1 : above > row[k] ? above : row[k];
            diagonal = above;
        }
    uint64_t n = row[b->n];
    free(row);
    return n;
}

static void random_words(struct words *w, struct rng *r, uint64_t max, uint64_t kinds)
{
    w->n = w->n_all = 1 + rng_below(r, max);
    w->hash = xcalloc(w->n, sizeof *w->hash);
    for (uint64_t i = 0; i < w->n; i++)
        w->hash[i] = rng_below(r, kinds);
}

static void test_similarity_random(void **state)
{
    struct rng r = {1};
    (void)state;
    for (int i = 0; i < 400; i++) {
        struct words a, b;
        random_words(&a, &r, i % 2 ? 300 : 70, 1 + rng_below(&r, 40));
        random_words(&b, &r, 200, 1 + rng_below(&r, 40));
        near(measure_similarity(&a, &b), 2.0 * (double)slow_lcs(&a, &b) / (double)(a.n + b.n), 1e-15);
        words_clear(&a);
        words_clear(&b);
    }
}

/* The flags are those of a common subsequence, and of a longest one. */
static void test_common(void **state)
{
    struct rng r = {2};
    (void)state;
    for (int i = 0; i < 600; i++) {
        struct words a, b;
        random_words(&a, &r, i % 3 ? 150 : 5, 1 + rng_below(&r, 30));
        random_words(&b, &r, i % 2 ? 200 : 7, 1 + rng_below(&r, 30));
        uint8_t *x = xcalloc(a.n, 1), *y = xcalloc(b.n, 1);
        uint64_t n = 0, at = 0;
        assert_true(measure_common(&a, &b, x, y));
        for (uint64_t k = 0; k < a.n; k++) {
            if (!x[k])
                continue;
            while (at < b.n && !y[at])
                at++;
            assert_true(at < b.n && a.hash[k] == b.hash[at]);
            at++;
            n++;
        }
        while (at < b.n)
            assert_false(y[at++]);
        assert_int_equal(n, slow_lcs(&a, &b));
        free(x);
        free(y);
        words_clear(&a);
        words_clear(&b);
    }
}

/* Texts of different kinds have no word in common. */
static void test_kinds(void **state)
{
    struct words a, b;
    (void)state;
    words_split(&a, "f");
    words_add(&a, "a b", 7);
    words_split(&b, "f a b");
    near(measure_similarity(&a, &b), 2.0 / 6, 1e-15);
    words_clear(&b);
    words_split(&b, "f");
    words_add(&b, "a  b\n", 7);
    near(measure_similarity(&a, &b), 1, 0);
    words_clear(&a);
    words_clear(&b);
}

static void test_prefix(void **state)
{
    struct words a, b;
    (void)state;
    words_split(&a, "one two three");
    words_split(&b, "one two drei three");
    assert_int_equal(measure_common_prefix(&a, &b), 2);
    assert_int_equal(measure_common_prefix(&a, &a), 3);
    words_clear(&a);
    words_clear(&b);
}

static struct loops loops_cut(const char *begin, const char *unit, int copies, const char *end, bool cut)
{
    struct buf b = {0};
    struct words w;
    buf_str(&b, begin);
    for (int i = 0; i < copies; i++)
        buf_str(&b, unit);
    buf_str(&b, end);
    words_split(&w, b.s);
    struct loops l = measure_loops(&w, b.s, cut);
    words_clear(&w);
    buf_clear(&b);
    return l;
}

static struct loops loops_of(const char *begin, const char *unit, int copies, const char *end)
{
    return loops_cut(begin, unit, copies, end, false);
}

static void test_loops(void **state)
{
    (void)state;
    struct loops l = loops_of("It began well. ", "and so on ", 8, ""); /* 24 words */
    assert_true(l.period == 3 && l.copies == 8 && !l.by_characters);
    assert_true(loops_of("It began well. ", "and so on ", 7, "").period == 0);     /* 21 are too few */
    assert_true(loops_of("It began well. ", "and so on ", 20, "end").period == 0); /* it found its way out */
    l = loops_of("x ", "and so on ", 10, "and so");                                /* cut inside a copy */
    assert_true(l.period == 3 && l.copies == 10);
    l = loops_cut("x ", "and so on ", 10, "an", true); /* and inside a word */
    assert_true(l.period == 3 && l.copies == 10);
    assert_true(loops_of("x ", "and so on ", 10, "an").period == 0);
    assert_true(loops_cut("x ", "and so on ", 10, "but then", true).period == 0);
    assert_true(loops_of("", "a b c d e f g h i j k l ", 2, "").period == 0); /* said twice is no loop */
    assert_true(loops_of("", "a b c d e f g h i j k l ", 3, "").period == 12);
    assert_true(loops_of("", "no ", 24, "").period == 1);
    l = loops_of("x = ", "ab", 50, ""); /* 100 characters, one word */
    assert_true(l.period == 2 && l.copies == 50 && l.by_characters);
    assert_true(loops_of("x = ", "ab", 49, "").period == 0);
    assert_true(loops_of("", "\xe5\x93\x88", 100, "").period == 1); /* ideographs are words */
    assert_true(loops_of("", "", 0, "").period == 0);
    assert_true(
        loops_of("The quick brown fox jumps over the lazy dog, and then it sleeps under a tree until the "
                 "sun goes down behind the hills of the old country.",
                 "", 0, "")
            .period == 0);
}

static void test_repeat_share(void **state)
{
    (void)state;
    near(loops_of("", "a b c d e f g h ", 1, "").repeat_share, 0, 0);
    /* "a b c d" twice among ten words */
    near(loops_of("a b c d x a b c d y", "", 0, "").repeat_share, 0.8, 1e-15);
    near(loops_of("", "no ", 10, "").repeat_share, 1, 1e-15);    /* overlaps are counted once */
    near(loops_of("", "a b c d ", 1, "a b").repeat_share, 0, 0); /* fewer than 8 words */
}

static void test_wilson(void **state)
{
    static const struct {
        uint64_t k, n;
        double low, high;
    } cases[] = {
        {1, 3, 0.06149194402093078, 0.7923404011921757},
        {0, 10, 0, 0.2775328030260577},
        {10, 10, 0.7224671969739421, 1},
        {50, 100, 0.40383152963549296, 0.596168470364507},
        {95, 100, 0.8882495301258955, 0.9784563209820079},
        {1, 1000, 0.00017654636867653686, 0.005642558659926143},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct interval w = wilson(cases[i].k, cases[i].n);
        near(w.rate, (double)cases[i].k / (double)cases[i].n, 1e-15);
        near(w.low, cases[i].low, 1e-12);
        near(w.high, cases[i].high, 1e-12);
    }
    struct interval none = wilson(0, 0);
    assert_true(none.rate == 0 && none.low == 0 && none.high == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_similarity),
        cmocka_unit_test(test_similarity_random),
        cmocka_unit_test(test_common),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_loops),
        cmocka_unit_test(test_repeat_share),
        cmocka_unit_test(test_wilson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
