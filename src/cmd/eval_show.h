/* eval_show.h - what an evaluation of texts says: as text, as the result file, as an exit status. */
#ifndef REAP_CMD_EVAL_SHOW_H
#define REAP_CMD_EVAL_SHOW_H

#include "base/out.h"
#include "eval/scores.h"
#include "model/plan.h"
#include "results/pass.h"

struct eval_shown {              /* all borrowed */
    const struct view *v, *base; /* base NULL: compared with nothing */
    const char *const *paths;    /* of the plans */
    const struct plan *const *plans;
    uint32_t n_plans; /* 0: the whole model was evaluated */
    const struct pass *pass;
    const struct eval_scores *r; /* one for each plan, or of the model */
};

/* Of the first plan, and of those behind it their difference to it. To be cleared. */
struct eval_file eval_shown_file(const struct eval_shown *x);
void eval_shown_clear(struct eval_file *f);
bool eval_shown_write(const struct eval_file *f, struct out *to, struct err *e);
/* To standard output. */
bool eval_show(const struct eval_shown *x, const struct eval_file *f, struct err *e);
/* ERR_CHECK where a plan, or the model, misses a bound. */
bool eval_shown_pass(const struct eval_shown *x, struct err *e);

#endif
