/* secret.c - see secret.h. */
#include "serve/secret.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* A shorter one is no key of any service, but a word like "none" or "local" that people set because something must
 * be, and that answers hold by chance: taking it out would spoil them and protect nothing. */
#define MIN_LENGTH 8

struct secret {
    const char *name, *value, *mark;
};
#define N_KEYS 2

static struct secret nth(size_t i)
{
    return i ? (struct secret){"OPENAI_API_KEY", getenv("OPENAI_API_KEY"), "[OPENAI_API_KEY]"}
             : (struct secret){"REAP_API_KEY", getenv("REAP_API_KEY"), "[REAP_API_KEY]"};
}

const char *secret_key(void)
{
    for (size_t i = 0; i < N_KEYS; i++) {
        const char *k = nth(i).value;
        if (k && *k)
            return k;
    }
    return NULL;
}

void secret_forget(void)
{
    for (size_t i = 0; i < N_KEYS; i++)
        unsetenv(nth(i).name);
}

/* How many bytes of s spell this one: itself, \u0041, or \/; 0: they do not. */
static size_t spells(const char *s, size_t n, char c)
{
    char hex[5] = "";
    if (n && *s == c)
        return 1;
    if (n < 2 || *s != '\\')
        return 0;
    if (s[1] == c && strchr("\"\\/", c))
        return 2;
    if (n < 6 || s[1] != 'u')
        return 0;
    memcpy(hex, s + 2, 4);
    return strspn(hex, "0123456789abcdefABCDEF") == 4 && strtoul(hex, NULL, 16) == (unsigned char)c ? 6 : 0;
}

/* How many bytes at s are the key, however spelled; 0: it is not there. */
static size_t match(const char *s, size_t n, const char *key)
{
    size_t at = 0, k;
    for (; *key; key++, at += k)
        if (!(k = spells(s + at, n - at, *key)))
            return 0;
    return at;
}

static uint64_t hide_one(struct buf *b, const char *key, const char *mark)
{
    struct buf out = {0};
    uint64_t found = 0;
    size_t from = 0;
    for (size_t at = 0, k; at < b->n; at += k) {
        k = match(b->s + at, b->n - at, key);
        if (k) {
            buf_add(&out, b->s + from, at - from);
            buf_str(&out, mark);
            from = at + k;
            found++;
        } else {
            k = 1;
        }
    }
    if (!found)
        return 0;
    buf_add(&out, b->s + from, b->n - from);
    buf_clear(b);
    *b = out;
    return found;
}

uint64_t secret_hide(struct buf *b)
{
    uint64_t found = 0;
    for (size_t i = 0; b->n && i < N_KEYS; i++) {
        struct secret k = nth(i);
        if (k.value && strlen(k.value) >= MIN_LENGTH)
            found += hide_one(b, k.value, k.mark);
    }
    return found;
}

void secret_hide_err(struct err *e)
{
    struct buf b = {0};
    buf_str(&b, e->msg);
    if (secret_hide(&b))
        snprintf(e->msg, sizeof e->msg, "%s", b.s);
    buf_clear(&b);
}

void secret_hide_str(char **s)
{
    struct buf b = {0};
    if (*s)
        buf_str(&b, *s);
    if (secret_hide(&b)) {
        free(*s);
        *s = xstrdup(b.s);
    }
    buf_clear(&b);
}

static json_t *hide_string(const json_t *v)
{
    struct buf b = {0};
    buf_add(&b, json_string_value(v), json_string_length(v));
    json_t *hidden = secret_hide(&b) ? json_string(b.s) : json_incref((json_t *)(uintptr_t)v);
    buf_clear(&b);
    return hidden;
}

/* One member, or entry, takes the place of another. */
json_t *secret_hide_json(const json_t *v)
{
    json_t *same = json_incref((json_t *)(uintptr_t)v), *out = same, *x;
    const char *key;
    if (json_is_string(v)) {
        json_decref(same);
        return hide_string(v);
    }
    for (size_t i = 0; i < json_array_size(v); i++) {
        x = secret_hide_json(json_array_get(v, i));
        if (x != json_array_get(v, i) && out == same)
            out = json_copy(same);
        if (out != same)
            json_array_set(out, i, x);
        json_decref(x);
    }
    json_object_foreach (same, key, x) {
        json_t *hidden = secret_hide_json(x);
        if (hidden != x && out == same)
            out = json_copy(same);
        if (hidden != x)
            json_object_set(out, key, hidden);
        json_decref(hidden);
    }
    if (out != same)
        json_decref(same);
    return out;
}
