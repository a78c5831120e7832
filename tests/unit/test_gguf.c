/* test_gguf.c - reading and writing GGUF files.
 *
 * Files are written as text, so that a case can be read: 'abc' bytes; <abc> a string (u64 length and bytes);
 * %41 in either: the byte 0x41; n64 a string of 64 letters n; b h w q a number of 1, 2, 4, 8 bytes; :u32 the
 * kind of a key; #q4_K the type of a tensor; a32 zeros up to a multiple of 32; z10 ten zeros. The list of
 * defects begins with that of tests/test-gguf.cpp of llama.cpp v0.5.0. */
#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "gguf/gguf_file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];

static const char *in_dir(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/reap-gguf-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char cmd[96];
    snprintf(cmd, sizeof cmd, "rm -rf '%s'", dir);
    return system(cmd);
}

/* ---- the text form ---- */

static uint64_t number(const char **s)
{
    char *end;
    uint64_t v = **s == '-' ? (uint64_t)strtoll(*s, &end, 0) : strtoull(*s, &end, 0);
    if (end == *s)
        fail_msg("a number is missing at '%s'", *s);
    *s = end;
    return v;
}

static void quoted(struct buf *b, const char **s, char close)
{
    for (; **s != close; (*s)++) {
        unsigned v = (unsigned char)**s;
        if (v == '%') {
            sscanf(*s + 1, "%2x", &v);
            *s += 2;
        }
        buf_char(b, (char)(unsigned char)v);
    }
    (*s)++;
}

static void id_of(struct buf *b, const char **s, bool kind)
{
    size_t n = strcspn(*s, " ");
    for (uint32_t i = 0; i < (kind ? GG_N_KINDS : GG_N_TYPES); i++) {
        const struct gg_type *t = kind ? NULL : gg_type_get(i);
        const char *name = kind ? gg_kind_name((enum gg_kind)i) : t ? t->name : "";
        if (strlen(name) == n && !memcmp(name, *s, n)) {
            buf_u32le(b, i);
            *s += n;
            return;
        }
    }
    fail_msg("no such kind or type: '%s'", *s);
}

static void string(struct buf *b, const char *s, size_t n)
{
    buf_u64le(b, n);
    buf_add(b, s, n);
}

static struct buf bytes_of(const char *s)
{
    struct buf b = {0};
    while (*s) {
        struct buf t = {0};
        uint64_t v;
        char op = *s++;
        switch (op) {
        case ' ': break;
        case '\'': quoted(&b, &s, '\''); break;
        case '<':
            quoted(&t, &s, '>');
            string(&b, t.s ? t.s : "", t.n);
            break;
        case ':': id_of(&b, &s, true); break;
        case '#': id_of(&b, &s, false); break;
        case 'n':
            for (v = number(&s); v; v--)
                buf_char(&t, 'n');
            string(&b, t.s, t.n);
            break;
        case 'a': gg_pad(&b, number(&s)); break;
        case 'z': buf_zero(&b, number(&s)); break;
        case 'b': buf_char(&b, (char)(unsigned char)number(&s)); break;
        case 'h':
            v = number(&s);
            buf_char(&b, (char)(unsigned char)v);
            buf_char(&b, (char)(unsigned char)(v >> 8));
            break;
        case 'w': buf_u32le(&b, (uint32_t)number(&s)); break;
        case 'q': buf_u64le(&b, number(&s)); break;
        default: fail_msg("unknown token '%c' before '%s'", op, s);
        }
        buf_clear(&t);
    }
    return b;
}

#define HEAD(tensors, keys) "'GGUF' w3 q" #tensors " q" #keys " "
#define ALIGN(a)            "<general.alignment> :u32 w" #a " "
#define VEC(name, n, off)   "<" name "> w1 q" #n " #f32 q" #off " " /* a vector of n f32 */

/* ---- files that must open, files that must not ---- */

