/* test_source.c - src/corpus/source.c: which files a source is, their names and categories, and their lines;
 * and that calibration text and prompts read the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "corpus/corpus.h"
#include "corpus/source.h"
#include "serve/prompts.h"
#include "tempdir.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int setup(void **state)
{
    log_quiet = true;
    return tempdir_setup(state);
}

/* ---- files ---- */

struct seen {
    struct buf b;
    int stop; /* the visit that ends it; 0: none */
    int n;
};

static bool note(void *ud, const struct source_file *f, struct err *e)
{
    struct seen *s = ud;
    buf_fmt(&s->b, "%s|%s|%d\n", f->name, f->category ? f->category : "-", f->folder != NULL);
    return ++s->n != s->stop || err_set(e, ERR_FAILED, "enough");
}

static void test_walk(void **state)
{
    (void)state;
    struct seen s = {.b = {0}};
    struct err e = {0};
    put("f/b.txt", "");
    put("f/a/z.txt", "");
    put("f/a/deep/y.jsonl", "");
    put("f/B/x", "");
    put("f/.hidden/x", "");
    put("f/a/.x", "");
    assert_int_equal(mkfifo(at("f/pipe"), 0600), 0);
    assert_true(source_walk(at("f"), note, &s, &e));
    assert_string_equal(s.b.s, "B/x|B|1\na/deep/y.jsonl|a|1\na/z.txt|a|1\nb.txt|-|1\n");
    buf_clear(&s.b);
    assert_true(source_walk(at("f/a/z.txt"), note, &s, &e) && source_walk("-", note, &s, &e));
    assert_string_equal(s.b.s, "z.txt|-|0\n-|-|0\n");
    buf_clear(&s.b);
    s.n = 0, s.stop = 2;
    assert_false(source_walk(at("f"), note, &s, &e));
    assert_int_equal(s.n, 2);
    assert_string_equal(e.msg, "enough");
    buf_clear(&s.b);
}

static void walk_fails(const char *name, const char *says)
{
    struct seen s = {.b = {0}};
    struct err e = {0};
    assert_false(source_walk(at(name), note, &s, &e));
    if (!strstr(e.msg, says))
        fail_msg("'%s' does not say '%s'", e.msg, says);
    buf_clear(&s.b);
}

static void test_walk_ends(void **state)
{
    (void)state;
    put("loop/a/x", "");
    assert_int_equal(symlink("..", at("loop/a/up")), 0);
    walk_fails("loop", "link back to a folder above");
    put("d/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/x", "");
    walk_fails("d", "more than 16 deep");
    put("gone/x", "");
    assert_int_equal(symlink("nowhere", at("gone/y")), 0);
    walk_fails("gone", "is a link to 'nowhere', which does not exist");
}

/* ---- lines ---- */

static bool line(void *ud, uint32_t no, const char *s, size_t n, struct err *e)
{
    (void)e;
    buf_fmt(ud, "%u:%.*s;", no, (int)n, s);
    return true;
}

static void test_lines(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", ""},
        {"a", "1:a;"},
        {"a\n", "1:a;"},
        {"a\nb", "1:a;2:b;"},
        {"\n\r\n \t\n", ""},
        {"  a \t\r\n", "1:  a;"},
        {"\n\nb\r\n", "3:b;"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = {0};
        struct err e = {0};
        buf_str(&b, "");
        assert_true(source_lines(cases[i].text, strlen(cases[i].text), line, &b, &e));
        assert_string_equal(b.s, cases[i].want);
        buf_clear(&b);
    }
    struct buf b = {0}; /* a NUL is no white space */
    struct err e = {0};
    assert_true(source_lines("\0\n", 2, line, &b, &e));
    assert_int_equal(b.n, 3);
    buf_clear(&b);
}

/* ---- both readers ---- */

/* A byte order mark, an ending in capitals, a line end of DOS: rows for the one as for the other. */
static void test_same(void **state)
{
    (void)state;
    struct corpus c;
    struct prompts p = {0};
    struct err e = {0};
    put("f/one/ROWS.JSONL",
        "\xef\xbb\xbf{\"prompt\": \"a\", \"id\": 7}\r\n\n{\"prompt\": \"b\", \"id\": null}\n");
    put("f/text", "\xef\xbb\xbfhello");
    const char *spec = at("f");
    struct corpus_opts o = {.specs = &spec, .n_specs = 1};
    if (!corpus_load(&o, &c, &e) || !prompts_load(&p, spec, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(c.n_samples, 3);
    assert_int_equal(p.n, 3);
    static const char *const text[] = {"a", "b", "hello"}, *const id[] = {"7", "one/ROWS.JSONL:3", "text"};
    for (uint32_t i = 0; i < 3; i++) {
        const struct sample *s = &c.samples[i];
        assert_string_equal(s->kind == SAMPLE_TEXT
                                ? s->text
                                : json_string_value(json_object_get(
                                      json_array_get(json_object_get(s->chat, "messages"), 0), "content")),
                            text[i]);
        assert_string_equal(prompt_text(&p.v[i]), text[i]);
        assert_string_equal(p.v[i].id, id[i]);
    }
    assert_string_equal(c.categories[c.samples[0].category], p.v[0].category);
    corpus_free(&c);
    prompts_free(&p);
}

/* Rows in other forms and shapes: a prompt is what they ask, without the answer. */
static void test_prompts_of_forms(void **state)
{
    (void)state;
    struct prompts p = {0};
    struct err e = {0};
    put("p/a.json",
        "[{\"instruction\": \"i\", \"input\": \"x\", \"output\": \"o\"},\n {\"id\": 7.0, \"question\": "
        "\"q\", \"answer\": \"a\", \"max_tokens\": 5}]");
    put("p/b.jsonl",
        "{\"conversations\": [{\"from\": \"human\", \"value\": \"u\"}, {\"from\": \"gpt\", \"value\": "
        "\"a\"}], \"tools\": \"[{\\\"name\\\": \\\"f\\\"}]\", \"functions\": null}\n");
    if (!prompts_load(&p, at("p"), &e))
        fail_msg("%s", e.msg);
    static const char *const text[] = {"i\n\nx", "q", "u"}, *const id[] = {"a.json:1", "7", "b.jsonl:1"};
    assert_int_equal(p.n, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_string_equal(prompt_text(&p.v[i]), text[i]);
        assert_string_equal(p.v[i].id, id[i]);
    }
    assert_true(p.v[0].is_text);
    assert_int_equal(json_integer_value(json_object_get(p.v[1].parameters, "max_tokens")), 5);
    assert_int_equal(json_array_size(json_object_get(p.v[2].parameters, "tools")), 1);
    char *unused = json_dumps(p.unused, JSON_COMPACT); /* the answers are not sent, which is said */
    assert_string_equal(unused, "{\"output\":1,\"answer\":1}");
    free(unused);
    prompts_free(&p);
    put("q/rows.csv", "prompt\na\n");
    assert_false(prompts_load(&p, at("q"), &e));
    assert_non_null(strstr(e.msg, "a table of comma-separated values"));
    prompts_free(&p);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, tempdir_teardown)
    static const struct CMUnitTest tests[] = {T(test_walk), T(test_walk_ends), cmocka_unit_test(test_lines),
                                              T(test_same), T(test_prompts_of_forms)};
    return cmocka_run_group_tests_name("source", tests, NULL, NULL);
}
