/* conf.h - keys of config.json that describe the text model, wherever they stand. */
#ifndef REAP_HF_CONF_H
#define REAP_HF_CONF_H

#include "base/jspan.h"
#include <stdbool.h>
#include <stdint.h>

struct conf {
    const struct jdoc *d;
    uint32_t text; /* the object with the text model's keys, tried before the root; JSPAN_NONE */
};
struct conf conf_of(const struct jdoc *d); /* the text object by its names (names.h) */
/* keys: "a|b|c.d", the first that is there and not null (c.d: the member d of the object c); JSPAN_NONE. */
uint32_t conf_get(const struct conf *c, const char *keys);
/* The same among the rotary parameters: rope_parameters (transformers 5; of full attention, where there are
 * two kinds) or rope_scaling, then where conf_get looks. */
uint32_t conf_rope(const struct conf *c, const char *keys);

/* The same of attention to a window, where there are two kinds; else JSPAN_NONE. */
uint32_t conf_rope_window(const struct conf *c, const char *key);

/* Copies the next word of "a|b" into out and goes on behind it; false at the end. */
#define CONF_WORD 96
bool conf_next(const char **list, char out[CONF_WORD]);

#endif
