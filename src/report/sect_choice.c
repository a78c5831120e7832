/* sect_choice.c - the criterion that was chosen by measurement, and what the others would have cost. */
#include "report/page_part.h"

#include <math.h>

static bool has_choice(const struct page *p)
{
    return p->choice.n_rows > 0;
}

static void put_names(struct buf *b, const struct choice_file_row *r)
{
    for (uint32_t i = 0; i < r->n_criteria; i++) {
        buf_str(b, i ? ", " : "");
        html_clip(b, r->criteria[i], 80);
    }
}

static void put_value(struct buf *b, const char *sign, const struct choice_value *v)
{
    char s[32], t[32];
    buf_fmt(b, "<td>%s%s", isfinite(v->mean) ? sign : "", html_number(v->mean, s));
    if (isfinite(v->stderr_mean))
        buf_fmt(b, " \xc2\xb1 %s", html_number(v->stderr_mean, t));
    buf_str(b, "</td>");
}

static void put_row(struct buf *b, const struct choice_file *f, uint32_t i)
{
    const struct choice_file_row *r = &f->rows[i];
    char s[32];
    buf_str(b, "<tr><th scope=\"row\" class=\"left\">");
    put_names(b, r);
    buf_str(b, i == f->chosen ? " <b>(chosen)</b></th>" : "</th>");
    put_value(b, "", &r->kl);
    buf_fmt(b, "<td>%s ", html_number(r->worst, s));
    html_clip(b, r->worst_category, 60);
    buf_str(b, "</td>");
    put_td(b, r->ppl_ratio);
    if (i == f->lowest)
        buf_str(b, "<td>lowest</td><td></td>");
    else {
        put_value(b, "+", &r->diff);
        buf_str(b, r->tie ? "<td>a tie</td>" : "<td></td>");
    }
    buf_str(b, "</tr>\n");
}

static void put_choice(struct page *p)
{
    const struct choice_file *f = &p->choice;
    struct buf *b = &p->b;
    char s[32], t[32], u[32];
    buf_fmt(
        b,
        "<p>The plan of each criterion was measured as a mask, nothing was cut for it: KL divergence from the whole "
        "model per token, on %s (%s tokens in %s of %s windows), the mean over %u categories of equal weight. Errors "
        "are over windows; differences to the lowest are taken window by window. One below two of its errors is a tie, "
        "and the default criterion wins ties.</p>\n",
        f->text ? "text that was given" : "text that the profile had set aside",
        html_number((double)f->n_scored, s), html_number((double)f->n_windows, t),
        html_number((double)f->n_windows_of, u), f->n_categories);
    put_table_open(b, "Choice of a criterion",
                   "<criterion|KL divergence|worst category|perplexity, ratio|KL above the lowest|");
    for (uint32_t i = 0; i < f->n_rows; i++)
        put_row(b, f, i);
    put_table_close(b);
}

const struct section section_choice = {"choice", "Choice of the criterion", has_choice, put_choice};
