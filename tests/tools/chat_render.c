/* chat_render - renders chats by templates, for scripts.
 *
 *   chat_render NOW TEMPLATE... <cases >out
 *
 * A case is a line {"template": NAME, or "text": the template itself; "chat": {messages, tools, documents,
 * chat_template_kwargs}, "bos", "eos"}; NAME.jinja is looked for in the folders TEMPLATE. Of each goes a line out:
 * {"got": text} or {"got": null, "error": why}. NOW: Unix time; the time zone is UTC. */
#include "base/file.h"
#include "base/mem.h"
#include "engine/chat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *get(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static struct chat_template *load(const char *name, char **folders, struct err *e)
{
    for (; *folders; folders++) {
        char path[4096];
        struct buf b = {0};
        snprintf(path, sizeof path, "%s/%s.jinja", *folders, name);
        if (!file_exists(path))
            continue;
        struct chat_template *t = NULL;
        if (file_read_all(path, 1 << 24, &b, e))
            t = chat_template_parse(b.s ? b.s : "", b.n, e);
        buf_clear(&b);
        return t;
    }
    err_set(e, ERR_INPUT, "%s.jinja: not found", name);
    return NULL;
}

static json_t *variables(const json_t *c)
{
    static const char *const lists[] = {"tools", "documents"}, *const tokens[] = {"bos", "eos"};
    const json_t *chat = json_object_get(c, "chat");
    json_t *v = json_object(), *more = json_object_get(chat, "chat_template_kwargs");
    json_object_set(v, "messages", json_object_get(chat, "messages"));
    json_object_set_new(v, "add_generation_prompt", json_false());
    for (int i = 0; i < 2; i++) {
        char name[16];
        json_t *list = json_object_get(chat, lists[i]);
        json_object_set(v, lists[i], list ? list : json_null());
        snprintf(name, sizeof name, "%s_token", tokens[i]);
        json_object_set_new(v, name, json_string(get(c, tokens[i])));
    }
    if (more)
        json_object_update(v, more);
    return v;
}

int main(int argc, char **argv)
{
    char *line = NULL, *last = xstrdup("");
    size_t cap = 0;
    ssize_t n;
    struct chat_template *t = NULL;
    struct err parsing = {0};
    if (argc < 2) {
        fprintf(stderr, "usage: chat_render NOW TEMPLATES... <cases\n");
        return 2;
    }
    setenv("TZ", "UTC", 1);
    tzset();
    while ((n = getline(&line, &cap, stdin)) > 0) {
        struct err e = {0};
        struct buf out = {0};
        json_t *c = json_parse(line, (size_t)n - (line[n - 1] == '\n'), &e), *o = json_object();
        if (!c) {
            fprintf(stderr, "chat_render: %s\n", e.msg);
            return 1;
        }
        bool inline_text = json_object_get(c, "text") != NULL;
        const char *name = get(c, inline_text ? "text" : "template");
        if (strcmp(name, last)) {
            parsing = (struct err){0};
            chat_template_free(t);
            t = inline_text ? chat_template_parse(name, strlen(name), &parsing)
                            : load(name, argv + 2, &parsing);
            free(last);
            last = xstrdup(name);
        }
        json_t *v = variables(c);
        bool ok = t && chat_template_render(t, v, atoll(argv[1]), &out, NULL, &e);
        json_object_set_new(o, "got", ok ? json_stringn(out.s ? out.s : "", out.n) : json_null());
        if (!ok)
            json_object_set_new(o, "error", json_string(t ? e.msg : parsing.msg));
        json_dumpf(o, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(v);
        json_decref(o);
        json_decref(c);
        buf_clear(&out);
    }
    chat_template_free(t);
    free(last);
    free(line);
    return 0;
}
