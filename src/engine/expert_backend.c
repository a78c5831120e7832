/* expert_backend.c - see expert_backend.h. What a device is made of stands in ggml-backend-impl.h (llama.cpp v0.5.0),
 * which is not installed: there is one where the engine was built from the sources at hand (cmake/engine.cmake). */
#include "engine/expert_backend.h"

#ifndef REAP_EXPERT_BACKEND

void expert_backend_register(void)
{
}

#else

#include "base/mem.h"
#include "engine/attention.h"
#include "engine/dots.h"
#include "engine/panels.h"
#include "engine/rows.h"

#include <ggml-backend-impl.h>
#include <ggml-cpu.h>
#include <omp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_EACH \
    4 /* tokens of an expert, on the average, from which on this is faster than the engine's own way */

#define ALIGN 64

struct room {
    void *p;
    size_t n;
};

struct state {
    int n_threads;
    struct room *scratch; /* [n_threads] */
    /* [ids] of the node that is computed: pairs of token and place, by expert */
    const void **x;
    float **y;
    uint32_t *first; /* [experts + 1] */
    size_t cap, cap_experts;
    struct room made; /* the rows of x as they are multiplied */
};

/* Room for n bytes, at a multiple of a vector's size; what was in it is lost when it grows. */
static void *room(struct room *r, size_t n)
{
    if (n > r->n) {
        free(r->p);
        r->p = xmalloc(n + ALIGN - 1);
        r->n = n;
    }
    return r->p ? (void *)(((uintptr_t)r->p + ALIGN - 1) / ALIGN * ALIGN) : NULL;
}

/* ---- the product ---- */

static const char *name(ggml_backend_t b)
{
    (void)b;
    return EXPERT_BACKEND;
}

static void make_room(struct state *s, size_t n_rows, size_t n_experts)
{
    if (n_rows > s->cap) {
        s->x = xrealloc(s->x, n_rows, sizeof *s->x);
        s->y = xrealloc(s->y, n_rows, sizeof *s->y);
        s->cap = n_rows;
    }
    if (n_experts + 2 > s->cap_experts) {
        s->first = xrealloc(s->first, n_experts + 2, sizeof *s->first);
        s->cap_experts = n_experts + 2;
    }
    memset(s->first, 0, (n_experts + 2) * sizeof *s->first);
}

/* Row i of t's column k, of the bytes that x_make made of it or of its own. */
static const void *row_of(const struct ggml_tensor *x, int64_t k, int64_t i, const char *made, size_t x_bytes)
{
    return x_bytes ? made + (size_t)(i * x->ne[1] + k) * x_bytes
                   : (const char *)x->data + (size_t)k * x->nb[1] + (size_t)i * x->nb[2];
}

/* Sorts the rows of x, and of the result, by expert. */
static void sort_rows(struct state *s, const struct ggml_tensor *t, const char *made, size_t x_bytes)
{
    const struct ggml_tensor *w = t->src[0], *x = t->src[1], *ids = t->src[2];
    size_t n_e = (size_t)w->ne[2];
    make_room(s, (size_t)(ids->ne[0] * ids->ne[1]), n_e);
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < ids->ne[1]; i++)
            for (int64_t k = 0; k < ids->ne[0]; k++) {
                int32_t e = *(const int32_t *)((const char *)ids->data + (size_t)i * ids->nb[1] +
                                               (size_t)k * ids->nb[0]);
                GGML_ASSERT(e >= 0 && (size_t)e < n_e);
                if (!pass) {
                    s->first[e + 2]++;
                    continue;
                }
                uint32_t at = s->first[e + 1]++;
                s->x[at] = row_of(x, k % x->ne[1], i, made, x_bytes);
                s->y[at] = (float *)((char *)t->data + (size_t)k * t->nb[1] + (size_t)i * t->nb[2]);
            }
        for (size_t e = 0; !pass && e < n_e; e++)
            s->first[e + 2] += s->first[e + 1];
    }
}

/* Of a product with one matrix: all rows. */
static void all_rows(struct state *s, const struct ggml_tensor *t, const char *made, size_t x_bytes)
{
    const struct ggml_tensor *x = t->src[1];
    make_room(s, (size_t)x->ne[1], 1);
    for (int64_t i = 0; i < x->ne[1]; i++) {
        s->x[i] = row_of(x, i, 0, made, x_bytes);
        s->y[i] = (float *)((char *)t->data + (size_t)i * t->nb[1]);
    }
    s->first[1] = (uint32_t)x->ne[1];
}

static void block(const struct state *s, const struct dots *d, const struct ggml_tensor *w, size_t e,
                  size_t row, void *scratch)
{
    size_t n = (size_t)w->ne[1] - row;
    uint32_t first = s->first[e];
    struct dots_rows rows = {w->type, (const char *)w->data + e * w->nb[2] + row * w->nb[1], w->nb[1],
                             n < d->rows ? n : d->rows};
    d->multiply(&rows, scratch, s->x + first, s->first[e + 1] - first, (size_t)w->ne[0], s->y + first, row);
}

