/* test_report.c - src/report/html.h: text made safe, numbers, colours, encodings; and the marks of differences. The page itself is tested
 * by tests/cli/report.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "report/html.h"
#include "report/page_part.h"

#include <math.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void text_is_safe(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"plain", "plain"},
        {"<script>alert('1')</script>", "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"},
        {"a & b &amp; \"c\"", "a &amp; b &amp;amp; &quot;c&quot;"},
        {"tab\tline\nend", "tab\tline\nend"},
        {"\x01\x1b[31m\x7f", "\xef\xbf\xbd\xef\xbf\xbd[31m\xef\xbf\xbd"},
        {"a\xff\xc3", "a\xef\xbf\xbd\xef\xbf\xbd"},                     /* not UTF-8 */
        {"\xc2\x85", "\xef\xbf\xbd"},                                   /* C1 control */
        {"x\xe2\x80\xaey", "x\xef\xbf\xbdy"},                           /* U+202E turns the direction */
        {"x\xe2\x80\xa8y\xe2\x80\xa9", "x\xef\xbf\xbdy\xef\xbf\xbd"},   /* U+2028, U+2029 */
        {"x\xe2\x81\xa6y\xe2\x80\x8f", "x\xef\xbf\xbdy\xef\xbf\xbd"},   /* U+2066, U+200F */
        {"x\xd8\x9cy\xef\xbb\xbf", "x\xef\xbf\xbdy\xef\xbf\xbd"},       /* U+061C, U+FEFF */
        {"x\xf3\xa0\x81\x81\xe2\x80\x8d", "x\xef\xbf\xbd\xe2\x80\x8d"}, /* a tag; ZWJ stays */
        {"\xe2\x80\x93\xc3\xa4\xf0\x9f\x8c\xb1", "\xe2\x80\x93\xc3\xa4\xf0\x9f\x8c\xb1"}, /* stay */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf b = {0};
        html_clip(&b, cases[i].in, 1000);
        assert_string_equal(b.s, cases[i].out);
        buf_clear(&b);
    }
    struct buf b = {0};
    html_clip(&b, NULL, 1000);
    assert_null(b.s);
}

static void text_is_cut_between_characters(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        size_t max;
        const char *out;
    } cases[] = {
        {"abc", 3, "abc"},
        {"abcd", 3, "abc \xe2\x80\xa6"},
        {"a\xc3\xa4z", 2, "a \xe2\x80\xa6"},
        {"a\xc3\xa4z", 3, "a\xc3\xa4 \xe2\x80\xa6"},
        {"<<<", 2, "&lt;&lt; \xe2\x80\xa6"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf b = {0};
        html_clip(&b, cases[i].in, cases[i].max);
        assert_string_equal(b.s, cases[i].out);
        buf_clear(&b);
    }
}

static void numbers_read_well(void **state)
{
    (void)state;
    static const struct {
        double v;
        const char *out;
    } cases[] = {
        {0, "0"},
        {1, "1"},
        {1.64498, "1.645"},
        {0.03125, "0.03125"},
        {14.9, "14.90"},
        {999.94, "999.9"},
        {999.96, "1,000"},
        {0.5, "0.5000"},
        {999, "999"},
        {1000, "1,000"},
        {1000.6, "1,001"},
        {9999.4, "9,999"},
        {9999.6, "10,000"},
        {1234567, "1,234,567"},
        {-2.5, "-2.500"},
        {-12345, "-12,345"},
        {0.0001, "0.0001000"},
        {0.00009, "9e-05"},
        {1e15, "1e+15"},
        {NAN, "-"},
        {INFINITY, "-"},
        {-INFINITY, "-"},
        {1e300, "1e+300"},
    };
    char s[32];
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_string_equal(html_number(cases[i].v, s), cases[i].out);
    assert_string_equal(percent_text(0.19389, s), "19.4 %");
    assert_string_equal(percent_text(1, s), "100.0 %");
    assert_string_equal(percent_text(-0.216, s), "-21.6 %");
    assert_string_equal(percent_text(NAN, s), "-");
    assert_string_equal(percent_text(1e308, s), "-");
}

static void ticks_are_round(void **state)
{
    (void)state;
    static const struct {
        double lo, hi, step;
    } cases[] = {{0, 1, 0.2}, {0, 10, 2}, {40, 120, 20}, {0, 0.0015, 0.0005}, {-3, 3, 2}, {0, 1e9, 2e8}};
    for (size_t i = 0; i < COUNT(cases); i++) /* powers of ten are not exact */
        assert_true(fabs(tick_step(cases[i].lo, cases[i].hi, 5) / cases[i].step - 1) < 1e-12);
}

/* RFC 4648, section 10. */
static void base64(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", NULL},           {"f", "Zg=="},         {"fo", "Zm8="},        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf b = {0};
        base64_add(&b, cases[i][0], strlen(cases[i][0]));
        if (cases[i][1])
            assert_string_equal(b.s, cases[i][1]);
        else
            assert_null(b.s);
        buf_clear(&b);
    }
    struct buf b = {0};
    base64_add(&b, "\xff\xef\xbe", 3);
    assert_string_equal(b.s, "/+++");
    buf_clear(&b);
}

