/* pairs.h - sums over pairs of experts that a router chose together, and the file reap.pairs/1 that holds them beside
 * a stats file, which names it by its SHA-256 (docs/formats.md).
 *
 * For experts i < j of a layer and the tokens sent to both: how many, and the sum of ||c_i|| ||c_j||, c as in
 * stats.h. Kept per half, as the other sums. What i = j would hold is reap_sq_sum. */
#ifndef REAP_STATS_PAIRS_H
#define REAP_STATS_PAIRS_H

#include "base/out.h"
#include "stats/stats.h"

#define PAIRS_SUFFIX ".pairs" /* behind the name of the stats file */

/* Of one layer and half: [n (n - 1) / 2] each, at pair_at. */
struct pair_sums {
    uint64_t *count;
    double *sum;
};

/* Where i < j stand among n experts: row by row. */
static inline size_t pair_at(uint32_t n, uint32_t i, uint32_t j)
{
    return (size_t)i * (2 * (size_t)n - i - 1) / 2 + (j - i - 1);
}

/* The sums of layer index i; NULL: stats_need_pairs was not asked, or failed. */
const struct pair_sums *pairs_of(const struct stats *s, uint32_t i, enum half h);

/* For new statistics: from now on stats_add fills them. */
void stats_keep_pairs(struct stats *s);
/* Bytes that they take, in memory and in the file. */
uint64_t pairs_bytes(uint32_t n_layers, uint32_t n_experts);
bool stats_has_pairs(const struct stats *s); /* the file says that they were kept */

/* They are in memory: read from beside the stats file now, if they were not; checked completely, against its
 * sums, too. False with *e: the file says of none (*e names the reason), theirs is missing, or another's. */
bool stats_need_pairs(const struct stats *s, struct err *e);
/* Whether there are any: in memory, or a file whose contents are not looked at. False with *e: it cannot be known. */
bool stats_pairs_there(const struct stats *s, bool *there, struct err *e);
/* Takes those out of memory that can be read again. */
void stats_drop_pairs(const struct stats *s);
/* Adds those of y to those of x. False: a count is too large. */
bool pairs_add(struct stats *x, const struct stats *y);

/* What a stats file says of them, NULL: nothing; and reading that. */
json_t *pairs_json(const struct stats *s);
bool pairs_read_json(struct stats *s, const json_t *o, const char *path, struct err *e);
/* Writes their file into an output that is open; the stats file is to name its hash behind that (pairs_json). */
bool pairs_write(const struct stats *s, struct out *o, struct err *e);

/* ---- between the files of stats ---- */
/* Whether `pairs` is a file of such sums and the stats file `path`, beside which it lies, is not there. */
bool pairs_are_orphans(const char *path, const char *pairs, bool *are, struct err *e);
void pairs_free(struct pairs *p);
void pairs_add_token(struct pairs *p, uint32_t i, enum half h, const struct routed *r, uint32_t k);

#endif
