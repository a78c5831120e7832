/* engine_part.h - an engine from inside, for the files that make up engine.h on libllama: engine_llama.c (load,
 * run), and those that look at its model alone. */
#ifndef REAP_ENGINE_ENGINE_PART_H
#define REAP_ENGINE_ENGINE_PART_H

#include "base/log.h"
#include "engine/ahead.h"
#include "engine/cost.h"
#include "engine/engine.h"
#include "engine/inputs.h"
#include "engine/mask.h"
#include "engine/mtp.h"
#include "engine/observe.h"
#include "engine/step.h"
#include "engine/tokenize.h"
#include "engine/watch.h"

#include <llama.h>

struct engine {
    struct engine *next; /* settle.c: of those that are open */
    struct cost cost;
    struct llama_model *model;
    const struct llama_vocab *vocab;
    struct tokenizer tokenizer;
    struct llama_context *ctx;
    struct engine_opts o;
    struct observer *observer;
    struct mtp *mtp; /* NULL: such a block is not there, or nobody asks for it */
    struct masker *masker;
    struct inputs *inputs;
    struct moved {
        struct ggml_tensor *tensor;
        void *data;
    } moved
        [GGML_MAX_SRC]; /* weights that the node computes with where ahead has them, and where they are mapped */
    int n_moved;
    struct moved *kept; /* small weights, for good */
    uint32_t n_kept, cap_kept;
    char *blank;             /* zeros, in place of weights while learning */
    bool started;            /* behind settle_start */
    struct ahead *ahead;     /* of a model that does not fit into memory; else NULL */
    double disk;             /* with it: bytes a second of the disk, 0: not known */
    uint64_t memory, host;   /* with it, before the context: bytes that are free, and cost.host */
    uint64_t logits;         /* with it: bytes that they will take */
    struct step_facts facts; /* with it: what the step was chosen by; of no disk where it was not */
    bool step_given;         /* the options say how many tokens a step has */
    bool mapped_said;        /* with it: that weights are too large to be streamed */
    bool learning;           /* a decode whose nodes are only looked at */
    bool observing, masking, summing, streaming; /* who wants the node that was asked for last */
    struct llama_batch batch;
    uint32_t n_batch;
    bool has_batch;
    struct progress load;
    struct watch *watch;     /* with --rpc; else NULL */
    struct chat_state *chat; /* chat_model.c */
};

/* Checks the options about chat templates; NULL with *e set. */
struct chat_state *chat_new(const struct engine_opts *o, struct err *e);
void chat_free(struct chat_state *c);

/* What a context of a run is made with; its ubatch is the engine's. */
bool engine_context_params(struct engine *g, const struct engine_run *r, struct llama_context_params *p,
                           struct err *e);

/* ---- settle.c: a model that does not fit into memory ---- */
/* Before and after the model is loaded; true: its weights are to be streamed. */
bool settle_streams(const struct engine_opts *o);
void settle_begin(struct engine *g, bool streams);
/* For each node that is asked for; true: until settle_done it computes with weights that were moved, so it is wanted. In the learning
 * decode its weights are learned, and it computes with zeros. */
bool settle_use(struct engine *g, const struct ggml_tensor *t);
void settle_done(struct engine *g);
/* Before a context is made, and behind the learning decode: divides the memory, among all models that are open and streamed. Nothing
 * where the model fits. */
void settle_look(struct engine *g);
void settle_start(struct engine *g, const struct engine_run *r);
/* Before a decode: gives memory back where others have come to want it. */
void settle_breathe(struct engine *g);
void settle_end(struct engine *g); /* says what came of it, with --verbose; frees g->ahead */

#endif
