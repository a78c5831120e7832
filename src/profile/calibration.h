/* calibration.h - what a profile was made from, as its file says it, and what of it is worth a warning. */
#ifndef REAP_PROFILE_CALIBRATION_H
#define REAP_PROFILE_CALIBRATION_H

#include "corpus/windows.h"
#include "profile/profile.h"

/* What it is made from: text and options. n_tokens and windows as they were made from the corpus. */
struct calibration {
    const struct profile_opts *o;
    const struct corpus *corpus;
    const struct windows *win;
    const struct engine *engine;
    int64_t ubatch; /* tokens per compute step */
    bool separate;  /* one KV memory per sequence */
};

/* calibration of reap.stats/1. The same text and options give the same. New reference. */
json_t *calibration_json(const struct calibration *c);
/* The first key in which two differ, so that a run of one cannot go on with the sums of the other; NULL: it can. The
 * samples are for people, and an earlier version did not keep them. */
const char *calibration_difference(const json_t *a, const json_t *b);
/* Adds what to say of such a key, by the file that was found and what this run expects: both values, and the option that makes
 * this run one that can go on, where there is one. */
void calibration_tell(const char *key, const json_t *found, const json_t *expected, struct buf *b);
/* What an unfinished run must have again to go on: the day on which it was begun (o->now, noon in Unix time) where its chat
 * template may have written the date, and the tokens of a compute step (o->ubatch) and whether sequences have memories of their own, unless the
 * tokens are given, because they may have been chosen by the memory and the disk of that day. */
void calibration_resume(const char *stats_path, struct engine_opts *o, bool *separate);
/* Says once what is not used. */
void calibration_warn(const struct calibration *c);
/* The same from what a file says (calibration_json). */
void calibration_warn_unused(const json_t *calibration);
/* Warns when a text is too short to choose by; n_used: of the experts, that a token goes to. */
void calibration_warn_short(uint64_t n_tokens, uint32_t n_experts, uint32_t n_used);

#endif
