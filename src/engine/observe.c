/* observe.c - see observe.h.
 *
 * The engine calls back for every node of its compute graph: first ask = true ("do you want it?"), then, for
 * wanted nodes, ask = false once it is computed. We want one node per layer: f, the output of the experts
 * [H, K, T]. When it arrives, the ids (an input of the product that made it) and the gate weights (consumed
 * behind it) still lie untouched in their buffers, so both are read then. In graphs where the weights are
 * consumed before f (Llama-4), they are wanted as well and copied at their own time.
 *
 *   f    the last of ffn_moe_down, ffn_moe_down_scaled, ffn_moe_down_biased of a layer
 *        (names carry "-<layer>")
 *   g    the last ffn_moe_weights* before it, except the intermediate ..._sum...; "(reshaped)" views of it
 *        are the same memory
 *   ids  src[2] of the MUL_MAT_ID or ADD_ID behind f; a strided view: row t starts at t * nb[1]
 *
 * Which node is the last cannot be known when it is asked, so a first decode only notes names (tap.h). */
#include "engine/observe.h"
#include "base/limits.h"
#include "base/mem.h"
#include "engine/tap.h"

#include <ggml-alloc.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_DEVICES 32

struct layer {
    char f_name[GGML_MAX_NAME], w_name[GGML_MAX_NAME]; /* "" : no experts in this block */
    bool copy_w;                 /* the weights do not live until f: copy them at their own time */
    const struct ggml_tensor *w; /* of the graph that runs now */
    struct tap_room w_copy;
    size_t n_w;    /* floats in w_copy */
    uint32_t seen; /* tokens in this decode */
};

/* A device that computes norms where the tensor is. */
struct device {
    ggml_backend_dev_t dev;
    ggml_backend_t backend;
    ggml_gallocr_t alloc;
    bool pools; /* it can find the largest component, too */
};

struct observer {
    engine_observer *fn;
    void *ud;
    bool c_is_f, stop, device_norms;
    int n_threads;
    bool learning, stopped, failed;
    bool state_behind;         /* learning: memory is written behind the last f */
    int32_t first_il, last_il; /* the first and the last layer with experts */
    int32_t open_il;           /* learning: the layer whose f was seen last */
    struct layer layers[LIMIT_ENGINE_LAYERS];
    struct device devices[MAX_DEVICES];
    uint32_t n_devices;
    struct tap_room rows; /* struct routed */
    struct tap_room host; /* f, norms, weights when they are not in host memory */
    struct tap_room ids;
    struct err err;
};

struct observer *observer_new(const struct engine_run *r, bool device_norms, int n_threads)
{
    struct observer *o = xcalloc(1, sizeof *o);
    o->fn = r->observe;
    o->ud = r->ud;
    o->c_is_f = r->c_is_f;
    o->stop = !r->want_logits;
    o->device_norms = device_norms;
    o->n_threads = n_threads;
    o->first_il = o->last_il = -1;
    return o;
}

void observer_free(struct observer *o)
{
    if (!o)
        return;
    for (uint32_t i = 0; i < o->n_devices; i++) {
        ggml_gallocr_free(o->devices[i].alloc);
        ggml_backend_free(o->devices[i].backend);
    }
    for (int i = 0; i < LIMIT_ENGINE_LAYERS; i++)
        free(o->layers[i].w_copy.p);
    free(o->rows.p);
    free(o->host.p);
    free(o->ids.p);
    free(o);
}

/* ---- names ---- */

static bool is_f(const struct tap_name *x)
{
    return tap_is(x, "ffn_moe_down") || tap_is(x, "ffn_moe_down_scaled") || tap_is(x, "ffn_moe_down_biased");
}

static bool is_w(const struct tap_name *x)
{
    static const char weights[] = "ffn_moe_weights", sum[] = "ffn_moe_weights_sum";
    return x->n >= sizeof weights - 1 && !strncmp(x->base, weights, sizeof weights - 1) &&
           strncmp(x->base, sum, sizeof sum - 1) != 0;
}

/* ---- learning ---- */

static const struct ggml_tensor *root(const struct ggml_tensor *t)
{
    return t->view_src ? t->view_src : t;
}

