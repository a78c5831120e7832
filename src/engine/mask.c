/* mask.c - see mask.h.
 *
 * The router of a layer scores all experts in one tensor [E, T], from which the best K are chosen. A masked
 * expert's score becomes minus infinity as soon as it is computed, so that the layer goes on as if the expert
 * were not in the file: it cannot be chosen, and a softmax over all experts gives it nothing. Where a bias is
 * added to the scores before the choice, the sum is masked as well: a sigmoid turns minus infinity into 0,
 * which a positive bias would lift above other experts.
 *
 *   score   the first of ffn_moe_logits, ffn_moe_logits_biased, ffn_moe_probs of a layer (a router whose
 *           scores are only normalised over the chosen ones has no node of the first two names)
 *   biased  ffn_moe_probs_biased, where it exists
 *   chosen  ffn_moe_topk [K, T] of ids: read in the first decode under a mask, as a check that no masked
 *           expert was chosen
 *   down    ffn_moe_down or ffn_moe_down_scaled [H, K, T]: what the experts give, multiplied by a gain at the
 *           place where the graph of a file with ffn_down_exps.scale does it (biases and gates come behind it)
 *   out     ffn_moe_out [H, T]: their sum, for engine_match
 *
 * Names are learned by a first decode (tap.h). */
#include "engine/mask.h"
#include "base/limits.h"
#include "base/mem.h"
#include "engine/tap.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct layer {
    char score[GGML_MAX_NAME], biased[GGML_MAX_NAME], chosen[GGML_MAX_NAME]; /* "": no such node */
    char down[GGML_MAX_NAME], out[GGML_MAX_NAME];
    uint32_t *gone; /* masked ids, ascending; NULL: no mask here */
    uint32_t n_gone;
    float gain;              /* 0: none */
    uint32_t seen, n_scaled; /* times masked, multiplied in this decode */
    bool checked;            /* that no masked expert was chosen */
    struct tap_room
        whole; /* numbers of `out`, taken step by step: n_whole, of which n_matched were met again */
    size_t n_whole, n_matched;
    struct engine_match match; /* of the last decode */
};

struct masker {
    bool learned, failed, active;
    uint32_t n_experts;
    struct layer layers[LIMIT_ENGINE_LAYERS];
    enum masker_outputs outputs;
    struct tap_room host; /* a tensor that is not in host memory */
    struct err err;
};

struct masker *masker_new(void)
{
    return xcalloc(1, sizeof(struct masker));
}

static void clear(struct masker *m)
{
    m->active = false;
    for (int i = 0; i < LIMIT_ENGINE_LAYERS; i++) {
        free(m->layers[i].gone);
        m->layers[i].gone = NULL;
        m->layers[i].n_gone = 0;
        m->layers[i].gain = 0;
        m->layers[i].checked = false;
    }
}

void masker_free(struct masker *m)
{
    if (!m)
        return;
    clear(m);
    for (int i = 0; i < LIMIT_ENGINE_LAYERS; i++)
        free(m->layers[i].whole.p);
    free(m->host.p);
    free(m);
}

/* ---- names ---- */

/* Normalised scores: a mask here would come too late for a softmax over all experts. */
static bool is_normalised(const struct ggml_tensor *t)
{
    return t->op == GGML_OP_SOFT_MAX || t->op == GGML_OP_UNARY || t->op == GGML_OP_SQRT;
}

void masker_learn(struct masker *m, const struct ggml_tensor *t)
{
    struct tap_name x;
    if (!tap_name(t, &x) || x.reshaped)
        return;
    struct layer *l = &m->layers[x.il];
    if (tap_is(&x, "ffn_moe_logits") || tap_is(&x, "ffn_moe_logits_biased") ||
        (tap_is(&x, "ffn_moe_probs") && !is_normalised(t))) {
        if (!l->score[0])
            snprintf(l->score, sizeof l->score, "%s", t->name);
    } else if (tap_is(&x, "ffn_moe_probs_biased")) {
        snprintf(l->biased, sizeof l->biased, "%s", t->name);
    } else if (tap_is(&x, "ffn_moe_topk")) {
        snprintf(l->chosen, sizeof l->chosen, "%s", t->name);
    } else if (tap_is(&x, "ffn_moe_down") || tap_is(&x, "ffn_moe_down_scaled")) {
        snprintf(l->down, sizeof l->down, "%s", t->name);
    } else if (tap_is(&x, "ffn_moe_out")) {
        snprintf(l->out, sizeof l->out, "%s", t->name);
    }
}

bool masker_learned(const struct masker *m)
{
    return m->learned;
}

/* ---- the mask ---- */

