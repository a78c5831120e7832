/* jedit.c - edits of a JSON text by the places of its values (jspan.h): collected, put in order, made at
 * once. */
#include "base/jspan.h"
#include "base/mem.h"
#include "base/text.h"

#include <string.h>

static bool has_key(const struct jdoc *d, uint32_t node)
{
    return node < d->n_nodes && d->nodes[node].key_end > 0;
}

static void add_edit(struct jedits *x, size_t at, size_t end, char *with)
{
    GROW(x->v, x->n, x->cap);
    x->v[x->n++] = (struct jedit){at, end, with};
}

static char *json_str(const char *s)
{
    struct buf b = {0};
    buf_json_str(&b, s);
    return b.s;
}

static size_t start_of(const struct jnode *x)
{
    return x->key_end ? x->key_at : x->at;
}

void jedit_value(struct jedits *x, const struct jdoc *d, uint32_t node, const char *json)
{
    add_edit(x, d->nodes[node].at, d->nodes[node].end, xstrdup(json));
}

void jedit_key(struct jedits *x, const struct jdoc *d, uint32_t node, const char *key)
{
    if (!has_key(d, node))
        BUG("JSON node %u has no key", node);
    add_edit(x, d->nodes[node].key_at, d->nodes[node].key_end, json_str(key));
}

void jedit_string(struct jedits *x, const struct jdoc *d, uint32_t node, const char *s)
{
    add_edit(x, d->nodes[node].at, d->nodes[node].end, json_str(s));
}

void jedit_cut(struct jedits *x, const struct jdoc *d, uint32_t node)
{
    if (d->nodes[node].parent == JSPAN_NONE)
        BUG("the outermost JSON value cannot be cut");
    add_edit(x, start_of(&d->nodes[node]), d->nodes[node].end, NULL);
}

/* A comma and the white space that separates members: as in front of `after`, else as behind it, else as
 * behind the brace. */
static void add_gap(struct buf *b, const struct jdoc *d, uint32_t after)
{
    const struct jnode *a = &d->nodes[after];
    uint32_t prev = d->nodes[a->parent].first;
    while (prev != after && d->nodes[prev].next != after)
        prev = d->nodes[prev].next;
    size_t from, to;
    if (prev != after) {
        from = d->nodes[prev].end;
        to = a->key_at;
    } else if (a->next != JSPAN_NONE) {
        from = a->end;
        to = d->nodes[a->next].key_at;
    } else {
        from = d->nodes[a->parent].at + 1;
        to = a->key_at;
        buf_char(b, ',');
        if (from == to && a->at - a->key_end > 1) /* {"a": 1}: one line, with spaces */
            buf_char(b, ' ');
    }
    buf_add(b, d->text + from, to - from);
}

void jedit_add_after(struct jedits *x, const struct jdoc *d, uint32_t after, const char *key,
                     const char *json)
{
    if (!has_key(d, after))
        BUG("JSON node %u is not a member", after);
    const struct jnode *a = &d->nodes[after];
    struct buf b = {0};
    add_gap(&b, d, after);
    buf_json_str(&b, key);
    buf_add(&b, d->text + a->key_end, a->at - a->key_end); /* the colon in its style */
    buf_str(&b, json);
    add_edit(x, a->end, a->end, b.s);
}

/* What happens to text[at, end). */
struct change {
    size_t at, end, order;
    const char *with;
    bool cut;
};

struct changes {
    struct change *v;
    size_t n, cap;
};

static int by_place(const void *pa, const void *pb)
{
    const struct change *a = pa, *b = pb;
    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    bool ia = a->end == a->at, ib = b->end == b->at;
    if (ia != ib) /* an insertion belongs to what stands before it */
        return ia ? -1 : 1;
    if (a->end != b->end) /* what contains others first */
        return a->end > b->end ? -1 : 1;
    if (a->order == b->order)
        return 0;
    return (a->order < b->order) == ia ? -1 : 1; /* insertions as they came; of replacements the last */
}

