/* test_jspan.c - src/base/jspan: what is JSON and what is not, where values stand, edits that leave the rest.
 *
 * What is accepted and refused is RFC 8259 plus the limits that jspan.h names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/jspan.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

/* Parses a copy without a byte behind its end, so that a sanitizer sees reads too far. d.text is that
 * copy. */
static bool try_parse(struct jdoc *d, const char *text, bool python, struct err *e)
{
    size_t n = strlen(text);
    char *s = malloc(n ? n : 1);
    assert_non_null(s);
    memcpy(s, text, n);
    if (jdoc_parse(d, s, n, 0, NULL, python, e))
        return true;
    free(s);
    return false;
}

static void done(struct jdoc *d)
{
    free((char *)(uintptr_t)d->text);
    jdoc_clear(d);
}

static void open_doc(struct jdoc *d, const char *text)
{
    struct err e = {0};
    if (!try_parse(d, text, false, &e))
        fail_msg("%s: %s", text, e.msg);
}

static void test_accepted(void **state)
{
    (void)state;
    static const char *const good[] = {
        "0",
        "-0",
        "10",
        "1.5",
        "-1.5e+30",
        "1E-6",
        "123456789012345678901234567890",
        "1e99999",
        "true",
        "false",
        "null",
        "\"\"",
        "\"a\"",
        " [ ] ",
        "{}",
        "[1,2]",
        "[[],{}]",
        "\t\r\n {\"a\" : [ null , { } ] } \n",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD834\\uDD1E\"",
        "\"\x7f\"",
        "\"\xf0\x9f\x98\x80\"",
        "\"\\ud800\"",
        "\"\\udc00x\"",
        "\"\\ud800\\u0041\"",
        "{\"a\":1,\"A\":2,\"\":3}",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct jdoc d = {0};
        struct err e = {0};
        if (!try_parse(&d, good[i], false, &e))
            fail_msg("%s: %s", good[i], e.msg);
        done(&d);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"", "line 1, column 1: found the end of the text, expected a value"},
        {" \n ", "line 2, column 2: found the end of the text, expected a value"},
        {"[1,]", "line 1, column 4: found ']', expected a value"},
        {"[1 2]", "line 1, column 4: found '2', expected ',' or ']'"},
        {"[1}", "line 1, column 3: found '}', expected ',' or ']'"},
        {"[", "line 1, column 2: found the end of the text, expected a value"},
        {"[1", "line 1, column 3: found the end of the text, expected ',' or ']'"},
        {"{\"a\":1,}", "line 1, column 8: found '}', expected a key in quotes"},
        {"{a:1}", "line 1, column 2: found 'a', expected a key in quotes"},
        {"{\"a\" 1}", "line 1, column 6: found '1', expected ':'"},
        {"{\"a\":1", "line 1, column 7: found the end of the text, expected ',' or '}'"},
        {"{\n  \"\xc3\xa9\": tru\n}", "line 2, column 8: found 'tru', expected a value"},
        {"True", "line 1, column 1: found 'True', expected a value"},
        {"nullx", "line 1, column 1: found 'nullx', expected a value"},
        {"NaN", "line 1, column 1: found 'NaN', expected a value"},
        {"-Infinity", "line 1, column 2: found 'Infinity', expected a digit"},
        {"01", "line 1, column 2: found '1', expected the end of the text"},
        {"-", "line 1, column 2: found the end of the text, expected a digit"},
        {"1.", "line 1, column 3: found the end of the text, expected a digit"},
        {"1.e5", "line 1, column 3: found 'e', expected a digit"},
        {"1e", "line 1, column 3: found the end of the text, expected a digit"},
        {".5", "line 1, column 1: found '.', expected a value"},
        {"+1", "line 1, column 1: found '+', expected a value"},
        {"1 2", "line 1, column 3: found '2', expected the end of the text"},
        {"'a'", "line 1, column 1: found ''', expected a value"},
        {"// x", "line 1, column 1: found '/', expected a value"},
        {"\xef\xbb\xbf{}", "line 1, column 1: found a byte order mark, expected a value"},
        {"\"a", "line 1, column 3: found the end of the text, expected '\"' at the end of the string"},
        {"\"a\n\"", "line 1, column 3: found the control character 0x0a, expected an escape for it"},
        {"\"\xff\"", "line 1, column 2: found the byte 0xff, which is not UTF-8, expected UTF-8"},
        {"\"\xed\xa0\x80\"", "line 1, column 2: found the byte 0xed, which is not UTF-8, expected UTF-8"},
        {"\"\xc3\"", "line 1, column 2: found the byte 0xc3, which is not UTF-8, expected UTF-8"},
        {"\"\\x\"", "line 1, column 2: found '\\x', expected one of"},
        {"\"\\u12g4\"", "line 1, column 2: found '\\u', expected four hexadecimal digits behind \\u"},
        {"\"\\u12", "line 1, column 2: found '\\u', expected four hexadecimal digits"},
        {"\"\\", "line 1, column 3: found the end of the text, expected an escape"},
        {"\"\\u0000\"", "line 1, column 2: found \\u0000 in a string, expected text without NUL"},
        {"{\"a\":1,\"b\":2,\"a\":3}",
         "line 1, column 14: found the key 'a' a second time, expected each key once"},
        {"{\"ab\":1,\"a\\u0062\":3}", "line 1, column 9: found the key 'ab' a second time"},
        {"[{\"x\":{\"\":1,\"\":1}}]", "line 1, column 13: found the key '' a second time"},
        {"{\"k1\":0,\"k2\":0,\"k3\":0,\"k4\":0,\"k5\":0,\"k6\":0,\"k7\":0,\"k8\":0,\"k9\":0,\"k\\u0037\":0}",
         "line 1, column 65: found the key 'k7' a second time"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct jdoc d = {0};
        struct err e = {0};
        if (try_parse(&d, bad[i].text, false, &e))
            fail_msg("accepted: %s", bad[i].text);
        assert_int_equal(e.code, ERR_INPUT);
        if (strncmp(e.msg, bad[i].message, strlen(bad[i].message)) != 0)
            fail_msg("%s\n  gives    %s\n  expected %s", bad[i].text, e.msg, bad[i].message);
        jdoc_clear(&d);
    }
}

