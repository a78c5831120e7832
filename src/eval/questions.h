/* questions.h - multiple choice without writing a model: which of several answers a model finds most likely, whole
 * and as plans would leave it, with one load.
 *
 * The log-likelihood of a choice is the sum of log p of its tokens behind the question. As in
 * lm-evaluation-harness: question and choice are tokenised together, and what is scored begins behind as many
 * tokens as the question alone has; `acc` takes the choice of the highest sum, `acc_norm` that of the highest
 * sum per character, of equal ones the first. BOS stands in front where the model adds one.
 *
 * A question is decoded once for all its choices: what their tokens have in common goes into one sequence, from
 * which the choices go on (engine_fork). Models whose sequences have a state decode each choice alone. */
#ifndef REAP_EVAL_QUESTIONS_H
#define REAP_EVAL_QUESTIONS_H

#include "base/out.h"
#include "corpus/question.h"
#include "engine/engine.h"
#include "model/plan.h"
#include "results/questions.h"

struct questions_plan {
    const char *name; /* of its file; borrowed, as the plan is */
    const struct plan *plan;
};

/* v: the view that g was loaded from; plans checked against it. *out gets the scores of the whole model and of
 * each plan (borrowing names); rows: NULL, or an open output for one JSON row per question: {"id" (or "line"),
 * "answer", "n_chars": [...], "loglikelihoods": [[of the whole model], [of plan 1], ...]}. Shows progress. */
bool questions_score(const struct question_file *f, struct engine *g, const struct view *v,
                     const struct questions_plan *plans, uint32_t n_plans, struct out *rows,
                     struct questions_scores *out, struct err *e);
void questions_scores_clear(struct questions_scores *c);

/* Of n questions `lost` are right for the first model alone and `won` for the second alone. diff = (won - lost) /
 * n; p: exact two-sided test of McNemar (1947), the smaller count under Binomial(lost + won, 1/2), doubled;
 * interval: the adjusted Wald interval for paired proportions, 95 % (Bonett and Price 2012, J. Educ. Behav. Stat.
 * 37, 479). */
struct questions_paired questions_paired_of(uint64_t n, uint64_t lost, uint64_t won);

#endif
