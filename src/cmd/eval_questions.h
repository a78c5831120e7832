/* eval_questions.h - reap eval --choices: questions with choices for a model and for plans of it, as text or as one
 * JSON object. */
#ifndef REAP_CMD_EVAL_QUESTIONS_H
#define REAP_CMD_EVAL_QUESTIONS_H

#include "base/opt.h"

struct eval_questions {
    const char *model;
    const struct opt_list *files, *plans;
    const char *out, *rows; /* NULL: not wanted */
};
bool eval_questions(const struct eval_questions *o, struct err *e);

#endif
