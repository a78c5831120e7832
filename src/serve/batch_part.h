/* batch_part.h - between the files of batch.h. */
#ifndef REAP_SERVE_BATCH_PART_H
#define REAP_SERVE_BATCH_PART_H

#include "base/journal.h"
#include "serve/answer.h"
#include "serve/batch.h"
#include "serve/client.h"

#include <pthread.h>

#define MAX_BODY (64u << 20) /* an answer with all its framing */

struct batch_job {
    const struct prompt *prompt;
    uint32_t repeat;
    json_t *messages;
    char *body;
    char key[65], sha256[65]; /* of the request, of the messages */
    json_t *result;           /* as it stands in the file; NULL until asked */
    bool kept;
};

struct batch {
    const struct batch_opts *o;
    char *base, *url, *model;
    char *server;      /* base, for people and files */
    const char *shown; /* model, likewise; of about */
    json_t *about;     /* the model as the server describes it */
    bool tokenizes;
    struct batch_job *jobs;
    uint64_t n_jobs, next, n_ready;
    char started[32];
    struct journal journal;
    struct buf waiting;         /* lines that are to go into it, all by the next write */
    uint64_t group, n_groups;   /* of the waiting ones; how many are on the disk */
    bool writing, cannot_write; /* a worker is at it, without the lock; nothing more can go into it */
    double saved, save_seconds; /* when the file itself was written, and how long that took */
    struct batch_summary *sum;
    pthread_mutex_t lock;
    pthread_cond_t written; /* n_groups has changed, or r->stop */
    bool stop;
    struct err e; /* what stopped it */
};

/* Nothing more is asked; with the lock held. */
void batch_stop(struct batch *r, enum err_code code, const char *msg);

/* ---- batch_jobs.c: what is asked ---- */

/* A job for every prompt and repetition. */
bool batch_make_jobs(struct batch *r, const struct prompts *p, struct err *e);
/* The parameters that all prompts have in common. New reference. */
json_t *batch_parameters(const struct batch_opts *o);

/* ---- batch_ask.c: requests, with retries ---- */

struct tries {
    uint32_t n;
    double began; /* the last one */
};

/* Sends a request until it is answered or there is no use in another try. what: for notes. */
bool batch_ask(struct batch *r, struct http *h, const struct http_request *q, struct answer *a,
               struct http_response *x, struct tries *t, const char *what, struct err *e);
/* Fills what r knows of the server: its address, the model, whether it can count tokens. */
bool batch_meet_server(struct batch *r, struct err *e);
/* What a server's /v1/models says of the model that is wanted, by its id, or of the first (NULL): an object with "id",
 * and what tells two of that id apart. A wanted one need not be in the list, whatever that is. New reference; NULL: no
 * model is named. */
json_t *batch_pick_model(const json_t *models, const char *wanted);
/* Tokens of a text by the server's tokenizer; -1: it cannot. */
int64_t batch_count_tokens(struct batch *r, struct http *h, const char *text);

/* ---- batch_file.c: the answers ---- */

/* Holds the output for this run, and brings into it what a killed one left in its journal. */
bool batch_open(struct batch *r, struct err *e);
/* Gives the answers of an unfinished file to their jobs. */
bool batch_resume(struct batch *r, struct err *e);
/* Writes the file anew with all results so far, and begins the journal anew, or has no more need of it. */
bool batch_save(struct batch *r, bool is_last, struct err *e);
/* Makes a result safe; returns when it is. With the lock held, which is given up meanwhile: results that come at the
 * same time are written together. False: it is not, and the run stops. */
bool batch_keep(struct batch *r, const json_t *result);

#endif
