/* run_show.h - what came of a run: parts of it as text, all as JSON. */
#ifndef REAP_CMD_RUN_SHOW_H
#define REAP_CMD_RUN_SHOW_H

#include "run/run.h"

/* Sizes and perplexities of the model, the pruned one and, where it was made, the one in `type`. */
void run_show_table(const struct run_result *r, const char *type, struct buf *b);

/* "time: profile 3 min 02 s, ...", a line; nothing where no time is known. */
void run_show_times(const struct run_result *r, struct buf *b);
/* Prints what a dry run says. */
bool run_show_foreseen(const struct run_result *r, struct err *e);
/* pass: what the verdict is about, where there is one. */
bool run_show_json(const char *model, const struct run_result *r, const struct pass *pass, struct err *e);

#endif
