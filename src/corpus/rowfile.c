/* rowfile.c - see rowfile.h. */
#include "corpus/rowfile.h"
#include "base/json.h"
#include "base/sig.h"
#include "corpus/row.h"
#include "corpus/source.h"

#include <string.h>

#define MAX_DEPTH 2048 /* as the JSON library */
#define MAX_KEY   32

static const char *const wrappers[] = {"data", "rows", NULL}; /* members that hold the rows of a file */

struct scan {
    const char *s;
    size_t n;
    struct err *e;
    size_t seen; /* lines were counted up to here: */
    uint32_t line;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t skip_space(const char *s, size_t n, size_t at)
{
    while (at < n && is_space(s[at]))
        at++;
    return at;
}

/* The line of a place that is not before the last one asked for. */
static uint32_t line_of(struct scan *x, size_t at)
{
    for (const char *nl; x->seen < at && (nl = memchr(x->s + x->seen, '\n', at - x->seen));) {
        x->line++;
        x->seen = (size_t)(nl - x->s) + 1;
    }
    return x->line;
}

static bool broken(struct scan *x, size_t at, const char *expected)
{
    size_t line = 1, start = 0, column = 1;
    for (size_t i = 0; i < at; i++)
        if (x->s[i] == '\n') {
            line++;
            start = i + 1;
        }
    for (size_t i = start; i < at; i++)
        column += ((unsigned char)x->s[i] & 0xc0) != 0x80;
    return err_set(x->e, ERR_INPUT, "line %zu, column %zu: not valid JSON: expected %s", line, column,
                   expected);
}

/* Behind the string that begins at `at`; n when it does not end. */
static size_t string_end(const char *s, size_t n, size_t at)
{
    for (at++; at < n; at++) {
        const char *quote = memchr(s + at, '"', n - at);
        if (!quote)
            return n;
        size_t end = (size_t)(quote - s), slashes = 0;
        while (end - slashes > at && s[end - slashes - 1] == '\\')
            slashes++;
        at = end;
        if (slashes % 2 == 0)
            return end + 1;
    }
    return n;
}

/* Behind the value that begins at `at`; 0 and *bad when its brackets do not fit. */
static size_t value_end(const char *s, size_t n, size_t at, size_t *bad)
{
    unsigned char is_list[MAX_DEPTH / 8] = {0};
    unsigned depth = 0;
    *bad = n;
    while (at < n) {
        char c = s[at];
        if (c == '"') {
            at = string_end(s, n, at);
        } else if (c == '{' || c == '[') {
            if (depth == MAX_DEPTH)
                return *bad = at, 0;
            unsigned char bit = (unsigned char)(1u << depth % 8);
            is_list[depth / 8] =
                (unsigned char)(c == '[' ? is_list[depth / 8] | bit : is_list[depth / 8] & ~bit);
            depth++;
            at++;
            continue;
        } else if (c == '}' || c == ']') {
            if (!depth || (is_list[(depth - 1) / 8] >> (depth - 1) % 8 & 1) != (c == ']'))
                return *bad = at, 0;
            depth--;
            at++;
        } else if (depth) {
            at++;
        } else {
            while (at < n && !is_space(s[at]) && s[at] != ',' && s[at] != ']' && s[at] != '}')
                at++;
        }
        if (!depth)
            return at;
    }
    return 0;
}

/* ---- lists ---- */

static bool give(struct scan *x, size_t at, size_t end, uint32_t row, rowfile_row *fn, void *ud)
{
    struct rowfile_place place = {line_of(x, at), row};
    return sig_check(x->e) && fn(ud, place, x->s + at, end - at, x->e);
}

/* The rows of the list that begins at *at, which moves behind it. */
static bool each_of_list(struct scan *x, size_t *at, rowfile_row *fn, void *ud)
{
    uint32_t row = 0;
    size_t i = skip_space(x->s, x->n, *at + 1), end, bad;
    while (i < x->n && x->s[i] != ']') {
        if (row && x->s[i] != ',')
            return broken(x, i, "',' or ']'");
        if (row)
            i = skip_space(x->s, x->n, i + 1);
        if (i == x->n)
            break;
        if (x->s[i] == ',' || x->s[i] == ']' || x->s[i] == '}')
            return broken(x, i, "a row");
        if (!(end = value_end(x->s, x->n, i, &bad)))
            return broken(x, bad, bad < x->n ? "brackets that fit" : "the end of the list");
        if (!give(x, i, end, ++row, fn, ud))
            return false;
        i = skip_space(x->s, x->n, end);
    }
    if (i == x->n)
        return broken(x, i, "the end of the list");
    *at = i + 1;
    return true;
}

/* Whether the list at `at` is one row: a chat, not a list of rows. */
static bool is_chat(const struct scan *x, size_t at)
{
    size_t i = skip_space(x->s, x->n, at + 1), bad, end = i < x->n ? value_end(x->s, x->n, i, &bad) : 0;
    return end && row_is_message(x->s + i, end - i);
}

/* Where the rows begin in an object that only wraps them: the place of the list. 0: it is a row itself. */
static size_t wrapped_at(const struct scan *x, size_t at, size_t end)
{
    json_t *keys = json_object(); /* without their values, to see whether they are those of a form */
    size_t found = 0, bad;
    for (size_t i = skip_space(x->s, end, at + 1); i < end && x->s[i] == '"';) {
        size_t key = i + 1, key_end = string_end(x->s, end, i) - 1;
        i = skip_space(x->s, end, key_end + 1);
        if (i == end || x->s[i] != ':')
            break;
        i = skip_space(x->s, end, i + 1);
        char name[MAX_KEY];
        if (key_end - key < sizeof name) {
            memcpy(name, x->s + key, key_end - key);
            name[key_end - key] = 0;
            json_object_set_new(keys, name, json_true());
            size_t first = i < end && x->s[i] == '[' ? skip_space(x->s, end, i + 1) : end;
            for (const char *const *w = wrappers; *w; w++)
                if (!strcmp(name, *w) && first < end && x->s[first] == '{')
                    found = i;
        }
        if (i == end || !(i = value_end(x->s, end, i, &bad)))
            break;
        i = skip_space(x->s, end, i);
        if (i < end && x->s[i] == ',')
            i = skip_space(x->s, end, i + 1);
    }
    if (found && row_has_form(keys))
        found = 0;
    json_decref(keys);
    return found;
}

static bool each_value(struct scan *x, size_t at, rowfile_row *fn, void *ud)
{
    size_t end, bad, list;
    while ((at = skip_space(x->s, x->n, at)) < x->n) {
        if (x->s[at] == '[' && !is_chat(x, at)) {
            if (!each_of_list(x, &at, fn, ud))
                return false;
            continue;
        }
        if (!(end = value_end(x->s, x->n, at, &bad)) || end == at)
            return broken(x, bad < x->n ? bad : at, bad < x->n ? "brackets that fit" : "an object that ends");
        list = x->s[at] == '{' ? wrapped_at(x, at, end) : 0;
        if (!(list ? each_of_list(x, &list, fn, ud) : give(x, at, end, 0, fn, ud)))
            return false;
        at = end;
    }
    return true;
}

/* ---- lines ---- */

struct lines {
    rowfile_row *fn;
    void *ud;
};

static bool a_line(void *ud, uint32_t line, const char *s, size_t n, struct err *e)
{
    const struct lines *l = ud;
    return l->fn(l->ud, (struct rowfile_place){line, 0}, s, n, e);
}

/* Whether the text is a row a line, by its first line that is not blank: a value that ends on it, or one that
 * is bad, unless what follows goes on with it. */
static bool is_lines(const struct scan *x, size_t at)
{
    const char *nl = memchr(x->s + at, '\n', x->n - at);
    size_t end = nl ? (size_t)(nl - x->s) : x->n, bad, close = value_end(x->s, end, at, &bad);
    size_t next = skip_space(x->s, x->n, end), z = end;
    if (x->s[at] ==
        '[') /* of lists each would be a line, too, but they are read in any way that they stand */
        return false;
    if (close || bad < end)
        return !(close && next == x->n && x->s[at] == '{' && wrapped_at(x, at, close));
    while (z > at && is_space(x->s[z - 1]))
        z--;
    return !strchr("{[,:", x->s[z - 1]) || (x->s[z - 1] == ',' && next < x->n && x->s[next] == '{');
}

bool rowfile_each(const char *s, size_t n, rowfile_row *fn, void *ud, struct err *e)
{
    struct scan x = {.s = s, .n = n, .e = e, .line = 1};
    struct lines l = {fn, ud};
    size_t at = skip_space(s, n, 0);
    if (at == n)
        return true;
    return is_lines(&x, at) ? source_lines(s, n, a_line, &l, e) : each_value(&x, at, fn, ud);
}

bool rowfile_is_likely(const char *s, size_t n)
{
    size_t at = skip_space(s, n, 0), bad;
    const char *nl = at < n && s[at] == '{' ? memchr(s + at, '\n', n - at) : NULL;
    if (at == n || s[at] != '{')
        return false;
    size_t end = nl ? (size_t)(nl - s) : n, close = value_end(s, end, at, &bad);
    if (!close || skip_space(s, end, close) != end)
        return false;
    size_t next = skip_space(s, n, end);
    struct err e = {0};
    json_t *v = json_parse_data(s + at, close - at, NULL, &e);
    json_decref(v);
    return v && (next == n || s[next] == '{');
}
