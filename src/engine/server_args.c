/* server_args.c - see server_args.h. One row per field of struct engine_opts that llama-server has a word for;
 * it has none for type and pretokenizer, which are the converter's, nor for device_norms, which is a test's. */
#include "engine/server_args.h"
#include "base/mem.h"

#include <stddef.h>
#include <string.h>

enum kind { WORD, NUMBER, SWITCH };

static const struct row {
    const char *name;
    enum kind kind;
    size_t at; /* in struct engine_opts */
} rows[] = {
    {"--threads", NUMBER, offsetof(struct engine_opts, threads)},
    {"--ubatch-size", NUMBER, offsetof(struct engine_opts, ubatch)},
    {"--n-gpu-layers", NUMBER, offsetof(struct engine_opts, n_gpu_layers)},
    {"--device", WORD, offsetof(struct engine_opts, device)},
    {"--split-mode", WORD, offsetof(struct engine_opts, split_mode)},
    {"--tensor-split", WORD, offsetof(struct engine_opts, tensor_split)},
    {"--cpu-moe", SWITCH, offsetof(struct engine_opts, cpu_moe)},
    {"--n-cpu-moe", NUMBER, offsetof(struct engine_opts, n_cpu_moe)},
    {"--flash-attn", WORD, offsetof(struct engine_opts, flash_attn)},
    {"--cache-type-k", WORD, offsetof(struct engine_opts, cache_type_k)},
    {"--cache-type-v", WORD, offsetof(struct engine_opts, cache_type_v)},
    {"--rpc", WORD, offsetof(struct engine_opts, rpc)},
    {"--load-mode", WORD, offsetof(struct engine_opts, load_mode)},
};

/* What `--chat-template none` does here: the contents, a line each (engine_chat). */
#define NO_TEMPLATE \
    "{%- for m in messages -%}{{- m['content'] -}}{%- if not loop.last -%}{{- '\\n' -}}{%- endif -%}{%- endfor -%}"

static void add(struct server_args *a, const char *s)
{
    GROW(a->v, a->n, a->cap);
    a->v[a->n++] = xstrdup(s);
}

static void add_row(struct server_args *a, const struct row *row, const void *is, const void *usual)
{
    char number[24];
    if (row->kind == SWITCH) {
        if (*(const bool *)is)
            add(a, row->name);
    } else if (row->kind == NUMBER) {
        int64_t n = *(const int64_t *)is;
        if (n == *(const int64_t *)usual)
            return;
        snprintf(number, sizeof number, "%lld", (long long)n);
        add(a, row->name);
        add(a, number);
    } else {
        const char *s = *(const char *const *)is, *def = *(const char *const *)usual;
        if (!s || (def && !strcmp(s, def)))
            return;
        add(a, row->name);
        add(a, s);
    }
}

/* The engine knows its own templates by name, and so does the server, when it is told not to read the name as
 * a template. */
static void add_template(struct server_args *a, const char *name)
{
    bool none = name && !strcmp(name, "none");
    if (!name)
        return;
    add(a, none ? "--jinja" : "--no-jinja");
    add(a, "--chat-template");
    add(a, none ? NO_TEMPLATE : name);
}

void server_args_make(struct server_args *a, const struct engine_opts *o)
{
    struct engine_opts usual;
    engine_opts_default(&usual);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        add_row(a, &rows[i], (const char *)o + rows[i].at, (const char *)&usual + rows[i].at);
    add_template(a, o->chat_template);
}

void server_args_clear(struct server_args *a)
{
    for (uint32_t i = 0; i < a->n; i++)
        free(a->v[i]);
    free(a->v);
    *a = (struct server_args){0};
}
