/* sect_map.c - the picture of layers x experts: a heat map, a table with a row per layer, the sorted scores.
 *
 * The heat map is an image of one pixel per cell under one path for all marks, so a model of 94 layers with
 * 512 experts is three elements and not 48,128. The script draws the same from the sums, for any criterion. A
 * mark is a stroke through the cell: it is seen without colours and on paper. */
#include "base/mem.h"
#include "report/page_part.h"
#include "stats/summary.h"

#include <math.h>
#include <string.h>

#define MAX_CELLS (1u << 20) /* more than the engine knows: 512 blocks of 1024 experts */

static bool has_map(const struct page *p)
{
    return (p->stats || (p->plan && !p->guessed)) && (uint64_t)p->n_rows * p->n_experts <= MAX_CELLS;
}

/* ---- data for the script ---- */

#define MAX_DATA (1000u << 10) /* bytes of numbers, before base64 */

/* float32, little-endian, which is what the script's arrays are on all machines that browsers run on; with 3
 * bytes the last 8 bits of the fraction are rounded away (a relative error of 1e-5), which the script puts
 * back as zeros. */
static void put_array(struct buf *b, const struct page *p, const char *name,
                      double (*of)(const struct sums *, enum sum), enum sum k, uint32_t bytes)
{
    struct buf raw = {0};
    for (uint32_t i = 0; i < p->n_rows; i++)
        for (uint32_t j = 0; j < p->n_experts; j++) {
            struct sums x = stats_total(&p->stats->layers[i], j);
            float v = (float)of(&x, k);
            uint32_t bits;
            memcpy(&bits, &v, sizeof bits);
            bits = bytes == 3 ? (bits + 0x80) >> 8 : bits;
            for (uint32_t q = 0; q < bytes; q++)
                buf_char(&raw, (char)(bits >> 8 * q & 255));
        }
    buf_fmt(b, ",\n\"%s\":\"", name);
    base64_add(b, raw.s, raw.n);
    buf_char(b, '"');
    buf_clear(&raw);
}

static double count_of(const struct sums *x, enum sum unused)
{
    (void)unused;
    return (double)x->count;
}

/* What the criteria are made of, in their order: what does not fit into the page is left out from the end. */
static uint32_t sums_wanted(enum sum list[N_SUMS])
{
    const struct criterion *c;
    unsigned seen = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; (c = criterion_at(i)); i++) {
        unsigned bits = criterion_needs(c);
        if (criterion_has_scores(c) && bits && !(seen & bits))
            list[n++] = c->sum;
        seen |= bits;
    }
    return n;
}

/* Use and the default criterion's sum stay exact; the others are shortened, or left out, where a model has
 * very many experts. */
static void put_arrays(struct page *p)
{
    enum sum list[N_SUMS];
    uint32_t n = sums_wanted(list);
    size_t cells = (size_t)p->n_rows * p->n_experts, used = 8 * cells;
    uint32_t bytes = cells * 4 * (n + 1) <= MAX_DATA ? 4 : 3;
    put_array(&p->b, p, "count", count_of, SUM_GATE, 4);
    put_array(&p->b, p, sum_infos[list[0]].key, sum_value, list[0], 4);
    for (uint32_t f = 1; f < n && used + cells * bytes <= MAX_DATA; f++, used += cells * bytes)
        put_array(&p->b, p, sum_infos[list[f]].key, sum_value, list[f], bytes);
}

/* The criteria as the script computes them: name, sum, how the score comes of it. */
static void put_criteria(struct buf *b)
{
    static const char *const forms[] = {[CRITERION_SUM] = "sum",
                                        [CRITERION_MEAN] = "mean",
                                        [CRITERION_ROOT] = "root",
                                        [CRITERION_COUNT] = "sum"};
    const struct criterion *c;
    const char *comma = "";
    buf_str(b, ",\"criteria\":[");
    for (uint32_t i = 0; (c = criterion_at(i)); i++) {
        if (c->form == CRITERION_CHANCE || !criterion_has_scores(c))
            continue;
        buf_fmt(b, "%s[\"%s\",\"%s\",\"%s\"]", comma, c->name,
                c->form == CRITERION_COUNT ? "count" : sum_infos[c->sum].key, forms[c->form]);
        comma = ",";
    }
    buf_str(b, "]");
}

