/* ints.c - see ints.h: the same code for each instruction set that has products of bytes, the best one chosen when the
 * program runs. */
#include "engine/ints.h"

#include <math.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <arm_neon.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#define PANEL 16 /* rows of weights side by side */
#define GROUP 32 /* weights of a row that share a scale, or a pair of them */
#define UNITS (GROUP / 4)

#define INLINE     inline __attribute__((always_inline))
#define STRING_(s) #s
#define STRING(s)  STRING_(s)

/* Weights of 16 rows: four bytes of each side by side, UNITS times. A weight is d q - m. */
struct group {
    struct {
        float d[PANEL], m[PANEL];
        int32_t start[PANEL]; /* what the sum of products begins with */
    } head[2];                /* the second: where each 16 weights have a scale */
    uint32_t q[UNITS * PANEL];
};

/* 32 of x: d q, with 128 added to q or not, as the processor wants them. */
struct x_group {
    int32_t q[UNITS];
    float d, sum; /* sum of d q */
};

/* How a type is taken apart. */
struct kind {
    enum ggml_type type;
    size_t groups; /* in a block */
    size_t parts;  /* scales of a group */
    int most;      /* the greatest |q| */
    bool mins;
    /* Rows from c on, as many as a vector has lanes: one block of each. */
    void (*unpack)(const char *const *rows, size_t c, struct group *to);
};

/* The engine keeps the scales of such rows in half precision. */
static INLINE float as_half(float v)
{
    float h = ggml_fp16_to_fp32(ggml_fp32_to_fp16(v));
    return isfinite(h) ? h : v;
}

static size_t x_bytes(size_t k)
{
    return k / GROUP * sizeof(struct x_group);
}

static size_t scratch_bytes(size_t k)
{
    return k / GROUP * sizeof(struct group);
}

#if defined(__x86_64__)

#define VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma")))
#define AVX2 __attribute__((target("avx2,fma")))

#define SIXTEEN(p) _mm_loadu_si128((const __m128i *)(const void *)(p))

AVX2 static INLINE __m256i join_avx2(const char *const *rows, size_t o)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(SIXTEEN(rows[0] + o)), SIXTEEN(rows[4] + o), 1);
}

VNNI static INLINE __m512i join_vnni(const char *const *rows, size_t o)
{
    __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(SIXTEEN(rows[0] + o)), SIXTEEN(rows[4] + o),
                                          1),
            high = _mm256_inserti128_si256(_mm256_castsi128_si256(SIXTEEN(rows[8] + o)),
                                           SIXTEEN(rows[12] + o), 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

#define NAME            vnni
#define TARGET          VNNI
#define BYTES           64
#define ROWS            8
#define DOT(s, x, w)    ((ints_vnni)_mm512_dpbusd_epi32((__m512i)(s), (__m512i)(x), (__m512i)(w)))
#define LOOK(t, i)      ((ints_vnni)_mm512_shuffle_epi8((__m512i)(t), (__m512i)(i)))
#define JOIN(p, o)      ((ints_vnni)join_vnni(p, o))
#define ZIP4_LOW(a, b)  ((ints_vnni)_mm512_unpacklo_epi32((__m512i)(a), (__m512i)(b)))
#define ZIP4_HIGH(a, b) ((ints_vnni)_mm512_unpackhi_epi32((__m512i)(a), (__m512i)(b)))
#define ZIP8_LOW(a, b)  ((ints_vnni)_mm512_unpacklo_epi64((__m512i)(a), (__m512i)(b)))
#define ZIP8_HIGH(a, b) ((ints_vnni)_mm512_unpackhi_epi64((__m512i)(a), (__m512i)(b)))
#define BIAS            128
#define MOST            128
#define HERE                                                                      \
    __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") && \
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
#include "engine/ints.inc"

/* Two products in 16 bits: 2 x 255 x 64 is just below 32768. */
#define NAME   avx2
#define TARGET AVX2
#define BYTES  32
#define ROWS   4
#define DOT(s, x, w) \
    ((s) +           \
     (ints_avx2)_mm256_madd_epi16(_mm256_maddubs_epi16((__m256i)(x), (__m256i)(w)), _mm256_set1_epi16(1)))
#define LOOK(t, i)      ((ints_avx2)_mm256_shuffle_epi8((__m256i)(t), (__m256i)(i)))
#define JOIN(p, o)      ((ints_avx2)join_avx2(p, o))
#define ZIP4_LOW(a, b)  ((ints_avx2)_mm256_unpacklo_epi32((__m256i)(a), (__m256i)(b)))
#define ZIP4_HIGH(a, b) ((ints_avx2)_mm256_unpackhi_epi32((__m256i)(a), (__m256i)(b)))
#define ZIP8_LOW(a, b)  ((ints_avx2)_mm256_unpacklo_epi64((__m256i)(a), (__m256i)(b)))
#define ZIP8_HIGH(a, b) ((ints_avx2)_mm256_unpackhi_epi64((__m256i)(a), (__m256i)(b)))
#define BIAS            128
#define MOST            64
#define HERE            __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
#include "engine/ints.inc"

const struct dots *const ints_ways[] = {&dots_vnni, &dots_avx2, NULL};

#elif defined(__aarch64__) && defined(__linux__)

#define NAME            dotprod
#define TARGET          __attribute__((target("arch=armv8.2-a+dotprod")))
#define BYTES           16
#define ROWS            8
#define DOT(s, x, w)    ((ints_dotprod)vdotq_s32((int32x4_t)(s), (int8x16_t)(x), (int8x16_t)(w)))
#define LOOK(t, i)      ((ints_dotprod)vqtbl1q_s8((int8x16_t)(t), (uint8x16_t)(i)))
#define JOIN(p, o)      ((ints_dotprod)vld1q_u8((const uint8_t *)(p)[0] + (o)))
#define ZIP4_LOW(a, b)  ((ints_dotprod)vzip1q_s32((int32x4_t)(a), (int32x4_t)(b)))
#define ZIP4_HIGH(a, b) ((ints_dotprod)vzip2q_s32((int32x4_t)(a), (int32x4_t)(b)))
#define ZIP8_LOW(a, b)  ((ints_dotprod)vzip1q_s64((int64x2_t)(a), (int64x2_t)(b)))
#define ZIP8_HIGH(a, b) ((ints_dotprod)vzip2q_s64((int64x2_t)(a), (int64x2_t)(b)))
#define BIAS            0
#define MOST            128
#define HERE            (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0
#include "engine/ints.inc"

const struct dots *const ints_ways[] = {&dots_dotprod, NULL};

#else

const struct dots *const ints_ways[] = {NULL};

#endif