/* The ends of viridis, and a scale that grows brighter all the way: it is read in grey, too. */
static void colours(void **state)
{
    (void)state;
    double last = -1;
    assert_int_equal(colour_at(0), 0x440154);
    assert_int_equal(colour_at(1), 0xfde725);
    assert_int_equal(colour_at(0.5), 0x21918c);
    assert_int_equal(colour_at(-3), 0x440154);
    assert_int_equal(colour_at(7), 0xfde725);
    assert_int_equal(colour_at(NAN), COLOUR_NONE);
    for (int i = 0; i <= 100; i++) {
        uint32_t c = colour_at(i / 100.0);
        double y = 0.2126 * (c >> 16) + 0.7152 * (c >> 8 & 255) + 0.0722 * (c & 255);
        assert_true(y > last);
        last = y;
    }
}

static uint32_t u32(const struct buf *b, size_t at)
{
    const uint8_t *s = (const uint8_t *)b->s + at;
    return s[0] | (uint32_t)s[1] << 8 | (uint32_t)s[2] << 16 | (uint32_t)s[3] << 24;
}

/* The fields by the format (BITMAPINFOHEADER): 3 x 2 pixels, so that rows are padded. */
static void bitmap(void **state)
{
    (void)state;
    static const uint8_t pixels[] = {0, 1, 255, 128, 2, 3};
    struct buf b = {0};
    bmp_add(&b, pixels, 3, 2);
    assert_int_equal(b.n, 14 + 40 + 1024 + 2 * 4);
    assert_memory_equal(b.s, "BM", 2);
    assert_int_equal(u32(&b, 2), b.n);
    assert_int_equal(u32(&b, 10), 14 + 40 + 1024);
    assert_int_equal(u32(&b, 14), 40);
    assert_int_equal(u32(&b, 18), 3);
    assert_int_equal((int32_t)u32(&b, 22), -2);
    assert_int_equal(u32(&b, 26), 1 | 8 << 16);
    assert_int_equal(u32(&b, 30), 0);
    assert_int_equal(u32(&b, 46), 256);
    assert_int_equal(u32(&b, 54), COLOUR_NONE);
    assert_int_equal(u32(&b, 54 + 4), 0x440154);
    assert_int_equal(u32(&b, 54 + 4 * 255), 0xfde725);
    assert_memory_equal(b.s + 54 + 1024, "\x00\x01\xff\x00\x80\x02\x03\x00", 8);
    buf_clear(&b);
}

/* ---- differences ---- */

static void differences_are_marked(void **state)
{
    (void)state;
    static const struct {
        const char *text, *other, *out;
    } cases[] = {
        {"a b c", "a b c", "a b c"},
        {"a b c", "a c", "a <del>b</del> c"},
        {"a b c d", "a d", "a <del>b c</del> d"}, /* neighbours together, with the space between them */
        {" a\n b ", "a", " a\n <del>b</del> "},
        {"a b", NULL, "a b"}, /* nothing in common: all would be marked */
        {"", "a", ""},
        {"a <b> c", "a </del> c", "a <del>&lt;b&gt;</del> c"},
        {"a b c d e f", "a c d e",
         "a <del>b</del> c \xe2\x80\xa6"}, /* its first 5 bytes, and 5 of the other's */
        {"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", "\xe6\x97\xa5\xe8\xaa\x9e",
         "\xe6\x97\xa5<del>\xe6\x9c\xac</del>\xe8\xaa\x9e"}, /* each character a word */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf b = {0};
        buf_str(&b, "");
        put_difference(&b, cases[i].text, cases[i].other, "del", i == 7 ? 5 : 1000);
        assert_string_equal(b.s, cases[i].out);
        buf_clear(&b);
    }
}

/* Without its marks the text is what it would be without marking, and every mark is closed. */
static void differences_keep_the_text(void **state)
{
    static const char *const pieces[] = {
        "a", "b", "c", " ", "\n", "<", "&amp;", "</del>", "\xe6\x97\xa5", "\xff", "\xe6\x97"};
    struct rng r = {5};
    (void)state;
    for (int i = 0; i < 2000; i++) {
        struct buf text[2] = {0}, marked = {0}, plain = {0}, want = {0};
        for (int k = 0; k < 2; k++) {
            buf_str(&text[k], "");
            for (uint64_t n = rng_below(&r, 30); n; n--)
                buf_str(&text[k], pieces[rng_below(&r, i % 2 ? COUNT(pieces) : 5)]);
        }
        put_difference(&marked, text[0].s, text[1].s, "del", 25);
        html_clip(&want, text[0].s, 25);
        buf_str(&marked, "");
        buf_str(&plain, "");
        bool open = false;
        for (const char *s = marked.s; *s;) {
            bool begins = !strncmp(s, "<del>", 5), ends = !strncmp(s, "</del>", 6);
            assert_false(begins && open);
            assert_false(ends && !open);
            open = begins || (open && !ends);
            if (begins || ends)
                s += begins ? 5 : 6;
            else
                buf_char(&plain, *s++);
        }
        assert_false(open);
        assert_string_equal(plain.s, want.s ? want.s : "");
        buf_clear(&text[0]);
        buf_clear(&text[1]);
        buf_clear(&marked);
        buf_clear(&plain);
        buf_clear(&want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_safe),
        cmocka_unit_test(text_is_cut_between_characters),
        cmocka_unit_test(numbers_read_well),
        cmocka_unit_test(ticks_are_round),
        cmocka_unit_test(base64),
        cmocka_unit_test(colours),
        cmocka_unit_test(bitmap),
        cmocka_unit_test(differences_are_marked),
        cmocka_unit_test(differences_keep_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
