/* test_checkpoint.c - src/hf: safetensors headers, the index, checkpoint folders; read and written.
 *
 * What a header may hold is what the safetensors library 0.8 accepts (measured with it), less what
 * checkpoint.h says is refused beyond that. Inputs are made here; the layouts that are written are those of
 * the library and of huggingface_hub. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tempdir.h"

#include "base/mem.h"
#include "hf/checkpoint.h"
#include "hf/index.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- headers in memory ---- */

struct header {
    char *text; /* exactly n bytes, so that a sanitizer sees reads behind them */
    struct hf_tensor *t;
    uint64_t n;
    char *metadata;
};

static bool parse_n(struct header *h, const char *text, size_t n, uint64_t data_bytes, struct err *e)
{
    h->text = malloc(n ? n : 1);
    assert_non_null(h->text);
    memcpy(h->text, text, n);
    bool ok = st_parse(h->text, n, 1000, data_bytes, &h->t, &h->n, &h->metadata, e);
    assert_true(ok == (e->code == ERR_NONE) && ok == !e->msg[0]);
    if (!ok) {
        assert_int_equal(e->code, ERR_INPUT);
        assert_true(!h->t && !h->n && !h->metadata);
    }
    return ok;
}

static void done(struct header *h)
{
    free(h->text);
    free(h->t);
    free(h->metadata);
}

static void accept(struct header *h, const char *text, uint64_t data_bytes)
{
    struct err e = {0};
    if (!parse_n(h, text, strlen(text), data_bytes, &e))
        fail_msg("%s\nrefused: %s", text, e.msg);
}

/* `words` must all be in the message, separated by ';'. */
static void check_words(const char *input, const char *words, const char *msg)
{
    char *copy = xstrdup(words), *rest = copy;
    for (char *w; (w = strsep(&rest, ";"));)
        if (!strstr(msg, w))
            fail_msg("%s\nsays: %s\nexpected: %s", input, msg, w);
    free(copy);
}

static void refuse(const char *text, size_t n, uint64_t data_bytes, const char *words)
{
    struct header h;
    struct err e = {0};
    if (parse_n(&h, text, n, data_bytes, &e))
        fail_msg("%s\naccepted, expected: %s", text, words);
    check_words(text, words, e.msg);
    done(&h);
}

#define E(name, dtype, shape, offsets) \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" offsets "]}"

static void accepted_headers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t data_bytes, n;
    } cases[] = {
        {"{" E("a", "F32", "2,3", "0,24") "}", 24, 1},
        {"{" E("a", "F32", "2", "0,8") "," E("b", "BF16", "1,1", "8,10") "}", 10, 2},
        {"{" E("b", "BF16", "1", "8,10") "," E("a", "F32", "2", "0,8") "}", 10, 2}, /* another order */
        {"{" E("a", "F32", "", "0,4") "}", 4, 1},                                   /* a scalar */
        {"{" E("a", "F32", "0,5", "0,0") "}", 0, 1},
        {"{" E("a", "F32", "1", "0,4") "," E("z", "I8", "0", "4,4") "," E("b", "U8", "1", "4,5") "}", 5, 3},
        {"{" E("z", "I8", "0", "0,0") "," E("y", "I8", "0", "0,0") "," E("b", "U8", "1", "0,1") "}", 1, 3},
        {"{" E("a", "U8", "2", "0,2") "," E("b", "F32", "1", "2,6") "}", 6, 2}, /* misaligned */
        {"{}", 0, 0},
        {"{\"__metadata__\":{}}", 0, 0},
        {"{\"__metadata__\":{\"format\":\"pt\"}," E("a", "U8", "1", "0,1") "}", 1, 1},
        {"{" E("a", "U8", "1", "0,1") ",\"\\u005f_metadata__\":{\"x\":\"\\u00e4\"}}", 1, 1},
        {"{" E("a", "U8", "1", "0,1") "}     ", 1, 1},
        {"{" E("a", "U8", "1", "0,1") "}\n\t\r\n", 1, 1},
        {" \n{ \"a\" : { \"shape\" : [ 1 ] , \"dtype\" : \"U8\", \"data_offsets\":[0 , 1] } }", 1, 1},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":[1e3,{\"y\":null}]}}", 1, 1},
        {"{" E("a", "F4", "4", "0,2") "}", 2, 1},
        {"{" E("a", "F4", "2,3", "0,3") "}", 3, 1}, /* a row is no whole number of bytes, the tensor is */
        {"{" E("a", "F6_E2M3", "4", "0,3") "}", 3, 1},
        {"{" E("a", "U8", "1,1,1,1,1,1,1,1", "0,1") "}", 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct header h;
        accept(&h, cases[i].text, cases[i].data_bytes);
        if (h.n != cases[i].n)
            fail_msg("%s\nhas %llu tensors", cases[i].text, (unsigned long long)h.n);
        uint64_t at = 1000; /* in the order of their bytes */
        for (uint64_t k = 0; k < h.n; k++) {
            assert_true(h.t[k].off == at);
            at += h.t[k].bytes;
        }
        assert_true(at == 1000 + cases[i].data_bytes);
        done(&h);
    }
}

