/* engine_part.h - an engine from inside, for the files that make up engine.h on libllama: engine_llama.c (load,
 * run), and those that look at its model alone. */
#ifndef REAP_ENGINE_ENGINE_PART_H
#define REAP_ENGINE_ENGINE_PART_H

#include "base/log.h"
#include "engine/cost.h"
#include "engine/engine.h"
#include "engine/inputs.h"
#include "engine/mask.h"
#include "engine/observe.h"
#include "engine/tokenize.h"

#include <llama.h>

struct engine {
    struct cost cost;
    struct llama_model *model;
    const struct llama_vocab *vocab;
    struct tokenizer tokenizer;
    struct llama_context *ctx;
    struct engine_opts o;
    struct observer *observer;
    struct masker *masker;
    struct inputs *inputs;
    bool learning;                    /* a decode whose nodes are only looked at */
    bool observing, masking, summing; /* who wants the node that was asked for last */
    struct llama_batch batch;
    uint32_t n_batch;
    bool has_batch;
    struct progress load;
    struct chat_state *chat; /* chat_model.c */
};

/* Checks the options about chat templates; NULL with *e set. */
struct chat_state *chat_new(const struct engine_opts *o, struct err *e);
void chat_free(struct chat_state *c);

#endif
