/* attention.h - the engine's FLASH_ATTN_EXT of many tokens on the CPU.
 *
 * softmax(scale q k + mask) v for 12 tokens at a time against 32 cells of the cache, in float32, each head's k and v made
 * into panels once. Where the mask shuts all of such a block it is left out, so a sequence that is packed with others pays
 * for its own cells, and for those before the token alone. */
#ifndef REAP_ENGINE_ATTENTION_H
#define REAP_ENGINE_ATTENTION_H

#include <ggml.h>
#include <stddef.h>

/* Whether a node can be computed here, on this processor: no soft cap, no ALiBi, a cache of F16, BF16 or F32. */
bool attention_can(const struct ggml_tensor *t);

/* Room for it in bytes, to begin at a multiple of 64: what all threads share, and that of each. */
size_t attention_shared(const struct ggml_tensor *t);
size_t attention_own(const struct ggml_tensor *t);

/* Computes t with n threads. */
void attention(const struct ggml_tensor *t, void *shared, void *const *own, int n);

#endif
