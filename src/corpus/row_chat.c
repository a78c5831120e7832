/* row_chat.c - the messages of a row: which are taken as they are, which are written anew; see row_part.h. */
#include "base/text.h"
#include "corpus/row_part.h"

#include <string.h>
#include <strings.h>

/* ---- names ---- */

/* Who speaks, in the data sets that say "from". A role that is not here is kept: the template decides. */
static const struct {
    const char *from, *role;
    bool calls; /* the value is the call of a tool */
} speakers[] = {
    {"human", "user", false},         {"user", "user", false},
    {"gpt", "assistant", false},      {"assistant", "assistant", false},
    {"chatgpt", "assistant", false},  {"bing", "assistant", false},
    {"bard", "assistant", false},     {"model", "assistant", false},
    {"bot", "assistant", false},      {"system", "system", false},
    {"tool", "tool", false},          {"function", "tool", false},
    {"observation", "tool", false},   {"function_response", "tool", false},
    {"tool_response", "tool", false}, {"function_call", "assistant", true},
    {"tool_call", "assistant", true},
};

/* Turns that name the speakers: {"human": "...", "assistant": "..."}. */
static const char *const turn_keys[][2] = {
    {"system", "system"}, {"human", "user"},          {"user", "user"},     {"input", "user"},
    {"gpt", "assistant"}, {"assistant", "assistant"}, {"bot", "assistant"}, {"output", "assistant"},
};

/* What a part of a content may be, and what becomes of it. The engine reads text. */
enum part_kind {
    PART_TEXT,
    PART_KEPT, /* for the template */
    PART_RENAMED /* text under another name */,
    PART_MEDIA,
    PART_CALL,   /* becomes one of tool_calls */
    PART_RESULT, /* becomes a message of the tool */
};
static const struct {
    const char *type;
    enum part_kind kind;
} part_kinds[] = {
    {"text", PART_TEXT},          {"thinking", PART_KEPT},       {"reasoning", PART_KEPT},
    {"input_text", PART_RENAMED}, {"output_text", PART_RENAMED}, {"tool_use", PART_CALL},
    {"tool_result", PART_RESULT}, {"image", PART_MEDIA},         {"image_url", PART_MEDIA},
    {"input_image", PART_MEDIA},  {"audio", PART_MEDIA},         {"audio_url", PART_MEDIA},
    {"input_audio", PART_MEDIA},  {"video", PART_MEDIA},         {"video_url", PART_MEDIA},
    {"file", PART_MEDIA},         {"document", PART_MEDIA},
};
#define COUNT(a) (sizeof(a) / sizeof *(a))

/* What a message may say besides its content. */
static const char *const said[] = {"tool_calls", "function_call", "reasoning_content", "reasoning",
                                   "thinking"};

static json_t *borrowed(const json_t *v)
{
    return (json_t *)(uintptr_t)v;
}

/* ---- small pieces ---- */

json_t *chat_message(const char *role, json_t *content)
{
    json_t *m = json_object();
    json_object_set_new(m, "role", json_string(role));
    json_object_set_new(m, "content", content);
    return m;
}

void chat_add(struct row_reader *r, const char *role, const char *text)
{
    json_array_append_new(r->messages, chat_message(role, json_string(text)));
    r->any |= *text != 0;
}

bool chat_is_list(const json_t *v)
{
    const json_t *first = json_array_get(v, 0);
    return json_object_get(first, "role") || json_object_get(first, "from");
}

static json_t *call(const json_t *v, size_t i)
{
    const json_t *name = json_object_get(v, "name"), *args = json_object_get(v, "arguments");
    char id[16];
    if (!json_is_string(name))
        return NULL;
    snprintf(id, sizeof id, "call%05zu", i % 100000); /* nine letters and digits, as some templates want */
    json_t *c = json_object(), *f = json_object();
    json_object_set_new(c, "id", json_string(id));
    json_object_set_new(c, "type", json_string("function"));
    json_object_set(f, "name", borrowed(name));
    json_object_set_new(f, "arguments", args ? json_incref(borrowed(args)) : json_object());
    json_object_set_new(c, "function", f);
    return c;
}