static const struct {
    const char *name, *text, *want; /* want: part of the message; NULL: opens */
} cases[] = {
    /* header */
    {"empty", HEAD(0, 0), NULL},
    {"version-2", "'GGUF' w2 q0 q0", NULL},
    {"no-bytes", "", "byte 0: the file ends inside the header: the magic needs 4 bytes, 0 are left"},
    {"magic-bad", "'GGML' w3 q0 q0", "not a GGUF file: it begins with 'GGML', expected 'GGUF'"},
    {"magic-unprintable", "'%1b[2J' w3 q0 q0", "begins with '?[2J'"},
    {"version-0", "'GGUF' w0 q0 q0", "byte 4: GGUF version 0, expected 2 or 3"},
    {"version-1", "'GGUF' w1 q0 q0", "GGUF version 1, expected 2 or 3"},
    {"version-future", "'GGUF' w4 q0 q0", "GGUF version 4"},
    {"big-endian", "'GGUF' w0x03000000 q0 q0", "big-endian"},
    {"big-endian-2", "'GGUF' w0x02000000 q0 q0", "big-endian"},
    {"tensor-count-bad", HEAD(0x100000000, 0) "z100",
     "the number of tensors is 4294967296, the file has room for"},
    {"tensor-count-negative", HEAD(-1, 0), "the number of tensors is"},
    {"key-count-bad", HEAD(0, 0x100000000) "z100",
     "the number of keys is 4294967296, the file has room for at most 7"},
    {"key-count-negative", HEAD(0, -1), "the number of keys is"},
    /* keys */
    {"key-no-bytes", HEAD(0, 1), "the number of keys is 1, the file has room for at most 0"},
    {"key-name-length-bad", HEAD(0, 1) "q0x40000001 'abc' :u8 z20", "at most 1073741824"},
    {"key-name-length-wraps", HEAD(0, 1) "q-1 'abc' :u8 z20", "at most 1073741824"},
    {"key-name-cut", HEAD(0, 1) "q100 'abc' :u8 z20", "byte 32: key 1 of 1: the file ends inside the header"},
    {"key-name-empty", HEAD(0, 1) "<> :u16 h0", "key 1 of 1: the name is empty"},
    {"key-name-nul", HEAD(0, 1) "<a%00b> :u8 b0", "the name holds a NUL byte"},
    {"key-name-utf8", HEAD(0, 1) "<a%ff> :u8 b0", "the name is not valid UTF-8"},
    {"key-name-escape", HEAD(0, 1) "<%1b[2J%c2%9b> w13 b0", "key '\\u001b[2J\\u009b': the kind is 13"},
    {"key-kind-bad", HEAD(0, 1) "<k> w13 b0", "key 'k': the kind is 13, expected 0 to 12"},
    {"key-kind-negative", HEAD(0, 1) "<k> w-1 b0", "the kind is 4294967295"},
    {"key-duplicate", HEAD(0, 3) "<k> :u8 b1 <l> :u8 b1 <k> :u16 h1",
     "key 'k': it is there twice, as key 1 and key 3"},
    {"key-value-cut", HEAD(0, 1) "<k> :u64 z4",
     "key 'k': the file ends inside the header: the value needs 8"},
    {"key-string-length-bad", HEAD(0, 1) "<k> :str q0x40000001 'abc'", "the value has 1073741825 bytes"},
    {"key-string-cut", HEAD(0, 1) "<k> :str q4 'abc'", "the value needs 4 bytes, 3 are left"},
    {"key-string-empty", HEAD(0, 1) "<k> :str <>", NULL},
    {"key-string-any-bytes", HEAD(0, 1) "<k> :str <a%00%ff>", NULL},
    {"key-bool-bad", HEAD(0, 1) "<k> :bool b2", "key 'k': a bool is 2, expected 0 or 1"},
    {"array-of-arrays", HEAD(0, 1) "<k> :arr :arr q1 :u8 q1 b0", "an array of arrays"},
    {"array-kind-bad", HEAD(0, 1) "<k> :arr w13 q1 z8", "the kind of the elements is 13"},
    {"array-length-bad", HEAD(0, 1) "<k> :arr :u8 q0x40000001 z8", "1073741825 elements, expected at most"},
    {"array-length-wraps", HEAD(0, 1) "<k> :arr :u64 q0x2000000000000001 z8", "elements, expected at most"},
    {"array-cut", HEAD(0, 1) "<k> :arr :u64 q2 z15", "the value needs 16 bytes, 15 are left"},
    {"array-strings-cut", HEAD(0, 1) "<k> :arr :str q3 <a> <b>",
     "the array has 3 strings, 18 bytes are left"},
    {"array-strings-last-cut", HEAD(0, 1) "<k> :arr :str q2 <a> q2 'b'",
     "a string needs 2 bytes, 1 are left"},
    {"array-bool-bad", HEAD(0, 1) "<k> :arr :bool q3 b0 b1 b255", "byte 51: key 'k': a bool is 255"},
    {"array-empty", HEAD(0, 2) "<k> :arr :i32 q0 <l> :arr :str q0", NULL},
    {"align-0", HEAD(0, 1) ALIGN(0), "key 'general.alignment': 0 is not a power of two"},
    {"align-13", HEAD(0, 1) ALIGN(13), "13 is not a power of two"},
    {"align-kind", HEAD(0, 1) "<general.alignment> :u64 q32", "it is u64, expected u32"},
    {"align-array", HEAD(0, 1) "<general.alignment> :arr :u32 q1 w32", "it is arr, expected u32"},
    {"align-1", HEAD(1, 1) ALIGN(1) VEC("t", 3, 0) "z12", NULL},
    {"align-64", HEAD(2, 1) ALIGN(64) VEC("t", 3, 0) VEC("u", 3, 64) "a64 z76", NULL},
    {"align-huge", HEAD(0, 1) ALIGN(0x80000000), NULL},
    /* tensors */
    {"tensors", HEAD(2, 0) VEC("t", 3, 0) VEC("u", 3, 32) "a32 z44", NULL},
    {"tensor-last-padded", HEAD(2, 0) VEC("t", 3, 0) VEC("u", 3, 32) "a32 z64", NULL},
    {"tensor-name-63", HEAD(1, 0) "n63 w1 q1 #f32 q0 a32 z4", NULL},
    {"tensor-name-64", HEAD(1, 0) "n64 w1 q1 #f32 q0 a32 z4", "the name has 64 bytes, expected at most 63"},
    {"tensor-name-empty", HEAD(1, 0) "<> w1 q1 #f32 q0 a32 z4", NULL}, /* as the engine */
    {"tensor-name-nul", HEAD(1, 0) "<a%00b> w1 q1 #f32 q0 a32 z4", "the name holds a NUL"},
    {"tensor-name-utf8", HEAD(1, 0) "<%c0%80> w1 q1 #f32 q0 a32 z4", "not valid UTF-8"},
    {"tensor-name-length-bad", HEAD(1, 0) "q-1 'a' z40", "tensor 1 of 1: the name has"},
    {"tensor-dims-5", HEAD(1, 0) "<t> w5 q1 q1 q1 q1 q1 #f32 q0 a32 z4", "tensor 't': it has 5 dimensions"},
    {"tensor-dims-0", HEAD(1, 0) "<t> w0 #f32 q0 a32 z4", NULL}, /* one element, as the engine */
    {"tensor-dim-negative", HEAD(1, 0) "<t> w2 q1 q-5 #f32 q0 a32 z4", "dimension 1 has -5 elements"},
    {"tensor-dim-zero", HEAD(2, 0) "<t> w2 q32 q0 #q8_0 q0 " VEC("u", 1, 0) "a32 z4", NULL},
    {"tensor-dim-zero-overflow", HEAD(1, 0) "<t> w3 q0x7fffffff00 q0x7fffffff00 q0 #f32 q0 a32",
     "too many elements"},
    {"tensor-elements-bad", HEAD(1, 0) "<t> w2 q8589934588 q8589934588 #f32 q0 a32 z4", "too many elements"},
    {"tensor-elements-wrap", HEAD(1, 0) "<t> w2 q0x4000000000000000 q4 #f32 q0 a32 z4", "too many elements"},
    {"tensor-bytes-bad", HEAD(1, 0) "<t> w2 q1533926000 q1533926000 #i64 q0 a32 z4",
     "more bytes than a file can"},
    {"tensor-type-bad", HEAD(1, 0) "<t> w1 q1 w43 q0 a32 z4", "tensor type 43 is not known"},
    {"tensor-type-negative", HEAD(1, 0) "<t> w1 q1 w-1 q0 a32 z4", "tensor type 4294967295 is not known"},
    {"tensor-type-removed", HEAD(1, 0) "<t> w1 q32 w4 q0 a32 z32", "tensor type 4 is not known"},
    {"tensor-block", HEAD(1, 0) "<t> w1 q33 #q8_0 q0 a32 z99", "33 elements is not a multiple of the 32"},
    {"tensor-duplicate", HEAD(2, 0) VEC("t", 1, 0) VEC("t", 1, 32) "a32 z64",
     "tensor 't' is there twice, as tensor 1 and tensor 2"},
    {"tensor-offset-first", HEAD(1, 0) VEC("t", 1, 32) "a32 z64", "at offset 32, expected 0"},
    {"tensor-offset-unaligned", HEAD(2, 0) VEC("t", 1, 0) VEC("u", 1, 4) "a32 z64",
     "at offset 4, expected 32"},
    {"tensor-offset-overlap", HEAD(2, 0) VEC("t", 9, 0) VEC("u", 1, 32) "a32 z96",
     "at offset 32, expected 64"},
    {"tensor-offset-hole", HEAD(2, 0) VEC("t", 1, 0) VEC("u", 1, 64) "a32 z96",
     "tensor 'u': its data is at offset 64"},
    {"tensor-offset-order", HEAD(2, 0) VEC("t", 1, 32) VEC("u", 1, 0) "a32 z64", "at offset 32, expected 0"},
    {"tensor-offset-other-align", HEAD(2, 1) ALIGN(64) VEC("t", 1, 0) VEC("u", 1, 32) "a64 z128",
     "at offset 32, expected 64"},
    {"tensor-sum-wraps", HEAD(2, 0) VEC("t", 0x3ffffffffffffff9, 0) VEC("u", 8, 0) "a32 z64",
     "64 bits can count"},
    {"tensor-sum-large", HEAD(1, 0) VEC("t", 0x3ffffffffffffff8, 0) "a32 z64", "64 bits can count"},
    {"tensor-info-cut", HEAD(1, 0) "<t> w1 q1 #f32 z7", "the offset needs 8 bytes, 7 are left"},
    /* data */
    {"data-cut", HEAD(2, 0) VEC("t", 3, 0) VEC("u", 3, 32) "a32 z43", "1 bytes are missing"},
    {"data-cut-early", HEAD(2, 0) VEC("t", 3, 0) VEC("u", 3, 32) "a32 z11",
     "33 bytes are missing (it has 107, the tensor data ends at byte 140); the first tensor that is cut "
     "is 't'"},
    {"data-none", HEAD(1, 0) VEC("t", 3, 0) "z5", "the file ends before the data section"},
    {"data-empty-unpadded", HEAD(1, 0) VEC("t", 0, 0),
     "the file ends before the data section"}, /* as the engine */
};

