/* expert_backend.h - the experts' matrix products on the CPU, many tokens at a time.
 *
 * The engine's product of tokens with their experts (MUL_MAT_ID) takes a row of weights and a token at a time where the
 * weights are floats. That is right for one token; in a batch each expert has many, and a product of matrices is
 * faster. So this registers a device with the engine, of the kind of its BLAS device, that computes this one operation,
 * of F32, BF16 and F16 weights in the host's memory. Weights become float and activations stay float, where the engine
 * rounds them to the weights' type. What a token gets does not depend on the others of its batch. */
#ifndef REAP_ENGINE_EXPERT_BACKEND_H
#define REAP_ENGINE_EXPERT_BACKEND_H

#define EXPERT_BACKEND "experts" /* its name */

/* Once, when all other devices are known and before a model is loaded. Nothing where the engine was not built from sources
 * at hand, or has a GPU. */
void expert_backend_register(void);

#endif
