/* members.c - see members.h. */
#include "hf/members.h"
#include "base/text.h"

#include <string.h>

/* The character that s begins with is a control character (C0, DEL, C1 in UTF-8). */
static bool is_control(const char *s, size_t n)
{
    unsigned char c = (unsigned char)s[0];
    return c < 0x20 || c == 0x7f || (n > 1 && c == 0xc2 && (unsigned char)s[1] < 0xa0);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static char skip_space(struct members *m) /* 0 at the end of the text, and for a NUL, which is no JSON */
{
    while (m->pos < m->n && is_space(m->text[m->pos]))
        m->pos++;
    return m->pos < m->n ? m->text[m->pos] : 0;
}

/* Lines and columns of bytes, from 1, as jspan counts. */
static bool fail_at(struct members *m, const char *expected)
{
    size_t line = 1, start = 0;
    for (size_t i = 0; i < m->pos; i++)
        if (m->text[i] == '\n') {
            line++;
            start = i + 1;
        }
    char found[16] = "the end";
    unsigned char c = m->pos < m->n ? (unsigned char)m->text[m->pos] : 0;
    if (m->pos < m->n)
        snprintf(found, sizeof found, c > 0x20 && c < 0x7f ? "'%c'" : "byte 0x%02x", c);
    m->ok = false;
    return err_set(m->e, ERR_INPUT, "line %zu, column %zu: found %s, expected %s", line, m->pos - start + 1,
                   found, expected);
}

void members_open(struct members *m, char *text, size_t n, size_t at, struct jdoc *doc, struct buf *scratch,
                  struct err *e)
{
    *m =
        (struct members){.text = text, .n = n, .pos = at, .doc = doc, .scratch = scratch, .ok = true, .e = e};
    if (skip_space(m) != '{')
        fail_at(m, "'{', the start of an object");
    else
        m->pos++;
}

/* The value of the escape \uXXXX that s begins with; 0 if there is none (jspan refuses it then). */
static unsigned escape_value(const char *s, size_t n)
{
    unsigned v = 0;
    if (n < 6 || s[0] != '\\' || s[1] != 'u')
        return 0;
    for (int i = 2; i < 6; i++) {
        const char *digits = "0123456789abcdef";
        const char *at = s[i] ? strchr(digits, s[i] >= 'A' && s[i] <= 'F' ? s[i] + 32 : s[i]) : NULL;
        if (!at)
            return 0;
        v = v * 16 + (unsigned)(at - digits);
    }
    return v;
}

bool members_check_escapes(struct members *m)
{
    const char *s = m->text, *stop = s + m->n;
    while (m->ok && s < stop && (s = memchr(s, '\\', (size_t)(stop - s)))) {
        unsigned v = escape_value(s, (size_t)(stop - s));
        unsigned low = v >= 0xd800 && v < 0xdc00 ? escape_value(s + 6, (size_t)(stop - s - 6)) : 0;
        if (v >= 0xd800 && v <= 0xdfff && !(low >= 0xdc00 && low <= 0xdfff)) {
            m->pos = (size_t)(s - m->text);
            return fail_at(m, "no half of a surrogate pair");
        }
        s += low ? 12 : 2;
    }
    return m->ok;
}

char *members_str(struct members *m, const char *what)
{
    if (skip_space(m) != '"') {
        fail_at(m, what);
        return NULL;
    }
    size_t at = m->pos + 1;
    if (!jdoc_parse(m->doc, m->text, m->n, m->pos, &m->pos, false, m->e)) {
        m->ok = false;
        return NULL;
    }
    m->scratch->n = 0;
    jdoc_str(m->doc, 0, m->scratch);
    const char *s = m->scratch->s;
    size_t n = m->scratch->n;
    for (size_t i = 0; i < n; i++)
        if (is_control(s + i, n - i)) {
            char shown[2 * TEXT_SHOWN];
            err_set(m->e, ERR_INPUT, "'%s' holds control characters, expected %s without any",
                    text_shown(shown, sizeof shown, s), what);
            m->ok = false;
            return NULL;
        }
    if (n)
        memcpy(m->text + at, s, n);
    m->text[at + n] = 0;
    return m->text + at;
}

bool members_next(struct members *m)
{
    if (!m->ok)
        return false;
    char c = skip_space(m);
    if (c == '}') {
        m->pos++;
        return false;
    }
    if (m->count++) {
        if (c != ',')
            return fail_at(m, "',' or '}'");
        m->pos++;
    }
    m->key = members_str(m, "a name in quotes");
    if (!m->key)
        return false;
    if (skip_space(m) != ':')
        return fail_at(m, "':'");
    m->pos++;
    skip_space(m);
    return true;
}

/* Where the value at text[at] ends, found by counting brackets: good enough to bound it, the parser decides
 * what it is. */
static size_t value_end(const char *s, size_t n, size_t at)
{
    uint64_t depth = 0;
    for (bool in_string = false; at < n; at++) {
        char c = s[at];
        if (in_string) {
            if (c == '\\')
                at++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            if (depth <= 1)
                return depth ? at + 1 : at;
            depth--;
        } else if (c == ',' && !depth) {
            return at;
        }
    }
    return n;
}

bool members_value(struct members *m, size_t max)
{
    size_t end = value_end(m->text, m->n, m->pos);
    if (end - m->pos > max) {
        m->ok = false;
        return err_set(m->e, ERR_INPUT, "its value has %zu bytes, expected at most %zu", end - m->pos, max);
    }
    m->ok = jdoc_parse(m->doc, m->text, end, m->pos, NULL, false, m->e);
    m->pos = end;
    return m->ok;
}

bool members_end(struct members *m)
{
    if (m->ok && (skip_space(m) || m->pos < m->n))
        fail_at(m, "nothing more");
    return m->ok;
}