static bool find_nodes(const struct masker *m, struct err *e)
{
    for (int il = 0; il < LIMIT_ENGINE_LAYERS; il++) {
        const struct layer *l = &m->layers[il];
        if (l->gone && (!l->score[0] || !l->chosen[0]))
            return err_set(
                e, ERR_FAILED,
                "layer %d: the engine's graph has no router scores that could be masked; prune the model and use the "
                "pruned file",
                il);
        if (l->gain != 0 && !l->down[0])
            return err_set(
                e, ERR_FAILED,
                "layer %d: the engine's graph has no output of its experts that a gain could be applied to",
                il);
    }
    return true;
}

bool masker_learn_end(struct masker *m, struct err *e)
{
    m->learned = true;
    return find_nodes(m, e);
}

static bool set_layer(struct masker *m, const struct engine_mask_layer *x, struct err *e)
{
    struct layer *l = x->il < LIMIT_ENGINE_LAYERS ? &m->layers[x->il] : NULL;
    if (!l || l->gone)
        return err_set(e, ERR_INPUT, "mask: layer %u is %s", x->il, l ? "given twice" : "out of range");
    if (!x->n_keep || x->n_keep > m->n_experts)
        return err_set(e, ERR_INPUT, "mask: layer %u keeps %u of %u experts", x->il, x->n_keep, m->n_experts);
    if (!(x->gain >= 0) || isinf(x->gain))
        return err_set(e, ERR_INPUT, "mask: layer %u: its gain is %g", x->il, (double)x->gain);
    l->gain = x->gain;
    l->gone = xcalloc(m->n_experts, sizeof *l->gone);
    uint32_t next = 0;
    for (uint32_t i = 0; i < m->n_experts; i++)
        if (next < x->n_keep && x->keep[next] == i)
            next++;
        else
            l->gone[l->n_gone++] = i;
    return next == x->n_keep ||
           err_set(e, ERR_INPUT, "mask: layer %u: expected ascending ids below %u", x->il, m->n_experts);
}

bool masker_set(struct masker *m, const struct engine_mask *mask, struct err *e)
{
    clear(m);
    if (!mask)
        return true;
    m->n_experts = mask->n_experts;
    bool ok = true;
    for (uint32_t i = 0; ok && i < mask->n_layers; i++)
        ok = set_layer(m, &mask->layers[i], e);
    ok = ok && (!m->learned || find_nodes(m, e));
    if (!ok)
        clear(m);
    m->active = ok;
    return ok;
}

/* ---- tensors ---- */

static bool apply(struct masker *m, struct layer *l, int il, struct ggml_tensor *t)
{
    if (t->type != GGML_TYPE_F32 || !ggml_is_contiguous(t) || t->ne[0] != (int64_t)m->n_experts)
        return err_set(
            &m->err, ERR_FAILED,
            "layer %d: the router's scores are no float32 rows of %u experts; prune the model and use "
            "the pruned file",
            il, m->n_experts);
    float *x = tap_bytes(t, &m->host);
    for (int64_t r = 0, n = ggml_nrows(t); r < n; r++)
        for (uint32_t i = 0; i < l->n_gone; i++)
            x[r * t->ne[0] + l->gone[i]] = -INFINITY;
    if (!tap_on_host(t))
        ggml_backend_tensor_set(t, x, 0, ggml_nbytes(t));
    return true;
}

static bool is_gone(const struct layer *l, int32_t id)
{
    for (uint32_t i = 0; i < l->n_gone; i++)
        if ((int64_t)l->gone[i] == id)
            return true;
    return false;
}

static bool check(struct masker *m, struct layer *l, int il, const struct ggml_tensor *ids)
{
    if (ids->type != GGML_TYPE_I32 || ids->nb[0] != 4)
        return err_set(&m->err, ERR_FAILED, "layer %d: cannot read which experts the router chose", il);
    const uint8_t *p = tap_bytes(ids, &m->host);
    for (int64_t t = 0; t < ids->ne[1]; t++)
        for (int64_t k = 0; k < ids->ne[0]; k++) { /* strided: row t starts at nb[1] */
            int32_t id;
            memcpy(&id, p + (size_t)t * ids->nb[1] + 4 * (size_t)k, 4);
            if (is_gone(l, id))
                return err_set(
                    &m->err, ERR_FAILED,
                    "layer %d: the router chose expert %d in spite of the mask; prune the model and use "
                    "the pruned file",
                    il, id);
        }
    l->checked = true;
    return true;
}

/* The numbers of t, in the order of memory; NULL: they are no float32 without gaps. */
static float *numbers(struct masker *m, int il, struct ggml_tensor *t)
{
    if (t->type == GGML_TYPE_F32 && ggml_is_contiguous(t))
        return tap_bytes(t, &m->host);
    err_set(&m->err, ERR_FAILED, "layer %d: what its experts give are no float32 rows", il);
    return NULL;
}

static void put_back(struct ggml_tensor *t, const float *x)
{
    if (!tap_on_host(t))
        ggml_backend_tensor_set(t, x, 0, ggml_nbytes(t));
}

