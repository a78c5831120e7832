/* prompts.c - see prompts.h. Strict: a row has exactly one of prompt and messages, types are right, nothing
 * is empty. */
#include "serve/prompts.h"
#include "base/dir.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#include <string.h>

#define MAX_FILE  (1ull << 30)
#define MAX_DEPTH 16
#define MAX_ID    512

/* What requests may hold of their own; "parameters" takes all others. */
static const char *const row_parameters[] = {
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "max_tokens",
    "seed",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
};
/* These are the batch's own business. */
static const char *const reserved[] = {"model", "messages", "prompt", "stream", "stream_options", "n"};
#define COUNT(a) (sizeof(a) / sizeof *(a))

void prompt_clear(struct prompt *p)
{
    free(p->id);
    free(p->category);
    json_decref(p->messages);
    json_decref(p->parameters);
    *p = (struct prompt){0};
}

void prompts_free(struct prompts *p)
{
    for (uint64_t i = 0; i < p->n; i++)
        prompt_clear(&p->v[i]);
    free(p->v);
    *p = (struct prompts){0};
}

const char *prompt_text(const struct prompt *p)
{
    const json_t *last = json_array_get(p->messages, json_array_size(p->messages) - 1);
    const char *s = json_string_value(json_object_get(last, "content"));
    return s ? s : "";
}

/* ---- rows ---- */

static json_t *member(const json_t *o, const char *key)
{
    json_t *v = json_object_get(o, key);
    return json_is_null(v) ? NULL : v;
}

static json_t *message(const char *role, const char *content)
{
    json_t *m = json_object();
    json_object_set_new(m, "role", json_string(role));
    json_object_set_new(m, "content", json_string(content));
    return m;
}

static bool row_text(const json_t *o, const char *key, const char **out, struct err *e)
{
    *out = NULL;
    if (!member(o, key))
        return true;
    if (!json_need_str(o, key, "row", out, e))
        return false;
    return **out || err_set(e, ERR_INPUT, "row: '%s' is empty", key);
}

static bool check_message(const json_t *m, size_t i, struct err *e)
{
    char where[64];
    const char *role;
    snprintf(where, sizeof where, "row: message %zu", i + 1);
    if (!json_is_object(m))
        return err_set(e, ERR_INPUT, "%s is %s, expected an object", where, json_type_name(m));
    const json_t *c = json_object_get(m, "content");
    if (!json_need_str(m, "role", where, &role, e))
        return false;
    return json_is_string(c) || json_is_array(c) || (json_is_null(c) && !strcmp(role, "assistant")) ||
           err_set(e, ERR_INPUT, "%s: 'content' is %s, expected a string or a list of parts", where,
                   json_type_name(c));
}

static bool row_messages(const json_t *o, struct prompt *p, struct err *e)
{
    json_t *list;
    if (!json_need_arr(o, "messages", "row", &list, e))
        return false;
    if (!json_array_size(list))
        return err_set(e, ERR_INPUT, "row: 'messages' is empty");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!check_message(json_array_get(list, i), i, e))
            return false;
    json_array_extend(p->messages, list);
    return true;
}

static bool row_params(const json_t *o, struct prompt *p, struct err *e)
{
    json_t *more = member(o, "parameters");
    if (more && !json_is_object(more))
        return err_set(e, ERR_INPUT, "row: 'parameters' is %s, expected an object", json_type_name(more));
    for (size_t i = 0; i < COUNT(row_parameters); i++)
        if (member(o, row_parameters[i]))
            json_object_set(p->parameters, row_parameters[i], member(o, row_parameters[i]));
    if (more)
        json_object_update(p->parameters, more);
    for (size_t i = 0; i < COUNT(reserved); i++)
        if (json_object_get(p->parameters, reserved[i]))
            return err_set(e, ERR_INPUT, "row: 'parameters' may not hold '%s'", reserved[i]);
    return true;
}

static bool row_id(const json_t *o, struct prompt *p, struct err *e)
{
    const json_t *v = member(o, "id");
    if (!v)
        return true;
    if (json_is_integer(v))
        p->id = xasprintf("%lld", (long long)json_integer_value(v));
    else if (json_is_string(v) && *json_string_value(v) && json_string_length(v) <= MAX_ID)
        p->id = xstrdup(json_string_value(v));
    else
        return err_set(e, ERR_INPUT, "row: 'id' is %s, expected an integer or a string of 1 to %d bytes",
                       json_type_name(v), MAX_ID);
    return true;
}

static bool read_row(const json_t *o, struct prompt *p, struct err *e)
{
    const char *text, *system, *category;
    if (!json_is_object(o))
        return err_set(e, ERR_INPUT, "row: is %s, expected an object", json_type_name(o));
    if (!member(o, "prompt") == !member(o, "messages"))
        return err_set(e, ERR_INPUT, "row: expected either 'prompt' or 'messages'");
    if (!row_id(o, p, e) || !row_text(o, "prompt", &text, e) || !row_text(o, "system", &system, e) ||
        !row_text(o, "category", &category, e) || !row_params(o, p, e))
        return false;
    p->category = category ? xstrdup(category) : NULL;
    p->is_text = text && !system;
    if (system)
        json_array_append_new(p->messages, message("system", system));
    if (!text)
        return row_messages(o, p, e);
    json_array_append_new(p->messages, message("user", text));
    return true;
}

