/* runs.h - the answers of two models to the same prompts, side by side.
 *
 * Pairs are the answers of equal id and repetition; both must have been given to the same messages. What is
 * compared is all that the model wrote: its reasoning, where there is any, and the response. The measures are
 * those of measure.h. */
#ifndef REAP_RESULTS_RUNS_H
#define REAP_RESULTS_RUNS_H

#include "results/batch.h"
#include "results/compare.h"

struct runs {
    struct batch_file base, pruned; /* texts of the result are borrowed from them */
    struct compare_file result;
};

/* Reads two files of reap batch. NULL with *e (ERR_INPUT): a file is not right, a prompt is not the same in
 * both, or no prompt is answered in both. Warns when the parameters differ. The paths are borrowed. */
struct runs *runs_open(const char *base, const char *pruned, struct err *e);
void runs_free(struct runs *c);

#endif
