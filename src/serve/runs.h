/* runs.h - the answers of two models to the same prompts, side by side.
 *
 * Pairs are the answers of equal id and repetition; both must have been given to the same messages. What is
 * compared is all that the model wrote: its reasoning, where there is any, and the response. The measures are
 * those of measure.h. */
#ifndef REAP_SERVE_RUNS_H
#define REAP_SERVE_RUNS_H

#include "base/err.h"
#include "base/json.h"
#include "serve/measure.h"

struct runs_side {
    const char *response, *reasoning, *finish; /* borrowed; reasoning may be NULL */
    uint64_t n_words;
    double tokens, tokens_per_second, first_token; /* < 0: not known */
    struct loops loops;
    bool endless; /* stopped by the limit of tokens */
};

struct runs_row {                       /* one prompt, for a report with both answers side by side */
    const char *id, *category, *prompt; /* borrowed; category may be NULL; prompt: the last message */
    uint64_t repeat;
    struct runs_side base, pruned;
    bool exact;
    double similarity;      /* 0 to 1 */
    uint64_t common_prefix; /* words that are equal at the start */
};

struct runs_mean {
    double sum;
    uint64_t n;
};

struct runs_sums { /* of one side */
    uint64_t n_endless, n_loops;
    struct runs_mean words, tokens, tokens_per_second, first_token, repeat_share;
};

struct runs_total {       /* of all rows, or of a category */
    const char *category; /* NULL: all, or those without one */
    uint64_t n, n_exact;
    double similarity_mean, similarity_median;
    struct runs_sums base, pruned;
};

struct runs {
    json_t *base_file, *pruned_file; /* owned; all texts are borrowed from them */
    char *base_path, *pruned_path;
    struct runs_row *rows; /* in the order of the base */
    uint64_t n_rows;
    uint64_t n_only_base, n_only_pruned;  /* answers without a partner (failed ones, too) */
    struct runs_total total, *categories; /* in the order in which they appear */
    uint32_t n_categories;
};

/* Reads two files of reap batch. NULL with *e (ERR_INPUT): a file is not right, a prompt is not the same in
 * both, or no prompt is answered in both. Warns when the parameters differ. */
struct runs *runs_open(const char *base, const char *pruned, struct err *e);
void runs_free(struct runs *c);
/* reap.compare/1; with texts: the rows hold prompts and answers. New reference. */
json_t *runs_json(const struct runs *c, bool texts);
double runs_mean_of(const struct runs_mean *m); /* -1 when there is none */

#endif
