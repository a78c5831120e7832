/* tap.c - see tap.h. */
#include "engine/tap.h"
#include "base/limits.h"
#include "base/mem.h"

#include <string.h>

bool tap_name(const struct ggml_tensor *t, struct tap_name *out)
{
    const char *dash = strncmp(t->name, "ffn_moe_", 8) ? NULL : strrchr(t->name, '-');
    char *end;
    if (!dash || dash[1] < '0' || dash[1] > '9')
        return false;
    long il = strtol(dash + 1, &end, 10);
    bool reshaped = !strcmp(end, " (reshaped)");
    if ((*end && !reshaped) || il >= LIMIT_ENGINE_LAYERS)
        return false;
    *out = (struct tap_name){(int)il, t->name, (size_t)(dash - t->name), reshaped};
    return true;
}

bool tap_is(const struct tap_name *x, const char *base)
{
    return x->n == strlen(base) && !strncmp(x->base, base, x->n);
}

void *tap_room(struct tap_room *r, size_t n, size_t size)
{
    if (n * size > r->cap) {
        r->cap = (n + n / 4) * size;
        r->p = xrealloc(r->p, n + n / 4, size);
    }
    return r->p;
}

ggml_backend_buffer_t tap_buffer(const struct ggml_tensor *t)
{
    return t->view_src ? t->view_src->buffer : t->buffer;
}

bool tap_on_host(const struct ggml_tensor *t)
{
    ggml_backend_buffer_t b = tap_buffer(t);
    return !b || ggml_backend_buffer_is_host(b);
}

void *tap_bytes(const struct ggml_tensor *t, struct tap_room *r)
{
    if (tap_on_host(t))
        return t->data;
    size_t n = ggml_nbytes(t);
    void *p = tap_room(r, n, 1);
    ggml_backend_tensor_get(t, p, 0, n);
    return p;
}
