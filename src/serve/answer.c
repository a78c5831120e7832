/* answer.c - see answer.h. */
#include "serve/answer.h"
#include "base/mem.h"
#include "base/text.h"
#include "results/batch.h"
#include "serve/secret.h"

#include <string.h>

#define MAX_ERROR 300

static const char *first_string(const json_t *o, const char *const *keys)
{
    for (; *keys; keys++) {
        const char *s = json_string_value(json_object_get(o, *keys));
        if (s)
            return s;
    }
    return NULL;
}

static const char *error_message(const json_t *v)
{
    const json_t *x = json_object_get(v, "error");
    if (json_is_string(x))
        return json_string_value(x);
    if (json_is_object(x))
        v = x;
    return first_string(v, (const char *const[]){"message", "detail", "object", NULL});
}

static void add_cut(struct buf *b, const char *s, size_t n)
{
    bool cut = n > MAX_ERROR;
    if (cut)
        for (n = MAX_ERROR; n > MAX_ERROR - 4 && (s[n] & 0xc0) == 0x80;)
            n--; /* not inside a character */
    while (n && strchr(" \r\n\t", s[n - 1]))
        n--;
    buf_safe(b, s, n);
    if (cut)
        buf_str(b, "...");
}

/* A key goes before the rest of it could be cut off. */
static void add_short(struct buf *b, const char *s, size_t n)
{
    struct buf all = {0};
    buf_add(&all, s, n);
    secret_hide(&all);
    add_cut(b, all.s, all.n);
    buf_clear(&all);
}

void answer_error_text(struct buf *b, const char *body, size_t n)
{
    struct err ignored = {0};
    json_t *v = n ? json_parse(body, n, &ignored) : NULL;
    const char *s = v ? error_message(v) : NULL;
    if (s)
        add_short(b, s, strlen(s));
    else if (n)
        add_short(b, body, n);
    json_decref(v);
}

/* ---- texts ---- */

static bool wrong_type(const char *key, const json_t *v, const char *expected, struct err *e)
{
    return err_set(e, ERR_FAILED, "the server's answer: '%s' is %s, expected %s", key, json_type_name(v),
                   expected);
}

static bool add_bytes(struct answer *a, struct buf *b, const char *s, size_t n, struct err *e)
{
    if (n > ANSWER_MAX_TEXT || a->n_bytes > ANSWER_MAX_TEXT - n)
        return err_set(e, ERR_FAILED, "the server's answer is longer than %u bytes", ANSWER_MAX_TEXT);
    a->n_bytes += n;
    buf_add(b, s, n);
    return true;
}

static bool add_string(struct answer *a, struct buf *b, const json_t *v, struct err *e)
{
    return add_bytes(a, b, json_string_value(v), json_string_length(v), e);
}

static bool add_text(struct answer *a, struct buf *b, const json_t *o, const char *key, struct err *e)
{
    const json_t *v = json_object_get(o, key);
    if (!v || json_is_null(v))
        return true;
    return json_is_string(v) ? add_string(a, b, v, e) : wrong_type(key, v, "a string", e);
}

/* A part has its text under the name of its kind; thoughts may be parts themselves. */
static bool add_part(struct answer *a, const json_t *part, struct err *e)
{
    const json_t *text = json_object_get(part, "text"), *thought = json_object_get(part, "thinking");
    if (json_is_string(text))
        return add_string(a, &a->text, text, e);
    if (json_is_string(thought))
        return add_string(a, &a->reasoning, thought, e);
    bool ok = true;
    for (size_t i = 0; ok && i < json_array_size(thought); i++)
        ok = add_text(a, &a->reasoning, json_array_get(thought, i), "text", e);
    if (!ok || json_is_array(thought))
        return ok;
    return err_set(e, ERR_FAILED, "the server's answer: a part of 'content' has no 'text'");
}

