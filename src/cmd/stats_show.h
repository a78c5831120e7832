/* stats_show.h - what stats files say, as text or as one JSON object: reap stats S... */
#ifndef REAP_CMD_STATS_SHOW_H
#define REAP_CMD_STATS_SHOW_H

#include "model/view.h"
#include "stats/criteria.h"

struct stats_show {
    struct stats *const *s; /* n files; one: tables of its layers, several: how they compare */
    const char *const *path;
    uint32_t n;
    const struct criterion *criterion;
    const struct view *view; /* for sizes; may be NULL */
};
bool stats_show(const struct stats_show *o, struct err *e);

#endif
