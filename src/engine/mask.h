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

#endif
