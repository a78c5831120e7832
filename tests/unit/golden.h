/* golden.h - what the tests against reference numbers share: a folder for the outputs of a test, profiles,
 * comparisons.
 *
 * The functions end the running test (cmocka) when something does not hold; the message names the case. */
#ifndef REAP_TESTS_GOLDEN_H
#define REAP_TESTS_GOLDEN_H

#include "base/json.h"
#include "profile/profile.h"

/* ---- a folder of the running test ---- */
int golden_setup(void **state); /* for cmocka; *state stays as it is */
int golden_teardown(void **state);
const char *golden_tmp(const char *name); /* its path in that folder; the last 64 results are valid */

/* ---- running ---- */
void golden_ok(bool ok, struct err *e, const char *what); /* ends the test with e's message unless ok */
/* Everything in float32, on the CPU, one thread: what the reference numbers were compared with. */
struct engine_opts golden_engine(void);
/* A profile of one file of samples, in its order, into golden_tmp(out); ctx 2048, all else as
 * golden_engine(). */
struct profile_opts golden_profile(const char *model, const char *const *texts, const char *out);
struct stats *golden_run(const struct profile_opts *o, struct profile_result *r); /* r may be NULL */
void golden_same_file(const char *a, const char *b, const char *what);            /* byte for byte */
json_t *golden_json(const char *path);

/* A new text with the first `from` of `text` as `to`; ends the test where there is none. */
char *golden_edited(const char *text, const char *from, const char *to);

/* ---- comparing statistics ---- */
struct golden_tol {     /* relative */
    double sum, square; /* of the sums and the means, of the sums of squares */
    double max;         /* of max_activation */
    uint32_t moved;     /* how far a count may be off */
    uint32_t n_moved;   /* in how many experts, over all layers */
};
bool golden_near(double have, double want, double rel);
/* The statistics of two runs over the same tokens. n_moved counts each half. */
void golden_same_stats(const struct stats *a, const struct stats *b, const struct golden_tol *tol,
                       const char *what);
/* A layer's sums of one half (or both: -1) against an object with lists of numbers; keys that it lacks are
 * left out. *n_moved is added to. */
void golden_sums(const struct stats *s, uint32_t i, int half, const json_t *want,
                 const struct golden_tol *tol, uint32_t *n_moved, const char *what);
/* The same without the counts. */
void golden_lists(const struct stats *s, uint32_t i, int half, const json_t *want,
                  const struct golden_tol *tol, const char *what);

#endif
