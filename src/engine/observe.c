/* observe.c - see observe.h.
 *
 * The engine calls back for every node of its compute graph: first ask = true ("do you want it?"), then, for
 * wanted nodes, ask = false once it is computed. We want one node per layer (two, with p): f, the output of the experts
 * [H, K, T]. When it arrives, the ids (an input of the product that made it) and the gate weights (consumed
 * behind it) still lie untouched in their buffers, so both are read then. In graphs where the weights are
 * consumed before f (Llama-4), they are wanted as well and copied at their own time.
 *
 *   f    the last of ffn_moe_down, ffn_moe_down_scaled, ffn_moe_down_biased of a layer
 *        (names carry "-<layer>")
 *   g    the last ffn_moe_weights* before it, except the intermediate ..._sum...; "(reshaped)" views of it
 *        are the same memory
 *   p    ffn_moe_probs, where it is a softmax over all experts whose weights are not renormalised over the
 *        chosen ones: wanted as well, since nothing of it is left when f arrives
 *   h    h_nextn, the model's hidden state, where a further block is given it: the graph may end there instead
 *   ids  src[2] of the MUL_MAT_ID or ADD_ID behind f; a strided view: row t starts at t * nb[1]
 *
 * Which node is the last cannot be known when it is asked, so a first decode only notes names (tap.h). */
#include "engine/observe.h"
#include "base/limits.h"
#include "base/mem.h"
#include "engine/norms.h"
#include "engine/tap.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct layer {
    char f_name[GGML_MAX_NAME], w_name[GGML_MAX_NAME]; /* "" : no experts in this block */
    char p_name[GGML_MAX_NAME];  /* softmax over all experts; "": there is none, or nobody wants it */
    bool renormalises;           /* the weights of the chosen are divided by their sum */
    bool copy_w;                 /* the weights do not live until f: copy them at their own time */
    const struct ggml_tensor *w; /* of the graph that runs now */
    struct tap_room w_copy;
    size_t n_w;    /* floats in w_copy */
    uint32_t seen; /* tokens in this decode */
};

struct observer {
    engine_observer *fn;
    engine_gates *gates;
    void *ud;
    bool c_is_f, stop;
    bool to_hidden;     /* the graph is needed as far as h */
    bool seen_hidden;   /* learning: it has that node */
    enum router router; /* when it has been learned */
    bool learning, stopped, failed;
    bool state_behind;         /* learning: something is to be computed behind the last f, such as memory */
    int32_t first_il, last_il; /* the first and the last layer with experts */
    int32_t open_il;           /* learning: the layer whose f was seen last */
    struct layer layers[LIMIT_ENGINE_LAYERS];
    char (*behind)[GGML_MAX_NAME]; /* names of the nodes behind the last f, or behind h, in order */
    size_t n_behind, cap_behind, passed;
    struct norms *norms;
    struct tap_room rows;  /* struct routed */
    struct tap_room probs; /* when they are not in host memory */
    struct tap_room ids;
    struct err err;
};

struct observer *observer_new(const struct engine_run *r, bool device_norms, int n_threads)
{
    struct observer *o = xcalloc(1, sizeof *o);
    o->fn = r->observe;
    o->gates = r->gates;
    o->ud = r->ud;
    o->c_is_f = r->c_is_f;
    o->stop = !r->want_logits;
    o->to_hidden = r->mtp;
    o->norms = norms_new(device_norms, n_threads);
    o->first_il = o->last_il = -1;
    return o;
}

