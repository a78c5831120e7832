/* schema.h - whether a value is what a JSON Schema asks for, as far as the schemas of tools go.
 *
 * Known are: type (also "nullable"), enum, const; properties, required, additionalProperties, minProperties,
 * maxProperties; items (one, or a list of an older draft), prefixItems, minItems, maxItems, uniqueItems; minimum,
 * maximum, exclusiveMinimum, exclusiveMaximum (numbers, or true beside the other), multipleOf; minLength,
 * maxLength; anyOf, oneOf, allOf, not; $ref within the schema. Words that describe are no conditions. Everything
 * else (pattern, format, if, ...) is ignored and counted. A schema is of strangers: depth and work are bounded, and
 * what lies beyond counts as ignored too. */
#ifndef REAP_RESULTS_SCHEMA_H
#define REAP_RESULTS_SCHEMA_H

#include "base/json.h"

/* Nothing that is known speaks against v. ignored: an object, gets for each ignored keyword how often it was met;
 * NULL: nobody wants to know. */
bool schema_check(const json_t *schema, const json_t *v, json_t *ignored);

#endif
