/* card_front.c - the YAML front matter of a model card (see card.h).
 *
 * It is edited line by line and only where its form is plain; there is no YAML parser here. A line that does
 * not begin with a space begins a key, or belongs to the key above (items of a list, closing brackets,
 * comments). */
#include "base/hub_path.h"
#include "base/jspan.h"
#include "base/text.h"
#include "hf/card_part.h"

#include <math.h>

static const char *const our_tags[] = {"reap", "expert-pruning"};
#define N_TAGS (sizeof our_tags / sizeof *our_tags)

/* ---- finding ---- */

static struct span unquoted(struct span t)
{
    if (t.n >= 2 && (*t.s == '"' || *t.s == '\'') && t.s[t.n - 1] == *t.s)
        return span_of(t.s + 1, t.s + t.n - 1);
    return t;
}

struct front card_find_front(const char *text)
{
    struct front f = {0};
    const char *end = text + strlen(text), *p = text;
    if (strncmp(p, "\xef\xbb\xbf", 3) == 0)
        p += 3;
    while (p < end && trim(span_of(p, line_end(p, end))).n == 0)
        p = line_end(p, end);
    if (p == end || *p != '-' || !span_is(trim(span_of(p, line_end(p, end))), "---"))
        return f;
    f.start = line_end(p, end);
    for (p = f.start; p < end; p = line_end(p, end)) {
        if (*p == '-' && span_is(trim(span_of(p, line_end(p, end))), "---")) {
            f.end = p;
            return f;
        }
    }
    f.broken = true;
    return f;
}

/* The key of a line "key: ..." or "key:"; n == 0: the line has none. *rest: behind the colon. */
static struct span key_of(const char *line, const char *end, const char **rest)
{
    const char *stop = line_end(line, end), *p = line;
    if (p < stop && (*p == '"' || *p == '\''))
        for (p++; p < stop && *p != *line; p++)
            ;
    while (p < stop && (*p != ':' || (p + 1 < stop && !is_space(p[1]))))
        p++;
    if (p == stop)
        return (struct span){0};
    *rest = p + 1;
    return unquoted(trim(span_of(line, p)));
}

/* Begins with a space, or is one of the signs that continue the value above. */
static bool continues(const char *line, const char *stop)
{
    struct span t = trim(span_of(line, stop));
    return t.n == 0 || is_space(*line) || *line == '#' || *line == ']' || *line == '}' ||
           (*line == '-' && (t.n == 1 || is_space(line[1])));
}

/* Whether we can tell the keys: every line is one or continues one. */
static bool understood(const struct front *f)
{
    const char *rest;
    bool any = false; /* a key was seen */
    for (const char *p = f->start; p < f->end; p = line_end(p, f->end)) {
        const char *stop = line_end(p, f->end);
        struct span t = trim(span_of(p, stop));
        if (t.n == 0 || *t.s == '#')
            continue;
        if (continues(p, stop)) {
            if (!any)
                return false;
            continue;
        }
        if (*p == '{' || *p == '[' || *p == '?' || !key_of(p, f->end, &rest).n)
            return false;
        any = true;
    }
    return true;
}

struct entry {
    const char *line;  /* of the key */
    const char *value; /* behind the colon */
    const char *end; /* behind the last line of the value; comments and empty lines behind it do not count */
};

static bool find_entry(const struct front *f, const char *key, struct entry *x)
{
    const char *rest;
    for (const char *p = f->start; p < f->end; p = line_end(p, f->end)) {
        if (continues(p, line_end(p, f->end)) || !span_is(key_of(p, f->end, &rest), key))
            continue;
        *x = (struct entry){p, rest, line_end(p, f->end)};
        for (p = x->end; p < f->end && continues(p, line_end(p, f->end)); p = line_end(p, f->end)) {
            if (trim(span_of(p, line_end(p, f->end))).n && *p != '#')
                x->end = line_end(p, f->end);
        }
        return true;
    }
    return false;
}

/* ---- values ---- */

