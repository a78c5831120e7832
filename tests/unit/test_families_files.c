/* test_families_files.c - the tiny models as files: the pruned file is what converting the pruned checkpoint
 * gives, byte for byte, and verify finds every byte that is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "families.h"
#include "gguf/gguf_file.h"
#include "model/cut.h"

#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* ---- keys, as the reference lists them ---- */

static const char *kind_name(enum gg_kind k)
{
    static const char *const names[GG_N_KINDS] = {
        [GG_U8] = "uint8",    [GG_I8] = "int8",   [GG_U16] = "uint16",  [GG_I16] = "int16",
        [GG_U32] = "uint32",  [GG_I32] = "int32", [GG_F32] = "float32", [GG_BOOL] = "bool",
        [GG_STR] = "string",  [GG_ARR] = "array", [GG_U64] = "uint64",  [GG_I64] = "int64",
        [GG_F64] = "float64",
    };
    return names[k];
}

/* One value at p as JSON; returns what lies behind it. */
static const uint8_t *scalar_json(enum gg_kind kind, const uint8_t *p, json_t **out)
{
    uint32_t u32;
    uint64_t u64;
    int32_t i32;
    float f32;
    switch (kind) {
    case GG_U32:
        memcpy(&u32, p, 4);
        *out = json_integer(u32);
        return p + 4;
    case GG_I32:
        memcpy(&i32, p, 4);
        *out = json_integer(i32);
        return p + 4;
    case GG_F32:
        memcpy(&f32, p, 4);
        *out = json_real((double)f32);
        return p + 4;
    case GG_BOOL: *out = json_boolean(*p); return p + 1;
    case GG_STR:
        memcpy(&u64, p, 8);
        *out = json_stringn((const char *)p + 8, u64);
        return p + 8 + u64;
    default: fail_msg("a key of kind %s: the test has to learn it", kind_name(kind)); return NULL;
    }
}

static json_t *key_json(const struct gg_key *k)
{
    json_t *v = NULL;
    if (k->kind == GG_STR)
        return json_stringn((const char *)k->value, k->str_len);
    if (k->kind != GG_ARR) {
        scalar_json(k->kind, k->value, &v);
        return v;
    }
    json_t *list = json_array();
    const uint8_t *p = k->value;
    for (uint64_t i = 0; i < k->n; i++) {
        p = scalar_json(k->elem, p, &v);
        json_array_append_new(list, v);
    }
    return list;
}

/* A list as Python's json.dumps(list, ensure_ascii=False, separators=(",", ":")) writes it: the reference has
 * the hash of that. Numbers with a fraction have the fewest digits that read back equal, which is not what
 * jansson writes. */
static void compact(struct buf *b, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        buf_char(b, i ? ',' : '[');
        if (json_is_real(v)) {
            char s[40];
            int digits = 15;
            do
                snprintf(s, sizeof s, "%.*g", digits, json_real_value(v));
            while (strtod(s, NULL) != json_real_value(v) && digits++ < 17);
            buf_fmt(b, strpbrk(s, ".e") ? "%s" : "%s.0", s);
        } else {
            char *s = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
            buf_str(b, s);
            free(s);
        }
    }
    buf_char(b, ']');
}

static void check_list(const struct gg_key *k, const json_t *have, const json_t *want)
{
    struct buf b = {0};
    char hex[65];
    compact(&b, have);
    sha256_bytes(b.s, b.n, hex);
    buf_clear(&b);
    if ((json_int_t)k->n != json_integer_value(json_object_get(want, "length")) ||
        strcmp(hex, json_string_value(json_object_get(want, "sha256_of_json"))) != 0)
        fail_msg("key '%s': its %llu values are not those of the reference", k->name,
                 (unsigned long long)k->n);
}

static bool is_pruned_name(const char *name, const char *parent)
{
    size_t n = strlen(parent), mark = strlen("-REAP-");
    if (strncmp(name, parent, n) != 0 || strncmp(name + n, "-REAP-", mark) != 0)
        return false;
    size_t digits = strspn(name + n + mark, "0123456789");
    return digits && !strcmp(name + n + mark + digits, "x");
}

