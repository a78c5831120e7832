/* fuzz_tokenizer.c - any bytes as the tokenizer files of a checkpoint.
 *
 * The input holds the files, separated by lines "%%": config.json, tokenizer.json, tokenizer_config.json,
 * tokenizer.model, chat_template.jinja, chat_template.json, added_tokens.json, generation_config.json, tiktoken.model;
 * an empty one is not there. Succeeds exactly when no error is set; the
 * keys then read back as a GGUF header, so none stands twice and all text is what the format allows; every
 * token has a type. */
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "convert/layout_part.h"
#include "fuzz.h"
#include "gguf/gguf_file.h"
#include "json_mutator.h"
#include "tokenizer/tok_part.h"
#include "tokenizer/tokenizer.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CONFIG, N_PARTS = 9 };
static const char *const names[N_PARTS] = {
    "config.json",       "tokenizer.json",         "tokenizer_config.json",
    "tokenizer.model",   "chat_template.jinja",    "chat_template.json",
    "added_tokens.json", "generation_config.json", "tiktoken.model"};
static char dir[64];

static void in_dir(char path[128], int part)
{
    snprintf(path, 128, "%s/%s", dir, names[part]);
}

static void cleanup(void)
{
    char path[128];
    for (int i = 0; i < N_PARTS; i++) {
        in_dir(path, i);
        unlink(path);
    }
    rmdir(dir);
}

static void make_dir(void)
{
    if (!fuzz_dir(dir, cleanup))
        return;
    log_quiet = true;
}

static void put_part(int part, const void *p, size_t n)
{
    char path[128];
    in_dir(path, part);
    unlink(path);
    if (n == 0)
        return;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST(fd >= 0 && write(fd, p, n) == (ssize_t)n);
    close(fd);
}

/* Writes the files; the text of config.json is returned in *config (borrowed). */
static void split(const char *s, size_t n, const char **config, size_t *config_n)
{
    for (int i = 0; i < N_PARTS; i++) {
        const char *end = i == N_PARTS - 1 ? NULL : memmem(s, n, "\n%%\n", 4);
        size_t len = end ? (size_t)(end - s) : n;
        if (i == CONFIG) {
            *config = s;
            *config_n = len;
        } else {
            put_part(i, s, len);
        }
        s += end ? len + 4 : len;
        n -= end ? len + 4 : len;
    }
}

static void check(const struct buf *keys, uint64_t n)
{
    struct buf b = {0};
    struct gg_file f;
    struct err e = {0};
    static const uint64_t ne[1] = {8};
    gg_put_start(&b, 3, 1, n);
    buf_add(&b, keys->s, keys->n);
    gg_put_tensor(&b, "t", 1, ne, 0, 0);
    gg_pad(&b, 32);
    buf_zero(&b, 32);
    if (!gg_parse((const uint8_t *)b.s, b.n, b.n, &f, &e))
        BUG("fuzz: %s", e.msg);
    const struct gg_key *tokens = gg_find(&f, "tokenizer.ggml.tokens");
    const struct gg_key *types = gg_find(&f, "tokenizer.ggml.token_type");
    MUST(tokens && types && tokens->n == types->n && tokens->n > 0);
    for (uint64_t i = 0; i < types->n; i++) {
        uint64_t t;
        MUST(gg_key_u64_at(types, i, &t) && t >= TOK_NORMAL && t <= TOK_BYTE);
    }
    gg_clear(&f);
    buf_clear(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *config = NULL;
    size_t config_n = 0;
    struct jdoc d = {0};
    struct err e = {0};
    make_dir();
    if (size == 0)
        return 0;
    split((const char *)data, size, &config, &config_n);
    if (jdoc_parse(&d, config, config_n, 0, NULL, true, &e)) {
        struct buf keys = {0};
        uint64_t n = 0;
        bool ok = tokenizer_put_keys(dir, &d, &(struct tokenizer_opts){.vocab_size = 0}, &keys, &n, &e);
        fuzz_told(ok, &e);
        ok = ok && layout_put_sampling(dir, &keys, &n, &e);
        fuzz_told(ok, &e);
        if (ok)
            check(&keys, n);
        buf_clear(&keys);
    }
    jdoc_clear(&d);
    return 0;
}
