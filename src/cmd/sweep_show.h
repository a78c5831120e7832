/* sweep_show.h - the table of a sweep, and what was chosen, as text. */
#ifndef REAP_CMD_SWEEP_SHOW_H
#define REAP_CMD_SWEEP_SHOW_H

#include "results/sweep.h"

/* The table, and the verdict of prune or quantise below it. */
void sweep_show(struct buf *b, const struct sweep_file *f);
/* The choice (f->chosen >= 0) and the commands that make it. plan: where its plan was written; NULL: nowhere. folder:
 * the model is a checkpoint folder. */
void sweep_show_choice(struct buf *b, const struct sweep_file *f, const char *model, const char *plan,
                       bool folder, bool requantize);

#endif
