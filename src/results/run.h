/* run.h - reap.run/1: what of a run is done, so that a later call leaves it out. Fields: docs/formats.md. */
#ifndef REAP_RESULTS_RUN_H
#define REAP_RESULTS_RUN_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "results/pass.h"
#include <stdint.h>

/* What lies in the folder of a run. */
enum run_file {
    RUN_STATS,
    RUN_PLAN,
    RUN_PLAN_FIRST, /* before it was refined */
    RUN_RECORD,     /* the file of this header */
    RUN_EVAL_BEFORE,
    RUN_EVAL_AFTER,
    RUN_EVAL_AGAINST,  /* the plan against the parent, with a pass mark */
    RUN_ANSWERS_CALIB, /* of the whole model, to calibrate on */
    RUN_ANSWERS_BEFORE,
    RUN_ANSWERS_AFTER,
    RUN_COMPARE,
    RUN_IMATRIX,     /* of the whole model, where the type needs one */
    RUN_IMATRIX_CUT, /* of the pruned one */
    RUN_EVAL_TYPE,   /* the pruned model in another type */
    RUN_REPORT,
    N_RUN_FILES
};
extern const char *const run_file_names[N_RUN_FILES];

struct run_step {
    char *name;
    char *key;     /* hash over all that the step depends on; NULL: it is not done */
    char *files;   /* path, size and time of what it wrote */
    char *writing; /* the output that it was writing; NULL: none */
    double secs;   /* that it took, in all calls that worked on it; of a done one */
    char *basis;   /* hash over what a call that goes on from its output must share; NULL: none */
};

struct run_outcome { /* of the last call that came to its end; texts owned, NULL or 0: not known */
    char *date;      /* of its end, UTC: 2026-11-28 */
    char *model;     /* path of the parent, absolute */
    char *output;    /* the first file of the pruned model, or its folder, as it was given */
    char *card;      /* path of its card, absolute */
    char *type;      /* the pruned model was made in it as well (RUN_EVAL_TYPE) */
    uint64_t bytes_before, bytes_after; /* of their tensors */
    uint64_t bytes_type;                /* of the files of the one in a type */
};

/* Zeroed: nothing is done. */
struct run_record {
    struct run_step *steps;
    uint32_t n, cap;
    struct pass pass; /* that the last call asked for */
    struct run_outcome outcome;
    json_t *job; /* its options, as a file of options (base/opt.h); NULL: not known */
    char *stats; /* the first stats file that it was given, instead of making a profile; NULL: none */
};

/* False with *e (ERR_INPUT), the record empty then. Steps of any name are taken over. */
bool run_record_read(const char *path, struct run_record *r, struct err *e);
/* Replaces the file. */
bool run_record_write(const char *path, const struct run_record *r, struct err *e);
void run_record_clear(struct run_record *r);

void run_outcome_clear(struct run_outcome *x);
/* Adds the command that does the job again: "reap run MODEL --calib TEXT ...", of an absolute path its last part. A
 * job that is not known, or is no such object: nothing. */
void run_job_command(const json_t *job, struct buf *b);
/* NULL: the record does not name it. */
const struct run_step *run_record_find(const struct run_record *r, const char *name);
/* The step, new or one that was there, is done. basis: may be NULL. */
void run_record_done(struct run_record *r, const char *name, const char *key, const char *files,
                     const char *basis, double secs);
/* The step is not done, and is writing this output; secs: it took so long already. */
void run_record_writing(struct run_record *r, const char *name, const char *output, const char *basis,
                        double secs);

#endif
