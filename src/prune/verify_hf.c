/* verify_hf.c - the JSON files of a pruned checkpoint against its parent's (see prune.h).
 *
 * Nothing is made again that pruning made: each value of the result is held against the parent's by a rule.
 *   - A key of the expert count states the new count, as do the entries of a list that were the old one.
 *   - A list, or an object, keeps what is not of an expert that went, in its order.
 *   - A name of an expert, counted back by the plan, is a name that the parent has.
 *   - All else is equal. Values are compared, not text: another tool may have written them anew.
 * What a tool writes about itself (transformers_version, _name_or_path) may differ; so may further keys that
 * state the new count. */
#include "base/ids.h"
#include "base/mem.h"
#include "hf/config.h"
#include "hf/files.h"
#include "hf/names.h"
#include "model/view_hf.h"
#include "prune/prune.h"

#include <string.h>

struct check {
    const char *file;
    const struct jdoc *a, *b; /* the parent's, the result */
    bool counts;              /* the file has keys of counts */
    bool dropped;             /* the result has no MTP blocks any more */
    uint32_t n_trunk;         /* layers.N with N of this or more is an MTP block */
    uint32_t n_experts, n_keep;
    const struct plan *plan;
    uint32_t *partner; /* of a member of the parent's: the member of the result; JSPAN_NONE */
    bool *paired;      /* of a member of the result: it is the partner of one */
    struct verify_result *r;
};

static void differ(const struct check *c, const struct jdoc *d, uint32_t node, const char *what)
{
    struct buf b = {0};
    jdoc_path(d, node, &b);
    verify_differ(c->r, "%s: '%s' %s", c->file, b.s ? b.s : "", what);
    buf_clear(&b);
}

/* ---- names of experts ---- */

struct module {            /* what a name of a module says */
    int64_t layer, expert; /* -1: none */
    bool mtp;
    const char *number, *end; /* where the expert's stands */
};

/* A number without leading zeros that ends its part of a name; -1: it is none. */
static int64_t number_at(const char *s, size_t n)
{
    int64_t v = 0;
    if (n == 0 || n > 9 || (*s == '0' && n > 1) || strspn(s, "0123456789") < n)
        return -1;
    for (size_t i = 0; i < n; i++)
        v = v * 10 + (s[i] - '0');
    return v;
}

static bool part_is(const char *s, size_t n, const char *word)
{
    return n == strlen(word) && !memcmp(s, word, n);
}

/* False: it names no module of this model, or is a pattern, and does not change. */
static bool read_module(const char *s, struct module *m)
{
    *m = (struct module){.layer = -1, .expert = -1};
    if (s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./@")] ||
        hf_is_foreign(s))
        return false;
    const char *before = "";
    size_t before_n = 0;
    bool dots = strchr(s, '.') != NULL;
    for (const char *at = s; at && m->expert < 0;) {
        size_t n = strcspn(at, ".");
        int64_t v = number_at(at, n);
        m->mtp = m->mtp || (dots && hf_is_mtp(at, n));
        if (v >= 0 && m->layer < 0 && hf_is_layer_list(before, before_n)) {
            m->layer = v;
        } else if (v >= 0 && part_is(before, before_n, "experts")) {
            m->expert = v;
            m->number = at;
            m->end = at + n;
        }
        before = at;
        before_n = n;
        at = at[n] ? at + n + 1 : NULL;
    }
    return true;
}

static bool is_mtp(const struct check *c, const struct module *m)
{
    return m->mtp || m->layer >= c->n_trunk;
}

/* The experts that stay in the layer of a module; NULL: it has none, or the name is one for all layers. */
static const uint32_t *keep_of(const struct check *c, const struct module *m)
{
    const struct plan *p = c->plan;
    bool mtp = is_mtp(c, m);
    int64_t il =
        mtp && m->layer < (int64_t)c->n_trunk ? c->n_trunk + (m->layer < 0 ? 0 : m->layer) : m->layer;
    const uint32_t *keep = il >= 0 && il <= UINT32_MAX ? plan_entry(p, (uint32_t)il) : NULL;
    return keep || !mtp ? keep : p->layers[p->n_layers - 1].keep;
}