/* The data of the heat map for the script: JSON in a script element. Holds numbers and names of ours, no text
 * from files. */
static void put_map_data(struct page *p)
{
    struct buf *b = &p->b;
    size_t cells = (size_t)p->n_rows * p->n_experts;
    buf_fmt(
        b,
        "<script type=\"application/json\" id=\"map-data\">{\"experts\":%u,\"criterion\":\"%s\",\"layers\":[",
        p->n_experts, p->criterion->name);
    for (uint32_t i = 0; i < p->n_rows; i++)
        buf_fmt(b, "%s%u", i ? "," : "", p->rows[i].il);
    buf_str(b, "],\"scale\":[");
    for (int i = 0; i < N_SCALE; i++)
        buf_fmt(b, "%s%u", i ? "," : "", colour_scale[i]);
    buf_str(b, "]");
    if (p->plan) {
        struct buf bits = {0};
        for (size_t k = 0; k < cells; k += 8) {
            unsigned v = 0;
            for (size_t q = k; q < k + 8 && q < cells; q++)
                v |= (unsigned)p->rows[q / p->n_experts].kept[q % p->n_experts] << (q - k);
            buf_char(&bits, (char)v);
        }
        buf_str(b, ",\n\"kept\":\"");
        base64_add(b, bits.s, bits.n);
        buf_char(b, '"');
        buf_clear(&bits);
    }
    if (p->stats) {
        put_criteria(b);
        put_arrays(p);
    }
    buf_str(b, "}</script>\n");
}

/* ---- the picture ---- */

/* Share of the layer's largest score, or a plain half where there are no scores. */
static void put_image(struct page *p)
{
    struct buf bmp = {0};
    uint8_t *pixels = xcalloc((size_t)p->n_rows * p->n_experts, 1), *x = pixels;
    for (uint32_t i = 0; i < p->n_rows; i++) {
        const struct row *r = &p->rows[i];
        double most = r->score ? r->score[r->rank[0]] : 0;
        for (uint32_t j = 0; j < p->n_experts; j++, x++) {
            bool none = r->score && !stats_total(&p->stats->layers[i], j).count;
            double t = r->score ? (most > 0 ? r->score[j] / most : 0) : r->kept[j] ? 0.5 : 0.1;
            *x = none ? 0 : (uint8_t)(1 + lround(254 * (t < 0 ? 0 : t)));
        }
    }
    bmp_add(&bmp, pixels, p->n_experts, p->n_rows);
    buf_str(&p->b, "<img alt=\"\" src=\"data:image/bmp;base64,");
    base64_add(&p->b, bmp.s, bmp.n);
    buf_str(&p->b, "\">\n");
    buf_clear(&bmp);
    free(pixels);
}

/* One stroke per cell of 4 x 4 units: rising for a removed expert, falling for one without a token. Relative
 * moves keep it short; the path is drawn twice, dark below light, to be seen on every colour. */
static void put_marks(struct page *p)
{
    struct buf *b = &p->b;
    long x = 0, y = 0;
    bool any = false;
    for (uint32_t i = 0; i < p->n_rows; i++) {
        const struct row *r = &p->rows[i];
        for (uint32_t j = 0; j < p->n_experts; j++) {
            bool gone = r->kept && !r->kept[j],
                 never = p->stats && !stats_total(&p->stats->layers[i], j).count;
            long left = 4 * (long)j + 1, top = 4 * (long)i + 1;
            if (!gone && !never)
                continue;
            if (!any)
                buf_fmt(
                    b,
                    "<svg viewBox=\"0 0 %u %u\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><defs><path id=\"marks\" d=\"M0 0",
                    p->n_experts * 4, p->n_rows * 4);
            any = true;
            if (gone) {
                buf_fmt(b, "m%ld %ldl2-2", left - x, top + 2 - y);
                x = left + 2;
                y = top;
            }
            if (never) {
                buf_fmt(b, "m%ld %ldl2 2", left - x, top - y);
                x = left + 2;
                y = top + 2;
            }
        }
    }
    if (any)
        buf_str(
            b,
            "\"/></defs><use class=\"dark\" href=\"#marks\"/><use class=\"light\" href=\"#marks\"/></svg>\n");
}

