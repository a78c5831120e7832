/* imatrix_cut.h - an importance matrix that fits a pruned model: without what it holds of the experts that a plan drops. */
#ifndef REAP_QUANT_IMATRIX_CUT_H
#define REAP_QUANT_IMATRIX_CUT_H

#include "model/plan.h"

struct imatrix_cut {
    uint32_t n_experts, n_keep;
    uint64_t tensors_cut, tensors_kept;
    uint64_t bytes_in, bytes_out; /* of the files */
};

/* Writes the matrix (GGUF form) without the rows of the experts that are not in the plan; all else, keys as well, comes out bit
 * for bit. Of the tensors of weights of experts, whatever stands behind the weight's name (.in_sum2, .counts), the
 * outermost dimension is cut; where it was made of the old form, which has one row for all, that one. Layers behind the
 * last of the plan have its choice, as MTP blocks have in a model. Refused: a matrix of another number of experts, a
 * layer with experts that the plan does not know. dry: everything but the writing. */
bool imatrix_cut(const char *path, const struct plan *p, const char *out, bool force, bool dry,
                 struct imatrix_cut *r, struct err *e);

#endif
