/* panels.c - see panels.h. */
#include "engine/panels.h"
#include "engine/lanes.h"

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)

#define INLINE inline __attribute__((always_inline))
#define BF16   __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,avx512bf16")))

/* What is fetched with each column: p, p + step, ... */
struct ahead {
    const char *p;
    size_t step;
};

#define NAME         floats
#define TARGET       AVX512
#define UNIT         float
#define ALL          _mm512_set1_ps
#define MAC(s, a, b) _mm512_fmadd_ps(a, b, s)
#include "engine/panels.inc"

#define NAME         pairs
#define TARGET       BF16
#define UNIT         int32_t
#define ALL(u)       ((__m512)_mm512_set1_epi32(u))
#define MAC(s, a, b) _mm512_dpbf16_ps(s, (__m512bh)(a), (__m512bh)(b))
#include "engine/panels.inc"

bool panels_here(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

/* ---- making panels ---- */

/* Up to 16 elements of a row; zeros behind them. */
AVX512 static INLINE __m512 take(enum ggml_type type, const char *p, size_t n)
{
    __mmask16 m = (__mmask16)((1u << n) - 1);
    if (type == GGML_TYPE_F16)
        return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(m, p));
    if (type == GGML_TYPE_BF16)
        return (__m512)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(m, p)), 16);
    return _mm512_maskz_loadu_ps(m, p);
}

/* Up to 32 BF16, as 16 pairs. */
AVX512 static INLINE __m512 take_pairs(const char *p, size_t n)
{
    return (__m512)_mm512_maskz_loadu_epi16(n >= 32 ? ~(__mmask32)0 : ((__mmask32)1 << n) - 1, p);
}

