/* advice.h - when quantising is worth a look before pruning. Above about 3 bits a weight quantising was found to lose less
 * than pruning to the same size (MoEXBench, arXiv 2608.21693: over ten models 25 % pruned by REAP cost 5.3 points, Q4_K_M,
 * about 70 % smaller, 1.2; arXiv 2607.16721: pruning won only below about 3 bits). A file of more than ADVICE_BITS has
 * room for a type below it, so there a larger cut than ADVICE_CUT calls for the table that `reap sweep --types` makes. */
#ifndef REAP_MODEL_ADVICE_H
#define REAP_MODEL_ADVICE_H

#include "model/view.h"

#define ADVICE_BITS 4
#define ADVICE_CUT  0.10

/* Whether this cut of this model calls for it; *b gets why, in one clause. Never where weights are
 * packed and their count is not known. */
bool advice_quantise(const struct view *v, uint32_t n_keep, struct buf *b);
/* The first matrix of experts that is quantised; NULL: none is, as far as types are known. */
const struct view_tensor *advice_quantised(const struct view *v);
/* The arguments that a table takes, without texts: "--types q8_0,...". Types that are no smaller than the model are left
 * out; a model that is quantised already needs --allow-requantize. */
void advice_types(const struct view *v, struct buf *b);

#endif
