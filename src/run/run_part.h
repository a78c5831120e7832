/* run_part.h - between the files of run.h. */
#ifndef REAP_RUN_RUN_PART_H
#define REAP_RUN_RUN_PART_H

#include "base/out.h"
#include "results/run.h"
#include "run/run.h"
#include "run/steps.h"
#include "serve/prompts.h"

struct run_job {
    const struct run_opts *o;
    struct run_result *r;
    const char *out; /* "dir/" is "dir" */
    char *dir, *path[N_RUN_FILES];
    char **files; /* the pruned model's */
    uint32_t n_files;
    struct corpus_opts corpus; /* the options', and the answers of the model as the last source */
    const char **specs;
    struct prompts prompts, calib_prompts;
    struct view *v, *w; /* the model; the pruned one, once it is there */
    struct plan *plan;
    struct out_lock locks[2]; /* of the output and of the folder of results */
    bool profiled;            /* now: its warnings were given */
};

extern const struct step run_steps[];
extern const uint32_t n_run_steps;

/* The plan's options, with the statistics of this run. */
struct plan_opts run_plan_opts(const struct run_job *j);

#endif
