/* test_card.c - src/hf/card: the model card, above all what becomes of front matter in its many forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "hf/card.h"

#include <math.h>
#include <string.h>

#define ID "org/base"

static const struct card_facts plain = {.n_experts = 8, .n_keep = 6, .base_id = ID};

/* The card without our section, which becomes "@". */
static char *without_section(const char *card)
{
    const char *from = strstr(card, "<!-- reap:begin -->"), *to = strstr(card, "<!-- reap:end -->");
    if (!from || !to || strstr(to + 1, "<!-- reap:"))
        fail_msg("not one section in:\n%s", card);
    to += strlen("<!-- reap:end -->");
    return xasprintf("%.*s@%s", (int)(from - card), card, to);
}

/* Writing the card of a card changes nothing. */
static void expect_stable(const char *card, const struct card_facts *f, bool ok)
{
    struct buf again = {0};
    assert_int_equal(card_write(&again, card, f), ok);
    assert_string_equal(again.s, card);
    buf_clear(&again);
}

static void expect_with(const struct card_facts *f, const char *readme, bool ok, const char *result)
{
    struct buf b = {0};
    if (card_write(&b, readme, f) != ok)
        fail_msg("%s returned for:\n%s", ok ? "false" : "true", readme);
    char *got = without_section(b.s);
    if (strcmp(got, result) != 0)
        fail_msg("of\n%s\nbecame\n%s\nexpected\n%s", readme ? readme : "(none)", got, result);
    expect_stable(b.s, f, ok);
    free(got);
    buf_clear(&b);
}

static void expect(const char *readme, const char *result)
{
    expect_with(&plain, readme, true, result);
}

#define OURS "base_model: " ID "\ntags:\n- reap\n- expert-pruning\n"

static void test_no_front_matter(void **state)
{
    (void)state;
    expect(NULL, "---\n" OURS "---\n\n@\n");
    expect("", "---\n" OURS "---\n\n@\n");
    expect("# Title\n\nText\n", "---\n" OURS "---\n\n# Title\n\n@\n\nText\n");
    expect("# Title", "---\n" OURS "---\n\n# Title\n\n@\n");
    expect("Text\nmore", "---\n" OURS "---\n\n@\n\nText\nmore");
    expect("\xef\xbb\xbf# T\n", "---\n" OURS "---\n\n# T\n\n@\n");
    expect("----\nText\n", "---\n" OURS "---\n\n@\n\n----\nText\n");
    struct card_facts f = plain;
    f.base_id = NULL;
    expect_with(&f, "Text\n", true, "---\ntags:\n- reap\n- expert-pruning\n---\n\n@\n\nText\n");
}

