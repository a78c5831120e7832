/* test_calls.c - calls of tools: whether two answers call the same, and whether arguments are what a schema asks for.
 * What fits a schema was decided by another program (tests/data/schema/README.md). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "results/calls.h"
#include "results/schema.h"

#include <string.h>

static json_t *parse(const char *s)
{
    struct err e = {0};
    json_t *v = json_parse(s, strlen(s), &e);
    if (!v)
        fail_msg("%s: %s", s, e.msg);
    return v;
}

/* ---- JSON as models write it ---- */

static void expect_canonical(const char *in, const char *want)
{
    bool rounded;
    json_t *v = json_parse_loose(in, strlen(in), &rounded);
    struct buf b = {0};
    assert_int_equal(v != NULL, want != NULL);
    if (!v)
        return;
    json_canonical(&b, v);
    assert_string_equal(b.s, want);
    buf_clear(&b);
    json_decref(v);
}

static void test_canonical(void **state)
{
    (void)state;
    expect_canonical("{\"b\":1,\"a\":[1.0,1e2,-0.0,0.1,1E-1]}", "{\"a\": [1, 100, 0, 0.1, 0.1], \"b\": 1}");
    expect_canonical("{\"a\":1,\"a\":2}", "{\"a\": 2}");
    expect_canonical("\"\\u0000\\u00fc\"", "\"\\u0000\xc3\xbc\"");
    expect_canonical("{\"a\":{\"z\":null,\"y\":true},\"A\":\"x\"}",
                     "{\"A\": \"x\", \"a\": {\"y\": true, \"z\": null}}");
    expect_canonical("9007199254740993", "9007199254740993");
    expect_canonical("1e16", "10000000000000000");
    expect_canonical("1e300", "1e+300");
    expect_canonical("{\"a\":1", NULL);
    expect_canonical("{'a':1}", NULL);
    expect_canonical("{\"a\":1} x", NULL);
    expect_canonical("", NULL);
}

/* ---- two answers ---- */

/* "name(arguments)name(arguments)", '/' before the arguments of the older form. */
static void read_calls(struct calls *c, const char *s, json_t **list, json_t **old)
{
    *list = json_array();
    *old = NULL;
    while (*s) {
        size_t n = strcspn(s, "("), k = strcspn(s + n, ")");
        json_t *f = json_pack("{s:s#, s:s#}", "name", s + (*s == '/'), (int)n - (*s == '/'), "arguments",
                              s + n + 1, (int)k - 1);
        assert_non_null(f);
        if (*s == '/')
            *old = f;
        else
            json_array_append_new(*list, json_pack("{s:s, s:o}", "id", s, "function", f));
        s += n + k + 1;
    }
    calls_read(c, *list, *old);
}

static void test_agreement(void **state)
{
    static const struct {
        const char *a, *b, *want; /* e: equal, n: the same names, a: the same arguments */
    } cases[] = {
        {"", "", "ena"},
        {"f({})", "", ""},
        {"", "f({})", ""},
        {"f({\"a\":1,\"b\":\"x\"})", "f({ \"b\" : \"x\", \"a\" : 1.0 })", "ena"},
        {"f({\"a\":1})", "f({\"a\":2})", "n"},
        {"f({\"a\":1})", "g({\"a\":1})", ""},
        {"f()", "f({})", "ena"},
        {"f(\n)", "f({ })", "ena"},
        {"f({\"a\":1})", "f({\"a\":\"1\"})", "n"},
        {"f({\"a\":[1,2]})", "f({\"a\":[2,1]})", "n"},
        {"f({\"a\":null})", "f({})", "n"},
        {"f({\"a\": )", "f({\"a\": )", "ena"}, /* no JSON: as text */
        {"f({\"a\": )", "f({\"a\":  )", "n"},
        {"f({\"a\":1)", "f({\"a\":1})", "n"},
        {"f(123456789012345678901)", "f(123456789012345678902)", "n"}, /* alike when rounded */
        {"f(9007199254740993)", "f(9007199254740992)", "n"},
        {"f({})g({})", "g({})f({})", "na"}, /* another order */
        {"f(1)f(2)", "f(2)f(1)", "na"},
        {"f(1)f(1)", "f(1)f(2)", "n"},
        {"f(1)g(1)", "g(2)f(1)", "n"},
        {"f(1)", "f(1)f(1)", ""},
        {"/f({})", "f({})", "ena"}, /* the older form says the same */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct calls a, b;
        json_t *v[4];
        read_calls(&a, cases[i].a, &v[0], &v[1]);
        read_calls(&b, cases[i].b, &v[2], &v[3]);
        for (int turn = 0; turn < 2; turn++) {
            struct calls_agreement g = turn ? calls_compare(&b, &a) : calls_compare(&a, &b);
            char got[4] = "", *p = got;
            for (int k = 0; k < 3; k++)
                if (k == 0 ? g.equal : k == 1 ? g.names : g.arguments)
                    *p++ = "ena"[k];
            if (strcmp(got, cases[i].want) != 0)
                fail_msg("'%s' and '%s': '%s', expected '%s'", cases[i].a, cases[i].b, got, cases[i].want);
        }
        calls_clear(&a);
        calls_clear(&b);
        for (int k = 0; k < 4; k++)
            json_decref(v[k]);
    }
}

