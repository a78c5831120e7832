/* prompts.c - see prompts.h. Strict: a row has exactly one of prompt and messages, types are right, nothing
 * is empty. */
#include "serve/prompts.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "corpus/foreign.h"
#include "corpus/row.h"
#include "corpus/rowfile.h"
#include "corpus/source.h"
#include "serve/secret.h"

#include <string.h>

#define MAX_ID 512

/* What requests may hold of their own; "parameters" takes all others. */
static const char *const row_parameters[] = {
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "max_tokens",
    "max_completion_tokens",
    "seed",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "functions",
    "function_call",
    "response_format",
    "reasoning_effort",
    "chat_template_kwargs",
};
/* The keys of a row that are no parameters. */
static const char *const row_keys[] = {"id", "category", "prompt", "messages", "system", "parameters"};
/* Those of a line of OpenAI's batch files. */
static const char *const line_keys[] = {"custom_id", "method", "url", "body", "id", "category"};
/* These are the batch's own business. */
static const char *const reserved[] = {"model", "messages", "prompt", "stream", "stream_options", "n"};
#define COUNT(a) (sizeof(a) / sizeof *(a))

void prompt_clear(struct prompt *p)
{
    free(p->id);
    free(p->category);
    json_decref(p->messages);
    json_decref(p->parameters);
    json_decref(p->unused);
    *p = (struct prompt){0};
}

void prompts_free(struct prompts *p)
{
    for (uint64_t i = 0; i < p->n; i++)
        prompt_clear(&p->v[i]);
    free(p->v);
    json_decref(p->unused);
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

/* As the interface has it, and as the row has it. What a user says is text; the model's turn may be a call
 * alone, and what a tool answers is its own matter. */
static bool add_message(void *ud, const json_t *m, const char *role, const char *where, struct err *e)
{
    static const char *const must[] = {"user", "system", "developer"};
    struct prompt *p = ud;
    const json_t *c = json_object_get(m, "content");
    bool may_lack = !c || json_is_null(c);
    json_array_append(p->messages, (json_t *)(uintptr_t)m);
    for (size_t i = 0; i < COUNT(must); i++)
        may_lack = may_lack && strcmp(role, must[i]) != 0;
    return json_is_string(c) || json_is_array(c) || may_lack ||
           err_set(e, ERR_INPUT, "%s: 'content' is %s, expected a string or a list of parts", where,
                   json_type_name(c));
}

/* A list, or that as JSON in a string, as tables have it. */
static bool fix_tools(struct prompt *p, struct err *e)
{
    json_t *tools = json_object_get(p->parameters, "tools"), *parsed = NULL;
    const char *s = json_string_value(tools);
    struct err bad = {0};
    if (s)
        tools = parsed = json_parse(s, strlen(s), &bad);
    bool ok = !json_object_get(p->parameters, "tools") || json_is_array(tools) ||
              err_set(e, ERR_INPUT, "row: 'tools' is %s, expected a list",
                      s && !parsed ? "a string that is no JSON" : json_type_name(tools));
    if (ok && tools && !json_array_size(tools)) /* says nothing, and servers refuse it */
        json_object_del(p->parameters, "tools");
    else if (ok && parsed)
        json_object_set(p->parameters, "tools", parsed);
    json_decref(parsed);
    return ok;
}

static bool check_params(struct prompt *p, struct err *e)
{
    for (size_t i = 0; i < COUNT(reserved); i++)
        if (json_object_get(p->parameters, reserved[i]))
            return err_set(e, ERR_INPUT, "row: 'parameters' may not hold '%s'", reserved[i]);
    return fix_tools(p, e);
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
    return check_params(p, e);
}

/* A body is a request: all of it is sent but what the batch decides itself. */
static bool body_params(json_t *body, struct prompt *p, struct err *e)
{
    const char *key;
    json_t *v;
    json_object_foreach (body, key, v)
        if (!json_is_null(v))
            json_object_set(p->parameters, key, v);
    for (size_t i = 0; i < COUNT(reserved); i++)
        if (strcmp(reserved[i], "n") != 0 || json_integer_value(json_object_get(body, "n")) == 1)
            json_object_del(p->parameters, reserved[i]);
    json_object_del(p->parameters, "system"); /* it is a message */
    return check_params(p, e);
}

static bool is_one_of(const char *key, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(key, list[i]))
            return true;
    return false;
}