void observer_free(struct observer *o)
{
    if (!o)
        return;
    norms_free(o->norms);
    for (int i = 0; i < LIMIT_ENGINE_LAYERS; i++)
        free(o->layers[i].w_copy.p);
    free(o->behind);
    free(o->rows.p);
    free(o->probs.p);
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

static bool is_hidden(const struct ggml_tensor *t)
{
    return !strcmp(t->name, "h_nextn");
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

static void note_behind(struct observer *o, const struct ggml_tensor *t)
{
    GROW(o->behind, o->n_behind, o->cap_behind);
    snprintf(o->behind[o->n_behind++], sizeof *o->behind, "%s", t->name);
}

static void learn(struct observer *o, const struct ggml_tensor *t)
{
    struct tap_name x;
    note_behind(o, t);
    if (writes_memory(t->op))
        o->state_behind = true;
    if (o->to_hidden && is_hidden(t)) {
        o->seen_hidden = true;
        o->state_behind = false;
        o->n_behind = 0;
    }
    if (o->open_il >= 0 && o->layers[o->open_il].w)
        for (int i = 0; i < GGML_MAX_SRC && t->src[i]; i++)
            if (root(t->src[i]) == root(o->layers[o->open_il].w))
                o->layers[o->open_il].copy_w = false;
    if (!tap_name(t, &x))
        return;
    struct layer *l = &o->layers[x.il];
    if (tap_is(&x, "ffn_moe_probs") && !x.reshaped && t->op == GGML_OP_SOFT_MAX && !l->f_name[0])
        snprintf(l->p_name, sizeof l->p_name, "%s", t->name);
    if (is_w(&x) && !l->f_name[0]) {
        snprintf(l->w_name, sizeof l->w_name, "%s", t->name);
        l->w = t;
        l->renormalises =
            l->renormalises || tap_is(&x, "ffn_moe_weights_norm") || tap_is(&x, "ffn_moe_weights_softmax");
    } else if (is_f(&x) && !x.reshaped && t->op != GGML_OP_VIEW) {
        snprintf(l->f_name, sizeof l->f_name, "%s", t->name);
        l->copy_w = true; /* until a consumer of the weights is seen behind this node */
        o->open_il = x.il;
        o->last_il = x.il;
        if (o->first_il < 0)
            o->first_il = x.il;
        o->state_behind = false;
        o->n_behind = 0;
    }
}

void observer_needs_rest(struct observer *o)
{
    o->state_behind = true;
}

void observer_learn_begin(struct observer *o)
{
    o->learning = true;
    o->open_il = o->first_il = o->last_il = -1;
    o->state_behind = false;
    o->n_behind = 0;
}

static enum router router_of(const struct observer *o, const struct layer *l)
{
    return o->c_is_f         ? ROUTER_INPUT
           : l->renormalises ? ROUTER_RENORMALISED
           : l->p_name[0]    ? ROUTER_SOFTMAX
                             : ROUTER_UNNORMALISED;
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
        enum router r = router_of(o, l);
        o->router = !n || o->router == r ? r : ROUTER_UNKNOWN;
        n++;
    }
    for (int il = 0; il < LIMIT_ENGINE_LAYERS; il++)
        if (o->router != ROUTER_SOFTMAX || !o->gates)
            o->layers[il].p_name[0] = '\0';
    if (!n)
        return err_set(e, ERR_FAILED,
                       "the engine's graph of this model has no experts that could be observed");
    o->stop = o->stop && !o->state_behind && (!o->to_hidden || o->seen_hidden);
    return true;
}

enum router observer_router(const struct observer *o)
{
    return o->router;
}

/* ---- reading tensors ---- */

static const struct ggml_tensor *ids_of(const struct ggml_tensor *f)
{
    for (int depth = 0; f && depth < 16; depth++, f = f->src[0])
        if (f->op == GGML_OP_MUL_MAT_ID || f->op == GGML_OP_ADD_ID)
            return f->src[2];
    return NULL;
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
    const float *gate = l->w_copy.p;
    for (size_t r = 0; r < rows; r++)
        out[r].gate = gate[r];
    norms_fill(o->norms, f, out, o->router == ROUTER_RENORMALISED && k > 1);
    for (size_t r = 0; r < rows; r++)
        out[r].c_norm = o->c_is_f ? out[r].f_norm : fabsf(gate[r]) * out[r].f_norm;
    l->seen += n_tok;
    return o->fn(o->ud, (uint32_t)il, n_tok, k, out, &o->err);
}

static bool observe_gates(struct observer *o, int il, const struct ggml_tensor *p)
{
    if (p->type != GGML_TYPE_F32 || !ggml_is_contiguous(p) || p->ne[2] != 1 || p->ne[3] != 1)
        return err_set(&o->err, ERR_FAILED, "layer %d: cannot read the softmax of the router", il);
    return o->gates(o->ud, (uint32_t)il, (uint32_t)p->ne[1], (uint32_t)p->ne[0], tap_bytes(p, &o->probs),
                    &o->err);
}

/* Where more than one device computes, the engine leaves only the part of the graph that the last f is in: what is behind it
 * in other parts, such as the output matrix, is told not to be computed. Its graphs may serve several decodes, of which each
 * has the same behind it. False: the node is of a next graph; one decode may take several. */
static bool skip(struct observer *o, struct ggml_tensor *t)
{
    for (size_t i = o->passed; i < o->n_behind; i++)
        if (!strcmp(o->behind[i], t->name)) {
            o->passed = i + 1;
            t->flags &= ~GGML_TENSOR_FLAG_COMPUTE;
            return true;
        }
    return false;
}

static bool on_ask(struct observer *o, struct ggml_tensor *t)
{
    struct tap_name x;
    if (o->stopped && !skip(o, t))
        o->stopped = false;
    if (o->to_hidden && o->stop && is_hidden(t))
        return !o->failed && !o->stopped;
    if (!tap_name(t, &x) || o->failed)
        return false;
    if (o->stopped)
        return false;
    struct layer *l = &o->layers[x.il];
    if (l->p_name[0] && !strcmp(t->name, l->p_name))
        return true;
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
    if (!o->learning && o->to_hidden && o->stop && is_hidden(t)) {
        o->stopped = true;
        o->passed = 0;
        return false;
    }
    if (o->learning || o->stopped || o->failed || !tap_name(t, &x))
        return true;
    struct layer *l = &o->layers[x.il];
    if (l->p_name[0] && !strcmp(t->name, l->p_name)) {
        o->failed = !observe_gates(o, x.il, t);
        return !o->failed;
    }
    if (!strcmp(t->name, l->w_name)) {
        o->failed = !copy_weights(l, t) &&
                    !err_set(&o->err, ERR_FAILED, "layer %d: cannot read the gate weights", x.il);
        return !o->failed;
    }
    if (!observe(o, l, x.il, t))
        o->failed = true;
    /* false ends this part of the graph: what follows the last experts is the output matrix, which nobody
     * needs */
    o->stopped = o->stop && !o->to_hidden && x.il == o->last_il;
    o->passed = 0;
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
