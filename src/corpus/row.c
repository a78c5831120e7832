/* row.c - see row.h: the table of forms, the members of a row, and what is said when no form fits.
 *
 * A row is strict in what it uses: right types, nothing empty, no NUL, no number that cannot be kept. What it
 * does not use may be anything that is JSON. */
#include "corpus/row.h"
#include "base/mem.h"
#include "base/text.h"
#include "corpus/row_part.h"
#include "corpus/source.h"

#include <string.h>
#include <strings.h>

#define SHOW_KEYS  12
#define COUNT(a)   (sizeof(a) / sizeof *(a))
#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- forms ---- */

/* In the order in which they win. */
static const struct row_form forms[] = {
    {"messages", row_read_messages, NULL, NULL},
    {"conversations", row_read_messages, NULL, NULL},
    {"conversation", row_read_messages, NULL, NULL},
    {"trajectory", row_read_messages, NULL, NULL},
    {"instruction", row_read_pair, NAMES("output", "response", "completion", "answer"),
     NAMES("input", "context")},
    {"prompt", row_read_pair, NAMES("completion", "response", "answer", "output", "chosen", "body"),
     NAMES("context")},
    {"question", row_read_pair, NAMES("answer", "response", "answers", "output"), NAMES("context")},
    {"query", row_read_pair, NAMES("answer", "response", "answers", "output"), NAMES("context")},
    {"problem", row_read_pair, NAMES("solution", "answer", "response"), NULL},
    {"user", row_read_pair, NAMES("assistant"), NULL},
    {"input", row_read_pair, NAMES("output", "response", "answer"), NULL},
    {"text", row_read_text, NULL, NULL},
    {"content", row_read_text, NULL, NULL},
    {"prompt", row_read_pair, NULL, NAMES("context")},
    {"chosen", row_read_text, NULL, NULL},
    {"tokens", row_read_tokens, NULL, NULL},
    {"input_ids", row_read_tokens, NULL, NULL},
};

/* What the map may name; the first four decide the form. */
static const char *const map_names[] = {
    "messages",  "user",     "text",    "tokens",     "assistant",    "system", "tools",
    "documents", "role",     "content", "tool_calls", "tool_call_id", "name",   "reasoning_content",
    "reasoning", "thinking",
};
#define MAP_FORMS 4
static const struct row_form map_forms[MAP_FORMS] = {
    {"messages", row_read_messages, NULL, NULL},
    {"user", row_read_pair, NAMES("assistant"), NULL},
    {"text", row_read_text, NULL, NULL},
    {"tokens", row_read_tokens, NULL, NULL},
};

/* Rows inside of rows: a member, known by another one beside it. */
static const struct {
    const char *key, *beside;
} wraps[] = {
    {"row", "row_idx"},    /* the data-set server */
    {"body", "custom_id"}, /* requests of a batch */
    {"body", "method"},
};

/* Members that hold no text of the user, whatever is in them; besides these, names that end in one of the
 * endings below. */
static const char *const bookkeeping[] = {
    "id",
    "idx",
    "index",
    "uuid",
    "hash",
    "sha",
    "md5",
    "url",
    "uri",
    "link",
    "path",
    "file",
    "filename",
    "source",
    "sources",
    "origin",
    "category",
    "categories",
    "subject",
    "topic",
    "domain",
    "task",
    "type",
    "kind",
    "tag",
    "tags",
    "label",
    "labels",
    "lang",
    "language",
    "locale",
    "split",
    "subset",
    "dataset",
    "data_source",
    "license",
    "licenses",
    "author",
    "date",
    "time",
    "timestamp",
    "created",
    "version",
    "model",
    "models",
    "generator",
    "resource",
    "repo",
    "meta",
    "metadata",
    "extra",
    "extra_info",
    "difficulty",
    "quality",
    "score",
    "scores",
    "ability",
    "style",
    "format",
    "audience",
    "title",
    "post_title",
    "avatarUrl",
    "features",
    "parameters",
    "tool_choice",
    "response_format",
    "parallel_tool_calls",
    "stop",
    "stream_options",
    "method",
    "custom_id",
    "chat_template_kwargs",
    "add_generation_prompt",
    "agent",
    "exit_status",
};
static const char *const bookkeeping_endings[] = {"_id",   "_ids",  "_idx",   "_hash", "_url",
                                                  "_path", "_name", "_type",  "_date", "_time",
                                                  "_at",   "_lang", "_source"};

