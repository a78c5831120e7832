/* safetensors_mutator.c - changes a header of safetensors as one: the offsets of its tensors follow each other, so a
 * change of a byte, or of a value of the JSON, is seldom seen behind the first check.
 *
 * A type, a shape, the order, a name, a tensor more or less is changed, and then, mostly, all offsets and the size of
 * the data are computed anew from types and shapes; the rest of the time one of them is put a little or far beside.
 * One call in four leaves the bytes to libFuzzer, and so does an input that is no JSON. */
#include "safetensors_mutator.h"
#include "base/rng.h"
#include "hf/checkpoint.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

static json_int_t edge(struct rng *r)
{
    static const json_int_t edges[] = {
        0, 1, 2, 3, 7, 8, 255, 65536, INT32_MAX, 1ll << 32, INT64_MAX / 8, INT64_MAX, -1};
    return edges[rng_below(r, sizeof edges / sizeof *edges)];
}

static const char *any_type(struct rng *r)
{
    static const char *const names[] = {
        "F64", "F32",  "F16", "BF16", "I64",     "I32",     "I16",     "I8",      "U64",  "U32", "U16",
        "U8",  "BOOL", "C64", "F4",   "F6_E2M3", "F8_E8M0", "F8_E4M3", "F8_E5M2", "F128", "",    "f32"};
    return names[rng_below(r, sizeof names / sizeof *names)];
}

/* The n-th tensor, "__metadata__" not counted. */
static json_t *tensor_at(json_t *root, uint64_t n, const char **name)
{
    json_t *t;
    json_object_foreach (root, *name, t)
        if (strcmp(*name, "__metadata__") != 0 && !n--)
            return t;
    return NULL;
}

static uint64_t count(json_t *root)
{
    return json_object_size(root) - (json_object_get(root, "__metadata__") != NULL);
}

static void change_shape(struct rng *r, json_t *t)
{
    json_t *shape = json_object_get(t, "shape");
    size_t n = json_array_size(shape), i = n ? (size_t)rng_below(r, n) : 0;
    switch (rng_below(r, 5)) {
    case 0: json_array_insert_new(shape, i, json_integer(edge(r))); break;
    case 1: json_array_remove(shape, i); break;
    case 2: json_array_set_new(shape, i, json_integer(edge(r))); break;
    case 3: json_array_set_new(shape, i, json_integer((json_int_t)rng_below(r, 9))); break;
    default:
        for (int k = (int)rng_below(r, 12); k; k--)
            json_array_append_new(shape, json_integer(1));
    }
}

/* A tensor more, behind all or in the place of one: the same, or one with another name. */
static void add_tensor(struct rng *r, json_t *root, const char *from, json_t *t)
{
    char name[128];
    size_t n = strlen(from) < 100 ? strlen(from) : 100;
    memcpy(name, from, n);
    n = LLVMFuzzerMutate((uint8_t *)name, n ? n : 1, sizeof name - 1);
    for (size_t i = 0; i < n; i++)
        if ((name[i] & 0x80) || !name[i])
            name[i] = (char)('a' + (int)rng_below(r, 26));
    name[n] = 0;
    json_object_set_new(
        root, name,
        t ? json_deep_copy(t)
          : json_pack("{s:s, s:[i], s:[i, i]}", "dtype", "F32", "shape", 1, "data_offsets", 0, 4));
}

static void change(struct rng *r, json_t *root)
{
    uint64_t n = count(root);
    const char *name = "a";
    json_t *t = n ? tensor_at(root, rng_below(r, n), &name) : NULL, *keep;
    switch (t ? rng_below(r, 8) : 0) {
    case 0:
    case 1: add_tensor(r, root, name, t); break;
    case 2: json_object_set_new(t, "dtype", json_string(any_type(r))); break;
    case 3:
    case 4: change_shape(r, t); break;
    case 5: /* to the end: the order of the names is another one than that of the data */
        keep = json_deep_copy(t);
        json_object_del(root, name);
        json_object_set_new(root, "z", keep);
        break;
    case 6: json_object_del(root, name); break;
    default: json_object_set_new(t, "more", json_integer(edge(r)));
    }
}

static uint64_t bytes_of(const json_t *t)
{
    const char *type = json_string_value(json_object_get(t, "dtype"));
    const struct hf_dtype *d = type ? hf_dtype_find(type) : NULL;
    const json_t *shape = json_object_get(t, "shape"), *x;
    uint64_t n = d ? d->bits : 8;
    size_t i;
    json_array_foreach (shape, i, x)
        n *= (uint64_t)json_integer_value(x);
    return n / 8;
}

/* Offsets that fit each other, but for one in four times. The size of the data is returned. */
static uint64_t lay_out(struct rng *r, json_t *root)
{
    const char *name;
    json_t *t;
    uint64_t at = 0, n = count(root), odd = rng_below(r, 4) || !n ? n : rng_below(r, n), k = 0;
    json_object_foreach (root, name, t) {
        if (!strcmp(name, "__metadata__"))
            continue;
        uint64_t end = at + bytes_of(t);
        uint64_t a = at, b = end;
        if (k++ == odd)
            *(rng_below(r, 2) ? &a : &b) += rng_below(r, 2) ? (uint64_t)edge(r) : rng_below(r, 5) - 2;
        json_object_set_new(t, "data_offsets", json_pack("[I, I]", (json_int_t)a, (json_int_t)b));
        at = end;
    }
    return rng_below(r, 16) ? at : at + rng_below(r, 3) - 1;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    struct rng r = {seed};
    json_t *root =
        size > 8 && rng_below(&r, 4) ? json_loadb((const char *)data + 8, size - 8, 0, NULL) : NULL;
    size_t n = 0;
    if (json_is_object(root)) {
        for (uint64_t k = 1 + rng_below(&r, 3); k; k--)
            change(&r, root);
        uint64_t bytes = rng_below(&r, 8) ? lay_out(&r, root) : rng_below(&r, 1000);
        char *text = json_dumps(root, JSON_COMPACT | (rng_below(&r, 4) ? 0 : JSON_SORT_KEYS));
        n = text && strlen(text) + 8 <= max ? strlen(text) + 8 : 0;
        for (int i = 0; n && i < 8; i++)
            data[i] = (uint8_t)(bytes >> 8 * i);
        if (n)
            memcpy(data + 8, text, n - 8);
        free(text);
    }
    json_decref(root);
    return n ? n : LLVMFuzzerMutate(data, size, max);
}
