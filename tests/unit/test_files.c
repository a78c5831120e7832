/* test_files.c - src/hf/files: every name of the table reaches those who ask by role. All loops go over the
 * table, so a new row is in each test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tempdir.h"

#include "base/file.h"
#include "convert/cache.h"
#include "convert/convert.h"
#include "hf/files.h"
#include "model/view_hf.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MODEL TEST_DATA_DIR "/families/qwen3_moe/hf"

/* Its files, as "m" in the test's folder. */
static void copy_model(void)
{
    put_files("m", MODEL);
    assert_int_equal(setenv("REAP_CACHE", at("cache"), 1), 0);
}

/* A file of the row in "m", made when it is not there; its path in `path`. */
static void have(const struct hf_file_row *r, char path[512])
{
    char name[256];
    snprintf(name, sizeof name, "m/%s%s", r->name, r->is_dir ? "/x.jinja" : "");
    snprintf(path, 512, "%s", at(name));
    if (!file_exists(path))
        put(name, "{}");
}

/* As an edit does: another time. */
static void edit(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    struct timespec t[2] = {st.st_atim, {st.st_mtim.tv_sec, (st.st_mtim.tv_nsec + 1) % 1000000000}};
    assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

static char *stamp_of_view(void)
{
    struct err e = {0};
    struct view *v = view_open(at("m"), &e);
    struct buf b = {0};
    assert_non_null(v);
    view_stamp(v, &b);
    view_free(v);
    return b.s;
}

static char *cached(void)
{
    struct err e = {0};
    struct engine_opts o = {0};
    char *path = convert_cached(at("m"), &o, &e);
    if (!path)
        fail_msg("%s", e.msg);
    return path;
}

/* Each file that is read gives another key when it changes (or appears); the others do not. */
static void check_key(char *(*key)(void))
{
    copy_model();
    char *was = key();
    for (uint32_t i = 0; hf_files_at(i); i++) {
        const struct hf_file_row *r = hf_files_at(i);
        bool matters = r->role & HF_FILES_MODEL;
        for (int edits = 0; edits < 2; edits++) {
            char path[512];
            have(r, path);
            edit(path);
            char *now = key();
            if ((strcmp(now, was) != 0) != matters)
                fail_msg("%s: the key %s", r->name, matters ? "stays" : "changes");
            free(was);
            was = now;
        }
    }
    free(was);
}

static void test_cache(void **state)
{
    (void)state;
    check_key(cached);
}

static void test_stamp(void **state)
{
    (void)state;
    check_key(stamp_of_view);
}

static void test_outputs(void **state)
{
    (void)state;
    copy_model();
    struct err e = {0};
    struct view *v = view_open(at("m"), &e);
    assert_non_null(v);
    struct image *im = convert_open(view_hf(v), at("m"), &(struct convert_opts){0}, &e);
    assert_non_null(im);
    for (uint32_t i = 0; hf_files_at(i); i++) {
        const struct hf_file_row *r = hf_files_at(i);
        char path[512];
        struct buf before = {0}, after = {0};
        have(r, path);
        assert_true(file_read_all(path, 1u << 24, &before, &e));
        if (view_check_output(v, path, &e))
            fail_msg("%s may be written to", r->name);
        err_clear(&e);
        if (convert_write(im, path, true, &e))
            fail_msg("%s is replaced by a conversion", r->name);
        err_clear(&e);
        assert_true(file_read_all(path, 1u << 24, &after, &e));
        assert_true(before.n == after.n && !memcmp(before.s, after.s, after.n));
        buf_clear(&before);
        buf_clear(&after);
    }
    static const char *const others[] = {"modeling.py", "LICENSE", "sub/x.txt", "plan.json", "x.json"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char name[64];
        snprintf(name, sizeof name, "m/%s", others[i]);
        put(name, "{}");
        if (view_check_output(v, at(name), &e) || convert_write(im, at(name), true, &e))
            fail_msg("%s may be written to", name);
        err_clear(&e);
    }
    assert_true(view_check_output(v, at("m/stats.json"), &e));
    put("m/stats.json", "{\n \"schema\": \"reap.stats/1\"}");
    assert_true(view_check_output(v, at("m/stats.json"), &e));
    put("m/old.gguf", "GGUF");
    assert_true(view_check_output(v, at("m/old.gguf"), &e));
    put("m/reap.json", "{\n \"schema\": \"reap.provenance/1\"}");
    assert_false(view_check_output(v, at("m/reap.json"), &e));
    image_free(im);
    view_free(v);
}

static void test_rows(void **state)
{
    (void)state;
    uint32_t n = 0;
    for (; hf_files_at(n); n++) {
        assert_true((hf_files_at(n)->role == HF_FILE_JSON) == (n < HF_N_JSON));
        for (uint32_t i = 0; i < n; i++)
            assert_string_not_equal(hf_files_at(i)->name, hf_files_at(n)->name);
    }
    assert_true(n > HF_N_JSON);
}

#define T(f) cmocka_unit_test_setup_teardown(f, tempdir_setup, tempdir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {T(test_rows), T(test_cache), T(test_stamp), T(test_outputs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
