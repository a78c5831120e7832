/* gain.h - one gain per layer for a plan (model/gain.h): found on calibration text, kept when text that it was
 * not found on says that it helps.
 *
 * Found: each layer's experts are given the inputs that they have in the whole model (engine_match). With y what
 * they give together whole and m what those that stay give, the gain g = sum y.m / sum m.m makes the sum of
 * |y - g m|^2 least, over all tokens. (Least squares of one number; that a gain per layer helps at all is from notes
 * that patrickbdevaney publishes with GLM-5.3, 2026.) Errors add up from layer to layer, so the whole distance from 1
 * need not be best: of some shares of it, 1 + s (g - 1), the one with the least KL divergence on the part of the text
 * that is for choices is taken. The third part of the text, on which nothing is chosen, decides. */
#ifndef REAP_SWEEP_GAIN_H
#define REAP_SWEEP_GAIN_H

#include "corpus/corpus.h"
#include "engine/engine.h"
#include "eval/paired.h"
#include "model/gain.h"

#define GAIN_SET_ASIDE 0.2
#define GAIN_TOKENS    65536

struct gain_opts {
    const char *model, *plan;
    struct corpus_opts corpus; /* with set_aside; .part is set here */
    uint64_t tokens;           /* at most so many are matched */
    bool force;                /* a plan of another model */
    struct engine_opts engine;
};

struct gain_layer {
    uint32_t il;
    double gain;          /* by least squares */
    double error, scaled; /* share of the output's square that is lost: as it is, with the gain */
};

struct gain_try { /* a share of the distance from 1, on the part for choices */
    double share;
    double kl; /* mean over the categories of the mean per token, nats */
};

struct gain_result {
    struct view *view;
    struct plan *plan; /* with .gain, when it helps */
    struct gain_layer *layers;
    uint32_t n_layers;
    uint64_t n_matched; /* tokens */
    struct gain_try *tries;
    uint32_t n_tries, best;
    struct paired check;        /* with the gain minus without, KL divergence per token */
    double kl_before, kl_after; /* on the check part, means over the categories */
    uint64_t n_check;           /* scored tokens */
    bool helps;                 /* the difference is below 0 by more than PAIRED_TIE errors */
};

/* True: it was measured; r->helps says what came of it. On failure *r is to be cleared, too. */
bool gain_run(const struct gain_opts *o, struct gain_result *r, struct err *e);
json_t *gain_measured(const struct gain_opts *o, const struct gain_result *r); /* new reference */
void gain_result_clear(struct gain_result *r);

#endif
