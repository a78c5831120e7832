/* safetensors.c - the header of one safetensors file, read and written.
 *
 * The format: https://github.com/huggingface/safetensors, README ("Format") and Metadata::validate of its
 * Rust source, whose rules on ranges are taken over: sorted by (begin, end), each tensor begins where the one
 * before it ends, the last ends with the file. Stricter than the library: names stand once and hold no
 * control characters, an entry is an object, the product of the dimensions that are not 0 fits 64 bits even
 * if another is 0. What is refused beyond that: more than HF_MAX_DIMS dimensions, an entry of more than
 * MAX_ENTRY bytes. */
#include "base/mem.h"
#include "base/text.h"
#include "hf/checkpoint.h"
#include "hf/members.h"

#include <math.h>
#include <string.h>

#define MAX_ENTRY    (64u << 10) /* bytes of one entry's text; real ones have about 100 */
#define MAX_METADATA (16u << 20) /* bytes of __metadata__; trainers put whole logs there */

static const struct hf_dtype dtypes[] = {
    {"BOOL", 8}, {"U8", 8},          {"I8", 8},          {"F8_E4M3", 8}, {"F8_E5M2", 8}, {"F8_E8M0", 8},
    {"F4", 4},   {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"I16", 16},
    {"U16", 16}, {"F16", 16},        {"BF16", 16},       {"I32", 32},    {"U32", 32},    {"F32", 32},
    {"C64", 64}, {"I64", 64},        {"U64", 64},        {"F64", 64},
};

const struct hf_dtype *hf_dtype_find(const char *name)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (!strcmp(dtypes[i].name, name))
            return &dtypes[i];
    return NULL;
}

/* ---- reading ---- */

struct parser {
    struct members m;
    struct jdoc doc;
    struct buf scratch;
    uint64_t data_bytes;
    struct hf_tensor *tensors;
    uint64_t n, cap;
    char *metadata;
    struct err *e;
};

/* A member of the entry that is `kind`, or JSPAN_NONE with the error set. */
static uint32_t member(struct parser *p, const char *key, enum jkind kind, const char *expected)
{
    uint32_t node = jdoc_get(&p->doc, 0, key);
    if (node != JSPAN_NONE && p->doc.nodes[node].kind == kind)
        return node;
    err_set(p->e, ERR_INPUT, "%s is %s, expected %s", key, jdoc_kind_name(&p->doc, node), expected);
    return JSPAN_NONE;
}

/* Whole numbers of an array; at most max of them. */
static bool read_numbers(struct parser *p, uint32_t array, const char *key, uint64_t *out, uint32_t max,
                         uint32_t *n)
{
    const struct jdoc *d = &p->doc;
    *n = 0;
    for (uint32_t i = d->nodes[array].first; i != JSPAN_NONE; i = d->nodes[i].next, ++*n) {
        const struct jnode *v = &d->nodes[i];
        if (*n == max)
            return err_set(p->e, ERR_INPUT, "%s has %u numbers, expected at most %u", key, d->nodes[array].n,
                           max);
        if (!jdoc_u64(d, i, &out[*n])) {
            size_t len = v->end - v->at;
            return err_set(p->e, ERR_INPUT, "%s holds %.*s%s, expected whole numbers from 0 to 2^64 - 1", key,
                           (int)(len < 40 ? len : 40), d->text + v->at, len > 40 ? "..." : "");
        }
    }
    return true;
}

static bool read_dtype(struct parser *p, struct hf_tensor *t)
{
    uint32_t node = member(p, "dtype", J_STRING, "a string");
    if (node == JSPAN_NONE)
        return false;
    p->scratch.n = 0;
    jdoc_str(&p->doc, node, &p->scratch);
    const char *s = p->scratch.s ? p->scratch.s : "";
    char shown[2 * TEXT_SHOWN];
    if (strlen(s) == p->scratch.n)
        t->dtype = hf_dtype_find(s);
    return t->dtype ||
           err_set(p->e, ERR_INPUT, "dtype '%s' is not known", text_shown(shown, sizeof shown, s));
}

static bool count_bytes(struct parser *p, struct hf_tensor *t)
{
    uint64_t n = 1, bits;
    bool zero = false;
    for (uint32_t i = 0; i < t->n_dims; i++)
        if (t->dims[i] == 0)
            zero = true;
        else if (!mul_u64(n, t->dims[i], &n))
            return err_set(p->e, ERR_INPUT, "its shape has more elements than 64 bits can count");
    if (zero)
        n = 0;
    if (!mul_u64(n, t->dtype->bits, &bits))
        return err_set(p->e, ERR_INPUT, "%llu elements of %s are more bits than 64 bits can count",
                       (unsigned long long)n, t->dtype->name);
    if (bits % 8)
        return err_set(p->e, ERR_INPUT, "%llu elements of %u bits (%s) are no whole number of bytes",
                       (unsigned long long)n, t->dtype->bits, t->dtype->name);
    t->bytes = bits / 8;
    return true;
}

