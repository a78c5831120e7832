/* step.h - how many tokens a compute step should have when the weights do not fit into memory and are read from the disk for each
 * step. Arithmetic alone; what it works with is found out in settle.c. */
#ifndef REAP_ENGINE_STEP_H
#define REAP_ENGINE_STEP_H

#include <stdbool.h>
#include <stdint.h>

struct step_facts {
    uint64_t weights; /* bytes that a step uses */
    uint64_t largest; /* of it, one weight */
    uint64_t memory;  /* bytes that the process may have, for all */
    double disk;      /* bytes a second; 0: not known */
    double flops;     /* that a token takes, at least */
    double peak;      /* flops a second that the processors do at best; 0: no bound is known (a GPU) */
    double
        masked; /* seconds that a token takes for each of its step: attention looks past those it does not see */
    /* bytes of a context for steps of `sizes` tokens: buffers and KV cells together */
    uint32_t sizes[3];
    uint64_t costs[3];
    uint64_t n_tokens; /* of all the work; 0: not known */
    uint32_t usual;    /* the step if the model did fit: the least */
    uint32_t window;   /* tokens of a sequence, most of which have so many; 0: not known */
};
/* Of memory, beside weights and the context: sums, texts, logits, and what others on the machine come to want. */
#define STEP_SLACK 8     /* a part of so many */
#define STEP_MOST  16384 /* attention over more costs more than it saves */

/* Bytes of a context for steps of n tokens: the parabola through the three that are known (masks of attention grow with the
 * square), but not less than what the largest of them costs per token. */
double step_cost(const struct step_facts *f, uint32_t n);

/* The step. A larger one reads the weights less often, so it is as large as is of use: until reading them takes no longer than
 * computing with them even at the processors' best, which attention over the step makes slower; not more than all the tokens; and its context takes half the memory at
 * most, because the other half keeps weights: two and a half
 * of the largest at least, else nothing is read while computing. Whole windows fill it, if one fits. A multiple of 256 unless it is
 * `usual`. */
uint32_t step_choose(const struct step_facts *f);

/* Whether sequences should have memories of their own: attention then looks at no more cells than the `longest` has, not at a
 * whole step of `step`, but the engine takes only as many tokens of each sequence at once as the shortest has left, so it passes
 * over the weights more often: passes[1] times, with one memory passes[0] times. */
bool step_separate(const struct step_facts *f, uint32_t step, uint32_t longest, const uint64_t passes[2]);

/* What a streamed model may have of so many bytes of memory, where all that are streamed have `streamed` bytes of weights, it has `own` of
 * them, and others of this process have `mapped` as a whole: these keep theirs unless that is more than their share by size, and those
 * that are streamed share the rest by theirs. */
uint64_t step_share(uint64_t bytes, double own, double streamed, double mapped);

#endif
