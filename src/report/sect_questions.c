/* sect_questions.c - questions with choices: accuracy of the model and of plans of it. */
#include "report/page_part.h"

#include <math.h>

#define MAX_FILES 200
#define MAX_SIDES 50 /* of a file */
#define N_EVALS   3

static const struct eval_file *eval_at(const struct page *p, int i)
{
    const struct eval_file *const all[N_EVALS] = {&p->before, &p->after, &p->against};
    return all[i];
}

static bool has_questions(const struct page *p)
{
    bool any = false;
    for (int i = 0; i < N_EVALS; i++)
        any = any || eval_at(p, i)->n_questions;
    return any;
}

static void add_share(struct buf *b, double v, double err)
{
    char s[32];
    buf_fmt(b, "<td>%s", isfinite(v) ? percent_text(v, s) : "");
    if (isfinite(v) && isfinite(err))
        buf_fmt(b, " <small>\xc2\xb1 %.2g</small>", 100 * err);
    buf_str(b, "</td>");
}

static void put_change(struct buf *b, const struct questions_side *s, const struct questions_paired *c)
{
    if (!s->plan || !isfinite(c->diff) || !isfinite(c->p)) {
        buf_str(b, "<td></td><td></td><td></td>");
        return;
    }
    buf_fmt(b, "<td>%+.2f <small>(%+.2f to %+.2f)</small></td><td>%llu / %llu</td><td>%.2g</td>",
            100 * c->diff, 100 * c->low, 100 * c->high, (unsigned long long)c->lost,
            (unsigned long long)c->won, c->p);
}

static void put_file(struct buf *b, const struct questions_scores *f, bool pruned)
{
    for (uint32_t i = 0; i < f->n_sides && i < MAX_SIDES; i++) {
        const struct questions_side *s = &f->sides[i];
        buf_str(b, "<tr><th scope=\"row\" class=\"left\"><bdi>");
        html_clip(b, f->name, 200);
        buf_str(b, "</bdi></th>");
        put_td(b, (double)f->n_questions);
        buf_str(b, "<td class=\"left\"><bdi>");
        html_clip(b, s->plan ? s->plan : pruned ? "result" : "whole model", 200);
        buf_str(b, "</bdi></td>");
        add_share(b, s->acc, s->acc_stderr);
        add_share(b, s->acc_norm, s->acc_norm_stderr);
        put_change(b, s, &s->paired);
        buf_str(b, "</tr>\n");
    }
}

static void put_questions(struct page *p)
{
    struct buf *b = &p->b;
    buf_str(
        b,
        "<p>How often the right choice is the likeliest, by the sum of its log-probabilities (acc) and per "
        "character (acc_norm), with the standard error in points. Of a plan: the change of acc in points with "
        "its 95&nbsp;% interval, questions lost and won, and the p-value of McNemar\xe2\x80\x99s exact "
        "test.</p>\n");
    put_table_open(b, "Questions with choices",
                   "<file|questions|<model|acc|acc_norm|change of acc|lost / won|p");
    for (int i = 0; i < N_EVALS; i++) {
        const struct eval_file *f = eval_at(p, i);
        for (uint32_t k = 0; k < f->n_questions && k < MAX_FILES; k++)
            put_file(b, &f->questions[k], f == &p->after);
    }
    put_table_close(b);
}

const struct section section_questions = {"questions", "Questions with choices", has_questions,
                                          put_questions};
