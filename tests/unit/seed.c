/* seed.c - see seed.h. */
#include "seed.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/float.h"
#include "base/mem.h"
#include "base/out.h"
#include "base/rng.h"
#include "hf/checkpoint.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MANY (1u << 28) /* elements of all tensors: a table that asks for more is a mistake */

struct row {
    struct hf_tensor t;
    bool bits;
    const char *list; /* of numbers; NULL: none */
    const char *text; /* the bytes themselves; NULL: none */
    double low, high;
};

struct table {
    struct row *rows;
    size_t n, cap;
    uint64_t seed, elements;
};

static uint64_t fnv1a(const char *s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    return h;
}

/* ---- the table ---- */

static bool parse_shape(struct row *r, char *s, uint64_t *n)
{
    *n = 1;
    if (!strcmp(s, "-"))
        return true;
    for (char *p; (p = strsep(&s, ","));) {
        char *end;
        uint64_t v = strtoull(p, &end, 10);
        if (r->t.n_dims == HF_MAX_DIMS || end == p || *end || !v || v > MANY || *n * v > MANY)
            return false;
        r->t.dims[r->t.n_dims++] = v;
        *n *= v;
    }
    return true;
}

static bool parse_row(struct table *t, char *line, struct err *e, uint32_t number)
{
    struct row r = {0};
    uint64_t n;
    char *name = strsep(&line, "\t"), *dtype = strsep(&line, "\t"), *shape = strsep(&line, "\t"),
         *low = strsep(&line, "\t"), *high = strsep(&line, "\t"), *end = NULL;
    r.bits = low && !strcmp(low, "bits");
    r.list = low && !strcmp(low, "list") ? high : NULL;
    r.text = low && !strcmp(low, "text") ? high : NULL;
    if (!low || r.bits == (high != NULL) || line)
        return err_set(
            e, ERR_INPUT,
            "line %u: expected NAME, DTYPE, SHAPE and LOW, HIGH or list, A,B,.. or text, TEXT or bits",
            number);
    r.t.name = name;
    r.t.dtype = hf_dtype_find(dtype);
    if (!r.t.dtype || !parse_shape(&r, shape, &n) || (t->elements += n) > MANY)
        return err_set(e, ERR_INPUT, "line %u: unknown type '%.20s', or a shape that is none", number, dtype);
    r.t.bytes = n * r.t.dtype->bits / 8;
    if (!r.bits && !r.list && !r.text) {
        r.low = strtod(low, &end);
        bool ok = !*end;
        r.high = strtod(high, &end);
        if (!ok || *end || !(r.low <= r.high))
            return err_set(e, ERR_INPUT, "line %u: expected two numbers, low and high", number);
    }
    GROW(t->rows, t->n, t->cap);
    t->rows[t->n++] = r;
    return true;
}

static bool parse(struct table *t, char *text, struct err *e)
{
    uint32_t number = 0;
    for (char *line; (line = strsep(&text, "\n"));) {
        number++;
        if (!*line || *line == '#')
            continue;
        if (!strncmp(line, "seed ", 5))
            t->seed = strtoull(line + 5, NULL, 10);
        else if (!parse_row(t, line, e, number))
            return false;
    }
    return t->n > 0 || err_set(e, ERR_INPUT, "no tensor in it");
}

/* ---- the numbers ---- */

static bool is_nan_f8(const char *dtype, uint8_t v)
{
    return !strcmp(dtype, "F8_E4M3") ? (v & 0x7f) == 0x7f : !strcmp(dtype, "F8_E5M2") && (v & 0x7f) > 0x7c;
}

static void put_bits(struct buf *b, const struct row *r, struct rng *rng)
{
    uint32_t size = r->t.dtype->bits / 8 ? r->t.dtype->bits / 8 : 1;
    for (uint64_t i = 0; i < r->t.bytes; i += size) {
        uint64_t v = rng_next(rng);
        if (is_nan_f8(r->t.dtype->name, (uint8_t)v))
            v = 0;
        buf_add(b, &v, size);
    }
}

static bool put_number(struct buf *b, const char *dtype, double v)
{
    float f = (float)v;
    uint16_t half;
    int64_t whole = (int64_t)v;
    if (!strcmp(dtype, "BF16"))
        half = float_to_bf16(f);
    else if (!strcmp(dtype, "F16"))
        half = float_to_f16(f);
    else if (!strcmp(dtype, "F32")) {
        buf_add(b, &f, 4);
        return true;
    } else if (!strcmp(dtype, "I64") || !strcmp(dtype, "I32") || !strcmp(dtype, "I8") ||
               !strcmp(dtype, "U8") || !strcmp(dtype, "F8_E4M3") || !strcmp(dtype, "F8_E8M0")) {
        buf_add(b, &whole, !strcmp(dtype, "I64") ? 8 : !strcmp(dtype, "I32") ? 4 : 1);
        return true;
    } else
        return false;
    buf_add(b, &half, 2);
    return true;
}

static bool put_tensor(struct buf *b, const struct row *r, uint64_t seed, struct err *e)
{
    struct rng rng = {fnv1a(r->t.name) + seed * 0x9e3779b97f4a7c15u};
    if (r->bits) {
        put_bits(b, r, &rng);
        return true;
    }
    if (r->text) {
        buf_str(b, r->text);
        return strlen(r->text) == r->t.bytes ||
               err_set(e, ERR_INPUT, "tensor '%.100s': a text of %zu bytes, expected %llu", r->t.name,
                       strlen(r->text), (unsigned long long)r->t.bytes);
    }
    uint64_t n = r->t.bytes * 8 / r->t.dtype->bits;
    const char *list = r->list;
    for (uint64_t i = 0; list && i < n; i++) {
        char *end;
        double v = strtod(list, &end);
        if (end == list || *end != (i + 1 < n ? ',' : 0) || !put_number(b, r->t.dtype->name, v))
            return err_set(e, ERR_INPUT, "tensor '%.100s': '%.60s' is no list of %llu numbers", r->t.name,
                           r->list, (unsigned long long)n);
        list = end + 1;
    }
    for (uint64_t i = 0; !list && i < n; i++) {
        double u = ((double)(rng_next(&rng) >> 56) + 0.5) / 256;
        if (!put_number(b, r->t.dtype->name, fma(r->high - r->low, u, r->low)))
            return err_set(e, ERR_INPUT, "tensor '%.100s': numbers of type %s are not known here", r->t.name,
                           r->t.dtype->name);
    }
    return true;
}

bool seed_write(const char *table, uint64_t seed, const char *out, struct err *e)
{
    struct table t = {0};
    struct buf text = {0}, file = {0};
    struct st_header h;
    bool ok = file_read_all(table, 1u << 22, &text, e);
    buf_char(&text, 0);
    ok = ok && parse(&t, text.s, e);
    st_header_begin(&h, &file, "{\"format\":\"pt\"}");
    for (size_t i = 0; ok && i < t.n; i++)
        st_header_add(&h, &t.rows[i].t);
    st_header_end(&h);
    for (size_t i = 0; ok && i < t.n; i++)
        ok = put_tensor(&file, &t.rows[i], seed ? seed : t.seed, e);
    ok = ok && file_write_atomic(out, file.s, file.n, true, e);
    free(t.rows);
    buf_clear(&text);
    buf_clear(&file);
    return ok || err_ctx(e, "%s", table);
}
