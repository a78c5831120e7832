/* test_ids.c - src/base/ids.h: numbers of layers as keys, lists of ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/ids.h"

#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void layer_keys(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        bool ok;
        uint32_t il;
    } cases[] = {
        {"0", true, 0},    {"7", true, 7},    {"10", true, 10},      {"2147483647", true, 2147483647},
        {"", false, 0},    {"00", false, 0},  {"01", false, 0},      {"2147483648", false, 0},
        {"+1", false, 0},  {"-1", false, 0},  {" 1", false, 0},      {"1 ", false, 0},
        {"1x", false, 0},  {"x", false, 0},   {"0x1", false, 0},     {"99999999999", false, 0},
        {"1e3", false, 0}, {"1.0", false, 0}, {"\xd9\xa1", false, 0}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint32_t il = 1;
        if (ids_layer(cases[i].key, &il) != cases[i].ok || il != cases[i].il)
            fail_msg("'%s': %u", cases[i].key, il);
    }
    json_t *o = json_object();
    ids_set_layer(o, 12, json_true());
    assert_true(json_is_true(json_object_get(o, "12")) && json_is_true(ids_get_layer(o, 12)));
    assert_null(ids_get_layer(o, 1));
    json_decref(o);
}

static void lists(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t bad; /* entries before the first that is none */
        bool ok;
    } cases[] = {{"[]", 0, true},          {"[3, 0, 9]", 3, true}, {"[1, 10]", 1, false},
                 {"[1, 2, -1]", 2, false}, {"[1.0]", 0, false},    {"[\"1\"]", 0, false}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err e = {0};
        uint32_t out[3];
        size_t bad;
        json_t *a = json_parse(cases[i].text, strlen(cases[i].text), &e);
        assert_true(ids_read(a, 9, out, &bad) == cases[i].ok);
        assert_int_equal(bad, cases[i].bad);
        if (cases[i].ok) {
            json_t *again = ids_json(out, bad);
            assert_true(json_equal(a, again));
            json_decref(again);
        }
        json_decref(a);
    }
}

static void order(void **state)
{
    (void)state;
    uint32_t v[] = {4294967295u, 0, 7, 2147483648u};
    qsort(v, COUNT(v), sizeof *v, ids_compare);
    assert_memory_equal(v, ((uint32_t[]){0, 7, 2147483648u, 4294967295u}), sizeof v);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(layer_keys),
        cmocka_unit_test(lists),
        cmocka_unit_test(order),
    };
    return cmocka_run_group_tests_name("ids", tests, NULL, NULL);
}
