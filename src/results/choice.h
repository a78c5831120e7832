/* choice.h - reap.choice/1: which criterion's plan lost least on text that was set aside. Fields: docs/formats.md. It
 * stands in the plan that was taken ("measured"). */
#ifndef REAP_RESULTS_CHOICE_H
#define REAP_RESULTS_CHOICE_H

#include "base/json.h"

/* What a file does not say is not a number. Texts are borrowed. */

struct choice_value { /* nats per token, the mean over the categories */
    double mean, stderr_mean;
};

struct choice_file_row {         /* one plan */
    const char *const *criteria; /* that make it */
    uint32_t n_criteria;
    struct choice_value kl; /* against the whole model */
    double worst;           /* mean of the category that lost most, */
    const char *worst_category;
    double ppl_ratio;         /* to the whole model's */
    struct choice_value diff; /* of KL to the lowest row's, paired */
    bool tie;                 /* the difference is no difference */
};

struct choice_file {
    bool text; /* other text was given; else what the profile had set aside */
    uint64_t n_ctx, n_scored;
    uint64_t n_windows, n_windows_of; /* measured; that there are */
    uint64_t n_keep, n_experts;
    const char *const *categories;
    uint32_t n_categories;
    struct choice_file_row *rows;
    uint32_t n_rows;
    uint32_t lowest, chosen; /* rows */
};

json_t *choice_json(const struct choice_file *f); /* new reference */
/* From what a plan holds. False with *e (ERR_INPUT): it is not of this schema, or broken. To be cleared if true. */
bool choice_read(const json_t *doc, struct choice_file *f, struct err *e);
bool choice_is(const json_t *doc);             /* whether it is of this schema; NULL is not */
void choice_file_clear(struct choice_file *f); /* one that was read */

#endif
