/* mtp.h - the block that predicts further tokens, run beside the model as the engine's own drafting runs it over a prompt
 * (common/speculative.cpp of llama.cpp v0.5.0, common_speculative_impl_draft_mtp::process): at each position it is given the
 * token there and the model's hidden state of the position before, zeros at the first. Used by engine_llama.c only. */
#ifndef REAP_ENGINE_MTP_H
#define REAP_ENGINE_MTP_H

#include "engine/engine.h"
#include <llama.h>

struct mtp;

/* Why the block of a loaded model cannot be run; NULL: it can. */
const char *mtp_refusal(const struct llama_model *m);

/* Beside `trunk`, a context of the same model that was made with p and has decoded nothing: the run's observer gets what the
 * block's experts do. NULL with *e set. */
struct mtp *mtp_new(struct llama_model *m, struct llama_context *trunk, const struct llama_context_params *p,
                    const struct engine_run *r, const struct engine_opts *o, struct err *e);
void mtp_free(struct mtp *x);

/* Behind the trunk's decode of the same batch. */
bool mtp_decode(struct mtp *x, const struct llama_batch *b, struct err *e);
void mtp_clear(struct mtp *x); /* forget all sequences */

#endif