/* ---- what is not used ---- */

static bool holds_text(const json_t *v)
{
    const char *key;
    json_t *x;
    if (json_is_string(v)) {
        const char *s = json_string_value(v);
        return s[strspn(s, " \t\r\n")] && *s != *JSON_ODD;
    }
    for (size_t i = 0; i < json_array_size(v); i++)
        if (holds_text(json_array_get(v, i)))
            return true;
    json_object_foreach ((json_t *)(uintptr_t)v, key, x) {
        if (holds_text(x))
            return true;
    }
    return false;
}

static bool is_bookkeeping(const char *key)
{
    for (size_t i = 0; i < COUNT(bookkeeping); i++)
        if (!strcmp(key, bookkeeping[i]))
            return true;
    for (size_t i = 0; i < COUNT(bookkeeping_endings); i++)
        if (text_ends(key, bookkeeping_endings[i]))
            return true;
    return *key == '_'; /* an index that a table left behind */
}

static bool is_used(const struct row_reader *r, const char *key)
{
    for (uint32_t i = 0; i < r->n_used; i++)
        if (!strcmp(r->used[i], key))
            return true;
    return false;
}

static void note_unused(const struct row_reader *r, const json_t *row, struct buf *b)
{
    const char *key;
    json_t *v;
    json_object_foreach ((json_t *)(uintptr_t)row, key, v) {
        if (is_used(r, key) || is_bookkeeping(key) || !holds_text(v))
            continue;
        buf_str(b, b->n ? "\n" : "");
        buf_line(b, key, strlen(key)); /* no line break in it */
    }
}

/* ---- no form fits ---- */

/* How like a name of ours a key is: 2 but for capitals, 1 ours is a part of it, 0 not at all. */
static int likeness(const char *key, const char *name)
{
    return !strcasecmp(key, name) ? 2 : strcasestr(key, name) ? 1 : 0;
}

/* Whether a value could be what a form takes. */
static bool is_usable(const struct row_form *form, const json_t *v)
{
    if (form->read == row_read_tokens)
        return json_is_integer(json_array_get(v, 0));
    if (form->read == row_read_messages)
        return json_is_array(v) || json_is_string(v);
    return json_is_string(v) || chat_is_list(v);
}

/* The key of the row that is most like one of these names and could be it; NULL: none is. */
static const char *nearest(const json_t *row, const struct row_form *form, const char *const *names,
                           const char *but, int *best)
{
    const char *key, *found = NULL;
    json_t *v;
    *best = 0;
    json_object_foreach ((json_t *)(uintptr_t)row, key, v) {
        for (const char *const *name = names; name && *name; name++) {
            int like = is_usable(form, v) && !is_bookkeeping(key) ? likeness(key, *name) : 0;
            if (like > *best && (!but || strcmp(key, but) != 0)) {
                *best = like;
                found = key;
            }
        }
    }
    return found;
}

static void show(struct buf *b, const char *before, const char *key, const char *after)
{
    char shown[TEXT_SHOWN];
    buf_fmt(b, "%s%s%s", before, text_shown(shown, sizeof shown, key), after);
}

static void suggest(struct buf *b, const json_t *row)
{
    const struct row_form *form = NULL;
    const char *user = NULL, *assistant = NULL;
    int best = 0;
    for (size_t i = 0; i < COUNT(forms); i++) {
        int like, more;
        const char *u = nearest(row, &forms[i], NAMES(forms[i].key), NULL, &like),
                   *a = nearest(row, &forms[i], forms[i].answer, u, &more);
        if (like + more <= best)
            continue;
        best = like + more;
        form = &forms[i];
        user = u;
        assistant = a;
    }
    if (!form) {
        buf_str(b, "; --map user=KEY,assistant=KEY (or text=KEY, messages=KEY) says what is what");
        return;
    }
    buf_fmt(b, "; the nearest form is %s", form->key);
    if (form->answer)
        buf_fmt(b, "/%s", form->answer[0]);
    buf_str(b, ": --map ");
    if (form->read == row_read_pair) {
        show(b, "user=", user ? user : "KEY", "");
        show(b, ",assistant=", assistant ? assistant : "KEY", "");
    } else {
        show(b,
             form->read == row_read_text     ? "text="
             : form->read == row_read_tokens ? "tokens="
                                             : "messages=",
             user, "");
    }
}

