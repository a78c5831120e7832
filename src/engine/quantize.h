/* quantize.h - a GGUF file in another type; the work is libllama's (llama_model_quantize). */
#ifndef REAP_ENGINE_QUANTIZE_H
#define REAP_ENGINE_QUANTIZE_H

#include "base/buf.h"
#include "base/err.h"
#include <stdint.h>

/* Of a weight: for each of its columns how much it matters (the mean square of what it is multiplied with), matrix
 * after matrix. Borrowed, as all of these. */
struct quantize_weights {
    const char *name;
    const float *v;
    uint64_t n;
};
struct quantize_matrix {
    const struct quantize_weights *weights;
    uint32_t n;
    const char *file, *dataset; /* where it comes from, for the keys of the output; dataset NULL: not known */
    uint32_t n_chunks;          /* 0: not known */
};

struct quantize_override { /* tensors whose name holds this regular expression (ECMAScript) */
    const char *pattern, *type;
};

struct quantize_opts {
    const char *type; /* "Q4_K_M", as llama.cpp's llama-quantize names it; any case */
    uint32_t threads;
    bool requantize;  /* also what is quantised already */
    bool pure;        /* all matrices in the one type, without the mixture that the name stands for */
    bool keep_output; /* output.weight stays as it is */
    const char *output_type, *embedding_type; /* words of engine_tensor_type; NULL: as the mixture says */
    const struct quantize_override *overrides;
    uint32_t n_overrides;
    const struct quantize_matrix *matrix; /* NULL: none */
    bool force;                           /* replace the output */
};

/* Writes `out`, complete or not at all. The input must have been checked: the engine aborts on some broken
 * files. Errors: an unknown type; what the engine says (a type that wants an importance matrix, a disk that
 * is full). An interruption ends the program between two tensors. */
bool engine_quantize(const char *in, const char *out, const struct quantize_opts *o, struct err *e);

/* What it would do, without doing it. Types are ggml's names, "q4_K". */
struct quantize_tensor {
    char name[64];
    const char *from, *to;
    const char
        *wanted;    /* what the mixture asks for where rows of this length have no such blocks; NULL: `to` */
    bool quantised; /* `from` is a quantised type */
    bool needs_matrix; /* it changes to a type that is worthless without weights */
};
struct quantize_forecast {
    struct quantize_tensor *v;
    uint32_t n, cap;
    uint64_t bytes; /* of tensor data, to a hundredth of a MiB */
};
bool engine_quantize_forecast(const char *in, const struct quantize_opts *o, struct quantize_forecast *f,
                              struct err *e);
void quantize_forecast_clear(struct quantize_forecast *f);
/* Its bytes alone. */
bool engine_quantize_size(const char *in, const struct quantize_opts *o, uint64_t *bytes, struct err *e);
/* Name i, in the order of size; NULL behind the last. */
const char *engine_quantize_name(uint32_t i);
/* Other names that llama-quantize takes: Q4_K is Q4_K_M. */
bool engine_quantize_find(const char *name, uint32_t *i);
/* Whether such a type needs an importance matrix, at least with rows of 256 and more. */
bool engine_quantize_needs_matrix(uint32_t i);
/* Name i of the types that a single tensor can be given ("q4_K"); NULL behind the last. */
const char *engine_tensor_type(uint32_t i);

/* n values of a ggml type (whole blocks) as floats. False: the type has no such conversion, or n is no
 * multiple of its block. */
bool engine_dequantize(uint32_t type, const void *src, uint64_t n, float *dst, struct err *e);

#endif
