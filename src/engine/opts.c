/* opts.c - see opts.h. A row for each field of struct engine_opts but device_norms, which is a test's, and now and vocab_only,
 * which are no options. */
#include "engine/opts.h"
#include "base/hash.h"
#include "base/mem.h"

#include <stddef.h>
#include <string.h>

enum kind { WORD, NUMBER, SWITCH, TEXT_FILE };

static const struct row {
    size_t at; /* in struct engine_opts */
    enum kind kind;
    const char *server; /* llama-server's name of it; NULL: it has none, or it is not as simple as that */
    const char *key;    /* results depend on it: its name in a key of JSON; NULL: they do not */
    const char *unset;  /* what that key says when it is not given; NULL: nothing, the key is left out */
} rows[] = {
#define AT(field) offsetof(struct engine_opts, field)
    {AT(threads), NUMBER, "--threads", NULL, NULL},
    {AT(ubatch), NUMBER, "--ubatch-size", "ubatch", NULL},
    {AT(n_gpu_layers), NUMBER, "--n-gpu-layers", NULL, NULL},
    {AT(device), WORD, "--device", NULL, NULL},
    {AT(split_mode), WORD, "--split-mode", NULL, NULL},
    {AT(tensor_split), WORD, "--tensor-split", NULL, NULL},
    {AT(cpu_moe), SWITCH, "--cpu-moe", NULL, NULL},
    {AT(n_cpu_moe), NUMBER, "--n-cpu-moe", NULL, NULL},
    {AT(flash_attn), WORD, "--flash-attn", "flash_attn", NULL},
    {AT(cache_type_k), WORD, "--cache-type-k", "cache_type_k", NULL},
    {AT(cache_type_v), WORD, "--cache-type-v", "cache_type_v", NULL},
    {AT(rpc), WORD, "--rpc", NULL, NULL},
    {AT(rpc_silence), NUMBER, NULL, NULL, NULL},
    {AT(load_mode), WORD, "--load-mode", NULL, NULL},
    {AT(chat_template), WORD, NULL, "chat_template", NULL},
    {AT(chat_template_file), TEXT_FILE, "--chat-template-file", "chat_template_file", NULL},
    {AT(chat_template_kwargs), WORD, "--chat-template-kwargs", "chat_template_kwargs", NULL},
    {AT(type), WORD, NULL, "type", "auto"},
    {AT(pretokenizer), WORD, NULL, "pretokenizer", ""},
#undef AT
};
#define N_ROWS (sizeof rows / sizeof *rows)

/* What `--chat-template none` does here: the contents, a line each (engine_chat). */
#define NO_TEMPLATE                                 \
    "{%- for m in messages -%}{{- m['content'] -}}" \
    "{%- if not loop.last -%}{{- '\\n' -}}{%- endif -%}{%- endfor -%}"

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
            add(a, row->server);
    } else if (row->kind == NUMBER) {
        int64_t n = *(const int64_t *)is;
        if (n == *(const int64_t *)usual)
            return;
        snprintf(number, sizeof number, "%lld", (long long)n);
        add(a, row->server);
        add(a, number);
    } else {
        const char *s = *(const char *const *)is, *def = *(const char *const *)usual;
        if (!s || (def && !strcmp(s, def)))
            return;
        add(a, row->server);
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
    for (size_t i = 0; i < N_ROWS; i++)
        if (rows[i].server)
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

/* What a row says for a key; hex: room for a hash. NULL: it is not given. */
static const char *word_of(const struct row *row, const void *is, char hex[65])
{
    struct err ignored = {0}; /* a file that cannot be read ends the run elsewhere */
    const char *s = *(const char *const *)is;
    return s && row->kind == TEXT_FILE && sha256_file(s, hex, &ignored) ? hex : s;
}

void engine_opts_key(const struct engine_opts *o, struct buf *b)
{
    buf_fmt(b, "%s\n", engine_version());
    for (size_t i = 0; i < N_ROWS; i++) {
        const void *is = (const char *)o + rows[i].at;
        char hex[65];
        if (!rows[i].key)
            continue;
        if (rows[i].kind == NUMBER) {
            buf_fmt(b, "%lld\n", (long long)*(const int64_t *)is);
        } else if (rows[i].kind == SWITCH) {
            buf_fmt(b, "%d\n", *(const bool *)is);
        } else {
            const char *s = word_of(&rows[i], is, hex);
            buf_fmt(b, "%s\n", s ? s : "-");
        }
    }
}

void engine_opts_key_json(const struct engine_opts *o, json_t *k)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct row *row = &rows[i];
        const void *is = (const char *)o + row->at;
        char hex[65];
        if (!row->key)
            continue;
        if (row->kind == NUMBER) {
            json_object_set_new(k, row->key, json_integer(*(const int64_t *)is));
        } else if (row->kind == SWITCH) {
            json_object_set_new(k, row->key, json_boolean(*(const bool *)is));
        } else {
            const char *s = word_of(row, is, hex);
            json_put_text(k, row->key, s ? s : row->unset);
        }
    }
    json_object_set_new(k, "engine", json_string(engine_version()));
}