static void refused_headers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t data_bytes;
        const char *words;
    } cases[] = {
        /* JSON */
        {"", 0, "header;line 1, column 1"},
        {"   ", 0, "column 4"},
        {"[]", 0, "'['"},
        {"{", 0, "the end"},
        {"{" E("a", "U8", "1", "0,1"), 1, "header;the end;','"},
        {"{\"a\":{\"dtype\":\"U8\",\"sha", 1, "tensor 'a'"},
        {"{\"a\"", 1, "':'"},
        {"{\"a\" 1}", 1, "':'"},
        {"{\"a\":}", 1, "tensor 'a'"},
        {"{\"a\":{]}", 1, "tensor 'a'"},
        {"{" E("a", "U8", "1", "0,1") ",}", 1, "a name in quotes"},
        {"{,}", 1, "a name in quotes"},
        {"{" E("a", "U8", "1", "0,1") E("b", "U8", "0", "1,1") "}", 1, "','"},
        {"{" E("a", "U8", "1", "0,1") "}x", 1, "'x';nothing more"},
        {"{" E("a", "U8", "1", "0,1") "}{}", 1, "nothing more"},
        {"\xef\xbb\xbf{}", 0, "'{'"},
        {"{\"\xff\":{}}", 0, "header;UTF-8"},
        {"{\"\\ud800\":{}}", 0, "surrogate"},
        {"{\"\\udc00\":{}}", 0, "surrogate"},
        {"{\"\\ud800\\u0041\":{}}", 0, "surrogate"},
        {"{\"__metadata__\":{\"a\":\"\\uD83D\"}}", 0, "surrogate"},
        /* names */
        {"{" E("a\\nb", "U8", "1", "0,1") "}", 1, "a\\u000ab;control characters"},
        {"{" E("a\\u001b[2J", "U8", "1", "0,1") "}", 1, "a\\u001b[2J;control characters"},
        {"{" E("a\\u007f", "U8", "1", "0,1") "}", 1, "control characters"},
        {"{" E("a\xc2\x9b", "U8", "1", "0,1") "}", 1, "a\\u009b;control characters"},
        {"{" E("a\\u0000b", "U8", "1", "0,1") "}", 1, "header"},
        {"{" E("a", "U8", "1", "0,1") "," E("a", "U8", "1", "0,1") "}", 1, "tensor 'a';twice"},
        {"{" E("a", "U8", "1", "0,1") "," E("\\u0061", "U8", "1", "1,2") "}", 2, "tensor 'a';twice"},
        /* entries */
        {"{\"a\":1}", 0, "tensor 'a';a number;an object"},
        {"{\"a\":null}", 0, "tensor 'a';an object"},
        {"{\"a\":[\"U8\",[1],[0,1]]}", 1, "tensor 'a';an object"},
        {"{\"a\":{}}", 0, "tensor 'a';dtype is missing"},
        {"{\"a\":{\"dtype\":5}}", 0, "tensor 'a';dtype is a number;a string"},
        {"{\"a\":{\"dtype\":\"U8\"}}", 0, "tensor 'a';shape is missing"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":1}}", 0, "tensor 'a';shape is a number"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, "tensor 'a';data_offsets is missing"},
        {"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
         "tensor 'a';dtype"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":1e999}}", 1,
         "tensor 'a';number"},
        /* dtypes */
        {"{" E("a", "", "1", "0,1") "}", 1, "tensor 'a';dtype ''"},
        {"{" E("a", "u8", "1", "0,1") "}", 1, "tensor 'a';dtype 'u8'"},
        {"{" E("a", "F6_E9", "1", "0,1") "}", 1, "tensor 'a';F6_E9"},
        {"{" E("a", "F4", "1", "0,0") "}", 0, "tensor 'a';whole number of bytes"},
        {"{" E("a", "F4", "3", "0,1") "}", 1, "tensor 'a';3;4 bits;whole number of bytes"},
        {"{" E("a", "F6_E3M2", "2", "0,1") "}", 1, "tensor 'a';6 bits"},
        /* shapes */
        {"{" E("a", "U8", "-1", "0,1") "}", 1, "tensor 'a';shape holds -1"},
        {"{" E("a", "U8", "1.0", "0,1") "}", 1, "tensor 'a';shape holds 1.0"},
        {"{" E("a", "U8", "1e0", "0,1") "}", 1, "tensor 'a';shape holds 1e0"},
        {"{" E("a", "U8", "\"1\"", "0,1") "}", 1, "tensor 'a';shape holds"},
        {"{" E("a", "U8", "[1]", "0,1") "}", 1, "tensor 'a';shape holds [1]"},
        {"{" E("a", "U8", "18446744073709551616", "0,0") "}", 0, "tensor 'a';18446744073709551616"},
        {"{" E("a", "U8", "1,1,1,1,1,1,1,1,1", "0,1") "}", 1, "tensor 'a';shape has 9;at most 8"},
        {"{" E("a", "U8", "4294967296,4294967296", "0,0") "}", 0, "tensor 'a';elements than 64 bits"},
        {"{" E("a", "U8", "0,4294967296,4294967296", "0,0") "}", 0, "tensor 'a';elements than 64 bits"},
        {"{" E("a", "F64", "4611686018427387904", "0,0") "}", 0, "tensor 'a';bits than 64"},
        /* offsets */
        {"{" E("a", "U8", "1", "") "}", 1, "tensor 'a';data_offsets has 0"},
        {"{" E("a", "U8", "1", "0") "}", 1, "tensor 'a';data_offsets has 1"},
        {"{" E("a", "U8", "1", "0,1,2") "}", 1, "tensor 'a';data_offsets has 3"},
        {"{" E("a", "U8", "1", "0,1.5") "}", 1, "tensor 'a';data_offsets holds 1.5"},
        {"{" E("a", "U8", "1", "-1,0") "}", 1, "tensor 'a';data_offsets holds -1"},
        {"{" E("a", "U8", "1", "-0,1") "}", 1, "tensor 'a';data_offsets holds -0"},
        {"{" E("a", "U8", "1", "18446744073709551615,18446744073709551616") "}", 1, "18446744073709551616"},
        {"{" E("a", "U8", "1", "1,0") "}", 1, "tensor 'a';ends at 0;begins at 1"},
        {"{" E("a", "F32", "2", "0,4") "}", 4, "tensor 'a';4 bytes;8"},
        {"{" E("a", "F32", "1", "0,8") "}", 8, "tensor 'a';8 bytes;4"},
        {"{" E("a", "F32", "1", "0,4") "}", 3, "tensor 'a';byte 4;3 bytes"},
        {"{" E("a", "U8", "0", "9,9") "}", 8, "tensor 'a';byte 9;8 bytes"},
        {"{" E("a", "U8", "2", "18446744073709551613,18446744073709551615") "}", 2, "tensor 'a'"},
        {"{" E("a", "U8", "1", "1,2") "}", 2, "tensor 'a';begins at byte 1;expected 0"},
        {"{" E("a", "U8", "1", "0,1") "," E("b", "U8", "1", "2,3") "}", 3, "tensor 'b';byte 2;expected 1"},
        {"{" E("a", "U8", "2", "0,2") "," E("b", "U8", "2", "1,3") "}", 3, "tensor 'b';overlaps;'a'"},
        {"{" E("a", "U8", "2", "0,2") "," E("b", "U8", "2", "0,2") "}", 2, "tensor 'b';overlaps;'a'"},
        {"{" E("a", "U8", "2", "0,2") "," E("z", "U8", "0", "1,1") "}", 2, "tensor 'z';overlaps;'a'"},
        {"{" E("a", "U8", "2", "0,2") "}", 5, "3 bytes;belong to no tensor"},
        {"{}", 5, "5 bytes;belong to no tensor"},
        /* metadata */
        {"{\"__metadata__\":1}", 0, "__metadata__ is a number;an object"},
        {"{\"__metadata__\":null}", 0, "__metadata__;an object"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "__metadata__;'a' is a number;a string"},
        {"{\"__metadata__\":{\"a\":{\"b\":\"c\"}}}", 0, "__metadata__;'a';a string"},
        {"{\"__metadata__\":{\"a\":\"b\",\"a\":\"c\"}}", 0, "__metadata__;'a'"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "__metadata__;twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refuse(cases[i].text, strlen(cases[i].text), cases[i].data_bytes, cases[i].words);
    /* a NUL behind the end, which the library refuses as well; and inside */
    refuse("{}\0", 3, 0, "byte 0x00;nothing more");
    refuse("{\0}", 3, 0, "byte 0x00");
    refuse("{\"a\\\0", 5, 0, "header");
}

static void values_of_a_header(void **state)
{
    (void)state;
    struct header h;
    accept(&h,
           "{" E("\xc3\xa4\\\"\\/\\ud83d\\ude00", "I16", "2,0,3",
                 "8,8") ","
                        "\"__metadata__\": { \"b\" : \"1\",\n \"a\":\"\\u0009\" } ," E("w", "BF16", "2,2",
                                                                                       "0,8") "}",
           8);
    assert_int_equal(h.n, 2);
    assert_string_equal(h.t[0].name, "w");
    assert_string_equal(h.t[0].dtype->name, "BF16");
    assert_int_equal(h.t[0].n_dims, 2);
    assert_true(h.t[0].dims[0] == 2 && h.t[0].dims[1] == 2 && h.t[0].bytes == 8 && h.t[0].off == 1000);
    assert_string_equal(h.t[1].name, "\xc3\xa4\"/\xf0\x9f\x98\x80");
    assert_true(h.t[1].dims[0] == 2 && h.t[1].dims[1] == 0 && h.t[1].dims[2] == 3 && h.t[1].bytes == 0);
    assert_string_equal(h.metadata, "{ \"b\" : \"1\",\n \"a\":\"\\u0009\" }");
    done(&h);
}

static void dtypes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned bits;
    } all[] = {
        {"BOOL", 8}, {"U8", 8},   {"I8", 8},          {"F8_E4M3", 8},     {"F8_E5M2", 8}, {"F8_E8M0", 8},
        {"F4", 4},   {"I16", 16}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6},
        {"U16", 16}, {"F16", 16}, {"BF16", 16},       {"I32", 32},        {"U32", 32},    {"F32", 32},
        {"C64", 64}, {"I64", 64}, {"U64", 64},        {"F64", 64},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const struct hf_dtype *t = hf_dtype_find(all[i].name);
        assert_non_null(t);
        assert_string_equal(t->name, all[i].name);
        assert_int_equal(t->bits, all[i].bits);
    }
    assert_null(hf_dtype_find(""));
    assert_null(hf_dtype_find("F"));
    assert_null(hf_dtype_find("F3"));
    assert_null(hf_dtype_find("BF16 "));
}

