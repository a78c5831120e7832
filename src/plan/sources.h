/* sources.h - the stats files that a plan is made from, as they are named on a command line. */
#ifndef REAP_PLAN_SOURCES_H
#define REAP_PLAN_SOURCES_H

#include "plan/make.h"

struct plan_sources { /* owns the paths and the statistics */
    struct plan_source *v;
    uint32_t n, cap;
};

/* Adds a file by its name; nothing is opened yet. weighted: "stats.json:2" has the weight 2, and a colon with
 * no number behind it belongs to the name. A weight must be above 0 and at most 1e9. */
bool plan_sources_add(struct plan_sources *s, const char *arg, bool weighted, struct err *e);
/* Reads all of them. Refuses a file that is named twice, and one in whose place `out` would come. */
bool plan_sources_load(struct plan_sources *s, const char *out, struct err *e);
void plan_sources_clear(struct plan_sources *s);

#endif
