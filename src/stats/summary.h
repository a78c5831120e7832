/* summary.h - what a stats file says at a glance: shares kept at ratios, stability, experts never routed. */
#ifndef REAP_STATS_SUMMARY_H
#define REAP_STATS_SUMMARY_H

#include "stats/stats.h"

/* Share of the layer's total of a criterion that the n best experts hold (1 when the total is 0). */
double summary_share(const double *score, uint32_t n_experts, uint32_t n);
/* Of the n best by the even half and the n best by the odd half: how many are the same, as a share of n. */
double summary_agreement(const double *even, const double *odd, uint32_t n_experts, uint32_t n);

#endif