/* Operations that write a sequence's memory: a graph must not be left before them. */
static bool writes_memory(enum ggml_op op)
{
    switch ((int)op) {
    case GGML_OP_SET_ROWS:
    case GGML_OP_CPY:
    case GGML_OP_SSM_CONV:
    case GGML_OP_SSM_SCAN:
    case GGML_OP_RWKV_WKV6:
    case GGML_OP_RWKV_WKV7:
    case GGML_OP_GATED_LINEAR_ATTN:
    case GGML_OP_FLASH_ATTN_EXT: return true;
    default: return false;
    }
}

static void learn(struct observer *o, const struct ggml_tensor *t)
{
    struct tap_name x;
    if (writes_memory(t->op))
        o->state_behind = true;
    if (o->open_il >= 0 && o->layers[o->open_il].w)
        for (int i = 0; i < GGML_MAX_SRC && t->src[i]; i++)
            if (root(t->src[i]) == root(o->layers[o->open_il].w))
                o->layers[o->open_il].copy_w = false;
    if (!tap_name(t, &x))
        return;
    struct layer *l = &o->layers[x.il];
    if (is_w(&x) && !l->f_name[0]) {
        snprintf(l->w_name, sizeof l->w_name, "%s", t->name);
        l->w = t;
    } else if (is_f(&x) && !x.reshaped && t->op != GGML_OP_VIEW) {
        snprintf(l->f_name, sizeof l->f_name, "%s", t->name);
        l->copy_w = true; /* until a consumer of the weights is seen behind this node */
        o->open_il = x.il;
        o->last_il = x.il;
        if (o->first_il < 0)
            o->first_il = x.il;
        o->state_behind = false;
    }
}

void observer_learn_begin(struct observer *o)
{
    o->learning = true;
    o->open_il = o->first_il = o->last_il = -1;
    o->state_behind = false;
}

bool observer_learn_end(struct observer *o, struct err *e)
{
    o->learning = false;
    uint32_t n = 0;
    for (int il = 0; il < LIMIT_ENGINE_LAYERS; il++) {
        struct layer *l = &o->layers[il];
        l->w = NULL;
        if (!l->f_name[0])
            continue;
        if (!l->w_name[0])
            return err_set(
                e, ERR_FAILED,
                "layer %d: the engine computes experts without gate weights that could be observed", il);
        n++;
    }
    if (!n)
        return err_set(e, ERR_FAILED,
                       "the engine's graph of this model has no experts that could be observed");
    o->stop = o->stop && !o->state_behind;
    return true;
}

/* ---- reading tensors ---- */

static const struct ggml_tensor *ids_of(const struct ggml_tensor *f)
{
    for (int depth = 0; f && depth < 16; depth++, f = f->src[0])
        if (f->op == GGML_OP_MUL_MAT_ID || f->op == GGML_OP_ADD_ID)
            return f->src[2];
    return NULL;
}

/* Wider vectors where the CPU has them (chosen when the program starts). Not in instrumented builds, whose
 * runtime starts too late. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif

/* ||x||2 and max |x| of n floats: 16 lanes, added up in a fixed order, so that the result does not depend on
 * the machine's vector width (the build forbids to contract a product and a sum into one rounding, which
 * would). */
WIDE static void row_norm(const float *x, size_t n, float *norm, float *max)
{
    float s[16] = {0}, m[16] = {0};
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int j = 0; j < 16; j++) {
            float v = x[i + (size_t)j], a = fabsf(v);
            s[j] += v * v;
            m[j] = a > m[j] ? a : m[j];
        }
    float sum = 0, top = 0;
    for (; i < n; i++) {
        sum += x[i] * x[i];
        top = fabsf(x[i]) > top ? fabsf(x[i]) : top;
    }
    for (int w = 8; w; w /= 2)
        for (int j = 0; j < w; j++) {
            s[j] += s[j + w];
            m[j] = m[j + w] > m[j] ? m[j + w] : m[j];
        }
    *norm = sqrtf(sum + s[0]);
    *max = m[0] > top ? m[0] : top;
}

/* The engine's threads wait meanwhile; where they are OpenMP's they do a share of it. Rows are independent:
 * the result is the same. */
static void host_norms(const float *x, size_t h, size_t rows, struct routed *out, int n_threads)
{
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(n_threads) if (rows > 64)
#else
    (void)n_threads;
#endif
    for (size_t r = 0; r < rows; r++)
        row_norm(x + r * h, h, &out[r].f_norm, &out[r].f_max);
}

/* ---- norms on the device ---- */

