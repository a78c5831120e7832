/* sect_answers.c - answers of the parent and of the result side by side: from one file that compares, or from
 * two files of answers, joined by the prompt. All of it is text of strangers. */
#include "base/mem.h"
#include "base/text.h"
#include "report/page_part.h"

#include <math.h>
#include <string.h>

#define MAX_PAIRS    200
#define MAX_MESSAGES 50
#define MAX_TEXT     20000 /* bytes of a text */

static bool has_answers(const struct page *p)
{
    return p->compare.n_rows || p->answers[0].n;
}

/* ---- pieces ---- */

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
        const json_t *m = json_array_get(list, i);
        buf_str(b, "<pre><b>");
        html_clip(b, report_text(m, "role"), 40);
        buf_str(b, "</b> <bdi>");
        put_content(b, json_object_get(m, "content"));
        buf_str(b, "</bdi></pre>");
    }
}

static void put_text(struct buf *b, const char *s)
{
    buf_str(b, "<pre><bdi>");
    html_clip(b, s, MAX_TEXT);
    buf_str(b, "</bdi></pre>");
}

struct shown {
    const char *text, *reasoning, *end; /* NULL: none */
    bool cut, loop;
};

static struct shown of_side(const struct compare_side *s)
{
    return (struct shown){s->response, s->reasoning, s->finish, s->endless, s->loop_period > 0};
}

static struct shown of_answer(const struct batch_answer *a)
{
    if (!a)
        return (struct shown){0};
    if (!a->ok)
        return (struct shown){.end = "failed"};
    return (struct shown){.text = a->response,
                          .reasoning = a->reasoning,
                          .end = a->finish,
                          .cut = !strcmp(a->finish, "length")};
}

static void put_answer(struct buf *b, const char *who, const struct shown *a)
{
    buf_fmt(b, "<div class=\"answer\"><h4>%s</h4>", who);
    if (a->text)
        put_text(b, a->text);
    else
        buf_str(b, "<p class=\"none\">no answer</p>");
    if (a->reasoning) {
        buf_str(b, "<details class=\"long\"><summary>reasoning</summary>");
        put_text(b, a->reasoning);
        buf_str(b, "</details>");
    }
    if (a->loop)
        buf_str(b, "<p class=\"fine\"><b>ends in a loop</b></p>");
    if (a->cut) {
        buf_str(b, "<p class=\"fine\">cut by the token limit</p>");
    } else if (a->end) {
        buf_str(b, "<p class=\"fine\">ended: ");
        html_clip(b, a->end, 60);
        buf_str(b, "</p>");
    }
    buf_str(b, "</div>\n");
}

static void put_pair_open(struct buf *b, const char *id, double alike)
{
    char s[32];
    buf_str(b, "<article class=\"pair\">\n<h3>");
    html_clip(b, id, 120);
    if (isfinite(alike))
        buf_fmt(b, " <small>similarity %s</small>", percent_text(alike, s));
    buf_str(b, "</h3>\n<div class=\"prompt\">");
}

static void put_pair_close(struct buf *b, struct shown before, struct shown after)
{
    buf_str(b, "</div>\n<div class=\"answers\">\n");
    put_answer(b, "Parent", &before);
    put_answer(b, "Result", &after);
    buf_str(b, "</div>\n</article>\n");
}

/* ---- one file that compares ---- */

static void put_rate(struct buf *b, const struct compare_rate *r)
{
    char s[3][32];
    if (!isfinite(r->rate)) {
        buf_str(b, "<td></td>");
        return;
    }
    buf_fmt(b, "<td>%s <small>(%s to %s)</small></td>", percent_text(r->rate, s[0]),
            percent_text(r->low, s[1]), percent_text(r->high, s[2]));
}

/* What the comparison found over all pairs. */
static void put_total(struct page *p)
{
    struct buf *b = &p->b;
    const struct compare_total *t = &p->compare.total;
    char s[32], m[32];
    buf_fmt(
        b,
        "<p>%s pairs of answers; mean similarity %s (100 %%: the same words in the same order). The least similar come "
        "first.</p>\n",
        human_count(t->n, s), percent_text(t->similarity_mean, m));
    put_table_open(b, "All answers",
                   "<model|cut by the token limit|ends in a loop|words|tokens|tokens per second");
    for (int i = 0; i < 2; i++) {
        const struct compare_sums *x = i ? &t->pruned : &t->base;
        buf_fmt(b, "<tr><th scope=\"row\" class=\"left\">%s</th>", i ? "Result" : "Parent");
        put_rate(b, &x->endless);
        put_rate(b, &x->loops);
        put_td(b, x->words);
        put_td(b, x->tokens);
        put_td(b, x->tokens_per_second);
        buf_str(b, "</tr>\n");
    }
    put_table_close(b);
}

/* The least similar first; those of equal similarity in the order of the file. */
static int by_similarity(const void *a, const void *b)
{
    const struct compare_row *x = *(const struct compare_row *const *)a,
                             *y = *(const struct compare_row *const *)b;
    double s = isfinite(x->similarity) ? x->similarity : 2, t = isfinite(y->similarity) ? y->similarity : 2;
    return s != t ? (s < t ? -1 : 1) : (x > y) - (x < y);
}

static void put_rows(struct page *p)
{
    const struct compare_row **sorted = xcalloc(p->compare.n_rows + 1, sizeof *sorted);
    for (uint64_t i = 0; i < p->compare.n_rows; i++)
        sorted[i] = &p->compare.rows[i];
    qsort(sorted, p->compare.n_rows, sizeof *sorted, by_similarity);
    for (uint64_t i = 0; i < p->compare.n_rows && i < MAX_PAIRS; i++) {
        const struct compare_row *r = sorted[i];
        put_pair_open(&p->b, r->id, r->similarity);
        if (r->prompt)
            put_text(&p->b, r->prompt);
        put_pair_close(&p->b, of_side(&r->base), of_side(&r->pruned));
    }
    free(sorted);
}

/* ---- two files of answers ---- */

static bool same_prompt(const struct batch_answer *a, const struct batch_answer *b)
{
    return !strcmp(a->prompt_sha256, b->prompt_sha256) && a->repeat == b->repeat;
}

/* The other file's answer to the same prompt: usually at the same place. NULL: there is none. */
static const struct batch_answer *partner(const struct batch_file *f, uint64_t i,
                                          const struct batch_answer *x)
{
    if (i < f->n && same_prompt(&f->v[i], x))
        return &f->v[i];
    for (uint64_t k = 0; k < f->n; k++)
        if (same_prompt(&f->v[k], x))
            return &f->v[k];
    return NULL;
}

static void put_both(struct page *p)
{
    for (uint64_t i = 0; i < p->answers[0].n && i < MAX_PAIRS; i++) {
        const struct batch_answer *x = &p->answers[0].v[i];
        put_pair_open(&p->b, x->id, NAN);
        put_messages(&p->b, x->messages);
        put_pair_close(&p->b, of_answer(x), of_answer(partner(&p->answers[1], i, x)));
    }
}

static void put_answers(struct page *p)
{
    uint64_t n = p->compare.doc ? p->compare.n_rows : p->answers[0].n;
    if (p->compare.doc) {
        put_total(p);
        put_rows(p);
    } else {
        put_both(p);
    }
    if (n > MAX_PAIRS)
        buf_fmt(&p->b, "<p>%llu more answers are not shown.</p>\n", (unsigned long long)(n - MAX_PAIRS));
}

const struct section section_answers = {"answers", "Answers side by side", has_answers, put_answers};
