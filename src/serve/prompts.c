/* prompts.c - see prompts.h. Strict: a row has exactly one of prompt and messages, types are right, nothing
 * is empty. */
#include "serve/prompts.h"
#include "base/mem.h"
#include "base/text.h"
#include "corpus/source.h"

#include <string.h>

#define MAX_ID 512

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
    if (!source_member(o, key))
        return true;
    if (!json_need_str(o, key, "row", out, e))
        return false;
    return **out || err_set(e, ERR_INPUT, "row: '%s' is empty", key);
}

static bool add_message(void *ud, const json_t *m, const char *role, const char *where, struct err *e)
{
    struct prompt *p = ud;
    const json_t *c = json_object_get(m, "content");
    json_array_append(p->messages, (json_t *)(uintptr_t)m);
    return json_is_string(c) || json_is_array(c) || (json_is_null(c) && !strcmp(role, "assistant")) ||
           err_set(e, ERR_INPUT, "%s: 'content' is %s, expected a string or a list of parts", where,
                   json_type_name(c));
}

static bool row_params(const json_t *o, struct prompt *p, struct err *e)
{
    json_t *more = source_member(o, "parameters");
    if (more && !json_is_object(more))
        return err_set(e, ERR_INPUT, "row: 'parameters' is %s, expected an object", json_type_name(more));
    for (size_t i = 0; i < COUNT(row_parameters); i++)
        if (source_member(o, row_parameters[i]))
            json_object_set(p->parameters, row_parameters[i], source_member(o, row_parameters[i]));
    if (more)
        json_object_update(p->parameters, more);
    for (size_t i = 0; i < COUNT(reserved); i++)
        if (json_object_get(p->parameters, reserved[i]))
            return err_set(e, ERR_INPUT, "row: 'parameters' may not hold '%s'", reserved[i]);
    return true;
}

static bool read_row(const json_t *o, struct prompt *p, struct err *e)
{
    const char *text, *system, *category;
    if (!json_is_object(o))
        return err_set(e, ERR_INPUT, "row: is %s, expected an object", json_type_name(o));
    if (!source_member(o, "prompt") == !source_member(o, "messages"))
        return err_set(e, ERR_INPUT, "row: expected either 'prompt' or 'messages'");
    if (!source_id(o, MAX_ID, &p->id, e) || !row_text(o, "prompt", &text, e) ||
        !row_text(o, "system", &system, e) || !row_text(o, "category", &category, e) || !row_params(o, p, e))
        return false;
    p->category = category ? xstrdup(category) : NULL;
    p->is_text = text && !system;
    if (system)
        json_array_append_new(p->messages, message("system", system));
    if (!text)
        return source_messages(o, "row: message", add_message, p, e);
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

/* The file that is being read. */
struct file {
    struct prompts *p;
    const char *name, *category; /* printable: they stand in JSON */
};

static bool add_row(void *ud, uint32_t line, const char *s, size_t n, struct err *e)
{
    const struct file *f = ud;
    struct prompt x;
    if (!prompts_parse_row(s, n, &x, e))
        return err_ctx(e, "line %u", line);
    char *id = xasprintf("%s:%u", f->name, line);
    add(f->p, &x, id, f->category);
    free(id);
    return true;
}

static bool add_text(const struct file *f, struct buf *b, size_t bom, struct err *e)
{
    while (b->n > bom && strchr(" \t\r\n", b->s[b->n - 1]) && b->s[b->n - 1])
        b->s[--b->n] = 0;
    if (b->n == bom)
        return err_set(e, ERR_INPUT, "is empty, expected a prompt");
    if (!source_check_text(b->s, b->n, e))
        return false;
    struct prompt x = {.messages = json_array(), .parameters = json_object(), .is_text = true};
    json_array_append_new(x.messages, message("user", b->s + bom));
    add(f->p, &x, f->name, f->category);
    return true;
}

static bool add_file(void *ud, const struct source_file *f, struct err *e)
{
    struct buf b = {0}, name = {0}, category = {0};
    size_t bom = 0;
    buf_safe(&name, f->name, strlen(f->name));
    if (f->category)
        buf_safe(&category, f->category, strlen(f->category));
    struct file x = {ud, name.s, category.s};
    bool ok = source_read(f->path, &b, &bom, e);
    if (ok && !(source_is_rows(f->path) ? source_lines(b.s + bom, b.n - bom, add_row, &x, e)
                                        : add_text(&x, &b, bom, e)))
        ok = err_ctx(e, "%s", f->path);
    buf_clear(&b);
    buf_clear(&name);
    buf_clear(&category);
    return ok;
}

bool prompts_load(struct prompts *p, const char *path, struct err *e)
{
    uint64_t before = p->n;
    if (!source_walk(path, add_file, p, e))
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
