/* test_doctor.c - what the CPU has and the engine's code does not use; rates of reading files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/disk.h"
#include "doctor/doctor.h"
#include "tempdir.h"

#include <stdlib.h>
#include <string.h>

static void lacks(const char *cpuinfo, const char *used, const char *want)
{
    struct buf b = {0};
    doctor_cpu_lacks(cpuinfo, used, &b);
    assert_string_equal(b.s ? b.s : "", want);
    buf_clear(&b);
}

static void test_cpu(void **state)
{
    (void)state;
    lacks("processor\t: 0\nflags\t\t: fpu avx avx2 fma f16c avx512f\nbugs\t: sve\n", "AVX AVX2 FMA F16C",
          "AVX512");
    lacks("processor\t: 0\nflags\t\t: fpu avx avx2\n", "AVX2 AVX", "");
    lacks("processor\t: 0\nflags\t\t: avx avx2\n", "", "AVX AVX2");
    lacks("processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\n", "NEON DOTPROD", "MATMUL_INT8");
    lacks("x\nflags\t: avx51", "", ""); /* a part of a word is none */
    lacks("nothing of the kind\n", "AVX", "");
    lacks("", "", "");
}

static void test_disk(void **state)
{
    (void)state;
    bool cold = true;
    size_t n = 24u << 20;
    char *p = malloc(n);
    assert_non_null(p);
    memset(p, 'x', n);
    put_bytes("large", p, n);
    free(p);
    assert_true(disk_rate(at("large"), &cold) > 0);
    put("small", "x");
    assert_true(disk_rate(at("small"), &cold) == 0);
    assert_false(cold);
    assert_true(disk_rate(at("none"), &cold) == 0);
    assert_true(disk_rate(tmp, &cold) == 0); /* a folder */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpu),
        cmocka_unit_test_setup_teardown(test_disk, tempdir_setup, tempdir_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
