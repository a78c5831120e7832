/* imatrix.h - importance matrices of llama.cpp as files: for each weight that a model multiplies with, the sums of
 * the squares of what went in, column by column, and how many rows those were.
 *
 * Two forms (tools/imatrix/imatrix.cpp and common/imatrix-loader.cpp of llama.cpp v0.5.0). GGUF: for a weight W the
 * tensors W.in_sum2 [row length, matrices] and W.counts [1, matrices], both f32, where a weight of experts has a matrix
 * for each; keys general.type = "imatrix", imatrix.datasets, imatrix.chunk_count, imatrix.chunk_size. The old form
 * (.dat) has one count for all experts and means instead of sums; it is only read. */
#ifndef REAP_QUANT_IMATRIX_H
#define REAP_QUANT_IMATRIX_H

#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

struct imatrix_entry {
    char *name;     /* of the weight, "blk.0.ffn_up_exps.weight" */
    uint64_t n_mat; /* counts: one for each expert, or one */
    uint64_t row;   /* values of a matrix */
    float *sums;    /* [n_mat][row] */
    double *counts; /* [n_mat] */
};

struct imatrix {
    bool old_form;
    uint32_t chunk_count, chunk_size;
    char **datasets; /* paths, as the maker was given them */
    uint32_t n_datasets;
    uint32_t batches_done,
        batches;                   /* of a profile that has not ended; batches 0: it has, or there was none */
    struct imatrix_entry *entries; /* ascending by name */
    uint64_t n;
    uint64_t at; /* imatrix_add: the entry asked for last */
};

/* The whole file, in either form. Every number is finite and not negative. NULL with *e set (ERR_INPUT). */
struct imatrix *imatrix_load(const char *path, struct err *e);
/* Whether the path is a file that says it is one, in GGUF form. */
bool imatrix_is(const char *path);
struct gg_file;
bool imatrix_check_type(const struct gg_file *f, struct err *e); /* it says so */
void imatrix_free(struct imatrix *m);
const struct imatrix_entry *imatrix_find(const struct imatrix *m, const char *name);

/* Adds the squares of n rows to matrix `mat` of a weight. An entry that is not there is made. */
bool imatrix_add(struct imatrix *m, const char *name, uint32_t n_mat, uint64_t row, uint32_t mat, uint64_t n,
                 const float *sums, struct err *e);
uint64_t imatrix_bytes(const struct imatrix *m); /* of memory */
/* Into an open output, in GGUF form: the bytes that llama-imatrix writes for these numbers, and while `batches` says that
 * the profile goes on two keys for it. The entries are sorted; chunk_count is told from the counts. */
struct out;
bool imatrix_put(struct imatrix *m, struct out *o, struct err *e);

/* What quantisers are given, in the place of the sums: the mean square of each column; 1 where a matrix had no row
 * (load_imatrix of llama.cpp's tools/quantize/quantize.cpp). */
void imatrix_to_means(struct imatrix *m);

#endif
