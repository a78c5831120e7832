/* html.h - what a page is made of: text made safe, numbers for people, colours, and the few encodings that
 * let one file hold everything. */
#ifndef REAP_REPORT_HTML_H
#define REAP_REPORT_HTML_H

#include "base/buf.h"
#include <stdint.h>

/* Adds text from anywhere (NULL: nothing), at most max bytes of it, cut between characters with an ellipsis,
 * so that it stands for itself in an element and in a quoted attribute: & < > " ' become references; bad
 * UTF-8 and what misleads (text_misleads) become U+FFFD, line feeds and tabs stay. */
void html_clip(struct buf *b, const char *s, size_t max);

/* The same of n bytes, whole. */
void html_add(struct buf *b, const char *s, size_t n);

/* Four significant digits, without an exponent where people do not need one: 1.645, 0.03125, 12,345, 1.2e-09;
 * whole numbers whole; "-" for what is not a number. dst holds at least 32 bytes; returns dst. */
const char *html_number(double v, char dst[32]);
/* A share as "19.4 %". */
const char *percent_text(double v, char dst[32]);

/* A round step so that lo to hi (lo < hi, finite) has about n ticks: 1, 2 or 5 times a power of ten. */
double tick_step(double lo, double hi, int n);

void base64_add(struct buf *b, const void *p, size_t n);

/* The colour scale, dark to bright, readable for the colour-blind and in grey: N_SCALE colours 0xrrggbb at
 * even distances, linear between them (viridis by S. van der Walt and N. Smith, CC0). */
#define N_SCALE 9
extern const uint32_t colour_scale[N_SCALE];
#define COLOUR_NONE 0x8a8a8au /* no value */
uint32_t colour_at(double t); /* t is clamped to 0..1; not a number: COLOUR_NONE */

/* A Windows bitmap of w x h pixels with 8-bit palette: pixel 0 is COLOUR_NONE, 1..255 the scale. The simplest
 * image that browsers know. Rows from the top. */
void bmp_add(struct buf *b, const uint8_t *pixels, uint32_t w, uint32_t h);

#endif
