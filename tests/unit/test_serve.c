/* test_serve.c - src/serve without a server: the stream, the answers, the rows of prompts, the addresses. The
 * events expected are those of the HTML standard, "Server-sent events", whose examples are among the
 * cases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "serve/answer.h"
#include "serve/client.h"
#include "serve/prompts.h"
#include "serve/sse.h"
#include "tempdir.h"

#include <string.h>

static void expect_err(struct err *e, enum err_code code, const char *part)
{
    if (e->code != code || !strstr(e->msg, part))
        fail_msg("code %d with '%s' expected, got %d: %s", code, part, e->code, e->msg);
    err_clear(e);
}

/* ---- the stream ---- */

static bool collect(void *ctx, const char *data, size_t n, struct err *e)
{
    (void)e;
    assert_int_equal(data[n], 0);
    buf_add(ctx, data, n);
    buf_char(ctx, '|');
    return true;
}

/* Events of `in`, each followed by '|', when it comes in pieces of k bytes. */
static void expect_events(const char *in, size_t n, size_t k, const char *want)
{
    struct sse s = {0};
    struct buf got = {0};
    struct err e = {0};
    buf_str(&got, "");
    for (size_t at = 0; at < n; at += k)
        assert_true(sse_feed(&s, in + at, n - at < k ? n - at : k, collect, &got, &e));
    assert_string_equal(got.s, want);
    sse_clear(&s);
    buf_clear(&got);
}

