/* fuzz_gguf.c - any bytes as a GGUF file.
 *
 * Parsing succeeds exactly when the error is empty. What was parsed, written again (keys raw, tensors by
 * gg_put_tensor), is the header that came in, byte for byte; data lies inside the file; each tensor is found
 * by its name. */
#include "gguf/gguf_file.h"
#include "gguf_mutator.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

/* The number of dimensions that the file gives for a tensor that comes next in the output: the reader makes 1
 * of 0. */
static uint32_t dims_in_file(const uint8_t *data, size_t at, const struct gg_tensor *t)
{
    static const uint8_t none[4];
    return memcmp(data + at + 8 + strlen(t->name), none, 4) == 0 ? 0 : t->n_dims;
}

static void check(const struct gg_file *f, const uint8_t *data, size_t size)
{
    struct buf b = {0};
    const struct gg_part *p = &f->parts[0];
    must(f->n_parts == 1 && p->first_tensor == 0 && p->n_tensors == f->n_tensors);
    gg_put_start(&b, p->version, f->n_tensors, p->n_keys);
    for (uint64_t i = 0; i < p->n_keys; i++) {
        must(gg_find(f, p->keys[i].name) == &p->keys[i]);
        gg_put_raw(&b, &p->keys[i]);
    }
    for (uint64_t i = 0; i < f->n_tensors; i++) {
        const struct gg_tensor *t = &f->tensors[i];
        must(gg_find_tensor(f, t->name) == t && gg_type_get(t->type));
        must(t->off >= p->data_off && t->off <= size && t->bytes <= size - t->off);
        gg_put_tensor(&b, t->name, dims_in_file(data, b.n, t), t->ne, t->type, t->off - p->data_off);
    }
    must(b.n <= size && memcmp(b.s, data, b.n) == 0);
    must(p->data_off == (f->n_tensors ? gg_align(b.n, p->alignment) : b.n));
    buf_clear(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gg_file f;
    struct err e = {0};
    bool ok = gg_parse(data, size, size, &f, &e);
    must(ok == (e.code == ERR_NONE) && ok == !e.msg[0]);
    if (ok) {
        check(&f, data, size);
        gg_clear(&f);
    }
    /* the same bytes as the start of a far larger file, where lengths and counts are less bounded */
    struct err e2 = {0};
    if (gg_parse(data, size, (uint64_t)size + (1ull << 40), &f, &e2))
        gg_clear(&f);
    else
        must(e2.msg[0]);
    return 0;
}
