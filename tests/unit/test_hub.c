/* test_hub.c - src/base/hub_path and src/hub: names of models, which file of a repository is meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hub_path.h"

#include <stdlib.h>
#include <string.h>

static void test_hub_id(void **state)
{
    (void)state;
    static const struct {
        const char *path, *id;
    } rows[] = {
        {"/c/hub/models--Qwen--Qwen3-30B-A3B/snapshots/0123abc", "Qwen/Qwen3-30B-A3B"},
        {"models--a--b.c_d/snapshots/x//", "a/b.c_d"},
        {"/c/models--a--b/snapshots/", NULL},
        {"/c/models--a--b/refs/main", NULL},
        {"/c/models--a--b", NULL},
        {"/c/models--gpt2/snapshots/x", NULL},
        {"/c/models--a--b--c/snapshots/x", NULL},
        {"/c/models--a--/snapshots/x", NULL},
        {"/c/models----b/snapshots/x", NULL},
        {"/c/models--a--b c/snapshots/x", NULL},
        {"/c/datasets--a--b/snapshots/x", NULL},
        {"", NULL},
        {"/", NULL},
        {"a", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *id = hub_id_of_path(rows[i].path);
        if ((id == NULL) != (rows[i].id == NULL) || (id && strcmp(id, rows[i].id) != 0))
            fail_msg("%s: %s", rows[i].path, id ? id : "NULL");
        free(id);
    }
}

static void test_is_id(void **state)
{
    (void)state;
    static const char *const good[] = {"a/b", "openai/gpt-oss-20b", "Qwen/Qwen3-30B-A3B", "a_1/b.c_d"},
                             *const bad[] = {"",      "a",     "/b",    "a/",     "a/b/c",
                                             "a/..",  "../b",  "a/.b",  "a--b/c", "a/b--c",
                                             "a b/c", "a/b:Q", "a/b\n", "-a/b",   "a/b?x"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!hub_is_id(good[i]))
            fail_msg("'%s' is refused", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (hub_is_id(bad[i]))
            fail_msg("'%s' is taken", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hub_id),
        cmocka_unit_test(test_is_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
