/* verify_hf.c - the JSON files of a pruned checkpoint against its parent's (see prune.h).
 *
 * Values are compared, not text: another tool may have written them anew. What a tool writes about itself
 * (transformers_version, _name_or_path) may differ; so may further keys that state the new count. */
#include "base/mem.h"
#include "model/view_hf.h"
#include "prune/prune.h"

#include <string.h>

struct pair {
    const char *file;
    const struct jdoc *want, *got;
    struct verify_result *r;
    uint64_t n_keep;
};

static void differ(const struct pair *p, const struct jdoc *d, uint32_t node, const char *what)
{
    struct buf b = {0};
    buf_fmt(&b, "%s: '", p->file);
    jdoc_path(d, node, &b);
    buf_fmt(&b, "' %s", what);
    verify_differ(p->r, "%s", b.s);
    buf_clear(&b);
}

static bool same_text(const struct jdoc *a, uint32_t x, const struct jdoc *b, uint32_t y)
{
    const struct jnode *m = &a->nodes[x], *n = &b->nodes[y];
    return m->end - m->at == n->end - n->at && !memcmp(a->text + m->at, b->text + n->at, m->end - m->at);
}

static bool same_scalar(const struct pair *p, uint32_t x, uint32_t y)
{
    double u, v;
    if (same_text(p->want, x, p->got, y))
        return true;
    if (p->want->nodes[x].kind == J_NUMBER)
        return jdoc_f64(p->want, x, &u) && jdoc_f64(p->got, y, &v) && u == v;
    struct buf a = {0}, b = {0};
    jdoc_str(p->want, x, &a);
    jdoc_str(p->got, y, &b);
    bool same = p->want->nodes[x].kind == J_STRING && a.n == b.n && (a.n == 0 || !memcmp(a.s, b.s, a.n));
    buf_clear(&a);
    buf_clear(&b);
    return same;
}

static bool free_to_differ(const struct jdoc *d, uint32_t node)
{
    return jdoc_key_is(d, node, "transformers_version") || jdoc_key_is(d, node, "_name_or_path");
}

static bool states_count(const struct pair *p, uint32_t node)
{
    uint64_t n;
    return (jdoc_key_is(p->got, node, "num_experts") || jdoc_key_is(p->got, node, "n_experts") ||
            jdoc_key_is(p->got, node, "num_local_experts")) &&
           jdoc_u64(p->got, node, &n) && n == p->n_keep;
}

static uint32_t member(const struct jdoc *d, uint32_t object, const struct jdoc *other, uint32_t node)
{
    struct buf key = {0};
    jdoc_key(other, node, &key);
    uint32_t found = jdoc_get(d, object, key.s ? key.s : "");
    buf_clear(&key);
    return found;
}

static void compare(const struct pair *p, uint32_t x, uint32_t y)
{
    const struct jnode *a = &p->want->nodes[x], *b = &p->got->nodes[y];
    if (a->kind != b->kind) {
        differ(p, p->want, x, "has another type");
    } else if (a->kind == J_OBJECT) {
        for (uint32_t i = a->first; i != JSPAN_NONE; i = p->want->nodes[i].next) {
            uint32_t k = member(p->got, y, p->want, i);
            if (free_to_differ(p->want, i))
                continue;
            if (k == JSPAN_NONE)
                differ(p, p->want, i, "is missing");
            else
                compare(p, i, k); /* the parser has bounded the depth */
        }
        for (uint32_t k = b->first; k != JSPAN_NONE; k = p->got->nodes[k].next)
            if (member(p->want, x, p->got, k) == JSPAN_NONE && !free_to_differ(p->got, k) &&
                !states_count(p, k))
                differ(p, p->got, k, "is not in the parent's");
    } else if (a->kind == J_ARRAY) {
        if (a->n != b->n) {
            differ(p, p->want, x, "has another length");
            return;
        }
        for (uint32_t i = a->first, k = b->first; i != JSPAN_NONE; i = p->want->nodes[i].next) {
            compare(p, i, k);
            k = p->got->nodes[k].next;
        }
    } else if (!same_scalar(p, x, y)) {
        differ(p, p->want, x, "has another value");
    } else {
        p->r->keys_same++;
    }
}

static void check_file(const struct view *parent, const struct plan *plan, const struct hf_checkpoint *old,
                       const struct hf_checkpoint *new, uint32_t file, bool dropped, struct verify_result *r)
{
    const struct hf_json *a = &old->json[file], *b = &new->json[file];
    const char *name = hf_files_at(file)->name;
    struct err e = {0};
    struct buf want = {0};
    struct jdoc doc = {0};
    if (!a->text && !b->text)
        return;
    if (!a->text != !b->text) {
        verify_differ(r, "%s %s", name, a->text ? "is missing" : "is not in the parent");
        return;
    }
    if (prune_edit_json(parent, plan, a, file == HF_CONFIG, dropped, &want, &e) &&
        jdoc_parse(&doc, want.s, want.n, 0, NULL, true, &e)) {
        struct pair p = {name, &doc, &b->doc, r, plan->n_keep};
        compare(&p, 0, 0);
    } else {
        verify_differ(r, "%s: %.200s", name, e.msg);
    }
    jdoc_clear(&doc);
    buf_clear(&want);
}

void verify_hf(const struct view *parent, const struct view *pruned, const struct plan *p, bool dropped,
               struct verify_result *r)
{
    const struct hf_checkpoint *a = view_hf(parent), *b = view_hf(pruned);
    if (!p)
        return; /* nobody knows the new numbers in the lists, and the counts were checked on opening */
    for (uint32_t i = 0; i < HF_N_JSON; i++)
        check_file(parent, p, a, b, i, dropped, r);
}
