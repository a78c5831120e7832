/* scores.h - a model on several texts and samples, alone or against a base: a row for each, and all together. */
#ifndef REAP_EVAL_SCORES_H
#define REAP_EVAL_SCORES_H

#include "eval/against.h"

struct eval_row {
    const char *name; /* the file's name without its folder; "samples" of several sources; owned */
    struct eval_score score;
    struct against_result against; /* when compared */
};

struct eval_scores { /* zeroed at first */
    struct eval_row *rows;
    uint32_t n, cap;
    bool compared;
    struct eval_row all;      /* named "all": over all tokens alike, not over the means of rows */
    struct against_sums sums; /* when compared; */
    float *kl;                /* of all tokens, one text behind the other */
};

/* Each adds rows; false with *e. */
bool eval_scores_texts(struct eval_scores *r, struct engine *g, const char *const *paths, uint32_t n,
                       uint32_t n_ctx, struct err *e);
/* sides: the base, the model. Shows progress. */
bool eval_scores_against(struct eval_scores *r, const struct against_side sides[2], const char *path,
                         uint32_t n_ctx, struct err *e);
/* As eval_samples, all samples in one row. */
bool eval_scores_samples(struct eval_scores *r, struct engine *g, const struct corpus *c, uint32_t n_ctx,
                         const char *logprobs, bool force, struct err *e);
/* Behind the last row: makes `all`. */
void eval_scores_end(struct eval_scores *r);
/* reap.eval/1. identity: of the model; plan: what it was evaluated under, or NULL; base: identity of the base, NULL
 * when not compared; all stolen. New reference. */
json_t *eval_scores_json(const struct eval_scores *r, json_t *identity, json_t *plan, json_t *base);
void eval_scores_clear(struct eval_scores *r);

#endif