/* Header of f as it would be written: all keys raw, all tensors. */
static struct buf header_of(const struct gg_file *f)
{
    struct buf b = {0};
    const struct gg_part *p = &f->parts[0];
    gg_put_start(&b, p->version, p->n_tensors, p->n_keys);
    for (uint64_t i = 0; i < p->n_keys; i++)
        gg_put_raw(&b, &p->keys[i]);
    for (uint64_t i = 0; i < p->n_tensors; i++) {
        const struct gg_tensor *t = &f->tensors[i];
        gg_put_tensor(&b, t->name, t->n_dims, t->ne, t->type, t->off - p->data_off);
    }
    return b;
}

/* Parses a copy that ends where the bytes end, so that the sanitizer sees each read behind it. */
static bool parse_copy(const struct buf *b, size_t n, struct err *e)
{
    uint8_t *p = malloc(n ? n : 1);
    assert_non_null(p);
    if (n)
        memcpy(p, b->s, n);
    struct gg_file f;
    bool ok = gg_parse(p, n, n, &f, e);
    assert_true(ok == (e->code == ERR_NONE));
    assert_true(ok == !*e->msg);
    if (ok) {
        assert_int_equal(f.n_parts, 1);
        for (uint64_t i = 0; i < f.n_tensors; i++)
            assert_true(f.tensors[i].off <= n && f.tensors[i].bytes <= n - f.tensors[i].off);
        gg_clear(&f);
    } else {
        assert_int_equal(e->code, ERR_INPUT);
        assert_null(strpbrk(e->msg, "\n\033"));
    }
    free(p);
    return ok;
}

