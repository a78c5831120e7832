/* estimate.h - about how large a model would be with its experts in other types. */
#ifndef REAP_MODEL_ESTIMATE_H
#define REAP_MODEL_ESTIMATE_H

#include "model/view.h"

/* The name of type i, NULL behind the last. */
const char *estimate_type(uint32_t i);
/* Tensor data with n_keep experts in each layer, these in type i, the rest of the model as it is. Needs
 * v->n_params. */
uint64_t estimate_bytes(const struct view *v, uint32_t n_keep, uint32_t i);

#endif
