/* probe.c - the CPU; see doctor.h. */
#include "doctor/doctor.h"

#include <string.h>

/* The kernel's names (flags of x86, Features of arm64) and the engine's. AMX is left out on purpose
 * (docs/ARCHITECTURE.md). */
static const struct {
    const char *kernel, *engine;
} instructions[] = {
    {"ssse3", "SSSE3"},
    {"avx", "AVX"},
    {"avx2", "AVX2"},
    {"f16c", "F16C"},
    {"fma", "FMA"},
    {"bmi2", "BMI2"},
    {"avx_vnni", "AVX_VNNI"},
    {"avx512f", "AVX512"},
    {"avx512vbmi", "AVX512_VBMI"},
    {"avx512_vnni", "AVX512_VNNI"},
    {"avx512_bf16", "AVX512_BF16"},
    {"asimd", "NEON"},
    {"asimddp", "DOTPROD"},
    {"asimdhp", "FP16_VA"},
    {"i8mm", "MATMUL_INT8"},
    {"sve", "SVE"},
    {"sme", "SME"},
};

/* Whether a word stands in text[0..n). */
static bool has_word(const char *text, size_t n, const char *word)
{
    size_t len = strlen(word);
    for (size_t i = 0; i < n;) {
        size_t k = strcspn(text + i, " \t\n");
        if (i + k > n)
            k = n - i;
        if (k == len && !memcmp(text + i, word, k))
            return true;
        i += k + 1;
    }
    return false;
}

void doctor_cpu_lacks(const char *cpuinfo, const char *used, struct buf *b)
{
    const char *flags = strstr(cpuinfo, "\nflags");
    flags = flags ? flags : strstr(cpuinfo, "\nFeatures");
    if (!flags)
        return;
    size_t n = strcspn(flags + 1, "\n");
    for (size_t i = 0; i < sizeof instructions / sizeof *instructions; i++)
        if (has_word(flags + 1, n, instructions[i].kernel) &&
            !has_word(used, strlen(used), instructions[i].engine))
            buf_fmt(b, "%s%s", b->n ? " " : "", instructions[i].engine);
}
