/* chat_model.c - engine_chat: which template a conversation is written by, and with which variables.
 *
 * A template of the user's (a file, or one of the engine's built-in formats by name) stands before the model's
 * own. A model may carry several: the one called tool_use is for conversations with tools, as in transformers.
 * Variables are those of transformers' apply_chat_template: messages, tools and documents (none where there are
 * none), add_generation_prompt false, the special tokens by name, and the keyword arguments, those of the row
 * before those of the options. A BOS that the tokenizer adds itself is taken from the front of the text, as
 * llama-server does. */
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/chat.h"
#include "engine/engine_part.h"

#include <string.h>
#include <time.h>

#define MAX_FILE (1u << 20)
#define NONE     "none"

#define LAST_SECOND 253402300799 /* of the year 9999 */

enum which { PLAIN, TOOLS, N_TEMPLATES };

struct chat_state {
    json_t *kwargs; /* of the options; an object */
    json_t *tokens; /* special tokens by name */
    struct {
        struct chat_template *parsed;
        char sha256[65]; /* of its text; "" as long as it was not looked for */
        bool there;
        const char *thoughts; /* the member of a message that it reads as such; NULL: none */
    } t[N_TEMPLATES];
    struct err broken[N_TEMPLATES]; /* why it is not parsed */
    int64_t now;
    bool from_file;
};

/* ---- what is known before a model is ---- */

const char *engine_chat_template(uint32_t i)
{
    const char *names[256];
    int32_t n = llama_chat_builtin_templates(names, sizeof names / sizeof *names);
    if (!i)
        return NONE;
    return n > 0 && i <= (uint32_t)n && i <= sizeof names / sizeof *names ? names[i - 1] : NULL;
}

static bool is_known(const char *name)
{
    for (uint32_t i = 0; engine_chat_template(i); i++)
        if (!strcmp(name, engine_chat_template(i)))
            return true;
    return false;
}

static bool is_word(char c)
{
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* As the name of a member: .word, ['word'], "word" in message. */
static bool has_member(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = text; (p = strstr(p, word)) != NULL; p += n)
        if (p > text && strchr(".'\"", p[-1]) && !is_word(p[n]))
            return true;
    return false;
}

