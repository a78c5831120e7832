/* batch.h - prompts through a server with OpenAI's interface, and the answers in a file (reap.batch/1).
 *
 * Every answer is safe in a journal before it is told of (base/journal.h), and a later run with the same file keeps
 * what is answered: a prompt counts as answered when its whole request (model, messages, parameters, number of the
 * repetition) is the same. The specification of the file is docs/formats.md. */
#ifndef REAP_SERVE_BATCH_H
#define REAP_SERVE_BATCH_H

#include "base/err.h"
#include "results/batch.h"
#include "serve/prompts.h"

/* What batch_defaults sets; times in seconds. */
#define BATCH_MAX_TOKENS      1024
#define BATCH_SEED            42
#define BATCH_RETRIES         4
#define BATCH_TIMEOUT         1800
#define BATCH_CONNECT_TIMEOUT 10
#define BATCH_RETRY_WAIT      1

struct batch_opts {
    const char *server; /* address, with or without /v1 */
    const char *out;
    const char *const *prompts; /* paths, see prompts.h */
    uint32_t n_prompts;
    const char *model;               /* NULL: the first that the server lists */
    const char *system;              /* message of the system for prompts that have none; NULL: none */
    bool completions;                /* /v1/completions with the bare text instead of /v1/chat/completions */
    int64_t max_tokens, seed, top_k; /* top_k < 0: not sent */
    double temperature, top_p;       /* top_p < 0: not sent */
    uint32_t repeat, parallel, retries;
    double timeout, connect_timeout, retry_wait; /* seconds */
    bool force;                                  /* answers of another run may be lost */
    /* Called for every prompt that was asked, one at a time; NULL: nobody wants to know. */
    bool (*on_result)(void *ctx, uint64_t done, uint64_t total, const struct batch_answer *a, struct err *e);
    void *ctx;
};

void batch_defaults(struct batch_opts *o);

struct batch_summary {
    uint64_t n_prompts, n_kept, n_answered, n_failed, n_left; /* prompts times repetitions */
    uint64_t completion_tokens, n_replaced; /* of the n_answered; those with replaced characters */
    uint64_t n_told_key;                    /* those that held the key */
    double seconds;
};

/* True when every prompt has an answer. Else *e says how many failed or are left (ERR_FAILED), what is wrong
 * with the input (ERR_INPUT), or ERR_INTERRUPTED; what was answered is in the file. */
bool batch_run(const struct batch_opts *o, struct batch_summary *s, struct err *e);

#endif
