/* facts.c - what shapes and keys depend on, read from config.json; and what must hold there. */
#include "convert/layout_part.h"

#include "base/limits.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

#define FACT_MAX  (1u << 28) /* so that products of two and sums of those stay far inside 64 bits */
#define HEADS_MAX 65536      /* and of three: heads, their number and size */

static bool bad_value(const struct conf *c, uint32_t node, const char *want, struct err *e)
{
    struct buf path = {0};
    jdoc_path(c->d, node, &path);
    err_set(e, ERR_INPUT, "config.json: '%.100s' is %s, expected %s", path.s ? path.s : "",
            jdoc_kind_name(c->d, node), want);
    buf_clear(&path);
    return false;
}

/* A whole number, or a list with one for each layer, all equal. */
static bool one_number(const struct jdoc *d, uint32_t node, uint64_t *v)
{
    if (d->nodes[node].kind != J_ARRAY)
        return jdoc_u64(d, node, v);
    uint64_t other;
    uint32_t k = d->nodes[node].first;
    bool ok = k != JSPAN_NONE && jdoc_u64(d, k, v);
    for (; ok && k != JSPAN_NONE; k = d->nodes[k].next)
        ok = jdoc_u64(d, k, &other) && other == *v;
    return ok;
}

static bool load_fact(struct layout_in *in, const struct fact_rule *r, struct err *e)
{
    uint64_t *v = &in->f.v[(unsigned char)r->letter];
    uint32_t node = conf_get(&in->conf, r->keys);
    bool *read = &in->f.read[(unsigned char)r->letter];
    if (*read)
        return true; /* the family's own rule came first */
    *read = true;
    if (node == JSPAN_NONE) {
        if (!r->other)
            return err_set(e, ERR_INPUT, "config.json: '%s' is missing", r->keys);
        *v = r->other[0] == '=' ? in->f.v[(unsigned char)r->other[1]] : strtoull(r->other, NULL, 10);
        return true;
    }
    if (!one_number(in->conf.d, node, v) || *v > FACT_MAX)
        return bad_value(&in->conf, node,
                         in->conf.d->nodes[node].kind == J_ARRAY
                             ? "one whole number below 2^28, the same in all layers"
                             : "a whole number below 2^28",
                         e);
    return true;
}

static const struct fact_rule common_facts[] = {
    {'V', "vocab_size", NULL},
    {'H', "hidden_size|n_embd", NULL},
    {'L', HF_KEYS_LAYERS, NULL},
    {'N', "num_attention_heads|n_head", NULL},
    {'M', "num_key_value_heads", "=N"},
    {'D', "head_dim", "0"},
    {'E', HF_KEYS_EXPERTS, NULL},
    {'T', HF_KEYS_USED, NULL},
    {'F', "intermediate_size", NULL},
    {'X', "moe_intermediate_size", NULL},
    {0, NULL, NULL},
};

/* Those that must not be zero whatever the family. */
static bool check_counts(const struct layout_in *in, struct err *e)
{
    static const struct {
        char letter;
        uint64_t max;
        const char *what;
    } need[] = {
        {'V', FACT_MAX, "vocabulary"},
        {'H', FACT_MAX, "hidden size"},
        {'L', LIMIT_LAYERS, "number of layers"},
        {'N', HEADS_MAX, "number of heads"},
        {'M', HEADS_MAX, "number of KV heads"},
        {'D', HEADS_MAX, "head size"},
        {'E', LIMIT_EXPERTS, "number of experts"},
        {'T', LIMIT_EXPERTS, "number of chosen experts"},
        {'X', FACT_MAX, "expert's size"},
    };
    for (size_t i = 0; i < sizeof need / sizeof *need; i++) {
        uint64_t v = in->f.v[(unsigned char)need[i].letter];
        if (!v || v > need[i].max)
            return err_set(e, ERR_INPUT, "config.json: the %s is %llu, expected 1 to %llu", need[i].what,
                           (unsigned long long)v, (unsigned long long)need[i].max);
    }
    const uint64_t *v = in->f.v;
    if (v['T'] > v['E'])
        return err_set(e, ERR_INPUT, "config.json: %llu experts are chosen of %llu",
                       (unsigned long long)v['T'], (unsigned long long)v['E']);
    if (v['N'] % v['M'])
        return err_set(e, ERR_INPUT, "config.json: %llu heads do not share %llu KV heads",
                       (unsigned long long)v['N'], (unsigned long long)v['M']);
    return true;
}

/* Blocks that the checkpoint has behind the last: configs go on to tell of MTP blocks that a tool left out. */
static uint64_t more_blocks(const struct layout_in *in)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < in->c->n_tensors; i++) {
        struct hf_place at = hf_place(in->c->tensors[i].name);
        if (at.rest && !at.mtp && at.layer >= in->f.v['L'] + n)
            n = at.layer - in->f.v['L'] + 1;
    }
    return n;
}