/* About 12 labels in the row, at round numbers. */
static void put_column_labels(struct page *p)
{
    uint32_t step = 1;
    while (p->n_experts / step > 16)
        step *= 2;
    buf_str(&p->b, "<div class=\"cols\" aria-hidden=\"true\">");
    for (uint32_t j = 0; j < p->n_experts; j += step)
        buf_fmt(&p->b, "<span style=\"left:%.3f%%\" data-id=\"%u\">%u</span>", 100 * (j + 0.5) / p->n_experts,
                j, j);
    buf_str(&p->b, "</div>\n");
}

static void put_row_labels(struct page *p, uint32_t height)
{
    uint32_t step = height >= 14 ? 1 : height >= 9 ? 2 : 4;
    buf_str(&p->b, "<div class=\"rows\" aria-hidden=\"true\">");
    for (uint32_t i = 0; i < p->n_rows; i += step)
        buf_fmt(&p->b, "<span style=\"top:%.3f%%\">%u</span>", 100 * (i + 0.5) / p->n_rows, p->rows[i].il);
    buf_str(&p->b, "</div>\n");
}

static void put_legend(struct page *p)
{
    struct buf *b = &p->b;
    uint32_t never = 0;
    buf_str(b, "<p class=\"legend\">");
    if (p->stats) {
        buf_str(
            b,
            "<span><span id=\"scale-low\">0</span><i class=\"ramp\" style=\"background:linear-gradient(90deg");
        for (int i = 0; i < N_SCALE; i++)
            buf_fmt(b, ",#%06x", colour_scale[i]);
        buf_fmt(b, ")\"></i><span id=\"scale-high\">largest %s of the layer</span></span>",
                p->criterion->name);
        for (uint32_t i = 0; i < p->n_rows; i++)
            never += p->rows[i].n_never;
        if (never)
            buf_fmt(
                b,
                "<span><i class=\"cell\" style=\"background:#%06x\"><svg viewBox=\"0 0 10 10\"><path class=\"dark\" d=\"M2 2l6 6\"/>"
                "<path class=\"light\" d=\"M2 2l6 6\"/></svg></i>no token</span>",
                COLOUR_NONE);
    }
    if (p->plan)
        buf_fmt(
            b,
            "<span><i class=\"cell\" style=\"background:#%06x\"><svg viewBox=\"0 0 10 10\"><path class=\"dark\" d=\"M2 8l6-6\"/>"
            "<path class=\"light\" d=\"M2 8l6-6\"/></svg></i>removed</span>",
            colour_scale[2]);
    buf_str(b, "</p>\n");
}

static void put_map(struct page *p)
{
    struct buf *b = &p->b;
    uint32_t h = p->n_rows <= 16 ? 26 : p->n_rows <= 48 ? 16 : p->n_rows <= 128 ? 10 : 6;
    buf_fmt(b, "<p>A row is a layer, a column an expert. %s%s</p>\n",
            p->stats ? "Bright experts score high within their layer."
                     : "There are no statistics, so there are no scores.",
            p->plan ? " A stroke through a cell marks an expert that is removed." : "");
    buf_str(b, "<div id=\"map-controls\" class=\"controls\" hidden></div>\n");
    buf_str(b, "<p id=\"readout\" class=\"readout\" aria-live=\"polite\" hidden></p>\n");
    buf_fmt(b, "<div class=\"map%s\" style=\"--e:%u;--l:%u;--h:%upx\">\n", p->n_experts > 128 ? " dense" : "",
            p->n_experts, p->n_rows, h);
    put_row_labels(p, h);
    buf_str(b,
            "<div class=\"pan\" role=\"region\" aria-label=\"Heat map, scrolls sideways\" tabindex=\"0\">\n");
    buf_fmt(
        b,
        "<div id=\"field\" class=\"field\" role=\"img\" aria-label=\"Heat map of %u layers by %u experts. The table of "
        "layers below says the same in numbers.\">\n",
        p->n_rows, p->n_experts);
    put_image(p);
    put_marks(p);
    buf_str(b, "</div>\n");
    put_column_labels(p);
    buf_str(b, "</div>\n</div>\n");
    put_legend(p);
    buf_str(b, "<div id=\"layer-table\"></div>\n");
    put_map_data(p);
}