static void write_file(const char *path, const void *p, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), n);
    close(fd);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = bytes_of(cases[i].text);
        struct err e = {0}, e2 = {0};
        bool ok = parse_copy(&b, b.n, &e), want = !cases[i].want;
        if (ok != want || (!want && !strstr(e.msg, cases[i].want)))
            fail_msg("%s: got '%s', expected '%s'", cases[i].name, e.msg, want ? "" : cases[i].want);
        char name[80];
        snprintf(name, sizeof name, "%s.gguf", cases[i].name);
        const char *path = in_dir(name);
        write_file(path, b.s ? b.s : "", b.n);
        struct gg_file *f = gg_open(path, &e2);
        assert_true(want == (f != NULL));
        if (!want) {
            assert_int_equal(strncmp(e2.msg, path, strlen(path)), 0);
            assert_string_equal(e2.msg + strlen(path) + 2, e.msg);
        }
        gg_free(f);
        buf_clear(&b);
    }
}

/* ---- a file with everything ---- */

#define ALL_KINDS                                                                                              \
    "<u8> :u8 b200 <i8> :i8 b-3 <u16> :u16 h60000 <i16> :i16 h-300 <u32> :u32 w4000000000 <i32> :i32 w-70000 " \
    "<f32> :f32 w0x3fc00000 <yes> :bool b1 <no> :bool b0 <s> :str <text> <u64> :u64 q-1 "                      \
    "<i64> :i64 q-5000000000 <f64> :f64 q0xbfd0000000000000 <none> :arr :str q0 <nil> :arr :f64 q0 "           \
    "<strs> :arr :str q3 <a> <> <bc> <bools> :arr :bool q3 b1 b0 b1 <i32s> :arr :i32 q3 w7 w-1 w9 "            \
    "<u8s> :arr :u8 q2 b5 b250 <f32s> :arr :f32 q2 w0x3f800000 w0x7fc00000 <i64s> :arr :i64 q1 q3 "
#define ALL     \
    HEAD(3, 21) \
    ALL_KINDS "<a.weight> w3 q32 q2 q3 #q8_0 q0 " VEC("b", 5, 224) VEC("c.bias", 8, 256) "a32 z288"

static const struct gg_key *key(const struct gg_file *f, const char *name)
{
    const struct gg_key *k = gg_find(f, name);
    if (!k)
        fail_msg("key '%s' not found", name);
    return k;
}

