/* gg_key.c - looking up keys and tensors of a file that was read, and the values of keys.
 *
 * The getters check kind and range and nothing else; what a key must be is the business of the model layer.
 * Bytes are assembled by shifts: values in a file are not aligned. */
#include "gguf/gg_part.h"

#include <string.h>

const struct gg_key *gg_part_find(const struct gg_part *p, const char *name)
{
    for (uint64_t i = 0; i < p->n_keys; i++)
        if (!strcmp(p->keys[i].name, name))
            return &p->keys[i];
    return NULL;
}

const struct gg_key *gg_find(const struct gg_file *f, const char *name)
{
    return gg_part_find(&f->parts[0], name);
}

const struct gg_tensor *gg_find_tensor(const struct gg_file *f, const char *name)
{
    uint64_t lo = 0, hi = f->n_tensors;
    while (lo < hi) {
        uint64_t mid = lo + (hi - lo) / 2;
        int r = strcmp(name, f->by_name[mid]->name);
        if (r == 0)
            return f->by_name[mid];
        if (r < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

/* Width in bytes of an integer kind, 0 for others. */
static unsigned int_width(enum gg_kind k, bool *is_signed)
{
    *is_signed = k == GG_I8 || k == GG_I16 || k == GG_I32 || k == GG_I64;
    switch (k) {
    case GG_U8:
    case GG_I8: return 1;
    case GG_U16:
    case GG_I16: return 2;
    case GG_U32:
    case GG_I32: return 4;
    case GG_U64:
    case GG_I64: return 8;
    default: return 0;
    }
}

/* Element i of the value as 64 bits of two's complement; *neg says that they mean a negative number. */
static bool get_int(const struct gg_key *k, enum gg_kind kind, uint64_t i, uint64_t *out, bool *neg)
{
    bool is_signed;
    unsigned w = int_width(kind, &is_signed);
    if (!w)
        return false;
    uint64_t v = gg_get_le(k->value + i * w, w);
    *neg = is_signed && v >> (8 * w - 1);
    if (*neg && w < 8)
        v |= ~(uint64_t)0 << (8 * w);
    *out = v;
    return true;
}

bool gg_key_u64(const struct gg_key *k, uint64_t *out)
{
    uint64_t v;
    bool neg;
    if (!k || !get_int(k, k->kind, 0, &v, &neg) || neg)
        return false;
    *out = v;
    return true;
}

bool gg_key_u64_at(const struct gg_key *k, uint64_t i, uint64_t *out)
{
    if (!k || k->kind != GG_ARR)
        return gg_key_u64(k, out);
    uint64_t v;
    bool neg;
    if (i >= k->n || !get_int(k, k->elem, i, &v, &neg) || neg)
        return false;
    *out = v;
    return true;
}

bool gg_key_f64_at(const struct gg_key *k, uint64_t i, double *out)
{
    if (!k || (k->kind == GG_ARR && i >= k->n))
        return false;
    enum gg_kind kind = k->kind == GG_ARR ? k->elem : k->kind;
    const uint8_t *p = k->value + (k->kind == GG_ARR ? i * gg_kind_bytes[kind] : 0);
    if (kind == GG_F32) {
        float x;
        memcpy(&x, &(uint32_t){(uint32_t)gg_get_le(p, 4)}, sizeof x);
        *out = (double)x;
        return true;
    }
    if (kind == GG_F64)
        memcpy(out, &(uint64_t){gg_get_le(p, 8)}, sizeof *out);
    return kind == GG_F64;
}

bool gg_key_true_at(const struct gg_key *k, uint64_t i)
{
    if (!k || (k->kind == GG_ARR && i >= k->n))
        return false;
    unsigned w = gg_kind_bytes[k->kind == GG_ARR ? k->elem : k->kind];
    return w && gg_get_le(k->value + (k->kind == GG_ARR ? i * w : 0), w) != 0;
}

const uint8_t *gg_next_str(const uint8_t *p, const char **s, uint64_t *n)
{
    *n = gg_get_le(p, 8);
    *s = (const char *)p + 8;
    return p + 8 + *n;
}

bool gg_key_str(const struct gg_key *k, const char **s, uint64_t *n)
{
    if (!k || k->kind != GG_STR)
        return false;
    *s = (const char *)k->value;
    *n = k->str_len;
    return true;
}
