/* norms.h - the numbers of an expert output that take its vector: its length, its largest component, its distance
 * from what the other experts of the token say. Computed where the tensor is. Used by observe.c only. */
#ifndef REAP_ENGINE_NORMS_H
#define REAP_ENGINE_NORMS_H

#include "engine/routed.h"
#include <ggml.h>
#include <stdbool.h>

struct norms;

/* on_device: by the device even when the tensor is in host memory. */
struct norms *norms_new(bool on_device, int n_threads);
void norms_free(struct norms *n);

/* f_norm and f_max of all rows, and loo: out[K * T], in the order of f [H, K, T], contiguous float32, whose gate
 * is set already. Without `loo` it becomes not a number. */
void norms_fill(struct norms *n, const struct ggml_tensor *f, struct routed *out, bool loo);

#endif