/* A value on one line without its comment. Quotes stay. */
static struct span scalar(struct span t)
{
    t = trim(t);
    char quote = 0;
    for (size_t i = 0; i < t.n; i++) {
        char c = t.s[i];
        if (quote) {
            if (c == '\\' && quote == '"')
                i++;
            else if (c == quote)
                quote = 0;
        } else if ((c == '"' || c == '\'') && i == 0) {
            quote = c;
        } else if (c == '#' && (i == 0 || is_space(t.s[i - 1]))) {
            return trim(span_of(t.s, t.s + i));
        }
    }
    return t;
}

static void add_yaml(struct buf *b, const char *id)
{
    if (hub_is_id(id)) {
        buf_str(b, id);
        return;
    }
    struct buf safe = {0};
    buf_safe(&safe, id, strlen(id));
    buf_json_str(b, safe.s ? safe.s : ""); /* YAML reads JSON's strings */
    buf_clear(&safe);
}

static void put_base(struct buf *b, const char *id, const char *nl)
{
    buf_str(b, "base_model: ");
    add_yaml(b, id);
    buf_str(b, nl);
}

/* ---- tags ---- */

struct tags {
    bool has[N_TAGS];
    bool all;
};

static void note_tag(struct tags *t, struct span value)
{
    t->all = true;
    for (size_t i = 0; i < N_TAGS; i++) {
        t->has[i] = t->has[i] || span_is(unquoted(value), our_tags[i]);
        t->all = t->all && t->has[i];
    }
}

static void put_items(struct buf *b, struct span indent, const struct tags *t, const char *nl)
{
    for (size_t i = 0; i < N_TAGS; i++) {
        if (t->has[i])
            continue;
        buf_add(b, indent.s, indent.n);
        buf_fmt(b, "- %s%s", our_tags[i], nl);
    }
}

static void put_tags(struct buf *b, const char *nl)
{
    struct tags none = {0};
    buf_fmt(b, "tags:%s", nl);
    put_items(b, (struct span){"", 0}, &none, nl);
}

/* "- a" lines. False: something else. */
static bool put_block(struct buf *b, const struct entry *x, const char *nl)
{
    struct tags t = {0};
    struct span indent = {0};
    for (const char *p = line_end(x->line, x->end); p < x->end; p = line_end(p, x->end)) {
        const char *stop = line_end(p, x->end), *dash = p;
        if (scalar(span_of(p, stop)).n == 0)
            continue;
        while (*dash == ' ')
            dash++;
        if (*dash == '\t')
            return false;
        bool item = *dash == '-' && is_space(dash[1]);
        if (!indent.s) {
            if (!item)
                return false;
            indent = span_of(p, dash);
        }
        if (item && (size_t)(dash - p) == indent.n)
            note_tag(&t, scalar(span_of(dash + 1, stop)));
    }
    buf_add(b, x->line, (size_t)(x->end - x->line));
    close_line(b, nl);
    put_items(b, indent, &t, nl);
    return true;
}

/* "[a, b]", also over several lines. */
static bool put_flow(struct buf *b, const struct entry *x, const char *open, const char *nl)
{
    struct tags t = {0};
    const char *p = open + 1, *item = NULL, *last = NULL; /* item: its start; last: behind the last sign */
    const char *line_of_item = NULL;
    bool comma = false;
    for (const char *line = NULL; p < x->end && *p != ']'; p++) {
        if (*p == '\n')
            line = p + 1;
        if (is_space(*p))
            continue;
        if (*p == '#' && is_space(p[-1])) {
            p = line_end(p, x->end) - 1;
            line = p + 1;
            continue;
        }
        if (strchr("[{&*!|>", *p) && !item)
            return false;
        comma = *p == ',';
        last = p + 1;
        if (comma) {
            if (item)
                note_tag(&t, trim(span_of(item, p)));
            item = NULL;
            continue;
        }
        if (!item) {
            item = p;
            line_of_item = line && trim(span_of(line, p)).n == 0 ? line : NULL;
            if (*p == '"' || *p == '\'') {
                char quote = *p;
                for (p++; p < x->end && *p != quote; p++)
                    p += *p == '\\' && quote == '"' && p + 1 < x->end;
                if (p >= x->end)
                    return false;
                last = p + 1;
            }
        }
    }
    if (p >= x->end || scalar(span_of(p + 1, x->end)).n)
        return false; /* no end, or something behind it */
    if (item)
        note_tag(&t, trim(span_of(item, last)));
    if (!last)
        last = open + 1;
    buf_add(b, x->line, (size_t)(last - x->line));
    bool first = last == open + 1;
    for (size_t i = 0; i < N_TAGS; i++) {
        if (t.has[i])
            continue;
        buf_str(b, first || comma ? "" : ",");
        if (line_of_item) { /* each item has its line */
            size_t n = 0;
            while (line_of_item[n] == ' ' || line_of_item[n] == '\t')
                n++;
            buf_str(b, nl);
            buf_add(b, line_of_item, n);
        } else {
            buf_str(b, first ? "" : " ");
        }
        buf_str(b, our_tags[i]);
        first = comma = false;
    }
    buf_add(b, last, (size_t)(x->end - last));
    return true;
}