static void test_base_model(void **state)
{
    (void)state;
    const char *tags = "tags:\n- reap\n- expert-pruning\n";
    static const struct {
        const char *before, *after;
    } rows[] = {
        {"base_model: a/b\n", "base_model: org/base\n"},
        {"base_model: org/base # as it is\n", "base_model: org/base # as it is\n"},
        {"base_model: 'org/base'\n", "base_model: 'org/base'\n"},
        {"base_model:\n- a/b\n- c/d\nlicense: mit\n", "base_model: org/base\nlicense: mit\n"},
        {"base_model:\n  - a/b\n\n# why\nlicense: mit\n", "base_model: org/base\n\n# why\nlicense: mit\n"},
        {"license: mit\nbase_model: [a/b,\n  c/d]\nx: y\n", "license: mit\nbase_model: org/base\nx: y\n"},
        {"\"base_model\": a/b\n", "base_model: org/base\n"},
        {"base_model:\n", "base_model: org/base\n"},
        {"base_model: a/b\nbase_model_relation: quantized\n", "base_model: org/base\n"},
        {"license: mit\nbase_model_relation: finetune\n", "license: mit\nbase_model: org/base\n"},
        {"widget:\n- name: x\n  base_model: a/b\n",
         "widget:\n- name: x\n  base_model: a/b\nbase_model: org/base\n"},
        {"extra gated prompt: >-\n  base_model: a\n\n  # b\nbase_model: a/b\n",
         "extra gated prompt: >-\n  base_model: a\n\n  # b\nbase_model: org/base\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *in = xasprintf("---\n%s%s---\n# T\n", tags, rows[i].before);
        char *want = xasprintf("---\n%s%s---\n# T\n\n@\n", tags, rows[i].after);
        expect(in, want);
        free(in);
        free(want);
        /* an unknown id changes nothing */
        struct card_facts f = plain;
        f.base_id = NULL;
        in = xasprintf("---\n%s%s---\n# T\n", rows[i].before, tags);
        want = xasprintf("---\n%s%s---\n# T\n\n@\n", rows[i].before, tags);
        expect_with(&f, in, true, want);
        free(in);
        free(want);
    }
    struct card_facts f = plain;
    f.base_id = "a: \"b\"\n";
    expect_with(&f, "", true,
                "---\nbase_model: \"a: \\\"b\\\"?\"\ntags:\n- reap\n- expert-pruning\n---\n\n@\n");
}

static void test_tags(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after;
    } rows[] = {
        {"license: mit\n", "license: mit\ntags:\n- reap\n- expert-pruning\n"},
        {"", "tags:\n- reap\n- expert-pruning\n"},
        {"tags:\n- moe\n- code\nlicense: mit\n",
         "tags:\n- moe\n- code\n- reap\n- expert-pruning\nlicense: mit\n"},
        {"tags:\n  - moe\n  # more\n  - code\n\n# c\nlicense: mit\n",
         "tags:\n  - moe\n  # more\n  - code\n  - reap\n  - expert-pruning\n\n# c\nlicense: mit\n"},
        {"tags: # ours\n- 'reap'\n", "tags: # ours\n- 'reap'\n- expert-pruning\n"},
        {"tags:\n- expert-pruning # x\n- \"reap\"\n", "tags:\n- expert-pruning # x\n- \"reap\"\n"},
        {"tags: [moe, code]\n", "tags: [moe, code, reap, expert-pruning]\n"},
        {"tags: [ moe , code ] # c\nx: y\n", "tags: [ moe , code, reap, expert-pruning ] # c\nx: y\n"},
        {"tags: []\n", "tags: [reap, expert-pruning]\n"},
        {"tags: [moe,]\n", "tags: [moe, reap, expert-pruning]\n"},
        {"tags: [reap]\n", "tags: [reap, expert-pruning]\n"},
        {"tags: ['a, ]b', \"reap\"]\n", "tags: ['a, ]b', \"reap\", expert-pruning]\n"},
        {"tags: [\n  moe, # a ]\n  code\n]\nx: y\n",
         "tags: [\n  moe, # a ]\n  code,\n  reap,\n  expert-pruning\n]\nx: y\n"},
        {"tags: [\n  moe,\n  code, # c\n  ]\n",
         "tags: [\n  moe,\n  code,\n  reap,\n  expert-pruning # c\n  ]\n"},
        {"tags: [moe,\n  code]\n", "tags: [moe,\n  code,\n  reap,\n  expert-pruning]\n"},
        {"tags: moe\nx: y\n", "tags:\n- moe\n- reap\n- expert-pruning\nx: y\n"},
        {"tags: 'a b' # c\n", "tags: # c\n- 'a b'\n- reap\n- expert-pruning\n"},
        {"tags: reap\n", "tags:\n- reap\n- expert-pruning\n"},
        {"tags:\nx: y\n", "tags:\n- reap\n- expert-pruning\nx: y\n"},
        {"tags: # none\nx: y\n", "tags: # none\n- reap\n- expert-pruning\nx: y\n"},
        {"tags: null\n", "tags:\n- reap\n- expert-pruning\n"},
        {"'tags': ~ \n", "'tags':\n- reap\n- expert-pruning\n"},
        {"x:\n  tags:\n  - a\n", "x:\n  tags:\n  - a\ntags:\n- reap\n- expert-pruning\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *in = xasprintf("---\nbase_model: " ID "\n%s---\n# T\n", rows[i].before);
        char *want = xasprintf("---\nbase_model: " ID "\n%s---\n# T\n\n@\n", rows[i].after);
        expect(in, want);
        free(in);
        free(want);
    }
}

/* The same with line ends of two characters: the result has no other. */
static void test_crlf(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "---\nlicense: mit\n---\n# T\n\nText\n",
        "---\ntags:\n- a\nbase_model: x/y\n---\nText\n",
        "---\ntags: [a,\n  b]\n---\n# T\n",
        "---\ntags: a # b\n---\n\n# T\n",
        "# T\n\nText\n",
        "---\nbroken\n# T\nText\n",
        "---\ntags: [\n  a,\n  b, # c\n]\n---\n# T\n",
        "---\ntags:\n---\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct buf lf = {0}, crlf = {0}, one = {0}, two = {0};
        for (const char *p = texts[i]; *p; p++)
            buf_str(&crlf, *p == '\n' ? "\r\n" : (char[]){*p, 0});
        bool ok = card_write(&lf, texts[i], &plain);
        assert_int_equal(card_write(&two, crlf.s, &plain), ok);
        for (const char *p = lf.s; *p; p++)
            buf_str(&one, *p == '\n' ? "\r\n" : (char[]){*p, 0});
        assert_string_equal(two.s, one.s);
        expect_stable(two.s, &plain, ok);
        buf_clear(&lf);
        buf_clear(&crlf);
        buf_clear(&one);
        buf_clear(&two);
    }
}