static void check_key(const struct gg_key *k, const json_t *want)
{
    char type[32];
    const json_t *value = json_object_get(want, "value");
    assert_string_equal(k->name, json_string_value(json_object_get(want, "key")));
    snprintf(type, sizeof type, "%s%s%s", kind_name(k->kind), k->kind == GG_ARR ? "/" : "",
             k->kind == GG_ARR ? kind_name(k->elem) : "");
    assert_string_equal(type, json_string_value(json_object_get(want, "type")));
    json_t *have = key_json(k);
    if (!strcmp(k->name, "general.name")) /* the reference has the folder's, a cut says what stays */
        assert_true(is_pruned_name(json_string_value(have), json_string_value(value)));
    else if (json_is_object(value))
        check_list(k, have, value);
    else if (!json_equal(have, value))
        fail_msg("key '%s' is %s, expected %s", k->name, json_dumps(have, JSON_ENCODE_ANY),
                 json_dumps(value, JSON_ENCODE_ANY));
    json_decref(have);
}

/* ---- tensors ---- */

static void tensor_sha(const struct gg_file *f, const struct gg_tensor *t, char hex[65])
{
    struct err e = {0};
    uint8_t *p = xmalloc(t->bytes);
    golden_ok(file_pread(f->parts[t->part].fd, p, t->bytes, t->off, &e), &e, t->name);
    sha256_bytes(p, t->bytes, hex);
    free(p);
}

static void check_tensor(const struct gg_file *f, const struct gg_tensor *t, const json_t *want)
{
    char hex[65];
    const json_t *ne = json_object_get(want, "ne");
    assert_string_equal(t->name, json_string_value(json_object_get(want, "name")));
    if (strcasecmp(gg_type_get(t->type)->name, json_string_value(json_object_get(want, "type"))) != 0)
        fail_msg("tensor '%s' is of type %s", t->name, gg_type_get(t->type)->name);
    assert_int_equal(t->n_dims, json_array_size(ne));
    for (uint32_t d = 0; d < t->n_dims; d++)
        if (t->ne[d] != (uint64_t)json_integer_value(json_array_get(ne, d)))
            fail_msg("tensor '%s': ne[%u] is %llu", t->name, d, (unsigned long long)t->ne[d]);
    tensor_sha(f, t, hex);
    if (strcmp(hex, json_string_value(json_object_get(want, "sha256"))) != 0)
        fail_msg("tensor '%s' has other bytes than the converted checkpoint", t->name);
}

static struct gg_file *open_file(const char *path)
{
    struct err e = {0};
    struct gg_file *f = gg_open(path, &e);
    golden_ok(f != NULL, &e, path);
    return f;
}

static void check_against_reference(const struct family_case *f, const char *path)
{
    struct gg_file *g = open_file(path);
    json_t *golden = golden_json(family_file(f, "pruned_tensors_gguf.json"));
    const json_t *keys = json_object_get(golden, "kv"), *tensors = json_object_get(golden, "tensors");
    assert_int_equal(g->parts[0].n_keys, json_array_size(keys));
    for (size_t i = 0; i < json_array_size(keys); i++)
        check_key(&g->parts[0].keys[i], json_array_get(keys, i));
    assert_int_equal(g->n_tensors, json_array_size(tensors));
    for (size_t i = 0; i < json_array_size(tensors); i++)
        check_tensor(g, &g->tensors[i], json_array_get(tensors, i));
    json_decref(golden);
    gg_free(g);
}

