/* chat_template.c - see chat_template.h. Keys as in llama.cpp v0.5.0: tokenizer.chat_template is the default;
 * each other one is tokenizer.chat_template.NAME, and tokenizer.chat_templates lists their names. */
#include "tokenizer/chat_template.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "gguf/gguf_file.h"
#include "hf/files.h"

#include <string.h>

#define MAX_TEMPLATE  (16u << 20)
#define MAX_TEMPLATES 100

struct templates {
    char *name[MAX_TEMPLATES], *text[MAX_TEMPLATES];
    size_t n;
    char *plain; /* the default */
};

static void clear(struct templates *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free(t->name[i]);
        free(t->text[i]);
    }
    free(t->plain);
}

/* Adds a named template; the name becomes part of a key: what is not a letter or digit becomes '_'. */
static bool add(struct templates *t, const char *name, size_t n, const char *text, struct err *e)
{
    if (n == 0)
        return true;
    char *key = xcalloc(n + 1, 1);
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)name[i];
        bool plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z' && c < 128);
        if ((c & 0xc0) != 0x80) /* one '_' for a character, however many bytes it has */
            key[k++] = plain ? (char)c : '_';
    }
    if (!strcmp(key, "default")) {
        free(key);
        free(t->plain);
        t->plain = xstrdup(text);
        return true;
    }
    for (size_t i = 0; i < t->n; i++)
        if (!strcmp(t->name[i], key)) { /* a key may stand only once: the last one counts */
            free(key);
            free(t->text[i]);
            t->text[i] = xstrdup(text);
            return true;
        }
    if (t->n == MAX_TEMPLATES || k > 100) {
        free(key);
        return err_set(e, ERR_INPUT, "more than %d chat templates, or a name of more than 100 characters",
                       MAX_TEMPLATES);
    }
    t->name[t->n] = key;
    t->text[t->n++] = xstrdup(text);
    return true;
}

/* A template file as Python reads it: every line ends with "\n". */
static char *clean_text(const struct buf *b, const char *path, struct err *e)
{
    struct buf out = {0};
    if (!utf8_valid(b->s ? b->s : "", b->n) || (b->n && memchr(b->s, 0, b->n))) {
        err_set(e, ERR_INPUT, "%s: not UTF-8 text", path);
        return NULL;
    }
    buf_str(&out, "");
    for (size_t i = 0; i < b->n; i++)
        if (b->s[i] != '\r')
            buf_char(&out, b->s[i]);
        else if (i + 1 == b->n || b->s[i + 1] != '\n')
            buf_char(&out, '\n');
    return out.s;
}

static char *read_text(const struct folder_bounds *bounds, const char *path, struct err *e)
{
    struct buf b = {0};
    char *text = folder_read_file(bounds, path, MAX_TEMPLATE, &b, e) ? clean_text(&b, path, e) : NULL;
    buf_clear(&b);
    return text;
}

/* NAME.jinja of the folder, in the order of their names. */
static bool add_names(struct templates *t, const struct folder_bounds *bounds, const char *folder,
                      struct err *e)
{
    char **names;
    size_t n;
    if (!folder_names(folder, &names, &n, e))
        return false;
    bool ok = true;
    for (size_t i = 0; i < n && ok; i++) {
        const char *name = names[i];
        size_t len = strlen(name);
        if (len <= 6 || strcmp(name + len - 6, ".jinja") != 0 || !utf8_valid(name, len))
            continue;
        char *path = path_join(folder, name), *text = read_text(bounds, path, e);
        ok = text && (add(t, name, len - 6, text, e) || err_ctx(e, "%s", folder));
        free(text);
        free(path);
    }
    folder_names_free(names, n);
    return ok;
}

static bool add_folder(struct templates *t, const char *dir, struct err *e)
{
    char *folder = path_join(dir, HF_TEMPLATES_NAME);
    struct folder_bounds bounds = {0};
    struct folder_entry x = {0};
    bool there, ok = file_there(folder, &there, e);
    if (ok && there)
        ok = folder_bounds(dir, &bounds, e) && folder_look(&bounds, NULL, folder, &x, e) &&
             (folder_left_out(&x, folder) || x.kind != FOLDER_SUB || add_names(t, &bounds, folder, e));
    folder_entry_clear(&x);
    folder_bounds_clear(&bounds);
    free(folder);
    return ok;
}

/* A string, or a list of {name, template}. */
static bool add_value(struct templates *t, const json_t *v, const char *where, struct err *e)
{
    if (json_is_string(v)) {
        t->plain = xstrdup(json_string_value(v));
        return true;
    }
    if (!json_is_array(v)) {
        log_warn("%s: chat_template is %s and is left out, expected a string or a list", where,
                 json_type_name(v));
        return true;
    }
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *x = json_array_get(v, i);
        const char *name = json_string_value(json_object_get(x, "name"));
        const char *text = json_string_value(json_object_get(x, "template"));
        if (name && text && !add(t, name, strlen(name), text, e))
            return err_ctx(e, "%s", where);
    }
    return true;
}

/* The files beside tokenizer_config.json that transformers takes before it. */
static bool add_files(struct templates *t, const char *dir, struct err *e)
{
    struct buf b = {0};
    bool there, ok = hf_file_read(dir, "chat_template.jinja", MAX_TEMPLATE, &there, &b, e);
    if (ok && there)
        ok = (t->plain = clean_text(&b, "chat_template.jinja", e)) != NULL || err_ctx(e, "%s", dir);
    buf_clear(&b);
    return ok && add_folder(t, dir, e);
}

/* The file of a processor, an older form. */
static bool add_json(struct templates *t, const char *dir, struct err *e)
{
    json_t *v;
    bool ok = hf_file_json(dir, "chat_template.json", &v, e);
    const json_t *value = json_object_get(v, "chat_template");
    ok = ok && (!value || add_value(t, value, "chat_template.json", e));
    json_decref(v);
    return ok;
}

bool chat_template_put_keys(const char *dir, const json_t *config, struct buf *keys, uint64_t *n_keys,
                            struct err *e)
{
    if (!config)
        return true;
    struct templates t = {0};
    const json_t *v = json_object_get(config, "chat_template");
    bool ok = add_files(&t, dir, e);
    if (ok && !t.plain && v && !json_is_null(v))
        ok = add_value(&t, v, "tokenizer_config.json", e);
    if (ok && !t.plain && !t.n)
        ok = add_json(&t, dir, e);
    for (size_t i = 0; ok && i < t.n; i++) {
        char *key = xasprintf("tokenizer.chat_template.%s", t.name[i]);
        gg_put_str(keys, key, t.text[i]);
        free(key);
    }
    if (ok && t.n) {
        gg_put_strs(keys, "tokenizer.chat_templates", (const char *const *)t.name, t.n);
        *n_keys += t.n + 1;
    }
    if (ok && t.plain) {
        gg_put_str(keys, "tokenizer.chat_template", t.plain);
        *n_keys += 1;
    }
    clear(&t);
    return ok;
}
