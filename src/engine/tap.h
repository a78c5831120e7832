/* tap.h - nodes of the engine's compute graph, as the evaluation callback sees them: what their names say,
 * and their bytes. Used by observe.c and mask.c; node names are those of build_moe_ffn, src/llama-graph.cpp
 * of llama.cpp v0.5.0.
 *
 * Both work in two steps. Which node of a layer is wanted depends on what else the graph holds, so a first
 * short decode only looks at every node and notes names (..._learn); later decodes ask for the noted ones,
 * between ..._begin and ..._end. */
#ifndef REAP_ENGINE_TAP_H
#define REAP_ENGINE_TAP_H

#include <ggml-backend.h>
#include <ggml.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "ffn_moe_BASE-12" or "ffn_moe_BASE-12 (reshaped)", the same memory seen in another shape. */
struct tap_name {
    int il;
    const char *base; /* with "ffn_moe_"; borrowed, n bytes */
    size_t n;
    bool reshaped;
};
bool tap_name(const struct ggml_tensor *t, struct tap_name *out); /* false: not of that form */
bool tap_is(const struct tap_name *x, const char *base);

/* Memory that is used again for what lies elsewhere. */
struct tap_room {
    void *p;
    size_t cap; /* bytes */
};
void *tap_room(struct tap_room *r, size_t n, size_t size);
bool tap_on_host(const struct ggml_tensor *t);
ggml_backend_buffer_t tap_buffer(const struct ggml_tensor *t);
/* The bytes of t (its whole span, strides included) in host memory: in place, or fetched. */
void *tap_bytes(const struct ggml_tensor *t, struct tap_room *r);

#endif
