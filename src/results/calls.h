/* calls.h - the calls of tools in an answer: what they are, and whether two answers call the same.
 *
 * The same call: the same name, and arguments that are the same as JSON (the order of keys and the spelling of
 * numbers say nothing, no arguments at all are {}); what is no JSON is compared as text. The ids, which servers
 * draw, do not count. */
#ifndef REAP_RESULTS_CALLS_H
#define REAP_RESULTS_CALLS_H

#include "base/json.h"

struct call {
    const char *name; /* borrowed */
    char *arguments;  /* as json_canonical writes them, or as they came */
    json_t *value;    /* NULL: they are no JSON */
};
struct calls {
    struct call *v; /* in the order of the answer */
    size_t n;
};

/* As they stand in reap.batch/1 (results/batch.h); NULL: none. */
void calls_read(struct calls *c, const json_t *tool_calls, const json_t *function_call);
void calls_clear(struct calls *c);

struct calls_agreement {
    bool equal; /* the same calls in the same order */
    bool names,
        arguments; /* the same names; the same calls; in whatever order, since a model writes the calls
                            * of one answer before it sees what one of them gives */
};
struct calls_agreement calls_compare(const struct calls *a, const struct calls *b);

enum calls_fit {
    CALLS_NOT_CHECKED, /* no call, or the row names no tools */
    CALLS_FIT,
    CALLS_UNFIT, /* a call of a tool that there is not, with arguments that are no JSON or that its schema refuses */
};
struct calls_check {
    enum calls_fit fit;
    bool has_tools;                /* the row names some */
    uint64_t n_no_json, n_unknown; /* calls with such arguments; of tools that there are not */
};
/* parameters: of the row, with "tools" or "functions"; NULL: none. ignored: see schema.h. */
struct calls_check calls_check(const struct calls *c, const json_t *parameters, json_t *ignored);

#endif