static void multiply(struct state *s, const struct ggml_tensor *t)
{
    const struct ggml_tensor *w = t->src[0], *x = t->src[1];
    const struct dots *d = dots_for(w->type, (size_t)w->ne[1]);
    size_t k = (size_t)w->ne[0], blocks = ((size_t)w->ne[1] + d->rows - 1) / d->rows,
           n = blocks * (size_t)w->ne[2], n_x = (size_t)(x->ne[1] * x->ne[2]),
           x_bytes = d->x_bytes ? d->x_bytes(k) : 0, grain = n / (8 * (size_t)s->n_threads);
    grain = grain < 1 ? 1 : grain > 4 ? 4 : grain; /* neighbours: a way may fetch what lies behind */
    atomic_size_t next = 0;
    char *made = room(&s->made, n_x * x_bytes);
    (t->op == GGML_OP_MUL_MAT ? all_rows : sort_rows)(s, t, made, x_bytes);
#pragma omp parallel num_threads(s->n_threads)
    {
        void *scratch = room(&s->scratch[omp_get_thread_num()], d->scratch(k));
        if (x_bytes) {
#pragma omp for
            for (size_t i = 0; i < n_x; i++)
                d->x_make((const float *)(const void *)((const char *)x->data +
                                                        i % (size_t)x->ne[1] * x->nb[1] +
                                                        i / (size_t)x->ne[1] * x->nb[2]),
                          k, made + i * x_bytes);
        }
        for (size_t from; (from = atomic_fetch_add(&next, grain)) < n;)
            for (size_t i = from; i < n && i < from + grain; i++)
                if (s->first[i / blocks] < s->first[i / blocks + 1])
                    block(s, d, w, i / blocks, i % blocks * d->rows, scratch);
    }
}

/* ---- the rest ---- */

static void attend(struct state *s, const struct ggml_tensor *t)
{
    void **own = xcalloc((size_t)s->n_threads, sizeof *own);
    for (int i = 0; i < s->n_threads; i++)
        own[i] = room(&s->scratch[i], attention_own(t));
    attention(t, room(&s->made, attention_shared(t)), own, s->n_threads);
    free(own);
}

static enum ggml_status compute(ggml_backend_t b, struct ggml_cgraph *graph)
{
    for (int i = 0; i < ggml_graph_n_nodes(graph); i++) {
        struct ggml_tensor *t = ggml_graph_node(graph, i);
        if (!(t->flags & GGML_TENSOR_FLAG_COMPUTE))
            continue;
        if (t->op == GGML_OP_MUL_MAT_ID || t->op == GGML_OP_MUL_MAT)
            multiply(b->context, t);
        else if (t->op == GGML_OP_FLASH_ATTN_EXT)
            attend(b->context, t);
        else if (rows_can(t))
            rows(t, ((const struct state *)b->context)->n_threads);
    }
    return GGML_STATUS_SUCCESS;
}

static void set_threads(ggml_backend_t b, int n)
{
    struct state *s = b->context;
    for (int i = n; i < s->n_threads; i++)
        free(s->scratch[i].p);
    if (n > s->n_threads) {
        s->scratch = xrealloc(s->scratch, (size_t)n, sizeof *s->scratch);
        memset(s->scratch + s->n_threads, 0, (size_t)(n - s->n_threads) * sizeof *s->scratch);
    }
    s->n_threads = n;
}

static void release(ggml_backend_t b)
{
    struct state *s = b->context;
    set_threads(b, 0);
    free(s->scratch);
    free(s->made.p);
    free(s->x);
    free(s->y);
    free(s->first);
    free(s);
    free(b);
}

/* ---- the device ---- */

static const char *device_name(ggml_backend_dev_t d)
{
    (void)d;
    return EXPERT_BACKEND;
}

static const char *device_description(ggml_backend_dev_t d)
{
    (void)d;
    return "products of tokens with their experts";
}

static void device_memory(ggml_backend_dev_t d, size_t *left, size_t *total)
{
    (void)d;
    *left = *total = 0;
}

static enum ggml_backend_dev_type device_type(ggml_backend_dev_t d)
{
    (void)d;
    return GGML_BACKEND_DEVICE_TYPE_ACCEL;
}

static void device_props(ggml_backend_dev_t d, struct ggml_backend_dev_props *p)
{
    *p = (struct ggml_backend_dev_props){
        .name = device_name(d), .description = device_description(d), .type = device_type(d)};
    p->caps.buffer_from_host_ptr = true;
    p->caps.mmap_support = true;
}

static ggml_backend_t device_open(ggml_backend_dev_t d, const char *params)
{
    static const struct ggml_backend_i iface = {.get_name = name, .free = release, .graph_compute = compute};
    static ggml_guid guid = {0x72, 0x65, 0x61, 0x70, 0x65, 0x78, 0x70, 0x74,
                             0x9d, 0x11, 0x40, 0x5e, 0x8c, 0x02, 0x71, 0x33};
    (void)params;
    struct state *s = xcalloc(1, sizeof *s);
    ggml_backend_t b = xcalloc(1, sizeof *b);
    *b = (struct ggml_backend){.guid = &guid, .iface = iface, .device = d, .context = s};
    set_threads(b, 1);
    return b;
}

