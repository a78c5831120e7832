/* dots.c - see dots.h: the same code for each instruction set, the best one chosen when the program runs. */
#include "engine/dots.h"

#include <string.h>

#define COLS DOTS_COLS

#define NAME plain
#define TARGET
#define BYTES 16
#define ROWS  3
#include "engine/dots.inc"

#if defined(__x86_64__)
#define NAME   avx2
#define TARGET __attribute__((target("avx2,fma")))
#define BYTES  32
#define ROWS   3
#include "engine/dots.inc"
#elif defined(__aarch64__)
#define NAME neon
#define TARGET
#define BYTES 16
#define ROWS  6
#include "engine/dots.inc"
#endif

dots_fn *dots_best(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return dots_avx2;
#elif defined(__aarch64__)
    return dots_neon;
#endif
    return dots_plain;
}
