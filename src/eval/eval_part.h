/* eval_part.h - between the files of eval/. */
#ifndef REAP_EVAL_EVAL_PART_H
#define REAP_EVAL_EVAL_PART_H

#include "corpus/windows.h"

/* What turns logits into probabilities: log p(i) = (x[i] - max) - log_sum. */
struct lse {
    float max;
    double log_sum;
    uint32_t top; /* the first of the largest */
};
struct lse lse_of(const float *x, uint32_t n);
static inline double logprob(const float *x, struct lse l, int32_t i)
{
    return (double)(x[i] - l.max) - l.log_sum;
}

/* One token under a model against the base: x, base of n logits each, l and b what lse_of says of them. */
struct token_loss {
    double nll, base_nll, kl; /* -log p(next) of both; KL(base || model) */
    bool same_top;
};
struct token_loss token_loss_of(const float *x, const float *base, struct lse b, uint32_t n, int32_t next);
/* False with *e (ERR_FAILED) where one is not finite; name: of the model. */
bool token_loss_check(const struct token_loss *l, const char *name, struct err *e);

/* Standard error of the mean of n values, given their sum and that of their squares; 0 where there is
 * none. */
double error_of_mean(double sum, double sum2, double n);

/* A text in llama-perplexity's windows, packed into batches (eval.h). */
struct text {
    struct windows w;
    uint32_t n_tokens; /* of the whole text */
    uint32_t first;    /* position of a window whose next token is the first that is scored */
};
bool text_open(struct text *t, struct engine *g, const char *path, uint32_t n_ctx, struct err *e);
void text_clear(struct text *t);
/* Whether the token behind position `at` of a window is scored. */
static inline bool text_scores(const struct text *t, const struct window *x, uint32_t at)
{
    return at >= t->first && at + 1 < x->n;
}

#endif