static const char *thoughts_in(const char *text)
{
    static const char *const names[] = {"reasoning_content", "reasoning", "thinking"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (has_member(text, names[i]))
            return names[i];
    return NULL;
}

static void set_template(struct chat_state *c, enum which w, const char *text, size_t n)
{
    c->t[w].thoughts = thoughts_in(text);
    sha256_bytes(text, n, c->t[w].sha256);
    c->t[w].there = true;
    c->t[w].parsed = chat_template_parse(text, n, &c->broken[w]);
}

static bool read_file(struct chat_state *c, const char *path, struct err *e)
{
    struct buf b = {0};
    bool ok = file_read_all(path, MAX_FILE, &b, e);
    if (ok && !utf8_valid(b.s ? b.s : "", b.n))
        ok = err_set(e, ERR_INPUT, "%s: not UTF-8 text", path);
    if (ok) {
        set_template(c, PLAIN, b.s ? b.s : "", b.n);
        c->from_file = true;
        if (!c->t[PLAIN].parsed)
            ok = err_set(e, c->broken[PLAIN].code, "%s: %s", path, c->broken[PLAIN].msg);
    }
    buf_clear(&b);
    return ok;
}

/* Variables that a conversation gives itself: not for the arguments of the options or of a row. */
static const char *const of_chat[] = {"messages", "tools", "documents", "add_generation_prompt"};
#define N_OF_CHAT (sizeof of_chat / sizeof *of_chat)

static bool read_kwargs(struct chat_state *c, const char *text, struct err *e)
{
    json_decref(c->kwargs);
    c->kwargs = json_parse(text, strlen(text), e);
    if (!c->kwargs)
        return err_ctx(e, "--chat-template-kwargs");
    for (size_t i = 0; i < N_OF_CHAT; i++)
        if (json_object_get(c->kwargs, of_chat[i]))
            return err_set(e, ERR_INPUT, "--chat-template-kwargs: '%s' is %s", of_chat[i],
                           i + 1 < N_OF_CHAT ? "a row's own" : "always false for calibration");
    return json_is_object(c->kwargs) ||
           err_set(e, ERR_INPUT, "--chat-template-kwargs is %s, expected an object",
                   json_type_name(c->kwargs));
}

/* The time that templates are told: SOURCE_DATE_EPOCH where output must be the same on every day. */
static bool set_now(struct chat_state *c, int64_t given, struct err *e)
{
    const char *s = getenv("SOURCE_DATE_EPOCH");
    uint64_t v = 0;
    if (!given && s && *s && (!parse_u64(s, &v) || v > LAST_SECOND))
        return err_set(e, ERR_INPUT, "SOURCE_DATE_EPOCH is '%s', expected seconds since 1970", s);
    c->now = given ? given : s && *s ? (int64_t)v : (int64_t)time(NULL);
    return true;
}

struct chat_state *chat_new(const struct engine_opts *o, struct err *e)
{
    struct chat_state *c = xcalloc(1, sizeof *c);
    c->kwargs = json_object();
    bool ok = set_now(c, o->now, e);
    if (ok && o->chat_template && o->chat_template_file)
        ok = err_set(e, ERR_INPUT, "--chat-template and --chat-template-file exclude each other");
    if (ok && o->chat_template && !is_known(o->chat_template))
        ok = err_set(e, ERR_INPUT, "--chat-template '%s': the engine has no template of this name",
                     o->chat_template);
    ok = ok && (!o->chat_template_kwargs || read_kwargs(c, o->chat_template_kwargs, e)) &&
         (!o->chat_template_file || read_file(c, o->chat_template_file, e));
    if (ok)
        return c;
    chat_free(c);
    return NULL;
}

void chat_free(struct chat_state *c)
{
    if (!c)
        return;
    for (int w = 0; w < N_TEMPLATES; w++)
        chat_template_free(c->t[w].parsed);
    json_decref(c->kwargs);
    json_decref(c->tokens);
    free(c);
}

/* ---- the model's ---- */

static void put_token(const struct engine *g, json_t *o, const char *name, llama_token id)
{
    if (id >= 0 && (uint32_t)id < engine_n_vocab(g)) {
        const char *s = llama_vocab_get_text(g->vocab, id);
        json_object_set_new(o, name, json_text(s ? s : ""));
    }
}

static bool has_key(const struct engine *g, const char *key, uint64_t *v)
{
    char s[32];
    return llama_model_meta_val_str(g->model, key, s, sizeof s) > 0 && parse_u64(s, v);
}

/* As transformers' special_tokens_map. Where the file names no token, the engine has defaults: those of a
 * SentencePiece vocabulary are its tokens, those of others are any. The unknown token has no function in the
 * engine. */
static json_t *special_tokens(const struct engine *g)
{
    json_t *o = json_object();
    uint64_t id;
    bool spm = llama_vocab_type(g->vocab) == LLAMA_VOCAB_TYPE_SPM;
    if (spm || has_key(g, "tokenizer.ggml.bos_token_id", &id))
        put_token(g, o, "bos_token", llama_vocab_bos(g->vocab));
    if (spm || has_key(g, "tokenizer.ggml.eos_token_id", &id))
        put_token(g, o, "eos_token", llama_vocab_eos(g->vocab));
    put_token(g, o, "sep_token", llama_vocab_sep(g->vocab));
    put_token(g, o, "pad_token", llama_vocab_pad(g->vocab));
    put_token(g, o, "mask_token", llama_vocab_mask(g->vocab));
    if (has_key(g, "tokenizer.ggml.unknown_token_id", &id) && id <= INT32_MAX)
        put_token(g, o, "unk_token", (llama_token)id);
    return o;
}

/* The template for a conversation; NULL with *e set. */
static struct chat_template *find_template(const struct engine *g, bool has_tools, struct err *e)
{
    struct chat_state *c = g->chat;
    for (int w = 0; w < N_TEMPLATES && !c->from_file; w++) {
        const char *text =
            *c->t[w].sha256 ? NULL : llama_model_chat_template(g->model, w ? "tool_use" : NULL);
        if (text)
            set_template(c, (enum which)w, text, strlen(text));
        else if (!*c->t[w].sha256)
            strcpy(c->t[w].sha256, "-");
    }
    enum which w = has_tools && c->t[TOOLS].there ? TOOLS : PLAIN;
    if (!c->t[w].there)
        err_set(
            e, ERR_INPUT,
            "the model has no chat template; give --chat-template-file FILE, --chat-template NAME or none");
    else if (!c->t[w].parsed)
        err_set(e, c->broken[w].code, "%s", c->broken[w].msg);
    return c->t[w].parsed;
}

static void count(json_t *unused, const char *prefix, const char *key)
{
    char *name = xasprintf("%s%s", prefix, key);
    json_object_set_new(unused, name, json_integer(json_integer_value(json_object_get(unused, name)) + 1));
    free(name);
}

static void take(json_t *vars, const char *key, json_t *value)
{
    json_object_set(vars, key, value ? value : json_null());
}

static bool render(const struct engine *g, const json_t *chat, struct buf *out, json_t *unused, struct err *e)
{
    json_t *tools = json_object_get(chat, "tools"), *kwargs = json_object_get(chat, "chat_template_kwargs");
    struct chat_template *t = find_template(g, json_is_array(tools), e);
    if (!t)
        return false;
    if (!g->chat->tokens)
        g->chat->tokens = special_tokens(g);
    json_t *vars = json_copy(g->chat->tokens);
    json_object_update(vars, g->chat->kwargs);
    if (json_is_object(kwargs))
        json_object_update(vars, kwargs);
    take(vars, "messages", json_object_get(chat, "messages"));
    take(vars, "tools", tools);
    take(vars, "documents", json_object_get(chat, "documents"));
    json_object_set_new(vars, "add_generation_prompt", json_false());
    bool ok = chat_template_render(t, vars, g->chat->now, out, unused, e);
    const char *key;
    json_t *ours;
    json_object_foreach (g->chat->tokens, key, ours) /* nobody gave them */
        json_object_del(unused, key);
    for (size_t i = 0; ok && unused && i < N_OF_CHAT; i++) { /* nor these, to the template */
        const json_t *lost = json_object_get(kwargs, of_chat[i]);
        if (lost && chat_holds_text(of_chat[i], lost))
            count(unused, "chat_template_kwargs.", of_chat[i]);
    }
    json_decref(vars);
    return ok;
}

/* ---- formats of the engine's by name, and none ---- */

static char *content_text(const json_t *v)
{
    struct buf b = {0};
    buf_str(&b, json_is_string(v) ? json_string_value(v) : "");
    for (size_t i = 0; i < json_array_size(v); i++) {
        const char *text = json_string_value(json_object_get(json_array_get(v, i), "text"));
        buf_str(&b, text ? text : "");
    }
    return b.s;
}

static bool write_builtin(const char *name, const char *const *roles, char *const *contents, uint32_t n,
                          struct buf *out, struct err *e)
{
    struct llama_chat_message *m = xcalloc(n ? n : 1, sizeof *m);
    size_t total = 256;
    for (uint32_t i = 0; i < n; i++) {
        m[i] = (struct llama_chat_message){roles[i], contents[i]};
        total += 2 * (strlen(roles[i]) + strlen(contents[i])) + 64;
    }
    int32_t r = -1;
    if (total < INT32_MAX) {
        char *s = xmalloc(total);
        r = llama_chat_apply_template(name, m, n, false, s, (int32_t)total);
        if (r > (int32_t)total) {
            s = xrealloc(s, (size_t)r, 1);
            r = llama_chat_apply_template(name, m, n, false, s, r);
        }
        if (r > 0)
            buf_add(out, s, (size_t)r);
        free(s);
    }
    free(m);
    return r >= 0 || err_set(e, ERR_INPUT, "the chat template '%s' cannot write the conversation", name);
}

/* These formats know a role and a text; all else is not looked at. */
static void count_rest(const json_t *chat, json_t *unused)
{
    const json_t *list = json_object_get(chat, "messages");
    const char *key;
    json_t *v;
    json_object_foreach ((json_t *)(uintptr_t)chat, key, v)
        if (strcmp(key, "messages") != 0 && chat_holds_text(key, v))
            count(unused, "", key);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *parts = json_object_get(json_array_get(list, i), "content");
        json_object_foreach (json_array_get(list, i), key, v)
            if (strcmp(key, "content") != 0 && chat_holds_text(key, v))
                count(unused, "messages.", key);
        for (size_t k = 0; k < json_array_size(parts); k++)
            json_object_foreach (json_array_get(parts, k), key, v)
                if (strcmp(key, "type") != 0 && strcmp(key, "text") != 0 && chat_holds_text(key, v))
                    count(unused, "messages.content.", key);
    }
}

