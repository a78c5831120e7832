/* packed.h - weights that are stored in few bits: how one lies in its tensors, and its rows as floats.
 *
 * All forms come down to
 *     w[r, c] = (value(code[r, c]) - zero[g]) * scale[g] + bias[g],  g the group of row r and column c,
 * and differ in how the codes lie, what a code is worth, which tensors hold the rest, and where the
 * reference rounds. The forms are records (forms.c, which finds and checks the tensors); here they are
 * decoded, a range of rows at a time, so that what is held is bounded: the codes of these rows (of one
 * matrix, where a form stores columns) and the scales of one matrix. */
#ifndef REAP_CONVERT_PACKED_H
#define REAP_CONVERT_PACKED_H

#include "base/err.h"
#include "hf/checkpoint.h"
#include <stdbool.h>
#include <stdint.h>

/* The tensors that one weight is made of. */
enum part {
    PART_CODES,
    PART_SCALE,
    PART_ZERO,
    PART_BIAS,
    PART_GLOBAL,     /* of the scales, one value per matrix */
    PART_ORDER,      /* the group of each column */
    PART_MAP,        /* what the codes are worth */
    PART_NESTED,     /* scales of the scales' codes, */
    PART_NESTED_MAP, /* and what these are worth */
    PART_STATE,      /* JSON about the others */
    PACKED_PARTS
};

enum codes {
    CODES_ROWS,       /* a row is a run of bytes, the first code in the lowest bits */
    CODES_HIGH_FIRST, /* the same, but of two codes in a byte the first is the upper one */
    CODES_COLUMNS,    /* 32-bit words [cols * bits / 32, rows] that go on down a column */
    CODES_AWQ,        /* 32-bit words [cols, rows / 8] of 8 rows in the order 0 2 4 6 1 3 5 7 */
};

enum values {
    VALUES_UNSIGNED,
    VALUES_CENTRED, /* less 2^(bits - 1) */
    VALUES_SIGNED,  /* two's complement */
    VALUES_FLOAT8,  /* by the type of the codes: E4M3 or E5M2 */
    VALUES_FLOAT4,  /* E2M1 */
    VALUES_MAP,
};

/* How zero points lie. */
enum zeros {
    ZEROS_PLAIN,   /* a number for each scale */
    ZEROS_DOWN,    /* codes as the weights', packed in 32-bit words down the rows [words, groups] */
    ZEROS_ALONG,   /* .. along the rows [groups, words] */
    ZEROS_ALONG_1, /* the same, one less: 1 is added to each code within the word, with its carry */
    ZEROS_AWQ,     /* [groups, rows / 8] in AWQ's order */
};

enum rounding {
    ROUND_NOT,
    ROUND_ONCE, /* the result */
    ROUND_EACH, /* the product, then the sum */
};

struct packed {
    const struct hf_tensor *parts[PACKED_PARTS]; /* NULL: there is none */
    uint64_t n, rows, cols;                      /* matrices, of so many rows and columns */
    uint64_t first;                              /* the first of them in the stored tensors */
    enum codes codes;
    enum values values;
    enum zeros zeros;
    uint32_t bits;
    uint64_t code_bytes; /* of one matrix */
    /* The scale of row r and column c of a matrix is number
     * r / scale_rows (with rank_rows counted anew in each rank_rows rows) * row_step + (order[c], or c / scale_cols) * col_step, in `flat` forms
     * (r * cols + c) / scale_cols. */
    bool flat;
    uint64_t scale_rows, scale_cols, row_step, col_step;
    uint64_t rank_rows;               /* 0: all rows are one part */
    uint64_t n_scales, n_groups;      /* of a matrix; along a row */
    uint64_t scale_step, global_step; /* scales from matrix to matrix, globals; 0: all have the same */
    bool divide;                      /* by the global scale */
    float times;                      /* the product, once more; 1: not */
    uint32_t nested_block;
    float nested_offset;
    enum rounding round;
    uint32_t round_to; /* ggml type: F16 or BF16 */
};

struct packed_reader {
    const struct hf_checkpoint *c;
    const struct packed *of; /* whose scales are here, NULL: none */
    uint64_t matrix;
    float value[256];
    float *scale, *zero, *bias; /* NULL: none */
    uint32_t *order;
    const struct packed *codes_of; /* whose codes, NULL: none; rows [first_row, first_row + n_rows) */
    uint64_t codes_matrix, first_row, n_rows;
    uint8_t *codes;
    uint64_t codes_cap;
};

/* Brings what rows [row, row + n) of one matrix need; they may be decoded then, by several threads. */
bool packed_load(struct packed_reader *x, const struct packed *p, uint64_t matrix, uint64_t row, uint64_t n,
                 struct err *e);
/* n rows of cols numbers. */
void packed_decode(const struct packed_reader *x, uint64_t row, uint64_t n, float *out);
float packed_float4(uint32_t code); /* of 4 bits, E2M1 */
void packed_clear(struct packed_reader *x);

#endif