static bool add_content(struct answer *a, const json_t *m, struct err *e)
{
    const json_t *list = json_object_get(m, "content");
    if (!json_is_array(list))
        return !list || json_is_null(list) || json_is_string(list)
                   ? add_text(a, &a->text, m, "content", e)
                   : wrong_type("content", list, "a string or a list of parts", e);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!add_part(a, json_array_get(list, i), e))
            return false;
    return true;
}

/* Servers that send both names send the same text. */
static bool add_reasoning(struct answer *a, const json_t *m, struct err *e)
{
    const char *key = json_string_length(json_object_get(m, "reasoning_content")) ||
                              !json_is_string(json_object_get(m, "reasoning"))
                          ? "reasoning_content"
                          : "reasoning";
    return add_text(a, &a->reasoning, m, key, e);
}

/* ---- calls ---- */

static struct answer_call *new_call(struct answer *a, int64_t index, struct err *e)
{
    if (a->n_calls == ANSWER_MAX_CALLS) {
        err_set(e, ERR_FAILED, "the server's answer has more than %d calls", ANSWER_MAX_CALLS);
        return NULL;
    }
    GROW(a->calls, a->n_calls, a->cap_calls);
    a->calls[a->n_calls] = (struct answer_call){.index = index};
    return &a->calls[a->n_calls++];
}

static bool has_other(const struct buf *b, const json_t *v)
{
    return b->n && json_string_length(v) && strcmp(b->s, json_string_value(v)) != 0;
}

/* The call that a piece belongs to. A name with another id, or behind arguments, begins a new one, whatever its
 * index says. */
static struct answer_call *call_of(struct answer *a, int64_t index, const json_t *id, const json_t *name,
                                   struct err *e)
{
    bool named = json_string_length(name) > 0;
    for (size_t i = a->n_calls; i-- > 0;) {
        struct answer_call *c = &a->calls[i];
        if (c->index != index)
            continue;
        if (named && (index == ANSWER_NO_INDEX || has_other(&c->id, id) ||
                      (c->arguments.n && has_other(&c->name, name))))
            break;
        return c;
    }
    return new_call(a, index, e);
}

/* Some servers repeat the whole id and name with each piece. */
static bool add_once(struct answer *a, struct buf *b, const json_t *v, bool is_name, struct err *e)
{
    if (b->n && (!is_name || !has_other(b, v)))
        return true;
    return !json_string_length(v) || add_string(a, b, v, e);
}

static bool add_arguments(struct answer *a, struct answer_call *c, const json_t *v, struct err *e)
{
    if (!v || json_is_null(v))
        return true;
    if (json_is_string(v))
        return add_string(a, &c->arguments, v, e);
    if (!json_is_object(v)) /* some write them as an object */
        return wrong_type("arguments", v, "a string", e);
    char *s = json_dumps(v, JSON_COMPACT);
    bool ok = s ? add_bytes(a, &c->arguments, s, strlen(s), e) : wrong_type("arguments", v, "a string", e);
    free(s);
    return ok;
}

/* f: the object with name and arguments; NULL: the piece has none. */
static bool add_call(struct answer *a, int64_t index, const json_t *id, const json_t *f, struct err *e)
{
    const json_t *name = json_object_get(f, "name");
    struct answer_call *c = call_of(a, index, id, name, e);
    return c && add_once(a, &c->id, id, false, e) && add_once(a, &c->name, name, true, e) &&
           add_arguments(a, c, json_object_get(f, "arguments"), e);
}

static bool add_tool_call(struct answer *a, const json_t *x, struct err *e)
{
    const json_t *index = json_object_get(x, "index"), *f = json_object_get(x, "function");
    if (!json_is_object(x))
        return wrong_type("tool_calls", x, "a list of objects", e);
    if (f && !json_is_null(f) && !json_is_object(f))
        return wrong_type("function", f, "an object", e);
    const char *type = json_string_value(json_object_get(x, "type"));
    if (!json_is_object(f) && type && strcmp(type, "function") != 0) {
        struct buf b = {0};
        add_short(&b, type, strlen(type));
        err_set(e, ERR_FAILED, "the server's answer: a call of type '%s' cannot be read", b.n ? b.s : "");
        buf_clear(&b);
        return false;
    }
    bool known = json_is_integer(index) && json_integer_value(index) >= 0;
    return add_call(a, known ? json_integer_value(index) : ANSWER_NO_INDEX, json_object_get(x, "id"), f, e);
}

