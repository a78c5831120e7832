/* gg_write.c - the pieces of a GGUF header, little-endian, in the order in which the caller wants them.
 *
 * A key of another file goes out as the bytes it had there (gg_put_raw); the engine's own writer cannot do
 * that: it moves a changed key to the end. Strings: u64 length and bytes, no NUL. Kinds are u32. */
#include "gguf/gg_part.h"

#include <string.h>

void gg_put_start(struct buf *b, uint32_t version, uint64_t n_tensors, uint64_t n_keys)
{
    buf_str(b, "GGUF");
    buf_u32le(b, version);
    buf_u64le(b, n_tensors);
    buf_u64le(b, n_keys);
}

void gg_put_raw(struct buf *b, const struct gg_key *k)
{
    buf_add(b, k->raw, k->raw_bytes);
}

static void put_str(struct buf *b, const char *s)
{
    size_t n = strlen(s);
    buf_u64le(b, n);
    buf_add(b, s, n);
}

static void put_name(struct buf *b, const char *name, enum gg_kind kind)
{
    put_str(b, name);
    buf_u32le(b, (uint32_t)kind);
}

/* The largest value of an integer kind, 0 for others. */
static uint64_t kind_max(enum gg_kind k)
{
    static const uint64_t max[GG_N_KINDS] = {
        [GG_U8] = UINT8_MAX,   [GG_I8] = INT8_MAX,   [GG_U16] = UINT16_MAX, [GG_I16] = INT16_MAX,
        [GG_U32] = UINT32_MAX, [GG_I32] = INT32_MAX, [GG_U64] = UINT64_MAX, [GG_I64] = INT64_MAX,
    };
    return (unsigned)k < GG_N_KINDS ? max[k] : 0;
}

void gg_put_uint(struct buf *b, const struct gg_key *k, uint64_t v, struct err *e)
{
    uint64_t max = kind_max(k->kind);
    if (!max) {
        err_set(e, ERR_INPUT, "key '%.90s' is %s, expected an integer", k->name, gg_kind_name(k->kind));
        return;
    }
    if (v > max) {
        err_set(e, ERR_INPUT, "key '%.90s': %llu does not fit %s", k->name, (unsigned long long)v,
                gg_kind_name(k->kind));
        return;
    }
    put_name(b, k->name, k->kind);
    uint64_t value_bytes = k->raw_bytes - (uint64_t)(k->value - k->raw);
    for (uint64_t i = 0; i < value_bytes; i++)
        buf_char(b, (char)(unsigned char)(v >> (8 * i)));
}

void gg_put_first(struct buf *b, const struct gg_key *k, uint64_t n, struct err *e)
{
    if (k->kind != GG_ARR || n > k->n || !gg_kind_bytes[k->elem]) {
        err_set(e, ERR_INPUT, "key '%.90s' is not a list of numbers that could be shortened to %llu", k->name,
                (unsigned long long)n);
        return;
    }
    put_name(b, k->name, GG_ARR);
    buf_u32le(b, (uint32_t)k->elem);
    buf_u64le(b, n);
    buf_add(b, k->value, n * gg_kind_bytes[k->elem]);
}

void gg_put_u32(struct buf *b, const char *name, uint32_t v)
{
    put_name(b, name, GG_U32);
    buf_u32le(b, v);
}

void gg_put_i32(struct buf *b, const char *name, int32_t v)
{
    put_name(b, name, GG_I32);
    buf_u32le(b, (uint32_t)v);
}

static void put_f32(struct buf *b, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    buf_u32le(b, bits);
}

void gg_put_f32(struct buf *b, const char *name, float v)
{
    put_name(b, name, GG_F32);
    put_f32(b, v);
}

void gg_put_bool(struct buf *b, const char *name, bool v)
{
    put_name(b, name, GG_BOOL);
    buf_char(b, v ? 1 : 0);
}

void gg_put_str(struct buf *b, const char *name, const char *s)
{
    put_name(b, name, GG_STR);
    put_str(b, s);
}

static void put_array(struct buf *b, const char *name, enum gg_kind elem, uint64_t n)
{
    put_name(b, name, GG_ARR);
    buf_u32le(b, (uint32_t)elem);
    buf_u64le(b, n);
}

void gg_put_i32s(struct buf *b, const char *name, const int32_t *v, uint64_t n)
{
    put_array(b, name, GG_I32, n);
    for (uint64_t i = 0; i < n; i++)
        buf_u32le(b, (uint32_t)v[i]);
}

void gg_put_bools(struct buf *b, const char *name, const int32_t *v, uint64_t n)
{
    put_array(b, name, GG_BOOL, n);
    for (uint64_t i = 0; i < n; i++)
        buf_char(b, v[i] ? 1 : 0);
}

void gg_put_u64s(struct buf *b, const char *name, const uint64_t *v, uint64_t n)
{
    put_array(b, name, GG_U64, n);
    for (uint64_t i = 0; i < n; i++)
        buf_u64le(b, v[i]);
}

void gg_put_f32s(struct buf *b, const char *name, const float *v, uint64_t n)
{
    put_array(b, name, GG_F32, n);
    for (uint64_t i = 0; i < n; i++)
        put_f32(b, v[i]);
}

void gg_put_strs(struct buf *b, const char *name, const char *const *v, uint64_t n)
{
    put_array(b, name, GG_STR, n);
    for (uint64_t i = 0; i < n; i++)
        put_str(b, v[i]);
}

void gg_put_tensor(struct buf *b, const char *name, uint32_t n_dims, const uint64_t *ne, uint32_t type,
                   uint64_t off)
{
    put_str(b, name);
    buf_u32le(b, n_dims);
    for (uint32_t i = 0; i < n_dims; i++)
        buf_u64le(b, ne[i]);
    buf_u32le(b, type);
    buf_u64le(b, off);
}

void gg_pad(struct buf *b, uint64_t alignment)
{
    buf_zero(b, gg_align(b->n, alignment) - b->n);
}
