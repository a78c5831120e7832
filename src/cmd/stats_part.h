/* stats_part.h - between the files of stats_show.h: printing. keep: how many experts stay at each of
 * table_ratios. */
#ifndef REAP_CMD_STATS_PART_H
#define REAP_CMD_STATS_PART_H

#include "base/buf.h"
#include "cmd/stats_show.h"
#include "stats/tables.h"

/* Of several files: a pair for each two, and those that are low in all of them. */
struct stats_several {
    const struct stats_show *o;
    const uint32_t *keep;
    const struct table_pair *pairs; /* 0 1, 0 2, ..., 1 2, ... */
    const uint8_t *low;             /* [n_layers][n_experts] */
};

json_t *stats_one_json(const struct table *t, const struct view *v); /* new references */
json_t *stats_several_json(const struct stats_several *x);
void stats_one_text(struct buf *b, const struct table *t, const struct view *v);
void stats_several_text(struct buf *b, const struct stats_several *x);
void stats_gates_text(struct buf *b, const struct table *t); /* nothing where the router renormalises */

#endif
