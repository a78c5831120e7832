/* chart.c - a line chart as SVG. Series differ by the form of their marks and by their dashes, not by colour
 * alone; the colours come from the style sheet (s0, s1, ...). */
#include "report/page_part.h"

#include <math.h>

#define W      520.0
#define H      300.0
#define LEFT   62.0
#define RIGHT  16.0
#define TOP    16.0
#define BOTTOM 46.0

struct axis {
    double lo, hi, step;
};

/* Two values that are the same for the eye, or one: some room around them, so that no step is lost in
 * rounding. */
static struct axis axis_of(double lo, double hi)
{
    if (!(hi - lo > 1e-9 * fmax(fabs(lo), fabs(hi))) || hi - lo < 1e-12) {
        double room = fmax(fabs(lo) * 0.1, 1e-9);
        lo -= lo == 0 ? 1 : room;
        hi += hi == 0 ? 1 : room;
    }
    struct axis a = {.step = tick_step(lo, hi, 5)};
    a.lo = floor(lo / a.step) * a.step;
    a.hi = ceil(hi / a.step) * a.step;
    return a;
}

static double at_x(const struct axis *a, double v)
{
    return LEFT + (v - a->lo) / (a->hi - a->lo) * (W - LEFT - RIGHT);
}

static double at_y(const struct axis *a, double v)
{
    return H - BOTTOM - (v - a->lo) / (a->hi - a->lo) * (H - TOP - BOTTOM);
}

/* Ticks are counted, not added up, so that they end where they should. */
static uint32_t n_ticks(const struct axis *a)
{
    return (uint32_t)lround((a->hi - a->lo) / a->step) + 1;
}

static double tick(const struct axis *a, uint32_t i)
{
    double v = a->lo + i * a->step;
    return fabs(v) < a->step * 1e-9 ? 0 : v;
}

/* Round numbers, without zeros behind. */
static const char *tick_text(double v, char dst[32])
{
    if (fabs(v) >= 1000 || v == floor(v))
        return html_number(v, dst);
    snprintf(dst, 32, "%.4g", v);
    return dst;
}

static void put_axes(struct buf *b, const struct chart *c, const struct axis *x, const struct axis *y)
{
    char s[32];
    for (uint32_t i = 0; i < n_ticks(y); i++) {
        double v = tick(y, i), at = at_y(y, v);
        buf_fmt(
            b,
            "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/><text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
            LEFT, at, W - RIGHT, LEFT - 6, at + 4, tick_text(v, s));
    }
    for (uint32_t i = 0; i < n_ticks(x); i++) {
        double v = tick(x, i), at = at_x(x, v);
        buf_fmt(
            b,
            "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/><text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n",
            at, H - BOTTOM, H - BOTTOM + 4, at, H - BOTTOM + 17, tick_text(v, s));
    }
    buf_fmt(b, "<path class=\"axis\" d=\"M%.1f %.1fV%.1fH%.1f\"/>\n", LEFT, TOP, H - BOTTOM, W - RIGHT);
    buf_fmt(b, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n", (LEFT + W - RIGHT) / 2,
            H - 8, c->x);
    buf_fmt(b, "<text transform=\"translate(13 %.1f) rotate(-90)\" text-anchor=\"middle\">%s</text>\n",
            (TOP + H - BOTTOM) / 2, c->y);
}

void put_marker(struct buf *b, double x, double y, uint32_t series)
{
    static const char *const forms[] = {"m0-4a4 4 0 1 0 .01 0z", "m-4-4h8v8h-8z", "m0-5l5 9h-10z",
                                        "m0-5.5l5 5.5l-5 5.5l-5-5.5z", "m0 5l5-9h-10z"};
    buf_fmt(b, "<path class=\"mark s%u\" d=\"M%.1f %.1f%s\"/>", series % 6, x, y, forms[series % 5]);
}

void put_chart(struct buf *b, const struct chart *c)
{
    double lx = INFINITY, hx = -INFINITY, ly = INFINITY, hy = -INFINITY;
    for (uint32_t i = 0; i < c->n; i++) {
        lx = fmin(lx, c->v[i].x);
        hx = fmax(hx, c->v[i].x);
        ly = fmin(ly, c->v[i].y);
        hy = fmax(hy, c->v[i].y);
    }
    if (isfinite(c->base)) {
        ly = fmin(ly, c->base);
        hy = fmax(hy, c->base);
    }
    struct axis x = axis_of(lx, hx), y = axis_of(ly, hy);
    buf_fmt(
        b,
        "<div class=\"scroll\"><svg class=\"chart\" viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"%s\">\n",
        W, H, c->label);
    put_axes(b, c, &x, &y);
    if (isfinite(c->base)) {
        double at = at_y(&y, c->base);
        buf_fmt(b,
                "<path class=\"base\" d=\"M%.1f %.1fH%.1f\"/><text class=\"base-name\" x=\"%.1f\" y=\"%.1f\" "
                "text-anchor=\"start\">%s</text>\n",
                LEFT, at, W - RIGHT, LEFT + 6, at - 5, c->base_name);
    }
    if (c->n_front > 1)
        buf_str(b, "<path class=\"front\" d=\"");
    for (uint32_t i = 0; c->n_front > 1 && i < c->n_front; i++)
        buf_fmt(b, "%c%.1f %.1f", i ? 'L' : 'M', at_x(&x, c->front[i].x), at_y(&y, c->front[i].y));
    if (c->n_front > 1)
        buf_str(b, "\"/>\n");
    for (uint32_t s = 0; s < c->n_series; s++) {
        char command = 'M';
        buf_fmt(b, "<path class=\"line s%u\" d=\"", s % 6);
        for (uint32_t i = 0; i < c->n; i++) {
            if (c->v[i].series != s)
                continue;
            buf_fmt(b, "%c%.1f %.1f", command, at_x(&x, c->v[i].x), at_y(&y, c->v[i].y));
            command = 'L';
        }
        buf_str(b, "\"/>\n");
        for (uint32_t i = 0; i < c->n; i++)
            if (c->v[i].series == s)
                put_marker(b, at_x(&x, c->v[i].x), at_y(&y, c->v[i].y), s);
        buf_char(b, '\n');
    }
    buf_str(b, "</svg></div>\n");
}
