/* json_sure.c - values of jansson that are there or end the process; see json.h. */
#include "base/json.h"
#include "base/mem.h"
#include "base/sig.h"
#include "base/text.h"

#include <math.h>
#include <string.h>

static void no_memory(void)
{
    sig_die("out of memory");
}

json_t *json_sure(json_t *v)
{
    if (!v)
        no_memory();
    return v;
}

json_t *json_sure_string(const char *s)
{
    return s && utf8_valid(s, strlen(s)) ? json_sure((json_string)(s)) : NULL;
}

json_t *json_sure_real(double d)
{
    return isfinite(d) ? json_sure((json_real)(d)) : NULL;
}

json_t *json_sure_copy(const json_t *v, json_t *made)
{
    return v ? json_sure(made) : NULL;
}

int json_sure_set(json_t *o, const char *key, json_t *v)
{
    bool may = json_is_object(o) && key && utf8_valid(key, strlen(key)) && v && o != v;
    int rc = (json_object_set_new)(o, key, v);
    return may ? json_sure_rc(rc) : rc;
}

int json_sure_append(json_t *a, json_t *v)
{
    bool may = json_is_array(a) && v && a != v;
    int rc = (json_array_append_new)(a, v);
    return may ? json_sure_rc(rc) : rc;
}

int json_sure_extend(json_t *a, const json_t *more)
{
    return json_is_array(a) && json_is_array(more)
               ? json_sure_rc((json_array_extend)(a, (json_t *)(uintptr_t)more))
               : -1;
}

int json_sure_rc(int rc)
{
    if (rc != 0)
        no_memory();
    return rc;
}

/* Seventeen digits of a real number where nothing else is asked for: by itself jansson writes these before 2.15 and as few as tell it
 * from others since, and the bytes of a file, or of what is hashed, would depend on the machine. */
static size_t with_digits(size_t flags)
{
    return flags & JSON_REAL_PRECISION(31) ? flags : flags | JSON_REAL_PRECISION(17);
}

char *json_sure_dumps(const json_t *v, size_t flags)
{
    char *s = (json_dumps)(v, with_digits(flags));
    if (!s && (json_is_object(v) || json_is_array(v) || (v && flags & JSON_ENCODE_ANY)))
        no_memory();
    return s;
}

void json_sure_dump(const json_t *v, json_dump_callback_t f, void *ud, size_t flags)
{
    json_sure_rc((json_dump_callback)(v, f, ud, with_digits(flags)));
}

/* ---- reading ----
 *
 * Jansson's lexer has one buffer for the text of a token, which grows and is kept, and does not notice when it could not grow: a number
 * would lose its last digits (jansson 2.14, load.c, lex_save). So it is made to grow at once, by a string in front that is
 * as long as any token, and that must come back whole. An allocator that never fails needs none of this. */

size_t json_string_end(const char *s, size_t n, size_t at)
{
    size_t end = at + 1;
    while (end < n && s[end] != '"')
        end += s[end] == '\\' && end + 1 < n ? 2 : 1;
    return end + (end < n);
}

/* No token of the text is longer: a string, or what stands between white space and punctuation. */
static size_t longest_token(const char *s, size_t n)
{
    size_t longest = 0;
    for (size_t at = 0, end; at < n; at = end) {
        end = at + 1;
        if (s[at] == '"') {
            end = json_string_end(s, n, at);
        } else if (!strchr(" \t\r\n,:[]{}", s[at])) {
            while (end < n && !strchr(" \t\r\n,:[]{}\"", s[end]))
                end++;
        }
        longest = end - at > longest ? end - at : longest;
    }
    return longest;
}

/* The text behind the string, in a list of both. */
static json_t *load_behind(const char *s, size_t n, size_t flags, json_error_t *je)
{
    size_t first = longest_token(s, n);
    char *both = malloc(first + n + 8);
    json_t *list = NULL, *v = NULL;
    if (!both)
        return NULL;
    size_t at = 0;
    both[at++] = '[';
    both[at++] = '"';
    memset(both + at, 'x', first);
    at += first;
    memcpy(both + at, "\",\n", 3);
    at += 3;
    memcpy(both + at, s, n);
    at += n;
    both[at++] = ']';
    list = json_loadb(both, at, flags, je);
    free(both);
    if (json_array_size(list) == 2 && json_string_length(json_array_get(list, 0)) == first)
        v = json_incref(json_array_get(list, 1));
    json_decref(list);
    return v;
}

json_t *json_sure_load(const char *s, size_t n, size_t flags, json_error_t *je)
{
    json_malloc_t allocate;
    json_free_t release;
    json_error_t first = {.line = 0};
    json_get_alloc_funcs(&allocate, &release);
    if (allocate == xmalloc)
        return json_loadb(s, n, flags, je);
    json_t *v = load_behind(s, n, flags, &first);
    if (v)
        return v;
    v = json_loadb(s, n, flags, je);                                 /* as it is, for the place of an error */
    if (v && json_error_code(&first) != json_error_stack_overflow) { /* one level deeper than this */
        json_decref(v);
        v = NULL;
        je->text[0] = 0;
    }
    return v;
}