/* A NUL byte ends no text. */
static void test_nul_bytes(void **state)
{
    (void)state;
    struct jdoc d = {0};
    struct err e = {0};
    assert_false(jdoc_parse(&d, "1\0", 2, 0, NULL, false, &e));
    assert_non_null(strstr(e.msg, "found the control character 0x00, expected the end"));
    err_clear(&e);
    assert_false(jdoc_parse(&d, "\"a\0b\"", 5, 0, NULL, false, &e));
    err_clear(&e);
    assert_false(jdoc_parse(&d, "\"\\\0\"", 4, 0, NULL, false, &e));
    err_clear(&e);
    assert_false(jdoc_parse(&d, NULL, 0, 0, NULL, false, &e));
    jdoc_clear(&d);
}

static void test_python_numbers(void **state)
{
    (void)state;
    struct jdoc d = {0};
    struct err e = {0};
    double v;
    assert_true(try_parse(&d, "[NaN, Infinity, -Infinity, 1]", true, &e));
    assert_int_equal(d.n_nodes, 5);
    for (uint32_t i = 1; i < 5; i++)
        assert_int_equal(d.nodes[i].kind, J_NUMBER);
    assert_true(jdoc_f64(&d, 1, &v) && isnan(v));
    assert_true(jdoc_f64(&d, 2, &v) && isinf(v) && v > 0);
    assert_true(jdoc_f64(&d, 3, &v) && isinf(v) && v < 0);
    done(&d);
    assert_false(try_parse(&d, "[-NaN]", true, &e));
    jdoc_clear(&d);
}

static void nest(struct buf *b, int depth)
{
    for (int i = 0; i < depth; i++)
        buf_str(b, i % 2 ? "{\"a\":" : "[");
    buf_str(b, "1");
    for (int i = depth; i-- > 0;)
        buf_char(b, i % 2 ? '}' : ']');
}

static void test_depth(void **state)
{
    (void)state;
    struct buf b = {0}, path = {0};
    struct jdoc d = {0};
    struct err e = {0};
    nest(&b, JSPAN_MAX_DEPTH);
    assert_true(jdoc_parse(&d, b.s, b.n, 0, NULL, false, &e));
    jdoc_path(&d, d.n_nodes - 1, &path);
    assert_int_equal(strncmp(path.s, "[0].a[0].a", 10), 0);
    buf_clear(&b);
    nest(&b, JSPAN_MAX_DEPTH + 1);
    assert_false(jdoc_parse(&d, b.s, b.n, 0, NULL, false, &e));
    assert_non_null(strstr(e.msg, "found '[', expected at most 64 lists and objects inside each other"));
    buf_clear(&b);
    buf_clear(&path);
    jdoc_clear(&d);
}

