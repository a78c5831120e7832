/* config.c - see config.h: what config.json says.
 *
 * Nodes of a document lie in the order of the text, a parent before its children. So one loop over them is a
 * walk over the whole tree, and an object is left out by skipping what begins before its end. */
#include "hf/config.h"
#include "base/mem.h"
#include "hf/conf.h"
#include "hf/config_part.h"
#include "hf/names.h"

#include <string.h>

#define MAX_COUNT 1000000u /* of experts, layers...: far above any model, far below an overflow */

/* Objects that say how weights are stored. */
static bool is_quantized(const char *key)
{
    return strstr(key, "quant") || strstr(key, "compression");
}

bool hf_key_in(const struct jdoc *d, uint32_t node, const char *keys)
{
    char key[CONF_WORD];
    while (conf_next(&keys, key))
        if (jdoc_key_is(d, node, key))
            return true;
    return false;
}

char *hf_node_path(const struct jdoc *d, uint32_t node)
{
    struct buf b = {0};
    jdoc_path(d, node, &b);
    return b.s;
}

/* ---- walking ---- */

static bool is_foreign(struct hf_walk *w, uint32_t i)
{
    const struct jnode *x = &w->d->nodes[i];
    if (x->kind != J_OBJECT || !x->key_end)
        return false;
    w->key.n = 0;
    jdoc_key(w->d, i, &w->key);
    return hf_is_foreign(w->key.s) || is_quantized(w->key.s) || hf_names_module(w->key.s);
}

uint32_t hf_walk_next(struct hf_walk *w)
{
    while (w->i < w->d->n_nodes) {
        uint32_t i = w->i++;
        const struct jnode *x = &w->d->nodes[i];
        if (!x->key_end || x->at < w->skip_to)
            continue;
        if (!is_foreign(w, i))
            return i;
        w->skip_to = x->end;
    }
    buf_clear(&w->key);
    return JSPAN_NONE;
}

/* ---- reading ---- */

static bool fail_number(const struct jdoc *d, uint32_t node, struct err *e)
{
    char *path = hf_node_path(d, node);
    const struct jnode *x = &d->nodes[node];
    if (x->kind == J_NUMBER)
        err_set(e, ERR_INPUT, "%s is %.*s, expected a whole number of at most %u", path,
                (int)(x->end - x->at < 40 ? x->end - x->at : 40), d->text + x->at, MAX_COUNT);
    else
        err_set(e, ERR_INPUT, "%s is %s, expected a whole number", path, jdoc_kind_name(d, node));
    free(path);
    return false;
}

static bool number(const struct jdoc *d, uint32_t node, uint32_t *out, struct err *e)
{
    uint64_t v;
    if (!jdoc_u64(d, node, &v) || v > MAX_COUNT)
        return fail_number(d, node, e);
    *out = (uint32_t)v;
    return true;
}

/* The largest of a list's numbers, or the number. *none: null, or a list without a number. */
static bool largest(const struct jdoc *d, uint32_t node, uint32_t *out, bool *none, struct err *e)
{
    const struct jnode *x = &d->nodes[node];
    *none = x->kind == J_NULL || (x->kind == J_ARRAY && x->n == 0);
    *out = 0;
    if (*none)
        return true;
    if (x->kind != J_ARRAY)
        return number(d, node, out, e);
    for (uint32_t i = x->first; i != JSPAN_NONE; i = d->nodes[i].next) {
        uint32_t v = 0;
        if (!number(d, i, &v, e))
            return false;
        if (v > *out)
            *out = v;
    }
    return true;
}

struct reader {
    const struct jdoc *d;
    struct hf_counts *out;
    uint32_t count_node; /* the first key of the expert count; JSPAN_NONE */
    uint32_t n_used, n_mtp;
    struct err *e;
};

static bool fail_differ(struct reader *r, uint32_t node, uint32_t v)
{
    char *path = hf_node_path(r->d, node);
    err_set(r->e, ERR_INPUT, "%s is %u, %s is %u: expected one number of experts", r->out->n_experts_path,
            r->out->n_experts, path, v);
    free(path);
    return false;
}

static bool read_count(struct reader *r, uint32_t node)
{
    const struct jdoc *d = r->d;
    uint32_t v;
    bool none;
    if (!largest(d, node, &v, &none, r->e))
        return false;
    if (none)
        return true;
    if (r->count_node == JSPAN_NONE) {
        r->count_node = node;
        r->out->n_experts = v;
        r->out->n_experts_path = hf_node_path(d, node);
    }
    if (v != r->out->n_experts)
        return fail_differ(r, node, v);
    if (d->nodes[node].kind != J_ARRAY)
        return true;
    for (uint32_t i = d->nodes[node].first; i != JSPAN_NONE; i = d->nodes[i].next) {
        uint32_t x = 0;
        if (!number(d, i, &x, r->e))
            return false;
        if (x > 1 && x != v)
            return fail_differ(r, i, x);
    }
    return true;
}

/* Keeps the largest value and where it stands. */
static bool read_max(struct reader *r, uint32_t node, uint32_t *max, char **path)
{
    uint32_t v;
    bool none;
    if (!largest(r->d, node, &v, &none, r->e))
        return false;
    if (!none && v > *max) {
        *max = v;
        if (path) {
            free(*path);
            *path = hf_node_path(r->d, node);
        }
    }
    return true;
}

