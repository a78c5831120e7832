/* fuzz_calls.c - schemas of tools and the arguments of calls (src/results/{calls,schema}.c, json_canonical), both by
 * strangers.
 *
 * The input is {"schema": ..., "value": ...}, or any text as arguments. A check ends, gives the same answer twice,
 * and what is said in canonical form reads as a value of the same form. */
#include "fuzz.h"
#include "json_mutator.h"
#include "results/calls.h"
#include "results/schema.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one_canonical(const json_t *v)
{
    struct buf a = {0}, b = {0};
    bool rounded;
    json_canonical(&a, v);
    json_t *again = json_parse_loose(a.s, a.n, &rounded);
    MUST(again && !rounded);
    json_canonical(&b, again);
    MUST(a.n == b.n && !memcmp(a.s, b.s, a.n));
    json_decref(again);
    buf_clear(&a);
    buf_clear(&b);
}

static void one_schema(const json_t *doc)
{
    const json_t *schema = json_object_get(doc, "schema"), *v = json_object_get(doc, "value");
    json_t *ignored = json_object();
    bool fits = schema && v && schema_check(schema, v, ignored);
    MUST(!schema || !v || schema_check(schema, v, NULL) == fits);
    json_decref(ignored);
}

static void one_call(const char *s)
{
    json_t *f = json_pack("{s:s, s:s}", "name", "f", "arguments", s);
    if (!f)
        return; /* no UTF-8 */
    struct calls c;
    calls_read(&c, NULL, f);
    struct calls_agreement g = calls_compare(&c, &c);
    MUST(c.n == 1 && g.equal && g.names && g.arguments);
    calls_clear(&c);
    json_decref(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool rounded;
    struct buf b = {0};
    buf_add(&b, data, size);
    json_t *doc = json_parse_loose(b.s, b.n, &rounded);
    if (doc && !rounded) {
        one_canonical(doc);
        one_schema(doc);
    }
    one_call(b.s);
    json_decref(doc);
    buf_clear(&b);
    return 0;
}
