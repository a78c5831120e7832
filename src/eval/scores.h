/* scores.h - a model on several texts and samples, alone or against a base: a row for each, and all
 * together. */
#ifndef REAP_EVAL_SCORES_H
#define REAP_EVAL_SCORES_H

#include "eval/against.h"

struct eval_scores {        /* zeroed at first */
    struct eval_text *rows; /* names: the file's without its folder; "samples" of several sources; owned */
    uint32_t n, cap;
    bool compared;
    struct eval_text all;     /* named "all": over all tokens alike, not over the means of rows */
    struct against_sums sums; /* when compared; */
    float *kl;                /* of all tokens, one text behind the other */
};

/* Each adds rows, or none: false with *e. */
bool eval_scores_texts(struct eval_scores *r, struct engine *g, const char *const *paths, uint32_t n,
                       uint32_t n_ctx, struct err *e);
/* sides: the base, the model. Shows progress. */
bool eval_scores_against(struct eval_scores *r, const struct against_side sides[2], const char *path,
                         uint32_t n_ctx, struct err *e);
/* As eval_samples, all samples in one row. */
bool eval_scores_samples(struct eval_scores *r, struct engine *g, struct corpus *c, uint32_t n_ctx,
                         struct out *rows, struct err *e);
/* Behind the last row: makes `all`. */
void eval_scores_end(struct eval_scores *r);
/* What reap.eval/1 says of it: texts and total, borrowed. */
struct eval_file eval_scores_file(const struct eval_scores *r);
void eval_scores_clear(struct eval_scores *r);

#endif
