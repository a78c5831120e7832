/* summary.h - what stats files say at a glance: spread of the load, shares kept, how clear a cut is, how
 * stable a choice is. Formulas: docs/score.md. All of one layer unless said; n_groups > 1: the same number of
 * experts stays in each group. NAN is what cannot be said. */
#ifndef REAP_STATS_SUMMARY_H
#define REAP_STATS_SUMMARY_H

#include "base/buf.h"
#include "stats/criteria.h"

/* Share of the layer's total of a criterion that the n best experts hold (1 when the total is 0). */
double summary_share(const double *score, uint32_t n_experts, uint32_t n_groups, uint32_t n);
/* Of the n best by one score and the n best by another: how many are the same, as a share of n. */
double summary_agreement(const double *a, const double *b, uint32_t n_experts, uint32_t n_groups, uint32_t n);
/* What the n best by score a hold of score b, as a share of the most that n can hold of it (1 when that is 0). */
double summary_held(const double *a, const double *b, uint32_t n_experts, uint32_t n_groups, uint32_t n);
/* How far the last that stays is above the first that goes, as a share of the former; the smallest of all
 * groups. 0: a tie decides. NAN when all stay. */
double summary_gap(const double *score, uint32_t n_experts, uint32_t n_groups, uint32_t n);
/* Gini coefficient of values of 0 or more: 0 all are equal, (n - 1) / n one has all. NAN when all are 0. */
double summary_gini(const double *v, uint32_t n);
/* Spearman's rank correlation, ties with their mean rank. NAN when one side is constant. */
double summary_rank_correlation(const double *a, const double *b, uint32_t n);

/* Share of the router's softmax that the experts in[n_experts] 1 hold, over all tokens. A file without the
 * others multiplies every gate by one over it (the mean over tokens by a little more). NAN: the sums do not say,
 * as where a router renormalises over the chosen experts. */
double summary_gate_mass(const struct stats *s, uint32_t i, const uint8_t *in);

/* How far the n best by the even samples alone are the n best by the odd ones. Two halves that keep different experts of
 * nearly the same score agree: so it is `kept` that says whether a choice has settled. NAN without one of the halves. */
struct halves {
    double same; /* of the experts that stay by one half, the share that stays by the other */
    double kept; /* summary_held of each half's choice by the other half's score, the mean of both ways */
};
bool summary_halves_of(const struct stats *s, uint32_t i, const struct criterion *c, uint32_t n,
                       struct halves *h, struct err *e);
/* The means over the layers. */
bool summary_halves(const struct stats *s, const struct criterion *c, uint32_t n, struct halves *h,
                    struct err *e);
/* "same choice from each half: 93.1 % of the experts, 99.6 % of the score"; false: it cannot be said. */
bool summary_halves_text(const struct halves *h, struct buf *b);

/* Two halves of `tokens` tokens each choose alike to the share `agreement`. How many tokens such a half would
 * need to choose alike to the share `goal`, if the disagreement falls with one over the square root. */
double summary_tokens_for(double agreement, double tokens, double goal);
/* The same of the score that they keep for each other: what is lost falls with one over the tokens. */
double summary_tokens_for_score(double kept, double tokens, double goal);

/* in[n_experts] becomes 1 for the experts that are in the lowest quarter of the layer (n_experts / 4, at
 * least 1) by the even and by the odd samples alone; how many. Without one of the halves: by both
 * together. */
bool summary_low(const struct stats *s, uint32_t i, const struct criterion *c, uint8_t *in, uint32_t *n,
                 struct err *e);

/* Super experts: max_activation above the 99.5th percentile (linear between ranks) of all experts of all
 * layers, and above a tenth of the largest. in[n_layers * n_experts], layer by layer. *limit: what they are
 * above. False with *e when the file has no max_activation. */
bool summary_super(const struct stats *s, uint8_t *in, uint32_t *n, double *limit, struct err *e);

#endif