static bool by_name(const char *name, const json_t *chat, struct buf *out, json_t *unused, struct err *e)
{
    const json_t *list = json_object_get(chat, "messages");
    uint32_t n = (uint32_t)json_array_size(list);
    const char **roles = xcalloc(n ? n : 1, sizeof *roles);
    char **contents = xcalloc(n ? n : 1, sizeof *contents);
    for (uint32_t i = 0; i < n; i++) {
        roles[i] = json_string_value(json_object_get(json_array_get(list, i), "role"));
        contents[i] = content_text(json_object_get(json_array_get(list, i), "content"));
    }
    bool ok = true;
    if (strcmp(name, NONE) != 0)
        ok = write_builtin(name, roles, contents, n, out, e);
    else
        for (uint32_t i = 0; i < n; i++)
            buf_fmt(out, "%s%s", i ? "\n" : "", contents[i]);
    if (ok && unused)
        count_rest(chat, unused);
    for (uint32_t i = 0; i < n; i++)
        free(contents[i]);
    free(contents);
    free(roles);
    return ok;
}

bool engine_chat(const struct engine *g, const json_t *chat, struct buf *out, json_t *unused, struct err *e)
{
    const char *name = g->o.chat_template;
    struct buf b = {0};
    if (!(name ? by_name(name, chat, &b, unused, e) : render(g, chat, &b, unused, e))) {
        buf_clear(&b);
        return false;
    }
    int32_t bos = engine_bos(g);
    const char *first = bos >= 0 ? llama_vocab_get_text(g->vocab, bos) : NULL;
    size_t n = first ? strlen(first) : 0;
    if (n && b.n >= n && !memcmp(b.s, first, n))
        buf_add(out, b.s + n, b.n - n);
    else if (b.n)
        buf_add(out, b.s, b.n);
    buf_clear(&b);
    return true;
}