/* "tags: x" becomes a list; "tags:" or null gets one. */
static bool put_scalar(struct buf *b, const struct entry *x, struct span value, const char *nl)
{
    struct tags t = {0};
    const char *stop = line_end(x->line, x->end);
    if (stop < x->end || (value.n && strchr("{&*!|>%@`-?", *value.s)))
        return false;
    bool none = value.n == 0 || span_is(value, "null") || span_is(value, "~") || unquoted(value).n == 0;
    if (!none)
        note_tag(&t, value);
    buf_add(b, x->line, (size_t)(x->value - x->line));
    if (value.n) { /* a comment stays on the line of the key */
        const char *comment = value.s + value.n;
        struct span rest = trim(span_of(comment, stop));
        if (rest.n) {
            buf_char(b, ' ');
            buf_add(b, rest.s, rest.n);
        }
        buf_str(b, nl);
    } else {
        buf_add(b, x->value, (size_t)(stop - x->value));
        close_line(b, nl);
    }
    if (!none) {
        buf_str(b, "- ");
        buf_add(b, value.s, value.n);
        buf_str(b, nl);
    }
    put_items(b, (struct span){"", 0}, &t, nl);
    return true;
}

static bool put_tags_of(struct buf *b, const struct entry *x, const char *nl)
{
    const char *stop = line_end(x->line, x->end);
    struct span value = scalar(span_of(x->value, stop));
    if (value.n && *value.s == '[')
        return put_flow(b, x, value.s, nl);
    if (value.n == 0 && stop < x->end)
        return put_block(b, x, nl);
    return put_scalar(b, x, value, nl);
}

static bool same_base(const struct entry *x, const char *id)
{
    return line_end(x->line, x->end) == x->end && span_is(unquoted(scalar(span_of(x->value, x->end))), id);
}

/* ---- results ---- */

/* JSON, which YAML reads; without signs that are markup to those who do not. */
static void put_string(struct buf *b, const char *s)
{
    struct buf safe = {0}, json = {0};
    buf_safe(&safe, s, strnlen(s, CARD_SHOWN));
    buf_json_str(&json, safe.s ? safe.s : "");
    for (size_t i = 0; i < json.n; i++)
        if (json.s[i] == '<' || json.s[i] == '`')
            buf_fmt(b, "\\u%04x", (unsigned)json.s[i]);
        else
            buf_char(b, json.s[i]);
    buf_clear(&safe);
    buf_clear(&json);
}

/* The form is the hub's (https://github.com/huggingface/hub-docs/blob/main/modelcard.md, model-index). */
static void put_results(struct buf *b, const struct card_facts *f, const char *nl)
{
    const struct card_results *r = f->results;
    bool any = false;
    for (uint32_t i = 0; r && i < r->n_texts && i < CARD_TEXTS; i++) {
        if (!isfinite(r->texts[i].ppl_after))
            continue;
        if (!any) {
            buf_fmt(b, "model-index:%s- name: ", nl);
            put_string(b, f->name ? f->name : "pruned model");
            buf_fmt(b, "%s  results:%s", nl, nl);
        }
        any = true;
        buf_fmt(b, "  - task:%s      type: text-generation%s    dataset:%s      type: text%s      name: ", nl,
                nl, nl, nl);
        put_string(b, r->texts[i].text);
        buf_fmt(b, "%s    metrics:%s    - type: perplexity%s      value: %.6g%s", nl, nl, nl,
                r->texts[i].ppl_after, nl);
    }
}

