/* mask.h - keeping the router away from experts, through the engine's evaluation callback. Used by
 * engine_llama.c only. */
#ifndef REAP_ENGINE_MASK_H
#define REAP_ENGINE_MASK_H

#include "engine/engine.h"
#include <ggml-backend.h>
#include <ggml.h>

struct masker;

struct masker *masker_new(void);
void masker_free(struct masker *m);

/* Takes over a copy of the mask (NULL: none). Before the names are learned only its form is checked. */
bool masker_set(struct masker *m, const struct engine_mask *mask, struct err *e);

/* The short decode during which every node is only looked at: masker_learn for each of them. Behind it, the
 * mask that is set must find its nodes. */
void masker_learn(struct masker *m, const struct ggml_tensor *t);
bool masker_learned(const struct masker *m);
bool masker_learn_end(struct masker *m, struct err *e);

/* Whether the node is wanted; and what to do when it is computed. False ends the decode. */
bool masker_wants(const struct masker *m, const struct ggml_tensor *t);
bool masker_node(struct masker *m, struct ggml_tensor *t);

/* Before a decode, and behind it: every layer with a mask was masked. */
void masker_begin(struct masker *m);
bool masker_end(struct masker *m, struct err *e);

/* What a decode does with the outputs of the masked layers, besides. */
enum masker_outputs {
    OUTPUTS_LEAVE,
    OUTPUTS_TAKE, /* nothing is masked, and they are remembered */
    OUTPUTS_MATCH /* they are compared with those, and replaced by them */
};
void masker_outputs(struct masker *m, enum masker_outputs what);
/* Adds the sums of the last decode; false: the layer was not matched, or not as many numbers as were taken. */
bool masker_matched(const struct masker *m, struct engine_match *to);

#endif
