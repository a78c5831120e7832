/* float.h - 16-bit floats, the same bits on every CPU. Widening is exact; narrowing rounds to nearest, ties
 * to even; a NaN stays one. */
#ifndef REAP_BASE_FLOAT_H
#define REAP_BASE_FLOAT_H

#include <stdint.h>
#include <string.h>

static inline float float_from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline uint32_t float_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

/* Its bits are placed in a float, and the exponent is moved with an exact product, which makes subnormals
 * right as well. */
static inline float float_of_f16(uint16_t h)
{
    uint32_t abs = h & 0x7fff;
    uint32_t u = float_bits(float_from_bits(abs << 13) * 0x1p112f) | (abs >= 0x7c00 ? 0x7f800000 : 0);
    return float_from_bits(u | (uint32_t)(h & 0x8000) << 16);
}

uint16_t float_to_f16(float v);

static inline uint16_t float_to_bf16(float v)
{
    uint32_t u = float_bits(v);
    uint32_t r = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
    return (uint16_t)((u & 0x7fffffff) > 0x7f800000 ? (u >> 16) | 64 : r);
}

#endif
