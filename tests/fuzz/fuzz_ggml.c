/* fuzz_ggml.c - any bytes as a GGUF file, for us and for the engine.
 *
 * What our reader takes, ggml's takes as well, with the same keys, tensors and offsets, but for types that it does not
 * know (of ik_llama.cpp), which are then not run. What becomes a view and is
 * found fit to run (load_check), the engine opens or refuses in words, and where it opens it a text is tokenised or
 * refused in words: it never ends the process. Only the vocabulary is loaded, because inputs are small. */
#include "convert/load.h"
#include "fuzz.h"
#include "gguf_mutator.h"
#include "model/view_gguf.h"

#include <gguf.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const struct gg_file *f, const uint8_t *data, size_t size)
{
    struct gguf_context *g =
        gguf_init_from_buffer(data, size, (struct gguf_init_params){.no_alloc = true, .ctx = NULL});
    const struct gg_part *p = &f->parts[0];
    for (uint64_t i = 0; i < f->n_tensors; i++)
        if (f->tensors[i].type >= GG_N_TYPES) {
            MUST(!g);
            return;
        }
    MUST(g && (uint64_t)gguf_get_n_kv(g) == p->n_keys && (uint64_t)gguf_get_n_tensors(g) == f->n_tensors);
    MUST(gguf_get_alignment(g) == p->alignment);
    for (uint64_t i = 0; i < p->n_keys; i++)
        MUST(!strcmp(gguf_get_key(g, (int64_t)i), p->keys[i].name));
    for (uint64_t i = 0; i < f->n_tensors; i++) {
        MUST(!strcmp(gguf_get_tensor_name(g, (int64_t)i), f->tensors[i].name));
        MUST(gguf_get_tensor_offset(g, (int64_t)i) == f->tensors[i].off - p->data_off);
        MUST(gguf_get_tensor_size(g, (int64_t)i) == f->tensors[i].bytes);
    }
    gguf_free(g);
}

struct bytes {
    const uint8_t *p;
    size_t n;
};

static bool read_bytes(void *ctx, uint64_t off, uint64_t n, void *dst, struct err *e)
{
    const struct bytes *b = ctx;
    if (off > b->n || n > b->n - off)
        return err_set(e, ERR_INPUT, "behind the end");
    memcpy(dst, b->p + off, (size_t)n);
    return true;
}

static void tokenise(const struct engine *g)
{
    static const char text[] = "Hi \xc3\xb6 \xf0\x9f\x98\x80 <s> 12\n";
    struct err e = {0};
    int32_t *ids = NULL;
    uint32_t n = 0;
    bool ok = engine_tokenize(g, text, sizeof text - 1, true, true, &ids, &n, &e);
    fuzz_told(ok, &e);
    for (uint32_t i = 0; ok && i < n; i++)
        MUST(ids[i] >= 0 && (uint32_t)ids[i] < engine_n_vocab(g));
    free(ids);
}

static void open_engine(const uint8_t *data, size_t size)
{
    struct bytes b = {data, size};
    struct engine_source s = {size, read_bytes, &b};
    struct engine_opts o;
    engine_opts_default(&o);
    o.threads = 1;
    o.vocab_only = true;
    struct err e = {0};
    struct engine *g = engine_open_source(&s, "fuzz", &o, &e);
    MUST((g != NULL) == (e.code == ERR_NONE));
    if (g)
        tokenise(g);
    engine_free(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gg_file f;
    struct err e = {0}, e2 = {0};
    if (!gg_parse(data, size, size, &f, &e))
        return 0;
    same(&f, data, size);
    gg_clear(&f);
    struct view *v = view_of_header(data, size, size, "fuzz", &e);
    fuzz_told(v != NULL, &e);
    bool runs = v && load_check(v, &e2);
    if (v)
        fuzz_told(runs, &e2);
    view_free(v);
    if (runs)
        open_engine(data, size);
    return 0;
}
