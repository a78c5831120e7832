/* norms.c - see norms.h. */
#include "engine/norms.h"
#include "base/mem.h"
#include "engine/tap.h"
#include "engine/threads.h"

#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <math.h>
#include <string.h>

#define MAX_DEVICES 32

/* A device that computes norms where the tensor is. */
struct device {
    ggml_backend_dev_t dev;
    ggml_backend_t backend;
    ggml_gallocr_t alloc;
};

struct norms {
    bool on_device;
    int n_threads;
    struct device devices[MAX_DEVICES];
    uint32_t n_devices;
    struct tap_room host;   /* f when it is not in host memory */
    struct tap_room device; /* what a device gave, and what it is given */
    struct tap_room loo;    /* of the threads */
};

struct norms *norms_new(bool on_device, int n_threads)
{
    struct norms *n = xcalloc(1, sizeof *n);
    n->on_device = on_device;
    n->n_threads = n_threads;
    return n;
}

void norms_free(struct norms *n)
{
    if (!n)
        return;
    for (uint32_t i = 0; i < n->n_devices; i++) {
        ggml_gallocr_free(n->devices[i].alloc);
        ggml_backend_free(n->devices[i].backend);
    }
    free(n->host.p);
    free(n->device.p);
    free(n->loo.p);
    free(n);
}

/* ---- in host memory ---- */

/* Wider vectors where the CPU has them (chosen when the program starts). Not in instrumented builds, whose
 * runtime starts too late. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif

#define LANES 16 /* sums are added up in so many, whatever the machine's vectors */

/* ||x||2 and max |x| of n floats: 16 lanes, added up in a fixed order, so that the result does not depend on
 * the machine's vector width (the build forbids to contract a product and a sum into one rounding, which
 * would). */
WIDE static void row_norm(const float *x, size_t n, float *norm, float *max)
{
    float s[LANES] = {0}, m[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) {
            float v = x[i + (size_t)j], a = fabsf(v);
            s[j] += v * v;
            m[j] = a > m[j] ? a : m[j];
        }
    float sum = 0, top = 0;
    for (; i < n; i++) {
        sum += x[i] * x[i];
        top = fabsf(x[i]) > top ? fabsf(x[i]) : top;
    }
    for (int w = LANES / 2; w; w /= 2)
        for (int j = 0; j < w; j++) {
            s[j] += s[j + w];
            m[j] = m[j + w] > m[j] ? m[j + w] : m[j];
        }
    *norm = sqrtf(sum + s[0]);
    *max = m[0] > top ? m[0] : top;
}

/* The weights of the others add up to less than this: none of them has any, so what is left without the expert
 * is nothing. */
#define NO_WEIGHT 1e-30

/* one_by[i]: one over the sum of all weights but the i-th; 0: that sum is as good as nothing. Added up from both
 * ends, because a difference would lose it where one weight is nearly all. */
static void one_by_others(const struct routed *r, uint32_t k, float *one_by)
{
    double before = 0;
    for (uint32_t i = 0; i < k; i++) {
        double others = before;
        for (uint32_t j = k; --j > i;)
            others += (double)r[j].gate;
        one_by[i] = fabs(others) < NO_WEIGHT ? 0 : (float)(1 / others);
        before += (double)r[i].gate;
    }
}

/* Columns that are worked on at a time, so that k rows of them stay in the cache nearest to the processor. */
#define BLOCK 64

/* What a thread needs for a token of k experts, in floats: partial sums, sums from behind, a last block that is
 * not full, the factors. */
static size_t loo_room(uint32_t k)
{
    return (size_t)k * (LANES + BLOCK + BLOCK + 1) + BLOCK;
}

/* Adds to lanes[k][LANES] the squares of f_i - m_i in BLOCK columns, m_i = (sum over j != i of g_j f_j) one_by[i]:
 * the sum of the rows before i and of those behind it. x: k rows, `step` floats apart. */
static inline __attribute__((always_inline)) void loo_block(const float *x, size_t step, uint32_t k,
                                                            const struct routed *r, const float *one_by,
                                                            float *lanes, float *behind)
{
    float before[BLOCK] = {0};
    for (uint32_t i = k; i-- > 1;) { /* behind[i]: of the rows from i */
        const float *f = x + i * step, *from = behind + (size_t)(i + 1) * BLOCK, g = r[i].gate;
        float *to = behind + (size_t)i * BLOCK;
        for (int c = 0; c < BLOCK; c++)
            to[c] = from[c] + g * f[c];
    }
    for (uint32_t i = 0; i < k; i++) {
        const float *f = x + i * step, *rest = behind + (size_t)(i + 1) * BLOCK, g = r[i].gate, u = one_by[i];
        float s[LANES], *sum = lanes + (size_t)i * LANES;
        for (int j = 0; j < LANES; j++)
            s[j] = sum[j];
        for (int c = 0; c < BLOCK; c += LANES)
            for (int j = 0; j < LANES; j++) {
                float d = f[c + j] - (before[c + j] + rest[c + j]) * u;
                s[j] += d * d;
                before[c + j] += g * f[c + j];
            }
        for (int j = 0; j < LANES; j++)
            sum[j] = s[j];
    }
}