/* A value inside other text, as in a safetensors header. */
static void test_part_of_text(void **state)
{
    (void)state;
    const char *text = "xx {\"a\":[1]} yy";
    struct jdoc d = {0};
    struct err e = {0};
    size_t end = 0;
    assert_true(jdoc_parse(&d, text, strlen(text), 2, &end, false, &e));
    assert_int_equal(end, 12);
    assert_int_equal(d.nodes[0].at, 3);
    assert_int_equal(d.nodes[0].end, 12);
    /* the memory serves again */
    assert_true(jdoc_parse(&d, text, strlen(text), 9, &end, false, &e));
    assert_int_equal(end, 10);
    assert_int_equal(d.n_nodes, 1);
    jdoc_clear(&d);
}

static void test_questions(void **state)
{
    (void)state;
    struct jdoc d = {0};
    open_doc(
        &d,
        "{\"n\": 18446744073709551615, \"over\": 18446744073709551616, \"f\": 1e-06, \"neg\": -1,\n"
        " \"s\": \"a\\u00e9\\ud83d\\ude00\\n\\ud800\", \"e\": \"\", \"l\": [1, [2, {\"x y\": true}], null]}");
    uint64_t u = 0;
    double f = 0;
    assert_int_equal(d.nodes[0].n, 7);
    assert_true(jdoc_u64(&d, jdoc_get(&d, 0, "n"), &u));
    assert_true(u == UINT64_MAX);
    assert_false(jdoc_u64(&d, jdoc_get(&d, 0, "over"), &u));
    assert_false(jdoc_u64(&d, jdoc_get(&d, 0, "f"), &u));
    assert_false(jdoc_u64(&d, jdoc_get(&d, 0, "neg"), &u));
    assert_false(jdoc_u64(&d, jdoc_get(&d, 0, "s"), &u));
    assert_false(jdoc_u64(&d, JSPAN_NONE, &u));
    assert_true(jdoc_f64(&d, jdoc_get(&d, 0, "f"), &f) && f == 1e-06);
    assert_true(jdoc_f64(&d, jdoc_get(&d, 0, "neg"), &f) && f == -1);
    assert_int_equal(jdoc_get(&d, 0, "missing"), JSPAN_NONE);
    assert_int_equal(jdoc_get(&d, JSPAN_NONE, "n"), JSPAN_NONE);
    assert_int_equal(jdoc_get(&d, 1, "n"), JSPAN_NONE);
    assert_string_equal(jdoc_kind_name(&d, jdoc_get(&d, 0, "l")), "a list");
    assert_string_equal(jdoc_kind_name(&d, JSPAN_NONE), "missing");

    struct buf b = {0};
    jdoc_str(&d, jdoc_get(&d, 0, "s"), &b);
    assert_string_equal(b.s, "a\xc3\xa9\xf0\x9f\x98\x80\n\xef\xbf\xbd");
    buf_clear(&b);
    assert_true(jdoc_str_is(&d, jdoc_get(&d, 0, "e"), ""));
    jdoc_str(&d, jdoc_get(&d, 0, "e"), &b);
    assert_string_equal(b.s, "");
    assert_true(jdoc_str_is(&d, jdoc_get(&d, 0, "s"), "a\xc3\xa9\xf0\x9f\x98\x80\n\xef\xbf\xbd"));
    assert_false(jdoc_str_is(&d, jdoc_get(&d, 0, "n"), "18446744073709551615"));

    uint32_t l = jdoc_get(&d, 0, "l"), inner = d.nodes[d.nodes[l].first].next;
    uint32_t object = d.nodes[d.nodes[inner].first].next, leaf = d.nodes[object].first;
    assert_int_equal(d.nodes[inner].parent, l);
    assert_int_equal(d.nodes[leaf].kind, J_TRUE);
    jdoc_path(&d, leaf, &b);
    assert_string_equal(b.s, "l[1][1][\"x y\"]");
    buf_clear(&b);
    jdoc_path(&d, 0, &b);
    assert_string_equal(b.s, "the outermost value");
    buf_clear(&b);
    done(&d);
}