json_t *chat_calls(const json_t *v)
{
    json_t *list = json_array(), *one = json_array();
    if (json_is_object(v))
        json_array_append(one, borrowed(v));
    const json_t *from = json_is_array(v) ? v : one;
    bool ok = json_array_size(from) > 0;
    for (size_t i = 0; ok && i < json_array_size(from); i++) {
        json_t *c = call(json_array_get(from, i), i + 1);
        ok = c && json_array_append_new(list, c) == 0;
    }
    json_decref(one);
    if (ok)
        return list;
    json_decref(list);
    return NULL;
}

/* {"name", "description", "parameters"} of a definition; some call the parameters input_schema. */
static json_t *function_of(const json_t *t)
{
    json_t *f = json_copy(borrowed(t)), *schema = json_object_get(f, "input_schema");
    if (schema && !json_object_get(f, "parameters")) {
        json_object_set(f, "parameters", schema);
        json_object_del(f, "input_schema");
    }
    return f;
}

/* A tool, which may be written as JSON in a string. New reference. */
static json_t *tool_of(json_t *v)
{
    struct err no_json = {0};
    json_t *t = json_is_string(v) ? json_parse(json_string_value(v), json_string_length(v), &no_json) : NULL;
    if (json_is_object(t))
        return t;
    json_decref(t);
    return json_incref(v);
}

json_t *chat_tools(const json_t *list, bool all)
{
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *t = tool_of(json_array_get(list, i));
        bool named =
            json_object_get(t, "name") && !json_object_get(t, "function") && !json_object_get(t, "type");
        if (named && (all || json_object_get(t, "input_schema"))) {
            json_t *wrapped = json_object();
            json_object_set_new(wrapped, "type", json_string("function"));
            json_object_set_new(wrapped, "function", function_of(t));
            json_array_append_new(out, wrapped);
        } else {
            json_array_append(out, t);
        }
        json_decref(t);
    }
    return out;
}

/* ---- content ---- */

/* What a list of parts becomes. */
struct content {
    json_t *kept, *calls, *results; /* parts that stay, tool_calls, messages of tools */
    json_t *joined;                 /* kept as one text, or NULL */
    bool changed;                   /* not all of it stays as it is */
};

static void content_clear(struct content *c)
{
    json_decref(c->kept);
    json_decref(c->calls);
    json_decref(c->results);
    json_decref(c->joined);
}

/* One text of parts that are nothing but texts. */
static void join(struct content *c)
{
    struct buf b = {0};
    buf_str(&b, "");
    bool all = true;
    for (size_t i = 0; i < json_array_size(c->kept); i++) {
        const char *text = json_string_value(json_object_get(json_array_get(c->kept, i), "text"));
        all &= text != NULL;
        buf_str(&b, text ? text : "");
    }
    if (all) {
        c->joined = json_string(b.s);
        c->changed = true;
    }
    buf_clear(&b);
}

static json_t *part_call(const json_t *part)
{
    json_t *c = json_object(), *f = json_object();
    json_object_set_new(c, "type", json_string("function"));
    if (json_object_get(part, "id"))
        json_object_set(c, "id", json_object_get(part, "id"));
    json_object_set(f, "name", json_object_get(part, "name"));
    json_object_set_new(f, "arguments",
                        json_object_get(part, "input") ? json_incref(json_object_get(part, "input"))
                                                       : json_object());
    json_object_set_new(c, "function", f);
    return c;
}

static json_t *part_result(const json_t *part)
{
    json_t *content = json_object_get(part, "content"), *id = json_object_get(part, "tool_use_id");
    json_t *m = chat_message("tool", content ? json_incref(content) : json_string(""));
    if (id)
        json_object_set(m, "tool_call_id", id);
    return m;
}