static bool no_form(const struct row_reader *r)
{
    struct buf b = {0};
    const char *key;
    json_t *v;
    size_t n = 0;
    if (!json_object_size(r->row))
        return err_set(r->e, ERR_INPUT, "row is an empty object");
    const char *says = row_first(r, NAMES("content", "tool_calls", "text"));
    if (row_member(r, "role") && says)
        return err_set(r->e, ERR_INPUT,
                       "row is one message ('role' and '%s'), expected a list of them as 'messages'", says);
    buf_str(&b, "row has ");
    json_object_foreach ((json_t *)(uintptr_t)r->row, key, v) {
        if (n < SHOW_KEYS)
            show(&b, n ? ", '" : "'", key, json_is_null(v) ? "' (null)" : "'");
        n++;
    }
    if (n > SHOW_KEYS)
        buf_fmt(&b, " and %zu more", n - SHOW_KEYS);
    buf_str(&b, ", which is no form that is known");
    suggest(&b, r->row);
    err_set(r->e, ERR_INPUT, "%s", b.s);
    buf_clear(&b);
    return false;
}

/* ---- the map ---- */

bool row_map_parse(const char *s, struct row_map *m, struct err *e)
{
    *m = (struct row_map){0};
    for (const char *at = s; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        size_t n = strcspn(at, ","), eq = strcspn(at, "=");
        const char *name = NULL;
        for (size_t i = 0; i < COUNT(map_names); i++)
            if (strlen(map_names[i]) == eq && !memcmp(map_names[i], at, eq))
                name = map_names[i];
        bool twice = false;
        for (uint32_t i = 0; name && i < m->n; i++)
            twice |= m->v[i].name == name;
        if (eq >= n || eq + 1 == n)
            err_set(e, ERR_INPUT, "--map: '%.*s' is not NAME=KEY, as in user=question,assistant=answer",
                    (int)n, at);
        else if (!name)
            err_set(
                e, ERR_INPUT,
                "--map: '%.*s' is no name that can be given; these can: messages, user, assistant, system, "
                "text, tokens, tools, documents, and of messages role, content, tool_calls, tool_call_id, "
                "name, reasoning_content, reasoning, thinking",
                (int)eq, at);
        else if (twice)
            err_set(e, ERR_INPUT, "--map: '%s' is given twice", name);
        else
            m->v[m->n].name = name, m->v[m->n++].key = xstrndup(at + eq + 1, n - eq - 1);
        if (eq >= n || eq + 1 == n || !name || twice) {
            row_map_clear(m);
            return false;
        }
    }
    return true;
}

void row_map_clear(struct row_map *m)
{
    for (uint32_t i = 0; i < m->n; i++)
        free(m->v[i].key);
    *m = (struct row_map){0};
}

/* ---- the whole ---- */

static bool is_mapped(const struct row_reader *r, const char *name)
{
    for (uint32_t i = 0; r->o->map && i < r->o->map->n; i++)
        if (!strcmp(r->o->map->v[i].name, name))
            return true;
    return false;
}

static const struct row_form *form_of(const struct row_reader *r)
{
    for (size_t i = 0; i < MAP_FORMS; i++)
        if (is_mapped(r, map_forms[i].key) && row_member(r, map_forms[i].key))
            return &map_forms[i];
    for (size_t i = 0; i < COUNT(forms); i++) {
        const struct row_form *f = &forms[i];
        if (row_member(r, f->key) && (!f->answer || r->o->ask || row_first(r, f->answer)) &&
            !(f->read == row_read_text && row_member(r, "role")))
            return f;
    }
    return NULL;
}

bool row_has_form(const json_t *row)
{
    struct row_reader r = {.row = row, .o = &(struct row_opts){0}};
    return form_of(&r) != NULL;
}

