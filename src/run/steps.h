/* steps.h - a list of steps, of which a call does those that are not done yet.
 *
 * A step has a key: a hash over its name, the key of the step before it (chained), size and time of its input
 * files, and what else it says. When it has been done, its key and size and time of its output files stand in
 * a record (reap.run/1). It is done as long as all of that holds; else it is done anew, or goes on from what
 * an earlier try left. A program that dies at any moment leaves a record that is true: before a step begins,
 * the record says that it is writing, and no more that it is done. */
#ifndef REAP_RUN_STEPS_H
#define REAP_RUN_STEPS_H

#include "base/buf.h"
#include "base/err.h"
#include "results/run.h"

struct step_files { /* borrowed */
    const char *const *v;
    uint32_t n;
};

struct step {
    const char *name; /* in the record and in notes */
    uint32_t arg;     /* handed to all functions */
    bool chained;     /* the key of the step before it is part of its own */
    bool early;       /* its key needs nothing of the steps before */
    bool goes_on;     /* it can go on from what an earlier try left, even with another key */
    /* NULL: always. */
    bool (*wanted)(const void *ctx, uint32_t arg);
    /* NULL: none. */
    struct step_files (*inputs)(const void *ctx, uint32_t arg), (*outputs)(const void *ctx, uint32_t arg);
    /* Adds to the key what it is made from besides its inputs. NULL: nothing. */
    bool (*key)(const void *ctx, uint32_t arg, struct buf *b, struct err *e);
    /* Of a step that goes on and cannot tell itself what is there: adds what an earlier try must share. What
     * does not is removed before it is run. NULL: it refuses (ERR_INPUT) what it cannot go on from, and is
     * done anew then. */
    void (*basis)(const void *ctx, uint32_t arg, struct buf *b);
    /* Of outputs that do not lie in a folder of ours: refuses one that is in the way. ours: this step wrote
     * it, or was about to. NULL: each may be replaced. */
    bool (*check)(const void *ctx, uint32_t arg, const char *path, bool ours, struct err *e);
    /* go_on: an output of an earlier try is there. */
    bool (*run)(void *ctx, uint32_t arg, bool go_on, struct err *e);
    /* Done, now or before: what later steps need of it. NULL: nothing. */
    bool (*ready)(void *ctx, uint32_t arg, struct err *e);
};

struct step_time {
    const char *name;
    double secs; /* that it took, in all calls that worked on it; 0: not known */
    bool now;    /* in this call, and not before */
};

struct steps {
    const struct step *list;
    uint32_t n;
    void *ctx;
    bool again;         /* none is done */
    const char *record; /* path; its folder need not be there before steps_run; borrowed */
    struct run_record done;
    struct step_time *times; /* of steps_run, in their order; as many as were done */
    uint32_t n_times, cap_times;
};

/* Reads the record, if there is one; a broken one is a warning, and nothing is done then. */
bool steps_open(struct steps *s, struct err *e);
/* Whether all outputs that are checked may be written: for the time before the first step. */
bool steps_check(const struct steps *s, struct err *e);
bool steps_run(struct steps *s, struct err *e);
/* Fills times with the steps that are wanted; `now` are those that steps_run would do. Writes nothing. */
bool steps_foresee(struct steps *s, struct err *e);
void steps_clear(struct steps *s);

#endif
