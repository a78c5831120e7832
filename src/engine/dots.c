/* dots.c - see dots.h: the same code for each instruction set, the best one chosen when the program runs. Weights become
 * floats, and x stays so; where the processor multiplies BF16, x is rounded to it instead, as the engine does. Of quantised
 * weights: ints.c. */
#include "engine/dots.h"
#include "engine/ints.h"
#include "engine/panels.h"

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define COLS   4
#define INLINE inline __attribute__((always_inline))

typedef float quad __attribute__((vector_size(16), aligned(4), may_alias));

#define STRING_(s) #s
#define STRING(s)  STRING_(s)

static bool is_float(enum ggml_type type)
{
    return type == GGML_TYPE_F32 || type == GGML_TYPE_BF16 || type == GGML_TYPE_F16;
}

static size_t float_scratch(size_t k)
{
    return DOTS_MOST * k * sizeof(float);
}

#define MULTIPLY_ADD(s, a, b) ((s) + (a) * (b))
#define ITSELF(e)             (e)
#define FLOATS                                                                                           \
    {                                                                                                    \
        .name = STRING(NAME), .can = FN(can), .rows = DOTS_MOST, .each = COLS, .scratch = float_scratch, \
        .multiply = FN(multiply)                                                                         \
    }

#define NAME plain
#define TARGET
#define BYTES  16
#define ELEM   float
#define ROWS   3
#define MAC    MULTIPLY_ADD
#define VALUE  ITSELF
#define CAN    is_float(type)
#define RECORD FLOATS
#include "engine/dots.inc"

#if defined(__x86_64__)

#define NAME   avx2
#define TARGET __attribute__((target("avx2,fma")))
#define BYTES  32
#define ELEM   float
#define ROWS   3
#define MAC    MULTIPLY_ADD
#define VALUE  ITSELF
#define CAN    is_float(type) && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
#define RECORD FLOATS
#include "engine/dots.inc"

static INLINE float bf16_value(uint16_t e)
{
    uint32_t bits = (uint32_t)e << 16;
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static size_t bf16_bytes(size_t k)
{
    return k * sizeof(uint16_t);
}

static void bf16_make(const float *x, size_t k, void *to)
{
    ggml_fp32_to_bf16_row(x, to, (int64_t)k);
}

static size_t no_scratch(size_t k)
{
    (void)k;
    return 0;
}

#define NAME         bf16
#define TARGET       __attribute__((target("avx512f,avx512bw,avx512bf16,fma")))
#define BYTES        64
#define ELEM         uint16_t
#define ROWS         6
#define MAC(s, a, b) ((vec_bf16)_mm512_dpbf16_ps((__m512)(s), (__m512bh)(a), (__m512bh)(b)))
#define VALUE        bf16_value
#define CAN \
    type == GGML_TYPE_BF16 &&__builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw")
#define RECORD                                                                                  \
    {                                                                                           \
        .name = "bf16", .can = FN(can), .rows = DOTS_MOST, .each = COLS, .x_bytes = bf16_bytes, \
        .x_make = bf16_make, .scratch = no_scratch, .multiply = FN(multiply)                    \
    }
#include "engine/dots.inc"

static const struct dots *const float_ways[] = {&dots_bf16, &dots_avx2, &dots_plain, NULL};

#elif defined(__aarch64__)

#define NAME neon
#define TARGET
#define BYTES  16
#define ELEM   float
#define ROWS   6
#define MAC    MULTIPLY_ADD
#define VALUE  ITSELF
#define CAN    is_float(type)
#define RECORD FLOATS
#include "engine/dots.inc"

static const struct dots *const float_ways[] = {&dots_neon, &dots_plain, NULL};

#else

static const struct dots *const float_ways[] = {&dots_plain, NULL};

#endif

static const struct dots *way(const struct dots *const *ways, enum ggml_type type, size_t n, size_t *i)
{
    for (; *ways; ways++)
        if (n % (*ways)->each == 0 && (*ways)->can(type) && !(*i)--)
            return *ways;
    return NULL;
}

const struct dots *dots_way(enum ggml_type type, size_t n, size_t i)
{
    const struct dots *d = way(panel_ways, type, n, &i);
    d = d ? d : way(float_ways, type, n, &i);
    return d ? d : way(ints_ways, type, n, &i);
}