static void add_unused(struct prompt *p, const char *key)
{
    p->unused = p->unused ? p->unused : json_object();
    json_object_set_new(p->unused, key, json_integer(1));
}

static void note_unused(const json_t *o, struct prompt *p, const char *const *known, size_t n)
{
    const char *key;
    json_t *v;
    json_object_foreach ((json_t *)(uintptr_t)o, key, v) {
        if (json_is_null(v) || is_one_of(key, known, n) ||
            (known == row_keys && is_one_of(key, row_parameters, COUNT(row_parameters))))
            continue;
        add_unused(p, key);
    }
}

static bool read_messages(const json_t *o, struct prompt *p, struct err *e)
{
    const char *text = NULL, *system;
    json_t *prompt = source_member(o, "prompt"), *list = source_member(o, "messages");
    if (!prompt == !list)
        return err_set(e, ERR_INPUT, "row: expected either 'prompt' or 'messages'");
    if ((!list && !json_is_array(prompt) && !row_text(o, "prompt", &text, e)) ||
        !row_text(o, "system", &system, e))
        return false;
    p->is_text = text && !system;
    if (system)
        json_array_append_new(p->messages, message("system", system));
    if (text)
        return json_array_append_new(p->messages, message("user", text)) == 0;
    json_t *x = json_pack("{sO}", "messages", list ? list : prompt);
    bool ok = source_messages(x, "row: message", add_message, p, e);
    json_decref(x);
    return ok;
}

static bool set_category(const json_t *o, struct prompt *p, struct err *e)
{
    const char *category;
    bool ok = row_text(o, "category", &category, e);
    p->category = ok && category ? xstrdup(category) : NULL;
    return ok;
}

/* A line of OpenAI's batch files. */
static bool read_line(const json_t *o, struct prompt *p, struct err *e)
{
    const char *id, *method, *url;
    json_t *body;
    if (!json_need_obj(o, "body", "row", &body, e) || !row_text(o, "custom_id", &id, e) ||
        !row_text(o, "method", &method, e) || !row_text(o, "url", &url, e) || !set_category(o, p, e))
        return false;
    if (method && strcmp(method, "POST") != 0)
        return err_set(e, ERR_INPUT, "row: 'method' is '%.20s', expected 'POST'", method);
    if (url && !text_ends(url, "/completions"))
        return err_set(e, ERR_INPUT, "row: 'url' is '%.100s', expected '/v1/chat/completions'", url);
    if (id && strlen(id) > MAX_ID)
        return err_set(e, ERR_INPUT, "row: 'custom_id' has %zu bytes, at most %d are allowed", strlen(id),
                       MAX_ID);
    p->id = id ? xstrdup(id) : NULL;
    note_unused(o, p, line_keys, COUNT(line_keys));
    return (p->id || source_id(o, MAX_ID, &p->id, e)) && read_messages(body, p, e) && body_params(body, p, e);
}

/* A row of another form: what it asks, without the answer that it has. */
static bool read_form(const json_t *o, struct prompt *p, struct err *e)
{
    static const char *const beside[] = {"tools", "documents", "chat_template_kwargs"};
    json_t *chat;
    char *unused;
    if (!row_prompt(o, &chat, &unused, e))
        return false;
    json_t *list = json_object_get(chat, "messages"), *first = json_array_get(list, 0);
    const char *role = json_string_value(json_object_get(first, "role"));
    json_array_extend(p->messages, list);
    p->is_text = json_array_size(list) == 1 && !strcmp(role, "user") &&
                 json_is_string(json_object_get(first, "content"));
    for (char *key = unused, *end; key; key = end) {
        if ((end = strchr(key, '\n')))
            *end++ = 0;
        if (!is_one_of(key, row_keys, COUNT(row_keys)) &&
            !is_one_of(key, row_parameters, COUNT(row_parameters)))
            add_unused(p, key);
    }
    free(unused);
    bool ok = row_params(o, p, e);
    for (size_t i = 0; ok && i < COUNT(beside); i++)
        if (json_object_get(chat, beside[i]))
            json_object_set(p->parameters, beside[i], json_object_get(chat, beside[i]));
    json_object_del(p->parameters, json_object_get(chat, "tools") ? "functions" : "");
    json_decref(chat);
    return ok;
}

