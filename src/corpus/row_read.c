/* row_read.c - the members of a row, and what becomes of them in each kind of form; see row_part.h. */
#include "base/mem.h"
#include "base/text.h"
#include "corpus/row_part.h"
#include "corpus/source.h"

#include <string.h>

/* What stands beside a chat or a pair. */
static const char *const systems[] = {"system", "system_prompt", "system_message", NULL};
static const char *const thoughts[] = {"reasoning_content", "reasoning", "thinking", NULL};

/* ---- members ---- */

const char *row_key(const struct row_reader *r, const char *name)
{
    for (uint32_t i = 0; r->o->map && i < r->o->map->n; i++)
        if (!strcmp(r->o->map->v[i].name, name))
            return r->o->map->v[i].key;
    return name;
}

json_t *row_member(const struct row_reader *r, const char *name)
{
    json_t *v = source_member(r->row, row_key(r, name));
    for (uint32_t i = 0; v && r->o->map && i < r->o->map->n; i++)
        r->o->map->v[i].seen |= !strcmp(r->o->map->v[i].name, name);
    return v;
}

static void mark_used(struct row_reader *r, const char *name)
{
    if (r->n_used < ROW_MAX_USED)
        r->used[r->n_used++] = row_key(r, name);
}

/* A member that is used now. */
static json_t *take(struct row_reader *r, const char *name)
{
    json_t *v = row_member(r, name);
    if (v)
        mark_used(r, name);
    return v;
}

const char *row_first(const struct row_reader *r, const char *const *names)
{
    for (; names && *names; names++)
        if (row_member(r, *names))
            return *names;
    return NULL;
}

static bool wrong(struct row_reader *r, const char *name, const json_t *v, const char *expected)
{
    char shown[TEXT_SHOWN];
    return err_set(r->e, ERR_INPUT, "row: '%s' is %s, expected %s",
                   text_shown(shown, sizeof shown, row_key(r, name)), json_type_name(v), expected);
}

/* The same of a list, or of an object, which may be written as JSON in a string; *owned then holds it. *out
 * NULL: missing, or an empty string. */
static bool take_json(struct row_reader *r, const char *name, json_t **out, json_t **owned)
{
    *owned = NULL;
    *out = take(r, name);
    if (!json_is_string(*out))
        return true;
    const char *s = json_string_value(*out);
    size_t n = json_string_length(*out);
    if (!s[strspn(s, " \t\r\n")]) {
        *out = NULL;
        return true;
    }
    char shown[TEXT_SHOWN];
    *out = *owned = json_parse_data(s, n, &r->odd, r->e);
    return *out || err_ctx(r->e, "row: '%s' is a string, expected JSON in it",
                           text_shown(shown, sizeof shown, row_key(r, name)));
}

/* ---- reading: texts and tokens ---- */

bool row_read_text(struct row_reader *r, const struct row_form *f, struct sample *s)
{
    json_t *v = take(r, f->key);
    if (json_is_array(v) && chat_is_list(v))
        return row_read_messages(r, f, s);
    if (!json_is_string(v))
        return wrong(r, f->key, v, "a string");
    if (!json_string_length(v))
        return err_set(r->e, ERR_INPUT, "row: '%s' is empty", row_key(r, f->key));
    s->kind = SAMPLE_TEXT;
    s->n_text = json_string_length(v);
    s->text = xstrdup(json_string_value(v));
    return true;
}

bool row_read_tokens(struct row_reader *r, const struct row_form *f, struct sample *s)
{
    const json_t *list = take(r, f->key);
    if (!json_is_array(list))
        return wrong(r, f->key, list, "a list");
    size_t n = json_array_size(list);
    const char *key = row_key(r, f->key), *odd;
    if (!n)
        return err_set(r->e, ERR_INPUT, "row: '%s' is empty", key);
    if (n > INT32_MAX)
        return err_set(r->e, ERR_INPUT, "row: '%s' has %zu entries, at most %d are read", key, n, INT32_MAX);
    s->kind = SAMPLE_TOKENS;
    s->tokens = xcalloc(n, sizeof *s->tokens);
    s->n_tokens = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, i);
        if (r->odd && (odd = json_find_odd(v)))
            return err_set(r->e, ERR_INPUT, "row: '%s' entry %zu is %.40s, expected 0..%d", key, i + 1, odd,
                           INT32_MAX);
        if (!json_is_integer(v))
            return err_set(r->e, ERR_INPUT, "row: '%s' entry %zu is %s, expected an integer", key, i + 1,
                           json_type_name(v));
        json_int_t id = json_integer_value(v);
        if (id < 0 || id > INT32_MAX)
            return err_set(r->e, ERR_INPUT, "row: '%s' entry %zu is %lld, expected 0..%d", key, i + 1,
                           (long long)id, INT32_MAX);
        s->tokens[i] = (int32_t)id;
    }
    return true;
}

/* ---- reading: chats ---- */

