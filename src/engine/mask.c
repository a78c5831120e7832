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
    uint32_t *gone; /* masked ids, ascending; NULL: no mask here */
    uint32_t n_gone;
    uint32_t seen; /* times masked in this decode */
    bool checked;  /* that no masked expert was chosen */
};

struct masker {
    bool learned, failed, active;
    uint32_t n_experts;
    struct layer layers[LIMIT_ENGINE_LAYERS];
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
        m->layers[i].checked = false;
    }
}

void masker_free(struct masker *m)
{
    if (!m)
        return;
    clear(m);
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
    }
}

bool masker_learned(const struct masker *m)
{
    return m->learned;
}

/* ---- the mask ---- */

static bool find_nodes(const struct masker *m, struct err *e)
{
    for (int il = 0; il < LIMIT_ENGINE_LAYERS; il++)
        if (m->layers[il].gone && (!m->layers[il].score[0] || !m->layers[il].chosen[0]))
            return err_set(
                e, ERR_FAILED,
                "layer %d: the engine's graph has no router scores that could be masked; prune the model and use the "
                "pruned file",
                il);
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

/* ---- the callback ---- */

bool masker_wants(const struct masker *m, const struct ggml_tensor *t)
{
    struct tap_name x;
    if (!m->active || m->failed || !tap_name(t, &x) || x.reshaped || !m->layers[x.il].n_gone)
        return false;
    const struct layer *l = &m->layers[x.il];
    return !strcmp(t->name, l->score) || !strcmp(t->name, l->biased) ||
           (!l->checked && !strcmp(t->name, l->chosen));
}

bool masker_node(struct masker *m, struct ggml_tensor *t)
{
    struct tap_name x;
    if (!tap_name(t, &x))
        BUG("node '%s' was not asked for", t->name);
    struct layer *l = &m->layers[x.il];
    bool ok = !strcmp(t->name, l->chosen) ? check(m, l, x.il, t) : apply(m, l, x.il, t);
    l->seen += !strcmp(t->name, l->score);
    m->failed = !ok;
    return ok;
}

void masker_begin(struct masker *m)
{
    m->failed = false;
    err_clear(&m->err);
    for (int i = 0; i < LIMIT_ENGINE_LAYERS; i++)
        m->layers[i].seen = 0;
}

bool masker_end(struct masker *m, struct err *e)
{
    if (m->failed)
        return err_set(e, m->err.code, "%s", m->err.msg);
    for (int il = 0; m->active && il < LIMIT_ENGINE_LAYERS; il++)
        if (m->layers[il].n_gone && !m->layers[il].seen)
            return err_set(e, ERR_FAILED, "layer %d: the engine left the router's scores out", il);
    return true;
}
