/* against.h - how far models are from a base model on the same text: perplexities, KL divergence, agreement.
 * The definitions, and the windows of the text (eval.h), are those of llama.cpp's llama-perplexity
 * --kl-divergence, which reads the base's probabilities from a file, rounded to 16 bits; here both are
 * computed in one run.
 *
 * A batch of windows is decoded under the base, whose logits of the scored tokens are kept (scored tokens x
 * vocabulary floats: half a window, or half a compute step if that is longer), then under each of the others.
 * So any number of plans of one loaded model costs one load and no file. */
#ifndef REAP_EVAL_AGAINST_H
#define REAP_EVAL_AGAINST_H

#include "engine/engine.h"
#include "eval/eval.h"
#include "model/plan.h"

/* A model as it is evaluated: an engine, and the plan under which it runs (NULL: whole). Several sides may
 * share an engine. All borrowed. */
struct against_side {
    const char *name; /* for messages */
    struct engine *g;
    const struct view *v;
    const struct plan *plan;
};

/* Sums over scored tokens; all add up. nll: -log p(next), of the model and of the base; dp: p(next) -
 * base's. */
struct against_sums {
    uint64_t n, same_top;
    double nll, nll2, base_nll, base_nll2, cross; /* cross: nll x base_nll */
    double kl, kl2, dp2, dp4;
};

/* The same of one window, for differences that are paired window by window (paired.h). */
struct against_window {
    uint32_t n; /* scored tokens */
    double kl, nll, base_nll;
};

struct against { /* of one text */
    uint64_t n_tokens, n_windows;
    uint32_t n_batches, n_sides;
    struct against_sums *sums;       /* [n_sides - 1]: side i + 1 against side 0 */
    struct against_window **windows; /* [n_sides - 1][n_windows]: zeroed until their batch was decoded */
    float **kl;                      /* [n_sides - 1]: the KL divergence of every scored token, or NULL */
    struct against_job *job;
};

/* Opens a text (eval.h says what it must be) and starts the engines. sides[0] is the base. All must have
 * one vocabulary: its size, the ids of this text, and their texts. with_kl: keep each token's KL divergence.
 * NULL with *e set. */
struct against *against_open(const struct against_side *sides, uint32_t n, const char *path, uint32_t n_ctx,
                             bool with_kl, struct err *e);
/* Decodes batch b under each side and adds it to the sums: all of it, or none and an error. */
bool against_batch(struct against *c, uint32_t b, struct err *e);
uint32_t against_tokens(const struct against *c, uint32_t b); /* of batch b */
void against_free(struct against *c);

void against_add(struct against_sums *to, const struct against_sums *s);
/* What the sums say. kl: the sums' n divergences, sorted here, or NULL (then median, p90, p99 and max are
 * NAN). */
struct eval_against against_result(const struct against_sums *s, float *kl);

#endif