bool prompts_parse_row(const char *row, size_t n, struct prompt *p, struct err *e)
{
    *p = (struct prompt){.messages = json_array(), .parameters = json_object()};
    json_t *o = json_parse_row(row, n, e);
    bool ok = o && read_row(o, p, e);
    json_decref(o);
    if (!ok)
        prompt_clear(p);
    return ok;
}

/* ---- files ---- */

static void add(struct prompts *p, struct prompt *x, const char *id, const char *category)
{
    if (!x->id)
        x->id = xstrdup(id);
    if (!x->category && category)
        x->category = xstrdup(category);
    GROW(p->v, p->n, p->cap);
    p->v[p->n++] = *x;
}

static bool is_rows(const char *path)
{
    const char *dot = strrchr(path_base(path), '.');
    return dot && (!strcmp(dot, ".jsonl") || !strcmp(dot, ".ndjson"));
}

static bool is_blank(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strchr(" \t\r", s[i]))
            return false;
    return true;
}

static bool add_rows(struct prompts *p, const struct buf *b, const char *name, const char *category,
                     struct err *e)
{
    uint64_t line = 0;
    for (size_t at = 0, n; at < b->n; at += n + 1) {
        const char *s = b->s + at, *end = memchr(s, '\n', b->n - at);
        struct prompt x;
        n = end ? (size_t)(end - s) : b->n - at;
        line++;
        if (is_blank(s, n))
            continue;
        if (!prompts_parse_row(s, n, &x, e))
            return err_ctx(e, "line %llu", (unsigned long long)line);
        char *id = xasprintf("%s:%llu", name, (unsigned long long)line);
        add(p, &x, id, category);
        free(id);
    }
    return true;
}

static bool add_text(struct prompts *p, struct buf *b, const char *name, const char *category, struct err *e)
{
    size_t skip = b->n >= 3 && !memcmp(b->s, "\xef\xbb\xbf", 3) ? 3 : 0;
    while (b->n > skip && strchr(" \t\r\n", b->s[b->n - 1]))
        b->s[--b->n] = 0;
    size_t n = b->n - skip;
    if (!n)
        return err_set(e, ERR_INPUT, "is empty, expected a prompt");
    if (memchr(b->s, 0, b->n) || !utf8_valid(b->s, b->n))
        return err_set(e, ERR_INPUT, "is not UTF-8 text");
    struct prompt x = {.messages = json_array(), .parameters = json_object(), .is_text = true};
    json_array_append_new(x.messages, message("user", b->s + skip));
    add(p, &x, name, category);
    return true;
}

static bool add_file(struct prompts *p, const char *path, const char *name, const char *category,
                     struct err *e)
{
    struct buf b = {0}, safe = {0};
    buf_safe(&safe, name, strlen(name)); /* ids stand in JSON */
    bool ok = file_read_all(path, MAX_FILE, &b, e);
    if (ok && !(is_rows(path) ? add_rows(p, &b, safe.s, category, e) : add_text(p, &b, safe.s, category, e)))
        ok = err_ctx(e, "%s", path);
    buf_clear(&b);
    buf_clear(&safe);
    return ok;
}

/* name: of the folder from the first one on; "" for that itself */
static bool add_folder(struct prompts *p, const char *path, const char *name, const char *category,
                       unsigned depth, struct err *e)
{
    struct dir_entry *list;
    size_t n;
    if (depth > MAX_DEPTH)
        return err_set(e, ERR_INPUT, "%s: folders are nested more than %d deep", path, MAX_DEPTH);
    if (!dir_list(path, &list, &n, e))
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        if (list[i].name[0] == '.')
            continue;
        char *sub = path_join(path, list[i].name),
             *sub_name = *name ? xasprintf("%s/%s", name, list[i].name) : xstrdup(list[i].name);
        struct buf safe = {0};
        buf_safe(&safe, list[i].name, strlen(list[i].name));
        if (list[i].is_dir)
            ok = add_folder(p, sub, sub_name, depth ? category : safe.s, depth + 1, e);
        else
            ok = add_file(p, sub, sub_name, category, e);
        buf_clear(&safe);
        free(sub);
        free(sub_name);
    }
    dir_list_free(list, n);
    return ok;
}

bool prompts_load(struct prompts *p, const char *path, struct err *e)
{
    uint64_t before = p->n;
    if (!(file_is_dir(path) ? add_folder(p, path, "", NULL, 0, e)
                            : add_file(p, path, path_base(path), NULL, e)))
        return false;
    return p->n > before || err_set(e, ERR_INPUT, "%s holds no prompts", path);
}

static int by_id(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

bool prompts_check(const struct prompts *p, struct err *e)
{
    char **ids = mem_try(p->n, sizeof *ids, "the ids of the prompts", e);
    if (!ids)
        return false;
    bool ok = true;
    for (uint64_t i = 0; i < p->n; i++)
        ids[i] = p->v[i].id;
    qsort(ids, p->n, sizeof *ids, by_id);
    for (uint64_t i = 1; ok && i < p->n; i++)
        if (!strcmp(ids[i], ids[i - 1]))
            ok = err_set(e, ERR_INPUT, "two prompts have the id '%s'", ids[i]);
    free(ids);
    return ok;
}
