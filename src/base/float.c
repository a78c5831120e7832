/* float.c - see float.h. */
#include "base/float.h"

uint16_t float_to_f16(float v)
{
    uint32_t u = float_bits(v), abs = u & 0x7fffffff;
    /* A normal half; the carry may run into the exponent, up to infinity. */
    uint32_t h = (abs + 0xfff + ((abs >> 13) & 1) - 0x38000000) >> 13;
    /* Below 2^-14: beside 0.5 a float's last place is 2^-24, the subnormals' step. */
    uint32_t small = float_bits(float_from_bits(abs) + 0.5f) - 0x3f000000;
    h = abs < 0x38800000 ? small : h;
    h = abs >= 0x47800000 ? 0x7c00 : h; /* 65536 and above */
    h = abs > 0x7f800000 ? 0x7e00 : h;  /* NaN */
    return (uint16_t)(h | ((u >> 16) & 0x8000));
}