/* ---- writing ---- */

/* As the hub itself takes a GGUF file to be. */
static void put_relation(struct buf *b, const char *nl)
{
    buf_fmt(b, "base_model_relation: quantized%s", nl);
}

struct edit {        /* of a key */
    struct entry at; /* line NULL: the front matter has none */
    struct buf text; /* what stands there instead; at the end, where there was none */
    bool keep;       /* stays as it is */
};

enum { EDIT_BASE, EDIT_RELATION, EDIT_TAGS, EDIT_RESULTS, N_EDITS };

/* The lines with the edits in their places; those of new keys behind. */
static void put_lines(struct buf *b, const struct front *f, struct edit *edits)
{
    const char *p = f->start;
    for (;;) {
        const struct edit *next = NULL;
        for (int i = 0; i < N_EDITS; i++)
            if (edits[i].at.line >= p && edits[i].at.line && !edits[i].keep &&
                (!next || edits[i].at.line < next->at.line))
                next = &edits[i];
        if (!next)
            break;
        buf_add(b, p, (size_t)(next->at.line - p));
        buf_add(b, next->text.s, next->text.n);
        p = next->at.end;
    }
    buf_add(b, p, (size_t)(f->end - p));
    for (int i = 0; i < N_EDITS; i++)
        if (!edits[i].at.line && !edits[i].keep)
            buf_add(b, edits[i].text.s, edits[i].text.n);
}

bool card_put_front(struct buf *b, const struct front *f, const struct card_facts *facts, const char *nl)
{
    static const char *const keys[N_EDITS] = {"base_model", "base_model_relation", "tags", "model-index"};
    struct edit edits[N_EDITS] = {0};
    struct buf lines = {0};
    const char *id = facts->base_id;
    bool ok = understood(f);
    for (int i = 0; ok && i < N_EDITS; i++) {
        struct entry again;
        if (find_entry(f, keys[i], &edits[i].at) && (i == EDIT_RELATION || i == EDIT_RESULTS))
            ok = !find_entry(&(struct front){edits[i].at.end, f->end, false}, keys[i], &again);
    }
    struct edit *base = &edits[EDIT_BASE], *tags = &edits[EDIT_TAGS];
    base->keep = !id || (base->at.line && same_base(&base->at, id));
    edits[EDIT_RELATION].keep = base->keep;
    if (ok && id)
        put_base(&base->text, id, nl);
    if (ok && id && facts->file)
        put_relation(&edits[EDIT_RELATION].text, nl);
    if (ok)
        put_results(&edits[EDIT_RESULTS].text, facts, nl);
    if (ok && tags->at.line)
        ok = put_tags_of(&tags->text, &tags->at, nl);
    else if (ok)
        put_tags(&tags->text, nl);
    if (ok) {
        put_lines(&lines, f, edits);
        ok =
            understood(&(struct front){lines.s, lines.s + lines.n, false}); /* a tag may end what continued */
    }
    if (ok)
        buf_add(b, lines.s, lines.n);
    else
        buf_add(b, f->start, (size_t)(f->end - f->start));
    for (int i = 0; i < N_EDITS; i++)
        buf_clear(&edits[i].text);
    buf_clear(&lines);
    return ok;
}

void card_put_new_front(struct buf *b, const struct card_facts *f, const char *nl)
{
    if (f->base_id)
        put_base(b, f->base_id, nl);
    if (f->file) {
        if (f->base_id)
            put_relation(b, nl);
        if (f->license) {
            buf_str(b, "license: ");
            put_string(b, f->license);
            buf_str(b, nl);
        }
        buf_fmt(b, "library_name: gguf%spipeline_tag: text-generation%s", nl, nl);
    }
    put_tags(b, nl);
    put_results(b, f, nl);
}
