/* fuzz_index.c - any bytes as model.safetensors.index.json.
 *
 * Parsing succeeds exactly when the error is empty. Names ascend, file names stay in the folder. What was
 * parsed, written by hf_put_index, parses to the same map; and written once more it is the same text. */
#include "fuzz.h"
#include "hf/checkpoint.h"
#include "hf/index.h"
#include "json_mutator.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *parse(struct hf_index *x, const void *p, size_t n)
{
    struct err e = {0};
    char *text = malloc(n ? n : 1);
    MUST(text);
    memcpy(text, p, n);
    bool ok = hf_index_parse(text, n, x, &e);
    fuzz_told(ok, &e);
    if (ok)
        return text;
    MUST(e.code == ERR_INPUT && !x->map && !x->n && !x->metadata);
    free(text);
    return NULL;
}

static void check(const struct hf_index *x)
{
    MUST(x->n > 0);
    for (uint64_t i = 0; i < x->n; i++) {
        const char *file = x->map[i].file;
        size_t n = strlen(file);
        MUST(i == 0 || strcmp(x->map[i - 1].name, x->map[i].name) < 0);
        MUST(n > 12 && !strcmp(file + n - 12, ".safetensors") && file[0] != '.');
        MUST(!strpbrk(file, "/\\\n\r\t\033") && !strstr(file, ".."));
    }
}

static void put(struct buf *b, const struct hf_index *x)
{
    struct hf_index_entry *map = malloc(x->n * sizeof *map);
    MUST(map);
    for (uint64_t i = 0; i < x->n; i++)
        map[i] = x->map[x->n - 1 - i]; /* the writer sorts */
    hf_put_index(b, x->metadata, 12345, 678, map, x->n);
    free(map);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_index x, y;
    char *text = parse(&x, data, size);
    if (!text)
        return 0;
    check(&x);
    struct buf b = {0}, c = {0};
    put(&b, &x);
    char *written = parse(&y, b.s, b.n);
    MUST(written && x.n == y.n && y.metadata && strstr(y.metadata, "\": 12345"));
    for (uint64_t i = 0; i < x.n; i++)
        MUST(!strcmp(x.map[i].name, y.map[i].name) && !strcmp(x.map[i].file, y.map[i].file));
    put(&c, &y);
    MUST(b.n == c.n && !memcmp(b.s, c.s, b.n));
    buf_clear(&b);
    buf_clear(&c);
    hf_index_clear(&x);
    hf_index_clear(&y);
    free(text);
    free(written);
    return 0;
}
