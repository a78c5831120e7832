/* lanes.h - what vectors of 16 floats are computed with; AVX-512 only. */
#ifndef REAP_ENGINE_LANES_H
#define REAP_ENGINE_LANES_H

#if defined(__x86_64__)

#include <immintrin.h>

#define LANES  16
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma")))

/* e^x, 0 below e^-103: x = n ln 2 + r, and a polynomial for e^r (the coefficients are those of Cephes' expf). */
AVX512 static inline __m512 exp16(__m512 x)
{
    const __m512 least = _mm512_set1_ps(-103);
    __mmask16 some = _mm512_cmp_ps_mask(x, least, _CMP_NLT_UQ);
    x = _mm512_max_ps(least, x); /* the second, where one is no number */
    __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504088896341f)), 8),
           r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x), p = _mm512_set1_ps(1.9875691500e-4f);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.0000001201e-1f));
    p = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), _mm512_add_ps(r, _mm512_set1_ps(1)));
    return _mm512_maskz_scalef_ps(some, p, n);
}

#endif

#endif