static bool read_row(const json_t *o, struct prompt *p, struct err *e)
{
    bool plain = source_member(o, "prompt") || source_member(o, "messages");
    if (!json_is_object(o))
        return err_set(e, ERR_INPUT, "row: is %s, expected an object", json_type_name(o));
    if (json_is_object(json_object_get(o, "body")) && !plain)
        return read_line(o, p, e);
    if (!source_id(o, MAX_ID, &p->id, e) || !set_category(o, p, e))
        return false;
    if (!plain)
        return read_form(o, p, e);
    note_unused(o, p, row_keys, COUNT(row_keys));
    return read_messages(o, p, e) && row_params(o, p, e);
}

/* Numbers that no request can hold refuse a row only where they would be sent; an id is what it looks like. */
static bool check_odd(struct prompt *p, struct err *e)
{
    const char *s = json_find_odd(p->messages);
    s = s ? s : json_find_odd(p->parameters);
    if (s)
        return err_set(e, ERR_INPUT, "row: the number %.40s cannot be sent", s);
    if (p->id && !strncmp(p->id, JSON_ODD, 1))
        memmove(p->id, p->id + 1, strlen(p->id));
    return true;
}

bool prompts_parse_row(const char *row, size_t n, struct prompt *p, struct err *e)
{
    bool odd = false;
    *p = (struct prompt){.messages = json_array(), .parameters = json_object()};
    json_t *o = json_parse_data(row, n, &odd, e);
    bool ok = o && read_row(o, p, e) && (!odd || check_odd(p, e));
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
    secret_hide_str(&x->id); /* they stand in messages and results */
    secret_hide_str(&x->category);
    GROW(p->v, p->n, p->cap);
    p->v[p->n++] = *x;
}

/* The file that is being read. */
struct file {
    struct prompts *p;
    const char *name, *category; /* printable: they stand in JSON */
};

static bool add_row(void *ud, struct rowfile_place at, const char *s, size_t n, struct err *e)
{
    const struct file *f = ud;
    struct prompt x;
    if (!prompts_parse_row(s, n, &x, e))
        return at.row ? err_ctx(e, "row %u of the list", at.row) : err_ctx(e, "line %u", at.line);
    char *id = xasprintf("%s:%u", f->name, at.row ? at.row : at.line);
    const char *key;
    json_t *one;
    json_object_foreach (x.unused, key, one) {
        f->p->unused = f->p->unused ? f->p->unused : json_object();
        json_int_t before = json_integer_value(json_object_get(f->p->unused, key));
        json_object_set_new(f->p->unused, key, json_integer(before + 1));
    }
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
    const struct prompts *p = ud;
    struct buf b = {0}, name = {0}, category = {0};
    size_t bom = 0;
    if (f->folder && p->out && file_would_destroy(p->out, f->path))
        return true;
    buf_line(&name, f->name, strlen(f->name));
    if (f->category)
        buf_line(&category, f->category, strlen(f->category));
    struct file x = {ud, name.s, category.s};
    bool ok = source_read(f->path, f->folder, &b, &bom, e) && foreign_check(f->path, b.s, b.n, e);
    if (ok && !(source_is_rows(f->path) ? rowfile_each(b.s ? b.s + bom : "", b.n - bom, add_row, &x, e)
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
    bool ok = source_walk(path, add_file, p, e) &&
              (p->n > before || err_set(e, ERR_INPUT, "%s holds no prompts", path));
    if (!ok)
        secret_hide_err(e);
    return ok;
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