static bool read_member(struct reader *r, uint32_t node)
{
    struct hf_counts *o = r->out;
    if (hf_key_in(r->d, node, HF_KEYS_EXPERTS))
        return read_count(r, node);
    if (hf_key_in(r->d, node, HF_KEYS_USED))
        return read_max(r, node, &o->n_used, &o->n_used_path);
    if (hf_key_in(r->d, node, HF_KEYS_GROUPS))
        return read_max(r, node, &o->n_groups, NULL);
    if (hf_key_in(r->d, node, HF_KEYS_GROUPS_USED))
        return read_max(r, node, &o->n_groups_used, NULL);
    if (hf_key_in(r->d, node, HF_KEYS_MTP))
        return read_max(r, node, &o->n_mtp, &o->n_mtp_path);
    if (jdoc_key_is(r->d, node, "topk_method"))
        o->groups_ignored = jdoc_str_is(r->d, node, "greedy");
    return true;
}

static char *string_of(const struct jdoc *d, uint32_t node)
{
    if (node == JSPAN_NONE || d->nodes[node].kind != J_STRING)
        return NULL;
    struct buf b = {0};
    jdoc_str(d, node, &b);
    return b.s;
}

char *hf_class_name(const struct jdoc *config)
{
    uint32_t list = jdoc_get(config, 0, "architectures");
    bool any = list != JSPAN_NONE && config->nodes[list].kind == J_ARRAY;
    return any ? string_of(config, config->nodes[list].first) : NULL;
}

char *hf_model_type(const struct jdoc *config)
{
    return string_of(config, jdoc_get(config, 0, "model_type"));
}

/* The number of layers stands beside the expert count or further out (DBRX); a copy at the root may be stale,
 * so the innermost counts. */
static bool read_layers(struct reader *r)
{
    const struct jdoc *d = r->d;
    uint32_t o = r->count_node == JSPAN_NONE ? 0 : d->nodes[r->count_node].parent;
    uint32_t text = hf_text_config(d);
    if (o == 0 && text != JSPAN_NONE)
        o = text;
    if (d->nodes[o].kind == J_OBJECT)
        r->out->text_model_type = string_of(d, jdoc_get(d, o, "model_type"));
    for (; o != JSPAN_NONE; o = d->nodes[o].parent) {
        char key[CONF_WORD];
        for (const char *keys = HF_KEYS_LAYERS; conf_next(&keys, key);) {
            uint32_t node = jdoc_get(d, o, key);
            if (node != JSPAN_NONE && d->nodes[node].kind != J_NULL)
                return number(d, node, &r->out->n_layers, r->e);
        }
    }
    return true;
}

static void read_quantization(const struct jdoc *d, struct hf_counts *out)
{
    for (uint32_t i = 0; i < d->n_nodes; i++) {
        if (d->nodes[i].kind != J_OBJECT || !d->nodes[i].key_end || !hf_key_in(d, i, HF_KEYS_QUANTIZATION))
            continue;
        uint32_t method = jdoc_get(d, i, "quant_method"), four = jdoc_get(d, i, "load_in_4bit");
        if (!out->quant_method)
            out->quant_method = string_of(d, method);
        if (jdoc_str_is(d, method, "bitsandbytes") && four != JSPAN_NONE && d->nodes[four].kind == J_TRUE)
            out->bnb_4bit = true;
    }
}

static bool read_all(struct reader *r)
{
    struct hf_counts *o = r->out;
    if (r->d->nodes[0].kind != J_OBJECT)
        return err_set(r->e, ERR_INPUT, "the outermost value is %s, expected an object",
                       jdoc_kind_name(r->d, 0));
    struct hf_walk w = {.d = r->d};
    bool ok = true;
    for (uint32_t i; ok && (i = hf_walk_next(&w)) != JSPAN_NONE;)
        ok = read_member(r, i);
    buf_clear(&w.key);
    if (!ok || !read_layers(r))
        return false;
    if (o->n_experts && o->n_used > o->n_experts)
        return err_set(r->e, ERR_INPUT, "%s is %u, expected at most the %u experts of %s", o->n_used_path,
                       o->n_used, o->n_experts, o->n_experts_path);
    if (o->n_groups == 0)
        o->n_groups = 1;
    if (o->n_groups_used == 0)
        o->n_groups_used = 1;
    o->model_type = hf_model_type(r->d);
    o->architecture = hf_class_name(r->d);
    read_quantization(r->d, o);
    return true;
}

bool hf_counts(const struct jdoc *config, struct hf_counts *out, struct err *e)
{
    *out = (struct hf_counts){0};
    struct reader r = {.d = config, .out = out, .count_node = JSPAN_NONE, .e = e};
    if (read_all(&r))
        return true;
    hf_counts_clear(out);
    return false;
}

void hf_counts_clear(struct hf_counts *c)
{
    free(c->n_experts_path);
    free(c->n_used_path);
    free(c->n_mtp_path);
    free(c->model_type);
    free(c->text_model_type);
    free(c->architecture);
    free(c->quant_method);
    *c = (struct hf_counts){0};
}

/* ---- for those who check ---- */

enum hf_key hf_key(const struct jdoc *d, uint32_t member)
{
    return hf_key_in(d, member, HF_KEYS_EXPERTS) || jdoc_key_is(d, member, "moe_capacity") ? HF_KEY_COUNT
           : hf_key_in(d, member, HF_KEYS_MTP)                                             ? HF_KEY_MTP
                                                                                           : HF_KEY_OTHER;
}

bool hf_is_foreign_object(const struct jdoc *d, uint32_t member)
{
    struct hf_walk w = {.d = d};
    bool yes = is_foreign(&w, member);
    buf_clear(&w.key);
    return yes;
}
