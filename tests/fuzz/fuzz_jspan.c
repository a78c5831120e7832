/* fuzz_jspan.c - any bytes as JSON, and edits of it.
 *
 * Parsing succeeds exactly when the error is empty, and agrees with jansson but for what jspan.h allows and
 * jansson does not (numbers of any size, halves of surrogate pairs) and for its limit of depth. Then a
 * container is edited: members are cut, added and replaced as the input's hash says. The result is JSON, the
 * container has the members that it must have, in order, and what was not meant is unchanged. */
#include "base/json.h"
#include "base/jspan.h"
#include "json_mutator.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static uint32_t seed;

static uint32_t pick(uint32_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static void compare_with_jansson(const char *s, size_t n, bool ok, const struct err *e)
{
    json_error_t je;
    json_t *v = json_loadb(s, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &je);
    if (v && !ok && !memchr(s, 0, n)) /* jansson swallows a NUL behind a number */
        must(strstr(e->msg, "at most 64 lists and objects") != NULL);
    if (!v && ok)
        must(json_error_code(&je) == json_error_numeric_overflow || strstr(je.text, "invalid Unicode"));
    json_decref(v);
}

/* Strings decode to UTF-8 without NUL; every node has a path. */
static void ask(const struct jdoc *d)
{
    for (uint32_t i = 0; i < d->n_nodes && i < 200; i++) {
        struct buf b = {0};
        double f;
        if (d->nodes[i].kind == J_STRING) {
            jdoc_str(d, i, &b);
            must(strlen(b.s) == b.n && jdoc_str_is(d, i, b.s));
        }
        b.n = 0;
        if (d->nodes[i].key_end) {
            jdoc_key(d, i, &b);
            must(strlen(b.s) == b.n && jdoc_get(d, d->nodes[i].parent, b.s) == i);
        }
        must(jdoc_f64(d, i, &f) == (d->nodes[i].kind == J_NUMBER));
        b.n = 0;
        jdoc_path(d, i, &b);
        must(b.n > 0);
        buf_clear(&b);
    }
}

enum act { LEFT, CUT, REPLACED, ADDED };

static bool same_text(const struct jdoc *a, uint32_t i, const struct jdoc *b, uint32_t k)
{
    size_t n = a->nodes[i].end - a->nodes[i].at;
    return n == b->nodes[k].end - b->nodes[k].at &&
           memcmp(a->text + a->nodes[i].at, b->text + b->nodes[k].at, n) == 0;
}

static void edit(const struct jdoc *d, uint32_t container)
{
    struct jedits x = {0};
    struct buf out = {0};
    struct jdoc r = {0};
    struct err e = {0};
    const struct jnode *o = &d->nodes[container];
    enum act *act = calloc(o->n + 1, sizeof *act);
    must(act != NULL);
    bool may_add = o->kind == J_OBJECT && jdoc_get(d, container, "reap\"added") == JSPAN_NONE, added = false;
    uint32_t n = o->n, k = 0;
    for (uint32_t i = o->first; i != JSPAN_NONE; i = d->nodes[i].next, k++) {
        act[k] = pick(4);
        if (act[k] == ADDED && (!may_add || added))
            act[k] = LEFT;
        if (act[k] == CUT) {
            jedit_cut(&x, d, i);
            n--;
            if (d->nodes[i].n) /* goes with it */
                jedit_cut(&x, d, d->nodes[i].first);
        } else if (act[k] == REPLACED) {
            jedit_string(&x, d, i, "n\xc3\xa9w\n");
        } else if (act[k] == ADDED) {
            jedit_add_after(&x, d, i, "reap\"added", "[0]");
            added = true;
            n++;
        }
    }
    jedits_apply(&x, d, &out);
    if (!jdoc_parse(&r, out.s, out.n, 0, NULL, true, &e))
        abort();
    const struct jnode *p = &r.nodes[container]; /* what stands before it has not changed */
    must(p->n == n && p->kind == o->kind);
    uint32_t at = p->first;
    k = 0;
    for (uint32_t i = o->first; i != JSPAN_NONE; i = d->nodes[i].next, k++) {
        if (act[k] == CUT)
            continue;
        must(act[k] == REPLACED ? jdoc_str_is(&r, at, "n\xc3\xa9w\n") : same_text(d, i, &r, at));
        at = r.nodes[at].next;
        if (act[k] == ADDED) {
            must(jdoc_key_is(&r, at, "reap\"added"));
            at = r.nodes[at].next;
        }
    }
    must(at == JSPAN_NONE);
    must(memcmp(out.s, d->text, o->at + 1) == 0);
    size_t tail = d->n - o->end;
    must(out.n - p->end == tail && memcmp(out.s + p->end, d->text + o->end, tail) == 0);
    free(act);
    buf_clear(&out);
    jdoc_clear(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *s = (const char *)data;
    struct jdoc d = {0};
    struct err e = {0};
    bool ok = jdoc_parse(&d, s, size, 0, NULL, false, &e);
    must(ok == (e.code == ERR_NONE) && ok == !e.msg[0]);
    compare_with_jansson(s, size, ok, &e);
    seed = (uint32_t)size;
    for (size_t i = 0; i < size; i++)
        seed = (seed ^ data[i]) * 16777619u;
    if (!ok)
        ok = jdoc_parse(&d, s, size, 0, NULL, true, &(struct err){0}); /* Python's numbers */
    if (ok) {
        ask(&d);
        for (int i = 0; i < 3; i++) {
            uint32_t c = pick(d.n_nodes);
            if (d.nodes[c].kind == J_ARRAY || d.nodes[c].kind == J_OBJECT)
                edit(&d, c);
        }
    }
    jdoc_clear(&d);
    return 0;
}