/* Forms that are left alone, with a word about it. */
static void test_not_understood(void **state)
{
    (void)state;
    static const char *const fronts[] = {
        "---\nlicense: mit\ntags: [a, b\n---\n",
        "---\ntags: &x [a]\n---\n",
        "---\ntags: *x\n---\n",
        "---\ntags: {a: b}\n---\n",
        "---\ntags: |\n  a\n---\n",
        "---\ntags: a\n  b\n---\n",
        "---\ntags:\n  a: b\n---\n",
        "---\n{tags: [a]}\n---\n",
        "---\n- a\n- b\n---\n",
        "---\nSome text, no mapping\n---\n",
        "---\ntags: [a] b\n---\n",
        "---\ntags: [[a], b]\n---\n",
        "---\n? tags\n: [a]\n---\n",
        "---\ntags: [a,\n- b\n- ]\n---\n", /* with a tag behind it, the last line would be no item any more */
    };
    for (size_t i = 0; i < sizeof fronts / sizeof *fronts; i++) {
        char *in = xasprintf("%s# T\n", fronts[i]), *want = xasprintf("%s# T\n\n@\n", fronts[i]);
        expect_with(&plain, in, false, want);
        free(in);
        free(want);
    }
    /* no end: behind the heading, else at the end, so that what stands at the top stays there */
    expect_with(&plain, "---\nlicense: mit\n# T\nText\n", false, "---\nlicense: mit\n# T\n\n@\n\nText\n");
    expect_with(&plain, "---\nlicense: mit\nText", false, "---\nlicense: mit\nText\n\n@\n");
}

#define FRONT "---\n" OURS "---\n"

static void test_place(void **state)
{
    (void)state;
    expect("\n\n---\n" OURS "---", "\n\n---\n" OURS "---\n\n@\n");
    expect("\xef\xbb\xbf" FRONT "# T\n", "\xef\xbb\xbf" FRONT "# T\n\n@\n");
    expect(FRONT "\nText\n", FRONT "\n@\n\nText\n");
    expect(FRONT "Text\n\n## H ##\nMore\n## I\n", FRONT "Text\n\n## H ##\n\n@\n\nMore\n## I\n");
    expect(FRONT "```\n# no heading\n```\n#no\n#\nx\n", FRONT "```\n# no heading\n```\n#no\n#\n\n@\n\nx\n");
    expect(FRONT "~~~\n```\n# no\n~~~\n# yes\n", FRONT "~~~\n```\n# no\n~~~\n# yes\n\n@\n");
    expect(FRONT "Title\n=====\nText\n", FRONT "Title\n=====\n\n@\n\nText\n");
    expect(FRONT "\n====\n    # code\nText\n", FRONT "\n@\n\n====\n    # code\nText\n");
    /* an earlier section is replaced where it is */
    expect(FRONT "# T\nText\n<!-- reap:begin -->\nold\n<!-- reap:end -->\nmore\n",
           FRONT "# T\nText\n@\nmore\n");
    expect(FRONT "a\n  <!-- reap:begin --> \r\n<!-- reap:end -->", FRONT "a\n@\n");
    struct buf b = {0};
    /* a begin without its end does not take the text behind it along */
    const char *odd = FRONT "<!-- reap:begin -->\nmine\n<!-- reap:begin -->\nold\n<!-- reap:end -->\nrest\n";
    assert_true(card_write(&b, odd, &plain));
    const char *start = FRONT "<!-- reap:begin -->\nmine\n<!-- reap:begin -->\n## Expert";
    assert_int_equal(strncmp(b.s, start, strlen(start)), 0);
    assert_non_null(strstr(b.s, "<!-- reap:end -->\nrest\n"));
    assert_null(strstr(b.s, "old"));
    buf_clear(&b);
}

