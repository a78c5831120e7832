/* run_part.h - between the files of run.h. */
#ifndef REAP_RUN_RUN_PART_H
#define REAP_RUN_RUN_PART_H

#include "base/out.h"
#include "plan/sources.h"
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
    struct plan_sources given; /* the statistics of the options */
    const char *
        *given_files; /* and their paths, and that of the experts that stay: what plans are made from */
    uint32_t n_given_files;
    struct id_lists protect;
    const char *stats;  /* the profile of this run, or the first of these */
    struct view *v, *w; /* the model; the pruned one, once it is there */
    char *typed;        /* the pruned one in another type; NULL: it is not asked for */
    struct view *t;
    const char *profile_files[2]; /* statistics, importance matrix */
    struct plan *plan;
    struct out_lock locks[2]; /* of the output and of the folder of results */
    bool profiled;            /* now: its warnings were given */
};

extern const struct step run_steps[];
extern const uint32_t n_run_steps;

/* For keys: a line of text (NULL: "-"), a JSON value. */
void run_key_str(struct buf *b, const char *s);
void run_key_json(struct buf *b, const json_t *v);
/* The model that is evaluated or asked for a file. */
struct view *run_subject(const struct run_job *j, uint32_t file);
/* run_ask.c: functions of steps (steps.h). */
bool run_has_prompts(const void *ctx, uint32_t file);
void run_ask_basis(const void *ctx, uint32_t file, struct buf *b);
bool run_ask_key(const void *ctx, uint32_t file, struct buf *b, struct err *e);
bool run_ask(void *ctx, uint32_t file, bool go_on, struct err *e);

/* run_check.c: texts and prompts by the tokenizer of the model. */
bool run_check_texts(const struct run_job *j, struct err *e);

/* run_type.c: the pruned model in another type. */
bool run_has_type(const void *ctx, uint32_t file);
bool run_has_matrix(const void *ctx, uint32_t file);
char *run_type_path(const char *out, const char *type);
bool run_type_preflight(const struct run_job *j, struct err *e);
bool run_cut_matrix(void *ctx, uint32_t file, bool go_on, struct err *e);
struct step_files run_type_file(const void *ctx, uint32_t file);
bool run_type_key(const void *ctx, uint32_t file, struct buf *b, struct err *e);
bool run_type_check(const void *ctx, uint32_t file, const char *path, bool ours, struct err *e);
bool run_type(void *ctx, uint32_t file, bool go_on, struct err *e);
bool run_type_ready(void *ctx, uint32_t file, struct err *e);

/* run_dry.c: the result of a dry run. */
bool run_foresee(const struct run_job *j, struct steps *s, struct err *e);

/* The plan's options, with the statistics of this run. */
struct plan_opts run_plan_opts(const struct run_job *j);

#endif