/* Far more members than pairs of them could be compared. */
static void test_many_members(void **state)
{
    (void)state;
    struct buf b = {0};
    struct jdoc d = {0};
    struct err e = {0};
    buf_str(&b, "{");
    for (int i = 0; i < 200000; i++)
        buf_fmt(&b,
                "%s\n\"model.layers.%d.mlp.experts.%d.up_proj.weight\": \"model-00001-of-00002.safetensors\"",
                i ? "," : "", i / 512, i % 512);
    size_t n = b.n;
    buf_str(&b, "}");
    assert_true(jdoc_parse(&d, b.s, b.n, 0, NULL, false, &e));
    assert_int_equal(d.nodes[0].n, 200000);
    assert_int_equal(d.n_nodes, 200001);
    b.n = n;
    buf_str(&b, ",\n\"model.layers.7.mlp.experts.8.up_proj.w\\u0065ight\": 1}");
    assert_false(jdoc_parse(&d, b.s, b.n, 0, NULL, false, &e));
    assert_string_equal(e.msg,
                        "line 200002, column 1: found the key 'model.layers.7.mlp.experts.8.up_proj.weight'"
                        " a second time, expected each key once in an object");
    buf_clear(&b);
    jdoc_clear(&d);
}

/* ---- edits ---- */

/* The node at a path of keys and numbers, "a/0/b". */
static uint32_t at_path(const struct jdoc *d, const char *path)
{
    uint32_t node = 0;
    char *copy = xstrdup(path), *save = NULL;
    for (char *step = strtok_r(copy, "/", &save); step; step = strtok_r(NULL, "/", &save)) {
        if (d->nodes[node].kind == J_OBJECT) {
            node = jdoc_get(d, node, step);
        } else {
            int i = atoi(step);
            for (node = d->nodes[node].first; i > 0; i--)
                node = d->nodes[node].next;
        }
        assert_int_not_equal(node, JSPAN_NONE);
    }
    free(copy);
    return node;
}

/* Edits are given as "cut a/0; set a/1 5; str a b; key a b; add a k v", and made in this order. */
static void expect_edited(const char *text, const char *edits, const char *result)
{
    struct jdoc d = {0}, check = {0};
    struct jedits x = {0};
    struct buf out = {0};
    struct err e = {0};
    open_doc(&d, text);
    char *copy = xstrdup(edits), *save = NULL;
    for (char *one = strtok_r(copy, ";", &save); one; one = strtok_r(NULL, ";", &save)) {
        char op[8] = "", path[32] = "", a[32] = "", c[32] = "";
        sscanf(one, " %7s %31s %31s %31s", op, path, a, c);
        uint32_t node = at_path(&d, path);
        if (!strcmp(op, "cut"))
            jedit_cut(&x, &d, node);
        else if (!strcmp(op, "set"))
            jedit_value(&x, &d, node, a);
        else if (!strcmp(op, "str"))
            jedit_string(&x, &d, node, a);
        else if (!strcmp(op, "key"))
            jedit_key(&x, &d, node, a);
        else if (!strcmp(op, "add"))
            jedit_add_after(&x, &d, node, a, c);
        else
            fail_msg("unknown edit %s", op);
    }
    free(copy);
    jedits_apply(&x, &d, &out);
    if (strcmp(out.s, result) != 0)
        fail_msg("%s\n with %s\n gives    %s\n expected %s", text, edits, out.s, result);
    if (!jdoc_parse(&check, out.s, out.n, 0, NULL, false, &e))
        fail_msg("%s: %s", out.s, e.msg);
    assert_null(x.v);
    jdoc_clear(&check);
    buf_clear(&out);
    done(&d);
}

static void test_values(void **state)
{
    (void)state;
    expect_edited("{\"a\": 1e-06, \"b\" : 8 ,\"c\":1.0}\n", "set b 6",
                  "{\"a\": 1e-06, \"b\" : 6 ,\"c\":1.0}\n");
    expect_edited("[1, \"x\", {\"k\": []}]", "str 1 q\"; key 2/k z; set 0 null",
                  "[null, \"q\\\"\", {\"z\": []}]");
    expect_edited(" 5 ", "set / 6", " 6 ");
    expect_edited("[1]", "set 0 2; set 0 3", "[3]");
    expect_edited("{\"a\": {\"b\": 1}}", "set a/b 2; set a 9", "{\"a\": 9}");
    expect_edited("[1, 2]", "", "[1, 2]");
}