static char *id_of(const json_t *row)
{
    const json_t *v = source_member(row, "id") ? source_member(row, "id") : source_member(row, "custom_id");
    double d = json_real_value(v);
    if (json_is_integer(v))
        return xasprintf("%lld", (long long)json_integer_value(v));
    if (json_is_real(v))
        return xasprintf("%.17g", d);
    if (json_is_string(v))
        return xstrdup(json_string_value(v) + (*json_string_value(v) == *JSON_ODD));
    return NULL;
}

/* A row inside of a row; it is used up as `key`. */
static const json_t *unwrap(struct row_reader *r)
{
    for (size_t i = 0; i < COUNT(wraps); i++) {
        const json_t *v = source_member(r->row, wraps[i].key);
        if (json_is_object(v) && source_member(r->row, wraps[i].beside)) {
            r->used[r->n_used++] = wraps[i].key;
            return v;
        }
    }
    return r->row;
}

static bool read_row(struct row_reader *r, struct sample *s)
{
    const json_t *outer = r->row;
    if (!json_is_object(outer))
        return err_set(r->e, ERR_INPUT, "row is %s, expected an object", json_type_name(outer));
    r->row = unwrap(r);
    const struct row_form *f = form_of(r);
    if (!f)
        return no_form(r);
    if (f == &map_forms[1] && is_mapped(r, "assistant") && !row_member(r, "assistant"))
        return err_set(r->e, ERR_INPUT, "row: '%s' is missing, which is the assistant's by --map",
                       row_key(r, "assistant"));
    if (!f->read(r, f, s))
        return false;
    s->id = id_of(r->row);
    if (!s->id)
        s->id = id_of(outer);
    s->n_media = r->n_media;
    s->has_parts = r->has_parts;
    struct buf unused = {0};
    note_unused(r, r->row, &unused);
    if (outer != r->row)
        note_unused(r, outer, &unused);
    s->unused = unused.s;
    return true;
}

void sample_clear(struct sample *s)
{
    free(s->text);
    json_decref(s->chat);
    free(s->tokens);
    free(s->id);
    free(s->unused);
    *s = (struct sample){0};
}

/* odd: there may be numbers of json_parse_data in it. */
static bool read_any(const json_t *row, bool odd, const struct row_opts *o, struct sample *s, struct err *e)
{
    struct row_reader r = {.row = row, .o = o, .odd = odd, .messages = json_array(), .e = e};
    json_t *list = NULL;
    *s = (struct sample){0};
    if (chat_is_list(row)) { /* a chat alone */
        r.row = list = json_object();
        json_object_set(list, "messages", (json_t *)(uintptr_t)row);
    }
    bool ok = read_row(&r, s);
    json_decref(list);
    json_decref(r.messages);
    if (!ok)
        sample_clear(s);
    return ok;
}

bool row_read(const json_t *row, const struct row_opts *o, struct sample *s, struct err *e)
{
    return read_any(row, false, o, s, e);
}

bool row_prompt(const json_t *row, json_t **chat, char **unused, struct err *e)
{
    struct sample s;
    *chat = NULL;
    *unused = NULL;
    if (!read_any(row, true, &(struct row_opts){.ask = true}, &s, e))
        return false;
    bool ok = s.kind == SAMPLE_CHAT ||
              err_set(e, ERR_INPUT,
                      "row: it asks nothing, expected 'prompt' or 'messages', or another form of a chat");
    if (ok) {
        *chat = json_incref(s.chat);
        *unused = s.unused;
        s.unused = NULL;
    }
    sample_clear(&s);
    return ok;
}

bool row_is_message(const char *s, uint64_t n)
{
    struct err e = {0};
    json_t *list = json_array();
    json_t *v = json_parse_data(s, n, NULL, &e);
    if (v)
        json_array_append_new(list, v);
    bool is = chat_is_list(list);
    json_decref(list);
    return is;
}

bool row_parse(const char *row, uint64_t n, const struct row_opts *o, struct sample *s, struct err *e)
{
    *s = (struct sample){0};
    bool odd = false;
    json_t *v = json_parse_data(row, n, &odd, e);
    bool ok = v && read_any(v, odd, o, s, e);
    json_decref(v);
    return ok;
}
