/* sect_eval.c - what the pruning costs: perplexity before and after, divergence from the parent, quality
 * against size. */
#include "base/mem.h"
#include "report/page_part.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#define MAX_TEXTS 1000

/* ---- before and after ---- */

static bool has_quality(const struct page *p)
{
    return p->before.n_texts || p->after.n_texts || p->against.n_texts;
}

/* One text as the evaluations say it; what they do not say is not a number. */
struct quality {
    double scored, before, before_err, after, after_err, ratio_err, typed, typed_err, kl, kl_err, p90, p99,
        top1, dp;
};

/* before, after, typed: NULL where there is none. */
static struct quality quality_of(const struct eval_text *before, const struct eval_text *after,
                                 const struct eval_text *typed, bool against)
{
    const struct eval_text none = {.score = {.ppl = NAN, .ppl_stderr = NAN}};
    const struct eval_against *a = after ? &after->against : NULL;
    const struct eval_score *x = before ? &before->score : &none.score,
                            *y = after ? &after->score : &none.score,
                            *z = typed ? &typed->score : &none.score;
    uint64_t scored = after ? y->n_scored : x->n_scored;
    bool from_base = against && a && !isnan(a->base.ppl);
    return (struct quality){
        .scored = scored ? (double)scored : (double)NAN,
        .before = from_base ? a->base.ppl : x->ppl,
        .before_err = from_base ? a->base.ppl_stderr : x->ppl_stderr,
        .after = y->ppl,
        .after_err = y->ppl_stderr,
        .typed = z->ppl,
        .typed_err = z->ppl_stderr,
        .ratio_err = a ? a->ln_ratio_stderr : (double)NAN,
        .kl = a ? a->kl_mean : (double)NAN,
        .kl_err = a ? a->kl_stderr : (double)NAN,
        .p90 = a ? a->kl_p90 : (double)NAN,
        .p99 = a ? a->kl_p99 : (double)NAN,
        .top1 = a ? a->top1 : (double)NAN,
        .dp = a ? a->dp_rms : (double)NAN,
    };
}

/* Two digits say all that a standard error knows. */
static void put_error(struct buf *b, double err)
{
    if (isfinite(err))
        buf_fmt(b, " <small>\xc2\xb1 %.2g</small>", err);
}

static void put_with_error(struct buf *b, double v, double err)
{
    char s[32];
    if (!isfinite(v)) {
        buf_str(b, "<td></td>");
        return;
    }
    buf_fmt(b, "<td>%s", html_number(v, s));
    put_error(b, err);
    buf_str(b, "</td>");
}

/* err: of its logarithm, so a relative one */
static void put_ratio(struct buf *b, double v, double err)
{
    if (!isfinite(v)) {
        buf_str(b, "<td></td>");
        return;
    }
    buf_fmt(b, "<td>\xc3\x97 %.3f", v);
    put_error(b, v * err);
    buf_str(b, "</td>");
}

/* Empty, and not a dash, where nothing is known. */
static void put_percent(struct buf *b, double v)
{
    char s[32];
    buf_fmt(b, "<td>%s</td>", isfinite(v) ? percent_text(v, s) : "");
}

static void put_quality_row(struct buf *b, const char *name, const struct quality *q, bool typed,
                            bool against)
{
    buf_str(b, "<tr><th scope=\"row\" class=\"left\"><bdi>");
    html_clip(b, name ? name : "?", 200);
    buf_str(b, "</bdi></th>");
    put_td(b, q->scored);
    put_with_error(b, q->before, q->before_err);
    put_with_error(b, q->after, q->after_err);
    put_ratio(b, q->after / q->before, q->ratio_err);
    if (typed) {
        put_with_error(b, q->typed, q->typed_err);
        put_ratio(b, q->typed / q->before, (double)NAN);
    }
    if (against) {
        put_with_error(b, q->kl, q->kl_err);
        put_td(b, q->p90);
        put_td(b, q->p99);
        put_percent(b, q->top1);
        put_percent(b, q->dp);
    }
    buf_str(b, "</tr>\n");
}

