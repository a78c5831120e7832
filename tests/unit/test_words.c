/* test_words.c - the words of the model's own expressions, against Node's regular expressions
 * (tests/data/words). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "engine/words.h"
#include "golden.h"

#include <string.h>

/* What is cut is a border of words, what is single is one word; how many are single. */
static uint32_t check(const char *pre, const char *text, const json_t *want)
{
    uint64_t n = strlen(text), at = 0, end = 0; /* of the word of the reference */
    uint32_t single = 0;
    size_t i = 0;
    struct words_part p;
    struct words *w = words_open(pre, text, n);
    while (words_next(w, &p)) {
        assert_int_equal(p.at, at);
        assert_true(p.n > 0);
        at = p.at + p.n;
        uint64_t first = i;
        while (end < at && i < json_array_size(want))
            end += strlen(json_string_value(json_array_get(want, i++)));
        if (end != at || (p.alone && i != first + 1))
            fail_msg("%s: '%s': '%.*s' is no word of the reference", pre, text, (int)p.n, text + p.at);
        single += p.alone;
    }
    assert_int_equal(at, n);
    words_close(w);
    return single;
}

static void test_reference(void **state)
{
    static const char *const pres[] = {"gpt-4o", "tekken"};
    struct buf b = {0};
    struct err e = {0};
    uint32_t n = 0, single = 0;
    (void)state;
    golden_ok(file_read_all(TEST_DATA_DIR "/words/words.jsonl", 1 << 20, &b, &e), &e, "words.jsonl");
    for (char *line = b.s, *next; (next = strchr(line, '\n')); line = next + 1, n++) {
        json_t *row = json_parse(line, (size_t)(next - line), &e);
        golden_ok(row != NULL, &e, "words.jsonl");
        const char *text = json_string_value(json_object_get(row, "text"));
        for (size_t i = 0; i < 2; i++)
            single += check(pres[i], text, json_object_get(row, pres[i]));
        json_decref(row);
    }
    assert_int_equal(n, 174);
    assert_true(single > 1000);
    buf_clear(&b);
}

/* Whether the engine has other words than the model. */
static void test_apart(void **state)
{
    (void)state;
    static const struct {
        const char *pre, *text;
        bool apart;
    } cases[] = {
        {"gpt-4o", "plain camelCase HTMLParser it's 1234\n\n  x", false},
        {"gpt-4o",
         "\xc3\x89t\xc3\xa9 fran\xc3\xa7"
         "ais \xe4\xb8\xad\xe6\x96\x87 \xd0\x9f\xd1\x80\xd0\xb8",
         false},
        {"gpt-4o",
         "FRAN\xc3\x87"
         "AIS",
         true}, /* a capital beyond ASCII within others */
        {"gpt-4o", "\xe0\xa4\xa8\xe0\xa4\xae\xe0\xa4\xb8\xe0\xa5\x8d", true}, /* a mark within a word */
        {"llama4", "e\xcc\x81t", true},
        {"tekken",
         "FRAN\xc3\x87"
         "AIS",
         true},
        {"qwen2",
         "FRAN\xc3\x87"
         "AIS",
         false},                         /* its expression is the model's */
        {"tiny_aya", "camelCase", true}, /* no capitals there */
        {"gpt-4o", "", false},
        {"gpt-4o", "\xff\x80 \xe0", false}, /* no text at all */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (words_apart(cases[i].pre, cases[i].text, strlen(cases[i].text)) != cases[i].apart)
            fail_msg("%s: '%s'", cases[i].pre, cases[i].text);
}

static void test_classes(void **state)
{
    (void)state;
    static const struct {
        uint32_t c;
        enum unicode_class class;
    } cases[] = {
        {'A', UNICODE_UPPER},    {'z', UNICODE_LOWER},     {'_', UNICODE_NONE},    {'7', UNICODE_NUMBER},
        {0x100, UNICODE_UPPER},  {0x101, UNICODE_LOWER},   {0x137, UNICODE_LOWER}, {0x1C5, UNICODE_UPPER},
        {0x301, UNICODE_MARK},   {0x93F, UNICODE_MARK},    {0x928, UNICODE_OTHER}, {0x2168, UNICODE_NUMBER},
        {0x4E2D, UNICODE_OTHER}, {0x9FFF, UNICODE_OTHER},  {0xFE0F, UNICODE_MARK}, {0x1D7D9, UNICODE_NUMBER},
        {0x1F600, UNICODE_NONE}, {0x10FFFF, UNICODE_NONE}, {0, UNICODE_NONE},      {0xD800, UNICODE_NONE}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(unicode_class_of(cases[i].c), cases[i].class);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_apart),
        cmocka_unit_test(test_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