static bool add_calls(struct answer *a, const json_t *m, struct err *e)
{
    const json_t *list = json_object_get(m, "tool_calls"), *old = json_object_get(m, "function_call");
    if (list && !json_is_null(list) && !json_is_array(list))
        return wrong_type("tool_calls", list, "a list", e);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!add_tool_call(a, json_array_get(list, i), e))
            return false;
    if (!old || json_is_null(old))
        return true;
    return json_is_object(old) ? add_call(a, ANSWER_OLD, NULL, old, e)
                               : wrong_type("function_call", old, "an object", e);
}

static const char *text_of(const struct buf *b)
{
    return b->s ? b->s : "";
}

static json_t *function_json(const struct answer_call *c)
{
    json_t *f = json_object();
    json_object_set_new(f, "name", json_string(text_of(&c->name)));
    json_object_set_new(f, "arguments", json_string(text_of(&c->arguments)));
    return f;
}

json_t *answer_tool_calls(const struct answer *a)
{
    json_t *list = NULL;
    for (size_t i = 0; i < a->n_calls; i++) {
        if (a->calls[i].index == ANSWER_OLD)
            continue;
        json_t *x = json_object();
        if (a->calls[i].id.n)
            json_object_set_new(x, "id", json_string(a->calls[i].id.s));
        json_object_set_new(x, "type", json_string("function"));
        json_object_set_new(x, "function", function_json(&a->calls[i]));
        list = list ? list : json_array();
        json_array_append_new(list, x);
    }
    return list;
}

json_t *answer_function_call(const struct answer *a)
{
    for (size_t i = 0; i < a->n_calls; i++)
        if (a->calls[i].index == ANSWER_OLD)
            return function_json(&a->calls[i]);
    return NULL;
}

/* ---- answers ---- */

static void read_usage(struct answer *a, const json_t *o)
{
    const json_t *u = json_object_get(o, "usage"), *p = json_object_get(u, "prompt_tokens"),
                 *c = json_object_get(u, "completion_tokens");
    if (!json_is_integer(p) || json_integer_value(p) < 0)
        return;
    a->has_usage = true;
    a->prompt_tokens = (uint64_t)json_integer_value(p);
    if (json_is_integer(c) && json_integer_value(c) >= 0)
        a->completion_tokens = (uint64_t)json_integer_value(c);
}

static bool read_finish(struct answer *a, const json_t *choice, struct err *e)
{
    const json_t *v = json_object_get(choice, "finish_reason");
    if (!v || json_is_null(v))
        return true;
    if (!json_is_string(v))
        return err_set(e, ERR_FAILED, "the server's answer: 'finish_reason' is %s, expected a string",
                       json_type_name(v));
    const char *s = json_string_value(v);
    size_t n = strlen(s);
    n = n < sizeof a->finish ? n : sizeof a->finish - 1;
    n = utf8_good(s, n); /* not cut inside a character */
    memcpy(a->finish, s, n);
    a->finish[n] = 0;
    return true;
}

/* The text of a choice stands in delta (streamed chat), message (chat) or the choice itself (completions). */
static bool read_choice(struct answer *a, const json_t *choice, struct err *e)
{
    if (!json_is_object(choice))
        return err_set(e, ERR_FAILED, "the server's answer: a choice is %s, expected an object",
                       json_type_name(choice));
    const json_t *m = json_object_get(choice, "delta");
    if (!json_is_object(m))
        m = json_object_get(choice, "message");
    bool ok = true;
    if (json_is_object(m))
        ok = add_reasoning(a, m, e) && add_content(a, m, e) && add_text(a, &a->refusal, m, "refusal", e) &&
             add_calls(a, m, e);
    else
        ok = add_text(a, &a->text, choice, "text", e);
    return ok && read_finish(a, choice, e);
}

