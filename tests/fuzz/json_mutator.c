/* json_mutator.c - changes JSON as JSON: bytes that are changed one by one seldom get behind a parser.
 *
 * A document is looked for anywhere in the input, so lines of JSON, files with a separator between them and a stream
 * of events are changed in the same way. One value of it is left out, doubled, exchanged for another one of the
 * input or for one of another type, a number becomes one at an edge, a text is changed by libFuzzer, a key becomes
 * another one; and what no tree of jansson can hold (a key twice, numbers beyond all types, half a surrogate pair,
 * 300 lists in each other, bad UTF-8) is put into the text. One call in eight leaves all to libFuzzer, one in two where most is no JSON. */
#include "json_mutator.h"
#include "base/buf.h"
#include "base/rng.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DOCS  64
#define MAX_TRIES 32 /* places where a document may begin */
#define MAX_NODES 4096
#define MARK      "\x01mark"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

struct doc {
    size_t at, end;
};

/* A value and where it hangs. */
struct node {
    json_t *parent, *v;
    const char *key; /* of an object */
    size_t i;        /* of a list */
};

struct nodes {
    struct node v[MAX_NODES];
    size_t n;
};

static struct nodes nodes, others;

static json_t *parse_at(const uint8_t *data, size_t size, size_t at, size_t *end)
{
    json_error_t e;
    json_t *v = json_loadb((const char *)data + at, size - at, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, &e);
    *end = v ? at + (size_t)e.position : at;
    return v;
}

/* One of the documents in the input, by chance. NULL: there is none, or the bytes have their turn. */
static json_t *pick_doc(const uint8_t *data, size_t size, struct rng *r, struct doc *d)
{
    static struct doc docs[MAX_DOCS];
    size_t n = 0, tries = 0, inside = 0;
    for (size_t at = 0; at < size && n < MAX_DOCS && tries < MAX_TRIES; at++) {
        if (data[at] != '{' && data[at] != '[')
            continue;
        tries++;
        size_t end;
        json_t *v = parse_at(data, size, at, &end);
        if (!v)
            continue;
        json_decref(v);
        docs[n++] = (struct doc){at, end};
        inside += end - at;
        at = end - 1;
    }
    if (!n || !rng_below(r, inside > size / 2 ? 8 : 2))
        return NULL;
    *d = docs[rng_below(r, n)];
    return parse_at(data, size, d->at, &d->end);
}

static void collect(struct nodes *x, json_t *parent, json_t *v, const char *key, size_t i)
{
    const char *k;
    json_t *m;
    size_t j;
    if (x->n == MAX_NODES)
        return;
    x->v[x->n++] = (struct node){parent, v, key, i};
    json_array_foreach (v, j, m)
        collect(x, v, m, NULL, j);
    json_object_foreach (v, k, m)
        collect(x, v, m, k, 0);
}

/* Steals v. The root is exchanged in place. */
static void put(json_t **root, const struct node *at, json_t *v)
{
    if (!at->parent) {
        json_decref(*root);
        *root = v;
    } else if (at->key) {
        json_object_set_new_nocheck(at->parent, at->key, v);
    } else {
        json_array_set_new(at->parent, at->i, v);
    }
}

static json_t *edge_number(struct rng *r, const json_t *old)
{
    static const json_int_t edges[] = {0,         -1,        1,         2,         3,          127,
                                       255,       256,       1023,      4096,      65535,      65536,
                                       1000000,   INT32_MAX, INT32_MIN, 1ll << 31, UINT32_MAX, 1ll << 32,
                                       1ll << 53, INT64_MAX, INT64_MIN};
    static const double reals[] = {
        0.0, -0.0, 0.5, 1.0, -1.5, 1e-320, 1e308, -1e308, 2147483648.0, 9007199254740993.0, 1e19};
    json_int_t was = json_integer_value(old);
    switch (rng_below(r, 5)) {
    case 0: return json_integer(was < INT64_MAX ? was + 1 : 0);
    case 1: return json_integer(was > INT64_MIN ? was - 1 : 0);
    case 2: return json_real(reals[rng_below(r, sizeof reals / sizeof *reals)]);
    case 3: return json_integer((json_int_t)rng_below(r, 40));
    default: return json_integer(edges[rng_below(r, sizeof edges / sizeof *edges)]);
    }
}