/* With the provenance: the same file, and behind its keys some named reap.* */
static void check_provenance(const char *plain_path, const char *path)
{
    struct gg_file *a = open_file(plain_path), *b = open_file(path);
    const struct gg_part *x = &a->parts[0], *y = &b->parts[0];
    char s[65], t[65];
    assert_true(y->n_keys > x->n_keys);
    for (uint64_t i = 0; i < y->n_keys; i++) {
        if (i >= x->n_keys) {
            assert_int_equal(strncmp(y->keys[i].name, "reap.", 5), 0);
            continue;
        }
        assert_int_equal(x->keys[i].raw_bytes, y->keys[i].raw_bytes);
        assert_memory_equal(x->keys[i].raw, y->keys[i].raw, y->keys[i].raw_bytes);
    }
    assert_int_equal(a->n_tensors, b->n_tensors);
    for (uint64_t i = 0; i < a->n_tensors; i++) {
        assert_string_equal(a->tensors[i].name, b->tensors[i].name);
        assert_int_equal(a->tensors[i].type, b->tensors[i].type);
        assert_memory_equal(a->tensors[i].ne, b->tensors[i].ne, sizeof a->tensors[i].ne);
        tensor_sha(a, &a->tensors[i], s);
        tensor_sha(b, &b->tensors[i], t);
        assert_string_equal(s, t);
    }
    gg_free(a);
    gg_free(b);
}

/* ---- verify ---- */

struct pair { /* a model, its pruned file, and a descriptor that may write into the latter */
    struct view *parent, *pruned;
    struct plan *plan;
    int fd;
};

static void verify(const struct pair *p, bool with_plan, struct verify_result *r)
{
    struct err e = {0};
    golden_ok(verify_run(p->parent, p->pruned, with_plan ? p->plan : NULL, NULL, r, &e), &e, "verify");
}

static void check_clean(const struct pair *p)
{
    struct verify_result r;
    for (int with_plan = 0; with_plan < 2; with_plan++) {
        verify(p, with_plan, &r);
        if (r.n_diff)
            fail_msg("%s", json_string_value(json_array_get(r.diff, 0)));
        assert_int_equal(r.tensors_cut + r.tensors_same, p->parent->n_tensors);
        assert_int_equal(r.bytes, p->pruned->bytes);
        assert_int_equal(r.found != NULL, !with_plan);
        for (uint32_t i = 0; r.found && i < r.found->n_layers; i++) {
            assert_int_equal(r.found->layers[i].il, p->plan->layers[i].il);
            assert_memory_equal(r.found->layers[i].keep, p->plan->layers[i].keep,
                                p->plan->n_keep * sizeof(uint32_t));
        }
        verify_result_clear(&r);
    }
}

static void change_byte(const struct pair *p, uint64_t at)
{
    uint8_t b;
    assert_int_equal(pread(p->fd, &b, 1, (off_t)at), 1);
    b ^= 0x10;
    assert_int_equal(pwrite(p->fd, &b, 1, (off_t)at), 1);
}

/* One bit of one tensor is changed: with the plan that tensor is named, and no other. Without one (finding
 * the experts anew takes its time, so not always) there is a difference as well. */
static void check_flip(const struct pair *p, const struct view_tensor *x, uint64_t byte, bool planless)
{
    struct verify_result r;
    char name[80];
    snprintf(name, sizeof name, "'%s'", x->name);
    change_byte(p, x->off + byte);
    verify(p, true, &r);
    if (r.n_diff != 1 || !strstr(json_string_value(json_array_get(r.diff, 0)), name))
        fail_msg("byte %llu of %s was changed, %llu differences found", (unsigned long long)byte, name,
                 (unsigned long long)r.n_diff);
    verify_result_clear(&r);
    if (planless) {
        verify(p, false, &r);
        if (r.n_diff < 1)
            fail_msg("without a plan nobody sees that byte %llu of %s was changed", (unsigned long long)byte,
                     name);
        verify_result_clear(&r);
    }
    change_byte(p, x->off + byte);
}

static void check_flips(const struct pair *p)
{
    for (uint64_t i = 0; i < p->pruned->n_tensors; i++) {
        const struct view_tensor *x = &p->pruned->tensors[i];
        check_flip(p, x, x->bytes - 1, i == 0);
        if (x->axis >= 0)
            check_flip(p, x, 0, true);
    }
}

