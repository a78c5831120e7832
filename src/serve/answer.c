/* answer.c - see answer.h. */
#include "serve/answer.h"
#include "base/json.h"
#include "base/text.h"

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

static void add_short(struct buf *b, const char *s, size_t n)
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

static bool add_text(struct buf *b, const json_t *o, const char *key, struct err *e)
{
    const json_t *v = json_object_get(o, key);
    if (!v || json_is_null(v))
        return true;
    if (!json_is_string(v))
        return err_set(e, ERR_FAILED, "the server's answer: '%s' is %s, expected a string", key,
                       json_type_name(v));
    size_t n = json_string_length(v);
    if (n > ANSWER_MAX_TEXT || b->n > ANSWER_MAX_TEXT - n)
        return err_set(e, ERR_FAILED, "the server's answer is longer than %u bytes", ANSWER_MAX_TEXT);
    buf_add(b, json_string_value(v), n);
    return true;
}

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
    if (json_is_object(m)) {
        const char *key =
            json_is_string(json_object_get(m, "reasoning_content")) ? "reasoning_content" : "reasoning";
        ok = add_text(&a->reasoning, m, key, e) && add_text(&a->text, m, "content", e);
    } else {
        ok = add_text(&a->text, choice, "text", e);
    }
    return ok && read_finish(a, choice, e);
}

static bool read_object(struct answer *a, const json_t *v, struct err *e)
{
    const json_t *x = json_object_get(v, "error");
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
    json_t *v = json_parse(s, n, &bad);
    bool ok = v ? read_object(a, v, e) : err_set(e, ERR_FAILED, "the server's answer: %s", bad.msg);
    json_decref(v);
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

void answer_clear(struct answer *a)
{
    buf_clear(&a->text);
    buf_clear(&a->reasoning);
    *a = (struct answer){0};
}