static json_t *changed_text(struct rng *r, const char *s)
{
    char b[600];
    size_t n = strlen(s), end;
    n = n < 500 ? n : 500;
    memcpy(b, s, n);
    n = LLVMFuzzerMutate((uint8_t *)b, n ? n : 1, sizeof b - 1);
    for (end = 0; end < n; end++) /* what is no ASCII would be refused; bad UTF-8 is tried elsewhere */
        if ((b[end] & 0x80) || !b[end])
            b[end] = (char)('a' + (int)rng_below(r, 26));
    return json_stringn(b, n);
}

static json_t *other_type(struct rng *r, json_t *old)
{
    switch (rng_below(r, 9)) {
    case 0: return json_null();
    case 1: return json_boolean((int)rng_below(r, 2));
    case 2: return edge_number(r, old);
    case 3: return json_string("");
    case 4: return json_array();
    case 5: return json_object();
    case 6: return json_pack("[O]", old);
    case 7: return json_pack("{s:O}", "text", old);
    default: return json_string("17");
    }
}

/* A text that jansson does not write, in the place of a value. */
static void raw_text(struct rng *r, struct buf *b)
{
    static const char *const odd[] = {"1e999",
                                      "-1e999",
                                      "NaN",
                                      "Infinity",
                                      "99999999999999999999",
                                      "-9223372036854775809",
                                      "1E-999",
                                      "0.1e1",
                                      "-0",
                                      "01",
                                      "\"\\ud800\"",
                                      "\"\\udc00\\ud800\"",
                                      "\"\\u0000\"",
                                      "\"\xff\"",
                                      "\"\xed\xa0\x80\"",
                                      "\"\xe2\x80\xae\x7f\"",
                                      "\"\\u202e\\u009b\"",
                                      "{\"a\":1,\"a\":2}",
                                      "{\"\":0}",
                                      "[1,]",
                                      "tru",
                                      "'x'",
                                      "// x",
                                      ""};
    if (rng_below(r, 6)) {
        buf_str(b, odd[rng_below(r, sizeof odd / sizeof *odd)]);
        return;
    }
    uint64_t n = 1 + rng_below(r, 300);
    bool list = rng_below(r, 2);
    for (uint64_t i = 0; i < n; i++)
        buf_str(b, list ? "[" : "{\"a\":");
    buf_str(b, "0");
    for (uint64_t i = 0; i < n; i++)
        buf_char(b, list ? ']' : '}');
}

static void rename_key(struct rng *r, const struct node *at)
{
    const struct node *from = &nodes.v[rng_below(r, nodes.n)];
    json_t *v = json_incref(at->v);
    char key[300];
    snprintf(key, sizeof key, "%s",
             from->key                 ? from->key
             : json_is_string(from->v) ? json_string_value(from->v)
                                       : "x");
    bool keep = rng_below(r, 2);
    if (!keep)
        json_object_del(at->parent, at->key);
    json_object_set_new_nocheck(at->parent, key, json_deep_copy(v));
    json_decref(v);
}

static void leave_out(const struct node *at)
{
    if (at->key)
        json_object_del(at->parent, at->key);
    else
        json_array_remove(at->parent, at->i);
}

static void double_entry(struct rng *r, const struct node *at)
{
    uint64_t n = rng_below(r, 8) ? 1 : 1 + rng_below(r, 300);
    if (at->key) {
        rename_key(r, at);
        return;
    }
    for (uint64_t i = 0; i < n; i++)
        json_array_insert_new(at->parent, rng_below(r, json_array_size(at->parent) + 1),
                              json_deep_copy(at->v));
}

