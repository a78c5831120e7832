/* expert_profile.c - the JSON that llama-expert-profile writes and its pruner reads.
 *
 * An object of layers ("0": {...}); in each total_tokens, activation_counts, activation_frequency,
 * avg_gate_weight, ean_mean, reap, never_activated. Means have 6 digits. No model, no top-k, no squares, no
 * maxima, no halves: all goes into the even half. */
#include "base/ids.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "import/import.h"

#include <math.h>
#include <string.h>

#define FORMAT "llama-expert-profile"

struct item {
    uint32_t il;
    const json_t *o;
};

/* The layers in order; NULL with *e. */
static struct item *list_layers(json_t *doc, struct err *e)
{
    const char *key;
    json_t *v;
    uint32_t n = 0;
    if (!json_is_object(doc) || !json_object_size(doc) || json_object_size(doc) > LIMIT_LAYERS) {
        err_set(e, ERR_INPUT, "expected an object of 1 to %d layers, as " FORMAT " writes it", LIMIT_LAYERS);
        return NULL;
    }
    struct item *it = xcalloc(json_object_size(doc), sizeof *it);
    json_object_foreach (doc, key, v) {
        uint32_t il;
        if (!ids_layer(key, &il) || !json_is_object(v)) {
            err_set(e, ERR_INPUT, "'%.40s' is not a layer: expected numbers with an object each", key);
            free(it);
            return NULL;
        }
        it[n++] = (struct item){il, v};
    }
    qsort(it, n, sizeof *it, ids_compare);
    return it;
}

static bool read_counts(const json_t *o, const char *where, struct stats *s, struct stats_layer *l,
                        struct err *e)
{
    json_t *a;
    uint64_t total, sum = 0;
    if (!json_need_u64(o, "total_tokens", where, &total, e) ||
        !json_need_arr(o, "activation_counts", where, &a, e))
        return false;
    if (json_array_size(a) != s->n_experts)
        return err_set(e, ERR_INPUT, "%s: 'activation_counts' has %zu entries, expected %u", where,
                       json_array_size(a), s->n_experts);
    for (uint32_t j = 0; j < s->n_experts; j++) {
        const json_t *c = json_array_get(a, j);
        uint64_t n = (uint64_t)json_integer_value(c);
        if (!json_is_integer(c) || json_integer_value(c) < 0)
            return err_set(e, ERR_INPUT, "%s: 'activation_counts' entry %u is not an integer of 0 or more",
                           where, j);
        l->half[EVEN][j].count = n;
        if (!add_u64(sum, n, &sum))
            return err_set(e, ERR_INPUT, "%s: the counts are too large", where);
    }
    l->tokens[EVEN] = total;
    if (l->n_used)
        return true; /* stats_check compares */
    if (total && (sum % total || sum / total < 1 || sum / total > s->n_experts))
        return err_set(
            e, ERR_INPUT,
            "%s: the counts add up to %llu, which is no multiple of %llu tokens by 1 to %u experts", where,
            (unsigned long long)sum, (unsigned long long)total, s->n_experts);
    l->n_used = total ? (uint32_t)(sum / total) : 1;
    return true;
}

static bool read_layer(const json_t *o, struct stats *s, struct stats_layer *l, struct err *e)
{
    char where[32];
    snprintf(where, sizeof where, "layer %u", l->il);
    double *v = xcalloc(3 * (size_t)s->n_experts, sizeof *v), *ean = v + s->n_experts,
           *gate = ean + s->n_experts;
    bool ok = read_counts(o, where, s, l, e) && json_need_f64s(o, "reap", where, v, s->n_experts, e) &&
              json_need_f64s(o, "ean_mean", where, ean, s->n_experts, e);
    if (ok && !json_object_get(o, "avg_gate_weight"))
        s->unknown |= SUM_BIT(SUM_GATE);
    else
        ok = ok && json_need_f64s(o, "avg_gate_weight", where, gate, s->n_experts, e);
    for (uint32_t j = 0; ok && j < s->n_experts; j++) {
        struct sums *x = &l->half[EVEN][j];
        x->reap_sum = v[j] * (double)x->count;
        x->ean_sum = ean[j] * (double)x->count;
        x->gate_sum = gate[j] * (double)x->count;
    }
    free(v);
    return ok;
}

/* Counts that scatter far less than independent random choices would: not how any router behaves, but how
 * counts come out when the ids of the chosen experts are read with the wrong stride. Over all layers, the
 * mean of (squared deviation) / (T p (1 - p)), p = k / E, is about 1 for random choices and more for real
 * routers. */
