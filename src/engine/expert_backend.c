/* expert_backend.c - see expert_backend.h. What a device is made of stands in ggml-backend-impl.h (llama.cpp v0.5.0),
 * which is not installed: there is one where the engine was built from the sources at hand (cmake/engine.cmake). */
#include "engine/expert_backend.h"

#ifndef REAP_EXPERT_BACKEND

void expert_backend_register(void)
{
}

#else

#include "base/mem.h"
#include "engine/dots.h"

#include <ggml-backend-impl.h>
#include <ggml-cpu.h>
#include <omp.h>
#include <stdatomic.h>
#include <string.h>

#define BLOCK 32 /* rows of weights that are decoded and multiplied at once; a multiple of DOTS_COLS */
#define ROWS_EACH \
    4 /* tokens of an expert, on the average, from which on this is faster than the engine's own way */

struct state {
    int n_threads;
    dots_fn *dots;
    float **scratch; /* [n_threads] BLOCK rows of weights */
    size_t *room;
    /* [ids] of the node that is computed: pairs of token and place, by expert */
    const float **x;
    float **y;
    uint32_t *first; /* [experts + 1] */
    size_t cap, cap_experts;
};

/* ---- the product ---- */

static const char *name(ggml_backend_t b)
{
    (void)b;
    return EXPERT_BACKEND;
}

/* Sorts the rows of x and of the result by expert. */
static void sort_rows(struct state *s, const struct ggml_tensor *t)
{
    const struct ggml_tensor *w = t->src[0], *x = t->src[1], *ids = t->src[2];
    size_t n_e = (size_t)w->ne[2], n = (size_t)(ids->ne[0] * ids->ne[1]);
    if (n > s->cap) {
        s->x = xrealloc(s->x, n, sizeof *s->x);
        s->y = xrealloc(s->y, n, sizeof *s->y);
        s->cap = n;
    }
    if (n_e + 2 > s->cap_experts) {
        s->first = xrealloc(s->first, n_e + 2, sizeof *s->first);
        s->cap_experts = n_e + 2;
    }
    memset(s->first, 0, (n_e + 2) * sizeof *s->first);
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
                s->x[at] = (const float *)((const char *)x->data + (size_t)(k % x->ne[1]) * x->nb[1] +
                                           (size_t)i * x->nb[2]);
                s->y[at] = (float *)((char *)t->data + (size_t)k * t->nb[1] + (size_t)i * t->nb[2]);
            }
        for (size_t e = 0; !pass && e < n_e; e++)
            s->first[e + 2] += s->first[e + 1];
    }
}

static void block(const struct state *s, const struct ggml_tensor *w, size_t e, size_t row, float *scratch)
{
    size_t k = (size_t)w->ne[0], n = (size_t)w->ne[1] - row < BLOCK ? (size_t)w->ne[1] - row : BLOCK;
    const struct ggml_type_traits *type = ggml_get_type_traits(w->type);
    const float *rows[BLOCK];
    for (size_t i = 0; i < n; i++) {
        const char *from = (const char *)w->data + e * w->nb[2] + (row + i) * w->nb[1];
        rows[i] = (const float *)from;
        if (w->type == GGML_TYPE_F32)
            continue;
        type->to_float(from, scratch + i * k, (int64_t)k);
        rows[i] = scratch + i * k;
    }
    uint32_t first = s->first[e];
    s->dots(rows, n, s->x + first, s->first[e + 1] - first, k, s->y + first, row);
}

static void multiply(struct state *s, const struct ggml_tensor *t)
{
    const struct ggml_tensor *w = t->src[0];
    size_t blocks = ((size_t)w->ne[1] + BLOCK - 1) / BLOCK, n = blocks * (size_t)w->ne[2],
           k = (size_t)w->ne[0];
    atomic_size_t next = 0;
    sort_rows(s, t);
#pragma omp parallel num_threads(s->n_threads)
    {
        int me = omp_get_thread_num();
        if (s->room[me] < k * BLOCK && w->type != GGML_TYPE_F32) {
            s->scratch[me] = xrealloc(s->scratch[me], k * BLOCK, sizeof(float));
            s->room[me] = k * BLOCK;
        }
        for (size_t i; (i = atomic_fetch_add(&next, 1)) < n;)
            if (s->first[i / blocks] < s->first[i / blocks + 1])
                block(s, w, i / blocks, i % blocks * BLOCK, s->scratch[me]);
    }
}

static enum ggml_status compute(ggml_backend_t b, struct ggml_cgraph *graph)
{
    for (int i = 0; i < ggml_graph_n_nodes(graph); i++) {
        struct ggml_tensor *t = ggml_graph_node(graph, i);
        if (t->op == GGML_OP_MUL_MAT_ID && (t->flags & GGML_TENSOR_FLAG_COMPUTE))
            multiply(b->context, t);
    }
    return GGML_STATUS_SUCCESS;
}

static void set_threads(ggml_backend_t b, int n)
{
    struct state *s = b->context;
    if (n > s->n_threads) {
        s->scratch = xrealloc(s->scratch, (size_t)n, sizeof *s->scratch);
        s->room = xrealloc(s->room, (size_t)n, sizeof *s->room);
        for (int i = s->n_threads; i < n; i++) {
            s->scratch[i] = NULL;
            s->room[i] = 0;
        }
    }
    for (int i = n; i < s->n_threads; i++)
        free(s->scratch[i]);
    s->n_threads = n;
}

static void release(ggml_backend_t b)
{
    struct state *s = b->context;
    set_threads(b, 0);
    free(s->scratch);
    free(s->room);
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
    s->dots = dots_best();
    ggml_backend_t b = xcalloc(1, sizeof *b);
    *b = (struct ggml_backend){.guid = &guid, .iface = iface, .device = d, .context = s};
    set_threads(b, 1);
    return b;
}

static ggml_backend_buffer_type_t device_buffers(ggml_backend_dev_t d)
{
    (void)d;
    return ggml_backend_cpu_buffer_type();
}

static ggml_backend_buffer_t device_from_host(ggml_backend_dev_t d, void *p, size_t n, size_t most)
{
    (void)d, (void)most;
    return ggml_backend_cpu_buffer_from_ptr(p, n);
}

/* Of other types the engine has products of matrices of its own, in integers. */
static bool is_float(enum ggml_type t)
{
    return t == GGML_TYPE_F32 || t == GGML_TYPE_BF16 || t == GGML_TYPE_F16;
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
    case GGML_OP_MUL_MAT_ID: break;
    default: return false;
    }
    const struct ggml_tensor *w = t->src[0], *x = t->src[1], *ids = t->src[2];
    return x->type == GGML_TYPE_F32 && x->nb[0] == sizeof(float) && t->nb[0] == sizeof(float) &&
           w->ne[3] == 1 && x->ne[3] == 1 && w->ne[1] % DOTS_COLS == 0 &&
           ids->ne[0] * ids->ne[1] >= ROWS_EACH * w->ne[2] && is_float(w->type);
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
    if (!has_gpu())
        ggml_backend_register(&r);
}

#endif