/* ---- tools ---- */

#define TOOLS                                                                                                           \
    "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"required\":[\"a\"]}}}," \
    "{\"name\":\"free\"},{\"type\":\"web_search\"}]"

static void test_check(void **state)
{
    static const struct {
        const char *calls, *parameters;
        enum calls_fit fit;
        uint64_t n_no_json, n_unknown;
    } cases[] = {
        {"", "{\"tools\":" TOOLS "}", CALLS_NOT_CHECKED, 0, 0},
        {"f({\"a\":1})", "{}", CALLS_NOT_CHECKED, 0, 0},
        {"f({)", "{\"tools\":[]}", CALLS_NOT_CHECKED, 1, 0},
        {"f({\"a\":1})", "{\"tools\":" TOOLS "}", CALLS_FIT, 0, 0},
        {"f({\"a\":1})", "{\"functions\":" TOOLS "}", CALLS_FIT, 0, 0},
        {"f({\"a\":1})free({\"x\":1})", "{\"tools\":" TOOLS "}", CALLS_FIT, 0, 0},
        {"f({})", "{\"tools\":" TOOLS "}", CALLS_UNFIT, 0, 0},
        {"f({\"a\":1})f({})", "{\"tools\":" TOOLS "}", CALLS_UNFIT, 0, 0},
        {"free()", "{\"tools\":" TOOLS "}", CALLS_FIT, 0, 0},
        {"free([])", "{\"tools\":" TOOLS "}", CALLS_UNFIT, 0, 0},
        {"free({)g({})", "{\"tools\":" TOOLS "}", CALLS_UNFIT, 1, 1},
        {"({})", "{\"tools\":" TOOLS "}", CALLS_UNFIT, 0, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct calls c;
        json_t *list, *old, *parameters = parse(cases[i].parameters);
        read_calls(&c, cases[i].calls, &list, &old);
        struct calls_check r = calls_check(&c, parameters, NULL);
        if (r.fit != cases[i].fit || r.n_no_json != cases[i].n_no_json || r.n_unknown != cases[i].n_unknown)
            fail_msg("case %zu: %d, %d without JSON, %d unknown", i, r.fit, (int)r.n_no_json,
                     (int)r.n_unknown);
        calls_clear(&c);
        json_decref(list);
        json_decref(old);
        json_decref(parameters);
    }
}

/* ---- schemas ---- */

static void test_schemas(void **state)
{
    struct buf b = {0};
    struct err e = {0};
    int n = 0;
    (void)state;
    assert_true(file_read_all(TEST_DATA_DIR "/schema/cases.jsonl", 1 << 20, &b, &e));
    for (char *line = strtok(b.s, "\n"); line; line = strtok(NULL, "\n"), n++) {
        json_t *o = parse(line), *ignored = json_object();
        bool fits = schema_check(json_object_get(o, "schema"), json_object_get(o, "value"), ignored);
        if (fits != json_is_true(json_object_get(o, "fits")))
            fail_msg("%s: %d", line, fits);
        if (json_object_size(ignored))
            fail_msg("%s: something is ignored", line);
        json_decref(o);
        json_decref(ignored);
    }
    assert_true(n > 180);
    buf_clear(&b);
}

/* What is not known says nothing, either way, and is counted. */
static void test_ignored(void **state)
{
    static const struct {
        const char *schema, *value, *ignored;
        bool fits;
    } cases[] = {
        {"{\"type\":\"string\",\"pattern\":\"^a\",\"format\":\"date\"}", "\"b\"",
         "{\"format\": 1, \"pattern\": 1}", true},
        {"{\"type\":\"string\",\"pattern\":\"^a\"}", "1", "{\"pattern\": 1}", false},
        {"{\"items\":{\"format\":\"date\"}}", "[1,2]", "{\"format\": 2}", true},
        {"{\"not\":{\"pattern\":\"^a\"}}", "\"b\"", "{\"pattern\": 1}", true},
        {"{\"not\":{\"type\":\"string\",\"pattern\":\"^a\"}}", "1", "{\"pattern\": 1}", true},
        {"{\"oneOf\":[{\"pattern\":\"^a\"},{\"pattern\":\"^b\"}]}", "\"b\"", "{\"pattern\": 2}", true},
        {"{\"oneOf\":[{\"type\":\"string\"},{\"pattern\":\"^b\"},{\"minLength\":1}]}", "\"b\"",
         "{\"pattern\": 1}", false},
        {"{\"patternProperties\":{\"^x\":{}},\"additionalProperties\":false}", "{\"xy\":1}",
         "{\"additionalProperties\": 1, \"patternProperties\": 1}", true},
        {"{\"type\":\"dict\"}", "{}", "{\"type\": 1}", true},
        {"{\"type\":\"integer\",\"nullable\":true}", "null", "{}", true}, /* OpenAPI */
        {"{\"enum\":[1],\"nullable\":true}", "null", "{}", true},
        {"{\"$ref\":\"http://x/y\"}", "1", "{\"$ref\": 1}", true},
        {"{\"$ref\":\"#/none\"}", "1", "{\"$ref\": 1}", true},
        {"5", "1", "{\"(no schema)\": 1}", true},
        {"{\"$ref\":\"#\"}", "1", "{\"(endless)\": 1}", true},
        {"{\"anyOf\":[{\"$ref\":\"#\"},{\"$ref\":\"#\"}]}", "1", "{\"(endless)\": 2}",
         true},                                                   /* not 2^64 ways */
        {"{\"items\":{\"$ref\":\"#\"}}", "[[[[]]]]", "{}", true}, /* goes into the value, so it ends */
        {"{\"items\":{\"$ref\":\"#\"}}",
         "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
         "{\"(too deep)\": 1}", true},
        {"{\"if\":{},\"then\":{},\"else\":{}}", "1", "{\"if\": 1}", true},
        {"{\"required\":true,\"properties\":[],\"anyOf\":{},\"enum\":1,\"multipleOf\":0}", "1",
         "{\"anyOf\": 1, \"enum\": 1, \"multipleOf\": 1, \"properties\": 1, \"required\": 1}", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *schema = parse(cases[i].schema), *v = parse(cases[i].value), *ignored = json_object();
        struct buf b = {0};
        assert_int_equal(schema_check(schema, v, ignored), cases[i].fits);
        json_canonical(&b, ignored);
        if (cases[i].ignored)
            assert_string_equal(b.s, cases[i].ignored);
        assert_int_equal(schema_check(schema, v, NULL), cases[i].fits);
        buf_clear(&b);
        json_decref(schema);
        json_decref(v);
        json_decref(ignored);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canonical), cmocka_unit_test(test_agreement), cmocka_unit_test(test_check),
        cmocka_unit_test(test_schemas),   cmocka_unit_test(test_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
