/* opts.h - the engine's options as a table: what they are called by llama-server, the engine's own server,
 * and which of them results depend on. */
#ifndef REAP_ENGINE_OPTS_H
#define REAP_ENGINE_OPTS_H

#include "engine/engine.h"

struct server_args {
    char **v; /* n strings, owned */
    uint32_t n, cap;
};

/* The arguments that make llama-server run a model as the options make us run it. An option that says what
 * holds anyway (engine_opts_default) gives none, nor do those that are ours alone. `a` is zeroed. */
void server_args_make(struct server_args *a, const struct engine_opts *o);
void server_args_clear(struct server_args *a);

/* Adds the options that change what is computed, and the engine's version: what was computed with another key
 * is to be computed anew. Where it is computed does not count: threads, devices, memory. */
void engine_opts_key(const struct engine_opts *o, struct buf *b);
/* The same as members of an object. */
void engine_opts_key_json(const struct engine_opts *o, json_t *k);

#endif
