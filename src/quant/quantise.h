/* quantise.h - a model in another type, with everything that could be wrong said before the work: what must be had
 * to make it (an importance matrix that is this model's, a source that is not quantised already), and what comes
 * out otherwise than its name says. The work is engine/quantize.h. */
#ifndef REAP_QUANT_QUANTISE_H
#define REAP_QUANT_QUANTISE_H

#include "base/opt.h"
#include "engine/quantize.h"
#include "model/view.h"

struct quantise_opts {
    struct quantize_opts q;       /* matrix and overrides are filled in here */
    const char *imatrix;          /* its file; NULL: none */
    struct opt_list tensor_types; /* "PATTERN=TYPE", the first that matches counts */
    const char
        *tensor_types_file; /* the same, separated by white space; they count behind the others; NULL: none */
    struct opt_list include,
        exclude;  /* parts of names of weights: use the matrix for these alone; not for these */
    bool ahead;   /* with dry_run: long before the work, when there is no matrix yet; nothing but refusals */
    bool dry_run; /* everything but the output */
};

struct quantise_result {
    uint64_t bytes; /* of tensor data */
    uint32_t n_tensors, n_changed;
    uint32_t
        n_fallbacks; /* that get another type than the mixture asks for, because of the length of their rows */
    uint32_t n_never; /* experts that the matrix knows nothing of, over all layers */
    double secs;
};

/* Writes a GGUF model, given by its view, as o->q.type to `out` (borrowed; NULL with dry_run). Refused before
 * anything is written (ERR_INPUT): a matrix of another shape, or none where the type needs one, with the command that
 * makes one; tensors that are quantised already. Warnings: types other than asked for, experts that were never hit. */
bool quantise(const struct view *v, const char *out, const struct quantise_opts *o, struct quantise_result *r,
              struct err *e);

#endif