/* One entry is parsed at a time, so one entry may not be the whole header. */
static void large_entry(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_str(&b, "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":[0");
    while (b.n < 70000)
        buf_str(&b, ",0");
    buf_str(&b, "]}}");
    refuse(b.s, b.n, 1, "tensor 'a';at most 65536");
    buf_clear(&b);
    /* a long name is fine, but not in a message */
    buf_str(&b, "{\"");
    while (b.n < 100000)
        buf_str(&b, "\xc3\xa4");
    buf_str(&b, "\":{}}");
    refuse(b.s, b.n, 1, "\xc3\xa4...';dtype is missing");
    buf_clear(&b);
}

/* ---- writing a header ---- */

static void written_header(void **state)
{
    (void)state;
    struct hf_tensor a = {.name = "a\"\\\xc3\xa4", .dtype = hf_dtype_find("F32"), .n_dims = 2, .bytes = 8};
    a.dims[0] = 1, a.dims[1] = 2;
    struct hf_tensor s = {.name = "ss", .dtype = hf_dtype_find("U8"), .bytes = 1};
    struct st_header w;
    struct buf b = {0};
    buf_str(&b, "before"); /* is left alone and does not count for the padding */
    st_header_begin(&w, &b, "{\"format\":\"pt\"}");
    st_header_add(&w, &a);
    st_header_add(&w, &s);
    st_header_end(&w);
    static const char expected[] =
        "{\"__metadata__\":{\"format\":\"pt\"},\"a\\\"\\\\\xc3\xa4\":{\"dtype\":\"F32\",\"shape\":[1,2],"
        "\"data_offsets\":[0,8]},\"ss\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[8,9]}}";
    size_t n = sizeof expected - 1, padded = (n + 7) / 8 * 8;
    assert_true(padded < 256 && padded > n);
    assert_int_equal(b.n, 6 + 8 + padded);
    assert_memory_equal(b.s, "before", 6);
    assert_int_equal((unsigned char)b.s[6], padded);
    for (int i = 1; i < 8; i++)
        assert_int_equal(b.s[6 + i], 0);
    assert_memory_equal(b.s + 14, expected, n);
    for (size_t i = n; i < padded; i++)
        assert_int_equal(b.s[14 + i], ' ');

    struct header h;
    struct err e = {0};
    assert_true(parse_n(&h, b.s + 14, padded, 9, &e));
    assert_int_equal(h.n, 2);
    assert_string_equal(h.t[0].name, a.name);
    assert_true(h.t[0].dtype == a.dtype && h.t[0].n_dims == 2 && h.t[0].dims[1] == 2 && h.t[0].off == 1000);
    assert_true(h.t[1].dtype == s.dtype && h.t[1].n_dims == 0 && h.t[1].bytes == 1 && h.t[1].off == 1008);
    assert_string_equal(h.metadata, "{\"format\":\"pt\"}");
    done(&h);
    buf_clear(&b);

    st_header_begin(&w, &b, NULL);
    st_header_end(&w);
    assert_int_equal(b.n, 16);
    assert_memory_equal(b.s, "\x08\0\0\0\0\0\0\0{}      ", 16);
    buf_clear(&b);
    st_header_begin(&w, &b, "{}");
    st_header_end(&w);
    assert_memory_equal(b.s + 8, "{\"__metadata__\":{}}", 19);
    buf_clear(&b);
}

/* ---- the index ---- */

static void refuse_index(const char *text, const char *words)
{
    struct hf_index x;
    struct err e = {0};
    char *copy = xstrdup(text);
    if (hf_index_parse(copy, strlen(text), &x, &e))
        fail_msg("%s\naccepted, expected: %s", text, words);
    assert_int_equal(e.code, ERR_INPUT);
    check_words(text, words, e.msg);
    free(copy);
}

#define MAP(file) "{\"weight_map\":{\"a\":\"" file "\"}}"

static void index_texts(void **state)
{
    (void)state;
    struct hf_index x;
    struct err e = {0};
    char text[] =
        "{\"x\": [1, {}], \"weight_map\": {\"b\": \"2.safetensors\", \"\\u0061\": \"1 \\u00e4.safetensors\"},"
        " \"metadata\": {\"total_size\": 5, \"y\": null}}\n";
    assert_true(hf_index_parse(text, sizeof text - 1, &x, &e));
    assert_int_equal(x.n, 2);
    assert_string_equal(x.map[0].name, "a");
    assert_string_equal(x.map[0].file, "1 \xc3\xa4.safetensors");
    assert_string_equal(x.map[1].name, "b");
    assert_string_equal(x.map[1].file, "2.safetensors");
    assert_string_equal(x.metadata, "{\"total_size\": 5, \"y\": null}");
    hf_index_clear(&x);

    refuse_index("", "line 1");
    refuse_index("[]", "'['");
    refuse_index("{}", "weight_map is missing");
    refuse_index("{\"metadata\":{}}", "weight_map is missing");
    refuse_index("{\"weight_map\":{}}", "no tensor");
    refuse_index("{\"weight_map\":[]}", "weight_map;'{'");
    refuse_index("{\"weight_map\":{\"a\":1}}", "weight_map;'a';'1'");
    refuse_index("{\"weight_map\":{\"a\":\"x.safetensors\"}", "the end");
    refuse_index("{\"weight_map\":{\"a\":\"x.safetensors\"", "weight_map;the end");
    refuse_index(MAP("x.safetensors") " x", "'x'");
    refuse_index("{\"weight_map\":{\"a\":\"1.safetensors\",\"a\":\"2.safetensors\"}}",
                 "'a';twice;'1.safetensors';'2.safetensors'");
    refuse_index("{\"weight_map\":{\"a\":\"x.safetensors\"},\"weight_map\":{}}", "weight_map;twice");
    refuse_index("{\"metadata\":{},\"metadata\":{},"
                 "\"weight_map\":{\"a\":\"x.safetensors\"}}",
                 "metadata;twice");
    refuse_index("{\"metadata\":null,\"weight_map\":{\"a\":\"x.safetensors\"}}", "metadata;an object");
    refuse_index("{\"metadata\":{\"a\":1,\"a\":2}}", "metadata;'a'");
    refuse_index("{\"x\":tru}", "'x'");
    refuse_index(MAP("/x.safetensors"), "'a';'/x.safetensors'");
    refuse_index(MAP("../../x.safetensors"), "'a';'../../x.safetensors'");
    refuse_index(MAP("sub/x.safetensors"), "'sub/x.safetensors'");
    refuse_index(MAP("..\\\\x.safetensors"), "'..\\x.safetensors'");
    refuse_index(MAP("a\\\\x.safetensors"), "'a\\x.safetensors'");
    refuse_index(MAP("a..safetensors"), "'a..safetensors'");
    refuse_index(MAP("x\\u002fy.safetensors"), "'x/y.safetensors'");
    refuse_index(MAP(".safetensors"), "'.safetensors'");
    refuse_index(MAP(".x.safetensors"), "'.x.safetensors'");
    refuse_index(MAP("x.bin"), "'x.bin'");
    refuse_index(MAP("x.safetensors.bin"), "'x.safetensors.bin'");
    refuse_index(MAP(""), "''");
    refuse_index(MAP("x\\n.safetensors"), "x\\u000a.safetensors;control characters");
    refuse_index("{\"weight_map\":{\"a\\u001b\":\"x.safetensors\"}}", "a\\u001b;control characters");
}

static void written_index(void **state)
{
    (void)state;
    struct hf_index_entry map[] = {{"b\xc3\xa4\"", "2.safetensors"}, {"a", "1.safetensors"}};
    struct buf b = {0};
    hf_put_index(&b, NULL, 12345678901234567890u, 7, map, 2);
    assert_string_equal(b.s, "{\n"
                             "  \"metadata\": {\n"
                             "    \"total_size\": 12345678901234567890\n"
                             "  },\n"
                             "  \"weight_map\": {\n"
                             "    \"a\": \"1.safetensors\",\n"
                             "    \"b\xc3\xa4\\\"\": \"2.safetensors\"\n"
                             "  }\n"
                             "}\n");
    struct hf_index x;
    struct err e = {0};
    assert_true(hf_index_parse(b.s, b.n, &x, &e));
    assert_int_equal(x.n, 2);
    assert_string_equal(x.map[1].name, map[1].name);
    assert_string_equal(x.map[1].file, "2.safetensors");
    assert_string_equal(x.metadata, "{\n    \"total_size\": 12345678901234567890\n  }");
    hf_index_clear(&x);
    buf_clear(&b);

    /* other keys stay as they are spelled, totals get their values where they stand */
    hf_put_index(
        &b, "{\"\\u00e4\":[1,  1e-06],\"total_size\":1.0,\"total_parameters\":3,\"z\":{\"total_size\":4}}", 5,
        6, map + 1, 1);
    assert_string_equal(b.s, "{\n"
                             "  \"metadata\": {\n"
                             "    \"\\u00e4\": [1,  1e-06],\n"
                             "    \"total_size\": 5,\n"
                             "    \"total_parameters\": 6,\n"
                             "    \"z\": {\"total_size\":4}\n"
                             "  },\n"
                             "  \"weight_map\": {\n"
                             "    \"b\xc3\xa4\\\"\": \"2.safetensors\"\n"
                             "  }\n"
                             "}\n");
    buf_clear(&b);
    hf_put_index(&b, "{\"k\": \"v\"}", 5, 6, map, 0); /* total_parameters was not there */
    assert_string_equal(b.s, "{\n  \"metadata\": {\n    \"k\": \"v\",\n    \"total_size\": 5\n  },\n"
                             "  \"weight_map\": {}\n}\n");
    buf_clear(&b);
}

/* ---- folders ---- */

static void put_st(const char *name, const char *header, uint64_t data_bytes)
{
    struct buf b = {0};
    buf_u64le(&b, strlen(header));
    buf_str(&b, header);
    buf_zero(&b, data_bytes);
    put_bytes(name, b.s, b.n);
    buf_clear(&b);
}

#define A   "{" E("a", "U8", "2", "0,2") "}"
#define B   "{" E("b", "U8", "3", "0,3") "," E("c", "U8", "1", "3,4") "}"
#define ONE "1.safetensors"
#define TWO "2.safetensors"

static void put_two(const char *map)
{
    put("m/config.json", "{}");
    put_st("m/" ONE, A, 2);
    put_st("m/" TWO, B, 4);
    struct buf b = {0};
    buf_fmt(&b, "{\"metadata\":{\"total_size\":6},\"weight_map\":{%s}}", map);
    put("m/" HF_INDEX_NAME, b.s);
    buf_clear(&b);
}

static struct hf_checkpoint *open_ok(void)
{
    struct err e = {0};
    struct hf_checkpoint *c = hf_open(at("m"), &e);
    if (!c)
        fail_msg("refused: %s", e.msg);
    assert_int_equal(e.code, ERR_NONE);
    for (uint64_t i = 0; i < c->n_tensors; i++) {
        assert_ptr_equal(hf_find_tensor(c, c->tensors[i].name), &c->tensors[i]);
        assert_true(i == 0 || strcmp(c->by_name[i - 1]->name, c->by_name[i]->name) < 0);
    }
    assert_null(hf_find_tensor(c, "no such tensor"));
    return c;
}

static void open_fails(const char *words)
{
    struct err e = {0};
    if (hf_open(at("m"), &e))
        fail_msg("opened, expected: %s", words);
    assert_int_equal(e.code, ERR_INPUT);
    check_words("folder", words, e.msg);
}

static void one_file(void **state)
{
    (void)state;
    put("m/config.json", "{\"num_experts\": 8, \"x\": NaN}");
    put("m/hf_quant_config.json", "{\"q\": 1e-06}\n");
    put_st(
        "m/model.safetensors",
        "{\"__metadata__\":{\"format\":\"pt\"}," E("b", "U8", "1", "0,1") "," E("a", "F32", "1", "1,5") "}  ",
        5);
    struct hf_checkpoint *c = open_ok();
    assert_int_equal(c->n_files, 1);
    assert_int_equal(c->n_tensors, 2);
    assert_false(c->has_index);
    assert_null(c->index_metadata);
    const struct hf_file *f = &c->files[0];
    assert_string_equal(f->name, "model.safetensors");
    assert_string_equal(f->path, at("m/model.safetensors"));
    assert_true(f->first_tensor == 0 && f->n_tensors == 2 && f->fd >= 0);
    assert_string_equal(f->metadata, "{\"format\":\"pt\"}");
    assert_string_equal(c->tensors[0].name, "b");
    assert_string_equal(c->by_name[0]->name, "a");
    assert_true(c->tensors[1].off + 4 == f->size && c->tensors[0].off + 5 == f->size);
    assert_string_equal(c->json[HF_CONFIG].text, "{\"num_experts\": 8, \"x\": NaN}");
    uint64_t v;
    assert_true(jdoc_u64(&c->json[HF_CONFIG].doc, jdoc_get(&c->json[HF_CONFIG].doc, 0, "num_experts"), &v) &&
                v == 8);
    assert_string_equal(c->json[HF_QUANT_CONFIG].text, "{\"q\": 1e-06}\n");
    assert_int_equal(c->json[HF_QUANT_CONFIG].n, 13);
    assert_null(c->json[HF_QUANTIZE_CONFIG].text);
    hf_free(c);
    hf_free(NULL);
}

static void two_files(void **state)
{
    (void)state;
    put_two("\"c\":\"" TWO "\",\"a\":\"" ONE "\",\"b\":\"" TWO "\"");
    put_st("m/model.safetensors", "{", 0); /* not named by the index: not read */
    struct hf_checkpoint *c = open_ok();
    assert_true(c->has_index);
    assert_string_equal(c->index_metadata, "{\"total_size\":6}");
    assert_int_equal(c->n_files, 2);
    assert_int_equal(c->n_tensors, 3);
    assert_string_equal(c->files[0].name, ONE);
    assert_true(c->files[0].first_tensor == 0 && c->files[0].n_tensors == 1);
    assert_true(c->files[1].first_tensor == 1 && c->files[1].n_tensors == 2);
    assert_true(c->tensors[0].file == 0 && c->tensors[1].file == 1 && c->tensors[2].file == 1);
    assert_string_equal(c->tensors[2].name, "c");
    hf_free(c);
}

/* The hub's cache: links to files elsewhere. */
static void links(void **state)
{
    (void)state;
    put_st("blobs/f00", A, 2);
    put("blobs/f01", "{}");
    assert_int_equal(mkdir(at("m"), 0777), 0);
    assert_int_equal(symlink("../blobs/f00", at("m/model.safetensors")), 0);
    assert_int_equal(symlink("../blobs/f01", at("m/config.json")), 0);
    struct hf_checkpoint *c = open_ok();
    assert_int_equal(c->n_tensors, 1);
    hf_free(c);
    unlink(at("blobs/f00"));
    open_fails("model.safetensors;No such file");
}

static void index_and_files(void **state)
{
    (void)state;
    put_two("\"a\":\"" ONE "\",\"b\":\"" TWO "\"");
    open_fails(HF_INDEX_NAME ";'c';'" TWO "';missing in the index");
    put_two("\"a\":\"" ONE "\",\"b\":\"" TWO "\",\"bb\":\"" ONE "\",\"c\":\"" TWO "\"");
    open_fails(HF_INDEX_NAME ";'bb';not in '" ONE "'");
    put_two("\"a\":\"" ONE "\",\"b\":\"" TWO "\",\"c\":\"" TWO "\",\"d\":\"" ONE "\"");
    open_fails("'d';not in '" ONE "'");
    put_two("\"a\":\"" ONE "\",\"b\":\"" ONE "\",\"c\":\"" TWO "\"");
    open_fails("'b' is in '" TWO "';the index says '" ONE "'");
    put_two("\"a\":\"" ONE "\",\"b\":\"" TWO "\",\"c\":\"" TWO
            "\",\"d\":\"3.safetensors\",\"e\":\"3.safetensors\"");
    open_fails("'3.safetensors' is missing;2 tensors");
    put_two("\"a\":\"" ONE "\",\"b\":\"" TWO "\",\"c\":\"" TWO "\"");
    put_st("m/" ONE, "{" E("a", "U8", "2", "0,2") "," E("c", "U8", "1", "2,3") "}", 3);
    open_fails("'c' is in two files, '" ONE "' and '" TWO "'");
    put_st("m/" ONE, A, 1);
    open_fails("m/" ONE ": tensor 'a'");
    put("m/" HF_INDEX_NAME, "{\"weight_map\":{\"a\":\"../1.safetensors\"}}");
    open_fails(HF_INDEX_NAME ";'../1.safetensors'");
    put("m/" HF_INDEX_NAME, "");
    open_fails(HF_INDEX_NAME ";line 1");
}

static void bad_files(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *words;
    } cases[] = {
        {"", 0, "empty"},
        {"\x02\0\0\0\0\0\0", 7, "7 bytes;8"},
        {"\0\0\0\0\0\0\0\0", 8, "length is 0"},
        {"\x03\0\0\0\0\0\0\0{}", 10, "length is 3;2 follow"},
        {"\xfc\xff\xff\xff\xff\xff\xff\xff{}", 10, "length is 18446744073709551612;2 follow"},
        {"\x02\0\0\0\0\0\0\0[]", 10, "header;'['"},
        {"\x02\0\0\0\0\0\0\0{}x", 11, "1 bytes;belong to no tensor"},
        {"\x02\0\0\0\0\0\0\0{\0", 10, "header: byte 1 is NUL"},
    };
    put("m/config.json", "{}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_bytes("m/model.safetensors", cases[i].bytes, cases[i].n);
        open_fails("m/model.safetensors: ");
        open_fails(cases[i].words);
    }
    put("m/model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
    open_fails("m/model.safetensors: ;Git LFS;git lfs pull");
    /* a file that claims much and holds nothing */
    put_bytes("m/model.safetensors", "\0\xe1\xf5\x05\0\0\0\0", 8); /* 100,000,000 */
    assert_int_equal(truncate(at("m/model.safetensors"), 300000000), 0);
    open_fails("m/model.safetensors: header: byte 0 is NUL");
    put_bytes("m/model.safetensors", "\1\xe1\xf5\x05\0\0\0\0{}", 10);
    assert_int_equal(truncate(at("m/model.safetensors"), 300000000), 0);
    open_fails("m/model.safetensors: ;100000001;at most 100000000");
    unlink(at("m/model.safetensors"));
    assert_int_equal(mkdir(at("m/model.safetensors"), 0777), 0);
    open_fails("m/model.safetensors;a folder");
}

static void bad_folders(void **state)
{
    (void)state;
    open_fails("m';does not exist");
    put("m", "");
    open_fails("m';is a file;expected a folder");
    unlink(at("m"));
    put_st("m/model.safetensors", A, 2);
    open_fails("config.json is missing");
    static const struct {
        const char *text, *words;
    } configs[] = {
        {"", "line 1"},
        {"[1]", "a list;an object"},
        {"{} {}", "line 1, column 4"},
        {"{\"a\":1,\"a\":2}", "'a'"},
        {"{\"a\":\"\xff\"}", "UTF-8"},
    };
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        put("m/config.json", configs[i].text);
        open_fails("m/config.json: ");
        open_fails(configs[i].words);
    }
    put("m/config.json", "{}");
    put("m/quantize_config.json", "5");
    open_fails("m/quantize_config.json: ;an object");
    unlink(at("m/quantize_config.json"));
    put("m/hf_quant_config.json", "{");
    open_fails("m/hf_quant_config.json: ");
    unlink(at("m/hf_quant_config.json"));
    hf_free(open_ok());
    rename(at("m/model.safetensors"), at("m/other.safetensors"));
    open_fails(HF_INDEX_NAME " is missing;'other.safetensors'");
    unlink(at("m/other.safetensors"));
    open_fails("model.safetensors is missing;expected a folder");
    put("m/pytorch_model-00001-of-00002.bin", "");
    open_fails("model.safetensors is missing;'pytorch_model-00001-of-00002.bin';pickled");
    put("m/x.gguf", "");
    open_fails("model.safetensors is missing;'x.gguf'");
}

/* Many tensors, in another order than their bytes, over steps of the header's reading. */
static void many_tensors(void **state)
{
    (void)state;
    enum { N = 20011, STEP = 7919 }; /* primes: i * STEP % N passes every number */
    struct buf b = {0};
    for (unsigned i = 0; i < N; i++) {
        unsigned k = i * STEP % N;
        buf_fmt(&b, "%c\"model.layers.%u.mlp.experts.%u.down_proj.weight_scale\":{\"dtype\":\"F8_E8M0\",",
                i ? ',' : '{', k / 128, k % 128);
        buf_fmt(&b, "\"shape\":[1,1],\"data_offsets\":[%u,%u]}", k, k + 1);
    }
    buf_char(&b, '}');
    assert_true(b.n > 2u << 20);
    put_st("m/model.safetensors", b.s, N);
    put("m/config.json", "{}");
    struct hf_checkpoint *c = open_ok();
    assert_int_equal(c->n_tensors, N);
    char name[100];
    for (unsigned k = 0; k < N; k++) {
        snprintf(name, sizeof name, "model.layers.%u.mlp.experts.%u.down_proj.weight_scale", k / 128,
                 k % 128);
        assert_string_equal(c->tensors[k].name, name);
        assert_true(c->tensors[k].off == 8 + b.n + k);
    }
    hf_free(c);
    buf_clear(&b);
}

#define FOLDER_TEST(f) cmocka_unit_test_setup_teardown(f, tempdir_setup, tempdir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted_headers),
        cmocka_unit_test(refused_headers),
        cmocka_unit_test(values_of_a_header),
        cmocka_unit_test(dtypes),
        cmocka_unit_test(large_entry),
        cmocka_unit_test(written_header),
        cmocka_unit_test(index_texts),
        cmocka_unit_test(written_index),
        FOLDER_TEST(one_file),
        FOLDER_TEST(two_files),
        FOLDER_TEST(links),
        FOLDER_TEST(index_and_files),
        FOLDER_TEST(bad_files),
        FOLDER_TEST(bad_folders),
        FOLDER_TEST(many_tensors),
    };
    return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}