/* Whether a name of the parent's is to be found in the result. */
static bool stays(const struct check *c, const char *s)
{
    struct module m;
    if (!read_module(s, &m))
        return true;
    if (c->dropped && is_mtp(c, &m))
        return false;
    if (m.expert < 0)
        return true;
    if (m.layer < 0 && !m.mtp) /* a name for all layers */
        return m.expert < c->n_keep;
    const uint32_t *keep = keep_of(c, &m), expert = (uint32_t)m.expert;
    return !keep || bsearch(&expert, keep, c->n_keep, sizeof *keep, ids_compare);
}

/* The parent's name of a name in the result, added to b. False: it names an expert that is not there. */
static bool count_back(const struct check *c, const char *s, struct buf *b)
{
    struct module m;
    const uint32_t *keep = NULL;
    if (read_module(s, &m) && m.expert >= 0 && (m.layer >= 0 || m.mtp))
        keep = keep_of(c, &m);
    if (keep && m.expert >= c->n_keep)
        return false;
    if (keep)
        buf_fmt(b, "%.*s%u%s", (int)(m.number - s), s, keep[m.expert], m.end);
    else
        buf_str(b, s);
    return true;
}

/* ---- values ---- */

static bool same_scalar(const struct check *c, uint32_t x, uint32_t y)
{
    const struct jnode *m = &c->a->nodes[x], *n = &c->b->nodes[y];
    double u, v;
    if (m->end - m->at == n->end - n->at && !memcmp(c->a->text + m->at, c->b->text + n->at, m->end - m->at))
        return true;
    if (m->kind == J_NUMBER)
        return jdoc_f64(c->a, x, &u) && jdoc_f64(c->b, y, &v) && u == v;
    if (m->kind != J_STRING)
        return false;
    struct buf a = {0}, b = {0};
    jdoc_str(c->a, x, &a);
    jdoc_str(c->b, y, &b);
    bool same = a.n == b.n && (a.n == 0 || !memcmp(a.s, b.s, a.n));
    buf_clear(&a);
    buf_clear(&b);
    return same;
}

static bool is_number(const struct jdoc *d, uint32_t node, uint64_t want)
{
    uint64_t n;
    return jdoc_u64(d, node, &n) && n == want;
}

static void compare(const struct check *c, uint32_t x, uint32_t y, bool foreign);

static void compare_scalar(const struct check *c, uint32_t x, uint32_t y)
{
    if (same_scalar(c, x, y))
        c->r->keys_same++;
    else
        differ(c, c->a, x, "has another value");
}

static void compare_count(const struct check *c, uint32_t x, uint32_t y, uint64_t was, uint64_t is)
{
    if (!is_number(c->a, x, was))
        compare_scalar(c, x, y);
    else if (is_number(c->b, y, is))
        c->r->keys_same++;
    else
        differ(c, c->a, x, "has another value");
}

/* A number of experts, or a list of them with other numbers between: what was the count is the new one. */
static void compare_counts(const struct check *c, uint32_t x, uint32_t y, enum hf_key key)
{
    const struct jnode *a = &c->a->nodes[x], *b = &c->b->nodes[y];
    bool list = a->kind == J_ARRAY;
    if (a->kind != b->kind || (list && a->n != b->n)) {
        differ(c, c->a, x, a->kind != b->kind ? "has another type" : "has another length");
        return;
    }
    uint32_t k = list ? b->first : y;
    for (uint32_t i = list ? a->first : x; i != JSPAN_NONE; i = list ? c->a->nodes[i].next : JSPAN_NONE) {
        uint64_t was = c->n_experts, is = c->n_keep;
        if (key == HF_KEY_MTP) {
            jdoc_u64(c->a, i, &was);
            is = 0;
        }
        compare_count(c, i, k, was, is);
        k = list ? c->b->nodes[k].next : k;
    }
}

static bool is_string(const struct jdoc *d, uint32_t node)
{
    return d->nodes[node].kind == J_STRING;
}

static bool element_stays(const struct check *c, uint32_t i)
{
    if (!is_string(c->a, i))
        return true;
    struct buf s = {0};
    jdoc_str(c->a, i, &s);
    bool yes = stays(c, s.s);
    buf_clear(&s);
    return yes;
}

