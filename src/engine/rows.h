/* rows.h - what the engine's graphs do with each row of a tensor, between the products of a layer: softmax over experts, their
 * order, SwiGLU, products with gates. */
#ifndef REAP_ENGINE_ROWS_H
#define REAP_ENGINE_ROWS_H

#include <ggml.h>

/* Whether a node is one of these and can be computed here, on this processor. */
bool rows_can(const struct ggml_tensor *t);

/* Computes t with n threads. */
void rows(const struct ggml_tensor *t, int n);

#endif