/* Blocks that the checkpoint has below "mtp.". */
static uint64_t named_blocks(const struct layout_in *in)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < in->c->n_tensors; i++) {
        struct hf_place at = hf_place(in->c->tensors[i].name);
        if (at.mtp && at.rest && n <= at.layer)
            n = (uint64_t)at.layer + 1;
    }
    return n;
}

bool layout_load_facts(struct layout_in *in, struct err *e)
{
    uint64_t *v = in->f.v;
    v['1'] = 1;
    for (const struct fact_rule *r = in->conversion->facts; r && r->letter; r++)
        if (!load_fact(in, r, e))
            return false;
    for (const struct fact_rule *r = common_facts; r->letter; r++)
        if (!load_fact(in, r, e))
            return false;
    if (!v['D'] && v['N'])
        v['D'] = v['H'] / v['N'];
    if (!check_counts(in, e))
        return false;
    v['Q'] = v['N'] * v['D'];
    v['K'] = v['M'] * v['D'];
    v['G'] = 2 * v['X'];
    v['Y'] = 2 * v['H'];
    if ((in->conversion->flags & CONVERT_HEADS_FILL) && v['Q'] != v['H'])
        return err_set(
            e, ERR_INPUT,
            "config.json: %llu heads of %llu; the engine expects them to make up the hidden size, %llu",
            (unsigned long long)v['N'], (unsigned long long)v['D'], (unsigned long long)v['H']);
    static const struct fact_rule mtp = {'B', HF_KEYS_MTP, "0"};
    if (!load_fact(in, &mtp, e))
        return false;
    if (in->conversion->flags & CONVERT_MTP_NAMED)
        v['B'] = named_blocks(in);
    if (in->conversion->flags & CONVERT_MTP_UNSAID)
        v['B'] = more_blocks(in);
    if (v['B'] > 64)
        return err_set(e, ERR_INPUT, "config.json: %llu MTP layers, expected at most 64",
                       (unsigned long long)v['B']);
    if (!(in->conversion->flags & CONVERT_MTP_NAMED) && !more_blocks(in))
        v['B'] = 0;
    in->n_blocks = v['L'] + (in->conversion->flags & CONVERT_MTP_WRITTEN ? v['B'] : 0);
    in->kinds = xcalloc(in->n_blocks, sizeof *in->kinds);
    for (uint64_t i = 0; i < in->n_blocks; i++)
        in->kinds[i] = B_ATTN | B_MOE | (i < v['L'] ? 0 : B_MTP);
    struct family_model m = {&in->conf, in->f.v, in->f.by_block, in->n_blocks, in->kinds, e};
    return (!in->conversion->derive || in->conversion->derive(&m, e)) && e->code == ERR_NONE;
}

/* Whether a value is one of "true|7.0|null|silu"; words other than JSON's are strings. */
static bool value_is(const struct conf *c, uint32_t node, const char *value)
{
    const struct jnode *n = &c->d->nodes[node];
    double got, want;
    char *end;
    if (n->kind == J_TRUE || n->kind == J_FALSE)
        return !strcmp(value, n->kind == J_TRUE ? "true" : "false");
    if (n->kind == J_STRING)
        return jdoc_str_is(c->d, node, value);
    if (n->kind == J_ARRAY)
        return !strcmp(value, "[]") && n->n == 0;
    want = strtod(value, &end);
    return !*end && end != value && jdoc_f64(c->d, node, &got) && got == want;
}

static bool must_holds(const struct layout_in *in, const struct must_rule *m, uint32_t node)
{
    char want[CONF_WORD];
    for (const char *p = m->want; conf_next(&p, want);)
        if (node == JSPAN_NONE ? !strcmp(want, m->other) : value_is(&in->conf, node, want))
            return true;
    return false;
}

bool layout_check_musts(const struct layout_in *in, struct err *e)
{
    for (const struct must_rule *m = in->conversion->musts; m && m->keys; m++) {
        uint32_t node = conf_get(&in->conf, m->keys);
        if (must_holds(in, m, node))
            continue;
        int n = 0;
        const char *text = "";
        if (node != JSPAN_NONE) {
            const struct jnode *v = &in->conf.d->nodes[node];
            n = v->end - v->at < 60 ? (int)(v->end - v->at) : 60;
            text = in->conf.d->text + v->at;
        }
        return err_set(e, ERR_INPUT, "config.json: '%s' is %.*s, expected %s: %s", m->keys, n ? n : 7,
                       n ? text : "missing", m->want, m->why);
    }
    return true;
}
