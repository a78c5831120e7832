/* rows.c - see rows.h. */
#include "engine/rows.h"
#include "engine/lanes.h"
#include "engine/panels.h"
#include "engine/threads.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define MOST_SORTED 1024 /* in a row: each is compared with all */

/* Row i of a tensor, of which there may be fewer than of the one that is computed: then they come again. */
static char *row_of(const struct ggml_tensor *t, const struct ggml_tensor *of, size_t i)
{
    size_t a = i % (size_t)of->ne[1], b = i / (size_t)of->ne[1] % (size_t)of->ne[2],
           c = i / (size_t)(of->ne[1] * of->ne[2]);
    return (char *)t->data + a % (size_t)t->ne[1] * t->nb[1] + b % (size_t)t->ne[2] * t->nb[2] +
           c % (size_t)t->ne[3] * t->nb[3];
}

static float param(const struct ggml_tensor *t, size_t i)
{
    float v;
    memcpy(&v, (const char *)t->op_params + i * sizeof v, sizeof v);
    return v;
}

#if defined(__x86_64__)

AVX512 static inline __mmask16 some(size_t left)
{
    return (__mmask16)((1u << (left < LANES ? left : LANES)) - 1);
}

AVX512 static void soft_max(const struct ggml_tensor *t, size_t i)
{
    const float *x = (const float *)(const void *)row_of(t->src[0], t, i);
    float *y = (float *)(void *)row_of(t, t, i);
    const __m512 scale = _mm512_set1_ps(param(t, 0)), none = _mm512_set1_ps(-INFINITY);
    __m512 m = none, sum = _mm512_setzero_ps();
    size_t n = (size_t)t->ne[0];
    for (size_t j = 0; j < n; j += LANES)
        m = _mm512_max_ps(m, _mm512_mul_ps(scale, _mm512_mask_loadu_ps(none, some(n - j), x + j)));
    m = _mm512_set1_ps(_mm512_reduce_max_ps(m));
    for (size_t j = 0; j < n; j += LANES) {
        __m512 e = exp16(_mm512_fmsub_ps(scale, _mm512_maskz_loadu_ps(some(n - j), x + j), m));
        _mm512_mask_storeu_ps(y + j, some(n - j), e);
        sum = _mm512_mask_add_ps(sum, some(n - j), sum, e);
    }
    const __m512 by = _mm512_set1_ps(1 / _mm512_reduce_add_ps(sum));
    for (size_t j = 0; j < n; j += LANES)
        _mm512_mask_storeu_ps(y + j, some(n - j),
                              _mm512_mul_ps(by, _mm512_maskz_loadu_ps(some(n - j), y + j)));
}

/* As integers floats have a whole order, whatever is among them; of equal ones the first comes first. */
AVX512 static inline __m512i key_of(__m512 v, bool falling)
{
    __m512i bits = (__m512i)_mm512_add_ps(v, _mm512_setzero_ps()),
            /* -0 becomes 0 */ k = _mm512_xor_si512(bits, _mm512_srli_epi32(_mm512_srai_epi32(bits, 31), 1));
    return falling ? _mm512_xor_si512(k, _mm512_set1_epi32(-1)) : k;
}

AVX512 static void sort(const struct ggml_tensor *t, size_t i)
{
    const float *x = (const float *)(const void *)row_of(t->src[0], t, i);
    int32_t *y = (int32_t *)(void *)row_of(t, t, i), key[MOST_SORTED];
    size_t n = (size_t)t->ne[0];
    bool falling = t->op_params[0] == GGML_SORT_ORDER_DESC;
    for (size_t j = 0; j < n; j += LANES)
        _mm512_mask_storeu_epi32(key + j, some(n - j),
                                 key_of(_mm512_maskz_loadu_ps(some(n - j), x + j), falling));
    for (size_t j = 0; j < n; j++) { /* its place is the number of those before it */
        const __m512i own = _mm512_set1_epi32(key[j]);
        size_t place = 0;
        for (size_t c = 0; c < n; c += LANES) {
            __m512i v = _mm512_maskz_loadu_epi32(some(n - c), key + c);
            __mmask16 first = j <= c ? 0 : some(j - c);
            place += (size_t)__builtin_popcount((unsigned)_mm512_mask_cmplt_epi32_mask(some(n - c), v, own) |
                                                (unsigned)_mm512_mask_cmpeq_epi32_mask(first, v, own));
        }
        y[place] = (int32_t)j;
    }
}

/* silu(x) times the other half: x u / (1 + e^-x). */
AVX512 static void swiglu(const struct ggml_tensor *t, size_t i)
{
    const float *x = (const float *)(const void *)row_of(t->src[0], t, i),
                *u = (const float *)(const void *)row_of(t->src[1], t, i);
    float *y = (float *)(void *)row_of(t, t, i);
    size_t n = (size_t)t->ne[0];
    for (size_t j = 0; j < n; j += LANES) {
        __m512 v = _mm512_maskz_loadu_ps(some(n - j), x + j), w = _mm512_maskz_loadu_ps(some(n - j), u + j),
               one = _mm512_set1_ps(1), e = exp16(_mm512_sub_ps(_mm512_setzero_ps(), v));
        _mm512_mask_storeu_ps(y + j, some(n - j), _mm512_mul_ps(_mm512_div_ps(v, _mm512_add_ps(one, e)), w));
    }
}

#else

static void nothing(const struct ggml_tensor *t, size_t i)
{
    (void)t, (void)i;
}
#define soft_max nothing
#define sort     nothing
#define swiglu   nothing

#endif

/* Each row times its number, where the engine takes a row as so many products of one number. */
static void weigh(const struct ggml_tensor *t, size_t i)
{
    const float *x = (const float *)(const void *)row_of(t->src[0], t, i),
                by = *(const float *)(const void *)row_of(t->src[1], t, i);
    float *y = (float *)(void *)row_of(t, t, i);
    for (size_t j = 0; j < (size_t)t->ne[0]; j++)
        y[j] = x[j] * by;
}

static bool floats(const struct ggml_tensor *t)
{
    return t->type == GGML_TYPE_F32 && t->nb[0] == sizeof(float);
}

typedef void row_function(const struct ggml_tensor *t, size_t i);

/* NULL: none. */
static row_function *function_of(const struct ggml_tensor *t)
{
    const struct ggml_tensor *x = t->src[0], *by = t->src[1];
    switch (t->op) {
    case GGML_OP_SOFT_MAX:
        return panels_here() && floats(t) && floats(x) && !by && !t->src[2] && param(t, 1) == 0 ? soft_max
                                                                                                : NULL;
    case GGML_OP_ARGSORT: return panels_here() && floats(x) && t->ne[0] <= MOST_SORTED ? sort : NULL;
    case GGML_OP_GLU:
        return panels_here() && by && floats(t) && floats(x) && floats(by) &&
                       ggml_get_glu_op(t) == GGML_GLU_OP_SWIGLU
                   ? swiglu
                   : NULL;
    case GGML_OP_MUL:
        return floats(t) && floats(x) && floats(by) && by->ne[0] == 1 && t->ne[0] > 1 ? weigh : NULL;
    default: return NULL;
    }
}

bool rows_can(const struct ggml_tensor *t)
{
    return function_of(t) != NULL;
}

void rows(const struct ggml_tensor *t, int n)
{
    row_function *one = function_of(t);
    size_t all = (size_t)ggml_nrows(t);
    (void)n; /* without OpenMP */
#pragma omp parallel for num_threads(n) schedule(static) if (n > 1)
    for (size_t i = 0; i < all; i++)
        one(t, i);
}