static void put_date(json_t *o, int64_t seconds)
{
    struct tm local;
    char s[32];
    time_t t = (time_t)seconds;
    if (localtime_r(&t, &local) && strftime(s, sizeof s, "%Y-%m-%d", &local))
        json_object_set_new(o, "date", json_string(s));
}

json_t *engine_chat_info(const struct engine *g)
{
    const struct chat_state *c = g->chat;
    json_t *o = json_object();
    if (g->o.chat_template)
        json_object_set_new(o, "name", json_text(g->o.chat_template));
    else
        json_object_set_new(o, "from", json_string(c->from_file ? "file" : "model"));
    if (c->t[PLAIN].there)
        json_object_set_new(o, "sha256", json_string(c->t[PLAIN].sha256));
    if (c->t[TOOLS].there)
        json_object_set_new(o, "tool_use_sha256", json_string(c->t[TOOLS].sha256));
    if (json_object_size(c->kwargs))
        json_object_set(o, "kwargs", c->kwargs);
    json_put_text(o, "thoughts", c->t[PLAIN].thoughts ? c->t[PLAIN].thoughts : c->t[TOOLS].thoughts);
    if ((c->t[PLAIN].parsed && chat_template_asks_time(c->t[PLAIN].parsed)) ||
        (c->t[TOOLS].parsed && chat_template_asks_time(c->t[TOOLS].parsed)))
        put_date(o, c->now);
    return o;
}
