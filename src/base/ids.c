/* ids.c - see ids.h. */
#include "base/ids.h"

#include <string.h>

bool ids_number(const char *s, size_t n, uint64_t *out)
{
    *out = 0;
    if (!n || n > 10 || (s[0] == '0' && n > 1))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        *out = 10 * *out + (uint64_t)(s[i] - '0');
    }
    return true;
}

bool ids_layer(const char *key, uint32_t *il)
{
    uint64_t n;
    bool ok = ids_number(key, strlen(key), &n) && n <= INT32_MAX;
    *il = ok ? (uint32_t)n : 0;
    return ok;
}

void ids_set_layer(json_t *o, uint32_t il, json_t *v)
{
    char key[16];
    snprintf(key, sizeof key, "%u", il);
    json_object_set_new(o, key, v);
}

const json_t *ids_get_layer(const json_t *o, uint32_t il)
{
    char key[16];
    snprintf(key, sizeof key, "%u", il);
    return json_object_get(o, key);
}

bool ids_read(const json_t *list, uint32_t max, uint32_t *out, size_t *bad)
{
    for (*bad = 0; *bad < json_array_size(list); ++*bad) {
        const json_t *v = json_array_get(list, *bad);
        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > max)
            return false;
        out[*bad] = (uint32_t)json_integer_value(v);
    }
    return true;
}

json_t *ids_json(const uint32_t *ids, size_t n)
{
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(a, json_integer(ids[i]));
    return a;
}

int ids_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}
