/* test_seeded.c - checkpoints of tests/data/seeded, whose weights are made here: what they are converted to, against what the
 * engine's own converter wrote, key by key and tensor by tensor; and what the engine computes with them, against
 * transformers (families_engine.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "convert/image_part.h"
#include "convert/load.h"
#include "engine/engine.h"
#include "engine/quantize.h"
#include "families.h"
#include "gguf/gguf_file.h"

#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* ---- against gguf.tsv ---- */

static const char *kind_word(enum gg_kind k)
{
    static const char *const words[GG_N_KINDS] = {
        [GG_U32] = "uint32",  [GG_I32] = "int32", [GG_U64] = "uint64",
        [GG_F32] = "float32", [GG_BOOL] = "bool", [GG_STR] = "string"};
    return words[k] ? words[k] : "of a kind that the test has to learn";
}

static void value_text(struct buf *b, const struct gg_key *k)
{
    char hex[65];
    uint32_t u;
    float f;
    bool plain = k->str_len <= 60;
    memcpy(&u, k->value, k->kind == GG_U32 || k->kind == GG_I32 || k->kind == GG_F32 ? 4 : 0);
    memcpy(&f, &u, 4);
    switch (k->kind) {
    case GG_U32: buf_fmt(b, "%u", u); return;
    case GG_I32: buf_fmt(b, "%d", (int32_t)u); return;
    case GG_F32: buf_fmt(b, "%.9g", (double)f); return;
    case GG_BOOL: buf_str(b, *k->value ? "true" : "false"); return;
    case GG_STR:
        for (uint64_t i = 0; i < k->str_len; i++)
            plain = plain && k->value[i] >= ' ' && k->value[i] < 127;
        sha256_bytes(k->value, k->str_len, hex);
        if (plain)
            buf_add(b, k->value, k->str_len);
        else
            buf_fmt(b, "sha256 %s", hex);
        return;
    case GG_ARR:
        sha256_bytes(k->value, (size_t)(k->raw + k->raw_bytes - k->value), hex);
        buf_fmt(b, "%llu %s", (unsigned long long)k->n, hex);
        return;
    default: return;
    }
}

static void same_key(const struct gg_file *g, const char *name, const char *kind, const char *value)
{
    const struct gg_key *k = gg_find(g, name);
    struct buf text = {0}, word = {0};
    if (!k)
        fail_msg("key '%s' (%s) is missing", name, value);
    buf_fmt(&word, k->kind == GG_ARR ? "[%s]" : "%s", kind_word(k->kind == GG_ARR ? k->elem : k->kind));
    value_text(&text, k);
    if (strcmp(name, "general.name") != 0 && (strcmp(word.s, kind) || strcmp(text.s ? text.s : "", value)))
        fail_msg("key '%s' is %s %s, expected %s %s", name, word.s, text.s, kind, value);
    buf_clear(&text);
    buf_clear(&word);
}

static void same_tensor(struct image *im, const char *name, const char *type, const char *shape,
                        const char *sha)
{
    struct err e = {0};
    struct buf ne = {0};
    char hex[65];
    const struct image_tensor *t = NULL;
    for (uint64_t i = 0; i < im->n_tensors; i++)
        t = strcmp(im->tensors[i].name, name) ? t : &im->tensors[i];
    if (!t)
        fail_msg("tensor '%s' [%s] is missing", name, shape);
    for (uint32_t d = 0; d < t->n_dims; d++)
        buf_fmt(&ne, "%s%llu", d ? "," : "", (unsigned long long)t->ne[d]);
    if (strcasecmp(gg_type_get(t->type)->name, type) != 0 || strcmp(ne.s, shape) != 0)
        fail_msg("tensor '%s' is %s [%s], expected %s [%s]", name, gg_type_get(t->type)->name, ne.s, type,
                 shape);
    uint8_t *p = xmalloc(t->bytes);
    golden_ok(image_read(im, t->off, t->bytes, p, &e), &e, name);
    sha256_bytes(p, t->bytes, hex);
    if (strcmp(hex, sha) != 0)
        fail_msg("tensor '%s' has other bytes than the converter's", name);
    free(p);
    buf_clear(&ne);
}

static void check_converted(const struct family_case *f, const char *folder)
{
    struct err e = {0};
    struct convert_opts o = {.type = "f32", .quantize = engine_quantize_rows, .threads = 2};
    struct buf text = {0};
    struct gg_file got;
    uint64_t n_tensors = 0;
    struct hf_checkpoint *c = hf_open(folder, &e);
    golden_ok(c != NULL, &e, f->name);
    struct image *im = convert_open(c, folder, &o, &e);
    golden_ok(im != NULL, &e, f->name);
    golden_ok(gg_parse((const uint8_t *)im->header.s, im->header.n, im->size, &got, &e), &e, f->name);
    golden_ok(file_read_all(family_file(f, "gguf.tsv"), 1u << 22, &text, &e), &e, "gguf.tsv");
    buf_char(&text, 0);
    for (char *rest = text.s, *line; (line = strsep(&rest, "\n")) && *line;) {
        char *field[5] = {0};
        for (int i = 0; i < 5 && line; i++)
            field[i] = strsep(&line, "\t");
        if (!strcmp(field[0], "key"))
            same_key(&got, field[1], field[2], field[3]);
        else {
            same_tensor(im, field[1], field[2], field[3], field[4]);
            n_tensors++;
        }
    }
    assert_int_equal(im->n_tensors, n_tensors);
    buf_clear(&text);
    gg_clear(&got);
    image_free(im);
    hf_free(c);
}

