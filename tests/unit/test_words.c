/* test_words.c - where the engine has other words than a model, against Node's regular expressions
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

static bool differs(const char *pre, const char *text)
{
    uint64_t n = strlen(text), end;
    return words_differ(pre, text, n, &end) < n;
}

static void test_reference(void **state)
{
    static const char *const pres[] = {"gpt-4o", "tekken", "kimi-k2"};
    struct buf b = {0};
    struct err e = {0};
    uint32_t n = 0, other = 0;
    (void)state;
    golden_ok(file_read_all(TEST_DATA_DIR "/words/words.jsonl", 1 << 20, &b, &e), &e, "words.jsonl");
    for (char *line = b.s, *next; (next = strchr(line, '\n')); line = next + 1, n++) {
        json_t *row = json_parse(line, (size_t)(next - line), &e);
        golden_ok(row != NULL, &e, "words.jsonl");
        const char *text = json_string_value(json_object_get(row, "text"));
        for (size_t i = 0; i < sizeof pres / sizeof *pres; i++) {
            bool want = json_is_true(json_object_get(row, pres[i]));
            other += want;
            if (differs(pres[i], text) != want)
                fail_msg("%s: '%s': %s", pres[i], text, want ? "differs" : "is the same");
        }
        json_decref(row);
    }
    assert_int_equal(n, 174);
    assert_in_range(other, 50, 300);
    buf_clear(&b);
}

static void test_place(void **state)
{
    (void)state;
    const char *text = "a plain FRAN\xc3\x87"
                       "AIS word";
    uint64_t end = 0;
    assert_int_equal(words_differ("gpt-4o", text, strlen(text), &end), 7);
    assert_int_equal(end, 17);
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
         false},                                                     /* its expression is the model's */
        {"tiny_aya", "camelCase", true},                             /* no capitals there */
        {"kimi-k2", "camelCase HTMLParser it's 1234/\n\n x", false}, /* taken together */
        {"kimi-k2", "\xe4\xba\xba\xe3\x80\x85\xe4\xb8\xad", true},   /* a mark of repetition is Han */
        {"kimi-k2", "\xe0\xa4\xa8\xe0\xa4\xae\xe0\xa4\xb8\xe0\xa5\x8d", true},
        {"gpt-4o", "", false},
        {"gpt-4o", "\xff\x80 \xe0", false}, /* no text at all */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (differs(cases[i].pre, cases[i].text) != cases[i].apart)
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
        cmocka_unit_test(test_place),
        cmocka_unit_test(test_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