static void test_sse_events(void **state)
{
    static const struct {
        const char *in, *want;
    } cases[] = {
        {"data: a\n\ndata: b\n\n", "a|b|"},
        {"data: a\r\n\r\ndata: b\r\n\r\n", "a|b|"},
        {"data: a\r\rdata: b\r\r", "a|b|"},
        {"data:a\n\n", "a|"},
        {"data:  a\n\n", " a|"}, /* one space belongs to the format */
        {"data: a\ndata: b\n\n", "a\nb|"},
        {"data: YHOO\ndata: +2\ndata: 10\n\n", "YHOO\n+2\n10|"}, /* from the standard */
        {"data\n\ndata\ndata\n\ndata:", "|\n|"},                 /* from the standard */
        {"data:test\n\ndata: test\n\n", "test|test|"},           /* from the standard */
        {": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
         "first event|second event| third event|"}, /* from the standard, its end completed */
        {"data: cut", ""},
        {"data: cut\n", ""},
        {"dat: x\n\ndatax: y\n\ndata : z\n\n Data: w\n\n", ""},
        {"event: e\nretry: 5\n\n\n\n", ""},
        {"\xef\xbb\xbf"
         "data: a\n\n",
         "a|"},
        {"\xef\xbb\xbf\xef\xbb\xbf"
         "data: a\n\n",
         ""}, /* one only */
        {"x\xbb\xbf"
         "data: a\n\n",
         ""},
        {"data: \xc3\xbc\n\n", "\xc3\xbc|"},
        {"", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t k = 1; k <= 8; k++)
            expect_events(cases[i].in, strlen(cases[i].in), k, cases[i].want);
}

static bool refuse(void *ctx, const char *data, size_t n, struct err *e)
{
    (void)ctx, (void)data, (void)n;
    return err_set(e, ERR_FAILED, "enough");
}

static void test_sse_limits(void **state)
{
    struct sse s = {0};
    struct err e = {0};
    char *big = xmalloc(SSE_MAX_EVENT);
    (void)state;
    assert_false(sse_feed(&s, "data: a\n\n", 9, refuse, NULL, &e));
    expect_err(&e, ERR_FAILED, "enough");
    sse_clear(&s);
    memset(big, 'x', SSE_MAX_EVENT);
    assert_true(sse_feed(&s, big, SSE_MAX_EVENT, refuse, NULL, &e)); /* no event yet */
    assert_false(sse_feed(&s, "x", 1, refuse, NULL, &e));
    expect_err(&e, ERR_FAILED, "event of more than");
    sse_clear(&s);
    free(big);
}

/* ---- answers ---- */

static bool event(struct answer *a, const char *s, struct err *e)
{
    return answer_event(a, s, strlen(s), e);
}

static void test_answer_chat(void **state)
{
    struct answer a = {0};
    struct err e = {0};
    (void)state;
    assert_true(
        event(&a, "{\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null}}]}", &e));
    assert_null(a.text.s);
    assert_true(event(&a, "{\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"hm\"}}]}", &e));
    assert_true(event(
        &a, "{\"choices\":[{\"index\":0,\"delta\":{\"reasoning\":\"m\",\"reasoning_content\":null}}]}", &e));
    assert_true(event(&a, "{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"other\"}}]}", &e));
    assert_true(event(&a, "{\"choices\":[{\"delta\":{\"content\":\"a\"}}]}", &e));
    assert_true(event(
        &a, "{\"choices\":[{\"delta\":{\"content\":\"b\"},\"finish_reason\":\"length\"}],\"error\":null}",
        &e));
    assert_true(event(&a, "{\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}", &e));
    assert_false(a.done);
    assert_true(event(&a, "[DONE]", &e));
    assert_true(a.done && a.has_usage && a.prompt_tokens == 3 && a.completion_tokens == 4);
    assert_true(event(&a, "no matter what", &e));
    assert_string_equal(a.text.s, "ab");
    assert_string_equal(a.reasoning.s, "hmm");
    assert_string_equal(a.finish, "length");
    answer_clear(&a);
}

static void test_answer_whole(void **state)
{
    static const char *const body =
        "{\"choices\":[{\"index\":0,\"text\":\"t\",\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1}}";
    struct answer a = {0};
    struct err e = {0};
    (void)state;
    assert_true(answer_body(&a, body, strlen(body), &e));
    assert_string_equal(a.text.s, "t");
    assert_true(a.done && a.has_usage && a.completion_tokens == 0);
    answer_clear(&a);
    assert_false(answer_body(&a, "{\"choices\":[]}", 14, &e));
    expect_err(&e, ERR_FAILED, "no 'finish_reason'");
    answer_clear(&a);
}

static void test_answer_bad(void **state)
{
    static const struct {
        const char *in, *part;
    } cases[] = {
        {"", "not valid JSON"},
        {"[DONE", "not valid JSON"},
        {"[]", "'choices' is missing"},
        {"{}", "'choices' is missing"},
        {"{\"choices\":{}}", "'choices' is an object"},
        {"{\"choices\":[5]}", "a choice is an integer"},
        {"{\"choices\":[{\"delta\":{\"content\":true}}]}", "'content' is true"},
        {"{\"choices\":[{\"text\":1.5}]}", "'text' is a number"},
        {"{\"choices\":[{\"text\":\"\",\"finish_reason\":1}]}", "'finish_reason' is an integer"},
        {"{\"error\":{\"message\":\"a\\u001bb\\n\"}}", "reports an error: a?b"},
        {"{\"error\":\"plain\"}", "reports an error: plain"},
        {"{\"error\":5}", "reports an error: no message"},
        {"{\"choices\":[{\"delta\":{\"content\":{}}}]}", "'content' is an object"},
        {"{\"choices\":[{\"delta\":{\"content\":[{\"type\":\"image\"}]}}]}",
         "a part of 'content' has no 'text'"},
        {"{\"choices\":[{\"delta\":{\"tool_calls\":{}}}]}", "'tool_calls' is an object, expected a list"},
        {"{\"choices\":[{\"delta\":{\"tool_calls\":[1]}}]}",
         "'tool_calls' is an integer, expected a list of"},
        {"{\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":\"f\"}]}}]}", "'function' is a string"},
        {"{\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"arguments\":[]}}]}}]}",
         "'arguments' is a list"},
        {"{\"choices\":[{\"delta\":{\"tool_calls\":[{\"type\":\"custom\",\"custom\":{}}]}}]}",
         "a call of type 'custom'"},
        {"{\"choices\":[{\"delta\":{\"function_call\":[]}}]}", "'function_call' is a list"},
        {"{\"choices\":[{\"delta\":{\"refusal\":1}}]}", "'refusal' is an integer"},
        {"{\"choices\":[],\"choices\":[]}", "not valid JSON"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer a = {0};
        struct err e = {0};
        assert_false(event(&a, cases[i].in, &e));
        expect_err(&e, ERR_FAILED, cases[i].part);
        answer_clear(&a);
    }
}

/* The pieces of an answer, and what they come to: "name(arguments)" with its id in front, "old" for function_call;
 * behind '|' the text, behind '~' the reasoning, behind '!' the refusal. */
static const struct joined {
    const char *want, *deltas[6];
} joined[] = {
    /* as llama-server and OpenAI stream them */
    {"c1:f({\"a\": 1})c2:g({})|",
     {"{\"role\":\"assistant\",\"content\":null}",
      "{\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}",
      "{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\": \"}}]}",
      "{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]}",
      "{\"tool_calls\":[{\"index\":1,\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]}"}},
    /* in turns; the name in two pieces, id and name repeated */
    {"x:get_it(12)y:put(3)|",
     {"{\"tool_calls\":[{\"index\":0,\"id\":\"x\",\"function\":{\"name\":\"get\"}},{\"index\":1,\"id\":\"y\",\"function\":{\"name\":\"put\"}}]}",
      "{\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"_it\"}}]}",
      "{\"tool_calls\":[{\"index\":0,\"id\":\"x\",\"function\":{\"name\":\"get_it\",\"arguments\":\"1\"}}]}",
      "{\"tool_calls\":[{\"index\":1,\"function\":{\"name\":null,\"arguments\":\"3\"}}]}",
      "{\"tool_calls\":[{\"index\":0,\"id\":null,\"function\":{\"arguments\":\"2\"}}]}"}},
    /* no index; an index given twice; no id either */
    {":f(1):g(2)|",
     {"{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}",
      "{\"tool_calls\":[{\"function\":{\"arguments\":\"1\"}},{\"function\":{\"name\":\"g\",\"arguments\":\"2\"}}]}"}},
    {"a:f(1)b:f(2)|",
     {"{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"1\"}}]}",
      "{\"tool_calls\":[{\"index\":0,\"id\":\"b\",\"function\":{\"name\":\"f\",\"arguments\":\"2\"}}]}"}},
    {":f(1):g(2)|",
     {"{\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"f\",\"arguments\":\"1\"}}]}",
      "{\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"g\",\"arguments\":\"2\"}}]}"}},
    /* arguments as an object; the older form; text beside a call */
    {":f({\"a\":[1,2.5]})|so",
     {"{\"content\":\"so\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"a\":[1,2.5]}}}]}"}},
    {"old:f({})|",
     {"{\"function_call\":{\"name\":\"f\",\"arguments\":\"{\"}}",
      "{\"function_call\":{\"arguments\":\"}\"},\"tool_calls\":null}"}},
    /* content as parts, thoughts under all their names, a refusal */
    {"|ab~hmm!no",
     {"{\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"h\"}]},{\"type\":\"text\",\"text\":\"a\"}]}",
      "{\"reasoning_content\":\"\",\"reasoning\":\"m\"}", "{\"reasoning_content\":\"m\",\"reasoning\":\"m\"}",
      "{\"content\":\"b\",\"refusal\":\"no\"}"}},
    /* what no text can hold is replaced, the rest stays: escapes of escapes, pairs, every plane */
    {"|a\xe2\x90\x80z\xef\xbf\xbd\xef\xbf\xbdq\xf0\x9f\x98\x80\\u0000",
     {"{\"content\":\"a\\u0000z\\ud800\"}", "{\"content\":\"\\uDFFFq\\ud83d\\uDE00\\\\u0000\"}"}},
    {"|\xef\xbf\xbd\xc3\xbc\xef\xbf\xbd\xef\xbf\xbd.", {"{\"content\":\"\xff\xc3\xbc\xed\xa0.\"}"}},
    {":f\xe2\x90\x80({\"\\u0000\":1})|",
     {"{\"tool_calls\":[{\"function\":{\"name\":\"f\\u0000\",\"arguments\":\"{\\\"\\\\u0000\\\":1}\"}}]}"}},
};

static void add_call_text(struct buf *b, const char *id, const json_t *f)
{
    buf_fmt(b, "%s:%s(%s)", id, json_string_value(json_object_get(f, "name")),
            json_string_value(json_object_get(f, "arguments")));
}

static void test_answer_joined(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof joined / sizeof *joined; i++) {
        struct answer a = {0};
        struct err e = {0};
        struct buf b = {0};
        for (size_t k = 0; k < 6 && joined[i].deltas[k]; k++) {
            char *s = xasprintf("{\"choices\":[{\"delta\":%s}]}", joined[i].deltas[k]);
            if (!event(&a, s, &e))
                fail_msg("case %zu: %s", i, e.msg);
            free(s);
        }
        json_t *list = answer_tool_calls(&a), *old = answer_function_call(&a);
        for (size_t k = 0; k < json_array_size(list); k++) {
            const char *id = json_string_value(json_object_get(json_array_get(list, k), "id"));
            add_call_text(&b, id ? id : "", json_object_get(json_array_get(list, k), "function"));
        }
        if (old)
            add_call_text(&b, "old", old);
        buf_fmt(&b, "|%s", a.text.s ? a.text.s : "");
        if (a.reasoning.s)
            buf_fmt(&b, "~%s", a.reasoning.s);
        if (a.refusal.s)
            buf_fmt(&b, "!%s", a.refusal.s);
        assert_string_equal(b.s, joined[i].want);
        json_decref(list);
        json_decref(old);
        buf_clear(&b);
        answer_clear(&a);
    }
}

static void test_answer_replaced(void **state)
{
    struct answer a = {0};
    struct err e = {0};
    (void)state;
    assert_true(event(&a, "{\"choices\":[{\"text\":\"\\u0000\\u0000\\udc00\xff\"}]}", &e));
    assert_int_equal(a.mended.n_nul, 2);
    assert_int_equal(a.mended.n_invalid, 2);
    answer_clear(&a);
    assert_int_equal(a.mended.n_nul, 0);
    /* what is no escape stays for the parser to refuse */
    static const char *const bad[] = {"{\"a\":\"\\u00\"}", "{\"a\":\"\\u\x10\x10\x10\x10\"}", "{\"a\":\"\\",
                                      "\\", "\xff"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(event(&a, bad[i], &e));
        expect_err(&e, ERR_FAILED, "not valid JSON");
    }
    answer_clear(&a);
}

/* What llama-server cannot read is an answer, other errors are none. */
static void test_answer_malformed(void **state)
{
    static const char *const no_match =
        "{\"error\":{\"code\":500,\"message\":\"The model produced output that does not match the expected peg-native format\"}}";
    static const char *const others[] = {"", "oops", "{\"error\":\"kaput\"}", "{\"error\":{}}", "[]"};
    struct answer a = {0};
    struct err e = {0};
    (void)state;
    assert_true(event(&a, "{\"choices\":[{\"delta\":{\"content\":\"so\"}}]}", &e));
    assert_true(event(&a, no_match, &e));
    assert_true(a.malformed && a.done);
    assert_string_equal(a.finish, "malformed");
    assert_string_equal(a.text.s, "so");
    answer_clear(&a);
    assert_true(answer_malformed(&a, no_match, strlen(no_match)));
    assert_true(a.malformed && a.done && !a.n_bytes);
    answer_clear(&a);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(answer_malformed(&a, others[i], strlen(others[i])));
    assert_false(a.malformed || a.done);
}

static void test_answer_finish_cut(void **state)
{
    /* 31 bytes fit; the two-byte letter would be cut in half */
    static const char *const in =
        "{\"choices\":[{\"text\":\"\",\"finish_reason\":\"123456789012345678901234567890\xc3\xbc\"}]}";
    struct answer a = {0};
    struct err e = {0};
    (void)state;
    assert_true(event(&a, in, &e));
    assert_string_equal(a.finish, "123456789012345678901234567890");
    answer_clear(&a);
}

static void test_error_text(void **state)
{
    static const struct {
        const char *in, *want;
    } cases[] = {
        {"{\"error\":{\"code\":400,\"message\":\"m\"}}", "m"},
        {"{\"message\":\"m\"}", "m"},
        {"{\"detail\":\"d\"}", "d"},
        {"{\"error\":\"e\"}", "e"},
        {"<html>\n", "<html>"},
        {"a\x1b[2Jb\nc", "a?[2Jb?c"},
        {"{\"error\":{\"message\":[]}}", "{\"error\":{\"message\":[]}}"},
        {" \n", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = {0};
        buf_str(&b, "");
        answer_error_text(&b, cases[i].in, strlen(cases[i].in));
        assert_string_equal(b.s, cases[i].want);
        buf_clear(&b);
    }
    struct buf b = {0}, in = {0};
    for (int i = 0; i < 299; i++)
        buf_char(&in, 'x');
    buf_str(&in, "\xc3\xbc and more");
    answer_error_text(&b, in.s, in.n);
    assert_int_equal(b.n, 302); /* 299 and three dots: no half a letter */
    assert_null(strchr(b.s, '?'));
    buf_clear(&b);
    buf_clear(&in);
}

/* ---- prompts ---- */

static void test_rows(void **state)
{
    static const char *const row =
        "{\"id\":7,\"prompt\":\"p\",\"system\":\"s\",\"top_k\":3,\"temperature\":null,\"parameters\":{\"top_k\":4,\"x\":[1]},\"y\":2}";
    struct prompt p;
    struct err e = {0};
    (void)state;
    assert_true(prompts_parse_row(row, strlen(row), &p, &e));
    assert_string_equal(p.id, "7");
    assert_null(p.category);
    assert_false(p.is_text);
    assert_int_equal(json_array_size(p.messages), 2);
    assert_string_equal(prompt_text(&p), "p");
    assert_int_equal(json_object_size(p.parameters), 2);
    assert_int_equal(json_integer_value(json_object_get(p.parameters, "top_k")), 4);
    prompt_clear(&p);
}

/* ROW, and what becomes of it: parameters without white space, or what the error says behind '!'. */
static void test_rows_with_tools(void **state)
{
    static const struct {
        const char *row, *id, *want;
        size_t n_messages;
    } cases[] = {
        {"{\"id\":\"a\",\"prompt\":\"p\",\"tools\":[{\"type\":\"function\"}],\"tool_choice\":\"auto\",\"parallel_tool_calls\":false,"
         "\"response_format\":{\"type\":\"json_object\"},\"chat_template_kwargs\":{\"enable_thinking\":false}}",
         "a",
         "{\"chat_template_kwargs\":{\"enable_thinking\":false},\"parallel_tool_calls\":false,\"response_format\":{\"type\":\"json_object\"},"
         "\"tool_choice\":\"auto\",\"tools\":[{\"type\":\"function\"}]}",
         1},
        {"{\"prompt\":\"p\",\"tools\":\"[{\\\"a\\\":1}]\"}", NULL, "{\"tools\":[{\"a\":1}]}", 1},
        {"{\"prompt\":\"p\",\"tools\":[]}", NULL, "{}", 1},
        {"{\"prompt\":\"p\",\"tools\":\"none\"}", NULL, "!'tools' is a string that is no JSON", 0},
        {"{\"prompt\":\"p\",\"tools\":{}}", NULL, "!'tools' is an object, expected a list", 0},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"tool_calls\":[]},{\"role\":\"tool\",\"content\":null},"
         "{\"role\":\"assistant\",\"content\":null}]}",
         NULL, "{}", 4},
        {"{\"messages\":[{\"role\":\"user\",\"content\":null}]}", NULL, "!'content' is null", 0},
        {"{\"prompt\":[{\"role\":\"user\",\"content\":\"q\"}]}", NULL, "{}", 1},
        {"{\"custom_id\":\"c\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{\"model\":\"m\",\"stream\":true,\"n\":1,"
         "\"messages\":[{\"role\":\"user\",\"content\":\"q\"}],\"max_completion_tokens\":5,\"odd\":null,\"more\":1}}",
         "c", "{\"max_completion_tokens\":5,\"more\":1}", 1},
        {"{\"custom_id\":\"c\",\"body\":{\"prompt\":\"p\",\"n\":2}}", NULL, "!may not hold 'n'", 0},
        {"{\"id\":123456789012345678901234567890,\"prompt\":\"p\",\"score\":NaN,\"top_p\":0.5}",
         "123456789012345678901234567890", "{\"top_p\":0.5}", 1},
        {"{\"prompt\":\"p\",\"top_p\":NaN}", NULL, "!row: the number NaN cannot be sent", 0},
        {"{\"custom_id\":\"c\",\"body\":{}}", NULL, "!either 'prompt' or 'messages'", 0},
        {"{\"custom_id\":\"c\",\"method\":\"GET\",\"body\":{\"prompt\":\"p\"}}", NULL, "!'method' is 'GET'",
         0},
        {"{\"custom_id\":\"c\",\"url\":\"/v1/embeddings\",\"body\":{\"prompt\":\"p\"}}", NULL,
         "!'url' is '/v1/embeddings'", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct prompt p;
        struct err e = {0};
        bool ok = prompts_parse_row(cases[i].row, strlen(cases[i].row), &p, &e);
        if (ok != (cases[i].want[0] != '!'))
            fail_msg("case %zu: %s", i, e.msg);
        if (!ok) {
            expect_err(&e, ERR_INPUT, cases[i].want + 1);
            continue;
        }
        char *s = json_dumps(p.parameters, JSON_COMPACT | JSON_SORT_KEYS);
        assert_string_equal(s, cases[i].want);
        assert_int_equal(json_array_size(p.messages), cases[i].n_messages);
        assert_true(cases[i].id ? p.id && !strcmp(p.id, cases[i].id) : !p.id);
        free(s);
        prompt_clear(&p);
    }
}

/* What a row holds and is not sent. */
static void test_rows_unused(void **state)
{
    static const char *const row =
        "{\"prompt\":\"p\",\"tools\":[],\"answer\":\"a\",\"none\":null,\"top_p\":1}";
    struct prompt p;
    struct err e = {0};
    (void)state;
    assert_true(prompts_parse_row(row, strlen(row), &p, &e));
    assert_int_equal(json_object_size(p.unused), 1);
    assert_non_null(json_object_get(p.unused, "answer"));
    prompt_clear(&p);
}

static void test_prompt_files(void **state)
{
    struct prompts p = {0};
    struct err e = {0};
    (void)state;
    put("q/b/two.txt", "\xef\xbb\xbf"
                       "two\n\n");
    put("q/b/deep/three.md", "  three");
    put("q/one.txt", "one\r\n");
    put("q/z.jsonl", "\n{\"prompt\":\"four\"}\r\n\n{\"id\":\"x\",\"category\":\"c\",\"prompt\":\"five\"}");
    put("q/.git/no.txt", "no");
    assert_true(prompts_load(&p, at("q"), &e));
    assert_true(prompts_check(&p, &e));
    static const char *const want[][3] = {{"b/deep/three.md", "b", "  three"},
                                          {"b/two.txt", "b", "two"},
                                          {"one.txt", NULL, "one"},
                                          {"z.jsonl:2", NULL, "four"},
                                          {"x", "c", "five"}};
    assert_int_equal(p.n, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(p.v[i].id, want[i][0]);
        assert_true(p.v[i].is_text);
        assert_string_equal(prompt_text(&p.v[i]), want[i][2]);
        if (want[i][1])
            assert_string_equal(p.v[i].category, want[i][1]);
        else
            assert_null(p.v[i].category);
    }
    assert_true(prompts_load(&p, at("q/one.txt"), &e));
    assert_false(prompts_check(&p, &e)); /* the same id again */
    expect_err(&e, ERR_INPUT, "id 'one.txt'");
    prompts_free(&p);
}

/* ---- addresses ---- */

static void test_addresses(void **state)
{
    static const struct {
        const char *in, *want;
        bool local;
    } good[] = {
        {"http://127.0.0.1:8080", "http://127.0.0.1:8080", true},
        {"http://127.0.0.1:8080/", "http://127.0.0.1:8080", true},
        {"http://localhost:1/v1", "http://localhost:1", true},
        {"http://[::1]:1/v1/", "http://[::1]:1", true},
        {"https://api.example.org/llm/v1/#x", "https://api.example.org/llm", false},
        {"http://127.example.org/", "http://127.example.org", false},
        {"HTTP://localhost.example.org", "http://localhost.example.org", false},
        {"127.0.0.1:8080", "http://127.0.0.1:8080", true}, /* no scheme: http */
        {"localhost:8080/v1", "http://localhost:8080", true},
        {"localhost", "http://localhost", true},
        {"gpu-box:8000/v1/", "http://gpu-box:8000", false},
        {":8080", "http://127.0.0.1:8080", true},
        {":8080/v1", "http://127.0.0.1:8080", true},
        {"[::1]:8080", "http://[::1]:8080", true},
        {"[fe80::1]/v1", "http://[fe80::1]", false},
    };
    static const char *const bad[] = {"",
                                      "ftp://x/",
                                      "file:///etc/passwd",
                                      "http://",
                                      "http://u@x",
                                      "http://u:p@x",
                                      "http://x?y",
                                      "http://x:99999",
                                      "x:99999",
                                      "u:p@x:80",
                                      "::1:8080",
                                      "::1",
                                      ":",
                                      "8080",
                                      "http:/x",
                                      "a b:80",
                                      "x:y"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct err e = {0};
        char *base = http_base_url(good[i].in, &e);
        assert_non_null(base);
        assert_string_equal(base, good[i].want);
        assert_int_equal(http_is_local(base), good[i].local);
        free(base);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = {0};
        if (http_base_url(bad[i], &e))
            fail_msg("'%s' is taken", bad[i]);
        assert_int_equal(e.code, ERR_INPUT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sse_events),
        cmocka_unit_test(test_sse_limits),
        cmocka_unit_test(test_answer_chat),
        cmocka_unit_test(test_answer_whole),
        cmocka_unit_test(test_answer_bad),
        cmocka_unit_test(test_answer_joined),
        cmocka_unit_test(test_answer_replaced),
        cmocka_unit_test(test_answer_malformed),
        cmocka_unit_test(test_answer_finish_cut),
        cmocka_unit_test(test_error_text),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_rows_with_tools),
        cmocka_unit_test(test_rows_unused),
        cmocka_unit_test_setup_teardown(test_prompt_files, tempdir_setup, tempdir_teardown),
        cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
