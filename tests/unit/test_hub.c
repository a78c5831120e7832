/* test_hub.c - src/base/hub_path and src/hub: names of models, which file of a repository is meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hub_path.h"
#include "hub/hub_part.h"

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

static void test_path_ok(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "a/b.c", "..a", "a..", "a/...", "m a.gguf", "\xc3\xbc"},
                             *const bad[] = {"",     "/a",     "a/",   "a//b", ".",    "..",   "../a",
                                             "a/..", "a/../b", "a\\b", "a\nb", "\xff", "a/./b"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!hub_path_ok(good[i]))
            fail_msg("'%s' is refused", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (hub_path_ok(bad[i]))
            fail_msg("'%s' is taken", bad[i]);
}

/* Files of a repository, separated by blanks; which one is opened, and how many belong to it. */
static void test_pick(void **state)
{
    (void)state;
    static const struct {
        const char *files, *tag, *file;
        enum hub_kind kind;
        const char *first;
        size_t n;
        const char *lacks;
    } rows[] = {
        {"a-Q8_0.gguf b-Q4_K_M.gguf", NULL, NULL, HUB_GGUF, "b-Q4_K_M.gguf", 1, NULL},
        {"a-F16.gguf a-Q8_0.gguf", NULL, NULL, HUB_GGUF, "a-Q8_0.gguf", 1, NULL},
        {"b-F16.gguf a-F32.gguf", NULL, NULL, HUB_GGUF, "a-F32.gguf", 1, NULL},
        {"a-UD-Q4_K_M.gguf a-q5_k_m.gguf", "Q5_K_M", NULL, HUB_GGUF, "a-q5_k_m.gguf", 1, NULL},
        {"a-Q4_K_M.gguf", "Q4_K", NULL, HUB_NOTHING, NULL, 0, NULL}, /* '_' is behind it */
        {"a.Q4_K_M.gguf", "Q4_K_M", NULL, HUB_GGUF, "a.Q4_K_M.gguf", 1, NULL},
        {"Q6_K-x/a.gguf", "Q6_K", NULL, HUB_GGUF, "Q6_K-x/a.gguf", 1, NULL},
        {"mmproj-Q4_K_M.gguf imatrix-Q4_K_M.gguf mtp-a-Q4_K_M.gguf z-F16.gguf", NULL, NULL, HUB_GGUF,
         "z-F16.gguf", 1, NULL},
        {"x/mmproj/a-F16.gguf", NULL, NULL, HUB_GGUF, "x/mmproj/a-F16.gguf", 1, NULL},
        {"a-Q8_0-00002-of-00002.gguf a-Q8_0-00001-of-00002.gguf", "Q8_0", NULL, HUB_GGUF,
         "a-Q8_0-00001-of-00002.gguf", 2, NULL},
        {"a-Q8_0-00001-of-00002.gguf", NULL, NULL, HUB_GGUF, "a-Q8_0-00001-of-00002.gguf", 1,
         "a-Q8_0-00002-of-00002.gguf"},
        {"a.gguf mmproj.gguf", NULL, "mmproj.gguf", HUB_GGUF, "mmproj.gguf", 1, NULL},
        {"a.gguf", "Q8_0", "a.gguf", HUB_GGUF, "a.gguf", 1, NULL},
        {"a.gguf", NULL, "b.gguf", HUB_NOTHING, NULL, 0, NULL},
        {"config.json a.bin x.png original/y.json LICENSE.txt tokenizer.model m.py", NULL, NULL,
         HUB_CHECKPOINT, NULL, 4, NULL},
        {"params.json consolidated.safetensors tekken.json x.bin", NULL, NULL, HUB_CHECKPOINT, NULL, 2, NULL},
        {"config.json", "Q8_0", NULL, HUB_NOTHING, NULL, 0, NULL},
        {"README.md", NULL, NULL, HUB_NOTHING, NULL, 0, NULL},
        {"", NULL, NULL, HUB_NOTHING, NULL, 0, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hub_list l = {0};
        struct hub_pick p;
        char *files = strdup(rows[i].files), *save = NULL;
        for (char *s = strtok_r(files, " ", &save); s; s = strtok_r(NULL, " ", &save))
            hub_list_add(&l, s, 1, "");
        hub_list_sort(&l);
        enum hub_kind kind = hub_pick(&l, rows[i].tag, rows[i].file, &p);
        if (kind != rows[i].kind || p.n != rows[i].n || (p.first == NULL) != (rows[i].first == NULL) ||
            (p.first && strcmp(p.first, rows[i].first) != 0) || p.whole != (rows[i].lacks == NULL) ||
            (p.lacks && strcmp(p.lacks, rows[i].lacks) != 0))
            fail_msg("'%s': kind %d, %s, %zu files, lacks %s", rows[i].files, kind,
                     p.first ? p.first : "none", p.n, p.lacks ? p.lacks : "none");
        hub_pick_clear(&p);
        hub_list_clear(&l);
        free(files);
    }
}

/* A checkpoint's weights are those of its index, no others. */
static void test_weights(void **state)
{
    (void)state;
    char index[] =
        "{\"metadata\": {}, \"weight_map\": {\"a\": \"m-2.safetensors\", \"b\": \"m-1.safetensors\", \"c\": "
        "\"m-2.safetensors\"}}";
    struct hub_list l = {0};
    struct err e = {0};
    static const char *const files[] = {"config.json", "m-1.safetensors", "m-2.safetensors",
                                        "model.safetensors"};
    for (size_t i = 0; i < 4; i++)
        hub_list_add(&l, files[i], 1, "");
    hub_list_sort(&l);
    struct hub_pick p;
    assert_int_equal(hub_pick(&l, NULL, NULL, &p), HUB_CHECKPOINT);
    assert_true(hub_pick_weights(&l, index, strlen(index), &p, &e));
    assert_true(p.whole && p.n == 3);
    assert_string_equal(p.files[1], "m-1.safetensors");
    assert_string_equal(p.files[2], "m-2.safetensors");
    hub_pick_clear(&p);
    hub_pick(&l, NULL, NULL, &p);
    assert_true(hub_pick_weights(&l, NULL, 0, &p, &e));
    assert_true(p.whole && p.n == 2);
    hub_pick_clear(&p);
    hub_list_clear(&l);
}

/* Mistral's own layout: of its names, listed or not; beside config.json it is not the model. */
static void test_own_layout(void **state)
{
    (void)state;
    char index[] = "{\"weight_map\": {\"a\": \"consolidated-00002-of-00002.safetensors\"}}";
    static const struct {
        const char *files;
        bool index;
        size_t n;
        const char *last, *lacks;
    } rows[] = {
        {"params.json consolidated.safetensors", false, 2, "consolidated.safetensors", NULL},
        {"params.json consolidated-00001-of-00002.safetensors consolidated-00002-of-00002.safetensors", false,
         3, "consolidated-00002-of-00002.safetensors", NULL},
        {"params.json consolidated-00001-of-00002.safetensors consolidated-00002-of-00002.safetensors", true,
         2, "consolidated-00002-of-00002.safetensors", NULL},
        {"params.json model.safetensors x/consolidated-1.safetensors", false, 1, "params.json",
         "consolidated.safetensors"},
        {"config.json params.json consolidated.safetensors model.safetensors", false, 3, "model.safetensors",
         NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hub_list l = {0};
        struct hub_pick p;
        struct err e = {0};
        char *files = strdup(rows[i].files), *save = NULL, text[sizeof index];
        memcpy(text, index, sizeof index);
        for (char *s = strtok_r(files, " ", &save); s; s = strtok_r(NULL, " ", &save))
            hub_list_add(&l, s, 1, "");
        hub_list_sort(&l);
        assert_int_equal(hub_pick(&l, NULL, NULL, &p), HUB_CHECKPOINT);
        assert_true(
            hub_pick_weights(&l, rows[i].index ? text : NULL, rows[i].index ? strlen(text) : 0, &p, &e));
        if (p.n != rows[i].n || strcmp(p.files[p.n - 1], rows[i].last) != 0 ||
            (p.lacks == NULL) != (rows[i].lacks == NULL) || (p.lacks && strcmp(p.lacks, rows[i].lacks) != 0))
            fail_msg("'%s': %zu files, the last %s, lacks %s", rows[i].files, p.n, p.files[p.n - 1],
                     p.lacks ? p.lacks : "none");
        hub_pick_clear(&p);
        hub_list_clear(&l);
        free(files);
    }
}

static void test_next_link(void **state)
{
    (void)state;
    static const struct {
        const char *header, *next;
    } rows[] = {
        {" <http://h/a?cursor=x>; rel=\"next\"", "http://h/a?cursor=x"},
        {"<http://h/1>; rel=\"last\", <http://h/2>; rel=\"next\"", "http://h/2"},
        {"<http://h/1>; rel=\"last\"", NULL},
        {"<http://h/1", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *next = hub_next_link(rows[i].header);
        if ((next == NULL) != (rows[i].next == NULL) || (next && strcmp(next, rows[i].next) != 0))
            fail_msg("%s: %s", rows[i].header, next ? next : "NULL");
        free(next);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hub_id),     cmocka_unit_test(test_is_id),   cmocka_unit_test(test_path_ok),
        cmocka_unit_test(test_pick),       cmocka_unit_test(test_weights), cmocka_unit_test(test_next_link),
        cmocka_unit_test(test_own_layout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
