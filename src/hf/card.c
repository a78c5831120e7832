/* card.c - see card.h: where in the text of a card the section stands. */
#include "base/mem.h"
#include "hf/card_part.h"

static const char *newline_of(const char *text)
{
    const char *nl = text ? strchrnul(text, '\n') : NULL; /* one line: what would end it */
    return nl && nl > text && nl[-1] == '\r' ? "\r\n" : "\n";
}

/* Our section in the text: a begin and the next of our comments, if that is an end. */
static bool find_section(const char *text, const char **from, const char **to)
{
    const char *end = text + strlen(text);
    *from = NULL;
    for (const char *p = text; p < end; p = line_end(p, end)) {
        struct span t = trim(span_of(p, line_end(p, end)));
        if (span_is(t, CARD_BEGIN))
            *from = p;
        if (span_is(t, CARD_END) && *from) {
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
        card_put_section(b, f, nl);
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
    card_put_section(b, f, nl);
    if (at < end && trim(span_of(at, line_end(at, end))).n)
        buf_str(b, nl);
    buf_add(b, at, (size_t)(end - at));
}

bool card_write(struct buf *out, const char *readme, const struct card_facts *f)
{
    const char *text = readme ? readme : "", *nl = newline_of(readme);
    struct front fm = card_find_front(text);
    struct buf b = {0};
    bool ok = true;
    if (fm.broken) {
        put_body(&b, text, f, nl, false);
        ok = false;
    } else if (fm.start) {
        const char *end = text + strlen(text), *body = line_end(fm.end, end);
        buf_add(&b, text, (size_t)(fm.start - text));
        ok = card_put_front(&b, &fm, f, nl);
        buf_add(&b, fm.end, (size_t)(body - fm.end));
        put_body(&b, body, f, nl, true);
    } else {
        if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
            text += 3;
        buf_fmt(&b, "---%s", nl);
        card_put_new_front(&b, f, nl);
        buf_fmt(&b, "---%s", nl);
        if (trim(span_of(text, line_end(text, text + strlen(text)))).n && behind_heading(text))
            buf_str(&b, nl);
        if (f->name && !*text) {
            buf_fmt(&b, "%s# ", nl);
            card_put_title(&b, f->name);
            buf_str(&b, nl);
        }
        put_body(&b, text, f, nl, true);
    }
    buf_add(out, b.s, b.n);
    buf_clear(&b);
    return ok;
}
