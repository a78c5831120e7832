/* sect_eval.c - what the pruning costs: perplexity before and after, divergence from the parent, quality
 * against size. */
#include "base/mem.h"
#include "report/page_part.h"

#include <math.h>
#include <string.h>

#define MAX_TEXTS 1000

/* ---- before and after ---- */

static bool has_quality(const struct page *p)
{
    return p->before || p->after || p->against;
}

/* One text as the evaluations say it; what they do not say is not a number. */
struct quality {
    double scored, before, before_err, after, after_err, ratio_err, kl, kl_err, p90, p99, top1, dp;
};

static struct quality quality_of(const json_t *before, const json_t *after, bool against)
{
    const json_t *kl = json_object_get(after, "kl");
    struct quality q = {
        .scored = report_number(after ? after : before, "n_scored"),
        .before = against ? report_number(after, "base_ppl") : report_number(before, "ppl"),
        .before_err = against ? report_number(after, "base_ppl_stderr") : report_number(before, "ppl_stderr"),
        .after = report_number(after, "ppl"),
        .after_err = report_number(after, "ppl_stderr"),
        .ratio_err = report_number(after, "ln_ppl_ratio_stderr"),
        .kl = report_number(kl, "mean"),
        .kl_err = report_number(kl, "stderr"),
        .p90 = report_number(kl, "p90"),
        .p99 = report_number(kl, "p99"),
        .top1 = report_number(after, "top1_agreement"),
        .dp = report_number(after, "dp_rms"),
    };
    if (against && isnan(q.before)) {
        q.before = report_number(before, "ppl");
        q.before_err = report_number(before, "ppl_stderr");
    }
    return q;
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

static void put_quality_row(struct buf *b, const char *name, const struct quality *q, bool against)
{
    buf_str(b, "<tr><th scope=\"row\" class=\"left\"><bdi>");
    html_clip(b, name ? name : "?", 200);
    buf_str(b, "</bdi></th>");
    put_td(b, q->scored);
    put_with_error(b, q->before, q->before_err);
    put_with_error(b, q->after, q->after_err);
    put_ratio(b, q->after / q->before, q->ratio_err);
    if (against) {
        put_with_error(b, q->kl, q->kl_err);
        put_td(b, q->p90);
        put_td(b, q->p99);
        put_percent(b, q->top1);
        put_percent(b, q->dp);
    }
    buf_str(b, "</tr>\n");
}

static bool same_name(const json_t *a, const json_t *b)
{
    const char *x = report_text(a, "name"), *y = report_text(b, "name");
    return x && y && !strcmp(x, y);
}

/* The text of that name: usually at the same place. */
static const json_t *partner(const json_t *list, size_t i, const json_t *x)
{
    const json_t *y = json_array_get(list, i);
    for (size_t k = 0; !same_name(x, y) && k < json_array_size(list) && k < MAX_TEXTS; k++)
        y = json_array_get(list, k);
    return same_name(x, y) ? y : NULL;
}

static void put_quality(struct page *p)
{
    struct buf *b = &p->b;
    bool against = p->against != NULL;
    const json_t *after = against ? p->against : p->after, *before = p->before;
    const json_t *texts = json_object_get(after ? after : before, "texts"),
                 *others = json_object_get(before, "texts");
    size_t n = json_array_size(texts);
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
    put_table_open(
        b, "Quality before and after",
        against
            ? "<text|tokens scored|parent|result|ratio|KL mean|KL 90 %|KL 99 %|same first token|change of probability"
            : "<text|tokens scored|parent|result|ratio");
    for (size_t i = 0; i < n && i < MAX_TEXTS; i++) {
        const json_t *x = json_array_get(texts, i);
        struct quality q = quality_of(after ? partner(others, i, x) : x, after ? x : NULL, against);
        put_quality_row(b, report_text(x, "name"), &q, against);
    }
    const json_t *t = json_object_get(after, "total"), *u = json_object_get(before, "total");
    if (n > 1 && (t || u)) {
        struct quality q = quality_of(u, t, against);
        put_quality_row(b, "all texts", &q, against);
    }
    put_table_close(b);
    if (n > MAX_TEXTS)
        buf_fmt(b, "<p>%zu more texts are not shown; the total is over all of them.</p>\n", n - MAX_TEXTS);
}

const struct section section_quality = {"quality", "Quality before and after", has_quality, put_quality};

/* ---- quality against size ---- */

#define MAX_POINTS 1000
#define MAX_SERIES 12

struct sweep {
    struct {
        const char *criterion; /* borrowed */
        uint32_t series;
        double ratio, n_keep, bytes, ppl, kl, top1;
    } at[MAX_POINTS];
    const char *series[MAX_SERIES];
    uint32_t n, n_series;
    uint32_t chosen; /* index, UINT32_MAX: none */
    double base;
    double unit; /* of the sizes */
    bool has_bytes, has_ppl, has_kl;
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
    s->series[s->n_series] = name;
    return s->n_series++;
}

static void read_sweep(const struct page *p, struct sweep *s)
{
    const json_t *list = json_object_get(p->sweep, "points"), *base = json_object_get(p->sweep, "base");
    const json_t *chosen = json_object_get(p->sweep, "chosen");
    uint64_t n_experts = report_count(base, "n_experts");
    n_experts = n_experts ? n_experts : p->n_experts;
    s->base = report_number(base, "ppl");
    s->has_bytes = true;
    for (size_t i = 0; i < json_array_size(list) && s->n < MAX_POINTS; i++) {
        const json_t *x = json_array_get(list, i), *t = json_object_get(x, "total");
        const char *name = report_text(x, "criterion");
        double n_keep = report_number(x, "n_keep");
        if (!json_is_object(x))
            continue;
        t = json_is_object(t) ? t : x; /* the figures may stand in the point itself */
        if (isnan(s->base))
            s->base = report_number(t, "base_ppl");
        if (json_is_integer(chosen) && json_integer_value(chosen) == (json_int_t)i)
            s->chosen = s->n;
        s->at[s->n].criterion = name ? name : "?";
        s->at[s->n].series = series_of(s, s->at[s->n].criterion);
        s->at[s->n].ratio = isnan(n_keep) ? report_number(x, "ratio") : 1 - n_keep / (double)n_experts;
        s->at[s->n].n_keep = n_keep;
        s->at[s->n].bytes = report_number(x, "bytes");
        s->at[s->n].ppl = report_number(t, "ppl");
        s->at[s->n].kl = report_number(json_object_get(t, "kl"), "mean");
        s->at[s->n].top1 = report_number(t, "top1_agreement");
        s->has_bytes &= drawable(s->at[s->n].bytes) && s->at[s->n].bytes > 0;
        s->has_ppl |= drawable(s->at[s->n].ppl);
        s->has_kl |= drawable(s->at[s->n].kl);
        s->n++;
    }
}

/* Parent and result alone are two points, when their sizes are known. */
static bool two_points(const struct page *p)
{
    const json_t *t = json_object_get(p->against ? p->against : p->after, "total");
    double after = report_number(t, "ppl");
    double before = report_number(json_object_get(p->before, "total"), "ppl");
    if (isnan(before))
        before = report_number(t, "base_ppl");
    return p->bytes_before && p->bytes_after && drawable(before) && drawable(after);
}

static bool has_sweep(const struct page *p)
{
    return json_array_size(json_object_get(p->sweep, "points")) > 0 || two_points(p);
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
    struct point *v = xcalloc(s->n + 1, sizeof *v);
    struct chart c = {.label =
                          kl ? "KL divergence from the parent against size; the table below has the numbers"
                             : "Perplexity against size; the table below has the numbers",
                      .x = !s->has_bytes    ? "experts removed, %"
                           : s->unit == 1e9 ? "size of the model, GB"
                                            : "size of the model, MB",
                      .y = kl ? "KL divergence, nats" : "perplexity",
                      .v = v,
                      .n_series = s->n_series,
                      .base = kl || !drawable(s->base) ? (double)NAN : s->base,
                      .base_name = "parent"};
    for (uint32_t i = 0; i < s->n; i++) {
        struct point q = {s->has_bytes ? s->at[i].bytes / s->unit : 100 * s->at[i].ratio,
                          kl ? s->at[i].kl : s->at[i].ppl, s->at[i].series};
        if (drawable(q.x) && drawable(q.y))
            v[c.n++] = q;
    }
    qsort(v, c.n, sizeof *v, by_x);
    if (c.n)
        put_chart(&p->b, &c);
    free(v);
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
    buf_str(b, "</p>\n");
}

static void put_sweep_table(struct buf *b, const struct sweep *s)
{
    put_table_open(
        b, "Quality against size",
        s->unit == 1e9
            ? "<criterion|experts that stay|removed|size, GB|perplexity|ratio|KL mean|same first token"
            : "<criterion|experts that stay|removed|size, MB|perplexity|ratio|KL mean|same first token");
    for (uint32_t i = 0; i < s->n; i++) {
        buf_str(b, "<tr><th scope=\"row\" class=\"left\">");
        html_clip(b, s->at[i].criterion, 80);
        buf_str(b, s->chosen == i ? " <b>(chosen)</b></th>" : "</th>");
        put_td(b, s->at[i].n_keep);
        put_percent(b, s->at[i].ratio);
        put_td(b, s->at[i].bytes / s->unit);
        put_td(b, s->at[i].ppl);
        put_ratio(b, s->at[i].ppl / s->base, (double)NAN);
        put_td(b, s->at[i].kl);
        put_percent(b, s->at[i].top1);
        buf_str(b, "</tr>\n");
    }
    put_table_close(b);
}

static void use_two_points(const struct page *p, struct sweep *s)
{
    const json_t *t = json_object_get(p->against ? p->against : p->after, "total");
    s->base = report_number(json_object_get(p->before, "total"), "ppl");
    if (isnan(s->base))
        s->base = report_number(t, "base_ppl");
    for (int i = 0; i < 2; i++) {
        s->at[i].criterion = i ? "result" : "parent";
        s->at[i].n_keep = i ? p->n_keep : p->n_experts;
        s->at[i].ratio = 1 - s->at[i].n_keep / p->n_experts;
        s->at[i].bytes = (double)(i ? p->bytes_after : p->bytes_before);
        s->at[i].ppl = i ? report_number(t, "ppl") : s->base;
        s->at[i].kl = i ? report_number(json_object_get(t, "kl"), "mean") : (double)NAN;
        s->at[i].top1 = i ? report_number(t, "top1_agreement") : (double)NAN;
    }
    s->n = 2;
    s->n_series = 1;
    s->series[0] = "parent and result";
    s->has_bytes = s->has_ppl = true;
}

static void put_sweep(struct page *p)
{
    struct sweep *s = xcalloc(1, sizeof *s);
    size_t n = json_array_size(json_object_get(p->sweep, "points"));
    s->chosen = UINT32_MAX;
    if (n)
        read_sweep(p, s);
    else
        use_two_points(p, s);
    s->unit = 1e6;
    for (uint32_t i = 0; i < s->n; i++)
        if (s->at[i].bytes >= 1e9)
            s->unit = 1e9;
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
        buf_fmt(&p->b, "<p>%zu more points are not shown.</p>\n", n - MAX_POINTS);
    free(s);
}

const struct section section_sweep = {"sweep", "Quality against size", has_sweep, put_sweep};