static struct device *device_for(struct observer *o, const struct ggml_tensor *t)
{
    ggml_backend_dev_t dev = ggml_backend_buft_get_device(ggml_backend_buffer_get_type(tap_buffer(t)));
    if (!dev) /* the plain CPU buffer belongs to no device */
        dev = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    for (uint32_t i = 0; i < o->n_devices; i++)
        if (o->devices[i].dev == dev)
            return &o->devices[i];
    if (!dev || o->n_devices == MAX_DEVICES)
        return NULL;
    ggml_backend_t b = ggml_backend_dev_init(dev, NULL);
    if (!b)
        return NULL;
    struct device *d = &o->devices[o->n_devices++];
    *d = (struct device){
        .dev = dev, .backend = b, .alloc = ggml_gallocr_new(ggml_backend_get_default_buffer_type(b))};
    return d;
}

/* Builds sum of squares and (where the device can) the largest |component| of each row of f, in a graph of
 * our own: a leaf bound to f's memory, never f itself, whose sources would pull in the model's graph. out: R
 * sums, then R maxima. */
static bool norms_on_device(struct observer *o, const struct ggml_tensor *f, int64_t rows, float *out,
                            bool *have_max)
{
    struct device *d = device_for(o, f);
    if (!d)
        return false;
    struct ggml_init_params ip = {ggml_tensor_overhead() * 16 + ggml_graph_overhead(), NULL, true};
    struct ggml_context *c = ggml_init(ip);
    if (!c)
        return false;
    struct ggml_tensor *leaf = ggml_new_tensor_2d(c, GGML_TYPE_F32, f->ne[0], rows);
    bool ok = ggml_backend_tensor_alloc(tap_buffer(f), leaf, f->data) == GGML_STATUS_SUCCESS;
    struct ggml_tensor *sum = ggml_sum_rows(c, ggml_sqr(c, leaf));
    struct ggml_tensor *max =
        ggml_pool_1d(c, ggml_abs(c, leaf), GGML_OP_POOL_MAX, (int)f->ne[0], (int)f->ne[0], 0);
    *have_max =
        ggml_backend_dev_supports_op(d->dev, max) && ggml_backend_dev_supports_op(d->dev, max->src[0]);
    struct ggml_cgraph *g = ggml_new_graph(c);
    ggml_set_output(sum);
    ggml_build_forward_expand(g, sum);
    if (*have_max) {
        ggml_set_output(max);
        ggml_build_forward_expand(g, max);
    }
    ok = ok && ggml_gallocr_alloc_graph(d->alloc, g) &&
         ggml_backend_graph_compute(d->backend, g) == GGML_STATUS_SUCCESS;
    if (ok) {
        size_t bytes = (size_t)rows * sizeof(float);
        ggml_backend_tensor_get(sum, out, 0, bytes);
        if (*have_max)
            ggml_backend_tensor_get(max, out + rows, 0, bytes);
        for (int64_t r = 0; r < rows; r++)
            out[r] = sqrtf(out[r]);
    }
    ggml_free(c);
    return ok;
}

/* f_norm and f_max of all rows. */
static void fill_norms(struct observer *o, const struct ggml_tensor *f, struct routed *out, size_t rows)
{
    size_t h = (size_t)f->ne[0];
    bool have_max = false;
    if (!tap_on_host(f) || o->device_norms) {
        float *norms = tap_room(&o->host, 2 * rows, sizeof *norms);
        if (norms_on_device(o, f, (int64_t)rows, norms, &have_max) && have_max) {
            for (size_t r = 0; r < rows; r++) {
                out[r].f_norm = norms[r];
                out[r].f_max = norms[rows + r];
            }
            return;
        }
    }
    host_norms(tap_bytes(f, &o->host), h, rows, out, o->n_threads); /* a device that cannot do it: fetched */
}

/* ---- observing ---- */

static bool fill_ids(struct observer *o, const struct ggml_tensor *ids, struct routed *out, uint32_t k,
                     uint32_t n_tok)
{
    if (!ids || ids->type != GGML_TYPE_I32 || ids->ne[0] != (int64_t)k || ids->ne[1] != (int64_t)n_tok ||
        ids->nb[0] != 4)
        return false;
    const uint8_t *p = tap_bytes(ids, &o->ids);
    for (uint32_t t = 0; t < n_tok; t++)
        for (uint32_t a = 0; a < k; a++) /* strided: row t starts at nb[1] */
            memcpy(&out[(size_t)t * k + a].expert, p + t * ids->nb[1] + 4 * (size_t)a, 4);
    return true;
}

