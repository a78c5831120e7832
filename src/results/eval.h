/* eval.h - reap.eval/1: how well a model predicts texts, alone or against a base model. Fields:
 * docs/formats.md. */
#ifndef REAP_RESULTS_EVAL_H
#define REAP_RESULTS_EVAL_H

#include "base/json.h"
#include "results/pass.h"
#include "results/questions.h"

/* What a file does not say is not a number, or 0 where it is a count. */

struct eval_sums { /* over scored tokens: of -log p, and of its square */
    uint64_t n;
    double nll, nll2;
};
struct eval_score {
    uint64_t n_tokens, n_scored, n_windows;
    double nll, ppl;       /* mean NLL in nats; exp(nll) */
    double ppl_stderr;     /* its standard error as llama-perplexity prints it */
    struct eval_sums sums; /* that it comes of; not in the file */
};

/* Against a base. Standard errors take tokens as independent, as llama-perplexity's do. */
struct eval_against {
    struct eval_score score, base;    /* n_scored, nll, ppl, ppl_stderr */
    double ln_ratio, ln_ratio_stderr; /* ln(ppl / base ppl) */
    double kl_mean, kl_stderr;        /* of KL(base || model), nats */
    double kl_median, kl_p90, kl_p99, kl_max;
    double top1, top1_stderr;     /* share of tokens whose most likely next token is the base's */
    double dp_rms, dp_rms_stderr; /* root mean square of the change of p(next), as a share */
};

struct eval_text {
    const char *name;
    struct eval_score score;
    bool compared; /* against holds something */
    struct eval_against against;
};

struct eval_plan {                /* the plan that a model was evaluated under */
    const char *file, *criterion; /* file NULL: none; criterion NULL: not said */
    uint64_t n_keep;
};

/* Of one plan to another on the same text, per token: taken window by window, each text of equal weight, the errors over
 * windows. */
struct eval_difference {
    uint64_t n_windows;
    double kl, kl_stderr, nll, nll_stderr;
    bool kl_differs, nll_differs; /* two errors or more */
};

struct eval_other { /* a further plan of the same model */
    struct eval_plan plan;
    struct eval_text *texts, total;
    uint32_t n_texts;
    struct eval_difference diff; /* this minus the first plan */
};

/* Texts are borrowed. */
struct eval_file {
    const json_t *model, *base; /* identities; NULL: not said, no base */
    struct eval_plan plan;
    struct pass pass;               /* what was asked of the total */
    struct eval_text *texts, total; /* total: over all tokens of all texts */
    uint32_t n_texts;
    struct questions_scores *questions; /* questions with choices: per file */
    uint32_t n_questions;
    struct eval_other *others; /* plans behind the first, whose figures stand above */
    uint32_t n_others;
    json_t *doc; /* what it was read from; owned, as texts and choices are then */
};

json_t *eval_json(const struct eval_file *f); /* new reference */
bool eval_write(const char *path, const struct eval_file *f, bool force, struct err *e);
bool eval_read(const char *path, struct eval_file *f, struct err *e); /* false with *e (ERR_INPUT) */
void eval_file_clear(struct eval_file *f);                            /* one that was read */

/* The fields of a comparison, of a text here and of what other files measure. Reading: o may lack any. */
void eval_put_against(json_t *o, const struct eval_against *a);
bool eval_get_against(const json_t *o, const char *where, struct eval_against *a, struct err *e);

#endif
