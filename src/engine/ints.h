/* ints.h - products of rows of quantised weights with rows of floats, in integers.
 *
 * Rows of x are rounded to 8 bits by 32, as the engine does. Weights are taken apart once for all rows of x: 16 rows of
 * them, side by side, with the integers that they are in the file and their scales as floats, so nothing of them is
 * rounded. Used by dots.c only. */
#ifndef REAP_ENGINE_INTS_H
#define REAP_ENGINE_INTS_H

#include "engine/dots.h"

extern const struct dots *const ints_ways[]; /* the fastest first; ends with NULL */

#endif
