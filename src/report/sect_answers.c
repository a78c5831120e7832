/* sect_answers.c - answers of the parent and of the result side by side, the least similar first, with the words
 * marked that one has and the other has not. All of it is text of strangers. */
#include "base/mem.h"
#include "base/text.h"
#include "report/page_part.h"

#include <math.h>
#include <string.h>

#define MAX_PAIRS    200
#define MAX_MESSAGES 50
#define MAX_CALLS    50
#define MAX_TEXT     20000 /* bytes of a text */

static bool has_answers(const struct page *p)
{
    return p->answers && p->answers->n_rows;
}

/* ---- pieces ---- */

static const json_t *function_of(const json_t *call)
{
    return json_object_get(call, "function");
}

/* A call as one text; NULL: there is none. Caller frees. */
static char *call_text(const json_t *f)
{
    const char *name = report_text(f, "name"), *arguments = report_text(f, "arguments");
    return f ? xasprintf("%s %s", name ? name : "?", arguments ? arguments : "") : NULL;
}

static void put_call(struct buf *b, const json_t *f, const json_t *other, const char *tag)
{
    char *text = call_text(f), *theirs = call_text(other);
    buf_str(b, "<pre><b>call</b> <bdi>");
    put_difference(b, text, theirs, tag, MAX_TEXT);
    buf_str(b, "</bdi></pre>");
    free(text);
    free(theirs);
}

/* Of an earlier turn, which is the same for both. */
static void put_past_call(struct buf *b, const json_t *f)
{
    char *text = call_text(f);
    buf_str(b, "<pre><b>call</b> <bdi>");
    html_clip(b, text, MAX_TEXT);
    buf_str(b, "</bdi></pre>");
    free(text);
}

/* The text of a message: a string, or parts of which some are text. */
static void put_content(struct buf *b, const json_t *v)
{
    if (json_is_string(v))
        html_clip(b, json_string_value(v), MAX_TEXT);
    for (size_t i = 0; i < json_array_size(v) && i < MAX_MESSAGES; i++)
        html_clip(b, report_text(json_array_get(v, i), "text"), MAX_TEXT);
}

static void put_messages(struct buf *b, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list) && i < MAX_MESSAGES; i++) {
        const json_t *m = json_array_get(list, i), *calls = json_object_get(m, "tool_calls"),
                     *old = json_object_get(m, "function_call");
        buf_str(b, "<pre><b>");
        html_clip(b, report_text(m, "role"), 40);
        buf_str(b, "</b> <bdi>");
        put_content(b, json_object_get(m, "content"));
        buf_str(b, "</bdi></pre>");
        for (size_t k = 0; k < json_array_size(calls) && k < MAX_CALLS; k++)
            put_past_call(b, function_of(json_array_get(calls, k)));
        if (json_is_object(old))
            put_past_call(b, old);
    }
    if (json_array_size(list) > MAX_MESSAGES)
        buf_fmt(b, "<p class=\"fine\">%zu more messages</p>", json_array_size(list) - MAX_MESSAGES);
}

static void put_text(struct buf *b, const char *s, const char *other, const char *tag)
{
    buf_str(b, "<pre><bdi>");
    put_difference(b, s, other, tag, MAX_TEXT);
    buf_str(b, "</bdi></pre>");
}

/* ---- one answer ---- */

/* What is noted about an answer, and where it applies. */
static void put_notes(struct buf *b, const struct compare_side *s)
{
    const struct {
        bool is;
        const char *what;
    } notes[] = {
        {s->loop_period > 0, "<b>ends in a loop</b>"},
        {s->endless, "stopped by the limit"},
        {s->malformed, "<b>malformed: the server could not read all of it</b>"},
        {s->n_unknown > 0, "<b>calls a tool that there is not</b>"},
        {s->n_no_json > 0, "<b>arguments are no JSON</b>"},
        {s->fit == CALLS_UNFIT && !s->n_unknown && !s->n_no_json && !s->malformed,
         "<b>arguments do not fit the tool</b>"},
    };
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++)
        if (notes[i].is)
            buf_fmt(b, "<p class=\"fine\">%s</p>", notes[i].what);
    if (s->finish && !s->endless && !s->malformed) {
        buf_str(b, "<p class=\"fine\">ended: ");
        html_clip(b, s->finish, 60);
        buf_str(b, "</p>");
    }
}