/* As llama-server says it, at the end of a stream or in the place of one. */
static bool take_malformed(struct answer *a, const json_t *error)
{
    static const char says[] = "The model produced output that does not match the expected ";
    const char *s = error_message(error);
    if (!s || strncmp(s, says, sizeof says - 1) != 0)
        return false;
    snprintf(a->finish, sizeof a->finish, BATCH_MALFORMED);
    return a->malformed = a->done = true;
}

bool answer_malformed(struct answer *a, const char *body, size_t n)
{
    struct err ignored = {0};
    json_t *v = n ? json_parse(body, n, &ignored) : NULL;
    bool is = take_malformed(a, v);
    json_decref(v);
    return is;
}

static bool read_object(struct answer *a, const json_t *v, struct err *e)
{
    const json_t *x = json_object_get(v, "error");
    if (x && !json_is_null(x) && take_malformed(a, v))
        return true;
    if (x && !json_is_null(x)) {
        const char *s = error_message(v);
        struct buf b = {0};
        buf_str(&b, "");
        add_short(&b, s ? s : "no message", s ? strlen(s) : 10);
        err_set(e, ERR_FAILED, "the server reports an error: %s", b.s);
        buf_clear(&b);
        return false;
    }
    const json_t *list = json_object_get(v, "choices");
    if (!json_is_array(list))
        return err_set(e, ERR_FAILED, "the server's answer: 'choices' is %s, expected a list",
                       json_type_name(list));
    read_usage(a, v);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *c = json_array_get(list, i), *index = json_object_get(c, "index");
        if (json_is_integer(index) ? json_integer_value(index) == 0 : i == 0)
            return read_choice(a, c, e);
    }
    return true; /* a chunk of usage alone */
}

static bool read_json(struct answer *a, const char *s, size_t n, struct err *e)
{
    struct err bad = {0};
    struct buf b = {0};
    json_mend(&b, s, n, &a->mended);
    json_t *v = json_parse(text_of(&b), b.n, &bad);
    bool ok = v ? read_object(a, v, e) : err_set(e, ERR_FAILED, "the server's answer: %s", bad.msg);
    json_decref(v);
    buf_clear(&b);
    return ok;
}

bool answer_event(struct answer *a, const char *data, size_t n, struct err *e)
{
    if (a->done)
        return true; /* nothing behind [DONE] counts */
    if (n == 6 && !memcmp(data, "[DONE]", 6)) {
        a->done = true;
        return true;
    }
    return read_json(a, data, n, e);
}

bool answer_body(struct answer *a, const char *body, size_t n, struct err *e)
{
    if (!read_json(a, body, n, e))
        return false;
    if (!a->finish[0])
        return err_set(e, ERR_FAILED, "the server's answer has no 'finish_reason'");
    return a->done = true;
}

void answer_hide(struct answer *a)
{
    uint64_t *n = &a->mended.n_key;
    struct buf finish = {0};
    *n += secret_hide(&a->text) + secret_hide(&a->reasoning) + secret_hide(&a->refusal);
    for (size_t i = 0; i < a->n_calls; i++)
        *n += secret_hide(&a->calls[i].id) + secret_hide(&a->calls[i].name) +
              secret_hide(&a->calls[i].arguments);
    buf_str(&finish, a->finish);
    if (secret_hide(&finish)) {
        ++*n;
        snprintf(a->finish, sizeof a->finish, "%.*s", (int)sizeof a->finish - 1, finish.s);
    }
    buf_clear(&finish);
}

void answer_clear(struct answer *a)
{
    buf_clear(&a->text);
    buf_clear(&a->reasoning);
    buf_clear(&a->refusal);
    for (size_t i = 0; i < a->n_calls; i++) {
        buf_clear(&a->calls[i].id);
        buf_clear(&a->calls[i].name);
        buf_clear(&a->calls[i].arguments);
    }
    free(a->calls);
    *a = (struct answer){0};
}
