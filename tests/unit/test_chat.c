/* test_chat.c - src/engine/chat.h: templates and conversations against what Hugging Face transformers makes of them
 * (tests/data/chat/README.md). Byte for byte; what transformers refuses is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "engine/chat.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DATA TEST_DATA_DIR "/chat/"
#define NOW  1785340805 /* the time in make_goldens.py */

static json_t *chats, *differs; /* conversations by name; cases that are known to differ */

static void read_file(const char *path, struct buf *b)
{
    struct err e = {0};
    if (!file_read_all(path, 1 << 24, b, &e))
        fail_msg("%s", e.msg);
}

static json_t *read_json(const char *path)
{
    struct buf b = {0};
    struct err e = {0};
    read_file(path, &b);
    json_t *v = json_parse(b.s, b.n, &e);
    if (!v)
        fail_msg("%s: %s", path, e.msg);
    buf_clear(&b);
    return v;
}

static json_t *read_lines(const char *path)
{
    struct buf b = {0};
    struct err e = {0};
    json_t *all = json_array();
    read_file(path, &b);
    for (size_t at = 0; at < b.n;) {
        char *end = memchr(b.s + at, '\n', b.n - at);
        assert_non_null(end);
        json_t *v = json_parse(b.s + at, (size_t)(end - b.s) - at, &e);
        if (!v)
            fail_msg("%s: %s", path, e.msg);
        json_array_append_new(all, v);
        at = (size_t)(end - b.s) + 1;
    }
    buf_clear(&b);
    return all;
}

static int setup(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    chats = read_json(DATA "chats.json");
    differs = read_lines(DATA "differs.jsonl");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    json_decref(chats);
    json_decref(differs);
    return 0;
}

static const char *get(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static bool is_known(const json_t *c)
{
    for (size_t i = 0; i < json_array_size(differs); i++) {
        const json_t *d = json_array_get(differs, i);
        if (!strcmp(get(d, "text"), get(c, "text")) && !strcmp(get(d, "template"), get(c, "template")) &&
            !strcmp(get(d, "case"), get(c, "case")))
            return true;
    }
    return false;
}

static json_t *variables(const json_t *chat, const char *bos, const char *eos)
{
    static const char *const lists[] = {"tools", "documents"};
    json_t *v = json_object();
    json_object_set(v, "messages", json_object_get(chat, "messages"));
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        json_t *list = json_object_get(chat, lists[i]);
        json_object_set(v, lists[i], list ? list : json_null());
    }
    json_object_set_new(v, "add_generation_prompt", json_false());
    json_object_set_new(v, "bos_token", json_string(bos));
    json_object_set_new(v, "eos_token", json_string(eos));
    json_t *more = json_object_get(chat, "chat_template_kwargs");
    if (more)
        json_object_update(v, more);
    return v;
}

/* Whether the rendering is the reference's; says what is otherwise, unless it is known. */
static bool check(const struct chat_template *t, const json_t *c, const char *chat, const char *name)
{
    struct buf got = {0};
    struct err e = {0};
    const json_t *conversation = json_object_get(chats, chat), *expected = json_object_get(c, "expected");
    const char *bos = get(c, "template")[0] ? get(c, "bos") : "<s>",
               *eos = get(c, "template")[0] ? get(c, "eos") : "</s>";
    assert_non_null(conversation);
    json_t *v = variables(conversation, bos, eos);
    bool ok = chat_template_render(t, v, NOW, &got, NULL, &e), same;
    assert_int_equal(ok, e.code == ERR_NONE);
    if (json_is_null(expected))
        same = !ok;
    else
        same = ok && got.n == json_string_length(expected) &&
               !memcmp(got.s ? got.s : "", json_string_value(expected), got.n);
    if (same == is_known(c)) {
        print_error("%s, %s: %s\n  expected: %s\n  got:      %.*s\n", name, chat,
                    same ? "is equal now, take it out of differs.jsonl" : "differs",
                    json_is_null(expected) ? get(c, "error") : json_string_value(expected),
                    (int)(ok ? got.n : strlen(e.msg)), ok ? (got.s ? got.s : "") : e.msg);
        same = false;
    } else {
        same = true;
    }
    buf_clear(&got);
    json_decref(v);
    return same;
}

static struct chat_template *parse(const char *text, size_t n, struct err *e)
{
    struct chat_template *t = chat_template_parse(text, n, e);
    if (!t && e->code == ERR_FAILED)
        skip(); /* a build without the interpreter */
    return t;
}

/* Small templates of one construct each. What Jinja2 refuses may be refused when it is parsed. */
static void constructs(void **state)
{
    (void)state;
    json_t *all = read_lines(DATA "constructs.jsonl");
    size_t wrong = 0;
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *c = json_array_get(all, i);
        struct err e = {0};
        struct chat_template *t = parse(get(c, "text"), strlen(get(c, "text")), &e);
        bool refused = json_is_null(json_object_get(c, "expected"));
        if (t) {
            wrong += !check(t, c, "tools", get(c, "text"));
        } else if (refused == is_known(c)) {
            print_error("%s: %s\n", get(c, "text"), e.msg);
            wrong++;
        }
        chat_template_free(t);
    }
    json_decref(all);
    assert_int_equal(wrong, 0);
}

