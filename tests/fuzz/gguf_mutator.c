/* gguf_mutator.c - changes GGUF files as such: bytes that are changed one by one seldom leave a header that fits
 * together.
 *
 * A file that can be read is taken apart into keys and tensors. A key gets another value, kind, name or length, is
 * left out or doubled; a tensor another dimension, type, name or offset; and all is written again with offsets that
 * fit and as much data as they ask for, if the fuzzer's limit has room (zeros: no reader looks at it). One call in
 * four, and what cannot be read, is left to libFuzzer. */
#include "gguf_mutator.h"
#include "base/buf.h"
#include "base/rng.h"
#include "gguf/gguf_file.h"

#include <stdlib.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

struct change { /* what becomes of one key or tensor */
    uint64_t at;
    unsigned how;
};

static uint64_t edge(struct rng *r)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     2,
                                     3,
                                     7,
                                     31,
                                     32,
                                     255,
                                     256,
                                     1u << 20,
                                     INT32_MAX,
                                     UINT32_MAX,
                                     INT64_MAX,
                                     UINT64_MAX,
                                     (uint64_t)1 << 32,
                                     0x7fc00000 /* NaN */,
                                     0x7f800000 /* inf */,
                                     0xbf800000 /* -1 */};
    return rng_below(r, 3) ? edges[rng_below(r, sizeof edges / sizeof *edges)]
                           : rng_next(r) >> rng_below(r, 64);
}

static void put_le(struct buf *b, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        buf_char(b, (char)(unsigned char)(v >> (8 * i)));
}

static void put_name(struct buf *b, const char *name)
{
    buf_u64le(b, strlen(name));
    buf_str(b, name);
}

/* A value of any kind that is no list. */
static void put_value(struct buf *b, struct rng *r, enum gg_kind kind)
{
    static const unsigned char bytes[GG_N_KINDS] = {1, 1, 2, 2, 4, 4, 4, 0, 0, 0, 8, 8, 8};
    static const char *const words[] = {"",   "none",   "linear", "yarn",   "llama", "gpt2",
                                        "t5", "gemma4", "glm4",   "<0x0A>", "a",     "\xff"};
    if (kind == GG_STR)
        put_name(b, words[rng_below(r, sizeof words / sizeof *words)]);
    else if (kind == GG_BOOL)
        put_le(b, rng_below(r, 2), 1);
    else
        put_le(b, edge(r), bytes[kind]);
}

static enum gg_kind scalar_kind(struct rng *r)
{
    enum gg_kind k = (enum gg_kind)rng_below(r, GG_N_KINDS);
    return k == GG_ARR ? GG_U32 : k;
}

static void put_changed_key(struct buf *b, const struct gg_key *k, const struct gg_file *f, struct rng *r,
                            unsigned how)
{
    const struct gg_part *p = &f->parts[0];
    enum gg_kind kind = how == 0 ? (k->kind == GG_ARR ? k->elem : k->kind) : scalar_kind(r);
    if (kind == GG_ARR)
        kind = GG_U32;
    if (how == 2) { /* a list */
        uint64_t n = rng_below(r, 6);
        put_name(b, k->name);
        buf_u32le(b, GG_ARR);
        buf_u32le(b, (uint32_t)kind);
        buf_u64le(b, n);
        while (n--)
            put_value(b, r, kind);
        return;
    }
    if (how == 3) { /* the value of one under the name of another */
        const struct gg_key *from = &p->keys[rng_below(r, p->n_keys)];
        size_t head = 8 + strlen(from->name);
        put_name(b, k->name);
        buf_add(b, from->raw + head, from->raw_bytes - head);
        return;
    }
    put_name(b, k->name);
    buf_u32le(b, (uint32_t)kind);
    put_value(b, r, kind);
}

static uint64_t put_keys(struct buf *b, const struct gg_file *f, struct rng *r, const struct change *c)
{
    const struct gg_part *p = &f->parts[0];
    uint64_t n = 0;
    for (uint64_t i = 0; i < p->n_keys; i++) {
        if (i != c->at || c->how == 5)
            gg_put_raw(b, &p->keys[i]);
        if (i == c->at && c->how != 4)
            put_changed_key(b, &p->keys[i], f, r, c->how == 5 ? 3 : c->how);
        n += i != c->at ? 1 : c->how == 4 ? 0 : c->how == 5 ? 2 : 1;
    }
    return n;
}

static void change_tensor(struct gg_tensor *t, const struct gg_file *f, struct rng *r, unsigned how)
{
    switch (how) {
    case 0: t->ne[rng_below(r, t->n_dims)] = edge(r); break;
    case 1: t->type = (uint32_t)rng_below(r, rng_below(r, 4) ? GG_N_TYPES : GG_LAST_TYPE + 1); break;
    case 2: t->n_dims = 1 + (uint32_t)rng_below(r, 5); break;
    case 3: t->name = f->tensors[rng_below(r, f->n_tensors)].name; break;
    default: t->ne[rng_below(r, t->n_dims)] += rng_below(r, 2) ? 1 : UINT64_MAX; break;
    }
    if (t->n_dims > 4)
        t->n_dims = 4;
}

static uint64_t size_of(const struct gg_tensor *t)
{
    const struct gg_type *y = gg_type_get(t->type);
    uint64_t n;
    return y && gg_type_size(y, t->ne, &n) ? n : 0;
}

static void put_tensors(struct buf *b, const struct gg_file *f, struct rng *r, const struct change *c,
                        uint64_t *data)
{
    uint64_t off = 0, align = f->parts[0].alignment;
    for (uint64_t i = 0; i < f->n_tensors; i++) {
        struct gg_tensor t = f->tensors[i];
        if (i == c->at)
            change_tensor(&t, f, r, c->how);
        gg_put_tensor(b, t.name, t.n_dims, t.ne, t.type, i == c->at && c->how == 5 ? edge(r) : off);
        off += gg_align(size_of(&t), align);
    }
    if (f->n_tensors)
        gg_pad(b, align);
    *data = off;
}

static size_t rewrite(const struct gg_file *f, struct rng *r, uint8_t *out, size_t max)
{
    const struct gg_part *p = &f->parts[0];
    struct change key = {UINT64_MAX, (unsigned)rng_below(r, 6)},
                  tensor = {UINT64_MAX, (unsigned)rng_below(r, 6)};
    if (p->n_keys && (!f->n_tensors || rng_below(r, 3)))
        key.at = rng_below(r, p->n_keys);
    else if (f->n_tensors)
        tensor.at = rng_below(r, f->n_tensors);
    struct buf keys = {0}, b = {0};
    uint64_t data, n = put_keys(&keys, f, r, &key);
    gg_put_start(&b, p->version, f->n_tensors, n);
    if (keys.n)
        buf_add(&b, keys.s, keys.n);
    buf_clear(&keys);
    put_tensors(&b, f, r, &tensor, &data);
    size_t size = b.n <= max ? b.n : 0;
    if (size) {
        memcpy(out, b.s, size);
        uint64_t more = data < max - size ? data : max - size;
        memset(out + size, 0, (size_t)more);
        size += (size_t)more;
    }
    buf_clear(&b);
    return size;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    struct rng r = {seed};
    struct err e = {0};
    struct gg_file f;
    uint8_t *copy = rng_below(&r, 4) && size ? malloc(size) : NULL;
    size_t n = 0;
    if (copy) {
        memcpy(copy, data, size);
        if (gg_parse(copy, size, size, &f, &e)) {
            n = rewrite(&f, &r, data, max);
            gg_clear(&f);
        }
    }
    free(copy);
    return n ? n : LLVMFuzzerMutate(data, size, max);
}