/* loo of the k rows of a token, x[k][h]. */
WIDE static void token_loo(const float *x, size_t h, uint32_t k, struct routed *r, float *room)
{
    float *lanes = room, *behind = lanes + (size_t)k * LANES, *last = behind + ((size_t)k + 1) * BLOCK,
          *one_by = last + (size_t)k * BLOCK;
    size_t c = 0, left;
    one_by_others(r, k, one_by);
    memset(lanes, 0, k * LANES * sizeof *lanes);
    memset(behind + (size_t)k * BLOCK, 0, BLOCK * sizeof *behind);
    for (; c + BLOCK <= h; c += BLOCK)
        loo_block(x + c, h, k, r, one_by, lanes, behind);
    if ((left = h - c)) { /* filled up with zeros, which add nothing */
        memset(last, 0, (size_t)k * BLOCK * sizeof *last);
        for (uint32_t i = 0; i < k; i++)
            memcpy(last + (size_t)i * BLOCK, x + i * h + c, left * sizeof *last);
        loo_block(last, BLOCK, k, r, one_by, lanes, behind);
    }
    for (uint32_t i = 0; i < k; i++) {
        float *s = lanes + (size_t)i * LANES;
        for (int w = LANES / 2; w; w /= 2)
            for (int j = 0; j < w; j++)
                s[j] += s[j + w];
        r[i].loo = fabsf(r[i].gate) * sqrtf(s[0]);
    }
}

/* The engine's threads wait meanwhile; where they are OpenMP's they do a share of it. Tokens are independent:
 * the result is the same. */
static void host_norms(struct norms *n, const float *x, size_t h, uint32_t k, size_t n_tok,
                       struct routed *out, bool loo)
{
    int threads = n->n_threads > 1 ? n->n_threads : 1;
    size_t each = loo ? loo_room(k) : 0;
    float *room = tap_room(&n->loo, each * (size_t)threads + 1, sizeof *room);
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(threads) if (n_tok * k > 64)
#endif
    for (size_t t = 0; t < n_tok; t++) {
        const float *token = x + t * k * h;
        struct routed *r = out + t * k;
        for (uint32_t a = 0; a < k; a++)
            row_norm(token + a * h, h, &r[a].f_norm, &r[a].f_max);
        if (loo) /* its rows are in the cache now */
            token_loo(token, h, k, r, room + THREAD * each);
    }
}

/* ---- on a device ---- */

static struct device *device_for(struct norms *n, const struct ggml_tensor *t)
{
    ggml_backend_dev_t dev = ggml_backend_buft_get_device(ggml_backend_buffer_get_type(tap_buffer(t)));
    if (!dev) /* the plain CPU buffer belongs to no device */
        dev = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    for (uint32_t i = 0; i < n->n_devices; i++)
        if (n->devices[i].dev == dev)
            return &n->devices[i];
    if (!dev || n->n_devices == MAX_DEVICES)
        return NULL;
    ggml_backend_t b = ggml_backend_dev_init(dev, NULL);
    if (!b)
        return NULL;
    struct device *d = &n->devices[n->n_devices++];
    *d = (struct device){
        .dev = dev, .backend = b, .alloc = ggml_gallocr_new(ggml_backend_get_default_buffer_type(b))};
    return d;
}

/* Three results for each of the R rows of f, in a graph of our own: a leaf bound to f's memory, never f itself,
 * whose sources would pull in the model's graph. */
struct graph {
    struct ggml_context *c;
    struct ggml_cgraph *g;
    struct ggml_tensor *f;   /* [H, K, T] */
    struct ggml_tensor *w;   /* [1, K, T]: the weights, as shares of their sum; NULL: nobody asks for loo */
    struct ggml_tensor *sum; /* of squares */
    struct ggml_tensor *max; /* the largest |component| */
    struct ggml_tensor *far; /* sum of squares of f - c, c the sum of w f of the token; or NULL */
};

static struct ggml_tensor *squares(struct ggml_context *c, struct ggml_tensor *x)
{
    return ggml_sum_rows(c, ggml_sqr(c, x));
}

static void add_far(struct graph *x)
{
    struct ggml_context *c = x->c;
    const struct ggml_tensor *f = x->f;
    x->w = ggml_new_tensor_3d(c, GGML_TYPE_F32, 1, f->ne[1], f->ne[2]);
    ggml_set_input(x->w);
    struct ggml_tensor *wf = ggml_mul(c, x->f, x->w), *sum = NULL;
    for (int64_t i = 0; i < f->ne[1]; i++) {
        struct ggml_tensor *one =
            ggml_view_3d(c, wf, f->ne[0], 1, f->ne[2], wf->nb[1], wf->nb[2], (size_t)i * wf->nb[1]);
        sum = sum ? ggml_add(c, sum, one) : one;
    }
    x->far = squares(c, ggml_sub(c, x->f, sum));
}

