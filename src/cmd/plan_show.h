/* plan_show.h - what plan says of a plan that it made from statistics. */
#ifndef REAP_CMD_PLAN_SHOW_H
#define REAP_CMD_PLAN_SHOW_H

#include "plan/make.h"

/* On standard output, as text or with --json. out: where the plan was written. */
bool plan_show(const char *out, const struct plan_opts *o, const struct plan *p, const struct plan_summary *s,
               struct err *e);

#endif
