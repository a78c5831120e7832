/* sect_more.c - how much of the choice is chance: half against half, and the experts that are low by every
 * measure. */
#include "base/mem.h"
#include "report/page_part.h"
#include "stats/summary.h"
#include "stats/tables.h"

#include <math.h>

static bool has_stats(const struct page *p)
{
    return p->stats != NULL;
}

/* ---- stability ---- */

static uint32_t count_at(uint32_t n, double ratio)
{
    return (uint32_t)ceil((1 - ratio) * n - 1e-9);
}

static bool half_tokens(const struct page *p)
{
    return p->stats && p->stats->layers[0].tokens[EVEN] && p->stats->layers[0].tokens[ODD];
}

static void put_stability(struct page *p)
{
    struct buf *b = &p->b;
    uint32_t n = p->n_experts;
    struct err none = {0};
    buf_fmt(
        b,
        "<p>Of the experts that the even samples alone would keep, the share that the odd samples alone would keep as well (by %s). "
        "100 %% means that half of the text already decides; the line is what two choices by chance would share.</p>\n",
        p->criterion->name);
    buf_str(
        b,
        "<div class=\"scroll\" role=\"region\" aria-label=\"Stability by layer\" tabindex=\"0\"><table><thead><tr><th "
        "scope=\"col\">layer</th>");
    if (p->plan)
        buf_fmt(b, "<th scope=\"col\">%u of %u stay</th>", p->n_keep, n);
    for (size_t k = 0; k < TABLE_RATIOS; k++)
        if (!p->plan || count_at(n, table_ratios[k]) != p->n_keep)
            buf_fmt(b, "<th scope=\"col\">%g %% removed</th>", 100 * table_ratios[k]);
    buf_str(b, "</tr></thead><tbody>\n");
    double *half = xcalloc(2 * (size_t)n, sizeof *half);
    for (uint32_t i = 0; i < p->n_rows; i++) {
        if (!criterion_scores(p->stats, i, p->criterion, 0, EVEN, half, &none) ||
            !criterion_scores(p->stats, i, p->criterion, 0, ODD, half + n, &none))
            BUG("scores that could be computed before: %s", none.msg);
        buf_fmt(b, "<tr><th scope=\"row\">%u</th>", p->rows[i].il);
        if (p->plan)
            put_td_bar(b, p->rows[i].agree, (double)p->n_keep / n);
        for (size_t k = 0; k < TABLE_RATIOS; k++) {
            uint32_t keep = count_at(n, table_ratios[k]);
            if (!p->plan || keep != p->n_keep)
                put_td_bar(b, summary_agreement(half, half + n, n, p->n_groups, keep), (double)keep / n);
        }
        buf_str(b, "</tr>\n");
    }
    free(half);
    put_table_close(b);
}

const struct section section_stability = {"stability", "Half against half", half_tokens, put_stability};

/* ---- low by every measure ---- */

/* Marks in low[] the experts among the m last of layer i by each of these, from all of the text and from its
 * halves. */
static void find_low(const struct page *p, uint32_t i, uint32_t m, uint8_t *low)
{
    static const struct {
        const char *criterion;
        int which;
    } by[] = {{"reap", -1}, {"reap", EVEN}, {"reap", ODD}, {"ean_mean", -1}, {"frequency", -1}};
    uint32_t n = p->n_experts, *rank = xcalloc(n, sizeof *rank);
    uint8_t *times = xcalloc(n, 1);
    double *score = xcalloc(n, sizeof *score);
    struct err none = {0};
    const size_t n_by = sizeof by / sizeof *by;
    for (size_t k = 0; k < n_by; k++) {
        if (!criterion_scores(p->stats, i, criterion_find(by[k].criterion), 0, by[k].which, score, &none))
            break; /* not finite by a criterion that nobody asked for: none is low by all of them */
        criterion_rank(score, n, rank);
        for (uint32_t q = n - m; q < n; q++)
            times[rank[q]]++;
    }
    for (uint32_t j = 0; j < n; j++)
        low[j] = times[j] == n_by;
    free(rank);
    free(times);
    free(score);
}

static void put_low(struct page *p)
{
    struct buf *b = &p->b, rows = {0};
    uint32_t n = p->n_experts, m = p->plan ? n - p->n_keep : n / 4, n_never = 0, n_low = 0;
    for (uint32_t i = 0; i < p->n_rows; i++)
        n_never += p->rows[i].n_never;
    uint8_t *never = xcalloc(n, 1), *low = xcalloc(n, 1);
    for (uint32_t i = 0; i < p->n_rows; i++) {
        struct row *r = &p->rows[i];
        for (uint32_t j = 0; j < n; j++)
            never[j] = !stats_total(&p->stats->layers[i], j).count;
        find_low(p, i, m, low);
        for (uint32_t j = 0; j < n; j++)
            r->n_low += low[j];
        n_low += r->n_low;
        if (!r->n_never && !r->n_low)
            continue;
        buf_fmt(&rows, "<tr><th scope=\"row\">%u</th><td>%u</td><td class=\"left ids\">", r->il, r->n_low);
        put_ids(&rows, low, n, 1);
        if (n_never) {
            buf_fmt(&rows, "</td><td>%u</td><td class=\"left ids\">", r->n_never);
            put_ids(&rows, never, n, 1);
        }
        buf_str(&rows, "</td></tr>\n");
    }
    buf_fmt(
        b,
        "<p><b>%u</b> expert%s among the last %u of %s layer by every measure: by <code>reap</code> from all of the text and from "
        "each half alone, by the length of %s output without the gate, and by use. <b>%u</b> %s never routed to.</p>\n",
        n_low, n_low == 1 ? " is" : "s are", m, n_low == 1 ? "its" : "their", n_low == 1 ? "its" : "their",
        n_never, n_never == 1 ? "expert was" : "experts were");
    if (rows.n) {
        buf_str(b, "<details open><summary>By layer</summary>\n");
        put_table_open(b, "Low experts by layer",
                       n_never ? "layer|low|<experts|never routed|<experts" : "layer|low|<experts");
        buf_add(b, rows.s, rows.n);
        put_table_close(b);
        buf_str(b, "</details>\n");
    }
    buf_clear(&rows);
    free(never);
    free(low);
}

const struct section section_low = {"low", "Low by every measure", has_stats, put_low};
