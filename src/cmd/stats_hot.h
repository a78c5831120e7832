/* stats_hot.h - which experts get most of the tokens, in the forms that tools for placing them take. */
#ifndef REAP_CMD_STATS_HOT_H
#define REAP_CMD_STATS_HOT_H

#include "stats/stats.h"

/* Name i of the forms, "text" first; NULL behind the last. */
const char *stats_hot_form(uint32_t i);
/* Prints the n hottest experts of each layer (all, when there are fewer) in a form, or with --json as the result. */
bool stats_hot(const struct stats *s, uint32_t n, uint32_t form, struct err *e);

#endif
