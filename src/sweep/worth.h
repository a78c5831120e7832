/* worth.h - what experts near the cut are worth to a plan, as far as measurements said: which of them is to be measured
 * next, and which swap of a kept and a removed one is the best.
 *
 * An expert's worth is what the loss (nats per token) is higher without it, all else as the plan has it. It is known
 * as a normal distribution: measured alone (a kept one taken away, a removed one put back) on some windows, drawn
 * towards the mean of its side of the cut as far as that is uncertain (worth_settle), and made surer by more windows.
 * A swap is expected to gain what comes less what goes.
 *
 * More windows go where they are likely to change the best swap: to the expert whose measurement raises the expected
 * gain of the best swap of its layer most, the knowledge gradient (P. Frazier, W. Powell, S. Dayanik, A
 * knowledge-gradient policy for sequential information collection, SIAM J. Control Optim. 47(5), 2008). */
#ifndef REAP_SWEEP_WORTH_H
#define REAP_SWEEP_WORTH_H

#include "model/plan.h"

struct swap {
    uint32_t layer, out, in; /* place in the plan, expert that goes, expert that comes for it */
};

struct worth {
    uint32_t n_layers, n_experts, n_groups;
    /* [layer x n_experts + expert] */
    double *mean, *var; /* var below 0: not measured, no candidate */
    double *spread;     /* variance of what one window says, as seen on .. */
    double *windows;    /* .. so many */
    double *of_layer;   /* [layer] the same of all that were measured lately; below 0: none was */
    uint8_t *tried;     /* bits, [layer][out][in]: since the layer changed last */
};

void worth_init(struct worth *w, uint32_t n_layers, uint32_t n_experts, uint32_t n_groups);
void worth_clear(struct worth *w);

bool worth_is_known(const struct worth *w, uint32_t layer, uint32_t expert);
/* An expert that cannot be measured alone: a candidate that is worth nothing. */
void worth_set_nothing(struct worth *w, uint32_t layer, uint32_t expert);
/* A mean over n_windows that no measurement of the expert had before, and its error. */
void worth_measured(struct worth *w, uint32_t layer, uint32_t expert, double mean, double stderr_mean,
                    uint32_t n_windows);
/* All were measured once: those of a layer's kept, and of its removed, are drawn towards their mean (J. C. Stein, in the
 * form of B. Efron, C. Morris 1973, with the errors as measured). */
void worth_settle(struct worth *w, const struct plan *p);
/* Variance of what one window says of the expert: few windows say little of it, so those of the layer count, too. */
double worth_spread(const struct worth *w, uint32_t layer, uint32_t expert);

/* By how much the expected gain of a layer's best swap rises when n_windows more are measured of the expert that is given
 * back, the one that tells most; 0: none tells anything. spent[layer x n_experts + expert]: cannot be measured again. */
double worth_most_telling(const struct worth *w, const struct plan *p, const bool *spent, uint32_t n_windows,
                          uint32_t *layer, uint32_t *expert);
/* The swap of a layer, of experts of one group and not tried, that is expected to gain most, if any gains. */
bool worth_best(const struct worth *w, const struct plan *p, uint32_t layer, struct swap *s);
double worth_gain(const struct worth *w, struct swap s, double *var); /* expected of it */
/* Moves what is expected of a swap. */
void worth_shift(struct worth *w, struct swap s, double gain);
/* Swaps stayed in the layers that are marked: there they may be tried again, and what is known of all experts is a little
 * less so, of those layers most. */
void worth_moved(struct worth *w, const bool *layers);

bool worth_was_tried(const struct worth *w, struct swap s);
void worth_set_tried(struct worth *w, struct swap s);

#endif
