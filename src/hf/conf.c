/* conf.c - see conf.h. */
#include "hf/conf.h"

#include "base/mem.h"
#include "hf/names.h"

#include <string.h>

bool conf_next(const char **list, char out[CONF_WORD])
{
    size_t n = strcspn(*list, "|");
    if (!**list)
        return false;
    if (n >= CONF_WORD)
        BUG("long name '%s'", *list);
    memcpy(out, *list, n);
    out[n] = 0;
    *list += n + ((*list)[n] == '|');
    return true;
}

struct conf conf_of(const struct jdoc *d)
{
    return (struct conf){d, hf_text_config(d)};
}

/* A member, or "object.member". */
static uint32_t member(const struct jdoc *d, uint32_t object, const char *key)
{
    const char *dot = strchr(key, '.');
    char first[CONF_WORD];
    if (!dot)
        return jdoc_get(d, object, key);
    snprintf(first, sizeof first, "%.*s", (int)(dot - key), key);
    object = jdoc_get(d, object, first);
    return object == JSPAN_NONE || d->nodes[object].kind != J_OBJECT ? JSPAN_NONE
                                                                     : jdoc_get(d, object, dot + 1);
}

uint32_t conf_get(const struct conf *c, const char *keys)
{
    char key[CONF_WORD];
    while (conf_next(&keys, key)) {
        uint32_t in_text = c->text == JSPAN_NONE ? JSPAN_NONE : member(c->d, c->text, key);
        uint32_t n = in_text != JSPAN_NONE ? in_text : member(c->d, 0, key);
        if (n != JSPAN_NONE && c->d->nodes[n].kind != J_NULL)
            return n;
    }
    return JSPAN_NONE;
}

uint32_t conf_rope(const struct conf *c, const char *keys)
{
    uint32_t obj = conf_get(c, "rope_parameters|rope_scaling");
    if (obj != JSPAN_NONE && c->d->nodes[obj].kind == J_OBJECT) {
        uint32_t full = jdoc_get(c->d, obj, "full_attention");
        bool two = full != JSPAN_NONE && c->d->nodes[full].kind == J_OBJECT;
        char key[CONF_WORD];
        for (const char *p = keys; conf_next(&p, key);) {
            uint32_t n = jdoc_get(c->d, two ? full : obj, key);
            if (n != JSPAN_NONE && c->d->nodes[n].kind != J_NULL)
                return n;
        }
    }
    return conf_get(c, keys);
}

uint32_t conf_rope_window(const struct conf *c, const char *key)
{
    uint32_t obj = conf_get(c, "rope_parameters|rope_scaling"), near = JSPAN_NONE, n = JSPAN_NONE;
    if (obj != JSPAN_NONE && c->d->nodes[obj].kind == J_OBJECT)
        near = jdoc_get(c->d, obj, "sliding_attention");
    if (near != JSPAN_NONE && c->d->nodes[near].kind == J_OBJECT)
        n = jdoc_get(c->d, near, key);
    return n != JSPAN_NONE && c->d->nodes[n].kind != J_NULL ? n : JSPAN_NONE;
}