static void test_keys(void **state)
{
    (void)state;
    struct buf b = bytes_of(ALL);
    struct gg_file f;
    struct err e = {0};
    if (!gg_parse((const uint8_t *)b.s, b.n, b.n, &f, &e))
        fail_msg("%s", e.msg);
    static const struct {
        const char *name;
        bool is_uint;
        uint64_t u;
    } rows[] = {
        {"u8", true, 200},         {"i8", false, 0},          {"u16", true, 60000}, {"i16", false, 0},
        {"u32", true, 4000000000}, {"i32", false, 0},         {"f32", false, 0},    {"yes", false, 0},
        {"s", false, 0},           {"u64", true, UINT64_MAX}, {"i64", false, 0},    {"f64", false, 0},
        {"i32s", false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t u = 42;
        assert_true(gg_key_u64(key(&f, rows[i].name), &u) == rows[i].is_uint);
        assert_true(u == (rows[i].is_uint ? rows[i].u : 42));
        assert_true(gg_key_u64_at(key(&f, rows[i].name), 99, &u) == rows[i].is_uint);
    }
    uint64_t u = 0;
    const char *s;
    assert_true(key(&f, "yes")->value[0] == 1 && key(&f, "no")->value[0] == 0);
    assert_true(gg_key_str(key(&f, "s"), &s, &u) && u == 4 && !memcmp(s, "text", 4));
    assert_false(gg_key_str(key(&f, "strs"), &s, &u));
    assert_true(gg_key_u64_at(key(&f, "i32s"), 2, &u) && u == 9);
    assert_false(gg_key_u64_at(key(&f, "i32s"), 1, &u)); /* negative */
    assert_false(gg_key_u64_at(key(&f, "i32s"), 3, &u));
    assert_false(gg_key_u64_at(key(&f, "bools"), 0, &u));
    assert_false(gg_key_u64_at(key(&f, "none"), 0, &u));
    assert_true(gg_key_u64_at(key(&f, "u8s"), 1, &u) && u == 250);
    assert_true(gg_key_u64_at(key(&f, "i64s"), 0, &u) && u == 3);
    assert_false(gg_key_u64(NULL, &u) || gg_key_u64_at(NULL, 0, &u) || gg_key_str(NULL, &s, &u));
    assert_int_equal(key(&f, "strs")->n, 3);
    assert_int_equal(key(&f, "strs")->elem, GG_STR);
    assert_int_equal(key(&f, "nil")->n, 0);
    assert_null(gg_find(&f, "u"));
    gg_clear(&f);
    gg_clear(&f); /* twice is legal */
    gg_free(NULL);
    buf_clear(&b);
}

static void test_tensors(void **state)
{
    (void)state;
    struct buf b = bytes_of(ALL);
    struct gg_file f;
    struct err e = {0};
    assert_true(gg_parse((const uint8_t *)b.s, b.n, b.n, &f, &e));
    const struct gg_tensor *t = gg_find_tensor(&f, "a.weight");
    assert_ptr_equal(t, &f.tensors[0]);
    assert_int_equal(t->n_dims, 3);
    assert_true(t->ne[0] == 32 && t->ne[1] == 2 && t->ne[2] == 3 && t->ne[3] == 1);
    assert_int_equal(t->bytes, 6 * 34);
    assert_int_equal(t->off, f.parts[0].data_off);
    assert_int_equal(f.parts[0].data_off % 32, 0);
    assert_ptr_equal(gg_find_tensor(&f, "b"), &f.tensors[1]);
    assert_ptr_equal(gg_find_tensor(&f, "c.bias"), &f.tensors[2]);
    assert_int_equal(f.tensors[2].off, f.parts[0].data_off + 256);
    assert_null(gg_find_tensor(&f, "a"));
    assert_null(gg_find_tensor(&f, "zz"));
    gg_clear(&f);
    buf_clear(&b);
}

static void test_raw_copy(void **state)
{
    (void)state;
    struct buf b = bytes_of(ALL);
    struct gg_file f;
    struct err e = {0};
    assert_true(gg_parse((const uint8_t *)b.s, b.n, b.n, &f, &e));
    struct buf h = header_of(&f);
    assert_true(h.n <= b.n && gg_align(h.n, 32) == f.parts[0].data_off);
    assert_memory_equal(h.s, b.s, h.n);
    gg_clear(&f);
    buf_clear(&h);
    buf_clear(&b);
}

static void test_cut_everywhere(void **state)
{
    (void)state;
    struct buf b = bytes_of(ALL);
    const char *path = in_dir("cut.gguf");
    write_file(path, b.s, b.n);
    for (size_t n = b.n; n-- > 0;) {
        struct err e = {0}, e2 = {0};
        assert_false(parse_copy(&b, n, &e));
        assert_int_equal(truncate(path, (off_t)n), 0);
        assert_null(gg_open(path, &e2));
        assert_non_null(strstr(e2.msg, e.msg));
    }
    buf_clear(&b);
}

/* A changed byte gives another valid file or an error, never a crash or a read outside. */
static void test_flips(void **state)
{
    (void)state;
    struct buf b = bytes_of(ALL);
    static const uint8_t flips[] = {0x01, 0x02, 0x10, 0x7f, 0x80, 0xff};
    for (size_t i = 0; i < b.n; i++)
        for (size_t j = 0; j < sizeof flips; j++) {
            struct err e = {0};
            char was = b.s[i];
            b.s[i] = (char)((uint8_t)was ^ flips[j]);
            parse_copy(&b, b.n, &e);
            b.s[i] = was;
        }
    buf_clear(&b);
}

/* The part of the header that is given is smaller than the header. */
static void test_window(void **state)
{
    (void)state;
    struct buf b = bytes_of(ALL);
    struct gg_file f;
    struct err e = {0};
    assert_false(gg_parse((const uint8_t *)b.s, 100, b.n, &f, &e));
    assert_non_null(strstr(e.msg, "the header goes on behind the 100 bytes"));
    assert_int_equal(f.n_parts, 0);
    buf_clear(&b);
}

/* ---- large files ---- */

static void test_large_header(void **state)
{
    (void)state;
    struct buf b = {0};
    gg_put_start(&b, 3, 1, 3);
    string(&b, "tokens", 6);
    buf_u32le(&b, GG_ARR);
    buf_u32le(&b, GG_STR);
    buf_u64le(&b, 300000);
    for (uint64_t i = 0; i < 300000; i++)
        string(&b, "token", i % 6);
    string(&b, "blob", 4);
    buf_u32le(&b, GG_ARR);
    buf_u32le(&b, GG_U8);
    buf_u64le(&b, 20000000);
    buf_zero(&b, 20000000);
    gg_put_u32(&b, "last", 7);
    uint64_t ne[1] = {4};
    gg_put_tensor(&b, "t", 1, ne, 0, 0);
    struct buf head = {0};
    buf_add(&head, b.s, b.n);
    gg_pad(&b, 32);
    buf_zero(&b, 16);
    const char *path = in_dir("large.gguf");
    write_file(path, b.s, b.n);
    struct err e = {0};
    struct gg_file *f = gg_open(path, &e);
    if (!f)
        fail_msg("%s", e.msg);
    uint64_t u = 0;
    assert_true(gg_key_u64(gg_find(f, "last"), &u) && u == 7);
    assert_int_equal(f->n_tensors, 1);
    struct buf h = header_of(f);
    assert_int_equal(h.n, head.n);
    assert_memory_equal(h.s, head.s, h.n);
    gg_free(f);
    unlink(path);
    buf_clear(&h);
    buf_clear(&head);
    buf_clear(&b);
}

/* More than 4 GiB of data, as a sparse file. */
static void test_large_data(void **state)
{
    (void)state;
    struct buf b = bytes_of(HEAD(2, 0) "<t> w2 q1024 q2097152 #f32 q0 " VEC("u", 3, 8589934592) "a32");
    const char *path = in_dir("sparse.gguf");
    uint64_t data = b.n;
    write_file(path, b.s, b.n);
    buf_clear(&b);
    if (truncate(path, (off_t)(data + 8589934592 + 12)) != 0)
        skip();
    struct err e = {0};
    struct gg_file *f = gg_open(path, &e);
    if (!f)
        fail_msg("%s", e.msg);
    assert_true(f->tensors[0].bytes == 8589934592 && f->tensors[1].off == data + 8589934592);
    assert_true(f->parts[0].size == data + 8589934592 + 12);
    uint8_t last[4];
    assert_true(file_pread(f->parts[0].fd, last, 4, f->tensors[1].off + 8, &e));
    gg_free(f);
    assert_int_equal(truncate(path, (off_t)(data + 8589934592 - 1000)), 0);
    assert_null(gg_open(path, &e));
    assert_non_null(strstr(e.msg, "1012 bytes are missing"));
    assert_non_null(strstr(e.msg, "the first tensor that is cut is 't'"));
    unlink(path);
}

/* Counts that a sparse file of 1 TiB seems to have room for: refused without reading or allocating for
 * them. */
static void test_large_lies(void **state)
{
    (void)state;
    static const char *const lies[] = {
        HEAD(0, 1000000000) "<k> :u8 b0 ",
        HEAD(10000000000, 0) VEC("t", 1, 0),
        HEAD(0, 1) "<k> :arr :u64 q0x40000000",
        HEAD(0, 1) "<k> :str q0x40000000",
        HEAD(0, 1) "q0x40000000",
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        struct buf b = bytes_of(lies[i]);
        const char *path = in_dir("lie.gguf");
        write_file(path, b.s, b.n);
        buf_clear(&b);
        if (truncate(path, (off_t)1 << 40) != 0)
            skip();
        struct err e = {0};
        assert_null(gg_open(path, &e));
        assert_int_equal(e.code, ERR_INPUT);
        unlink(path);
    }
}

/* ---- split models ---- */

#define SPLIT(no, n, sum) \
    "<split.no> :u16 h" #no " <split.count> :u16 h" #n " <split.tensors.count> :i32 w" #sum " "
#define PART(no, n, sum) HEAD(1, 3) SPLIT(no, n, sum)
#define ONE(name)        "<" name "> w1 q1 #f32 q0 a32 z4"

static const struct {
    const char *name, *open; /* open: the file to open (NULL: the first part of m) */
    const char *files[3];    /* text of parts 1 to 3 of 3 (NULL: not there) */
    const char *want;        /* NULL: opens */
} splits[] = {
    {"good", NULL, {PART(0, 3, 3) ONE("a"), PART(1, 3, 3) ONE("b"), PART(2, 3, 3) ONE("c")}, NULL},
    {"own alignment",
     NULL,
     {HEAD(2, 4) ALIGN(64) SPLIT(0, 3, 4) VEC("a", 1, 0) VEC("d", 1, 64) "a64 z68", PART(1, 3, 4) ONE("b"),
      PART(2, 3, 4) ONE("c")},
     NULL},
    {"part without tensors",
     NULL,
     {HEAD(0, 3) SPLIT(0, 3, 2), PART(1, 3, 2) ONE("b"), PART(2, 3, 2) ONE("c")},
     NULL},
    {"no split.count behind",
     NULL,
     {PART(0, 3, 3) ONE("a"), HEAD(1, 1) "<split.no> :u16 h1 " ONE("b"),
      HEAD(1, 1) "<split.no> :u16 h2 " ONE("c")},
     NULL},
    {"second given",
     "m-00002-of-00003.gguf",
     {PART(0, 3, 3) ONE("a"), PART(1, 3, 3) ONE("b"), PART(2, 3, 3) ONE("c")},
     "this is part 2 of 3 of a split model, give the first part: "},
    {"last missing",
     NULL,
     {PART(0, 3, 3) ONE("a"), PART(1, 3, 3) ONE("b"), NULL},
     "part 3 of 3 is missing: "},
    {"second missing",
     NULL,
     {PART(0, 3, 3) ONE("a"), NULL, PART(2, 3, 3) ONE("c")},
     "part 2 of 3 is missing: "},
    {"order",
     NULL,
     {PART(0, 3, 3) ONE("a"), PART(2, 3, 3) ONE("b"), PART(1, 3, 3) ONE("c")},
     "key 'split.no' is 2, expected 1"},
    {"no of first",
     NULL,
     {PART(1, 3, 3) ONE("a"), PART(1, 3, 3) ONE("b"), PART(2, 3, 3) ONE("c")},
     "key 'split.no' is 1, expected 0"},
    {"count in key",
     NULL,
     {PART(0, 4, 3) ONE("a"), PART(1, 3, 3) ONE("b"), PART(2, 3, 3) ONE("c")},
     "part 1 of a model split in 4, expected a name that ends in -00001-of-00004.gguf"},
    {"count of second",
     NULL,
     {PART(0, 3, 3) ONE("a"), PART(1, 4, 3) ONE("b"), PART(2, 3, 3) ONE("c")},
     "key 'split.count' is 4, expected 3"},
    {"sum",
     NULL,
     {PART(0, 3, 4) ONE("a"), PART(1, 3, 3) ONE("b"), PART(2, 3, 3) ONE("c")},
     "key 'split.tensors.count' is 4, the 3 parts hold 3 tensors"},
    {"sum negative",
     NULL,
     {PART(0, 3, -3) ONE("a"), PART(1, 3, 3) ONE("b"), PART(2, 3, 3) ONE("c")},
     "'split.tensors.count' is negative"},
    {"twice",
     NULL,
     {PART(0, 3, 3) ONE("a"), PART(1, 3, 3) ONE("b"), PART(2, 3, 3) ONE("a")},
     "tensor 'a' is there twice, in part 1 and in part 3"},
    {"kind of count",
     NULL,
     {HEAD(1, 1) "<split.count> :u32 w3 " ONE("a"), NULL, NULL},
     "is u32, expected u16"},
    {"no of second missing",
     NULL,
     {PART(0, 3, 3) ONE("a"), HEAD(1, 0) ONE("b"), PART(2, 3, 3) ONE("c")},
     "key 'split.no' is missing"},
    {"sum missing",
     NULL,
     {HEAD(1, 2) "<split.no> :u16 h0 <split.count> :u16 h3 " ONE("a"), PART(1, 3, 3) ONE("b"),
      PART(2, 3, 3) ONE("c")},
     "key 'split.tensors.count' is missing"},
    {"second broken", NULL, {PART(0, 3, 3) ONE("a"), "'GGXF'", PART(2, 3, 3) ONE("c")}, "not a GGUF file"},
    {"second cut",
     NULL,
     {PART(0, 3, 3) ONE("a"), PART(1, 3, 3) VEC("b", 2, 0) "a32 z4", PART(2, 3, 3) ONE("c")},
     "4 bytes are missing"},
    {"count of one", NULL, {PART(0, 1, 1) ONE("a"), NULL, NULL}, NULL}, /* then it is not a split model */
    {"no split keys", NULL, {HEAD(1, 0) ONE("a"), NULL, NULL}, NULL},
};

static void test_splits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof splits / sizeof *splits; i++) {
        char *prefix = xstrdup(in_dir("m"));
        for (uint32_t j = 0; j < 3; j++) {
            char *path = gg_split_path(prefix, j, 3);
            unlink(path);
            if (splits[i].files[j]) {
                struct buf b = bytes_of(splits[i].files[j]);
                write_file(path, b.s, b.n);
                buf_clear(&b);
            }
            free(path);
        }
        struct err e = {0};
        struct gg_file *f = gg_open(in_dir(splits[i].open ? splits[i].open : "m-00001-of-00003.gguf"), &e);
        bool want = !splits[i].want;
        if (want != (f != NULL) || (!want && !strstr(e.msg, splits[i].want)))
            fail_msg("%s: got '%s', expected '%s'", splits[i].name, e.msg, want ? "" : splits[i].want);
        assert_true(want || strstr(e.msg, dir));
        gg_free(f);
        free(prefix);
    }
}