static void test_cuts(void **state)
{
    (void)state;
    expect_edited("[1, 2, 3]", "cut 0", "[2, 3]");
    expect_edited("[1, 2, 3]", "cut 1", "[1, 3]");
    expect_edited("[1, 2, 3]", "cut 2", "[1, 2]");
    expect_edited("[1, 2, 3]", "cut 0; cut 1", "[3]");
    expect_edited("[1, 2, 3]", "cut 2; cut 1", "[1]");
    expect_edited("[1, 2, 3]", "cut 0; cut 2", "[2]");
    expect_edited("[1, 2, 3]", "cut 0; cut 1; cut 2", "[]");
    expect_edited("[1, 2, 3]", "cut 1; cut 1", "[1, 3]");
    expect_edited("[1,2,3,4,5]", "cut 0; cut 2; cut 3", "[2,5]");
    expect_edited("[ 1 , 2 , 3 ]", "cut 0", "[ 2 , 3 ]");
    expect_edited("[\n  1,\n  2,\n  3\n]", "cut 0", "[\n  2,\n  3\n]");
    expect_edited("[\n  1,\n  2,\n  3\n]", "cut 1", "[\n  1,\n  3\n]");
    expect_edited("[\n  1,\n  2,\n  3\n]", "cut 2", "[\n  1,\n  2\n]");
    expect_edited("[\n  1,\n  2,\n  3\n]", "cut 0; cut 1; cut 2", "[]");
    expect_edited("{\n  \"a\": 1,\n  \"b\": {\"c\": [2], \"d\": 3}\n}", "cut b/c/0; cut a",
                  "{\n  \"b\": {\"c\": [], \"d\": 3}\n}");
    expect_edited("{\"a\": 1}", "cut a", "{}");
    /* an edit inside of what is cut is lost with it, one beside it is not */
    expect_edited("[[1], [2], [3]]", "cut 0; set 0/0 9; set 1/0 8; cut 2; cut 2/0", "[[8]]");
    expect_edited("{\"a\": 1, \"b\": 2}", "key a x; set a 3; cut a; key b y", "{\"y\": 2}");
    expect_edited("[1, 2, 3]", "set 0 7; cut 1; set 2 8", "[7, 8]");
}

static void test_additions(void **state)
{
    (void)state;
    expect_edited("{\"a\": 1, \"b\": 2}", "add a c 3", "{\"a\": 1, \"c\": 3, \"b\": 2}");
    expect_edited("{\"a\": 1, \"b\": 2}", "add b c 3; add b d 4", "{\"a\": 1, \"b\": 2, \"c\": 3, \"d\": 4}");
    expect_edited("{\n  \"a\": 1\n}", "add a c 3", "{\n  \"a\": 1,\n  \"c\": 3\n}");
    expect_edited("{\"a\": 1}", "add a c 3", "{\"a\": 1, \"c\": 3}");
    expect_edited("{\"a\":1}", "add a c 3", "{\"a\":1,\"c\":3}");
    expect_edited("{\"a\":1,\n \"b\":2}", "add a c 3; set a 5; cut b", "{\"a\":5,\n \"c\":3}");
    expect_edited("{\"x\": 0, \"a\": 1}", "add x c 3; cut a; add a d 4", "{\"x\": 0, \"c\": 3}");
    expect_edited("{\"a\": 1, \"b\": 2, \"c\": [5]}", "cut a; add b z 1; cut c/0; add c y 2",
                  "{\"b\": 2, \"z\": 1, \"c\": [], \"y\": 2}");
}

static void test_strings_as_python(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_json_str(&b, "a\"b\\c/\b\f\n\r\t\x01\x1f\x7f\xc3\xa9");
    /* json.dumps(s, ensure_ascii=False) */
    assert_string_equal(b.s, "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\xc3\xa9\"");
    buf_clear(&b);
    buf_json_str(&b, "");
    assert_string_equal(b.s, "\"\"");
    buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_nul_bytes), cmocka_unit_test(test_python_numbers),
        cmocka_unit_test(test_depth),     cmocka_unit_test(test_part_of_text),
        cmocka_unit_test(test_questions), cmocka_unit_test(test_many_members),
        cmocka_unit_test(test_values),    cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_additions), cmocka_unit_test(test_strings_as_python),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