static void swap_slices(const struct pair *p, const struct view_tensor *t, uint32_t a, uint32_t b)
{
    struct err e = {0};
    uint64_t n = t->bytes / p->plan->n_keep;
    uint8_t *x = xmalloc(2 * n);
    golden_ok(file_pread(p->fd, x, n, t->off + a * n, &e) && file_pread(p->fd, x + n, n, t->off + b * n, &e),
              &e, t->name);
    assert_memory_not_equal(x, x + n, n);
    assert_int_equal(pwrite(p->fd, x, n, (off_t)(t->off + b * n)), n);
    assert_int_equal(pwrite(p->fd, x + n, n, (off_t)(t->off + a * n)), n);
    free(x);
}

/* Swaps two experts in all tensors of a layer, or in the first only. Returns how many tensors that were. */
static uint32_t swap_experts(const struct pair *p, uint32_t il, uint32_t a, uint32_t b, bool all)
{
    uint32_t n = 0;
    for (uint64_t i = 0; i < p->pruned->n_tensors; i++) {
        const struct view_tensor *x = &p->pruned->tensors[i];
        if (x->axis >= 0 && x->layer == (int32_t)il && (all || n == 0)) {
            swap_slices(p, x, a, b);
            n++;
        }
    }
    return n;
}

/* Whole experts in another order still compute the same, but are not what the plan says; a swap in one tensor
 * mixes two experts. */
static void check_swaps(const struct pair *p)
{
    struct verify_result r;
    for (uint32_t l = 0; l < p->plan->n_layers; l++)
        for (int all = 0; all < 2; all++) {
            uint32_t il = p->plan->layers[l].il, n = swap_experts(p, il, 0, p->plan->n_keep - 1, all);
            verify(p, true, &r);
            assert_int_equal(r.n_diff, 2 * n);
            verify_result_clear(&r);
            verify(p, false, &r);
            assert_true(r.n_diff > 0);
            assert_null(r.found);
            if (all)
                assert_non_null(
                    strstr(json_string_value(json_array_get(r.diff, 0)), "not in the parent's order"));
            verify_result_clear(&r);
            swap_experts(p, il, 0, p->plan->n_keep - 1, all);
        }
}

static void check_verify(const struct family_case *f, const char *path, bool damage)
{
    struct pair p = {family_view(family_file(f, "model.gguf")), family_view(path), family_plan(f),
                     open(path, O_RDWR)};
    assert_true(p.fd >= 0);
    check_clean(&p);
    if (damage) {
        check_flips(&p);
        check_swaps(&p);
        check_clean(&p); /* all changes were taken back */
    }
    assert_string_not_equal(p.parent->router_hash, p.pruned->router_hash);
    assert_int_equal(p.pruned->bytes, cut_bytes_at(p.parent, p.plan->n_keep));
    close(p.fd);
    plan_free(p.plan);
    view_free(p.parent);
    view_free(p.pruned);
}

/* ---- all of it ---- */

static void test_family(void **state)
{
    const struct family_case *f = *state;
    const char *plain = golden_tmp("plain.gguf"), *named = golden_tmp("named.gguf");
    family_prune(f, family_file(f, "model.gguf"), "plain.gguf", true);
    family_prune(f, family_file(f, "model.gguf"), "named.gguf", false);
    check_against_reference(f, plain);
    check_provenance(plain, named);
    check_verify(f, plain, false);
    check_verify(f, named, true);
}

/* One model stored in two ways has one router hash: the routers of both round to the same bfloat16. */
static void test_router_hash(void **state)
{
    (void)state;
    struct view *a = family_view(TEST_DATA_DIR "/families/gpt_oss/model.gguf");
    struct view *b = family_view(TEST_DATA_DIR "/families/gpt_oss_mxfp4/model.gguf");
    struct view *c = family_view(TEST_DATA_DIR "/families/qwen3_moe/model.gguf");
    assert_int_equal(strlen(a->router_hash), 64);
    assert_string_equal(a->router_hash, b->router_hash);
    assert_string_not_equal(a->router_hash, c->router_hash);
    view_free(a);
    view_free(b);
    view_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_router_hash)};
    int rc = cmocka_run_group_tests_name("families_files", tests, NULL, NULL);
    return family_run("families_files", test_family) + rc;
}