/* Templates of models: those of this repository, and those of the engine's sources where they are. */
static void renderings(void **state)
{
    (void)state;
    json_t *all = read_lines(DATA "renderings.jsonl");
    const char *engine = getenv("ENGINE_SOURCE");
    struct chat_template *t = NULL;
    char last[128] = "";
    size_t wrong = 0, left_out = 0;
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *c = json_array_get(all, i);
        if (strcmp(get(c, "template"), last)) {
            char path[4096];
            struct buf b = {0};
            struct err e = {0};
            chat_template_free(t);
            t = NULL;
            snprintf(last, sizeof last, "%s", get(c, "template"));
            snprintf(path, sizeof path, DATA "templates/%s.jinja", last);
            if (!file_exists(path))
                snprintf(path, sizeof path, "%s/models/templates/%s.jinja", engine ? engine : "", last);
            if (file_exists(path)) {
                read_file(path, &b);
                t = parse(b.s, b.n, &e);
                if (!t)
                    fail_msg("%s: %s", path, e.msg);
                buf_clear(&b);
            }
        }
        left_out += !t;
        if (t)
            wrong += !check(t, c, get(c, "case"), last);
    }
    chat_template_free(t);
    json_decref(all);
    if (left_out)
        print_message("%zu renderings left out: their templates are in the engine's sources\n", left_out);
    assert_int_equal(wrong, 0);
}

/* Long texts take a time that grows with their length, and what looks at one again and again is refused, as is what makes
 * one without bound. */
static void long_texts(void **state)
{
    static const char looks[] = "20,000,000", size[] = "64 MiB";
    static const struct {
        const char *text, *expected; /* NULL: refused, which it says by */
        const char *says;
    } cases[] = {
        {"{{ t.split()|length }} {{ t.split()[1] }} {{ t.split(none, 1)[1]|length }}", "200000 ébc 799996",
         NULL},
        {"{{ t.split(' ')|length }} {{ t.split('é')|length }}", "200001 200001", NULL},
        {"{{ t[0] }}{{ t[-2] }}{{ t[:3] }}{{ t[4:6] }}{{ t[-4:-1] }}{{ t[9:3] }}", "écébcébébc", NULL},
        {"{{ t.strip()|length }} {{ t.strip(' c')|length }} {{ (t|reverse)[:5] }}", "799999 799998  cbé ",
         NULL},
        {"{{ t.replace('bc', '')|length }} {{ t.count('bc') }} {{ t.find('c') }} {{ t.rsplit('b', 1)[1] }}",
         "400000 200000 2 c ", NULL},
        {"{% set s = t[:50000] %}{% for i in range(90000) %}{{ 'x' in s or 'y' in s }}{% endfor %}", NULL,
         looks},
        {"{% set s = t[:50000] %}{% for i in range(90000) %}{% set u = s ~ i %}{% endfor %}", NULL, looks},
        {"{% for i in range(90000) %}{% set u = t|upper %}{% endfor %}", NULL, looks},
        /* what begins everywhere and ends nowhere */
        {"{% set s = 'a' * 4000000 %}{% set x = ('a' * 2000000) ~ 'b' %}{{ x in s }} {{ s.find(x) }} {{ s.count(x) }} "
         "{{ s.split(x)|length }} {{ s.replace(x, '')|length }}",
         "False -1 0 1 4000000", NULL},
        {"{{ t.rsplit(' ébc' * 100000 ~ 'x', 1) }}", NULL, looks},
        {"{{ ('x' * 8000000).join(range(9000)|map('string')) }}", NULL, size},
        {"{{ range(9000)|join('x' * 8000000) }}", NULL, size},
        {"{% set y = ('x' * 80000) * 100 %}{% set n = namespace(s='x'|safe) %}{% for i in range(9) %}"
         "{% set n.s = n.s + y %}{% endfor %}",
         NULL, size},
        {"{{ ('{0}' * 9000).format('x' * 8000000) }}", NULL, size},
        {"{{ ('a\n' * 9000)|indent('x' * 8000000) }}", NULL, size},
    };
    (void)state;
    struct buf b = {0};
    for (int i = 0; i < 200000; i++)
        buf_str(&b, "ébc ");
    json_t *vars = json_object();
    json_object_set_new(vars, "t", json_stringn(b.s, b.n));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        struct chat_template *t = parse(cases[i].text, strlen(cases[i].text), &e);
        buf_clear(&b);
        assert_int_equal(chat_template_render(t, vars, NOW, &b, NULL, &e), cases[i].expected != NULL);
        if (cases[i].expected)
            assert_string_equal(b.s, cases[i].expected);
        else
            assert_non_null(strstr(e.msg, cases[i].says));
        chat_template_free(t);
    }
    buf_clear(&b);
    json_decref(vars);
}

/* A walk over all messages before it for each message, as Gemma 4 has it: 3,200,000 steps. */
static void long_conversations(void **state)
{
    static const char text[] =
        "{% for m in messages %}{% set n = namespace(role='') %}{% for j in range(loop.index0 - 1, -1, -1) %}"
        "{% if not n.role %}{% set n.role = messages[j].role %}{% endif %}{% endfor %}{{ n.role }}{% endfor %}";
    (void)state;
    struct err e = {0};
    struct buf b = {0};
    json_t *vars = json_pack("{s:[]}", "messages"), *list = json_object_get(vars, "messages");
    for (int i = 0; i < 700; i++)
        json_array_append_new(list, json_pack("{s:s}", "role", i % 2 ? "a" : "u"));
    struct chat_template *t = parse(text, sizeof text - 1, &e);
    assert_true(chat_template_render(t, vars, NOW, &b, NULL, &e));
    assert_int_equal(b.n, 699);
    assert_memory_equal(b.s, "uaua", 4);
    chat_template_free(t);
    buf_clear(&b);
    json_decref(vars);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_conversations),
        cmocka_unit_test(long_texts),
        cmocka_unit_test(constructs),
        cmocka_unit_test(renderings),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
