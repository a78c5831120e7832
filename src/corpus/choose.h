/* choose.h - which samples of a corpus are taken, and in which order, by a seed.
 *
 * Every choice has its own stream of random numbers, so that one more source at the end does not change what
 * is chosen from the others; a smaller limit takes a subset of a larger one. A limit that a source was given
 * itself (PATH:N) wins over the one that holds for every category. What is set aside comes out of what the limits
 * left, in the order of files and lines, so the order of use does not matter to it. */
#ifndef REAP_CORPUS_CHOOSE_H
#define REAP_CORPUS_CHOOSE_H

#include "corpus/corpus.h"

/* Of the samples from `first` on, which are those of the source number `spec` of the command line, at most
 * `limit` stay, in their order. */
void choose_of_source(struct corpus *c, uint64_t first, uint64_t limit, uint64_t seed, uint32_t spec);
/* What the options say of all samples: of each category, in all, in which order. */
void choose_samples(struct corpus *c, const struct corpus_opts *o);

#endif
