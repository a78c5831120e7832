/* convert.h - a Hugging Face checkpoint seen as a GGUF file.
 *
 * convert_open lays out the file: header, tensors and where each of their bytes comes from. Nothing is
 * computed until it is read: image_read makes the bytes of any range, so the same image is written to disk
 * (convert_write) or read by the engine without a temporary file. What the families are is told by records
 * (family/conversion.h); a tensor that no record knows, a missing one, a shape that the config does not
 * explain, and a config that the engine would compute differently are errors. Layout and names: llama.cpp
 * v0.5.0. */
#ifndef REAP_CONVERT_CONVERT_H
#define REAP_CONVERT_CONVERT_H

#include "base/buf.h"
#include "base/err.h"
#include "hf/checkpoint.h"
#include <stdbool.h>
#include <stdint.h>

/* rows x cols floats to the blocks of a ggml type (engine_quantize_rows); called by several threads. */
typedef bool convert_quantizer(uint32_t type, const float *src, uint64_t rows, uint64_t cols, void *dst,
                               struct err *e);

struct convert_opts {
    const char *type;            /* "auto" (or NULL): as stored; f32, f16, bf16, q8_0, ...: of the matrices */
    convert_quantizer *quantize; /* NULL: only f32, f16 and bf16 are possible */
    uint32_t threads;            /* that make numbers; 0: 1 */
    const char *pretokenizer;    /* tokenizer.ggml.pre; NULL: found out from the tokenizer */
    const char *name;            /* general.name; NULL: the folder's name */
};

struct image_tensor {
    char name[64];
    uint32_t type, n_dims;
    uint64_t ne[4];      /* ggml order; unused: 1 */
    uint64_t bytes, off; /* off: from the start of the file */
    struct made *made;   /* how the bytes come about */
};

struct image {
    struct buf header;            /* up to the first tensor's data, padding included */
    uint64_t size;                /* of the whole file */
    struct image_tensor *tensors; /* in the order of their bytes */
    uint64_t n_tensors;
    const char *arch; /* general.architecture */
    uint64_t window;  /* bytes that are made at once, where rows allow it (tests make it small) */
    struct image_reader *reader;
    struct forms *forms; /* the checkpoint's tensors as they were laid out */
};

/* The checkpoint is borrowed and must outlive the image; `dir` is its folder, for the tokenizer. NULL with *e
 * set (ERR_INPUT). */
struct image *convert_open(const struct hf_checkpoint *c, const char *dir, const struct convert_opts *o,
                           struct err *e);
void image_free(struct image *im); /* NULL is fine */

/* Bytes [off, off + n) of the file. Ranges may come in any order; cheap when a tensor is read from its start
 * to its end. Bytes are made in windows of about 1 MiB per thread (at most 16 MiB; 8 MiB where rows become columns), and
 * the last one is kept, as made and as stored. Only what must be both decoded and transposed takes the memory of a whole
 * matrix. Not for several threads at once. */
bool image_read(struct image *im, uint64_t off, uint64_t n, void *dst, struct err *e);

/* Writes the whole file, complete or not at all (file.h); shows progress. */
bool convert_write(struct image *im, const char *path, bool force, struct err *e);

/* Type i that the matrices may get, "auto" first; NULL behind the last. Capitals do not matter. */
const char *convert_type_name(uint32_t i);

#endif