static bool begins_with_system(const struct row_reader *r)
{
    const char *role = json_string_value(json_object_get(json_array_get(r->messages, 0), "role"));
    return role && (!strcmp(role, "system") || !strcmp(role, "developer"));
}

/* The text of the system that stands beside a chat, when the chat has none itself. */
static bool add_system(struct row_reader *r)
{
    const char *key = row_first(r, systems);
    if (!key || begins_with_system(r))
        return true;
    const json_t *v = take(r, key);
    if (!json_is_string(v))
        return wrong(r, key, v, "a string");
    if (json_string_length(v))
        json_array_insert_new(r->messages, 0, chat_message("system", json_incref((json_t *)(uintptr_t)v)));
    return true;
}

static bool add_tools(struct row_reader *r, json_t *chat, bool wrap)
{
    json_t *v, *owned, *documents, *owned_documents;
    const char *name = row_member(r, "tools") ? "tools" : "functions";
    if (!take_json(r, name, &v, &owned))
        return false;
    bool ok = !v || json_is_array(v) || wrong(r, name, v, "a list");
    if (ok && json_array_size(v))
        json_object_set_new(chat, "tools", chat_tools(v, wrap || r->renamed || *name == 'f'));
    json_decref(owned);
    if (!ok || !take_json(r, "documents", &documents, &owned_documents))
        return false;
    ok = !documents || json_is_array(documents) || wrong(r, "documents", documents, "a list");
    if (ok && json_array_size(documents))
        json_object_set(chat, "documents", documents);
    json_decref(owned_documents);
    return ok;
}

static bool add_kwargs(struct row_reader *r, json_t *chat)
{
    json_t *v, *owned;
    if (!take_json(r, "chat_template_kwargs", &v, &owned))
        return false;
    bool ok = !v || json_is_object(v) || wrong(r, "chat_template_kwargs", v, "an object");
    if (ok && v)
        json_object_set(chat, "chat_template_kwargs", v);
    json_decref(owned);
    return ok;
}

/* r->messages is complete: the sample is this chat. */
static bool end_chat(struct row_reader *r, const char *key, bool wrap_tools, struct sample *s)
{
    const char *odd;
    if (!r->any)
        return err_set(r->e, ERR_INPUT, "row: '%s' is empty", row_key(r, key));
    json_t *chat = json_object();
    json_object_set(chat, "messages", r->messages);
    s->kind = SAMPLE_CHAT;
    s->chat = chat;
    if (!add_system(r) || !add_tools(r, chat, wrap_tools) || !add_kwargs(r, chat))
        return false;
    if (r->odd && (odd = json_find_odd(chat)))
        return err_set(r->e, ERR_INPUT, "row: the number %.40s in the chat cannot be kept", odd);
    return true;
}

/* What the model says at the end of a chat is the answer to what is in front of it. */
static void drop_answer(struct row_reader *r)
{
    size_t n = json_array_size(r->messages);
    for (; n > 0; n--) {
        const char *role = json_string_value(json_object_get(json_array_get(r->messages, n - 1), "role"));
        if (strcmp(role, "assistant") != 0)
            break;
        json_array_remove(r->messages, n - 1);
    }
    r->any &= n > 0;
}

/* ["question", "answer", ...]: the turns of a user and an assistant. */
static bool add_strings(struct row_reader *r, const json_t *list, const char *what)
{
    char shown[TEXT_SHOWN];
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        if (!json_is_string(v))
            return err_set(r->e, ERR_INPUT, "row: '%s' entry %zu is %s, expected a string as the first",
                           text_shown(shown, sizeof shown, what), i + 1, json_type_name(v));
        chat_add(r, i % 2 ? "assistant" : "user", json_string_value(v));
    }
    return true;
}

bool row_read_messages(struct row_reader *r, const struct row_form *f, struct sample *s)
{
    json_t *list, *owned;
    if (!take_json(r, f->key, &list, &owned))
        return false;
    bool ok = !list ? err_set(r->e, ERR_INPUT, "row: '%s' is empty", row_key(r, f->key))
              : json_is_string(json_array_get(list, 0)) ? add_strings(r, list, row_key(r, f->key))
                                                        : chat_add_list(r, list, row_key(r, f->key));
    json_decref(owned);
    if (ok && r->o->ask)
        drop_answer(r);
    return ok && end_chat(r, f->key, false, s);
}

/* ---- reading: prompt and answer ---- */

/* The choices of a question, as the user reads them and as an answer names them. */
static const json_t *take_choices(struct row_reader *r)
{
    const char *name = row_member(r, "choices") ? "choices" : "options";
    const json_t *v = row_member(r, name);
    if (!json_array_size(v) || json_array_size(v) > 26)
        return NULL;
    for (size_t i = 0; i < json_array_size(v); i++)
        if (!json_is_string(json_array_get(v, i)))
            return NULL;
    mark_used(r, name);
    return v;
}

static void add_choice(struct buf *b, const json_t *choices, size_t i)
{
    buf_fmt(b, "%c. %s", (char)('A' + i), json_string_value(json_array_get(choices, i)));
}

