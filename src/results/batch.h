/* batch.h - reap.batch/1: prompts and what a model answered. Fields: docs/formats.md. */
#ifndef REAP_RESULTS_BATCH_H
#define REAP_RESULTS_BATCH_H

#include "base/json.h"

/* Of one prompt; borrowed texts. */
struct batch_answer {
    const char *id, *category; /* category NULL: none */
    uint64_t repeat;
    const char *key, *prompt_sha256;           /* of the whole request, of the messages */
    const json_t *messages, *parameters;       /* parameters NULL: the prompt asks for none itself */
    uint64_t attempts;                         /* 0: not known */
    bool ok;                                   /* answered, else it failed */
    const char *error;                         /* of a failed one */
    const char *response, *reasoning, *finish; /* of an answered one; reasoning NULL: none */
    const char *refusal;                       /* NULL: none, as the calls */
    const json_t *tool_calls, *function_call;  /* a list, an object, as the interface has them in messages */
    uint64_t n_nul, n_invalid; /* characters of it that were replaced: U+0000, what is no UTF-8 */
    uint64_t n_key;            /* keys of the interface that were */
    int64_t prompt_tokens, completion_tokens, response_tokens; /* below 0: not known */
    double seconds, first_token, tokens_per_second;            /* not a number: not known */
};

/* What all prompts have in common; borrowed. */
struct batch_head {
    const char *server, *endpoint, *started; /* NULL: not said */
    const json_t *model, *parameters;        /* NULL: not said */
    uint64_t n_prompts;
};

struct batch_file {
    struct batch_head head;
    struct batch_answer *v; /* in the order of the file; all texts are borrowed from doc */
    uint64_t n;
    json_t *doc; /* owned */
};

/* Checked: the schema; each result has id, key, prompt_sha256, repeat, messages and status, an answered one
 * response and finish_reason; a call has a name and arguments. False with *e (ERR_INPUT). */
bool batch_read(const char *path, struct batch_file *f, struct err *e);
/* A warning when a journal lies beside a file that is read as a result: answers that it lacks. */
void batch_warn_unfinished(const char *path);
/* The same of n bytes, which batch_is knows by their beginning; the error names no file. */
bool batch_is(const char *s, size_t n);
bool batch_parse(const char *s, size_t n, struct batch_file *f, struct err *e);
/* An answered prompt and its answer as a row of text: id, and messages with what belongs to them (tools,
 * chat_template_kwargs), or the text of a completion. New reference. */
json_t *batch_answer_row(const struct batch_file *f, uint64_t i);
void batch_file_clear(struct batch_file *f);
/* A result as it stands in the file, and one that was read, as it stood there. New references. */
json_t *batch_answer_json(const struct batch_answer *a);
json_t *batch_file_answer(const struct batch_file *f, uint64_t i);
/* Its finish_reason where the server could not read what the model wrote; it may be a part only. */
#define BATCH_MALFORMED "malformed"
/* It ended with a call that is not there: files of versions that kept no calls have such answers. */
bool batch_answer_lost_call(const struct batch_answer *a);
/* Answered, and all of the answer is there. */
bool batch_answer_is_whole(const struct batch_answer *a);
/* The texts are borrowed from o. i: for messages. */
bool batch_answer_read(const json_t *o, size_t i, struct batch_answer *a, struct err *e);

/* results: a list of such objects. Replaces the file. of: tells its head from others, for the journal. */
bool batch_write(const char *path, const struct batch_head *h, json_t *results, char of[65], struct err *e);

/* ---- the journal beside it (base/journal.h): a first line that says of which file it is, then a result a line ---- */

void batch_journal_head(struct buf *b, const char *of);
void batch_journal_line(struct buf *b, const json_t *result);
/* Whether these lines, all of them whole, hold a result at all. */
bool batch_journal_has_results(const char *s, size_t n);
/* Gives the results of the lines to f: in the place of an earlier one of the same request and id, else behind the
 * others. f->v is gone then: read the file again when it is written. False with *e (ERR_INPUT): the journal is of
 * another file, or a line is broken; f may have some of them then. */
bool batch_journal_fold(struct batch_file *f, const char *s, size_t n, struct err *e);

#endif
