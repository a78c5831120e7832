/* results.c - see results_part.h. */
#include "results/results_part.h"

#include <string.h>

bool results_schema(const json_t *doc, const char *schema, struct err *e)
{
    const char *is = json_string_value(json_object_get(doc, "schema"));
    if (!is)
        return err_set(e, ERR_INPUT, "schema is missing, expected '%s'", schema);
    return !strcmp(is, schema) || err_set(e, ERR_INPUT, "schema is '%.60s', expected '%s'", is, schema);
}