static void compare_element(const struct check *c, uint32_t i, uint32_t k, bool foreign)
{
    if (!is_string(c->a, i) || !is_string(c->b, k)) {
        compare(c, i, k, foreign);
        return;
    }
    struct buf a = {0}, s = {0}, back = {0};
    jdoc_str(c->a, i, &a);
    jdoc_str(c->b, k, &s);
    if (hf_is_expert_pattern(s.s))
        differ(c, c->b, k, "is a pattern that spells an expert number, which cannot be counted anew");
    else if (!count_back(c, s.s, &back))
        differ(c, c->b, k, "names an expert that is not there");
    else if (!strcmp(back.s, s.s)) /* no name of an expert, or one that stays */
        compare_scalar(c, i, k);
    else if (strcmp(back.s, a.s) != 0)
        differ(c, c->a, i, "has another value");
    else
        c->r->keys_same++;
    buf_clear(&a);
    buf_clear(&s);
    buf_clear(&back);
}

static void compare_list(const struct check *c, uint32_t x, uint32_t y, bool foreign)
{
    uint32_t n = 0, k = c->b->nodes[y].first;
    for (uint32_t i = c->a->nodes[x].first; i != JSPAN_NONE; i = c->a->nodes[i].next)
        n += element_stays(c, i);
    if (n != c->b->nodes[y].n) {
        differ(c, c->a, x, "has another length");
        return;
    }
    for (uint32_t i = c->a->nodes[x].first; i != JSPAN_NONE; i = c->a->nodes[i].next) {
        if (!element_stays(c, i))
            continue;
        compare_element(c, i, k, foreign);
        k = c->b->nodes[k].next;
    }
}

/* ---- members ---- */

static bool free_to_differ(const struct jdoc *d, uint32_t node)
{
    return jdoc_key_is(d, node, "transformers_version") || jdoc_key_is(d, node, "_name_or_path");
}

static bool states_count(const struct check *c, uint32_t node)
{
    return (jdoc_key_is(c->b, node, "num_experts") || jdoc_key_is(c->b, node, "n_experts") ||
            jdoc_key_is(c->b, node, "num_local_experts")) &&
           is_number(c->b, node, c->n_keep);
}

static void compare_member(const struct check *c, uint32_t i, uint32_t k, bool foreign)
{
    bool number = c->a->nodes[i].kind == J_NUMBER || c->a->nodes[i].kind == J_ARRAY;
    enum hf_key key = c->counts && !foreign && number ? hf_key(c->a, i) : HF_KEY_OTHER;
    if (key == HF_KEY_COUNT || (key == HF_KEY_MTP && c->dropped))
        compare_counts(c, i, k, key);
    else
        compare(c, i, k, foreign || hf_is_foreign_object(c->a, i));
}

/* The member of object x of the parent's, looked for from `at` on and only then from the first: pruning keeps
 * the order, and there may be one for each tensor. */
static uint32_t find_member(const struct check *c, uint32_t x, uint32_t at, const char *key)
{
    for (uint32_t i = at; i != JSPAN_NONE; i = c->a->nodes[i].next)
        if (jdoc_key_is(c->a, i, key))
            return i;
    return jdoc_get(c->a, x, key);
}

/* Members of the result are those of the parent's that stay, counted back. */
static void pair_members(const struct check *c, uint32_t x, uint32_t y)
{
    struct buf key = {0}, back = {0};
    uint32_t at = c->a->nodes[x].first;
    for (uint32_t i = at; i != JSPAN_NONE; i = c->a->nodes[i].next)
        c->partner[i] = JSPAN_NONE;
    for (uint32_t k = c->b->nodes[y].first; k != JSPAN_NONE; k = c->b->nodes[k].next) {
        key.n = back.n = 0;
        jdoc_key(c->b, k, &key);
        if (hf_is_expert_pattern(key.s))
            differ(c, c->b, k, "is a pattern that spells an expert number, which cannot be counted anew");
        if (!count_back(c, key.s, &back))
            continue;
        uint32_t i = find_member(c, x, at, back.s);
        if (i == JSPAN_NONE)
            continue;
        at = c->a->nodes[i].next;
        if (!stays(c, back.s))
            continue;
        c->partner[i] = k;
        c->paired[k] = true;
    }
    buf_clear(&key);
    buf_clear(&back);
}