/* The text of that name in another file: usually at the same place. NULL: there is none. */
static const struct eval_text *partner(const struct eval_file *f, uint32_t i, const struct eval_text *x)
{
    if (i < f->n_texts && !strcmp(f->texts[i].name, x->name))
        return &f->texts[i];
    for (uint32_t k = 0; k < f->n_texts && k < MAX_TEXTS; k++)
        if (!strcmp(f->texts[k].name, x->name))
            return &f->texts[k];
    return NULL;
}

static void put_quality_open(struct page *p, bool typed, bool against)
{
    struct buf head = {0};
    buf_str(&head, "<text|tokens scored|parent|result|ratio");
    if (typed) {
        buf_str(&head, "|in ");
        for (const char *s = p->o->type ? p->o->type : "another type"; *s && head.n < 100; s++)
            buf_char(&head, isalnum((unsigned char)*s) || *s == '_'
                                ? *s
                                : ' '); /* from a file, and this is markup */
        buf_str(&head, "|ratio");
    }
    if (against)
        buf_str(&head, "|KL mean|KL 90 %|KL 99 %|same first token|change of probability");
    put_table_open(&p->b, "Quality before and after", head.s);
    buf_clear(&head);
}

static void put_quality(struct page *p)
{
    struct buf *b = &p->b;
    const struct eval_file *before = &p->before, *after = p->against.doc ? &p->against : &p->after;
    const bool against = p->against.doc != NULL, has_after = after->doc != NULL, typed = p->typed.doc != NULL;
    const struct eval_file *shown = has_after ? after : before;
    uint32_t n = shown->n_texts;
    buf_str(
        b,
        "<p>Perplexity of the parent and of the result; lower is better. \xc2\xb1 is the standard error of a number by "
        "itself; both are of the same text, so that their ratio is more certain than these errors suggest.");
    if (against)
        buf_str(
            b,
            " KL divergence, in nats per token, says how far the predictions are from the parent\xe2\x80\x99s; 0 is the same. Same "
            "first token: how often both put the same token first. Change of probability: of the token that follows, root mean "
            "square.");
    buf_str(b, "</p>\n");
    put_quality_open(p, typed, against);
    for (uint32_t i = 0; i < n && i < MAX_TEXTS; i++) {
        const struct eval_text *x = &shown->texts[i];
        struct quality q = quality_of(has_after ? partner(before, i, x) : x, has_after ? x : NULL,
                                      partner(&p->typed, i, x), against);
        put_quality_row(b, x->name, &q, typed, against);
    }
    if (n > 1) {
        struct quality q = quality_of(before->doc ? &before->total : NULL, has_after ? &after->total : NULL,
                                      typed ? &p->typed.total : NULL, against);
        put_quality_row(b, "all texts", &q, typed, against);
    }
    put_table_close(b);
    if (n > MAX_TEXTS)
        buf_fmt(b, "<p>%u more texts are not shown; the total is over all of them.</p>\n", n - MAX_TEXTS);
}

const struct section section_quality = {"quality", "Quality before and after", has_quality, put_quality};

/* ---- quality against size ---- */

#define MAX_POINTS 1000
#define MAX_SERIES 12

struct sweep {
    struct {
        const char *criterion, *type; /* borrowed; type NULL: as it is */
        uint32_t series;
        bool front;
        double ratio, n_keep, bytes, ppl, kl, top1;
    } at[MAX_POINTS];
    char series[MAX_SERIES][128];
    uint32_t n, n_series;
    uint32_t chosen; /* index, UINT32_MAX: none */
    double base;
    double unit; /* of the sizes */
    bool has_bytes, has_ppl, has_kl, has_types;
};

/* Numbers that a chart can draw. */
static bool drawable(double v)
{
    return isfinite(v) && fabs(v) < 1e15;
}

static uint32_t series_of(struct sweep *s, const char *name)
{
    for (uint32_t i = 0; i < s->n_series; i++)
        if (!strcmp(s->series[i], name))
            return i;
    if (s->n_series == MAX_SERIES)
        return MAX_SERIES - 1;
    snprintf(s->series[s->n_series], sizeof *s->series, "%s", name);
    return s->n_series++;
}

#define AS_IT_IS "as it is"

