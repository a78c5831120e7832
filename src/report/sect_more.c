/* sect_more.c - how much of the choice is chance: half against half, and the experts that are low in both. */
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

static void put_halves(struct buf *b, const struct halves *h, double mark)
{
    char s[32], more[40] = "";
    if (isfinite(h->kept))
        snprintf(more, sizeof more, " (%s)", percent_text(h->kept, s));
    put_td_bar_with(b, h->same, mark, more);
}

static void put_stability(struct page *p)
{
    struct buf *b = &p->b;
    uint32_t n = p->n_experts;
    struct err none = {0};
    buf_fmt(
        b,
        "<p>Of the experts that the even samples alone would keep, the share that the odd samples alone would keep as well (by %s). "
        "100 %% means that half of the text already decides; the line is what two choices by chance would share. "
        "Experts of nearly the same score change sides at no cost: so in brackets stands how much a choice by one half keeps "
        "of the score that the other half could keep at best. That says whether there was enough text.</p>\n",
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
    for (uint32_t i = 0; i < p->n_rows; i++) {
        buf_fmt(b, "<tr><th scope=\"row\">%u</th>", p->rows[i].il);
        if (p->plan)
            put_halves(b, &p->rows[i].halves, (double)p->n_keep / n);
        for (size_t k = 0; k < TABLE_RATIOS; k++) {
            uint32_t keep = count_at(n, table_ratios[k]);
            struct halves h;
            if (p->plan && keep == p->n_keep)
                continue;
            if (!summary_halves_of(p->stats, i, p->criterion, keep, &h, &none))
                BUG("scores that could be computed before: %s", none.msg);
            put_halves(b, &h, (double)keep / n);
        }
        buf_str(b, "</tr>\n");
    }
    put_table_close(b);
}

const struct section section_stability = {"stability", "Half against half", half_tokens, put_stability};

/* ---- consistently low ---- */

/* Those of layer i, and those without a token; what there is to say is a row of the table. */
static void put_low_row(const struct page *p, uint32_t i, bool any_never, uint8_t *low, uint8_t *never,
                        struct buf *b)
{
    struct row *r = &p->rows[i];
    struct err none = {0};
    if (!summary_low(p->stats, i, p->criterion, low, &r->n_low, &none))
        BUG("scores that could be computed before: %s", none.msg);
    for (uint32_t j = 0; j < p->n_experts; j++)
        never[j] = !stats_total(&p->stats->layers[i], j).count;
    if (!r->n_never && !r->n_low)
        return;
    buf_fmt(b, "<tr><th scope=\"row\">%u</th><td>%u</td><td class=\"left ids\">", r->il, r->n_low);
    put_ids(b, low, p->n_experts, 1);
    if (any_never) {
        buf_fmt(b, "</td><td>%u</td><td class=\"left ids\">", r->n_never);
        put_ids(b, never, p->n_experts, 1);
    }
    buf_str(b, "</td></tr>\n");
}

static void put_low(struct page *p)
{
    struct buf *b = &p->b, rows = {0};
    uint32_t n_never = 0, n_low = 0;
    for (uint32_t i = 0; i < p->n_rows; i++)
        n_never += p->rows[i].n_never;
    uint8_t *flags = xcalloc(2, p->n_experts);
    for (uint32_t i = 0; i < p->n_rows; i++) {
        put_low_row(p, i, n_never > 0, flags, flags + p->n_experts, &rows);
        n_low += p->rows[i].n_low;
    }
    free(flags);
    buf_fmt(b,
            "<p><b>%u</b> expert%s in the lowest quarter of %s layer (by %s)%s: these can go "
            "whatever the ratio. <b>%u</b> %s never routed to.</p>\n",
            n_low, n_low == 1 ? " is" : "s are", n_low == 1 ? "its" : "their", p->criterion->name,
            half_tokens(p) ? " by the even and by the odd samples alone" : "", n_never,
            n_never == 1 ? "expert was" : "experts were");
    if (rows.n) {
        buf_str(b, "<details open><summary>By layer</summary>\n");
        put_table_open(b, "Low experts by layer",
                       n_never ? "layer|low|<experts|never routed|<experts" : "layer|low|<experts");
        buf_add(b, rows.s, rows.n);
        put_table_close(b);
        buf_str(b, "</details>\n");
    }
    buf_clear(&rows);
}

const struct section section_low = {"low", "Consistently low", has_stats, put_low};
