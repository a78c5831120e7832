/* results.c - see results_part.h. */
#include "results/results_part.h"

#include <math.h>
#include <string.h>

bool results_schema(const json_t *doc, const char *schema, struct err *e)
{
    const char *is = json_string_value(json_object_get(doc, "schema"));
    if (!is)
        return err_set(e, ERR_INPUT, "schema is missing, expected '%s'", schema);
    return !strcmp(is, schema) || err_set(e, ERR_INPUT, "schema is '%.60s', expected '%s'", is, schema);
}

static const json_t *member(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_null(v) ? NULL : v;
}

bool results_str(const json_t *o, const char *key, const char *where, const char **out, struct err *e)
{
    *out = NULL;
    return !member(o, key) || json_need_str(o, key, where, out, e);
}

bool results_f64(const json_t *o, const char *key, const char *where, double *out, struct err *e)
{
    const json_t *v = member(o, key);
    *out = v ? json_number_value(v) : (double)NAN;
    return !v || json_is_number(v) ||
           err_set(e, ERR_INPUT, "%s: '%s' is %s, expected a number", where, key, json_type_name(v));
}

bool results_u64(const json_t *o, const char *key, const char *where, uint64_t otherwise, uint64_t *out,
                 struct err *e)
{
    *out = otherwise;
    return !member(o, key) || json_need_u64(o, key, where, out, e);
}

bool results_obj(const json_t *o, const char *key, const char *where, const json_t **out, struct err *e)
{
    json_t *v = NULL;
    bool ok = !member(o, key) || json_need_obj(o, key, where, &v, e);
    *out = ok ? v : NULL;
    return ok;
}

bool results_bool(const json_t *o, const char *key, const char *where, bool *out, struct err *e)
{
    const json_t *v = member(o, key);
    *out = json_is_true(v);
    return !v || json_is_boolean(v) ||
           err_set(e, ERR_INPUT, "%s: '%s' is %s, expected true or false", where, key, json_type_name(v));
}

json_t *results_real(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}