/* A line for each criterion; with types for each of them, by each criterion where there are several. */
static uint32_t series_of_point(struct sweep *s, const struct sweep_file *f, uint32_t i)
{
    const struct sweep_file_point *x = &f->points[i];
    const char *type = x->type ? x->type : AS_IT_IS;
    char name[128];
    bool several = false;
    for (uint32_t k = 0; k < f->n_points && !several; k++)
        several = strcmp(f->points[k].criterion, f->points[0].criterion) != 0;
    if (!s->has_types)
        return series_of(s, x->criterion);
    snprintf(name, sizeof name, several ? "%.40s, %.80s" : "%.40s", type, x->criterion);
    return series_of(s, name);
}

static double known(uint64_t v)
{
    return v ? (double)v : (double)NAN;
}

static void read_sweep(const struct page *p, struct sweep *s)
{
    const struct sweep_file *f = &p->sweep;
    uint64_t n_experts = f->n_experts ? f->n_experts : p->n_experts;
    s->base = f->ppl;
    s->has_bytes = true;
    s->has_types = sweep_has_types(f);
    for (; s->n < f->n_points && s->n < MAX_POINTS; s->n++) {
        const struct sweep_file_point *x = &f->points[s->n];
        if (f->chosen == s->n)
            s->chosen = s->n;
        s->at[s->n].criterion = x->criterion;
        s->at[s->n].type = x->type;
        s->at[s->n].front = s->has_types && sweep_on_front(f, s->n);
        s->at[s->n].series = series_of_point(s, f, s->n);
        s->at[s->n].ratio = 1 - (double)x->n_keep / (double)n_experts;
        s->at[s->n].n_keep = (double)x->n_keep;
        s->at[s->n].bytes = known(x->bytes);
        s->at[s->n].ppl = x->r.score.ppl;
        s->at[s->n].kl = x->r.kl_mean;
        s->at[s->n].top1 = x->r.top1;
        s->has_bytes &= drawable(s->at[s->n].bytes);
        s->has_ppl |= drawable(s->at[s->n].ppl);
        s->has_kl |= drawable(s->at[s->n].kl);
    }
}

static bool has_sweep(const struct page *p)
{
    return p->sweep.n_points > 0; /* parent and result alone would be a straight line */
}

static int by_x(const void *a, const void *b)
{
    const struct point *x = a, *y = b;
    if (x->series != y->series)
        return x->series < y->series ? -1 : 1;
    return x->x < y->x ? -1 : x->x > y->x;
}

static void put_sweep_chart(struct page *p, const struct sweep *s, bool kl)
{
    struct point *v = xcalloc(s->n + 1, sizeof *v), *front = xcalloc(s->n + 1, sizeof *front);
    struct chart c = {.label =
                          kl ? "KL divergence from the parent against size; the table below has the numbers"
                             : "Perplexity against size; the table below has the numbers",
                      .x = !s->has_bytes    ? "experts removed, %"
                           : s->unit == 1e9 ? "size of the model, GB"
                                            : "size of the model, MB",
                      .y = kl ? "KL divergence, nats" : "perplexity",
                      .v = v,
                      .front = front,
                      .n_series = s->n_series,
                      .base = kl || !drawable(s->base) ? (double)NAN : s->base,
                      .base_name = "parent"};
    for (uint32_t i = 0; i < s->n; i++) {
        struct point q = {s->has_bytes ? s->at[i].bytes / s->unit : 100 * s->at[i].ratio,
                          kl ? s->at[i].kl : s->at[i].ppl, s->at[i].series};
        if (!drawable(q.x) || !drawable(q.y))
            continue;
        v[c.n++] = q;
        if (kl && s->at[i].front && s->has_bytes)
            front[c.n_front++] = (struct point){q.x, q.y, 0};
    }
    qsort(v, c.n, sizeof *v, by_x);
    qsort(front, c.n_front, sizeof *front, by_x);
    if (c.n)
        put_chart(&p->b, &c);
    free(v);
    free(front);
}