/* ---- memory: the CPU's, by another name ---- */

/* The engine puts weights where the first device that can multiply them has its buffers: so those of experts stay as they
 * are in the file, which is mapped, where the CPU device would have them rearranged in a copy. */
static const char *buffer_name(ggml_backend_buffer_type_t t)
{
    (void)t;
    return EXPERT_BACKEND;
}

static ggml_backend_buffer_t buffer_new(ggml_backend_buffer_type_t t, size_t n)
{
    (void)t;
    return ggml_backend_buft_alloc_buffer(ggml_backend_cpu_buffer_type(), n);
}

static size_t buffer_alignment(ggml_backend_buffer_type_t t)
{
    (void)t;
    return ggml_backend_buft_get_alignment(ggml_backend_cpu_buffer_type());
}

static bool buffer_is_host(ggml_backend_buffer_type_t t)
{
    (void)t;
    return true;
}

static ggml_backend_buffer_type_t device_buffers(ggml_backend_dev_t d)
{
    static struct ggml_backend_buffer_type t = {.iface = {.get_name = buffer_name,
                                                          .alloc_buffer = buffer_new,
                                                          .get_alignment = buffer_alignment,
                                                          .is_host = buffer_is_host}};
    t.device = d;
    return &t;
}

static ggml_backend_buffer_t device_from_host(ggml_backend_dev_t d, void *p, size_t n, size_t most)
{
    (void)d, (void)most;
    return ggml_backend_cpu_buffer_from_ptr(p, n);
}

/* A product of weights with n rows, all experts together. */
static bool can_multiply(const struct ggml_tensor *t, int64_t n)
{
    const struct ggml_tensor *w = t->src[0], *x = t->src[1];
    return x->type == GGML_TYPE_F32 && x->nb[0] == sizeof(float) && t->nb[0] == sizeof(float) &&
           w->nb[0] == ggml_type_size(w->type) && w->ne[3] == 1 && x->ne[3] == 1 &&
           n >= ROWS_EACH * w->ne[2] && dots_for(w->type, (size_t)w->ne[1]);
}

static bool device_can(ggml_backend_dev_t d, const struct ggml_tensor *t)
{
    (void)d;
    switch (t->op) {
    case GGML_OP_NONE:
    case GGML_OP_RESHAPE:
    case GGML_OP_VIEW:
    case GGML_OP_PERMUTE:
    case GGML_OP_TRANSPOSE: return true;
    case GGML_OP_MUL_MAT_ID: return can_multiply(t, t->src[2]->ne[0] * t->src[2]->ne[1]);
    case GGML_OP_MUL_MAT:
        return (ggml_is_quantized(t->src[0]->type) || panels_here()) && t->src[0]->ne[2] == 1 &&
               t->src[1]->ne[2] == 1 && can_multiply(t, t->src[1]->ne[1]);
    case GGML_OP_FLASH_ATTN_EXT: return attention_can(t);
    default: return rows_can(t);
    }
}

static bool device_buffers_ok(ggml_backend_dev_t d, ggml_backend_buffer_type_t t)
{
    (void)d;
    return ggml_backend_buft_is_host(t);
}

/* ---- the registry ---- */

static const char *reg_name(ggml_backend_reg_t r)
{
    (void)r;
    return EXPERT_BACKEND;
}

static size_t reg_count(ggml_backend_reg_t r)
{
    (void)r;
    return 1;
}

static ggml_backend_dev_t reg_device(ggml_backend_reg_t r, size_t i)
{
    static struct ggml_backend_device d = {
        .iface = {.get_name = device_name,
                  .get_description = device_description,
                  .get_memory = device_memory,
                  .get_type = device_type,
                  .get_props = device_props,
                  .init_backend = device_open,
                  .get_buffer_type = device_buffers,
                  .buffer_from_host_ptr = device_from_host,
                  .supports_op = device_can,
                  .supports_buft = device_buffers_ok},
    };
    (void)i;
    d.reg = r;
    return &d;
}

static void *reg_address(ggml_backend_reg_t r, const char *what)
{
    (void)r;
    return strcmp(what, "ggml_backend_set_n_threads") ? NULL : (void *)(uintptr_t)set_threads;
}

/* With a GPU the engine copies the experts of a large batch there, which it does of weights of its CPU device alone. */
static bool has_gpu(void)
{
    return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_GPU) ||
           ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_IGPU);
}

void expert_backend_register(void)
{
    static struct ggml_backend_reg r = {
        .api_version = GGML_BACKEND_API_VERSION,
        .iface = {.get_name = reg_name,
                  .get_device_count = reg_count,
                  .get_device = reg_device,
                  .get_proc_address = reg_address},
    };
    if (!has_gpu() && !getenv("REAP_BENCH_ENGINE_PRODUCTS"))
        ggml_backend_register(&r);
}

#endif
