/* expert_backend.h - what takes most of the time on the CPU, many tokens at a time.
 *
 * The engine's product of tokens with their experts (MUL_MAT_ID) takes a row of weights and a token at a time. That is
 * right for one token; in a batch each expert has many, and a product of matrices is faster. So this registers a device
 * with the engine, of the kind of its BLAS device, that computes this operation, in the ways of dots.h, and of weights in the
 * host's memory; and with it what lies around it: products with one matrix of quantised weights and, with AVX-512, of floats,
 * attention (attention.h), what is done with rows between them (rows.h). What a token gets of a product does not depend on the others of its batch. */
#ifndef REAP_ENGINE_EXPERT_BACKEND_H
#define REAP_ENGINE_EXPERT_BACKEND_H

#define EXPERT_BACKEND "experts" /* its name, and that of its buffers */

/* Once, when all other devices are known and before a model is loaded. Nothing where the engine was not built from sources
 * at hand, or has a GPU; or with REAP_BENCH_ENGINE_PRODUCTS in the environment, of whatever value: for bench/peers.sh, which
 * compares. */
void expert_backend_register(void);

#endif
