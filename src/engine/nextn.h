/* nextn.h - two functions that the engine's library exports and its C header does not name (src/llama-ext.h of llama.cpp v0.5.0):
 * the hidden states that a block that predicts further tokens is given. Used by mtp.c only. */
#ifndef REAP_ENGINE_NEXTN_H
#define REAP_ENGINE_NEXTN_H

#include <stdbool.h>

struct llama_context;

#ifdef __cplusplus
extern "C" {
#endif

/* Whether this library has them. */
bool nextn_known(void);
/* Before the first decode: the context keeps the hidden state of each token. */
void nextn_take(struct llama_context *ctx);
/* Those of the last decode, a row for each token of its batch, in the batch's order. */
const float *nextn_rows(struct llama_context *ctx);

#ifdef __cplusplus
}
#endif

#endif
