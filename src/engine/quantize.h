/* quantize.h - a GGUF file in another type; the work is libllama's (llama_model_quantize). */
#ifndef REAP_ENGINE_QUANTIZE_H
#define REAP_ENGINE_QUANTIZE_H

#include "base/buf.h"
#include "base/err.h"
#include <stdint.h>

struct quantize_opts {
    const char *type; /* "Q4_K_M", as llama.cpp's llama-quantize names it; any case */
    uint32_t threads;
    bool requantize; /* also what is quantised already */
    bool pure;       /* all matrices in the one type, without the mixture that the name stands for */
    bool force;      /* replace the output */
};

/* Writes `out`, complete or not at all. The input must have been checked: the engine aborts on some broken
 * files. Errors: an unknown type; what the engine says (a type that wants an importance matrix, a disk that
 * is full). An interruption ends the program between two tensors. */
bool engine_quantize(const char *in, const char *out, const struct quantize_opts *o, struct err *e);
/* Bytes of tensor data that it would write, to a hundredth of a MiB; nothing is computed. */
bool engine_quantize_size(const char *in, const struct quantize_opts *o, uint64_t *bytes, struct err *e);
/* Name i, in the order of size; NULL behind the last. */
const char *engine_quantize_name(uint32_t i);
/* Why a type that llama-quantize knows is none of these: it needs an importance matrix. NULL: nothing is known. */
const char *engine_quantize_why_not(const char *name);

/* n values of a ggml type (whole blocks) as floats. False: the type has no such conversion, or n is no
 * multiple of its block. */
bool engine_dequantize(uint32_t type, const void *src, uint64_t n, float *dst, struct err *e);

#endif