static bool multiply(struct masker *m, struct layer *l, int il, struct ggml_tensor *t)
{
    float *x = numbers(m, il, t);
    for (int64_t i = 0, n = ggml_nelements(t); x && i < n; i++)
        x[i] *= l->gain;
    if (x)
        put_back(t, x);
    l->n_scaled++;
    return x != NULL;
}

/* ---- whole and masked on the same inputs ---- */

static bool take(struct masker *m, struct layer *l, int il, struct ggml_tensor *t)
{
    const float *x = numbers(m, il, t);
    if (!x)
        return false;
    size_t n = (size_t)ggml_nelements(t);
    float *to = tap_room(&l->whole, l->n_whole + n, sizeof *x);
    memcpy(to + l->n_whole, x, n * sizeof *x);
    l->n_whole += n;
    return true;
}

static bool match(struct masker *m, struct layer *l, int il, struct ggml_tensor *t)
{
    float *x = numbers(m, il, t);
    size_t n = (size_t)ggml_nelements(t);
    if (!x || n > l->n_whole - l->n_matched)
        return x && err_set(&m->err, ERR_FAILED,
                            "layer %d: the engine computed other tokens than for the whole model", il);
    const float *y = (const float *)l->whole.p + l->n_matched;
    for (size_t i = 0; i < n; i++) {
        l->match.yy += (double)y[i] * (double)y[i];
        l->match.ym += (double)y[i] * (double)x[i];
        l->match.mm += (double)x[i] * (double)x[i];
    }
    memcpy(x, y, n * sizeof *x);
    put_back(t, x);
    l->n_matched += n;
    return true;
}

void masker_outputs(struct masker *m, enum masker_outputs what)
{
    m->outputs = what;
}

bool masker_matched(const struct masker *m, struct engine_match *to)
{
    const struct layer *l = to->il < LIMIT_ENGINE_LAYERS ? &m->layers[to->il] : NULL;
    if (!l || !l->n_whole || l->n_matched != l->n_whole)
        return false;
    to->yy += l->match.yy;
    to->ym += l->match.ym;
    to->mm += l->match.mm;
    return true;
}

/* ---- the callback ---- */

/* What is done with a node that is computed; false: m->err says why not. */
typedef bool action(struct masker *m, struct layer *l, int il, struct ggml_tensor *t);

static bool check_node(struct masker *m, struct layer *l, int il, struct ggml_tensor *t)
{
    return check(m, l, il, t);
}

static action *action_of(const struct masker *m, const struct layer *l, const char *name)
{
    if (m->outputs != OUTPUTS_LEAVE && !strcmp(name, l->out))
        return m->outputs == OUTPUTS_TAKE ? take : match;
    if (m->outputs == OUTPUTS_TAKE)
        return NULL;
    if (!strcmp(name, l->score) || !strcmp(name, l->biased))
        return l->n_gone ? apply : NULL;
    if (!strcmp(name, l->chosen))
        return l->n_gone && !l->checked ? check_node : NULL;
    return l->gain != 0 && !strcmp(name, l->down) ? multiply : NULL;
}

bool masker_wants(const struct masker *m, const struct ggml_tensor *t)
{
    struct tap_name x;
    return m->active && !m->failed && tap_name(t, &x) && !x.reshaped && m->layers[x.il].gone &&
           action_of(m, &m->layers[x.il], t->name);
}

bool masker_node(struct masker *m, struct ggml_tensor *t)
{
    struct tap_name x;
    if (!tap_name(t, &x))
        BUG("node '%s' was not asked for", t->name);
    struct layer *l = &m->layers[x.il];
    l->seen += !strcmp(t->name, l->score);
    bool ok = action_of(m, l, t->name)(m, l, x.il, t);
    m->failed = !ok;
    return ok;
}

void masker_begin(struct masker *m)
{
    m->failed = false;
    err_clear(&m->err);
    for (int i = 0; i < LIMIT_ENGINE_LAYERS; i++) {
        struct layer *l = &m->layers[i];
        l->seen = l->n_scaled = 0;
        l->n_matched = 0;
        l->match = (struct engine_match){0};
        if (m->outputs == OUTPUTS_TAKE)
            l->n_whole = 0;
    }
}

bool masker_end(struct masker *m, struct err *e)
{
    if (m->failed)
        return err_set(e, m->err.code, "%s", m->err.msg);
    for (int il = 0; m->active && m->outputs != OUTPUTS_TAKE && il < LIMIT_ENGINE_LAYERS; il++) {
        if (m->layers[il].n_gone && !m->layers[il].seen)
            return err_set(e, ERR_FAILED, "layer %d: the engine left the router's scores out", il);
        if (m->layers[il].gain != 0 && !m->layers[il].n_scaled)
            return err_set(e, ERR_FAILED, "layer %d: the engine left the experts' outputs out", il);
    }
    return true;
}
