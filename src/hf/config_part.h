/* config_part.h - what the files config*.c share; not for others. */
#ifndef REAP_HF_CONFIG_PART_H
#define REAP_HF_CONFIG_PART_H

#include "base/buf.h"
#include "base/jspan.h"

/* A walk over the members of all objects of the language model. Start with {.d = d}; ended, its memory is
 * freed (buf_clear key when it is left early). */
struct hf_walk {
    const struct jdoc *d;
    uint32_t i;
    size_t skip_to;
    struct buf key;
};
uint32_t hf_walk_next(struct hf_walk *w); /* JSPAN_NONE behind the last */

bool hf_key_in(const struct jdoc *d, uint32_t node, const char *keys); /* "a|b|c" */
/* "model.layers.3.mlp.experts.17": one module of many, whose entry may go with it. */
bool hf_names_module(const char *key);
char *hf_node_path(const struct jdoc *d, uint32_t node); /* for messages; caller frees */

#endif
