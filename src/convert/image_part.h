/* image_part.h - what the files of convert/ share; not for others. */
#ifndef REAP_CONVERT_IMAGE_PART_H
#define REAP_CONVERT_IMAGE_PART_H

#include "convert/convert.h"
#include "convert/forms.h"
#include "gguf/gguf_file.h"

enum { T_F32 = 0, T_F16 = 1, T_Q8_0 = 8, T_I32 = 26, T_BF16 = 30, T_MXFP4 = 39 }; /* ggml type ids */

/* ---- numbers (number.c) ---- */
enum num { N_NONE, N_F32, N_F16, N_BF16, N_F8_E4M3, N_F8_E5M2, N_E8M0, N_F64 };
enum num num_of(const struct hf_dtype *t); /* N_NONE: no number that a weight is made of */
uint32_t num_bytes(enum num t);
/* n numbers that lie `stride` numbers apart. */
void num_load(enum num t, const uint8_t *p, uint64_t stride, uint64_t n, float *out);
void num_store(uint32_t ggml_type, const float *v, uint64_t n, uint8_t *out); /* f32, f16, bf16 */

/* ---- how a tensor's bytes are made (image.c) ---- */
struct image_source {
    const struct hf_tensor *w;
    const struct packed *packed; /* how it is stored in few bits; NULL: as it is */
};

enum made_value { V_AS_IS, V_NEG_EXP, V_EXP, V_PLUS_ONE, V_MXFP4, V_CONST, V_IDS, V_PRODUCT, V_TIMES };

/* Rows (or columns) of the source in another order: parts, one behind the other; each is outer x inner runs of
 * `run` rows, of which run (a, b) begins at base + a * outer_step + b * inner_step. */
#define MADE_PARTS 3
struct made_part {
    uint64_t base, outer, outer_step, inner, inner_step, run;
};

/* The tensor is n_slices matrices of rows x cols. Element (r, c) of slice s is element
 *     base + s * slice_step + row(r) * row_step + c * col_step
 * of its source: sources[s] when there are as many as slices (slice_step is 0 then), else sources[0]. With
 * `head` set, row(r) undoes the halves-to-pairs order of rotary dimensions inside each head; with n_row_parts it
 * is what the parts say, and with n_col_parts c is too (col_step is 1 then). MXFP4 counts in blocks of 32 values. */
struct made {
    struct image_source *sources;
    uint64_t n_sources;
    uint64_t n_slices, rows, cols;
    uint64_t base, slice_step, row_step, col_step;
    uint64_t head;
    struct made_part row_parts[MADE_PARTS], col_parts[MADE_PARTS];
    uint32_t n_row_parts, n_col_parts;
    enum made_value value;
    float *values;  /* V_CONST */
    float times;    /* V_TIMES */
    uint64_t below; /* V_IDS: what all of them are */
};

/* Bytes [off, off + n) of a tensor of the checkpoint, which has them. */
bool image_read_tensor(const struct hf_checkpoint *c, const struct hf_tensor *t, uint64_t off, uint64_t n,
                       void *dst, struct err *e);
void image_init_reader(struct image *im, const struct hf_checkpoint *c, const struct convert_opts *o);

#endif
