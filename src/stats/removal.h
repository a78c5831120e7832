/* removal.h - choosing a set of experts by what they cost together when they go, where that is a quadratic form: the
 * cost of a set P is the sum over i, j in P of F_ij, F symmetric, of 0 or more. */
#ifndef REAP_STATS_REMOVAL_H
#define REAP_STATS_REMOVAL_H

#include <stdint.h>

/* cost[n * n]. in[n]: 1: stays. */
double removal_cost(const double *cost, uint32_t n, const uint8_t *in);

/* Chooses the n_keep that stay (in[n] becomes 1), n_keep / n_groups of each of n_groups equal runs of experts, so that
 * those that go cost little together: greedily whoever adds least, then exchanges of one that goes for one that stays,
 * the best first, until none helps. fixed[n] (NULL: none): 1: stays in any case, in no group more than may. Of equal
 * ones the higher id goes. Not always the best set, which is a hard problem; deterministic. */
void removal_choose(const double *cost, uint32_t n, uint32_t n_groups, uint32_t n_keep, const uint8_t *fixed,
                    uint8_t *in);

#endif
