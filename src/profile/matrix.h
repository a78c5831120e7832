/* matrix.h - the importance matrix that a profile makes besides its sums, of the same decodes. */
#ifndef REAP_PROFILE_MATRIX_H
#define REAP_PROFILE_MATRIX_H

#include "corpus/corpus.h"
#include "quant/imatrix.h"

/* An empty one, for windows of n_ctx tokens of this text. */
struct imatrix *matrix_new(const struct corpus *c, uint32_t n_ctx);

/* The one in a file that a run goes on from, which must hold `done` of `batches` batches. NULL with *e set. */
struct imatrix *matrix_resume(const char *path, uint32_t done, uint32_t batches, struct err *e);

#endif
