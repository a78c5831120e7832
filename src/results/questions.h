/* questions.h - part of reap.eval/1: accuracy on questions with choices, of a model and of plans of it. Fields:
 * docs/formats.md. */
#ifndef REAP_RESULTS_QUESTIONS_H
#define REAP_RESULTS_QUESTIONS_H

#include "base/json.h"

/* What a plan changes, question by question. */
struct questions_paired {
    uint64_t lost, won;     /* right for the whole model alone, for the plan alone */
    double diff, low, high; /* of the accuracies, plan less whole; 95 % interval */
    double p;               /* exact two-sided McNemar test */
};
struct questions_side {
    const char *plan, *criterion; /* file name; NULL: the whole model; criterion NULL: not said */
    uint64_t n_keep;
    double acc, acc_stderr;                      /* the likeliest choice is right */
    double acc_norm, acc_norm_stderr;            /* per character */
    struct questions_paired paired, paired_norm; /* of plans */
};
struct questions_scores { /* of a file */
    const char *name, *form;
    uint64_t n_questions, n_tokens;
    struct questions_side *sides; /* [0]: the whole model; owned by who made it */
    uint32_t n_sides;
};

json_t *questions_json(const struct questions_scores *c); /* new reference */
/* Texts are borrowed from o, sides allocated. False with *e (ERR_INPUT): nothing is to be freed. */
bool questions_read(const json_t *o, const char *where, struct questions_scores *c, struct err *e);

#endif
