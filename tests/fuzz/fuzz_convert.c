/* fuzz_convert.c - any config.json and any safetensors header as a model to convert.
 *
 * The input: a letter for the folder that lends its tokenizer, a letter for the type, the bytes of the data
 * as a decimal number and a line end, config.json, a NUL, the header. The data are zeros. What can be planned
 * is a GGUF file that the strict reader takes, and every byte of it can be read, the same twice. */
#include "convert/convert.h"
#include "engine/engine.h"
#include "gguf/gguf_file.h"
#include "json_mutator.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_DATA  (64u << 20)
#define MAX_IMAGE (32u << 20) /* larger ones are read in part */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static const char *const folders[] = {"qwen3_moe",    "qwen2_moe", "olmoe",       "mixtral",
                                      "gpt_oss",      "llama4",    "deepseek_v2", "deepseek_v3",
                                      "ernie4_5_moe", "glm4_moe",  "nemotron_h"};
static const char *const types[] = {"auto", "f32", "f16", "bf16", "q8_0", "q4_K"};

static int by_name(const void *a, const void *b)
{
    const struct hf_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* The pieces of the input as a checkpoint; false: they are none. */
static bool checkpoint(struct hf_checkpoint *c, struct hf_file *f, char *config, char *header, size_t n,
                       uint64_t bytes)
{
    struct err e = {0};
    c->files = f;
    c->n_files = 1;
    c->json[HF_CONFIG].text = config;
    c->json[HF_CONFIG].n = strlen(config);
    if (!jdoc_parse(&c->json[HF_CONFIG].doc, config, c->json[HF_CONFIG].n, 0, NULL, true, &e) ||
        c->json[HF_CONFIG].doc.nodes[0].kind != J_OBJECT ||
        !st_parse(header, n, 0, bytes, &c->tensors, &c->n_tensors, &f->metadata, &e))
        return false;
    f->n_tensors = c->n_tensors;
    c->by_name = calloc(c->n_tensors + 1, sizeof *c->by_name);
    for (uint64_t i = 0; i < c->n_tensors; i++)
        c->by_name[i] = &c->tensors[i];
    qsort(c->by_name, c->n_tensors, sizeof *c->by_name, by_name);
    return true;
}

static void check(struct image *im)
{
    struct err e = {0};
    struct gg_file g;
    must(gg_parse((const uint8_t *)im->header.s, im->header.n, im->size, &g, &e));
    must(g.n_tensors == im->n_tensors);
    gg_clear(&g);
    im->window = 5000;
    uint64_t n = im->size < MAX_IMAGE ? im->size : MAX_IMAGE;
    uint8_t *a = malloc(n), *b = malloc(n);
    must(a && b && image_read(im, 0, n, a, &e));
    for (uint64_t at = n; at;) {
        uint64_t k = at < 70001 ? at : 70001;
        at -= k;
        must(image_read(im, at, k, b + at, &e));
    }
    must(memcmp(a, b, n) == 0);
    free(a);
    free(b);
    for (uint64_t i = 0; i < im->n_tensors; i++) { /* the ends of those behind */
        uint8_t last;
        must(image_read(im, im->tensors[i].off + im->tensors[i].bytes - 1, 1, &last, &e));
    }
}

static void run(const char *folder, const char *type, char *config, char *header, size_t n, uint64_t bytes)
{
    struct err e = {0};
    struct hf_checkpoint c = {.layout = hf_layout_at(0)};
    struct hf_file f = {
        .name = (char[]){"model.safetensors"}, .path = (char[]){"model.safetensors"}, .size = bytes};
    char dir[512];
    snprintf(dir, sizeof dir, TEST_DATA_DIR "/families/%s/hf", folder);
    f.fd = memfd_create("weights", MFD_CLOEXEC);
    must(f.fd >= 0 && ftruncate(f.fd, (off_t)bytes) == 0);
    if (checkpoint(&c, &f, config, header, n, bytes)) {
        struct convert_opts o = {.type = type, .quantize = engine_quantize_rows, .threads = 2};
        struct image *im = convert_open(&c, dir, &o, &e);
        must((im != NULL) == (e.code == ERR_NONE));
        if (im)
            check(im);
        image_free(im);
    }
    close(f.fd);
    free(f.metadata);
    free(c.tensors);
    free(c.by_name);
    jdoc_clear(&c.json[HF_CONFIG].doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3 || data[0] < 'a' || data[1] < 'a')
        return 0;
    char *s = malloc(size + 1);
    must(s != NULL);
    memcpy(s, data, size);
    s[size] = 0;
    char *config, *header;
    uint64_t bytes = strtoull(s + 2, &config, 10);
    header = memchr(config, 0, (size_t)(s + size - config));
    if (bytes <= MAX_DATA && header)
        run(folders[(data[0] - 'a') % (sizeof folders / sizeof *folders)],
            types[(data[1] - 'a') % (sizeof types / sizeof *types)], config, header + 1,
            (size_t)(s + size - header - 1), bytes);
    free(s);
    return 0;
}
