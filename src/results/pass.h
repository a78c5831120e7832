/* pass.h - a pass mark: bounds that a model must keep to a base, as "top1>=0.97,kl<=0.05", and whether it does.
 * Which figures may be bounded is one table of records (pass.c). */
#ifndef REAP_RESULTS_PASS_H
#define REAP_RESULTS_PASS_H

#include "base/json.h"

struct eval_against;

enum pass_which { PASS_TOP1, PASS_KL, PASS_PPL, PASS_PPL_INCREASE, N_PASS_METRICS };

/* Zeroed: nothing is asked. */
struct pass {
    bool asked[N_PASS_METRICS];
    double limit[N_PASS_METRICS];
};
void pass_ask(struct pass *p, enum pass_which i, double limit);
double pass_limit(const struct pass *p, enum pass_which i); /* not a number: none */
bool pass_any(const struct pass *p);
/* Adds the bounds of a text: NAME>=X or NAME<=X, several with commas between; X as 0.97 or 97%. `what` begins the
 * error (ERR_INPUT), which names the metrics. */
bool pass_parse(const char *text, const char *what, struct pass *p, struct err *e);
/* A figure that is not known does not hold. */
bool pass_holds(const struct pass *p, const struct eval_against *a);
/* "top1 0.931 is below 0.97, kl 0.0571 is above 0.05": those that do not hold; nothing when all do. */
void pass_misses(const struct pass *p, const struct eval_against *a, struct buf *b);
/* An object NAME: limit, new reference; and back. No object: none. A name that we do not know is left out. */
json_t *pass_json(const struct pass *p);
bool pass_read(const json_t *o, const char *where, struct pass *p, struct err *e);

/* The verdict in one sentence: "25 % of the experts removed: KL divergence 0.0571, top-1 agreement 0.931, perplexity
 * x 1.06 on 5 texts: does not pass (kl 0.0571 is above 0.05)". removed: share, 0 or not a number: nothing is said of it.
 * What is not known is left out. */
void pass_verdict(double removed, const struct eval_against *a, uint32_t n_texts, const struct pass *p,
                  struct buf *b);

#endif
