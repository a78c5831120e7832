/* observe.h - seeing what the experts do, through the engine's evaluation callback. Used by engine_llama.c
 * only. */
#ifndef REAP_ENGINE_OBSERVE_H
#define REAP_ENGINE_OBSERVE_H

#include "engine/engine.h"
#include <ggml-backend.h>
#include <ggml.h>

struct observer;

struct observer *observer_new(const struct engine_run *r, bool device_norms, int n_threads);
void observer_free(struct observer *o);

/* The callback for llama_context_params.cb_eval, with the observer as user data. */
bool observer_callback(struct ggml_tensor *t, bool ask, void *ud);

/* Between these two calls the callback only looks at the graph and notes per layer which node is f and which
 * holds g. */
void observer_learn_begin(struct observer *o);
bool observer_learn_end(struct observer *o, struct err *e);

/* While it learns: what is computed now must not be left out. */
void observer_needs_rest(struct observer *o);

/* When it has been learned: how the weights come about. ROUTER_UNKNOWN: the layers differ. */
enum router observer_router(const struct observer *o);

/* Before a decode; behind it observer_end says whether all layers saw n tokens, or gives the error of the
 * user's function. */
void observer_begin(struct observer *o);
bool observer_end(struct observer *o, uint32_t n_tokens, struct err *e);

#endif