static bool can(const struct device *d, const struct ggml_cgraph *g)
{
    for (int i = 0; i < ggml_graph_n_nodes((struct ggml_cgraph *)(uintptr_t)g); i++)
        if (!ggml_backend_dev_supports_op(d->dev, ggml_graph_node((struct ggml_cgraph *)(uintptr_t)g, i)))
            return false;
    return true;
}

static bool build(struct graph *x, const struct device *d, const struct ggml_tensor *f, bool loo)
{
    size_t nodes = 32 + 2 * (size_t)f->ne[1];
    struct ggml_init_params ip = {ggml_tensor_overhead() * nodes + ggml_graph_overhead_custom(nodes, false),
                                  NULL, true};
    if (!(x->c = ggml_init(ip)))
        return false;
    struct ggml_context *c = x->c;
    x->f = ggml_new_tensor_3d(c, GGML_TYPE_F32, f->ne[0], f->ne[1], f->ne[2]);
    if (ggml_backend_tensor_alloc(tap_buffer(f), x->f, f->data) != GGML_STATUS_SUCCESS)
        return false;
    x->sum = squares(c, x->f);
    x->max = ggml_pool_1d(c, ggml_abs(c, x->f), GGML_OP_POOL_MAX, (int)f->ne[0], (int)f->ne[0], 0);
    if (loo)
        add_far(x);
    x->g = ggml_new_graph_custom(c, nodes, false);
    struct ggml_tensor *const out[] = {x->sum, x->max, x->far};
    for (int i = 0; i < 3 && out[i]; i++) {
        ggml_set_output(out[i]);
        ggml_build_forward_expand(x->g, out[i]);
    }
    return can(d, x->g);
}

/* w = g / sum of g of the token; *total[T]: that sum. One that is as good as nothing gives no shares. */
static void shares(const struct routed *r, uint32_t k, size_t n_tok, float *w)
{
    for (size_t t = 0; t < n_tok; t++) {
        double sum = 0;
        for (uint32_t a = 0; a < k; a++)
            sum += (double)r[t * k + a].gate;
        for (uint32_t a = 0; a < k; a++)
            w[t * k + a] = fabs(sum) < NO_WEIGHT ? 0 : (float)((double)r[t * k + a].gate / sum);
    }
}

/* |g| ||f - m|| of ||f - c||: f - m = (f - c) sum / (sum - g). */
static void loo_of_far(struct routed *r, uint32_t k, size_t n_tok, const float *far, float *one_by)
{
    for (size_t t = 0; t < n_tok; t++) {
        struct routed *x = r + t * k;
        double sum = 0;
        one_by_others(x, k, one_by);
        for (uint32_t a = 0; a < k; a++)
            sum += (double)x[a].gate;
        for (uint32_t a = 0; a < k; a++) {
            double g = fabs((double)x[a].gate), u = (double)one_by[a];
            double away = u != 0 ? sqrt((double)far[t * k + a]) * fabs(sum * u) : (double)x[a].f_norm;
            x[a].loo = (float)(g * away);
        }
    }
}

static bool device_norms(struct norms *n, const struct ggml_tensor *f, struct routed *out, bool loo)
{
    struct device *d = device_for(n, f);
    struct graph x = {0};
    uint32_t k = (uint32_t)f->ne[1];
    size_t n_tok = (size_t)f->ne[2], rows = k * n_tok, bytes = rows * sizeof(float);
    bool ok = d && build(&x, d, f, loo) && ggml_gallocr_alloc_graph(d->alloc, x.g);
    float *got = tap_room(&n->device, 3 * rows + k, sizeof *got);
    if (ok && loo) {
        shares(out, k, n_tok, got);
        ggml_backend_tensor_set(x.w, got, 0, bytes);
    }
    ok = ok && ggml_backend_graph_compute(d->backend, x.g) == GGML_STATUS_SUCCESS;
    if (ok) {
        ggml_backend_tensor_get(x.sum, got, 0, bytes);
        ggml_backend_tensor_get(x.max, got + rows, 0, bytes);
        if (loo)
            ggml_backend_tensor_get(x.far, got + 2 * rows, 0, bytes);
        for (size_t r = 0; r < rows; r++) {
            out[r].f_norm = sqrtf(got[r]);
            out[r].f_max = got[rows + r];
        }
        if (loo)
            loo_of_far(out, k, n_tok, got + 2 * rows, got + 3 * rows);
    }
    ggml_free(x.c);
    return ok;
}

void norms_fill(struct norms *n, const struct ggml_tensor *f, struct routed *out, bool loo)
{
    uint32_t k = (uint32_t)f->ne[1];
    size_t n_tok = (size_t)f->ne[2];
    if (!loo)
        for (size_t r = 0; r < k * n_tok; r++)
            out[r].loo = NAN;
    if ((!tap_on_host(f) || n->on_device) && device_norms(n, f, out, loo))
        return; /* a device that cannot do it: fetched */
    host_norms(n, tap_bytes(f, &n->host), (size_t)f->ne[0], k, n_tok, out, loo);
}