/* [["question", "answer"], ...] in front of the prompt, as some instruction sets have it. */
static bool add_history(struct row_reader *r)
{
    const json_t *list = take(r, "history");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *turn = json_array_get(list, i);
        const char *q = json_string_value(json_array_get(turn, 0)),
                   *a = json_string_value(json_array_get(turn, 1));
        if (!q || !a)
            return err_set(r->e, ERR_INPUT, "row: 'history' entry %zu is %s, expected a list of two strings",
                           i + 1, json_type_name(turn));
        chat_add(r, "user", q);
        chat_add(r, "assistant", a);
    }
    return true;
}

static bool add_prompt(struct row_reader *r, const struct row_form *f, const json_t *v, const json_t *choices)
{
    if (json_is_array(v))
        return chat_add_list(r, v, row_key(r, f->key));
    if (!json_is_string(v))
        return wrong(r, f->key, v, "a string");
    if (!json_string_length(v))
        return err_set(r->e, ERR_INPUT, "row: '%s' is empty", row_key(r, f->key));
    struct buf b = {0};
    buf_str(&b, json_string_value(v));
    const char *behind = row_first(r, f->behind);
    const json_t *more = behind ? row_member(r, behind) : NULL;
    if (json_is_string(more)) {
        mark_used(r, behind);
        if (json_string_length(more))
            buf_fmt(&b, "\n\n%s", json_string_value(more));
    }
    for (size_t i = 0; i < json_array_size(choices); i++) {
        buf_str(&b, i ? "\n" : "\n\n");
        add_choice(&b, choices, i);
    }
    chat_add(r, "user", b.s);
    buf_clear(&b);
    return true;
}

/* An answer that is the call of tools: a list of {"name", "arguments"}, or JSON in a string. New reference,
 * or NULL. */
static json_t *answer_calls(struct row_reader *r, const char *name, const json_t *v)
{
    struct err not_json = {0};
    json_t *parsed = NULL;
    if (json_is_string(v) && !strcmp(name, "answers"))
        parsed = json_parse_data(json_string_value(v), json_string_length(v), &r->odd, &not_json);
    json_t *calls = chat_calls(parsed ? parsed : v);
    json_decref(parsed);
    return calls;
}

/* Some data sets say so whether there are thoughts in the answer. */
static bool is_switch(const json_t *v)
{
    const char *s = json_string_value(v);
    return s && (!strcmp(s, "on") || !strcmp(s, "off"));
}

static void add_answer_text(struct row_reader *r, const char *text)
{
    chat_add(r, "assistant", text);
    const char *thought = row_first(r, thoughts);
    if (thought && json_is_string(row_member(r, thought)) && !is_switch(row_member(r, thought)))
        json_object_set(json_array_get(r->messages, json_array_size(r->messages) - 1), thought,
                        take(r, thought));
}

static bool add_answer(struct row_reader *r, const char *name, const json_t *v, const json_t *choices)
{
    if (chat_is_list(v)) {
        const char *role = json_string_value(json_object_get(json_array_get(v, 0), "role"));
        if (!role || strcmp(role, "assistant") != 0) /* it is the whole conversation */
            json_array_clear(r->messages);
        return chat_add_list(r, v, row_key(r, name));
    }
    json_t *calls = answer_calls(r, name, v);
    if (calls) {
        json_t *m = chat_message("assistant", json_string(""));
        json_object_set_new(m, "tool_calls", calls);
        json_array_append_new(r->messages, m);
        return r->any = true;
    }
    struct buf b = {0};
    json_int_t i = json_integer_value(v);
    if (json_is_object(v)) /* {"text": ["..."], "answer_start": [...]} of reading comprehension */
        v = json_array_get(json_object_get(v, "text"), 0);
    if (json_is_integer(v) && choices && i >= 0 && (size_t)i < json_array_size(choices))
        add_choice(&b, choices, (size_t)i);
    else if (json_is_integer(v))
        buf_fmt(&b, "%lld", (long long)i);
    else if (json_is_string(v))
        buf_str(&b, json_string_value(v));
    else
        return wrong(r, name, v, "a string");
    bool ok = b.n > 0;
    if (ok)
        add_answer_text(r, b.s);
    else
        err_set(r->e, ERR_INPUT, "row: '%s' is empty (leave it out for a prompt alone)", row_key(r, name));
    buf_clear(&b);
    return ok;
}

bool row_read_pair(struct row_reader *r, const struct row_form *f, struct sample *s)
{
    const char *answer = row_first(r, f->answer);
    const json_t *prompt = take(r, f->key), *choices = json_is_string(prompt) ? take_choices(r) : NULL;
    if (!add_history(r) || !add_prompt(r, f, prompt, choices))
        return false;
    if (answer && !r->o->ask && !add_answer(r, answer, take(r, answer), choices))
        return false;
    return end_chat(r, f->key, answer && !strcmp(answer, "answers"), s);
}
