/* card.c - see card.h.
 *
 * The front matter is edited line by line and only where its form is plain; there is no YAML parser here.
 * A line of the front matter that does not begin with a space begins a key, or belongs to the key above
 * (items of a list, closing brackets, comments). */
#include "prune/card.h"
#include "base/file.h"
#include "base/jspan.h"
#include "base/mem.h"
#include "base/text.h"

#include <string.h>

#define BEGIN     "<!-- reap:begin -->"
#define END       "<!-- reap:end -->"
#define SHOWN     200 /* bytes of a text from a file */
#define MAX_FILES 10  /* calibration files in the table */

static const char *const our_tags[] = {"reap", "expert-pruning"};
#define N_TAGS (sizeof our_tags / sizeof *our_tags)

/* A part of a text, never NUL-terminated. */
struct span {
    const char *s;
    size_t n;
};

static struct span span_of(const char *from, const char *to)
{
    return (struct span){from, (size_t)(to - from)};
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span trim(struct span t)
{
    while (t.n && is_space(t.s[t.n - 1]))
        t.n--;
    while (t.n && is_space(*t.s)) {
        t.s++;
        t.n--;
    }
    return t;
}

static bool span_is(struct span t, const char *s)
{
    return t.n == strlen(s) && memcmp(t.s, s, t.n) == 0;
}

static struct span unquoted(struct span t)
{
    if (t.n >= 2 && (*t.s == '"' || *t.s == '\'') && t.s[t.n - 1] == *t.s)
        return span_of(t.s + 1, t.s + t.n - 1);
    return t;
}

/* Behind the line that begins at p. */
static const char *line_end(const char *p, const char *end)
{
    const char *nl = memchr(p, '\n', (size_t)(end - p));
    return nl ? nl + 1 : end;
}

static const char *newline_of(const char *text)
{
    const char *nl = text ? strchr(text, '\n') : NULL;
    return nl && nl > text && nl[-1] == '\r' ? "\r\n" : "\n";
}

/* ---- front matter: finding ---- */

struct front {
    const char *start, *end; /* of the lines between the two of --- */
    bool broken;             /* begins and does not end */
};

/* NULL start: there is none. The text may begin with a byte order mark and empty lines. */
static struct front find_front(const char *text)
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

/* ---- front matter: values ---- */

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

static bool is_id(const char *s)
{
    static const char ok[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t org = strspn(s, ok);
    if (!org || *s == '-' || *s == '.' || s[org] != '/')
        return false;
    size_t name = strspn(s + org + 1, ok);
    return name && s[org + 1 + name] == 0;
}

static void add_yaml(struct buf *b, const char *id)
{
    if (is_id(id)) {
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

/* ---- front matter: tags ---- */

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

/* Ends the line if the text ended without. */
static void close_line(struct buf *b, const char *nl)
{
    if (b->n && b->s[b->n - 1] != '\n')
        buf_str(b, nl);
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

/* ---- front matter: writing ---- */

static bool same_base(const struct entry *x, const char *id)
{
    return line_end(x->line, x->end) == x->end && span_is(unquoted(scalar(span_of(x->value, x->end))), id);
}

/* The lines between the two of ---. False: they stay as they are. */
static bool put_front(struct buf *b, const struct front *f, const char *id, const char *nl)
{
    struct entry base = {0}, tags = {0};
    struct buf new_tags = {0};
    bool ok = understood(f);
    bool has_base = ok && find_entry(f, "base_model", &base), has_tags = ok && find_entry(f, "tags", &tags);
    ok = ok && (!has_tags || put_tags_of(&new_tags, &tags, nl));
    if (ok) {
        const char *p = f->start;
        bool base_first = has_base && (!has_tags || base.line < tags.line);
        for (int i = 0; i < 2; i++) {
            bool do_base = base_first == (i == 0);
            const struct entry *x = do_base ? &base : &tags;
            if (do_base ? !has_base || !id || same_base(x, id) : !has_tags)
                continue;
            buf_add(b, p, (size_t)(x->line - p));
            if (do_base)
                put_base(b, id, nl);
            else
                buf_add(b, new_tags.s, new_tags.n);
            p = x->end;
        }
        buf_add(b, p, (size_t)(f->end - p));
        if (id && !has_base)
            put_base(b, id, nl);
        if (!has_tags)
            put_tags(b, nl);
    } else {
        buf_add(b, f->start, (size_t)(f->end - f->start));
    }
    buf_clear(&new_tags);
    return ok;
}

/* ---- section ---- */

/* Text from a file as plain text of Markdown, also inside a table and between HTML. */
static void add_text(struct buf *b, const char *s)
{
    struct buf safe = {0};
    size_t n = strnlen(s, SHOWN);
    buf_safe(&safe, s, n);
    for (size_t i = 0; i < safe.n; i++) {
        char c = safe.s[i];
        bool word = i && i + 1 < safe.n && !is_space(safe.s[i - 1]) && !is_space(safe.s[i + 1]);
        if (strchr("<>&|`*[]\\~$#", c) || (c == '_' && !word))
            buf_fmt(b, "&#%d;", c);
        else
            buf_char(b, c);
    }
    if (s[n])
        buf_str(b, "...");
    buf_clear(&safe);
}

/* The last part of a path, for a command: a name that a shell takes as it is, or the placeholder. */
static const char *in_command(const char *path, const char *placeholder)
{
    static const char ok[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    const char *s = path ? path_base(path) : "";
    size_t n = strlen(s);
    return n && n <= SHOWN && *s != '-' && *s != '.' && strspn(s, ok) == n ? s : placeholder;
}

static const char *string_in(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static bool count_in(const json_t *o, const char *key, uint64_t *out)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_integer(v) || json_integer_value(v) <= 0)
        return false;
    *out = (uint64_t)json_integer_value(v);
    return true;
}

static const char *criterion_of(const struct card_facts *f)
{
    return f->criterion ? f->criterion : string_in(f->plan, "criterion");
}

static void put_sizes(struct buf *b, const struct card_facts *f)
{
    char x[32], y[32];
    buf_fmt(b, "| experts per layer | %u -> %u |\n", f->n_experts, f->n_keep);
    if (f->n_moe_layers)
        buf_fmt(b, "| layers with experts | %u |\n", f->n_moe_layers);
    if (f->bytes_before && f->bytes_after)
        buf_fmt(b, "| size of the weights | %s -> %s |\n", human_bytes(f->bytes_before, x),
                human_bytes(f->bytes_after, y));
}

static void put_calibration(struct buf *b, const struct card_facts *f)
{
    const json_t *files = json_object_get(f->calibration, "files");
    size_t n = json_array_size(files);
    uint64_t v;
    char s[32];
    if (n) {
        buf_str(b, "| calibration text | ");
        for (size_t i = 0; i < n && i < MAX_FILES; i++) {
            const char *name = string_in(json_array_get(files, i), "file");
            buf_str(b, i ? ", " : "");
            add_text(b, name ? path_base(name) : "?");
            if (count_in(json_array_get(files, i), "n_used", &v))
                buf_fmt(b, " (%s)", human_count(v, s));
        }
        if (n > MAX_FILES)
            buf_fmt(b, " and %zu more", n - MAX_FILES);
        buf_str(b, " |\n");
    }
    if (count_in(f->calibration, "n_samples", &v))
        buf_fmt(b, "| calibration samples | %s |\n", human_count(v, s));
    if (count_in(f->calibration, "n_tokens", &v) ||
        count_in(json_array_get(json_object_get(f->plan, "sources"), 0), "n_tokens", &v))
        buf_fmt(b, "| calibration tokens | %s |\n", human_count(v, s));
}

/* Mean over the layers of what the plan says is lost. */
static void put_lost(struct buf *b, const json_t *plan)
{
    const char *key;
    json_t *layer, *lost = json_object_get(plan, "lost");
    double sum = 0;
    size_t n = 0;
    json_object_foreach (lost, key, layer) {
        const json_t *x = json_object_get(layer, "tokens_lost");
        if (!json_is_number(x))
            return;
        sum += json_number_value(x);
        n++;
    }
    if (n && sum >= 0 && sum <= (double)n)
        buf_fmt(b, "| share of the routing that went to removed experts | %.1f %% |\n",
                100 * sum / (double)n);
}

static void put_commands(struct buf *b, const struct card_facts *f)
{
    const char *model = in_command(f->source, "MODEL");
    buf_str(b, "```\n");
    if (f->calibration) {
        const json_t *files = json_object_get(f->calibration, "files");
        const char *text = json_array_size(files) == 1 ? string_in(json_array_get(files, 0), "file") : NULL;
        buf_fmt(b, "reap profile %s --calib %s -o stats.json\n", model, in_command(text, "TEXT"));
    }
    if (f->calibration || json_object_get(f->plan, "sources")) {
        const char *name = in_command(criterion_of(f), "reap");
        bool usual = strcmp(name, "reap") == 0; /* the default */
        buf_fmt(b, "reap plan stats.json --keep %u%s%s -o plan.json\n", f->n_keep,
                usual ? "" : " --criterion ", usual ? "" : name);
    }
    buf_fmt(b, "reap prune %s --plan plan.json -o PRUNED\n```\n", model);
}

static void put_section(struct buf *b, const struct card_facts *f)
{
    const char *criterion = criterion_of(f), *source = f->source ? path_base(f->source) : "";
    buf_str(b, BEGIN "\n## Expert pruning (reap)\n\nThis model is ");
    if (f->base_id)
        add_text(b, f->base_id);
    else if (*source)
        add_text(b, source);
    else
        buf_str(b, "a mixture-of-experts model");
    buf_fmt(
        b,
        " with %u of %u experts left in each mixture-of-experts layer. The weights that stay are bit for bit"
        " those of the original: nothing was trained or quantised again.\n\n| | |\n|---|---|\n",
        f->n_keep, f->n_experts);
    put_sizes(b, f);
    if (criterion) {
        buf_str(b, "| criterion | ");
        add_text(b, criterion);
        buf_str(b, " |\n");
    }
    put_calibration(b, f);
    put_lost(b, f->plan);
    buf_str(b, "| made with | reap " REAP_VERSION " |\n\n");
    if (f->mtp) {
        add_text(b, f->mtp);
        buf_str(b, "\n\n");
    }
    put_commands(b, f);
    buf_str(b, "\nWhich experts stay, and where this comes from, is in [reap.json](reap.json).\n" END "\n");
}

/* The same with the line ends of the text. */
static void put_section_as(struct buf *b, const struct card_facts *f, const char *nl)
{
    struct buf s = {0};
    put_section(&s, f);
    for (size_t i = 0; i < s.n; i++) {
        if (s.s[i] == '\n')
            buf_str(b, nl);
        else
            buf_char(b, s.s[i]);
    }
    buf_clear(&s);
}

/* Our section in the text: a begin and the next of our comments, if that is an end. */
static bool find_section(const char *text, const char **from, const char **to)
{
    const char *end = text + strlen(text);
    *from = NULL;
    for (const char *p = text; p < end; p = line_end(p, end)) {
        struct span t = trim(span_of(p, line_end(p, end)));
        if (span_is(t, BEGIN))
            *from = p;
        if (span_is(t, END) && *from) {
            *to = line_end(p, end);
            return true;
        }
    }
    return false;
}

static bool is_heading(struct span line)
{
    size_t n = 0;
    while (n < line.n && line.s[n] == '#')
        n++;
    return n > 0 && n <= 6 && (n == line.n || is_space(line.s[n]));
}

/* Behind the first heading that is not in a block of code; NULL: there is none. */
static const char *behind_heading(const char *text)
{
    const char *end = text + strlen(text);
    char fence = 0;
    bool above = false; /* the line above is text: === below makes it a heading */
    for (const char *p = text; p < end; p = line_end(p, end)) {
        const char *stop = line_end(p, end);
        struct span t = trim(span_of(p, stop));
        if (t.n >= 3 && (*t.s == '`' || *t.s == '~') && t.s[1] == *t.s && t.s[2] == *t.s &&
            (!fence || fence == *t.s)) {
            fence = fence ? 0 : *t.s;
            continue;
        }
        if (!fence && t.n && t.s - p < 4) {
            size_t n = 0;
            while (n < t.n && t.s[n] == '=')
                n++;
            if (is_heading(t) || (above && n == t.n))
                return stop;
        }
        above = t.n > 0;
    }
    return NULL;
}

/* The text behind the front matter with the section in it. top: where it goes without a heading. */
static void put_body(struct buf *b, const char *body, const struct card_facts *f, const char *nl, bool top)
{
    const char *from, *to, *end = body + strlen(body);
    if (find_section(body, &from, &to)) {
        buf_add(b, body, (size_t)(from - body));
        put_section_as(b, f, nl);
        buf_str(b, to);
        return;
    }
    const char *at = behind_heading(body);
    if (!at)
        at = top ? body : end;
    buf_add(b, body, (size_t)(at - body));
    close_line(b, nl);
    if (b->n)
        buf_str(b, nl);
    put_section_as(b, f, nl);
    if (at < end && trim(span_of(at, line_end(at, end))).n)
        buf_str(b, nl);
    buf_add(b, at, (size_t)(end - at));
}

bool card_write(struct buf *out, const char *readme, const struct card_facts *f)
{
    const char *text = readme ? readme : "", *nl = newline_of(readme);
    struct front fm = find_front(text);
    struct buf b = {0};
    bool ok = true;
    if (fm.broken) {
        put_body(&b, text, f, nl, false);
        ok = false;
    } else if (fm.start) {
        const char *end = text + strlen(text), *body = line_end(fm.end, end);
        buf_add(&b, text, (size_t)(fm.start - text));
        ok = put_front(&b, &fm, f->base_id, nl);
        buf_add(&b, fm.end, (size_t)(body - fm.end));
        put_body(&b, body, f, nl, true);
    } else {
        if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
            text += 3;
        buf_fmt(&b, "---%s", nl);
        if (f->base_id)
            put_base(&b, f->base_id, nl);
        put_tags(&b, nl);
        buf_fmt(&b, "---%s", nl);
        if (trim(span_of(text, line_end(text, text + strlen(text)))).n && behind_heading(text))
            buf_str(&b, nl);
        put_body(&b, text, f, nl, true);
    }
    buf_add(out, b.s, b.n);
    buf_clear(&b);
    return ok;
}

/* ---- the hub's cache ---- */

/* "models--ORG--NAME" of .../models--ORG--NAME/snapshots/HASH. */
static char *id_of_path(const char *path)
{
    struct span part[3] = {0}; /* the last components, the last first */
    const char *end = path + strlen(path);
    for (int i = 0; i < 3; i++) {
        while (end > path && end[-1] == '/')
            end--;
        const char *start = end;
        while (start > path && start[-1] != '/')
            start--;
        part[i] = span_of(start, end);
        end = start;
    }
    static const char prefix[] = "models--";
    size_t n = strlen(prefix);
    if (!part[0].n || !span_is(part[1], "snapshots") || part[2].n <= n || memcmp(part[2].s, prefix, n) != 0)
        return NULL;
    char *id = xstrndup(part[2].s + n, part[2].n - n), *sep = strstr(id, "--");
    if (sep && !strstr(sep + 2, "--")) {
        *sep = '/';
        memmove(sep + 1, sep + 2, strlen(sep + 2) + 1);
        if (is_id(id))
            return id;
    }
    free(id);
    return NULL;
}

char *card_hub_id(const char *model_dir)
{
    char *id = id_of_path(model_dir);
    if (id)
        return id;
    char *real = realpath(model_dir, NULL);
    id = real ? id_of_path(real) : NULL;
    free(real);
    return id;
}
