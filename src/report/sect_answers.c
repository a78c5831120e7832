/* sect_answers.c - answers of the parent and of the result side by side: from one file that compares, or from
 * two files of answers, joined by the prompt. All of it is text of strangers. */
#include "base/text.h"
#include "report/page_part.h"

#include <math.h>
#include <string.h>

#define MAX_PAIRS 200
#define MAX_TEXT  20000 /* bytes of a text */

static const json_t *first_list(const json_t *o)
{
    static const char *const names[] = {"rows", "results"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (json_array_size(json_object_get(o, names[i])))
            return json_object_get(o, names[i]);
    return NULL;
}

static bool has_answers(const struct page *p)
{
    return first_list(p->compare[0]) != NULL;
}

/* The text of a message: a string, or parts of which some are text. */
static void put_content(struct buf *b, const json_t *v)
{
    size_t i;
    json_t *x;
    if (json_is_string(v))
        html_clip(b, json_string_value(v), MAX_TEXT);
    json_array_foreach ((json_t *)(uintptr_t)v, i, x) {
        if (i < 50)
            html_clip(b, report_text(x, "text"), MAX_TEXT);
    }
}

static void put_prompt(struct buf *b, const json_t *x)
{
    const json_t *list = json_object_get(x, "messages"), *prompt = json_object_get(x, "prompt");
    size_t i;
    json_t *m;
    buf_str(b, "<div class=\"prompt\">");
    if (json_is_string(prompt)) {
        buf_str(b, "<pre><bdi>");
        put_content(b, prompt);
        buf_str(b, "</bdi></pre>");
    }
    if (json_is_array(prompt))
        list = prompt;
    json_array_foreach ((json_t *)(uintptr_t)list, i, m) {
        if (i == 50)
            break;
        buf_str(b, "<pre><b>");
        html_clip(b, report_text(m, "role"), 40);
        buf_str(b, "</b> <bdi>");
        put_content(b, json_object_get(m, "content"));
        buf_str(b, "</bdi></pre>");
    }
    buf_str(b, "</div>\n");
}

/* An answer: a string, or an object with the text in one of these. */
static void put_answer(struct buf *b, const char *who, const json_t *v)
{
    static const char *const keys[] = {"response", "text", "answer", "content"};
    const json_t *text = json_is_string(v) ? v : NULL;
    for (size_t i = 0; !text && i < sizeof keys / sizeof *keys; i++)
        if (json_is_string(json_object_get(v, keys[i])))
            text = json_object_get(v, keys[i]);
    buf_fmt(b, "<div class=\"answer\"><h4>%s</h4>", who);
    if (text) {
        buf_str(b, "<pre><bdi>");
        put_content(b, text);
        buf_str(b, "</bdi></pre>");
    } else {
        buf_str(b, "<p class=\"none\">no answer</p>");
    }
    const char *finish = report_text(v, "finish_reason"), *status = report_text(v, "status"),
               *thought = report_text(v, "reasoning");
    if (thought) {
        buf_str(b, "<details class=\"long\"><summary>reasoning</summary><pre><bdi>");
        html_clip(b, thought, MAX_TEXT);
        buf_str(b, "</bdi></pre></details>");
    }
    if (json_is_true(json_object_get(v, "endless")) || report_count(v, "loop_period"))
        buf_str(b, "<p class=\"fine\"><b>runs in circles</b></p>");
    if (finish || (status && strcmp(status, "ok") != 0)) {
        buf_str(b, "<p class=\"fine\">ended: ");
        html_clip(b, finish ? finish : status, 60);
        buf_str(b, "</p>");
    }
    buf_str(b, "</div>\n");
}

/* The other file's answer to the same prompt: usually at the same place. */
static bool same_prompt(const json_t *a, const json_t *b)
{
    static const char *const keys[] = {"prompt_sha256", "id"};
    for (size_t i = 0; i < 2; i++) {
        const char *x = report_text(a, keys[i]), *y = report_text(b, keys[i]);
        if (x && y)
            return !strcmp(x, y) && report_count(a, "repeat") == report_count(b, "repeat");
    }
    return false;
}

static const json_t *partner(const json_t *list, size_t i, const json_t *x)
{
    const json_t *y = json_array_get(list, i);
    for (size_t k = 0; !same_prompt(x, y) && k < json_array_size(list); k++)
        y = json_array_get(list, k);
    return same_prompt(x, y) ? y : NULL;
}

static void put_pair(struct buf *b, size_t i, const json_t *x, const json_t *before, const json_t *after)
{
    char s[32];
    double alike = report_number(x, "similarity");
    const char *id = report_text(x, "id");
    buf_str(b, "<article class=\"pair\">\n<h3>");
    if (id)
        html_clip(b, id, 120);
    else
        buf_fmt(b, "Prompt %zu", i + 1);
    if (isfinite(alike))
        buf_fmt(b, " <small>similarity %s</small>", html_number(alike, s));
    buf_str(b, "</h3>\n");
    put_prompt(b, x);
    buf_str(b, "<div class=\"answers\">\n");
    put_answer(b, "Parent", before);
    put_answer(b, "Result", after);
    buf_str(b, "</div>\n</article>\n");
}

/* A rate as {"count", "rate", "low", "high"}. */
static void put_rate(struct buf *b, const json_t *v)
{
    char s[3][32];
    double rate = report_number(v, "rate");
    if (!isfinite(rate)) {
        buf_str(b, "<td></td>");
        return;
    }
    buf_fmt(b, "<td>%s <small>(%s to %s)</small></td>", percent_text(rate, s[0]),
            percent_text(report_number(v, "low"), s[1]), percent_text(report_number(v, "high"), s[2]));
}

/* What the comparison found over all pairs. */
static void put_total(struct page *p)
{
    struct buf *b = &p->b;
    const json_t *t = json_object_get(p->compare[0], "total");
    char s[32], m[32];
    if (!json_is_object(t))
        return;
    buf_fmt(b, "<p>%s pairs of answers; mean similarity %s (1: the same words in the same order).</p>\n",
            human_count(report_count(t, "n"), s), html_number(report_number(t, "similarity_mean"), m));
    put_table_open(b, "All answers", "<model|never ends|runs in circles|words|tokens|tokens per second");
    for (int i = 0; i < 2; i++) {
        const json_t *x = json_object_get(t, i ? "pruned" : "base");
        buf_fmt(b, "<tr><th scope=\"row\" class=\"left\">%s</th>", i ? "Result" : "Parent");
        put_rate(b, json_object_get(x, "endless"));
        put_rate(b, json_object_get(x, "loops"));
        put_td(b, report_number(x, "words"));
        put_td(b, report_number(x, "tokens"));
        put_td(b, report_number(x, "tokens_per_second"));
        buf_str(b, "</tr>\n");
    }
    put_table_close(b);
}

static void put_answers(struct page *p)
{
    const json_t *list = first_list(p->compare[0]), *others = first_list(p->compare[1]);
    size_t n = json_array_size(list);
    put_total(p);
    for (size_t i = 0; i < n && i < MAX_PAIRS; i++) {
        const json_t *x = json_array_get(list, i);
        if (p->compare[1]) {
            put_pair(&p->b, i, x, x, partner(others, i, x));
            continue;
        }
        put_pair(&p->b, i, x, json_object_get(x, "base"), json_object_get(x, "pruned"));
    }
    if (n > MAX_PAIRS)
        buf_fmt(&p->b, "<p>%zu more answers are not shown.</p>\n", n - MAX_PAIRS);
}

const struct section section_answers = {"answers", "Answers side by side", has_answers, put_answers};
