/* blend.h - choosing for several domains at once; for one layer. docs/score.md, "Several domains". */
#ifndef REAP_PLAN_BLEND_H
#define REAP_PLAN_BLEND_H

#include "model/view.h"

/* share[d * n_experts + j]: expert j's share of the layer's score in domain d. fixed[n_experts]: 1: stays in
 * any case (in no group more than n_keep / n_groups). in[n_experts] becomes 1 for the n_keep that stay:
 * the set whose worst domain keeps the most, as found by exchanges from two starts. Deterministic. */
void blend_maxmin(const double *share, uint32_t n_domains, const uint8_t *fixed, const struct shape *s,
                  uint32_t n_keep, uint8_t *in);

#endif
