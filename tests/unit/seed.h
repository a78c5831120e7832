/* seed.h - checkpoints whose weights are a formula: tests/data/seeded holds tables, and no weights.
 *
 * A table has a line "seed N" and one per tensor, in the file's order, fields separated by tabs:
 *
 *   NAME  DTYPE  SHAPE  LOW  HIGH    BF16, F16, F32, and whole numbers: evenly spread between two numbers; F8_E4M3: its bytes are
 *   NAME  DTYPE  SHAPE  list  A,B,.. these numbers
 *   NAME  DTYPE  SHAPE  text  TEXT   the bytes of a text without a tab
 *   NAME  DTYPE  SHAPE  bits         any bits, such as the codes of a quantised matrix
 *
 * SHAPE is "64,32", slowest first, "-" a scalar. Lines that begin with # are for people.
 *
 * Element i of a tensor is made of j, the highest byte of output i of SplitMix64 (base/rng.h) that begins with
 * FNV-1a (64 bits) of the name + N * 0x9e3779b97f4a7c15: LOW + (HIGH - LOW) (j + 0.5) / 256, computed with one rounding
 * to double, then rounded to the type; of whole numbers the part below the point is cut off. Bits are the lowest bytes of the same
 * output; a NaN of FP8 becomes a 0. */
#ifndef REAP_TESTS_SEED_H
#define REAP_TESTS_SEED_H

#include "base/err.h"
#include <stdint.h>

/* Writes the tensors of a table as one safetensors file; seed: in the place of the table's, 0: that. */
bool seed_write(const char *table, uint64_t seed, const char *out, struct err *e);

#endif