static bool copy_weights(struct layer *l, const struct ggml_tensor *w)
{
    if (w->type != GGML_TYPE_F32 || !ggml_is_contiguous(w))
        return false;
    l->n_w = (size_t)ggml_nelements(w);
    float *to = tap_room(&l->w_copy, l->n_w, sizeof *to);
    if (tap_on_host(w))
        memcpy(to, w->data, l->n_w * sizeof *to);
    else
        ggml_backend_tensor_get(w, to, 0, l->n_w * sizeof *to);
    return true;
}

static bool observe(struct observer *o, struct layer *l, int il, const struct ggml_tensor *f)
{
    uint32_t k = (uint32_t)f->ne[1], n_tok = (uint32_t)f->ne[2];
    size_t rows = (size_t)k * n_tok;
    if (f->type != GGML_TYPE_F32 || !ggml_is_contiguous(f))
        return err_set(&o->err, ERR_FAILED, "layer %d: the expert output is not a contiguous float32 tensor",
                       il);
    struct routed *out = tap_room(&o->rows, rows, sizeof *out);
    if (!fill_ids(o, ids_of(f), out, k, n_tok))
        return err_set(&o->err, ERR_FAILED, "layer %d: cannot find which experts the router chose", il);
    if (!l->copy_w && (!l->w || !copy_weights(l, l->w)))
        return err_set(&o->err, ERR_FAILED, "layer %d: cannot read the gate weights", il);
    if (l->n_w != rows)
        return err_set(&o->err, ERR_FAILED, "layer %d: %zu gate weights for %zu expert outputs", il, l->n_w,
                       rows);
    fill_norms(o, f, out, rows);
    const float *gate = l->w_copy.p;
    for (size_t r = 0; r < rows; r++) {
        out[r].gate = gate[r];
        out[r].c_norm = o->c_is_f ? out[r].f_norm : fabsf(gate[r]) * out[r].f_norm;
    }
    l->seen += n_tok;
    return o->fn(o->ud, (uint32_t)il, n_tok, k, out, &o->err);
}

static bool on_ask(struct observer *o, struct ggml_tensor *t)
{
    struct tap_name x;
    if (!tap_name(t, &x) || o->failed)
        return false;
    if (x.il == o->first_il) /* a next graph: one decode may take several */
        o->stopped = false;
    if (o->stopped)
        return false;
    struct layer *l = &o->layers[x.il];
    if (!strcmp(t->name, l->w_name)) {
        l->w = t;
        return l->copy_w;
    }
    return !strcmp(t->name, l->f_name) && t->op != GGML_OP_VIEW;
}

bool observer_callback(struct ggml_tensor *t, bool ask, void *ud)
{
    struct observer *o = ud;
    struct tap_name x;
    if (ask) {
        if (o->learning)
            learn(o, t);
        return !o->learning && on_ask(o, t);
    }
    if (o->learning || o->stopped || o->failed || !tap_name(t, &x))
        return true;
    struct layer *l = &o->layers[x.il];
    if (!strcmp(t->name, l->w_name)) {
        o->failed = !copy_weights(l, t) &&
                    !err_set(&o->err, ERR_FAILED, "layer %d: cannot read the gate weights", x.il);
        return !o->failed;
    }
    if (!observe(o, l, x.il, t))
        o->failed = true;
    /* false ends this part of the graph: what follows the last experts is the output matrix, which nobody
     * needs */
    o->stopped = o->stop && x.il == o->last_il;
    return !o->failed && !o->stopped;
}

void observer_begin(struct observer *o)
{
    o->failed = o->stopped = false;
    err_clear(&o->err);
    for (int i = 0; i < LIMIT_ENGINE_LAYERS; i++)
        o->layers[i].seen = 0;
}

bool observer_end(struct observer *o, uint32_t n_tokens, struct err *e)
{
    if (o->failed)
        return err_set(e, o->err.code ? o->err.code : ERR_FAILED, "%s", o->err.msg);
    for (int il = 0; il < LIMIT_ENGINE_LAYERS; il++)
        if (o->layers[il].f_name[0] && o->layers[il].seen != n_tokens)
            return err_set(e, ERR_FAILED, "layer %d saw %u of %u tokens: the engine left some out", il,
                           o->layers[il].seen, n_tokens);
    return true;
}
