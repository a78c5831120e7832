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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_no_more)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
