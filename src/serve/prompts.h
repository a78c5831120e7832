/* prompts.h - the prompts of a batch: text files and JSONL rows, in a fixed order (corpus/source.h).
 *
 * A path is
 *   a folder:      all files in it (not hidden ones), recursively, in the order of their names; the first
 *                  level of sub-folders are categories;
 *   a .jsonl, .ndjson or .json file:
 *                  rows (corpus/rowfile.h), {"prompt": "..."} or {"messages": [...]} (a list under "prompt" is that too), optional "id",
 *                  "category", "system" and parameters of the request (tools, temperature, ...: the table in
 *                  prompts.c, or any others in "parameters": {...}); other keys are counted and not sent. Or a
 *                  line of OpenAI's batch files, {"custom_id": ..., "body": {the request}}, or a row of
 *                  another form (corpus/row.h), which is asked without its answer;
 *   any other file:
 *                  UTF-8 text, the whole file is one prompt; white space at its end is dropped.
 * A prompt's id is that of its row, else "FILE:LINE" or the file's name, both from the folder on. */
#ifndef REAP_SERVE_PROMPTS_H
#define REAP_SERVE_PROMPTS_H

#include "base/err.h"
#include "base/json.h"
#include <stdint.h>

struct prompt {
    char *id, *category; /* category NULL: none */
    json_t *messages;    /* as the interface wants them; a prompt alone is one message of the user */
    json_t *parameters;  /* an object: what the row asks for; may be empty */
    json_t *unused;      /* an object: the row's keys that are not sent; NULL: none */
    bool is_text;        /* a prompt alone, without system: can be completed as plain text */
};

struct prompts {
    struct prompt *v;
    uint64_t n, cap;
    const char
        *out; /* where the answers go, which in a folder of prompts are none; NULL: no such file; borrowed */
    json_t *unused; /* an object: in how many rows a key was not sent; NULL: there is none */
};

/* Adds what is in a path. Errors (ERR_INPUT) name file and line; ids must be different. */
bool prompts_load(struct prompts *p, const char *path, struct err *e);
/* Two ids that are equal are an error. For the end, behind all prompts_load. */
bool prompts_check(const struct prompts *p, struct err *e);
/* One row, n bytes; for tests and fuzzing. On false *p is empty. */
bool prompts_parse_row(const char *row, size_t n, struct prompt *p, struct err *e);
const char *prompt_text(const struct prompt *p); /* the last message's content, or "" when it has parts */
void prompt_clear(struct prompt *p);
void prompts_free(struct prompts *p); /* frees what it holds */

#endif
