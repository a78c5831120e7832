/* token_ids - the ids that the engine gives to texts with the tokenizer of a checkpoint folder, for scripts.
 *
 *   token_ids FOLDER [PRETOKENIZER] <rows >ids
 *
 * FOLDER holds config.json and the tokenizer's files; no weights are needed. A row is a line {"id", "text"}; of each
 * goes a line {"id", "ids", "near"} out, as a calibration text is tokenised. near: some word is one that the engine
 * splits otherwise than the model (engine/words.h). */
#include "base/file.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/words.h"
#include "gguf/gguf_file.h"
#include "tokenizer/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* tokenizer.ggml.pre of a header, "" without. */
static void name_of(const struct buf *header, char pre[64])
{
    struct gg_file f;
    struct err ignored = {0};
    const char *s = "";
    uint64_t n = 0;
    if (gg_parse((const uint8_t *)header->s, header->n, header->n, &f, &ignored)) {
        gg_key_str(gg_find(&f, "tokenizer.ggml.pre"), &s, &n);
        snprintf(pre, 64, "%.*s", (int)(n < 64 ? n : 63), s);
        gg_clear(&f);
    }
}

/* A GGUF file without tensors: what the engine loads when it is asked for the vocabulary alone. */
static bool write_header(const char *dir, const char *pretokenizer, int fd, char pre[64], struct err *e)
{
    struct buf text = {0}, keys = {0}, header = {0};
    struct jdoc config = {0};
    uint64_t n = 1;
    char path[4096];
    snprintf(path, sizeof path, "%s/config.json", dir);
    gg_put_str(&keys, "general.architecture", "llama");
    bool ok = file_read_all(path, 1 << 24, &text, e) &&
              jdoc_parse(&config, text.s ? text.s : "", text.n, 0, NULL, true, e) &&
              tokenizer_put_keys(dir, &config, &(struct tokenizer_opts){.pretokenizer = pretokenizer}, &keys,
                                 &n, e);
    if (ok) {
        gg_put_start(&header, 3, 0, n);
        buf_add(&header, keys.s, keys.n);
        gg_pad(&header, 32);
        name_of(&header, pre);
        ok = write(fd, header.s, header.n) == (ssize_t)header.n || err_sys(e, "%s", dir);
    }
    jdoc_clear(&config);
    buf_clear(&text);
    buf_clear(&keys);
    buf_clear(&header);
    return ok;
}

static bool print_ids(const struct engine *g, const char *pre, const json_t *row, struct err *e)
{
    const json_t *text = json_object_get(row, "text");
    int32_t *ids;
    uint32_t n;
    uint64_t end, bytes = json_string_length(text);
    if (!json_is_string(text))
        return err_set(e, ERR_INPUT, "a row without a text");
    if (!engine_tokenize(g, json_string_value(text), bytes, true, true, &ids, &n, e))
        return false;
    json_t *o = json_object(), *list = json_array();
    json_object_set(o, "id", json_object_get(row, "id"));
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer(ids[i]));
    json_object_set_new(o, "ids", list);
    json_object_set_new(o, "near",
                        json_boolean(words_differ(pre, json_string_value(text), bytes, &end) < bytes));
    json_dumpf(o, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(o);
    free(ids);
    return true;
}

static bool print_all(const struct engine *g, const char *pre, struct err *e)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    bool ok = true;
    while (ok && (n = getline(&line, &cap, stdin)) > 0) {
        json_t *row = json_parse(line, (size_t)n - (line[n - 1] == '\n'), e);
        ok = row && print_ids(g, pre, row, e);
        json_decref(row);
    }
    free(line);
    return ok;
}

int main(int argc, char **argv)
{
    struct err e = {0};
    struct engine_opts o;
    char path[] = "/tmp/token_ids.XXXXXX", pre[64] = "";
    engine_begin(argv);
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: token_ids FOLDER [PRETOKENIZER] <rows\n");
        return 2;
    }
    int fd = mkstemp(path);
    struct engine *g = NULL;
    engine_opts_default(&o);
    o.vocab_only = true;
    if (fd >= 0 && write_header(argv[1], argv[2], fd, pre, &e))
        g = engine_open(path, &o, &e);
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
    bool ok = g && print_all(g, pre, &e);
    engine_free(g);
    if (!ok)
        fprintf(stderr, "token_ids: %s\n", e.msg);
    return ok ? 0 : 1;
}
