/* inputs.h - what goes into the products with weights, summed up, through the engine's evaluation callback. Used by
 * engine_llama.c only. */
#ifndef REAP_ENGINE_INPUTS_H
#define REAP_ENGINE_INPUTS_H

#include "engine/engine.h"
#include <ggml.h>

struct inputs;

struct inputs *inputs_new(engine_inputs *fn, void *ud, int n_threads);
void inputs_free(struct inputs *in);

/* Whether a node of the graph is a product with a weight of a block. */
bool inputs_wants(const struct ggml_tensor *t);
/* Such a node has been computed. False: the decode is to end. */
bool inputs_node(struct inputs *in, const struct ggml_tensor *t);

/* Before a decode; behind it inputs_end gives the error of the user's function. */
void inputs_begin(struct inputs *in);
bool inputs_end(struct inputs *in, struct err *e);

#endif
