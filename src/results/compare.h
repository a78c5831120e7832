/* compare.h - reap.compare/1: answers of two models to the same prompts, side by side. Fields:
 * docs/formats.md. */
#ifndef REAP_RESULTS_COMPARE_H
#define REAP_RESULTS_COMPARE_H

#include "results/calls.h"

/* Numbers that are not known are not a number. Texts are borrowed. */

struct compare_side {
    const char *response, *reasoning,
        *finish; /* response NULL: the file has no texts; reasoning NULL: none */
    uint64_t n_words;
    double tokens, tokens_per_second, first_token;
    bool endless;   /* stopped by the limit of tokens */
    bool malformed; /* the server could not read all of it */
    double repeat_share;
    uint64_t loop_period, loop_copies; /* period 0: no loop */
    bool loop_by_characters;
    const char *refusal;                      /* NULL: none */
    const json_t *tool_calls, *function_call; /* as in reap.batch/1; NULL: none, or the file has no texts */
    uint64_t n_calls, n_no_json, n_unknown;   /* calls; with arguments that are no JSON; of unknown tools */
    enum calls_fit fit;
};

struct compare_row {
    const char *id, *category, *prompt; /* category NULL: none; prompt: the last message, NULL as response */
    const json_t *messages;             /* all of them; NULL: the prompt says it all, or not known */
    uint64_t repeat;
    struct compare_side base, pruned;
    bool exact;
    bool same_names, same_arguments; /* of the calls, when there are any in one of the answers */
    double similarity;               /* 0 to 1 */
    uint64_t common_prefix;          /* words that are equal at the start */
};

struct compare_rate {
    uint64_t count;
    double rate, low, high;
};

struct compare_sums { /* of one side */
    struct compare_rate endless, loops;
    double repeat_share, words, tokens, tokens_per_second, first_token; /* means */
    struct compare_rate calling;                                        /* answers with calls */
    struct compare_rate fit; /* those among them whose calls all fit, */
    uint64_t n_checked;      /* of so many with tools in the row */
    uint64_t n_malformed;
    uint64_t n_calls, n_no_json, n_unknown;
};

struct compare_total {    /* of all rows, or of a category */
    const char *category; /* NULL: all, or those without one */
    uint64_t n;
    struct compare_rate exact;
    double similarity_mean, similarity_median;
    uint64_t n_calling;                             /* pairs in which one answer has calls, or both */
    struct compare_rate same_names, same_arguments; /* of these */
    struct compare_sums base, pruned;
};

struct compare_input {
    const char *file;
    const json_t *model, *parameters; /* NULL: not known */
};

struct compare_file {
    struct compare_input base, pruned;
    uint64_t n_only_base, n_only_pruned;     /* answers without a partner */
    struct compare_total total, *categories; /* in the order in which they appear; owned */
    uint32_t n_categories;
    struct compare_row *rows; /* in the order of the base; owned */
    uint64_t n_rows;
    json_t *ignored; /* keywords of schemas that were not checked, and how often; NULL: none; owned */
    json_t *doc;     /* what texts are borrowed from when it was read; owned */
};

/* One of the two calls a tool, or tried to. */
bool compare_calls(const struct compare_row *r);
/* The file without texts prints rows without prompts and answers. */
json_t *compare_json(const struct compare_file *f, bool texts); /* new reference */
bool compare_write(const char *path, const struct compare_file *f, bool force,
                   struct err *e); /* with texts */
/* False with *e (ERR_INPUT). Reads what a page shows: of the inputs nothing, of the categories nothing. */
bool compare_read(const char *path, struct compare_file *f, struct err *e);
void compare_file_clear(struct compare_file *f);

#endif