/* off: still from the start of the data. */
static bool read_offsets(struct parser *p, struct hf_tensor *t)
{
    uint32_t n, node = member(p, "data_offsets", J_ARRAY, "[begin, end]");
    uint64_t v[2];
    if (node == JSPAN_NONE || !read_numbers(p, node, "data_offsets", v, 2, &n))
        return false;
    if (n != 2)
        return err_set(p->e, ERR_INPUT, "data_offsets has %u numbers, expected 2", n);
    unsigned long long begin = v[0], end = v[1];
    if (begin > end)
        return err_set(p->e, ERR_INPUT, "data_offsets ends at %llu, before it begins at %llu", end, begin);
    if (end - begin != t->bytes)
        return err_set(p->e, ERR_INPUT, "data_offsets spans %llu bytes, expected %llu by shape and dtype",
                       end - begin, (unsigned long long)t->bytes);
    if (end > p->data_bytes)
        return err_set(p->e, ERR_INPUT,
                       "its data ends at byte %llu, the file holds %llu bytes of data: is it complete?", end,
                       (unsigned long long)p->data_bytes);
    t->off = begin;
    return true;
}

/* Fields that we do not know are dropped, but 1e999 in one of them stops the library. */
static bool check_other_fields(struct parser *p)
{
    const struct jdoc *d = &p->doc;
    double v;
    for (uint32_t i = 0; d->nodes[0].n > 3 && i < d->n_nodes; i++)
        if (d->nodes[i].kind == J_NUMBER && (!jdoc_f64(d, i, &v) || !isfinite(v)))
            return err_set(p->e, ERR_INPUT, "a number of its entry is too large for float64");
    return true;
}

static bool read_entry(struct parser *p, struct hf_tensor *t)
{
    if (!members_value(&p->m, MAX_ENTRY))
        return false;
    if (p->doc.nodes[0].kind != J_OBJECT)
        return err_set(p->e, ERR_INPUT, "its entry is %s, expected an object", jdoc_kind_name(&p->doc, 0));
    if (!check_other_fields(p))
        return false;
    uint32_t shape;
    return read_dtype(p, t) && (shape = member(p, "shape", J_ARRAY, "an array")) != JSPAN_NONE &&
           read_numbers(p, shape, "shape", t->dims, HF_MAX_DIMS, &t->n_dims) && count_bytes(p, t) &&
           read_offsets(p, t);
}

static struct hf_tensor *add_tensor(struct parser *p)
{
    struct hf_tensor *t =
        grow_try(p->tensors, p->n, &p->cap, UINT64_MAX, sizeof *t, "the tensors of a header", p->e);
    if (!t)
        return NULL;
    p->tensors = t;
    t += p->n;
    *t = (struct hf_tensor){.name = p->m.key};
    return t;
}

static bool read_tensor(struct parser *p)
{
    struct hf_tensor *t = add_tensor(p);
    if (!t)
        return false;
    char shown[2 * TEXT_SHOWN];
    if (!read_entry(p, t))
        return err_ctx(p->e, "tensor '%s'", text_shown(shown, sizeof shown, t->name));
    p->n++;
    return true;
}

static bool read_metadata(struct parser *p)
{
    const struct jdoc *d = &p->doc;
    if (p->metadata)
        return err_set(p->e, ERR_INPUT, "__metadata__ is there twice");
    if (!members_value(&p->m, MAX_METADATA))
        return err_ctx(p->e, "__metadata__");
    if (d->nodes[0].kind != J_OBJECT)
        return err_set(p->e, ERR_INPUT, "__metadata__ is %s, expected an object", jdoc_kind_name(d, 0));
    for (uint32_t i = d->nodes[0].first; i != JSPAN_NONE; i = d->nodes[i].next)
        if (d->nodes[i].kind != J_STRING) {
            struct buf path = {0};
            jdoc_path(d, i, &path);
            err_set(p->e, ERR_INPUT, "__metadata__: '%s' is %s, expected a string", path.s,
                    jdoc_kind_name(d, i));
            buf_clear(&path);
            return false;
        }
    p->metadata = xstrndup(d->text + d->nodes[0].at, d->nodes[0].end - d->nodes[0].at);
    return true;
}

static bool read_members(struct parser *p)
{
    members_check_escapes(&p->m);
    while (members_next(&p->m))
        if (!(strcmp(p->m.key, "__metadata__") ? read_tensor(p) : read_metadata(p)))
            return false;
    return members_end(&p->m) || err_ctx(p->e, "header");
}

static int cmp_names(const void *a, const void *b)
{
    return strcmp((*(const struct hf_tensor *const *)a)->name, (*(const struct hf_tensor *const *)b)->name);
}