static void has(const struct buf *b, const char *text)
{
    if (!strstr(b->s, text))
        fail_msg("'%s' is not in:\n%s", text, b->s);
}

static void test_section(void **state)
{
    (void)state;
    struct err e = {0};
    const char *calib = "{\"files\": [{\"file\": \"/home/me/secret/rows.jsonl\", \"n_used\": 1500},"
                        " {\"file\": \"a|b`<i>.txt\"}], \"n_samples\": 1501, \"n_tokens\": 1234567}";
    const double lost = 0.15;
    json_t *c = json_parse(calib, strlen(calib), &e);
    assert_non_null(c);
    struct card_facts f = {.n_experts = 128,
                           .n_keep = 64,
                           .n_moe_layers = 48,
                           .source = "/home/me/secret/Model_A-1.0",
                           .bytes_before = 61100000000,
                           .bytes_after = 31200000000,
                           .calibration = c,
                           .criterion = "ean",
                           .from_stats = true,
                           .tokens_lost = &lost,
                           .mtp = "MTP layers\nfollow <the> last layer"};
    struct buf b = {0};
    assert_true(card_write(&b, NULL, &f));
    has(&b, "## Expert pruning (reap)\n\nThis model is Model_A-1.0 with 64 of 128 experts left in each");
    has(&b, "| experts per layer | 128 -> 64 |\n| layers with experts | 48 |\n");
    has(&b, "| size of the weights | 61.1 GB -> 31.2 GB |\n| criterion | ean |\n");
    has(&b, "| calibration text | rows.jsonl (1,500), a&#124;b&#96;&#60;i&#62;.txt |\n");
    has(&b, "| calibration samples | 1,501 |\n| calibration tokens | 1,234,567 |\n");
    has(&b, "| share of the routing that went to removed experts | 15.0 % |\n");
    has(&b, "\n\nMTP layers?follow &#60;the&#62; last layer\n\n");
    has(&b, "```\nreap profile Model_A-1.0 --calib TEXT -o stats.json\n"
            "reap plan stats.json --keep 64 --criterion ean -o plan.json\n"
            "reap prune Model_A-1.0 --plan plan.json -o PRUNED\n```\n");
    has(&b, "| made with | reap " REAP_VERSION " |");
    has(&b, "[reap.json](reap.json)");
    has(&b, "bit for bit");
    assert_null(strstr(b.s, "secret"));
    buf_clear(&b);
    /* names that a shell would read as something else do not get into the commands */
    f = (struct card_facts){.n_experts = 8, .n_keep = 6, .source = "x; rm -rf $HOME\n```"};
    assert_true(card_write(&b, NULL, &f));
    has(&b, "This model is x; rm -rf &#36;HOME?&#96;&#96;&#96; with 6 of 8");
    has(&b, "```\nreap prune MODEL --plan plan.json -o PRUNED\n```\n");
    buf_clear(&b);
    json_decref(c);
}

