/* files.c - see files.h. Names: huggingface_hub and transformers 5.12; ModelOpt (hf_quant_config.json), GPTQ
 * (quantize_config.json), Mistral (tekken.json, params.json, consolidated*: conversion/base.py and mistral.py of
 * llama.cpp v0.5.0). */
#include "hf/files.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/mem.h"

#include <string.h>
#include <strings.h>
#include <unistd.h>

#define MAX_JSON (1ull << 30)

#define PARAMS_NAME  "params.json"
#define PARAMS_INDEX "consolidated.safetensors.index.json"
#define PARAMS_ONE   "consolidated.safetensors"

static const struct hf_layout layouts[] = {
    {"config.json", HF_INDEX_NAME, HF_WEIGHTS_NAME, NULL, NULL},
    {PARAMS_NAME, PARAMS_INDEX, PARAMS_ONE, "consolidated-", "Mistral's own layout (params.json)"},
};

const struct hf_layout *hf_layout_at(uint32_t i)
{
    return i < sizeof layouts / sizeof *layouts ? &layouts[i] : NULL;
}

static const struct hf_file_row rows[] = {
    [HF_CONFIG] = {.name = "config.json", .role = HF_FILE_JSON},
    [HF_QUANT_CONFIG] = {.name = "hf_quant_config.json", .role = HF_FILE_JSON, .bound = true},
    [HF_QUANTIZE_CONFIG] = {.name = "quantize_config.json", .role = HF_FILE_JSON, .bound = true},
    [HF_PARAMS] = {.name = PARAMS_NAME, .role = HF_FILE_JSON, .bound = true},
    {.name = HF_INDEX_NAME, .role = HF_FILE_WEIGHTS},
    {.name = HF_WEIGHTS_NAME, .role = HF_FILE_WEIGHTS},
    {.name = PARAMS_INDEX, .role = HF_FILE_WEIGHTS},
    {.name = PARAMS_ONE, .role = HF_FILE_WEIGHTS},
    {.name = "tokenizer.json", .role = HF_FILE_TOKENIZER},
    {.name = "tokenizer.model", .role = HF_FILE_TOKENIZER},
    {.name = "tokenizer_config.json", .role = HF_FILE_TOKENIZER},
    {.name = "added_tokens.json", .role = HF_FILE_TOKENIZER},
    {.name = "chat_template.jinja", .role = HF_FILE_HEADER, .bound = true},
    {.name = "chat_template.json", .role = HF_FILE_HEADER},
    {.name = HF_TEMPLATES_NAME, .role = HF_FILE_HEADER, .is_dir = true, .bound = true},
    {.name = "generation_config.json", .role = HF_FILE_HEADER},
    {.name = HF_CARD_NAME, .role = HF_FILE_CARD, .bound = true},
    {.name = "special_tokens_map.json", .role = HF_FILE_COPIED},
    {.name = "vocab.json", .role = HF_FILE_COPIED},
    {.name = "merges.txt", .role = HF_FILE_COPIED},
    {.name = "tiktoken.model", .role = HF_FILE_TOKENIZER},
    {.name = "hy.tiktoken", .role = HF_FILE_TOKENIZER},
    {.name = "tekken.json", .role = HF_FILE_COPIED}, /* these tokenizers are refused, by name */
    {.name = "qwen.tiktoken", .role = HF_FILE_COPIED},
    {.name = "preprocessor_config.json", .role = HF_FILE_COPIED},
    {.name = "processor_config.json", .role = HF_FILE_COPIED},
};

const struct hf_file_row *hf_files_at(uint32_t i)
{
    return i < sizeof rows / sizeof *rows ? &rows[i] : NULL;
}

bool hf_json_counts(uint32_t file)
{
    return file == HF_CONFIG || file == HF_PARAMS;
}

static const struct hf_file_row *find_row(const char *name)
{
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strcmp(rows[i].name, name))
            return &rows[i];
    BUG("a checkpoint's file '%s' has no row", name);
}

