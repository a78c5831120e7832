/* html.c - see html.h. */
#include "report/html.h"
#include "base/mem.h"
#include "base/text.h"

#include <math.h>
#include <openssl/evp.h>
#include <string.h>

void html_add(struct buf *b, const char *s, size_t n)
{
    for (size_t i = 0, k; i < n; i += k ? k : 1) {
        unsigned char c = (unsigned char)s[i];
        k = utf8_len(s + i, n - i);
        if (!k || (c != '\n' && c != '\t' && text_misleads(s + i, k)))
            buf_str(b, "\xef\xbf\xbd");
        else if (c == '&')
            buf_str(b, "&amp;");
        else if (c == '<')
            buf_str(b, "&lt;");
        else if (c == '>')
            buf_str(b, "&gt;");
        else if (c == '"')
            buf_str(b, "&quot;");
        else if (c == '\'')
            buf_str(b, "&#39;");
        else
            buf_add(b, s + i, k);
    }
}

void html_clip(struct buf *b, const char *s, size_t max)
{
    size_t n = s ? strlen(s) : 0, cut = n;
    if (n > max)
        for (cut = max; cut > 0 && ((unsigned char)s[cut] & 0xc0) == 0x80;)
            cut--;
    if (s)
        html_add(b, s, cut);
    if (cut < n)
        buf_str(b, " \xe2\x80\xa6");
}

const char *html_number(double v, char dst[32])
{
    double a = fabs(v);
    if (!isfinite(v)) {
        snprintf(dst, 32, "-");
    } else if (a >= 1e15 || (a > 0 && a < 1e-4)) {
        snprintf(dst, 32, "%.3g", v);
    } else if (a >= 999.95) {
        dst[0] = '-';
        human_count((uint64_t)llround(a), dst + (v < 0));
    } else {
        snprintf(dst, 32, a == floor(a) ? "%.0f" : "%#.4g", v); /* zeros behind the point say how exact */
    }
    return dst;
}

const char *percent_text(double v, char dst[32])
{
    if (!(fabs(v) < 1e6)) /* no share at all */
        snprintf(dst, 32, "-");
    else
        snprintf(dst, 32, "%.1f %%", 100 * v);
    return dst;
}

double tick_step(double lo, double hi, int n)
{
    double raw = (hi - lo) / n, base = pow(10, floor(log10(raw))), f = raw / base;
    return base * (f <= 1 ? 1 : f <= 2 ? 2 : f <= 5 ? 5 : 10);
}

void base64_add(struct buf *b, const void *p, size_t n)
{
    if (!n)
        return;
    char *s = xmalloc(4 * (n / 3 + 1) + 1);
    buf_add(b, s, (size_t)EVP_EncodeBlock((unsigned char *)s, p, (int)n));
    free(s);
}

const uint32_t colour_scale[N_SCALE] = {0x440154, 0x472d7b, 0x3b528b, 0x2c728e, 0x21918c,
                                        0x28ae80, 0x5ec962, 0xaddc30, 0xfde725};

static uint32_t mix(uint32_t a, uint32_t b, double t, int shift)
{
    double x = (double)(a >> shift & 255), y = (double)(b >> shift & 255);
    return (uint32_t)lround(x + t * (y - x)) << shift;
}

uint32_t colour_at(double t)
{
    if (isnan(t))
        return COLOUR_NONE;
    t = (t < 0 ? 0 : t > 1 ? 1 : t) * (N_SCALE - 1);
    int i = t >= N_SCALE - 1 ? N_SCALE - 2 : (int)t;
    uint32_t a = colour_scale[i], c = colour_scale[i + 1];
    return mix(a, c, t - i, 16) | mix(a, c, t - i, 8) | mix(a, c, t - i, 0);
}

static void u16le(struct buf *b, uint32_t v)
{
    buf_char(b, (char)(v & 255));
    buf_char(b, (char)(v >> 8 & 255));
}

/* BITMAPFILEHEADER, BITMAPINFOHEADER, 256 entries of 4 bytes, rows of a multiple of 4 bytes. */
void bmp_add(struct buf *b, const uint8_t *pixels, uint32_t w, uint32_t h)
{
    uint32_t row = (w + 3) / 4 * 4, start = 14 + 40 + 256 * 4;
    buf_str(b, "BM");
    buf_u32le(b, start + row * h);
    buf_u32le(b, 0);
    buf_u32le(b, start);
    buf_u32le(b, 40);
    buf_u32le(b, w);
    buf_u32le(b, (uint32_t) - (int32_t)h); /* negative: the first row is the top one */
    u16le(b, 1);
    u16le(b, 8);
    for (int i = 0; i < 6; i++)
        buf_u32le(b, i == 4 ? 256 : 0); /* not compressed; 256 colours */
    for (int i = 0; i < 256; i++)
        buf_u32le(b, i ? colour_at((i - 1) / 254.0) : COLOUR_NONE); /* blue, green, red, 0 */
    for (uint32_t y = 0; y < h; y++) {
        buf_add(b, pixels + (size_t)y * w, w);
        buf_zero(b, row - w);
    }
}