static bool take_part(struct row_reader *r, json_t *part, const char *where, struct content *c)
{
    const char *type, *text;
    char shown[TEXT_SHOWN];
    if (!json_is_object(part))
        return err_set(r->e, ERR_INPUT, "%s is %s, expected an object", where, json_type_name(part));
    if (!json_need_str(part, "type", where, &type, r->e))
        return false;
    size_t i = 0;
    while (i < COUNT(part_kinds) && strcmp(type, part_kinds[i].type) != 0)
        i++;
    if (i == COUNT(part_kinds))
        return err_set(r->e, ERR_INPUT, "%s: 'type' is '%s', which is not read", where,
                       text_shown(shown, sizeof shown, type));
    enum part_kind kind = part_kinds[i].kind;
    c->changed |= kind >= PART_RENAMED;
    switch (kind) {
    case PART_TEXT:
    case PART_RENAMED:
        if (!json_need_str(part, "text", where, &text, r->e))
            return false;
        r->any |= *text != 0;
        json_t *t = kind == PART_TEXT ? json_incref(part) : json_copy(part);
        if (kind == PART_RENAMED)
            json_object_set_new(t, "type", json_string("text"));
        return json_array_append_new(c->kept, t) == 0;
    case PART_KEPT: return json_array_append(c->kept, part) == 0;
    case PART_MEDIA:
        r->n_media++;
        return r->o->skip_media ||
               err_set(r->e, ERR_INPUT,
                       "%s: 'type' is '%s', which is not read; --skip-media leaves such parts out", where,
                       type);
    case PART_CALL:
        r->any = true;
        return json_need_str(part, "name", where, &text, r->e) &&
               json_array_append_new(c->calls, part_call(part)) == 0;
    case PART_RESULT: return json_array_append_new(c->results, part_result(part)) == 0;
    }
    return false;
}

/* A content, when it is a list, into its parts; all else is only looked at, and *c stays empty. */
static bool take_content(struct row_reader *r, const json_t *v, const char *where, struct content *c)
{
    if (!v || json_is_null(v))
        return true;
    if (json_is_string(v)) {
        r->any |= json_string_length(v) > 0;
        return true;
    }
    if (!json_is_array(v))
        return err_set(r->e, ERR_INPUT, "%s: 'content' is %s, expected a string or a list of parts", where,
                       json_type_name(v));
    *c = (struct content){json_array(), json_array(), json_array(), NULL, false};
    for (size_t i = 0; i < json_array_size(v); i++) {
        char at[96];
        snprintf(at, sizeof at, "%s, part %zu", where, i + 1);
        if (!take_part(r, json_array_get(v, i), at, c))
            return false;
    }
    if (r->o->join_parts)
        join(c);
    r->has_parts |= !c->joined;
    return true;
}

/* ---- messages ---- */

static bool message_says(const json_t *m)
{
    for (size_t i = 0; i < COUNT(said); i++) {
        const json_t *v = json_object_get(m, said[i]);
        if (json_string_length(v) || json_array_size(v) || json_object_size(v))
            return true;
    }
    return false;
}

/* The message with what its parts became. Takes the reference, gives a new one. */
static json_t *with_parts(json_t *m, const struct content *c)
{
    json_t *out = json_copy(m), *calls = json_object_get(out, "tool_calls");
    if (c->joined)
        json_object_set(out, "content", c->joined);
    else if (json_array_size(c->kept))
        json_object_set(out, "content", c->kept);
    else
        json_object_set_new(out, "content", json_string(""));
    if (json_array_size(c->calls)) {
        json_t *all = calls ? json_copy(calls) : json_array();
        json_array_extend(all, c->calls);
        json_object_set_new(out, "tool_calls", all);
    }
    json_decref(m);
    return out;
}

/* Adds one whose names are those of a template. Takes the reference. */
static bool add_message(struct row_reader *r, json_t *m, const char *where)
{
    const char *role;
    struct content c = {0};
    bool ok = json_need_str(m, "role", where, &role, r->e) &&
              (*role || err_set(r->e, ERR_INPUT, "%s: 'role' is empty", where)) &&
              take_content(r, json_object_get(m, "content"), where, &c);
    if (ok && c.changed)
        m = with_parts(m, &c);
    for (size_t i = 0; ok && i < json_array_size(c.results); i++)
        ok = add_message(r, json_incref(json_array_get(c.results, i)), where);
    r->any |= message_says(m);
    /* of a message that was nothing but results no more is there */
    if (ok && !(json_array_size(c.results) && !json_array_size(c.kept) && !json_array_size(c.calls)))
        json_array_append(r->messages, m);
    json_decref(m);
    content_clear(&c);
    return ok;
}