static bool check_names(struct parser *p)
{
    const struct hf_tensor **sorted = mem_try(p->n, sizeof *sorted, "the names of the tensors", p->e);
    if (!sorted)
        return false;
    for (uint64_t i = 0; i < p->n; i++)
        sorted[i] = &p->tensors[i];
    qsort(sorted, p->n, sizeof *sorted, cmp_names);
    bool ok = true;
    char shown[2 * TEXT_SHOWN];
    for (uint64_t i = 1; ok && i < p->n; i++)
        if (!strcmp(sorted[i - 1]->name, sorted[i]->name))
            ok = err_set(p->e, ERR_INPUT, "tensor '%s': the name stands twice in the header",
                         text_shown(shown, sizeof shown, sorted[i]->name));
    free((void *)sorted);
    return ok;
}

/* By begin and end; what is left are tensors without data at one place. */
static int cmp_places(const void *a, const void *b)
{
    const struct hf_tensor *x = a, *y = b;
    if (x->off != y->off)
        return x->off < y->off ? -1 : 1;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

static bool check_places(struct parser *p)
{
    char shown[2 * TEXT_SHOWN], before[2 * TEXT_SHOWN];
    uint64_t end = 0;
    if (p->n)
        qsort(p->tensors, p->n, sizeof *p->tensors, cmp_places);
    for (uint64_t i = 0; i < p->n; i++) {
        const struct hf_tensor *t = &p->tensors[i];
        unsigned long long at = t->off, expected = end;
        if (at != expected)
            text_shown(shown, sizeof shown, t->name);
        if (at > expected)
            return err_set(
                p->e, ERR_INPUT,
                "tensor '%s': its data begins at byte %llu, expected %llu: the bytes before it belong "
                "to no tensor",
                shown, at, expected);
        if (at < expected)
            return err_set(
                p->e, ERR_INPUT,
                "tensor '%s': its data at byte %llu overlaps that of '%s', which ends at byte %llu", shown,
                at, text_shown(before, sizeof before, t[-1].name), expected);
        end += t->bytes; /* at most data_bytes */
    }
    if (end != p->data_bytes)
        return err_set(p->e, ERR_INPUT,
                       "%llu bytes at the end belong to no tensor: the data has %llu bytes, "
                       "the header accounts for %llu",
                       (unsigned long long)(p->data_bytes - end), (unsigned long long)p->data_bytes,
                       (unsigned long long)end);
    return true;
}

bool st_parse(char *header, size_t n, uint64_t data_off, uint64_t data_bytes, struct hf_tensor **out,
              uint64_t *n_out, char **metadata, struct err *e)
{
    struct parser p = {.data_bytes = data_bytes, .e = e};
    members_open(&p.m, header, n, 0, &p.doc, &p.scratch, e);
    bool ok = read_members(&p) && check_names(&p) && check_places(&p);
    jdoc_clear(&p.doc);
    buf_clear(&p.scratch);
    if (!ok) {
        free(p.tensors);
        free(p.metadata);
        p = (struct parser){0};
    }
    for (uint64_t i = 0; i < p.n; i++)
        p.tensors[i].off += data_off;
    /* give back what doubling took too much */
    struct hf_tensor *fit = ok ? realloc(p.tensors, (p.n ? p.n : 1) * sizeof *fit) : NULL;
    *out = fit ? fit : p.tensors;
    *n_out = p.n;
    *metadata = p.metadata;
    return ok;
}

/* ---- writing ---- */

void st_header_begin(struct st_header *h, struct buf *b, const char *metadata)
{
    *h = (struct st_header){.b = b, .start = b->n, .metadata = metadata != NULL};
    buf_zero(b, 8);
    buf_char(b, '{');
    if (metadata)
        buf_fmt(b, "\"__metadata__\":%s", metadata);
}

void st_header_add(struct st_header *h, const struct hf_tensor *t)
{
    struct buf *b = h->b;
    if (h->n++ || h->metadata)
        buf_char(b, ',');
    buf_json_str(b, t->name); /* there may be 100,000 of them, and formats took half of the time */
    buf_str(b, ":{\"dtype\":\"");
    buf_str(b, t->dtype->name);
    buf_str(b, "\",\"shape\":[");
    for (uint32_t j = 0; j < t->n_dims; j++) {
        if (j)
            buf_char(b, ',');
        buf_uint(b, t->dims[j]);
    }
    buf_str(b, "],\"data_offsets\":[");
    buf_uint(b, h->off);
    buf_char(b, ',');
    buf_uint(b, h->off += t->bytes);
    buf_str(b, "]}");
}

void st_header_end(struct st_header *h)
{
    struct buf *b = h->b;
    buf_char(b, '}');
    while ((b->n - h->start) % 8)
        buf_char(b, ' ');
    for (unsigned i = 0; i < 8; i++)
        b->s[h->start + i] = (char)(unsigned char)((uint64_t)(b->n - h->start - 8) >> (8 * i));
}