static bool member_stays(const struct check *c, uint32_t i)
{
    struct buf key = {0};
    jdoc_key(c->a, i, &key);
    bool yes = stays(c, key.s);
    buf_clear(&key);
    return yes;
}

static void compare_object(const struct check *c, uint32_t x, uint32_t y, bool foreign)
{
    pair_members(c, x, y);
    for (uint32_t i = c->a->nodes[x].first; i != JSPAN_NONE; i = c->a->nodes[i].next) {
        if (free_to_differ(c->a, i))
            continue;
        if (c->partner[i] != JSPAN_NONE)
            compare_member(c, i, c->partner[i], foreign); /* the parser has bounded the depth */
        else if (member_stays(c, i))
            differ(c, c->a, i, "is missing");
    }
    for (uint32_t k = c->b->nodes[y].first; k != JSPAN_NONE; k = c->b->nodes[k].next)
        if (!c->paired[k] && !free_to_differ(c->b, k) && !states_count(c, k))
            differ(c, c->b, k, "is not in the parent's");
}

/* foreign: inside of something that is not the language model. */
static void compare(const struct check *c, uint32_t x, uint32_t y, bool foreign)
{
    enum jkind a = c->a->nodes[x].kind, b = c->b->nodes[y].kind;
    if (a != b)
        differ(c, c->a, x, "has another type");
    else if (a == J_OBJECT)
        compare_object(c, x, y, foreign);
    else if (a == J_ARRAY)
        compare_list(c, x, y, foreign);
    else
        compare_scalar(c, x, y);
}

/* ---- the files ---- */

/* The index says how many bytes there are; which tensor is in which file was checked on opening. */
static void check_index(const struct view *pruned, struct verify_result *r)
{
    const char *text = view_hf(pruned)->index_metadata;
    struct jdoc d = {0};
    struct err e = {0};
    uint64_t n;
    if (text && jdoc_parse(&d, text, strlen(text), 0, NULL, false, &e) && d.nodes[0].kind == J_OBJECT &&
        jdoc_u64(&d, jdoc_get(&d, 0, "total_size"), &n) && n != pruned->bytes)
        verify_differ(r, "%s: 'metadata.total_size' is %llu, the tensors have %llu bytes",
                      view_hf(pruned)->layout->index, (unsigned long long)n,
                      (unsigned long long)pruned->bytes);
    jdoc_clear(&d);
}

static void check_file(const struct view *parent, const struct view *pruned, const struct plan *p,
                       uint32_t file, bool dropped, struct verify_result *r)
{
    const struct hf_json *a = &view_hf(parent)->json[file], *b = &view_hf(pruned)->json[file];
    struct check c = {.file = hf_json_name(view_hf(parent), file),
                      .a = &a->doc,
                      .b = &b->doc,
                      .counts = hf_json_counts(file),
                      .dropped = dropped,
                      .n_trunk = parent->n_blocks - parent->n_mtp,
                      .n_experts = parent->shape.n_experts,
                      .n_keep = p->n_keep,
                      .plan = p,
                      .r = r};
    if (!a->text || !b->text) {
        if (a->text || b->text)
            verify_differ(r, "%s %s", c.file, a->text ? "is missing" : "is not in the parent");
        return;
    }
    c.partner = xcalloc(a->doc.n_nodes, sizeof *c.partner);
    c.paired = xcalloc(b->doc.n_nodes, sizeof *c.paired);
    compare(&c, 0, 0, false);
    free(c.partner);
    free(c.paired);
}

void verify_hf(const struct view *parent, const struct view *pruned, const struct verify_of *o,
               struct verify_result *r)
{
    check_index(pruned, r);
    if (!o->plan)
        return; /* nobody knows the new numbers in the lists, and the counts were checked on opening */
    for (uint32_t i = 0; i < HF_N_JSON; i++)
        check_file(parent, pruned, o->plan, i, o->dropped, r);
}
