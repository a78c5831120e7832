/* lib_part.h - between the files of libreap (reap.h): what each call begins and ends with. */
#ifndef REAP_LIB_LIB_PART_H
#define REAP_LIB_LIB_PART_H

#include "base/log.h"
#include "lib/reap.h"
#include "model/plan.h"
#include "stats/stats.h"

#include <locale.h>

struct reap_model {
    struct view *v;
};

struct reap_stats {
    struct stats *s;
    char *path; /* for messages */
};

struct reap_plan {
    struct plan *p;
    char *path; /* NULL: not from a file */
};

/* A call of the library: the thread's listener and its locale are ours until it ends. */
struct call {
    struct err e;
    struct listener listener;
    const struct listener *before;
    locale_t locale;  /* the caller's */
    const char *what; /* of the progress, as it was told last */
    uint64_t done, total;
    bool cancelled;
};
void call_begin(struct call *c);
/* The code for the caller, who is told why as well. */
int call_end(struct call *c, bool ok, reap_error *error);

/* Refuses a file of MTP blocks alone, which is no model. */
bool model_check_trunk(const reap_model *m, struct err *e);

/* A struct of the caller's into ours of n bytes, where a member that theirs lacks is 0. */
bool take_struct(void *ours, size_t n, const void *theirs, const char *what, struct err *e);
/* Ours into theirs, as far as it goes. */
void give_struct(void *theirs, const void *ours, size_t n);

reap_plan *plan_wrap(struct plan *p, const char *path);

#endif
