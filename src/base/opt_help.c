/* opt_help.c - options as text: --help set for the width of a terminal, and the sentence of a row. */
#include "base/opt.h"
#include "base/term.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEFT 32u /* the column at which descriptions begin */

uint32_t opt_width(void)
{
    uint64_t n = 0;
    const char *columns = getenv("COLUMNS");
    if (!columns || !parse_u64(columns, &n) || !n)
        n = term_columns(STDOUT_FILENO);
    return n == 0 ? 80 : n < 40 ? 40 : n > 200 ? 200 : (uint32_t)n;
}

const char *opt_choice(const struct opt_choices *c, uint32_t i)
{
    return c->list ? c->list[i] : c->at(i);
}

const struct opt *opt_at(const struct opt *const *tables, uint32_t i)
{
    for (size_t t = 0; tables[t]; t++)
        for (const struct opt *o = tables[t]; o->kind != OPT_KIND_END; o++)
            if (i-- == 0)
                return o;
    return NULL;
}

/* "-o, --output FILE" */
static void opt_names(struct buf *b, const struct opt *o)
{
    buf_fmt(b, "%s%s--%s", o->alias ? o->alias : "", o->alias ? ", " : "", o->name);
    if (o->also)
        buf_fmt(b, ", --%s", o->also);
    if (o->arg)
        buf_fmt(b, " %s", o->arg);
}

/* Into the parentheses at the end; the first opens them, or goes into those that are there. */
static void note(struct buf *b, const char *lead, const char *text)
{
    bool open = b->n && b->s[b->n - 1] == ')';
    if (open)
        b->s[--b->n] = 0;
    buf_fmt(b, "%s%s%s)", open ? "; " : " (", lead, text);
}

void opt_describe(struct buf *b, const struct opt *o)
{
    buf_str(b, o->help);
    if (o->choices) {
        struct buf words = {0};
        for (uint32_t i = 0; opt_choice(o->choices, i); i++)
            buf_fmt(&words, "%s%s", i ? ", " : "", opt_choice(o->choices, i));
        note(b, "one of ", words.s);
        buf_clear(&words);
    }
    if (o->required)
        note(b, o->unless ? "required unless --" : "required", o->unless ? o->unless : "");
    if (o->kind == OPT_KIND_PATHS || o->kind == OPT_KIND_STRS)
        note(b, "", "several times");
    if (o->dflt)
        note(b, "default ", o->dflt);
    if (o->dflt_is)
        note(b, "default: ", o->dflt_is);
}

void opt_wrap(struct buf *b, const char *text, uint32_t at, uint32_t indent, uint32_t width)
{
    bool first = true;
    for (const char *s = text; *s;) {
        uint32_t n = (uint32_t)strcspn(s, " ");
        if (!first && at + 1 + n >= width) {
            buf_fmt(b, "\n%*s", (int)indent, "");
            at = indent;
        } else if (!first) {
            buf_char(b, ' ');
            at++;
        }
        buf_add(b, s, n);
        at += n;
        first = false;
        s += n;
        s += strspn(s, " ");
    }
    buf_char(b, '\n');
}

#define KEEP '\1' /* a blank at which no line ends, until the lines are set */

/* What is in brackets, if it fits into a line, and an option with its value, stay together. */
static void keep_together(char *s, uint32_t room)
{
    bool value = false; /* the word is an option, a value may follow */
    char *close = s;    /* up to here we are in brackets */
    for (char *p = s; *p; p++) {
        char *end = *p == '(' ? strchr(p, ')') : *p == '[' ? strchr(p, ']') : NULL;
        if (end && end > close && end - p + 5 < (long)room)
            close = end;
        if (p == s || p[-1] == ' ')
            value = *p == '-';
        if (*p == ' ' && (p < close || (value && !strchr("-[(|", p[1]))))
            *p = KEEP;
    }
}

void opt_usage(struct buf *b, const struct opt_spec *s, uint32_t width)
{
    const char *lead = "usage:", *bold = term_on(STDOUT_FILENO, TERM_HEADING), *off = term_off(STDOUT_FILENO);
    for (const char *form = s->usage; *form; lead = "      ") {
        size_t n = strcspn(form, "\n");
        struct buf line = {0};
        uint32_t at = (uint32_t)(strlen(lead) + 1 + strlen(s->name) + 1);
        buf_add(&line, form, n);
        buf_fmt(b, "%s%s%s %s ", *lead == 'u' ? bold : "", lead, *lead == 'u' ? off : "", s->name);
        keep_together(line.s, width > at ? width - at : 0);
        size_t from = b->n;
        opt_wrap(b, line.s, at, at, width);
        for (char *p = b->s + from; (p = strchr(p, KEEP));)
            *p = ' ';
        buf_clear(&line);
        form += n + (form[n] == '\n');
    }
}

void opt_heading(struct buf *b, const char *before, const char *text)
{
    buf_fmt(b, "%s%s%s:%s", before, term_on(STDOUT_FILENO, TERM_HEADING), text, term_off(STDOUT_FILENO));
}

void opt_help(struct buf *b, const struct opt_spec *s, uint32_t width)
{
    const struct opt *o;
    for (uint32_t i = 0; (o = opt_at(s->tables, i)); i++) {
        struct buf names = {0}, text = {0};
        if (o->kind == OPT_KIND_HEADING) {
            opt_heading(b, "\n", o->name);
            buf_char(b, '\n');
            continue;
        }
        opt_names(&names, o);
        opt_describe(&text, o);
        buf_fmt(b, "  %-*s", (int)LEFT - 2, names.s);
        if (names.n + 2 >= LEFT) /* too long: a line of its own */
            buf_fmt(b, "\n%*s", (int)LEFT, "");
        opt_wrap(b, text.s, LEFT, LEFT, width);
        buf_clear(&names);
        buf_clear(&text);
    }
}
