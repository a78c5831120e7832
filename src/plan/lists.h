/* lists.h - lists of expert ids per layer, as people and other tools write them.
 *
 *   {"n_expert": 256, "keep": {"3": [0, 5, ...], ...}}   a keep-list: who stays
 *   {"3": [0, 5, ...], ...}                               an object of layers
 *   {"0": [7, 2, ...]}  one such object a line            a ranking, best first (JSONL)
 *   3: 0 5 9            lines; commas and # comments are allowed */
#ifndef REAP_PLAN_LISTS_H
#define REAP_PLAN_LISTS_H

#include "base/err.h"
#include <stdint.h>

struct id_list {
    uint32_t il, n;
    uint32_t *ids; /* in the order of the file; none twice */
};

struct id_lists {
    struct id_list *l; /* ascending il, none twice */
    uint32_t n;
    uint32_t n_experts; /* what the file says; 0: nothing */
    bool is_keep;       /* the first form: already says who stays */
};

/* False with *e naming file, layer and entry. Ids are below LIMIT_EXPERTS; an empty list is legal. */
bool lists_read(const char *path, struct id_lists *out, struct err *e);
void lists_clear(struct id_lists *l);

#endif