static void put_calls(struct buf *b, const struct compare_side *s, const struct compare_side *other,
                      const char *tag)
{
    size_t n = json_array_size(s->tool_calls);
    for (size_t i = 0; i < n && i < MAX_CALLS; i++)
        put_call(b, function_of(json_array_get(s->tool_calls, i)),
                 function_of(json_array_get(other->tool_calls, i)), tag);
    if (n > MAX_CALLS)
        buf_fmt(b, "<p class=\"fine\">%zu more calls</p>", n - MAX_CALLS);
    if (s->function_call)
        put_call(b, s->function_call, other->function_call, tag);
}

static void put_answer(struct buf *b, const char *who, const struct compare_side *s,
                       const struct compare_side *other, const char *tag)
{
    bool has_calls = json_array_size(s->tool_calls) || s->function_call;
    buf_fmt(b, "<div class=\"answer\"><h4>%s</h4>", who);
    if (s->response && *s->response)
        put_text(b, s->response, other->response, tag);
    else if (!s->response || (!has_calls && !s->refusal))
        buf_fmt(b, "<p class=\"none\">%s</p>", s->response ? "an empty answer" : "no answer");
    if (s->refusal) {
        buf_str(b, "<p class=\"fine\">refusal</p>");
        put_text(b, s->refusal, other->refusal, tag);
    }
    put_calls(b, s, other, tag);
    if (s->reasoning) {
        buf_str(b, "<details class=\"long\"><summary>reasoning</summary>");
        put_text(b, s->reasoning, other->reasoning, tag);
        buf_str(b, "</details>");
    }
    put_notes(b, s);
    buf_str(b, "</div>\n");
}

static void put_row(struct buf *b, const struct compare_row *r)
{
    char s[32];
    buf_str(b, "<article class=\"pair\">\n<h3>");
    html_clip(b, r->id, 120);
    if (r->exact)
        buf_str(b, " <small>equal</small>");
    else if (isfinite(r->similarity))
        buf_fmt(b, " <small>similarity %s</small>", percent_text(r->similarity, s));
    buf_str(b, "</h3>\n<div class=\"prompt\">");
    if (r->messages) {
        put_messages(b, r->messages);
    } else if (r->prompt) {
        buf_str(b, "<pre><bdi>");
        html_clip(b, r->prompt, MAX_TEXT);
        buf_str(b, "</bdi></pre>");
    }
    buf_str(b, "</div>\n<div class=\"answers\">\n");
    put_answer(b, "Parent", &r->base, &r->pruned, "del");
    put_answer(b, "Result", &r->pruned, &r->base, "ins");
    buf_str(b, "</div>\n</article>\n");
}

/* ---- all of them ---- */

static void put_rate_text(struct buf *b, const struct compare_rate *r)
{
    char s[3][32];
    buf_fmt(b, "%s <small>(%s to %s)</small>", percent_text(r->rate, s[0]), percent_text(r->low, s[1]),
            percent_text(r->high, s[2]));
}

static void put_rate(struct buf *b, const struct compare_rate *r)
{
    buf_str(b, "<td>");
    if (isfinite(r->rate))
        put_rate_text(b, r);
    buf_str(b, "</td>");
}

static void put_model(struct buf *b, int i)
{
    buf_fmt(b, "<tr><th scope=\"row\" class=\"left\">%s</th>", i ? "Result" : "Parent");
}

