/* test_unused.c - src/corpus/unused.h: counts added up, and said in one line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "corpus/unused.h"

#include <string.h>

static json_t *object(const char *s)
{
    struct err e = {0};
    json_t *o = json_parse(s, strlen(s), &e);
    if (!o)
        fail_msg("%s", e.msg);
    return o;
}

static void added_up(void **state)
{
    (void)state;
    static const struct {
        const char *to, *from, *sum;
    } cases[] = {
        {"{}", "{}", "{}"},
        {"{\"a\": 2}", "{\"b\": 1, \"a\": 3}", "{\"a\": 5, \"b\": 1}"},
        {"{}", "{\"a\": 0, \"b\": -1, \"c\": \"many\", \"d\": 1.5, \"e\": null}", "{}"},
        {"{\"a\": 9223372036854775807}", "{\"a\": 1}", "{\"a\": 9223372036854775807}"}, /* stays */
        {"{\"a\": 1}", "[1]", "{\"a\": 1}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *to = object(cases[i].to), *from = object(cases[i].from), *sum = object(cases[i].sum);
        unused_add(to, from);
        assert_true(json_equal(to, sum));
        json_decref(to);
        json_decref(from);
        json_decref(sum);
    }
    json_t *to = object("{}");
    unused_add(to, NULL);
    assert_int_equal(json_object_size(to), 0);
    json_decref(to);
}

static void in_words(void **state)
{
    (void)state;
    static const struct {
        const char *unused, *text; /* NULL: nothing is said */
    } cases[] = {
        {"{}", NULL},
        {"{\"a\": 0}", NULL},
        {"[\"a\"]", NULL},
        {"{\"rejected\": 20, \"messages.thinking\": 12}",
         "'rejected' (20 rows), 'messages.thinking' (12 messages)"},
        {"{\"tools\": 1, \"messages.name\": 1, \"x\": 1234567}",
         "'tools' (1 row), 'messages.name' (1 message), 'x' (1,234,567 rows)"},
        {"{\"bad\\u001b[31m\": 1}", "'bad\\u001b[31m' (1 row)"},
        {"{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1}",
         "'a' (1 row), 'b' (1 row), 'c' (1 row), 'd' (1 row), 'e' (1 row), 'f' (1 row), 'g' (1 row), 'h' (1 row) and 2 more"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *o = object(cases[i].unused);
        struct buf b = {0};
        assert_true(unused_text(o, NULL, &b) == (cases[i].text != NULL));
        if (cases[i].text)
            assert_string_equal(b.s, cases[i].text);
        else
            assert_int_equal(b.n, 0);
        buf_clear(&b);
        json_decref(o);
    }
    struct buf b = {0};
    assert_false(unused_text(NULL, NULL, &b));
}

/* Thoughts under a name that the template does not read. */
static void thoughts(void **state)
{
    (void)state;
    static const struct {
        const char *unused, *chat, *text;
    } cases[] = {
        {"{\"messages.thinking\": 2}", "{\"thoughts\": \"reasoning_content\"}",
         "'messages.thinking' (2 messages); the template reads thoughts under 'reasoning_content' (--map reasoning_content=thinking)"},
        {"{\"messages.thinking\": 2}", "{\"from\": \"model\"}", "'messages.thinking' (2 messages)"},
        {"{\"messages.thinking\": 2}", "{\"thoughts\": 7}", "'messages.thinking' (2 messages)"},
        {"{\"messages.thinking\": 2}", "[]", "'messages.thinking' (2 messages)"},
        {"{\"messages.reasoning_content\": 2}",
         "{\"thoughts\": \"reasoning_content\"}", /* of earlier turns */
         "'messages.reasoning_content' (2 messages)"},
        {"{\"messages.name\": 2}", "{\"thoughts\": \"reasoning_content\"}", "'messages.name' (2 messages)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *o = object(cases[i].unused), *chat = object(cases[i].chat);
        struct buf b = {0};
        assert_true(unused_text(o, chat, &b));
        assert_string_equal(b.s, cases[i].text);
        buf_clear(&b);
        json_decref(o);
        json_decref(chat);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(added_up), cmocka_unit_test(in_words),
                                              cmocka_unit_test(thoughts)};
    return cmocka_run_group_tests_name("unused", tests, NULL, NULL);
}