/* Rows and columns of 16 x 16 lanes change places: by ones, twos, fours and eights. */
AVX512 static INLINE void turn(__m512 *v)
{
    __m512 t[LANES];
#pragma GCC unroll 16
    for (size_t i = 0; i < LANES; i += 2) {
        t[i] = _mm512_unpacklo_ps(v[i], v[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(v[i], v[i + 1]);
    }
#pragma GCC unroll 16
    for (size_t i = 0; i < LANES; i += 4) {
#pragma GCC unroll 2
        for (size_t j = 0; j < 2; j++) {
            __m512d a = (__m512d)t[i + j], b = (__m512d)t[i + j + 2];
            v[i + 2 * j] = (__m512)_mm512_unpacklo_pd(a, b);
            v[i + 2 * j + 1] = (__m512)_mm512_unpackhi_pd(a, b);
        }
    }
#pragma GCC unroll 4
    for (size_t j = 0; j < 4; j++) {
        __m512 a = _mm512_shuffle_f32x4(v[j], v[j + 4], 0x88),
               b = _mm512_shuffle_f32x4(v[j + 8], v[j + 12], 0x88),
               c = _mm512_shuffle_f32x4(v[j], v[j + 4], 0xdd),
               d = _mm512_shuffle_f32x4(v[j + 8], v[j + 12], 0xdd);
        t[j] = _mm512_shuffle_f32x4(a, b, 0x88);
        t[j + 4] = _mm512_shuffle_f32x4(c, d, 0x88);
        t[j + 8] = _mm512_shuffle_f32x4(a, b, 0xdd);
        t[j + 12] = _mm512_shuffle_f32x4(c, d, 0xdd);
    }
    memcpy(v, t, sizeof t);
}

AVX512 static INLINE void make(enum ggml_type type, bool pairs, const char *rows, size_t stride, size_t n,
                               size_t k, float *to)
{
    size_t each = pairs ? 2 * LANES : LANES, bytes = each * ggml_type_size(type);
    for (size_t i = 0; i < k; i += each, rows += bytes) {
        size_t left = k - i < each ? k - i : each, units = pairs ? (left + 1) / 2 : left;
        for (size_t c = 0; c < n; c += LANES) {
            __m512 v[LANES];
#pragma GCC unroll 16
            for (size_t r = 0; r < LANES; r++)
                v[r] = pairs ? take_pairs(rows + (c + r) * stride, left)
                             : take(type, rows + (c + r) * stride, left);
            turn(v);
            for (size_t u = 0; u < units; u++)
                _mm512_storeu_ps(to + (i / each * LANES + u) * n + c, v[u]);
        }
    }
}

AVX512 void panel_make(enum ggml_type type, const char *rows, size_t stride, size_t n, size_t k, float *to)
{
    switch ((int)type) {
    case GGML_TYPE_F16: make(GGML_TYPE_F16, false, rows, stride, n, k, to); break;
    case GGML_TYPE_BF16: make(GGML_TYPE_BF16, false, rows, stride, n, k, to); break;
    default: make(GGML_TYPE_F32, false, rows, stride, n, k, to);
    }
}

AVX512 void panel_copy(enum ggml_type type, const char *rows, size_t stride, size_t k, size_t n, float *to)
{
    size_t step = LANES * ggml_type_size(type);
    for (size_t i = 0; i < k; i++, rows += stride)
        for (size_t c = 0; c < n; c += LANES)
            _mm512_storeu_ps(to + i * n + c, take(type, rows + c / LANES * step, LANES));
}

AVX512 static void make_pairs(const char *rows, size_t stride, size_t n, size_t k, float *to)
{
    make(GGML_TYPE_BF16, true, rows, stride, n, k, to);
}

void panel_multiply(const float *panel, size_t n, const float *const *x, size_t n_x, size_t k,
                    float *const *y, size_t at, bool add)
{
    panel_floats(panel, n, x, n_x, k, y, at, add, (struct ahead){(const char *)panel, 0});
}

/* ---- as ways to multiply ---- */

bool panels_take(enum ggml_type type)
{
    return type == GGML_TYPE_F32 || type == GGML_TYPE_F16 || type == GGML_TYPE_BF16;
}

static bool can_floats(enum ggml_type type)
{
    return panels_take(type) && panels_here();
}

static bool can_pairs(enum ggml_type type)
{
    return type == GGML_TYPE_BF16 && panels_here() && __builtin_cpu_supports("avx512bf16");
}

/* The rows behind these, which most likely come next, are fetched while these are multiplied: a part with each 12 of x. */
static INLINE struct ahead ahead_of(const struct dots_rows *w, size_t n_x, size_t k, size_t r)
{
    size_t bytes = w->n * w->stride, steps = (n_x + PANEL_ROWS - 1) / PANEL_ROWS * k,
           step = (bytes + steps - 1) / steps;
    return (struct ahead){w->first + bytes + r / PANEL_ROWS * k * step, step};
}

static size_t room_floats(size_t k)
{
    return k * PANEL_COLS * sizeof(float);
}

static void multiply_floats(const struct dots_rows *w, void *scratch, const void *const *x, size_t n_x,
                            size_t k, float *const *y, size_t at)
{
    panel_make(w->type, w->first, w->stride, w->n, k, scratch);
    for (size_t r = 0; r < n_x; r += PANEL_ROWS) {
        panel_floats(scratch, w->n, (const float *const *)x + r, n_x - r < PANEL_ROWS ? n_x - r : PANEL_ROWS,
                     k, y + r, at, false, ahead_of(w, n_x, k, r));
    }
}

static size_t pairs_of(size_t k)
{
    return (k + 1) / 2;
}

static size_t room_pairs(size_t k)
{
    return pairs_of(k) * PANEL_COLS * sizeof(int32_t);
}

static size_t pairs_bytes(size_t k)
{
    return pairs_of(k) * sizeof(int32_t);
}

BF16 static void pairs_make(const float *x, size_t k, void *to)
{
    uint16_t *y = to;
    memset(y + 2 * (pairs_of(k) - 1), 0, sizeof(int32_t));
    for (size_t i = 0; i < k; i += LANES) {
        __mmask16 m = (__mmask16)((1u << (k - i < LANES ? k - i : LANES)) - 1);
        _mm256_mask_storeu_epi16(y + i, m, (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(m, x + i)));
    }
}

static void multiply_pairs(const struct dots_rows *w, void *scratch, const void *const *x, size_t n_x,
                           size_t k, float *const *y, size_t at)
{
    make_pairs(w->first, w->stride, w->n, k, scratch);
    for (size_t r = 0; r < n_x; r += PANEL_ROWS) {
        panel_pairs(scratch, w->n, (const int32_t *const *)x + r, n_x - r < PANEL_ROWS ? n_x - r : PANEL_ROWS,
                    pairs_of(k), y + r, at, false, ahead_of(w, n_x, pairs_of(k), r));
    }
}

static const struct dots pairs = {.name = "pairs",
                                  .can = can_pairs,
                                  .rows = PANEL_COLS,
                                  .each = LANES,
                                  .x_bytes = pairs_bytes,
                                  .x_make = pairs_make,
                                  .scratch = room_pairs,
                                  .multiply = multiply_pairs};
static const struct dots floats = {.name = "panels",
                                   .can = can_floats,
                                   .rows = PANEL_COLS,
                                   .each = LANES,
                                   .scratch = room_floats,
                                   .multiply = multiply_floats};

const struct dots *const panel_ways[] = {&pairs, &floats, NULL};

#else

bool panels_here(void)
{
    return false;
}

bool panels_take(enum ggml_type type)
{
    (void)type;
    return false;
}

void panel_make(enum ggml_type type, const char *rows, size_t stride, size_t n, size_t k, float *to)
{
    (void)type, (void)rows, (void)stride, (void)n, (void)k, (void)to;
}

void panel_copy(enum ggml_type type, const char *rows, size_t stride, size_t k, size_t n, float *to)
{
    (void)type, (void)rows, (void)stride, (void)k, (void)n, (void)to;
}

void panel_multiply(const float *panel, size_t n, const float *const *x, size_t n_x, size_t k,
                    float *const *y, size_t at, bool add)
{
    (void)panel, (void)n, (void)x, (void)n_x, (void)k, (void)y, (void)at, (void)add;
}

const struct dots *const panel_ways[] = {NULL};

#endif