static void put_series_names(struct buf *b, const struct sweep *s)
{
    buf_str(b, "<p class=\"legend\">");
    for (uint32_t i = 0; i < s->n_series; i++) {
        buf_str(b, "<span><svg class=\"key\" viewBox=\"0 0 24 14\" aria-hidden=\"true\">");
        buf_fmt(b, "<path class=\"line s%u\" d=\"M0 7H24\"/>", i % 6);
        put_marker(b, 12, 7, i);
        buf_str(b, "</svg> ");
        html_clip(b, s->series[i], 80);
        buf_str(b, "</span>");
    }
    if (s->has_types)
        buf_str(b,
                "<span><svg class=\"key\" viewBox=\"0 0 24 14\" aria-hidden=\"true\"><path class=\"front\" "
                "d=\"M3 7H21\"/></svg> nothing measured is smaller and nearer to the parent</span>");
    buf_str(b, "</p>\n");
}

static void put_sweep_table(struct buf *b, const struct sweep *s)
{
    char head[256];
    snprintf(head, sizeof head,
             "%s<criterion|experts that stay|removed|size, %s|perplexity|ratio|KL mean|same first token%s",
             s->has_types ? "<type|" : "", s->unit == 1e9 ? "GB" : "MB", s->has_types ? "|on the front" : "");
    put_table_open(b, "Quality against size", head);
    for (uint32_t i = 0; i < s->n; i++) {
        bool whole = s->has_types && !(s->at[i].ratio > 0);
        buf_str(b, "<tr><th scope=\"row\" class=\"left\">");
        html_clip(b, !s->has_types ? s->at[i].criterion : s->at[i].type ? s->at[i].type : AS_IT_IS, 80);
        buf_str(b, s->chosen == i ? " <b>(chosen)</b></th>" : "</th>");
        if (s->has_types) {
            buf_str(b, "<td class=\"left\">");
            html_clip(b, whole ? "whole model" : s->at[i].criterion, 80);
            buf_str(b, "</td>");
        }
        put_td(b, s->at[i].n_keep);
        put_percent(b, s->at[i].ratio);
        put_td(b, s->at[i].bytes / s->unit);
        put_td(b, s->at[i].ppl);
        put_ratio(b, s->at[i].ppl / s->base, (double)NAN);
        put_td(b, s->at[i].kl);
        put_percent(b, s->at[i].top1);
        if (s->has_types)
            buf_str(b, s->at[i].front ? "<td>yes</td>" : "<td></td>");
        buf_str(b, "</tr>\n");
    }
    put_table_close(b);
}

/* Prune, or quantise: a sentence for each size. */
static void put_sweep_verdict(struct page *p)
{
    struct buf lines = {0};
    sweep_put_verdict(&p->sweep, &lines);
    if (!lines.n)
        return;
    buf_str(&p->b, "<p>Each type whole, and by each plan, all against the model as it is.</p>\n<ul>\n");
    for (char *save = NULL, *line = strtok_r(lines.s, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        buf_str(&p->b, "<li>");
        html_clip(&p->b, line, 400);
        buf_str(&p->b, "</li>\n");
    }
    buf_str(&p->b, "</ul>\n");
    buf_clear(&lines);
}

static void put_sweep(struct page *p)
{
    struct sweep *s = xcalloc(1, sizeof *s);
    uint32_t n = p->sweep.n_points;
    s->chosen = UINT32_MAX;
    read_sweep(p, s);
    s->unit = 1e6;
    for (uint32_t i = 0; i < s->n; i++)
        if (s->at[i].bytes >= 1e9)
            s->unit = 1e9;
    put_sweep_verdict(p);
    if (s->n_series > 1)
        put_series_names(&p->b, s);
    buf_str(&p->b, "<div class=\"charts\">\n");
    if (s->has_ppl)
        put_sweep_chart(p, s, false);
    if (s->has_kl)
        put_sweep_chart(p, s, true);
    buf_str(&p->b, "</div>\n");
    put_sweep_table(&p->b, s);
    if (n > MAX_POINTS)
        buf_fmt(&p->b, "<p>%u more points are not shown.</p>\n", n - MAX_POINTS);
    free(s);
}

const struct section section_sweep = {"sweep", "Quality against size", has_sweep, put_sweep};
