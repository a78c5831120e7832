/* number.c - the number formats of checkpoints, to and from float.
 *
 * Own code and not the engine's, so that a conversion gives the same bits whatever CPU and engine it runs on.
 * Everything widens exactly; narrowing rounds to nearest, ties to even. FP8 is OCP E4M3 (no infinity, one
 * NaN) and E5M2 (the upper half of an F16). */
#include "convert/image_part.h"

#include "base/err.h"
#include "base/float.h"

#include <math.h>
#include <string.h>

enum num num_of(const struct hf_dtype *t)
{
    static const struct {
        const char *name;
        enum num num;
    } known[] = {{"F32", N_F32},         {"F16", N_F16},         {"BF16", N_BF16},   {"F64", N_F64},
                 {"F8_E4M3", N_F8_E4M3}, {"F8_E5M2", N_F8_E5M2}, {"F8_E8M0", N_E8M0}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(t->name, known[i].name))
            return known[i].num;
    return N_NONE;
}

uint32_t num_bytes(enum num t)
{
    static const uint8_t bytes[] = {
        [N_F32] = 4, [N_F16] = 2, [N_BF16] = 2, [N_F64] = 8, [N_F8_E4M3] = 1, [N_F8_E5M2] = 1, [N_E8M0] = 1};
    return bytes[t];
}

static uint16_t get16(const uint8_t *p)
{
    uint16_t u;
    memcpy(&u, p, sizeof u);
    return u;
}

static uint32_t get32(const uint8_t *p)
{
    uint32_t u;
    memcpy(&u, p, sizeof u);
    return u;
}

/* The small formats are widened by placing their bits in a float and moving its exponent with an exact
 * product, which makes their subnormals right as well. */
static float from_e4m3(uint8_t b)
{
    uint32_t abs = b & 0x7f;
    uint32_t u = abs == 0x7f ? 0x7fc00000 : float_bits(float_from_bits(abs << 20) * 0x1p120f);
    return float_from_bits(u | (uint32_t)(b & 0x80) << 24);
}

static float from_e8m0(uint8_t b) /* 2^(b - 127); 255 is NaN */
{
    return b == 255 ? NAN : b ? float_from_bits((uint32_t)b << 23) : 0x1p-127f;
}

static float from_f64(const uint8_t *p)
{
    double d;
    memcpy(&d, p, sizeof d);
    return (float)d;
}

void num_load(enum num t, const uint8_t *p, uint64_t stride, uint64_t n, float *out)
{
    uint64_t step = stride * num_bytes(t);
#define EACH(expr)                              \
    for (uint64_t i = 0; i < n; i++, p += step) \
        out[i] = (expr);                        \
    break
    switch (t) {
    case N_F32: EACH(float_from_bits(get32(p)));
    case N_F16: EACH(float_of_f16(get16(p)));
    case N_BF16: EACH(float_from_bits((uint32_t)get16(p) << 16));
    case N_F8_E4M3: EACH(from_e4m3(*p));
    case N_F8_E5M2: EACH(float_of_f16((uint16_t)(*p << 8)));
    case N_E8M0: EACH(from_e8m0(*p));
    case N_F64: EACH(from_f64(p));
    case N_NONE: BUG("no number format");
    }
#undef EACH
}

void num_store(uint32_t type, const float *v, uint64_t n, uint8_t *out)
{
    if (type == T_F32) {
        memcpy(out, v, n * sizeof *v); /* hosts are little-endian, as the engine's files are */
        return;
    }
    for (uint64_t i = 0; i < n; i++) {
        uint16_t h = type == T_F16 ? float_to_f16(v[i]) : float_to_bf16(v[i]);
        memcpy(out + 2 * i, &h, 2);
    }
}