static void test_split_order(void **state)
{
    (void)state;
    char *prefix = xstrdup(in_dir("o")), *first = gg_split_path(prefix, 0, 2),
         *second = gg_split_path(prefix, 1, 2);
    struct buf a = bytes_of(HEAD(2, 4) ALIGN(64) SPLIT(0, 2, 3) VEC("z", 1, 0) VEC("y", 1, 64) "a64 z68");
    struct buf b = bytes_of(PART(1, 2, 3) ONE("x"));
    write_file(first, a.s, a.n);
    write_file(second, b.s, b.n);
    struct err e = {0};
    struct gg_file *f = gg_open(first, &e);
    if (!f)
        fail_msg("%s", e.msg);
    assert_int_equal(f->n_parts, 2);
    assert_int_equal(f->n_tensors, 3);
    assert_true(f->parts[0].first_tensor == 0 && f->parts[0].n_tensors == 2 && f->parts[1].first_tensor == 2);
    assert_true(f->parts[0].alignment == 64 && f->parts[1].alignment == 32);
    assert_true(f->tensors[1].part == 0 && f->tensors[2].part == 1);
    assert_int_equal(f->tensors[2].off, f->parts[1].data_off);
    assert_ptr_equal(gg_find_tensor(f, "x"), &f->tensors[2]);
    assert_ptr_equal(gg_find_tensor(f, "y"), &f->tensors[1]);
    assert_string_equal(f->parts[1].path, second);
    gg_free(f);
    buf_clear(&a);
    buf_clear(&b);
    free(first);
    free(second);
    free(prefix);
}

