/* fuzz_safetensors.c - any bytes as the header of a safetensors file.
 *
 * The first 8 bytes are the size of the data (little-endian), the rest is the header. Parsing succeeds
 * exactly when the error is empty. What was parsed covers the data, and written by st_header_add and parsed
 * again it is the same. */
#include "base/text.h"
#include "fuzz.h"
#include "hf/checkpoint.h"
#include "safetensors_mutator.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct header {
    char *text;
    struct hf_tensor *t;
    uint64_t n;
    char *metadata;
};

/* In memory of its own, so that a sanitizer sees reads and writes behind the end. */
static bool parse(struct header *h, const void *p, size_t n, uint64_t data_bytes)
{
    struct err e = {0};
    h->text = malloc(n ? n : 1);
    MUST(h->text);
    memcpy(h->text, p, n);
    bool ok = st_parse(h->text, n, 0, data_bytes, &h->t, &h->n, &h->metadata, &e);
    fuzz_told(ok, &e);
    MUST(ok || (e.code == ERR_INPUT && !h->t && !h->n && !h->metadata));
    return ok;
}

static void done(struct header *h)
{
    free(h->text);
    free(h->t);
    free(h->metadata);
}

static void check(const struct header *h, uint64_t data_bytes)
{
    uint64_t end = 0;
    for (uint64_t i = 0; i < h->n; i++) {
        const struct hf_tensor *t = &h->t[i];
        MUST(t->dtype && t->n_dims <= HF_MAX_DIMS && hf_dtype_find(t->dtype->name) == t->dtype);
        MUST(t->off == end && t->bytes <= data_bytes - end);
        MUST(utf8_valid(t->name, strlen(t->name)));
        for (const char *c = t->name; *c; c++)
            MUST((unsigned char)*c >= 0x20 && *c != 0x7f);
        end += t->bytes;
    }
    MUST(end == data_bytes);
}

static void must_be_same(const struct header *a, const struct header *b)
{
    MUST(a->n == b->n && !a->metadata == !b->metadata);
    MUST(!a->metadata || !strcmp(a->metadata, b->metadata));
    for (uint64_t i = 0; i < a->n; i++) {
        const struct hf_tensor *s = &a->t[i], *t = &b->t[i];
        MUST(!strcmp(s->name, t->name) && s->dtype == t->dtype && s->n_dims == t->n_dims);
        MUST(!memcmp(s->dims, t->dims, sizeof s->dims) && s->bytes == t->bytes && s->off == t->off);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t data_bytes = 0;
    struct header h, again;
    if (size < 8)
        return 0;
    for (int i = 7; i >= 0; i--)
        data_bytes = data_bytes << 8 | data[i];
    if (!parse(&h, data + 8, size - 8, data_bytes)) {
        done(&h);
        return 0;
    }
    check(&h, data_bytes);
    struct buf b = {0};
    struct st_header w;
    st_header_begin(&w, &b, h.metadata);
    for (uint64_t i = 0; i < h.n; i++)
        st_header_add(&w, &h.t[i]);
    st_header_end(&w);
    MUST(b.n % 8 == 0 && b.s[8] == '{');
    MUST(parse(&again, b.s + 8, b.n - 8, data_bytes));
    must_be_same(&h, &again);
    buf_clear(&b);
    done(&again);
    done(&h);
    return 0;
}