/* The node that begins at this place. Nodes are in the order of the text. */
static uint32_t node_at(const struct jdoc *d, size_t at)
{
    uint32_t lo = 0, hi = d->n_nodes;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (start_of(&d->nodes[mid]) <= at)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

static void add_cut(struct changes *c, size_t at, size_t end)
{
    GROW(c->v, c->n, c->cap);
    c->v[c->n++] = (struct change){.at = at, .end = end, .cut = true};
}

/* The children of one container of which some are cut. A run of them goes with the comma before it, or, at
 * the start, with the one behind it; white space before the bracket stays. */
static void cut_children(struct changes *c, const struct jdoc *d, uint32_t container, const uint8_t *cut)
{
    const struct jnode *o = &d->nodes[container];
    uint32_t kept = JSPAN_NONE; /* the last one before i */
    for (uint32_t i = o->first; i != JSPAN_NONE;) {
        if (!cut[i]) {
            kept = i;
            i = d->nodes[i].next;
            continue;
        }
        uint32_t first = i, last = i;
        for (; i != JSPAN_NONE && cut[i]; i = d->nodes[i].next)
            last = i;
        if (kept != JSPAN_NONE)
            add_cut(c, d->nodes[kept].end, d->nodes[last].end);
        else if (i != JSPAN_NONE)
            add_cut(c, start_of(&d->nodes[first]), start_of(&d->nodes[i]));
        else
            add_cut(c, o->at + 1, o->end - 1);
    }
}

static void add_cuts(struct changes *c, const struct jdoc *d, const struct jedits *x)
{
    uint8_t *cut = xcalloc(d->n_nodes, 1), *seen = xcalloc(d->n_nodes, 1);
    for (size_t i = 0; i < x->n; i++)
        if (!x->v[i].with)
            cut[node_at(d, x->v[i].at)] = 1;
    for (size_t i = 0; i < x->n; i++) {
        uint32_t parent = x->v[i].with ? JSPAN_NONE : d->nodes[node_at(d, x->v[i].at)].parent;
        if (parent == JSPAN_NONE || seen[parent])
            continue;
        seen[parent] = 1;
        cut_children(c, d, parent, cut);
    }
    free(seen);
    free(cut);
}

void jedits_apply(struct jedits *x, const struct jdoc *d, struct buf *out)
{
    struct changes c = {0};
    for (size_t i = 0; i < x->n; i++) {
        if (!x->v[i].with)
            continue;
        GROW(c.v, c.n, c.cap);
        c.v[c.n++] = (struct change){x->v[i].at, x->v[i].end, i, x->v[i].with, false};
    }
    if (c.n < x->n)
        add_cuts(&c, d, x);
    if (c.n)
        qsort(c.v, c.n, sizeof *c.v, by_place);
    size_t pos = 0;
    bool in_cut = false; /* the text before pos was cut: what is added at its end goes, too */
    for (size_t i = 0; i < c.n; i++) {
        const struct change *v = &c.v[i];
        if (v->at < pos || (v->at == pos && in_cut && v->end == v->at))
            continue; /* inside of something that is replaced or cut */
        buf_add(out, d->text + pos, v->at - pos);
        if (v->with)
            buf_str(out, v->with);
        pos = v->end;
        in_cut = v->cut;
    }
    buf_add(out, d->text + pos, d->n - pos);
    free(c.v);
    jedits_clear(x);
}

void jedits_clear(struct jedits *x)
{
    for (size_t i = 0; i < x->n; i++)
        free(x->v[i].with);
    free(x->v);
    *x = (struct jedits){0};
}

/* How many bytes from here on stand for themselves. */
static size_t n_plain(const char *s)
{
    size_t n = 0;
    while ((unsigned char)s[n] >= 0x20 && s[n] != '"' && s[n] != '\\')
        n++;
    return n;
}

void buf_json_str(struct buf *b, const char *s)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    buf_char(b, '"');
    for (size_t n; n = n_plain(s), buf_add(b, s, n), *(s += n); s++) {
        const char *at = strchr(from, *s);
        if (at)
            buf_fmt(b, "\\%c", to[at - from]);
        else
            buf_fmt(b, "\\u%04x", (unsigned char)*s);
    }
    buf_char(b, '"');
}