static void test_split_names(void **state)
{
    (void)state;
    char *p = gg_split_path("dir/m", 1, 5);
    assert_string_equal(p, "dir/m-00002-of-00005.gguf");
    free(p);
    uint32_t part, n;
    p = gg_split_prefix("dir/m-00002-of-00005.gguf", &part, &n);
    assert_string_equal(p, "dir/m");
    assert_true(part == 1 && n == 5);
    free(p);
    static const char *const bad[] = {
        "",
        "m.gguf",
        "-00001-of-00002.gguf",
        "m-00000-of-00005.gguf",
        "m-00006-of-00005.gguf",
        "m-0001-of-0005.gguf",
        "m-00001-of-00005.GGUF",
        "m-000x1-of-00005.gguf",
        "m-00001-of-00005.gguf.part",
        "m_00001-of-00005.gguf",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_null(gg_split_prefix(bad[i], &part, &n));
}

static void test_not_a_file(void **state)
{
    (void)state;
    struct err e = {0};
    assert_null(gg_open(in_dir("absent.gguf"), &e));
    assert_int_equal(e.code, ERR_INPUT);
    assert_non_null(strstr(e.msg, "absent.gguf"));
    err_clear(&e);
    assert_null(gg_open(dir, &e));
    assert_non_null(strstr(e.msg, "a folder"));
}

/* ---- writing ---- */

static void test_put(void **state)
{
    (void)state;
    struct buf b = {0};
    int32_t v[3] = {5, -6, 7};
    uint64_t ne[2] = {64, 3};
    gg_put_start(&b, 2, 2, 4);
    gg_put_u32(&b, "general.alignment", 64);
    gg_put_str(&b, "name", "tiny");
    gg_put_i32s(&b, "list", v, 3);
    gg_put_i32s(&b, "empty", v, 0);
    gg_put_tensor(&b, "q", 2, ne, 8, 0);
    gg_put_tensor(&b, "f", 1, ne, 0, gg_align(3 * 68, 64));
    gg_pad(&b, 64);
    assert_int_equal(b.n % 64, 0);
    buf_zero(&b, 256 + 256);
    struct gg_file f;
    struct err e = {0};
    if (!gg_parse((const uint8_t *)b.s, b.n, b.n, &f, &e))
        fail_msg("%s", e.msg);
    const char *s;
    uint64_t u;
    assert_int_equal(f.parts[0].version, 2);
    assert_int_equal(f.parts[0].alignment, 64);
    assert_true(gg_key_str(gg_find(&f, "name"), &s, &u) && u == 4 && !memcmp(s, "tiny", 4));
    assert_true(gg_key_u64_at(gg_find(&f, "list"), 2, &u) && u == 7);
    assert_int_equal(gg_find(&f, "list")->elem, GG_I32);
    assert_int_equal(gg_find(&f, "empty")->n, 0);
    assert_int_equal(gg_find_tensor(&f, "q")->bytes, 204);
    assert_int_equal(gg_find_tensor(&f, "f")->off, f.parts[0].data_off + 256);
    gg_clear(&f);
    buf_clear(&b);
    assert_int_equal(gg_align(0, 32), 0);
    assert_int_equal(gg_align(1, 32), 32);
    assert_int_equal(gg_align(64, 32), 64);
}

/* Every value that the writer can write comes back from the reader with its kind. */
static void test_put_kinds(void **state)
{
    (void)state;
    static const int32_t i32s[2] = {7, INT32_MIN};
    static const float f32s[3] = {0.5f, -1000.0f, 1e-6f};
    static const char *const strs[3] = {"a b", "", "\xc4\xa0x"};
    struct buf b = {0};
    gg_put_start(&b, 3, 0, 6);
    gg_put_i32(&b, "i32", -5);
    gg_put_f32(&b, "f32", 0.1f);
    gg_put_bool(&b, "bool", true);
    gg_put_i32s(&b, "i32s", i32s, 2);
    gg_put_f32s(&b, "f32s", f32s, 3);
    gg_put_strs(&b, "strs", strs, 3);
    gg_pad(&b, 32);
    struct gg_file f;
    struct err e = {0};
    if (!gg_parse((const uint8_t *)b.s, b.n, b.n, &f, &e))
        fail_msg("%s", e.msg);
    const struct gg_key *k = gg_find(&f, "i32");
    assert_true(k->kind == GG_I32 && !memcmp(k->value, &(int32_t){-5}, 4));
    k = gg_find(&f, "f32");
    assert_true(k->kind == GG_F32 && !memcmp(k->value, &(float){0.1f}, 4));
    k = gg_find(&f, "bool");
    assert_true(k->kind == GG_BOOL && k->value[0] == 1);
    k = gg_find(&f, "i32s");
    assert_true(k->elem == GG_I32 && k->n == 2 && !memcmp(k->value, i32s, sizeof i32s));
    k = gg_find(&f, "f32s");
    assert_true(k->elem == GG_F32 && k->n == 3 && !memcmp(k->value, f32s, sizeof f32s));
    k = gg_find(&f, "strs");
    assert_true(k->elem == GG_STR && k->n == 3);
    assert_memory_equal(k->value, "\3\0\0\0\0\0\0\0a b\0\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\xc4\xa0x", 30);
    gg_clear(&f);
    buf_clear(&b);
}

static void test_put_uint(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        uint64_t v;
        const char *want; /* NULL: written */
    } rows[] = {
        {"u8", 255, NULL},
        {"u8", 256, "256 does not fit u8"},
        {"i8", 127, NULL},
        {"i8", 128, "does not fit i8"},
        {"u16", 65535, NULL},
        {"u16", 65536, "does not fit u16"},
        {"i16", 32767, NULL},
        {"u32", 4294967295, NULL},
        {"u32", 4294967296, "does not fit u32"},
        {"i32", 2147483647, NULL},
        {"i32", 2147483648, "does not fit i32"},
        {"u64", UINT64_MAX, NULL},
        {"i64", INT64_MAX, NULL},
        {"i64", UINT64_MAX, "does not fit i64"},
        {"f32", 1, "is f32, expected an integer"},
        {"s", 1, "is str, expected an integer"},
        {"i32s", 1, "is arr, expected an integer"},
        {"yes", 1, "is bool, expected an integer"},
    };
    struct buf all = bytes_of(ALL);
    struct gg_file f;
    struct err e = {0};
    assert_true(gg_parse((const uint8_t *)all.s, all.n, all.n, &f, &e));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct gg_key *k = key(&f, rows[i].key);
        struct buf b = {0};
        gg_put_start(&b, 3, 0, 1);
        size_t start = b.n;
        gg_put_uint(&b, k, rows[i].v, &e);
        if (rows[i].want) {
            assert_int_equal(b.n, start);
            assert_non_null(strstr(e.msg, rows[i].want));
            err_clear(&e);
        } else {
            struct gg_file g;
            uint64_t u;
            assert_int_equal(b.n - start, k->raw_bytes);
            assert_true(gg_parse((const uint8_t *)b.s, b.n, b.n, &g, &e));
            assert_int_equal(g.parts[0].keys[0].kind, k->kind);
            assert_true(gg_key_u64(gg_find(&g, rows[i].key), &u) && u == rows[i].v);
            gg_clear(&g);
        }
        buf_clear(&b);
    }
    gg_clear(&f);
    buf_clear(&all);
}

static void test_types(void **state)
{
    (void)state;
    assert_string_equal(gg_type_get(12)->name, "q4_K");
    assert_int_equal(gg_type_get(19)->bytes, 50); /* 110 in tables that others have copied */
    assert_null(gg_type_get(4));
    assert_null(gg_type_get(GG_N_TYPES - 1));
    assert_null(gg_type_get(GG_N_TYPES));
    assert_null(gg_type_get(UINT32_MAX));
    assert_string_equal(gg_kind_name(GG_F64), "f64");
    assert_string_equal(gg_kind_name(GG_N_KINDS), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_raw_copy),
        cmocka_unit_test(test_cut_everywhere),
        cmocka_unit_test(test_flips),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_large_header),
        cmocka_unit_test(test_large_data),
        cmocka_unit_test(test_large_lies),
        cmocka_unit_test(test_splits),
        cmocka_unit_test(test_split_order),
        cmocka_unit_test(test_split_names),
        cmocka_unit_test(test_not_a_file),
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_put_kinds),
        cmocka_unit_test(test_put_uint),
        cmocka_unit_test(test_types),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
