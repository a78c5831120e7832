/* test_gguf_types.c - our table of tensor types against the engine's, row by row.
 *
 * A wrong number of bytes per block would cut tensors in the wrong place, so the engine has the last word. */
#include "gguf/gguf_file.h"

#include <ggml.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_rows(void **state)
{
    (void)state;
    unsigned n = 0;
    for (uint32_t id = 0; id < GGML_TYPE_COUNT; id++) {
        const struct gg_type *t = gg_type_get(id);
        int64_t block = ggml_blck_size((enum ggml_type)id);
        if (block == 0) { /* removed from ggml */
            assert_null(t);
            continue;
        }
        if (!t)
            fail_msg("the engine has type %u (%s), we do not", id, ggml_type_name((enum ggml_type)id));
        assert_string_equal(t->name, ggml_type_name((enum ggml_type)id));
        assert_int_equal(t->block, block);
        assert_int_equal(t->bytes, ggml_type_size((enum ggml_type)id));
        n++;
    }
    assert_true(n >= 35);
}

static void test_no_more(void **state)
{
    (void)state;
    for (uint32_t id = GGML_TYPE_COUNT; id < GG_N_TYPES + 10; id++)
        assert_null(gg_type_get(id));
}

/* Of ik_llama.cpp: the bits of a weight as its quantize tool states them, examples/quantize/quantize.cpp
 * (8337e4cd3), a scale of the whole row apart. Of woven types those of what they are woven of. */
static void test_ik(void **state)
{
    (void)state;
    static const struct {
        uint32_t id;
        const char *name;
        double bits;
        uint32_t rows;
    } stated[] = {
        {133, "q6_0", 6.5, 1},      {134, "iq1_bn", 1.62, 1},    {135, "iq2_bn", 2.0, 1},
        {137, "iq2_k", 2.375, 1},   {138, "iq3_k", 3.44, 1},     {139, "iq4_k", 4.5, 1},
        {140, "iq5_k", 5.5, 1},     {141, "iq6_k", 6.6, 1},      {144, "iq4_ks", 4.25, 1},
        {145, "iq2_ks", 2.1875, 1}, {146, "iq4_kss", 4.0, 1},    {151, "q8_KV", 8.0, 1},
        {152, "iq5_ks", 5.25, 1},   {153, "iq2_kt", 2.125, 1},   {154, "iq3_kt", 3.125, 1},
        {155, "iq4_kt", 4.0, 1},    {156, "iq3_ks", 3.19, 1},    {157, "iq2_kl", 2.69, 1},
        {158, "iq1_kt", 1.75, 1},   {202, "q4_0_r8", 4.5, 8},    {206, "q5_0_r4", 5.5, 4},
        {208, "q8_0_r8", 8.5, 8},   {219, "iq1_s_r4", 1.5, 4},   {220, "iq4_nl_r4", 4.5, 4},
        {229, "iq1_m_r4", 1.75, 4}, {223, "iq4_xs_r8", 4.25, 8}, {233, "q6_0_r4", 6.5, 4},
        {335, "iq2_bn_r4", 2.0, 4}, {340, "iq5_k_r4", 5.5, 4},   {344, "iq4_ks_r4", 4.25, 4},
    };
    for (size_t i = 0; i < sizeof stated / sizeof *stated; i++) {
        const struct gg_type *t = gg_type_get(stated[i].id);
        assert_non_null(t);
        assert_string_equal(t->name, stated[i].name);
        double bits = 8.0 * t->bytes / t->block - stated[i].bits;
        if (bits < -0.03 || bits > 0.03)
            fail_msg("%s has %g bits more than stated", t->name, bits);
        assert_int_equal(t->rows, stated[i].rows);
    }
    const uint64_t ne[4] = {512, 8, 3, 1}, vast[4] = {1ull << 62, 2, 1ull << 62, 1};
    uint64_t n;
    assert_true(gg_type_size(gg_type_get(144), ne, &n)); /* a scale of 4 bytes, two blocks of 136 */
    assert_int_equal(n, 8 * 3 * (4 + 2 * 136));
    assert_false(gg_type_size(gg_type_get(144), vast, &n));
    assert_non_null(gg_type_get(GG_LAST_TYPE));
    assert_null(gg_type_get(GG_LAST_TYPE + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_no_more),
                                       cmocka_unit_test(test_ik)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
