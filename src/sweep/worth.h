/* worth.h - what experts near the cut are worth to a plan, as far as measurements said, and which swap of a kept and
 * a removed one is the best to try next.
 *
 * An expert's worth is what the loss (nats per token) is higher without it, all else as the plan has it. It is known
 * as a normal distribution: measured alone (a kept one taken away, a removed one put back), drawn towards the mean
 * of its side of the cut as far as the measurement is uncertain (worth_settle), and corrected by every swap that was
 * tried. A swap is expected to gain what comes less what goes, and what swaps gained so far beyond that on the average (an
 * expert that comes is worth more where another has gone); how the two of a swap get on adds an error of its own
 * (WORTH_PAIR). The next swap is the one with the highest expected improvement, the mean of its gain where that is
 * above 0 (J. Mockus, V. Tiesis, A. Zilinskas, 1978): it is likely good, or too little is known of it. */
#ifndef REAP_SWEEP_WORTH_H
#define REAP_SWEEP_WORTH_H

#include "model/plan.h"

struct swap {
    uint32_t layer, out, in; /* place in the plan, expert that goes, expert that comes for it */
};

struct worth {
    uint32_t n_layers, n_experts, n_groups;
    double *mean, *var;      /* [layer x n_experts + expert]; var below 0: not measured, no candidate */
    double beyond, n_beyond; /* what swaps gained more than their experts said, the mean, of so many */
    uint8_t *tried;          /* bits, [layer][out][in]: since the layer changed last */
};

void worth_init(struct worth *w, uint32_t n_layers, uint32_t n_experts, uint32_t n_groups);
void worth_clear(struct worth *w);

void worth_set(struct worth *w, uint32_t layer, uint32_t expert, double mean, double var);
/* All are measured: those of a layer's kept, and of its removed, are drawn towards their mean (J. C. Stein, in the
 * form of B. Efron, C. Morris 1973, with the errors as measured). */
void worth_settle(struct worth *w, const struct plan *p);
/* A swap was measured: gain (loss that goes) with its variance. It counts as tried. */
void worth_learn(struct worth *w, struct swap s, double gain, double var);
/* Moves what is expected of a swap. */
void worth_shift(struct worth *w, struct swap s, double gain);
/* Swaps of this layer stayed: they may be tried again, and what is known of the layer is a little less so. */
void worth_moved(struct worth *w, uint32_t layer);
/* The swap to try next: of experts of one group, none tried, in no layer that is marked busy. False: there is none. */
bool worth_next(const struct worth *w, const struct plan *p, const bool *busy, struct swap *out);
double worth_gain(const struct worth *w, struct swap s, double *var); /* expected of it */

bool worth_was_tried(const struct worth *w, struct swap s);
void worth_set_tried(struct worth *w, struct swap s);

#endif