const struct section section_map = {"map", "Layers and experts", has_map, put_map};

/* ---- a row per layer ---- */

static bool has_layers(const struct page *p)
{
    return p->n_rows > 0;
}

/* Lowest score that stays, highest that goes. */
static void cut_of(const struct page *p, const struct row *r, double *stay, double *go)
{
    *stay = *go = NAN;
    for (uint32_t j = 0; r->score && r->kept && j < p->n_experts; j++) {
        if (r->kept[j])
            *stay = fmin(*stay, r->score[j]);
        else
            *go = fmax(*go, r->score[j]);
    }
}

/* Whether the gates are a softmax over all experts, and how much of it stays. */
static bool has_mass(const struct page *p)
{
    return p->plan && p->n_rows && p->rows[0].mass_kept > 0;
}

static void put_layer(struct page *p, const struct row *r)
{
    struct buf *b = &p->b;
    uint32_t n = p->n_experts;
    double stay, go, mark = p->plan ? 1 - (double)p->n_keep / n : NAN;
    cut_of(p, r, &stay, &go);
    buf_fmt(b, "<tr><th scope=\"row\">%u</th>", r->il);
    if (p->plan) {
        put_td_bar(b, r->tokens_lost, mark);
        put_td_bar(b, r->score_lost, mark);
        put_td_bar(b, r->reap_lost, mark);
        if (has_mass(p))
            put_td(b, 1 / r->mass_kept);
    }
    if (p->stats) {
        double median = (r->score[r->rank[(n - 1) / 2]] + r->score[r->rank[n / 2]]) / 2;
        put_td(b, r->score[r->rank[n - 1]]);
        if (p->plan) {
            put_td(b, go);
            put_td(b, stay);
        }
        put_td(b, median);
        put_td(b, r->score[r->rank[0]]);
    }
    buf_fmt(b, "<td>%u</td>", r->n_never);
    buf_str(b, "</tr>\n");
}

/* The ids, in a list of their own: there may be hundreds in a layer. */
static void put_removed(struct page *p)
{
    struct buf *b = &p->b;
    const char *what =
        p->guessed ? "Kept experts" : "Removed experts"; /* what is behind the last one is not known */
    uint64_t n = (uint64_t)p->n_rows * (p->guessed ? p->n_keep : p->n_experts - p->n_keep);
    buf_fmt(b, "<details%s><summary>%s by layer</summary>\n",
            n > 400 ? n > 2000 ? " class=\"long\"" : "" : " open", what);
    put_table_open(b, what, "layer|<experts");
    for (uint32_t i = 0; i < p->n_rows; i++) {
        buf_fmt(b, "<tr><th scope=\"row\">%u</th><td class=\"left ids\">", p->rows[i].il);
        put_ids(b, p->rows[i].kept, p->n_experts, p->guessed);
        buf_str(b, "</td></tr>\n");
    }
    put_table_close(b);
    buf_str(b, "</details>\n");
}

