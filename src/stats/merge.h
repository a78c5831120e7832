/* merge.h - one stats file out of several of the same model: shards of one run, or runs over different
 * texts. */
#ifndef REAP_STATS_MERGE_H
#define REAP_STATS_MERGE_H

#include "stats/stats.h"

/* Adds up n files. All must be of one model (identity without its name), complete, and made with equal
 * options of those that change digits (force: a warning). Shards (calibration.shard, "profile --shard") of
 * one run must all be there, each once; the result then says what the whole run would say. Of different runs
 * the calibration lists all files. The same run twice is an error. Counts and maxima are exact; the float64
 * sums are added in the order of the shards, and of the operands. path[i] names s[i] in messages. NULL with
 * *e set. */
struct stats *stats_merge(struct stats *const *s, const char *const *path, uint32_t n, bool force,
                          struct err *e);

/* Whether two files are of one model: identities (without the name), layers, counts. False with *e. */
/* The same MTP blocks have statistics. */
bool stats_same_mtp(const struct stats *a, const struct stats *b);
bool stats_same_model(const struct stats *a, const char *path_a, const struct stats *b, const char *path_b,
                      struct err *e);

#endif
