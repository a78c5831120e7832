/* cost.h - what a loaded model takes, as the library says while it loads, made into a line. Used by the files of this folder
 * only. */
#ifndef REAP_ENGINE_COST_H
#define REAP_ENGINE_COST_H

#include "engine/engine.h"

struct cost {
    uint64_t host,
        there,   /* bytes of buffers in host memory, on devices; without weights that stay in their file */
        copied;  /* .. of weights in host memory */
    bool mapped; /* some do */
    uint64_t host_free, there_free; /* before the model came; 0: not known */
    char devices[160];              /* names of those that layers may go to; empty: none */
    uint32_t layers, all;           /* on devices, of so many */
    bool said;
};

/* Before the model is loaded: from now to cost_end, what the library says is added up. */
void cost_begin(struct cost *c, const struct engine_opts *o);
void cost_go_on(struct cost *c); /* again, for a context */
void cost_end(void);
/* From now to cost_end into another sum, all zero: what a context would take. */
void cost_try(struct cost *c);
/* Says it once: device, layers, threads, memory, and the tokens that are to be decoded (0: not known). streamed: the weights do not
 * fit into memory. */
void cost_say(struct cost *c, const struct engine_opts *o, uint64_t n_tokens, bool streamed);

#endif