/* What was measured stands in both parts, in the place of what the original's card says of itself. */
static void test_results(void **state)
{
    (void)state;
    static const struct card_result texts[] = {{"a|b.txt", 40, 50, 0.125, 0.875, 60},
                                               {"x\"\n---\nlicense: mit", 10, 11, NAN, NAN, NAN}};
    struct card_results r = {.texts = texts,
                             .n_texts = 2,
                             .n_answers = 3,
                             .alike = 0.5,
                             .verified = true,
                             .date = "2026-11-28",
                             .command = "reap run 'a\n```' -o b"};
    struct card_facts f = plain;
    f.results = &r;
    f.name = "N: # \"\n---\n";
    f.file = "dir/m.gguf";
    f.license = "mit\nx: y";
    struct buf b = {0};
    assert_true(card_write(&b, NULL, &f));
    static const char front[] =
        "---\nbase_model: org/base\nbase_model_relation: quantized\nlicense: \"mit?x: y\"\n"
        "library_name: gguf\npipeline_tag: text-generation\ntags:\n- reap\n- expert-pruning\n"
        "model-index:\n- name: \"N: # \\\"?---?\"\n  results:\n"
        "  - task:\n      type: text-generation\n    dataset:\n      type: text\n"
        "      name: \"a|b.txt\"\n    metrics:\n    - type: perplexity\n      value: 50\n"
        "  - task:\n      type: text-generation\n    dataset:\n      type: text\n"
        "      name: \"x\\\"?---?license: mit\"\n    metrics:\n    - type: perplexity\n      value: 11\n"
        "---\n\n# N: &#35; \"?---?\n\n";
    if (strncmp(b.s, front, strlen(front)) != 0)
        fail_msg("%s", b.s);
    static const char *const holds[] = {
        "| file | m.gguf |\n",
        "| made with | reap " REAP_VERSION ", 2026-11-28 |\n",
        "| text | perplexity of the original | of this model | ratio | KL divergence | same first token |\n|---|---|---|---|---|---|\n"
        "| a&#124;b.txt | 40 | 50 | 1.25 | 0.125 | 87.5 % |\n",
        "| x\"?---?license: mit | 10 | 11 | 1.1 |  |  |\n",
        "Asked 3 prompts, its answers are 50.0 % like",
        "Verified: every byte",
        "\n```\nreap run 'a?```' -o b\n```\n",
        "the keys `reap.*` of the file"};
    for (size_t i = 0; i < sizeof holds / sizeof *holds; i++)
        if (!strstr(b.s, holds[i]))
            fail_msg("no '%s' in\n%s", holds[i], b.s);
    expect_stable(b.s, &f, true);
    buf_clear(&b); /* the same in a type, too */
    r.type = "Q4|K";
    r.type_file = "dir/m-Q4.gguf";
    r.bytes_type = 2500000;
    assert_true(card_write(&b, NULL, &f));
    static const char *const also[] = {
        "The same experts with rounded weights, in Q4&#124;K: m-Q4.gguf, 2.50 MB.\n\n| text |",
        "| ratio | in Q4&#124;K | ratio | KL divergence | same first token |\n|---|---|---|---|---|---|---|---|\n"
        "| a&#124;b.txt | 40 | 50 | 1.25 | 60 | 1.5 | 0.125 | 87.5 % |\n",
        "| 10 | 11 | 1.1 |  |  |  |  |\n"};
    for (size_t i = 0; i < sizeof also / sizeof *also; i++)
        if (!strstr(b.s, also[i]))
            fail_msg("no '%s' in\n%s", also[i], b.s);
    expect_stable(b.s, &f, true);
    buf_clear(&b);
    f.results = NULL; /* nothing measured: nothing of the original's results, and of another relation */
    f.file = NULL;
    expect_with(
        &f,
        "---\nmodel-index:\n- name: x\n  results: []\nlicense: mit\nbase_model_relation: merge\n---\nText\n",
        true, "---\nlicense: mit\n" OURS "---\n\n@\n\nText\n");
    expect_with(&f, "---\nmodel-index: 1\nmodel-index: 2\n---\nText\n", false,
                "---\nmodel-index: 1\nmodel-index: 2\n---\n\n@\n\nText\n"); /* no YAML: left as it is */
    f.base_id = NULL;
    expect_with(
        &f, "---\nbase_model: a/b\nbase_model_relation: merge\n---\nText\n", true,
        "---\nbase_model: a/b\nbase_model_relation: merge\ntags:\n- reap\n- expert-pruning\n---\n\n@\n\nText\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_front_matter),
        cmocka_unit_test(test_base_model),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_crlf),
        cmocka_unit_test(test_not_understood),
        cmocka_unit_test(test_place),
        cmocka_unit_test(test_section),
        cmocka_unit_test(test_results),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
