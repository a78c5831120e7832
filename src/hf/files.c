/* files.c - see files.h. Names: huggingface_hub and transformers 5.12; ModelOpt (hf_quant_config.json), GPTQ
 * (quantize_config.json), Mistral (tekken.json). */
#include "hf/files.h"
#include "base/dir.h"
#include "base/file.h"
#include "base/mem.h"

static const struct hf_file_row rows[] = {
    [HF_CONFIG] = {"config.json", HF_FILE_JSON, false},
    [HF_QUANT_CONFIG] = {"hf_quant_config.json", HF_FILE_JSON, false},
    [HF_QUANTIZE_CONFIG] = {"quantize_config.json", HF_FILE_JSON, false},
    {HF_INDEX_NAME, HF_FILE_WEIGHTS, false},
    {HF_WEIGHTS_NAME, HF_FILE_WEIGHTS, false},
    {"tokenizer.json", HF_FILE_TOKENIZER, false},
    {"tokenizer.model", HF_FILE_TOKENIZER, false},
    {"tokenizer_config.json", HF_FILE_TOKENIZER, false},
    {"added_tokens.json", HF_FILE_TOKENIZER, false},
    {"chat_template.jinja", HF_FILE_HEADER, false},
    {"chat_template.json", HF_FILE_HEADER, false},
    {HF_TEMPLATES_NAME, HF_FILE_HEADER, true},
    {"generation_config.json", HF_FILE_HEADER, false},
    {HF_CARD_NAME, HF_FILE_CARD, false},
    {"special_tokens_map.json", HF_FILE_COPIED, false},
    {"vocab.json", HF_FILE_COPIED, false},
    {"merges.txt", HF_FILE_COPIED, false},
    {"tekken.json", HF_FILE_COPIED, false}, /* these tokenizers are refused, by name */
    {"tiktoken.model", HF_FILE_COPIED, false},
    {"qwen.tiktoken", HF_FILE_COPIED, false},
    {"hy.tiktoken", HF_FILE_COPIED, false},
    {"preprocessor_config.json", HF_FILE_COPIED, false},
    {"processor_config.json", HF_FILE_COPIED, false},
};

const struct hf_file_row *hf_files_at(uint32_t i)
{
    return i < sizeof rows / sizeof *rows ? &rows[i] : NULL;
}

/* Calls visit with the path of the row's file, or of each file in its folder, until that returns true; the
 * name of the file inside `dir` goes with it. */
static bool each_file(const char *dir, const struct hf_file_row *r,
                      bool (*visit)(void *ctx, const char *path, const char *name), void *ctx)
{
    char *path = path_join(dir, r->name);
    struct dir_entry *list = NULL;
    struct err ignored = {0}; /* a folder that cannot be read: who reads its files says so */
    size_t n = 0;
    bool hit = false;
    if (!r->is_dir)
        hit = visit(ctx, path, r->name);
    else if (file_is_dir(path))
        dir_list(path, &list, &n, &ignored);
    for (size_t i = 0; i < n && !hit; i++) {
        char *name = path_join(r->name, list[i].name), *file = path_join(dir, name);
        hit = visit(ctx, file, name);
        free(name);
        free(file);
    }
    dir_list_free(list, n);
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

const struct hf_file_row *hf_files_hit(const char *dir, const char *out)
{
    char *copy = xstrdup(out);
    const struct hf_file_row *hit = NULL;
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows && !hit; i++)
        if (each_file(dir, &rows[i], is_hit, copy))
            hit = &rows[i];
    free(copy);
    return hit;
}
