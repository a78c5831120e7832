/* choice_table.h - what `reap choose` measured, as `choose` and `run` print it. */
#ifndef REAP_CMD_CHOICE_TABLE_H
#define REAP_CMD_CHOICE_TABLE_H

#include "base/buf.h"
#include "results/choice.h"

/* A line per plan, and one that says what was taken and why. */
void choice_table(struct buf *b, const struct choice_file *f);

#endif
