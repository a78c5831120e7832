/* server_args.h - the engine's options in the words of llama-server, the engine's own server. */
#ifndef REAP_ENGINE_SERVER_ARGS_H
#define REAP_ENGINE_SERVER_ARGS_H

#include "engine/engine.h"

struct server_args {
    char **v; /* n strings, owned */
    uint32_t n, cap;
};

/* The arguments that make llama-server run a model as the options make us run it. An option that says what
 * holds anyway (engine_opts_default) gives none, nor do those that are ours alone. `a` is zeroed. */
void server_args_make(struct server_args *a, const struct engine_opts *o);
void server_args_clear(struct server_args *a);

#endif
