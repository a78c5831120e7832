/* choice.h - which criterion's plan to take: each is measured as a mask on text that no score has seen, and the one that
 * changes the model least is taken.
 *
 * The figure of a plan is its KL divergence from the whole model, the mean over the categories of the text, each of
 * equal weight. A difference to the lowest that is below two of its errors (eval/paired.h) is a tie, and the default
 * criterion wins ties: a few dozen windows do not tell more. */
#ifndef REAP_SWEEP_CHOICE_H
#define REAP_SWEEP_CHOICE_H

#include "eval/paired.h"
#include "eval/trial.h"
#include "plan/make.h"

struct choice_opts {
    const char *model, *stats; /* stats: of a profile of this model */
    struct corpus_opts corpus; /* the profile's sources and options; what is set aside, the file says */
    const char *const *texts;  /* or these instead, a category each */
    uint32_t n_texts;
    struct plan_opts plan; /* how many stay; its criterion is not used */
    const struct criterion *const *criteria;
    uint32_t n_criteria; /* 0: all that the statistics can serve, but for chance */
    uint32_t n_ctx;
    double budget; /* seconds after which no further window begins; 0: all are measured */
    struct engine_opts engine;
};

struct choice_row { /* a plan and what it costs */
    const struct criterion **criteria;
    uint32_t n_criteria; /* that make it */
    struct plan *plan;
    struct trial_loss *loss; /* [n_windows_of] */
    struct paired kl, nll;   /* mean KL; mean of -log p(next) minus the whole model's */
    struct paired diff;      /* of KL to the lowest row's */
    bool tie;
};

struct choice_result {
    struct view *view;
    struct trial_text text;
    struct choice_row *rows; /* in the order of criteria */
    uint32_t n_rows, lowest, chosen;
    uint32_t n_windows, n_windows_of; /* measured; that there are */
    uint64_t n_scored, n_tokens;      /* n_tokens: decoded, all plans and the whole model */
    uint32_t n_ctx;
    bool of_text; /* measured on texts */
    double secs;
};

/* Makes the plans, measures them, fills *r (to be cleared, on failure too). Says before it starts what it will cost. An
 * error (ERR_INPUT): nothing was set aside and there are no texts; the text is not that of the profile. */
bool choice_run(const struct choice_opts *o, struct choice_result *r, struct err *e);
void choice_result_clear(struct choice_result *r);
/* reap.choice/1, new reference; the same goes into the plan that was taken (borrowed). */
json_t *choice_report(const struct choice_result *r);
const struct plan *choice_plan(struct choice_result *r);
#endif
