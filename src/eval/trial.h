/* trial.h - what plans cost on windows of text, one window at a time: for whoever compares many plans of one loaded
 * model, over and over, on the same text (the choice of a criterion, a race of swaps).
 *
 * What the whole model says of a window is computed when it is first asked for and kept, within a bound of memory:
 *   all of it       logits of the whole vocabulary as the engine gives them (4 bytes each), where they fit for all
 *                   windows. The divergence is that of against.h, to the last digit;
 *   the likeliest   else, as many of the likeliest tokens as fit (8 bytes each), and the others' probability as one
 *                   number. The divergence takes the others for one token, which makes it smaller, never larger
 *                   (log-sum inequality); by how much: docs/commands/refine.md;
 *   windows anew    with fewer than TRIAL_TOP of these to a token, windows that were not asked for of late are
 *                   forgotten and computed again.
 *
 * Every next token of a window is scored. Sums are float64, in the order of the tokens. What is packed together into a
 * compute step depends on the calls alone, so the same calls give the same figures; another packing moves the last
 * digits, as everywhere. */
#ifndef REAP_EVAL_TRIAL_H
#define REAP_EVAL_TRIAL_H

#include "corpus/windows.h"
#include "engine/engine.h"
#include "eval/plan_mask.h"

#define TRIAL_CACHE (1ull << 30) /* bytes, if nobody says otherwise */
#define TRIAL_TOP   64
#define TRIAL_CTX   512 /* tokens of a window */

/* Samples of a corpus, tokenised and cut; to be cleared. */
struct trial_text {
    struct corpus corpus;
    struct windows w;
    uint32_t *
        order; /* [n]: windows with a token to score, categories in turn, so that each beginning is balanced */
    uint32_t *category; /* [n]: of these, an index into corpus.categories */
    uint32_t n;
    uint64_t n_scored;
};

/* Loads the samples that the options take. False with *e: there are none (ERR_INPUT), what corpus_load and
 * windows_tokenize refuse. */
bool trial_text_open(struct trial_text *t, const struct corpus_opts *o, const struct engine *g,
                     uint32_t n_ctx, struct err *e);
uint32_t trial_text_tokens(const struct trial_text *t, uint32_t i); /* of window i of the order */
void trial_text_clear(struct trial_text *t);

/* Sums over the scored tokens of one window, nats. */
struct trial_loss {
    uint32_t n;           /* scored tokens */
    uint32_t same_top;    /* of them, whose likeliest token is the whole model's */
    double kl;            /* KL(whole || plan) */
    double nll, base_nll; /* -log p(next), under the plan and under the whole model */
};

/* A window (its place in the order) under a plan (NULL: the whole model; of v, checked against it), but for one expert
 * (plan_mask.h) where there is one. */
struct trial_ask {
    uint32_t window;
    const struct plan *plan;
    const struct plan_but *but; /* NULL: as the plan is */
};

struct trial;

/* Starts the engine for the windows of t. g, v (that it was loaded from) and t are borrowed. cache_bytes 0: all of the
 * vocabulary, of the windows of the last compute step alone; for whoever asks for all plans of a window at once. NULL
 * with *e set. */
struct trial *trial_open(struct engine *g, const struct view *v, const struct trial_text *t,
                         uint64_t cache_bytes, struct err *e);
void trial_free(struct trial *t);

/* The losses of n asks, out[i] of ask[i]. Neighbours with the same plan and `but` share decodes, as many as fit into a compute
 * step; a signal is looked at between decodes (ERR_INTERRUPTED). False with *e set, nothing of *out is of use then.
 * What a plan cost is the caller's to keep. */
bool trial_losses(struct trial *t, const struct trial_ask *ask, uint32_t n, struct trial_loss *out,
                  struct err *e);

/* How many windows from `first` on, in the order, share a compute step; 0 behind the last. */
uint32_t trial_fit(const struct trial *t, uint32_t first);
uint64_t trial_decoded(const struct trial *t); /* tokens so far, the whole model's with them */
uint64_t trial_judged(const struct trial *t);  /* of these, under plans */

#endif
