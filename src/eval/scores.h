/* scores.h - a model on several texts and samples, alone or against a base: a row for each, and all
 * together. */
#ifndef REAP_EVAL_SCORES_H
#define REAP_EVAL_SCORES_H

#include "eval/against.h"

struct eval_scores {        /* zeroed at first */
    struct eval_text *rows; /* names: the file's without its folder; "samples" of several sources; owned */
    uint32_t n, cap;
    bool compared;
    struct eval_text all;           /* named "all": over all tokens alike, not over the means of rows */
    struct against_sums sums;       /* when compared; */
    float *kl;                      /* of all tokens, one text behind the other */
    struct against_window *windows; /* of all texts, and of which row each is */
    uint32_t *window_row, n_windows;
};

/* Texts that can be read; twice: a base reads them, too. False with *e. */
bool eval_scores_check(const char *const *paths, uint32_t n, bool twice, struct err *e);
/* Each adds rows, or none: false with *e. */
bool eval_scores_texts(struct eval_scores *r, struct engine *g, const char *const *paths, uint32_t n,
                       uint32_t n_ctx, struct err *e);
/* sides: the base, then n models (or plans of one); r[n], a row for each. Shows progress. */
bool eval_scores_against(struct eval_scores *r, const struct against_side *sides, uint32_t n,
                         const char *path, uint32_t n_ctx, struct err *e);
/* What a loses more than b on the same texts, per token, window by window; each text has equal weight (paired.h). */
struct eval_difference eval_scores_difference(const struct eval_scores *a, const struct eval_scores *b);
/* As eval_samples, all samples in one row. */
bool eval_scores_samples(struct eval_scores *r, struct engine *g, struct corpus *c, uint32_t n_ctx,
                         struct out *rows, struct err *e);
/* Behind the last row: makes `all`. */
void eval_scores_end(struct eval_scores *r);
/* What reap.eval/1 says of it: texts and total, borrowed. */
struct eval_file eval_scores_file(const struct eval_scores *r);
void eval_scores_clear(struct eval_scores *r);

#endif