/* A message whose keys the map calls otherwise, with a template's names. New reference. */
static json_t *renamed(const struct row_reader *r, const json_t *m)
{
    json_t *out = json_object(), *v;
    const char *key;
    json_object_foreach (borrowed(m), key, v) {
        const char *name = key;
        bool taken = false; /* another key has this name by the map */
        for (uint32_t i = 0; r->o->map && i < r->o->map->n; i++) {
            if (!strcmp(r->o->map->v[i].key, key)) {
                name = r->o->map->v[i].name;
                r->o->map->v[i].seen = true;
            }
            taken |= !strcmp(r->o->map->v[i].name, key) && json_object_get(m, r->o->map->v[i].key);
        }
        if (name != key || !taken)
            json_object_set(out, name, v);
    }
    return out;
}

/* {"from", "value"}: the roles that templates know, all other keys as they are. New reference. */
static json_t *from_value(struct row_reader *r, const json_t *m)
{
    const char *key, *from = json_string_value(json_object_get(m, "from"));
    json_t *value = json_object_get(m, "value"), *v;
    const char *role = from;
    json_t *calls = NULL;
    r->renamed = true;
    for (size_t i = 0; from && i < COUNT(speakers); i++) {
        if (strcasecmp(from, speakers[i].from) != 0)
            continue;
        role = speakers[i].role;
        if (speakers[i].calls && json_is_string(value)) {
            struct err bad = {0};
            json_t *c = json_parse_data(json_string_value(value), json_string_length(value), &r->odd, &bad);
            calls = chat_calls(c);
            json_decref(c);
        } else if (speakers[i].calls) {
            calls = chat_calls(value);
        }
        break;
    }
    json_t *out = json_object();
    json_object_set_new(out, "role", role ? json_string(role) : json_incref(json_object_get(m, "from")));
    json_object_set_new(out, "content", calls ? json_string("") : value ? json_incref(value) : json_null());
    if (calls)
        json_object_set_new(out, "tool_calls", calls);
    json_object_foreach (borrowed(m), key, v) {
        if (strcmp(key, "from") != 0 && strcmp(key, "value") != 0 && !json_object_get(out, key))
            json_object_set(out, key, v);
    }
    return out;
}

/* {"human": ..., "assistant": ...}: a turn for each. False without an error: it is no such object. */
static bool add_turns(struct row_reader *r, const json_t *m)
{
    bool user = false;
    for (size_t i = 0; i < COUNT(turn_keys); i++) {
        const json_t *v = json_object_get(m, turn_keys[i][0]);
        if (!json_is_string(v) || (!user && !strcmp(turn_keys[i][1], "assistant")))
            continue;
        user |= !strcmp(turn_keys[i][1], "user");
        if (json_string_length(v) || strcmp(turn_keys[i][1], "system") != 0)
            chat_add(r, turn_keys[i][1], json_string_value(v));
    }
    return user;
}

static bool add_one(struct row_reader *r, const json_t *m, const char *where)
{
    if (!json_is_object(m))
        return err_set(r->e, ERR_INPUT, "%s is %s, expected an object", where, json_type_name(m));
    json_t *with = r->o->map && r->o->map->n ? renamed(r, m) : json_incref(borrowed(m));
    if (json_object_get(with, "role"))
        return add_message(r, with, where);
    bool ok;
    if (json_object_get(with, "from"))
        ok = add_message(r, from_value(r, with), where);
    else
        ok = add_turns(r, with) || err_set(r->e, ERR_INPUT, "%s: 'role' is missing", where);
    json_decref(with);
    return ok;
}

bool chat_add_list(struct row_reader *r, const json_t *list, const char *what)
{
    char where[64], shown[40];
    if (!json_is_array(list))
        return err_set(r->e, ERR_INPUT, "row: '%s' is %s, expected a list",
                       text_shown(shown, sizeof shown, what), json_type_name(list));
    if (!json_array_size(list))
        return err_set(r->e, ERR_INPUT, "row: '%s' is empty", text_shown(shown, sizeof shown, what));
    for (size_t i = 0; i < json_array_size(list); i++) {
        snprintf(where, sizeof where, "message %zu", i + 1);
        if (!add_one(r, json_array_get(list, i), where))
            return false;
    }
    return true;
}