/* A value of another, unless it would then hold itself. */
static json_t *copy_of_another(struct rng *r, const struct nodes *from)
{
    return json_deep_copy(from->v[rng_below(r, from->n)].v);
}

static void change(struct rng *r, json_t **root, bool *marked)
{
    nodes.n = 0;
    collect(&nodes, NULL, *root, NULL, 0);
    const struct node at = nodes.v[rng_below(r, nodes.n)];
    uint64_t what = rng_below(r, 12);
    if (what < 2 && at.parent)
        leave_out(&at);
    else if (what < 4 && at.parent)
        double_entry(r, &at);
    else if (what == 4 && at.key)
        rename_key(r, &at);
    else if (what < 6)
        put(root, &at, copy_of_another(r, &nodes));
    else if (what == 6)
        put(root, &at, other_type(r, at.v));
    else if (what == 7) {
        put(root, &at, json_string(MARK));
        *marked = true;
    } else if (json_is_string(at.v))
        put(root, &at, changed_text(r, json_string_value(at.v)));
    else if (json_is_number(at.v))
        put(root, &at, edge_number(r, at.v));
    else if (json_array_size(at.v))
        json_array_remove(at.v, rng_below(r, json_array_size(at.v)));
    else
        put(root, &at, other_type(r, at.v));
}

static void print(struct rng *r, const json_t *root, bool marked, struct buf *b)
{
    char *s = json_dumps(root,
                         JSON_ENCODE_ANY | JSON_REAL_PRECISION(17) | (rng_below(r, 2) ? JSON_COMPACT : 0)),
         *mark;
    if (!s)
        return;
    mark = marked ? strstr(s, "\"\\u0001mark\"") : NULL;
    buf_add(b, s, mark ? (size_t)(mark - s) : strlen(s));
    if (mark) {
        raw_text(r, b);
        buf_str(b, mark + strlen("\"\\u0001mark\""));
    }
    free(s);
}

/* The input with the document exchanged; 0: it does not fit. */
static size_t splice(const uint8_t *data, size_t size, const struct doc *d, const struct buf *b, uint8_t *out,
                     size_t max)
{
    size_t rest = size - d->end;
    if (!b->n || d->at + b->n + rest > max)
        return 0;
    uint8_t *tail = malloc(rest + 1);
    if (!tail)
        return 0;
    memcpy(tail, data + d->end, rest);
    memmove(out, data, d->at);
    memcpy(out + d->at, b->s, b->n);
    memcpy(out + d->at + b->n, tail, rest);
    free(tail);
    return d->at + b->n + rest;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    struct rng r = {seed};
    struct doc d;
    json_t *root = pick_doc(data, size, &r, &d);
    if (!root)
        return LLVMFuzzerMutate(data, size, max);
    bool marked = false;
    struct buf b = {0};
    for (uint64_t n = 1 + rng_below(&r, 3); n; n--)
        change(&r, &root, &marked);
    print(&r, root, marked, &b);
    size_t n = splice(data, size, &d, &b, data, max);
    buf_clear(&b);
    json_decref(root);
    return n ? n : LLVMFuzzerMutate(data, size, max);
}

/* A value of the second input in the place of one of the first. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t na, const uint8_t *b, size_t nb, uint8_t *out,
                                 size_t max, unsigned seed)
{
    struct rng r = {seed};
    struct doc d, from;
    size_t n = 0;
    json_t *x = pick_doc(a, na, &r, &d), *y = x ? pick_doc(b, nb, &r, &from) : NULL;
    if (y) {
        struct buf text = {0};
        nodes.n = others.n = 0;
        collect(&nodes, NULL, x, NULL, 0);
        collect(&others, NULL, y, NULL, 0);
        put(&x, &nodes.v[rng_below(&r, nodes.n)], copy_of_another(&r, &others));
        print(&r, x, false, &text);
        n = splice(a, na, &d, &text, out, max);
        buf_clear(&text);
    }
    json_decref(x);
    json_decref(y);
    return n;
}
