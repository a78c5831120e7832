/* calls.c - see calls.h. */
#include "results/calls.h"
#include "base/mem.h"
#include "results/schema.h"

#include <string.h>

/* ---- reading ---- */

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static bool is_blank(const char *s)
{
    return !s[strspn(s, " \t\r\n")];
}

static void read_call(struct call *c, const json_t *f)
{
    const char *s = text_of(f, "arguments");
    struct buf b = {0};
    bool rounded = false;
    if (is_blank(s))
        s = "{}";
    *c = (struct call){.name = text_of(f, "name"), .value = json_parse_loose(s, strlen(s), &rounded)};
    if (c->value && !rounded)
        json_canonical(&b, c->value);
    else
        buf_str(&b, s); /* two numbers that are rounded alike may differ */
    c->arguments = b.s;
}

void calls_read(struct calls *c, const json_t *tool_calls, const json_t *function_call)
{
    size_t n = json_array_size(tool_calls);
    *c = (struct calls){.v = xcalloc(n + 1, sizeof *c->v)};
    for (size_t i = 0; i < n; i++)
        read_call(&c->v[c->n++], json_object_get(json_array_get(tool_calls, i), "function"));
    if (function_call)
        read_call(&c->v[c->n++], function_call);
}

void calls_clear(struct calls *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->v[i].arguments);
        json_decref(c->v[i].value);
    }
    free(c->v);
    *c = (struct calls){0};
}

/* ---- two answers ---- */

static int by_call(const void *a, const void *b)
{
    const struct call *x = *(const struct call *const *)a, *y = *(const struct call *const *)b;
    int c = strcmp(x->name, y->name);
    return c ? c : strcmp(x->arguments, y->arguments);
}

static const struct call **sorted(const struct calls *c)
{
    const struct call **v = xcalloc(c->n + 1, sizeof *v);
    for (size_t i = 0; i < c->n; i++)
        v[i] = &c->v[i];
    qsort(v, c->n, sizeof *v, by_call);
    return v;
}

struct calls_agreement calls_compare(const struct calls *a, const struct calls *b)
{
    bool same = a->n == b->n;
    struct calls_agreement g = {same, same, same};
    const struct call **x = sorted(a), **y = sorted(b);
    for (size_t i = 0; same && i < a->n; i++) {
        const struct call *p = &a->v[i], *q = &b->v[i];
        g.equal &= by_call(&p, &q) == 0;
        g.names &= !strcmp(x[i]->name, y[i]->name);
        g.arguments &= by_call(&x[i], &y[i]) == 0;
    }
    free(x);
    free(y);
    return g;
}

/* ---- tools ---- */

/* What a tool takes; NULL: there is none of this name. Tools stand under "function" or are functions themselves. */
static const json_t *find_tool(const json_t *list, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *t = json_array_get(list, i), *f = json_object_get(t, "function");
        f = json_is_object(f) ? f : t;
        const char *is = json_string_value(json_object_get(f, "name"));
        if (is && !strcmp(is, name))
            return f;
    }
    return NULL;
}

static bool arguments_fit(const struct call *c, const json_t *tool, json_t *ignored)
{
    const json_t *schema = json_object_get(tool, "parameters");
    return json_is_object(c->value) && (!schema || schema_check(schema, c->value, ignored));
}

struct calls_check calls_check(const struct calls *c, const json_t *parameters, json_t *ignored)
{
    struct calls_check r = {0};
    const json_t *tools = json_object_get(parameters, "tools");
    tools = json_array_size(tools) ? tools : json_object_get(parameters, "functions");
    bool known = r.has_tools = json_array_size(tools) > 0, fit = true;
    for (size_t i = 0; i < c->n; i++) {
        const json_t *tool = find_tool(tools, c->v[i].name);
        r.n_no_json += !c->v[i].value;
        r.n_unknown += known && !tool;
        fit &= tool && arguments_fit(&c->v[i], tool, ignored);
    }
    if (known && c->n)
        r.fit = fit ? CALLS_FIT : CALLS_UNFIT;
    return r;
}