static bool looks_scrambled(const struct stats *s, double *ratio)
{
    double sum = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_layers; i++) {
        const struct stats_layer *l = &s->layers[i];
        double t = (double)l->tokens[EVEN], p = (double)l->n_used / s->n_experts, dev = 0;
        for (uint32_t j = 0; j < s->n_experts; j++) {
            double d = (double)l->half[EVEN][j].count - t * p;
            dev += d * d / s->n_experts;
        }
        if (t * p * (1 - p) > 0) {
            sum += dev / (t * p * (1 - p));
            n++;
        }
    }
    *ratio = n ? sqrt(sum / n) : 1;
    return *ratio < 0.5;
}

static struct stats *read_all(const struct import_opts *o, const struct item *it, uint32_t n, struct err *e)
{
    uint32_t *il = xcalloc(n, sizeof *il);
    json_t *counts;
    struct stats *s = NULL;
    double ratio;
    for (uint32_t i = 0; i < n; i++)
        il[i] = it[i].il;
    if (json_need_arr(it[0].o, "activation_counts", "first layer", &counts, e)) {
        size_t experts = json_array_size(counts);
        if (experts < 1 || experts > LIMIT_EXPERTS)
            err_set(e, ERR_INPUT, "%zu experts: expected 1 to %d", experts, LIMIT_EXPERTS);
        else
            s = import_begin(o, FORMAT, il, n, (uint32_t)experts, e);
    }
    free(il);
    if (!s)
        return NULL;
    s->unknown = SUM_ALL & ~(SUM_BIT(SUM_GATE) | SUM_BIT(SUM_EAN) | SUM_BIT(SUM_REAP)); /* what it holds */
    bool ok = true;
    for (uint32_t i = 0; ok && i < n; i++)
        ok = read_layer(it[i].o, s, &s->layers[i], e);
    if (!ok) {
        stats_free(s);
        return NULL;
    }
    if (!(s = import_end(s, e)) || !looks_scrambled(s, &ratio))
        return s;
    if (o->force) {
        log_warn("the counts scatter %.2f times as far as random choices would (--force)", ratio);
        return s;
    }
    err_set(
        e, ERR_INPUT,
        "the counts scatter only %.2f times as far as random choices would, so outputs were probably credited to "
        "the wrong experts (a known defect of that tool); --force takes them nevertheless",
        ratio);
    stats_free(s);
    return NULL;
}

struct stats *import_expert_profile(const struct import_opts *o, struct err *e)
{
    json_t *doc = json_read(o->path, e);
    if (!doc)
        return NULL;
    struct item *it = list_layers(doc, e);
    struct stats *s = it ? read_all(o, it, (uint32_t)json_object_size(doc), e) : NULL;
    if (!s)
        err_ctx(e, "%s", o->path);
    free(it);
    json_decref(doc);
    return s;
}

/* ---- writing ---- */

static json_t *layer_json(const struct stats *s, uint32_t i)
{
    const struct stats_layer *l = &s->layers[i];
    json_t *o = json_object(), *counts = json_array(), *freq = json_array(), *gate = json_array(),
           *ean = json_array(), *reap = json_array();
    double tokens = (double)stats_tokens(l);
    uint32_t never = 0;
    for (uint32_t j = 0; j < s->n_experts; j++) {
        struct sums t = stats_total(l, j);
        double n = t.count ? (double)t.count : 1;
        never += t.count ? 0 : 1;
        json_array_append_new(counts, json_integer((json_int_t)t.count));
        json_array_append_new(freq, json_real(tokens > 0 ? (double)t.count / tokens : 0));
        json_array_append_new(gate, json_real(t.gate_sum / n));
        json_array_append_new(ean, json_real(t.ean_sum / n));
        json_array_append_new(reap, json_real(t.reap_sum / n));
    }
    json_object_set_new(o, "total_tokens", json_integer((json_int_t)stats_tokens(l)));
    json_object_set_new(o, "activation_counts", counts);
    json_object_set_new(o, "activation_frequency", freq);
    json_object_set_new(o, "avg_gate_weight", gate);
    json_object_set_new(o, "ean_mean", ean);
    json_object_set_new(o, "reap", reap);
    json_object_set_new(o, "never_activated", json_integer(never));
    return o;
}

json_t *export_expert_profile(const struct stats *s, struct err *e)
{
    if (s->unknown & (SUM_BIT(SUM_GATE) | SUM_BIT(SUM_EAN) | SUM_BIT(SUM_REAP))) {
        err_set(e, ERR_INPUT,
                "lacks sums of gates or outputs (it was imported), which " FORMAT "'s form needs");
        return NULL;
    }
    json_t *o = json_object();
    for (uint32_t i = 0; i < s->n_layers; i++)
        ids_set_layer(o, s->layers[i].il, layer_json(s, i));
    return o;
}

const struct import_form import_form_profile = {
    .name = FORMAT, .read = import_expert_profile, .write = export_expert_profile};
