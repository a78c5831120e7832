/* json_sure.c - values of jansson that are there or end the process; see json.h. */
#include "base/json.h"
#include "base/sig.h"

#include <math.h>

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
    json_t *v = (json_string)(s), *any = v || !s ? v : json_string_nocheck(s);
    if (s && !any)
        no_memory();
    if (!v) /* it is not UTF-8 */
        json_decref(any);
    return v;
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
    if (!json_is_object(o) || !v || !key)
        return (json_object_set_new)(o, key, v);
    int rc = (json_object_set_new)(o, key, json_incref(v));
    if (rc == 0 || o == v) {
        json_decref(v);
        return rc;
    }
    if (json_object_set_new_nocheck(o, key, v) != 0)
        no_memory();
    json_object_del(o, key); /* the key is not UTF-8 */
    return -1;
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

char *json_sure_dumps(const json_t *v, size_t flags)
{
    char *s = (json_dumps)(v, flags);
    if (!s && (json_is_object(v) || json_is_array(v) || (v && flags & JSON_ENCODE_ANY)))
        no_memory();
    return s;
}