static bool read_bound(const char *dir, const char *path, uint64_t max, struct buf *b, struct err *e)
{
    struct folder_bounds bounds;
    bool ok = folder_bounds(dir, &bounds, e) && folder_read_file(&bounds, path, max, b, e);
    folder_bounds_clear(&bounds);
    return ok;
}

bool hf_file_read(const char *dir, const char *name, uint64_t max, bool *there, struct buf *b, struct err *e)
{
    char *path = path_join(dir, name);
    bool ok = file_there(path, there, e);
    if (ok && *there)
        ok = find_row(name)->bound ? read_bound(dir, path, max, b, e) : file_read_all(path, max, b, e);
    free(path);
    return ok;
}

bool hf_file_json(const char *dir, const char *name, json_t **json, struct err *e)
{
    struct buf b = {0};
    bool there, ok = hf_file_read(dir, name, MAX_JSON, &there, &b, e);
    *json = NULL;
    if (ok && there) {
        *json = json_parse(b.s, b.n, e);
        ok = *json != NULL || err_ctx(e, "%s/%s", dir, name);
    }
    buf_clear(&b);
    return ok;
}

/* Calls visit with the path of the row's file, or of each file in its folder, until that returns true; the
 * name of the file inside `dir` goes with it. */
static bool each_file(const char *dir, const struct hf_file_row *r,
                      bool (*visit)(void *ctx, const char *path, const char *name), void *ctx)
{
    char *path = path_join(dir, r->name);
    char **names = NULL;
    struct err ignored = {0}; /* a folder that cannot be read: who reads its files says so */
    size_t n = 0;
    bool hit = false;
    if (!r->is_dir)
        hit = visit(ctx, path, r->name);
    else if (file_is_dir(path))
        folder_names(path, &names, &n, &ignored);
    for (size_t i = 0; i < n && !hit; i++) {
        char *name = path_join(r->name, names[i]), *file = path_join(dir, name);
        hit = visit(ctx, file, name);
        free(name);
        free(file);
    }
    folder_names_free(names, n);
    free(path);
    return hit;
}

static bool add_stamp(void *ctx, const char *path, const char *name)
{
    buf_fmt(ctx, "%s ", name);
    file_stamp(path, ctx);
    buf_char(ctx, '\n');
    return false;
}

void hf_files_stamp(const char *dir, unsigned roles, struct buf *b)
{
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].role & roles)
            each_file(dir, &rows[i], add_stamp, b);
}

static bool is_hit(void *ctx, const char *path, const char *name)
{
    (void)name;
    return file_would_destroy(ctx, path);
}

/* A result of this program begins with its schema; the one that lies in each pruned folder is a part of that. */
static bool is_result(const char *path)
{
    static const char schema[] = "\"schema\": \"reap.", own[] = "reap.provenance/";
    char head[256] = "";
    struct err ignored = {0};
    int fd = file_open_read(path, NULL, &ignored);
    ssize_t n = fd >= 0 ? read(fd, head, sizeof head - 1) : 0;
    if (fd >= 0)
        close(fd);
    head[n > 0 ? n : 0] = 0;
    return *head == '{' && strstr(head, schema) && !strstr(head, own);
}

static bool is_gguf(const char *path)
{
    size_t n = strlen(path);
    return n > 5 && !strcasecmp(path + n - 5, ".gguf");
}

/* A file that is there, and lies in the folder or in the blobs of its cache. */
static bool is_inside(const char *dir, const char *out)
{
    struct folder_bounds b;
    struct err ignored = {0}; /* a folder that is not there holds nothing */
    char *parent = path_dir(out), *real = realpath(parent, NULL);
    bool inside = file_exists(out) && !file_is_dir(out) && real && folder_bounds(dir, &b, &ignored);
    if (inside) {
        inside = folder_holds(&b, real);
        folder_bounds_clear(&b);
    }
    free(parent);
    free(real);
    return inside;
}

bool hf_files_hit(const char *dir, const char *out)
{
    char *copy = xstrdup(out);
    bool hit = is_inside(dir, out) && !is_gguf(out) && !is_result(out);
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows && !hit; i++)
        hit = each_file(dir, &rows[i], is_hit, copy);
    free(copy);
    return hit;
}