static void put_layers(struct page *p)
{
    struct buf *b = &p->b;
    struct buf head = {0};
    char s[32];
    if (p->plan)
        buf_fmt(
            b,
            "<p>What goes with the removed experts, as shares of the layer: tokens that the router sent to them, the sum of the "
            "score (%s), and the sum of what they add to the layer's output. The line in a bar is the share of the experts that "
            "goes, %s: a choice by chance would lose about as much.</p>\n",
            p->criterion->name, percent_text(1 - (double)p->n_keep / p->n_experts, s));
    buf_str(&head, "layer");
    if (p->plan)
        buf_fmt(&head, "|routing removed|score removed|contribution removed%s",
                has_mass(p) ? "|gates grow by" : "");
    if (p->stats)
        buf_str(&head, p->plan ? "|lowest score|highest removed|lowest kept|median|highest"
                               : "|lowest score|median|highest");
    buf_str(&head, "|never routed");
    put_table_open(b, "A row per layer", head.s);
    for (uint32_t i = 0; i < p->n_rows; i++)
        put_layer(p, &p->rows[i]);
    put_table_close(b);
    buf_clear(&head);
    if (p->plan)
        put_removed(p);
}

const struct section section_layers = {"layers", "Layer by layer", has_layers, put_layers};

/* ---- sorted scores ---- */

static bool has_scores(const struct page *p)
{
    return p->stats != NULL;
}

#define MINI_W    120
#define MINI_H    56
#define MAX_MINIS 512

/* Scores from the best to the worst as an area; below it a bar for the removed ranks. */
static void put_mini(struct page *p, const struct row *r)
{
    struct buf *b = &p->b;
    uint32_t n = p->n_experts, step = n > 64 ? n / 64 : 1;
    double most = r->score[r->rank[0]], stay, go;
    char s[3][32];
    cut_of(p, r, &stay, &go);
    buf_fmt(
        b,
        "<figure class=\"mini\"><figcaption>layer %u</figcaption><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"Layer %u: "
        "scores from %s down to %s",
        r->il, MINI_W, MINI_H + 8, r->il, html_number(most, s[0]),
        html_number(r->score[r->rank[n - 1]], s[1]));
    if (isfinite(stay) && isfinite(go))
        buf_fmt(b, "; lowest kept %s, highest removed %s", html_number(stay, s[0]), html_number(go, s[1]));
    buf_fmt(b, "\"><path class=\"area\" d=\"M0 %d", MINI_H);
    for (uint32_t k = 0; k < n; k += step) {
        double v = most > 0 ? r->score[r->rank[k]] / most : 0;
        buf_fmt(b, "L%.3g %.3g", MINI_W * (double)k / (n > 1 ? n - 1 : 1), MINI_H - v * (MINI_H - 4));
    }
    buf_fmt(b, "L%d %.3gV%dz\"/>", MINI_W,
            MINI_H - (most > 0 ? r->score[r->rank[n - 1]] / most : 0) * (MINI_H - 4), MINI_H);
    if (r->kept) {
        buf_str(b, "<path class=\"gone\" d=\"");
        for (uint32_t k = 0; k < n; k++) {
            uint32_t from = k;
            if (r->kept[r->rank[k]])
                continue;
            while (k + 1 < n && !r->kept[r->rank[k + 1]])
                k++;
            buf_fmt(b, "M%.4g %dh%.4gv5h-%.4gz", MINI_W * (double)from / n, MINI_H + 2,
                    MINI_W * (k + 1.0 - from) / n, MINI_W * (k + 1.0 - from) / n);
        }
        buf_str(b, "\"/>");
    }
    buf_str(b, "</svg></figure>\n");
}

static void put_scores(struct page *p)
{
    struct buf *b = &p->b;
    buf_fmt(
        b,
        "<p>The scores (%s) of each layer from the highest to the lowest, each layer on its own scale from 0.%s A steep curve has "
        "experts that clearly matter less; in a flat one there is little to choose.</p>\n<div class=\"minis\">\n",
        p->criterion->name, p->plan ? " The bar below a curve marks the experts that are removed." : "");
    for (uint32_t i = 0; i < p->n_rows && i < MAX_MINIS; i++)
        put_mini(p, &p->rows[i]);
    buf_str(b, "</div>\n");
    if (p->n_rows > MAX_MINIS)
        buf_fmt(b, "<p>%u more layers are not shown.</p>\n", p->n_rows - MAX_MINIS);
}

const struct section section_scores = {"scores", "Sorted scores", has_scores, put_scores};
