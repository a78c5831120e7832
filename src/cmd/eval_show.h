/* eval_show.h - what an evaluation of a text says, as text. */
#ifndef REAP_CMD_EVAL_SHOW_H
#define REAP_CMD_EVAL_SHOW_H

#include "base/buf.h"
#include "results/eval.h"

void eval_show(struct buf *b, const struct eval_text *x);

#endif