/* Experts that are stored as MXFP4 are that in the file, too: the numbers that they become as floats. */
static void check_blocks(const struct family_case *f, const char *folder)
{
    struct err e = {0};
    struct convert_opts o = {.type = "f32", .quantize = engine_quantize_rows, .threads = 2};
    struct buf config = {0};
    uint64_t blocks = 0;
    struct hf_checkpoint *c = hf_open(folder, &e);
    golden_ok(c != NULL, &e, f->name);
    golden_ok(file_read_all(family_file(f, "hf/config.json"), 1u << 20, &config, &e), &e, f->name);
    buf_char(&config, 0);
    struct image *plain = convert_open(c, folder, &o, &e);
    golden_ok(plain != NULL, &e, f->name);
    o.type = "auto";
    struct image *im = convert_open(c, folder, &o, &e);
    golden_ok(im != NULL, &e, f->name);
    for (uint64_t i = 0; i < im->n_tensors; i++) {
        const struct image_tensor *t = &im->tensors[i], *want = &plain->tensors[i];
        if (t->type != T_MXFP4)
            continue;
        uint64_t n = t->ne[0] * t->ne[1] * t->ne[2];
        uint8_t *p = xmalloc(t->bytes);
        float *a = xcalloc(n, sizeof *a), *b = xcalloc(n, sizeof *b);
        golden_ok(image_read(im, t->off, t->bytes, p, &e) && image_read(plain, want->off, want->bytes, b, &e),
                  &e, t->name);
        golden_ok(engine_dequantize(t->type, p, n, a, &e), &e, t->name);
        assert_string_equal(t->name, want->name);
        assert_int_equal(want->bytes, n * sizeof *b);
        for (uint64_t j = 0; j < n; j++)
            if (a[j] != b[j]) /* the engine has no -0 */
                fail_msg("tensor '%s': %g, expected %g", t->name, (double)a[j], (double)b[j]);
        free(p);
        free(a);
        free(b);
        blocks++;
    }
    assert_int_equal(blocks, strstr(config.s, "\"expert_dtype\": \"fp4\"") ? 3 * 3 : 0);
    buf_clear(&config);
    image_free(im);
    image_free(plain);
    hf_free(c);
}

/* Of a table of ids one that is of no expert. */
static void check_ids(const struct family_case *f, const char *folder)
{
    struct err e = {0};
    struct convert_opts o = {.type = "f32"};
    struct hf_checkpoint *c = hf_open(folder, &e);
    golden_ok(c != NULL, &e, f->name);
    for (uint64_t i = 0; i < c->n_tensors; i++) {
        const struct hf_tensor *t = &c->tensors[i];
        const char bad[8] = {0, 0, 0, 0, 1};
        char was[8];
        if (!strstr(t->name, "tid2eid"))
            continue;
        int fd = open(c->files[t->file].path, O_RDWR);
        assert_true(fd >= 0 && pread(fd, was, sizeof was, (off_t)t->off + 16) == sizeof was &&
                    pwrite(fd, bad, sizeof bad, (off_t)t->off + 16) == sizeof bad);
        struct image *im = convert_open(c, folder, &o, &e);
        golden_ok(im != NULL, &e, f->name);
        uint8_t *all = xmalloc(im->size);
        assert_false(image_read(im, 0, im->size, all, &e));
        if (!strstr(e.msg, "row 1 names expert 4294967296, expected 0 to 7"))
            fail_msg("%s", e.msg);
        e = (struct err){0};
        assert_true(pwrite(fd, was, sizeof was, (off_t)t->off + 16) == sizeof was);
        close(fd);
        free(all);
        image_free(im);
    }
    hf_free(c);
}

/* Those that are pruned, but not converted: what comes out is held against transformers by `make interop`. */
static void check_cut_only(const struct family_case *f, const char *folder)
{
    struct err e = {0};
    struct convert_opts o = {.type = "f32", .quantize = engine_quantize_rows, .threads = 2};
    struct hf_checkpoint *c = hf_open(folder, &e);
    golden_ok(c != NULL, &e, f->name);
    assert_null(convert_open(c, folder, &o, &e));
    if (!strstr(e.msg, "cannot be converted"))
        fail_msg("%s: %s", f->name, e.msg);
    hf_free(c);
    family_prune(f, folder, "pruned", false);
    struct view *v = family_view(golden_tmp("pruned"));
    struct plan *p = family_plan(f);
    assert_int_equal(v->shape.n_experts, p->n_keep);
    plan_free(p);
    view_free(v);
}

static void test_seeded(void **state)
{
    const struct family_case *f = *state;
    const char *folder = family_folder(f);
    if (!file_exists(family_file(f, "gguf.tsv"))) {
        check_cut_only(f, folder);
        return;
    }
    check_converted(f, folder);
    check_ids(f, folder);
    check_blocks(f, folder);
    families_engine_seeded(f, folder);
}

int main(int argc, char **argv)
{
    engine_begin(argv);
    if (argc > 1) /* only this folder */
        cmocka_set_test_filter(argv[1]);
    return family_run_seeded("seeded", test_seeded);
}