static void put_call_totals(struct buf *b, const struct compare_total *t)
{
    char s[32];
    buf_fmt(b, "<p>Tools are called in %s pairs: the same functions in ", human_count(t->n_calling, s));
    put_rate_text(b, &t->same_names);
    buf_str(b, ", and the same arguments in ");
    put_rate_text(b, &t->same_arguments);
    buf_str(b, ".</p>\n");
    put_table_open(b, "Calls of tools",
                   "<model|answers with a call|arguments fit the tool|calls|no JSON|of no such tool");
    for (int i = 0; i < 2; i++) {
        const struct compare_sums *x = i ? &t->pruned : &t->base;
        put_model(b, i);
        put_rate(b, &x->calling);
        if (x->n_checked)
            put_rate(b, &x->fit);
        else
            buf_str(b, "<td></td>");
        put_td(b, (double)x->n_calls);
        put_td(b, (double)x->n_no_json);
        put_td(b, (double)x->n_unknown);
        buf_str(b, "</tr>\n");
    }
    put_table_close(b);
}

/* What the comparison found over all pairs. */
static void put_total(struct buf *b, const struct compare_file *f)
{
    const struct compare_total *t = &f->total;
    char s[32], m[32];
    buf_fmt(
        b,
        "<p>%s pairs of answers; mean similarity %s (100 %%: the same words in the same order). The least "
        "similar come first. <del>Words of the parent</del> and <ins>words of the result</ins> that the other "
        "has not at this place are marked, unless hardly any are in common.</p>\n",
        human_count(t->n, s), percent_text(t->similarity_mean, m));
    put_table_open(b, "All answers",
                   "<model|stopped by the limit|ends in a loop|words|tokens|tokens per second");
    for (int i = 0; i < 2; i++) {
        const struct compare_sums *x = i ? &t->pruned : &t->base;
        put_model(b, i);
        put_rate(b, &x->endless);
        put_rate(b, &x->loops);
        put_td(b, x->words);
        put_td(b, x->tokens);
        put_td(b, x->tokens_per_second);
        buf_str(b, "</tr>\n");
    }
    put_table_close(b);
    if (t->n_calling)
        put_call_totals(b, t);
    if (t->base.n_malformed || t->pruned.n_malformed)
        buf_fmt(
            b,
            "<p>Malformed, so that the server could not read them: %llu answers of the parent, %llu of the "
            "result.</p>\n",
            (unsigned long long)t->base.n_malformed, (unsigned long long)t->pruned.n_malformed);
    if (f->n_only_base || f->n_only_pruned)
        buf_fmt(b,
                "<p>Not compared: %llu answers of the parent and %llu of the result have no partner.</p>\n",
                (unsigned long long)f->n_only_base, (unsigned long long)f->n_only_pruned);
}

/* The least similar first; those of equal similarity in the order of the file. */
static int by_similarity(const void *a, const void *b)
{
    const struct compare_row *x = *(const struct compare_row *const *)a,
                             *y = *(const struct compare_row *const *)b;
    double s = isfinite(x->similarity) ? x->similarity : 2, t = isfinite(y->similarity) ? y->similarity : 2;
    return s != t ? (s < t ? -1 : 1) : (x > y) - (x < y);
}

static void put_answers(struct page *p)
{
    const struct compare_file *f = p->answers;
    const struct compare_row **sorted = xcalloc(f->n_rows + 1, sizeof *sorted);
    for (uint64_t i = 0; i < f->n_rows; i++)
        sorted[i] = &f->rows[i];
    qsort(sorted, f->n_rows, sizeof *sorted, by_similarity);
    put_total(&p->b, f);
    for (uint64_t i = 0; i < f->n_rows && i < MAX_PAIRS; i++)
        put_row(&p->b, sorted[i]);
    if (f->n_rows > MAX_PAIRS)
        buf_fmt(&p->b, "<p>%llu more answers are not shown.</p>\n",
                (unsigned long long)(f->n_rows - MAX_PAIRS));
    free(sorted);
}

const struct section section_answers = {"answers", "Answers side by side", has_answers, put_answers};
