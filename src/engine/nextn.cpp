/* nextn.cpp - see nextn.h. */
#include "engine/nextn.h"

#include <llama.h>

__attribute__((weak)) void llama_set_embeddings_nextn(struct llama_context *ctx, bool value, bool masked);
__attribute__((weak)) float *llama_get_embeddings_nextn(struct llama_context *ctx);

bool nextn_known(void)
{
    return llama_set_embeddings_nextn && llama_get_embeddings_nextn;
}

void nextn_take(struct llama_context *ctx)
{
    llama_set_embeddings_nextn(ctx, true, false);
}

const float *nextn_rows(struct llama_context *ctx)
{
    return llama_get_embeddings_nextn(ctx);
}
