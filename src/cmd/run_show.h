/* run_show.h - what came of a run: parts of it as text, all as JSON. */
#ifndef REAP_CMD_RUN_SHOW_H
#define REAP_CMD_RUN_SHOW_H

#include "run/run.h"

double run_show_ratio(const struct run_text *t); /* of the perplexities; 0: not known */
/* "time: profile 3 min 02 s, ...", a line; nothing where no time is known. */
void run_show_times(const struct run_result *r, struct buf *b);
/* pass: what the verdict is about, where there is one. */
bool run_show_json(const char *model, const struct run_result *r, const struct pass *pass, struct err *e);

#endif
