/* stats_show.h - what stats files say, as text or as one JSON object: reap stats S... */
#ifndef REAP_CMD_STATS_SHOW_H
#define REAP_CMD_STATS_SHOW_H

#include "stats/stats.h"

bool stats_show(struct stats *const *s, const char *const *path, uint32_t n, enum criterion c, struct err *e);

#endif
