/* eval.h - how well a model predicts text: negative log-likelihood and perplexity.
 *
 * Text files (eval_score_text): the windows of llama.cpp's llama-perplexity, so that the numbers agree: the
 * text is tokenised whole (special tokens in it are text), cut into windows of n_ctx tokens, the rest
 * dropped; the first token of each window is replaced by BOS where the model adds one; each window runs
 * alone, and the second half of it is scored. One newline at the end of the file is dropped. Samples
 * (eval_samples): each sample on its own, every next token scored. */
#ifndef REAP_EVAL_EVAL_H
#define REAP_EVAL_EVAL_H

#include "base/out.h"
#include "corpus/corpus.h"
#include "engine/engine.h"
#include "results/eval.h"

#define EVAL_CTX 512 /* tokens of a window, if nobody says otherwise; as llama-perplexity */

/* What the sums say: all but n_tokens and n_windows. */
void eval_set_score(struct eval_score *s, const struct eval_sums *sums);
/* Adds what s has seen to t (a zeroed struct at first): mean and error are over all tokens alike. */
void eval_add(struct eval_score *t, const struct eval_score *s);
bool eval_score_text(struct engine *g, const char *path, uint32_t n_ctx, struct eval_score *s, struct err *e);
/* Whether all texts can be scored so: tokenises them, for the time before long work. g may be of a vocabulary alone.
 * n_tokens: those in windows, of all; or NULL. */
bool eval_check_texts(const struct engine *g, const char *const *paths, uint32_t n, uint32_t n_ctx,
                      uint64_t *n_tokens, struct err *e);

/* n_ctx 0: as long as the longest sample (at most the context that the model was trained for). rows: NULL, or an
 * open output that gets one JSON row per sample: {"id", "n_tokens", "nll", "ids":[...], "logprobs":[...]}
 * with logprobs[i] = log p(ids[i+1] | ids[0..i]). */
bool eval_samples(struct engine *g, struct corpus *c, uint32_t n_ctx, struct out *rows, struct eval_score *s,
                  struct err *e);

#endif
