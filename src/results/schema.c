/* schema.c - see schema.h. The answer has three values, because under "not" and "oneOf" a keyword that is ignored
 * may turn it round: where something was ignored, a value that would fit only may. */
#include "results/schema.h"
#include "base/mem.h"
#include "base/text.h"

#include <math.h>
#include <string.h>

#define MAX_DEPTH 64
#define MAX_STEPS 100000 /* keywords; a call needs some hundred */

enum fit { NO, MAYBE, YES };

struct check {
    const json_t *root;
    json_t *ignored;
    struct { /* what is being checked, the innermost last */
        const json_t *schema, *v;
    } up[MAX_DEPTH];
    uint32_t depth, steps;
};

static enum fit fits(struct check *c, const json_t *schema, const json_t *v);

static enum fit ignore(struct check *c, const char *what)
{
    if (c->ignored)
        json_object_set_new(c->ignored, what,
                            json_integer(json_integer_value(json_object_get(c->ignored, what)) + 1));
    return MAYBE;
}

static enum fit when(bool fit)
{
    return fit ? YES : NO;
}

static enum fit worse(enum fit a, enum fit b)
{
    return a < b ? a : b;
}

/* ---- values ---- */

static bool is_whole(const json_t *v)
{
    return json_is_integer(v) || (json_is_real(v) && floor(json_real_value(v)) == json_real_value(v));
}

/* Most are strings, and a list of them may be long. */
static bool same_string(const json_t *a, const json_t *b)
{
    return json_string_length(a) == json_string_length(b) &&
           !memcmp(json_string_value(a), json_string_value(b), json_string_length(a));
}

/* Whether one of n values is v. */
static bool is_among(const json_t *v, const json_t *const *list, size_t n)
{
    struct buf want = {0}, b = {0};
    bool found = false, string = json_is_string(v);
    json_canonical(&want, v);
    for (size_t i = 0; !found && i < n; i++) {
        if (json_is_string(list[i]) || string) {
            found = json_is_string(list[i]) && string && same_string(v, list[i]);
            continue;
        }
        b.n = 0;
        json_canonical(&b, list[i]);
        found = b.n == want.n && !memcmp(b.s, want.s, b.n);
    }
    buf_clear(&want);
    buf_clear(&b);
    return found;
}

static bool is_nullable(const json_t *schema, const json_t *v)
{
    return json_is_null(v) && json_is_true(json_object_get(schema, "nullable"));
}

static double n_chars(const json_t *v)
{
    const char *s = json_string_value(v);
    double n = 0;
    for (size_t at = 0, len = json_string_length(v), k; at < len; at += k, n++) {
        k = utf8_len(s + at, len - at);
        k = k ? k : 1;
    }
    return n;
}

/* ---- keywords: schema is the one that the keyword, with the value x, stands in ---- */

typedef enum fit keyword_fn(struct check *c, const json_t *schema, const json_t *x, const json_t *v);

static enum fit is_type(struct check *c, const char *name, const json_t *v)
{
    if (!strcmp(name, "object"))
        return when(json_is_object(v));
    if (!strcmp(name, "array"))
        return when(json_is_array(v));
    if (!strcmp(name, "string"))
        return when(json_is_string(v));
    if (!strcmp(name, "number"))
        return when(json_is_number(v));
    if (!strcmp(name, "integer"))
        return when(is_whole(v));
    if (!strcmp(name, "boolean"))
        return when(json_is_boolean(v));
    if (!strcmp(name, "null"))
        return when(json_is_null(v));
    return ignore(c, "type");
}

static enum fit check_type(struct check *c, const json_t *schema, const json_t *x, const json_t *v)
{
    if (is_nullable(schema, v))
        return YES;
    if (json_is_string(x))
        return is_type(c, json_string_value(x), v);
    if (!json_is_array(x))
        return ignore(c, "type");
    enum fit best = NO;
    for (size_t i = 0; i < json_array_size(x); i++) {
        const char *name = json_string_value(json_array_get(x, i));
        enum fit f = name ? is_type(c, name, v) : ignore(c, "type");
        best = f > best ? f : best;
    }
    return best;
}

static enum fit check_enum(struct check *c, const json_t *schema, const json_t *x, const json_t *v)
{
    if (!json_is_array(x))
        return ignore(c, "enum");
    size_t n = json_array_size(x);
    const json_t **list = xcalloc(n + 1, sizeof *list);
    for (size_t i = 0; i < n; i++)
        list[i] = json_array_get(x, i);
    bool found = is_among(v, list, n);
    free(list);
    return when(found || is_nullable(schema, v));
}

static enum fit check_const(struct check *c, const json_t *schema, const json_t *x, const json_t *v)
{
    (void)c, (void)schema;
    return when(is_among(v, &x, 1));
}

static enum fit check_properties(struct check *c, const json_t *schema, const json_t *x, const json_t *v)
{
    (void)schema;
    enum fit all = YES;
    const char *key;
    json_t *sub;
    if (!json_is_object(x))
        return ignore(c, "properties");
    json_object_foreach ((json_t *)(uintptr_t)x, key, sub)
        if (json_object_get(v, key))
            all = worse(all, fits(c, sub, json_object_get(v, key)));
    return all;
}

static enum fit check_required(struct check *c, const json_t *schema, const json_t *x, const json_t *v)
{
    (void)schema;
    if (!json_is_array(x))
        return ignore(c, "required");
    for (size_t i = 0; json_is_object(v) && i < json_array_size(x); i++) {
        const char *key = json_string_value(json_array_get(x, i));
        if (key && !json_object_get(v, key))
            return NO;
    }
    return YES;
}

static enum fit check_additional(struct check *c, const json_t *schema, const json_t *x, const json_t *v)
{
    const json_t *named = json_object_get(schema, "properties");
    enum fit all = YES;
    const char *key;
    json_t *member;
    if (json_object_get(schema, "patternProperties")) /* which name them by what is not known here */
        return ignore(c, "additionalProperties");
    json_object_foreach ((json_t *)(uintptr_t)v, key, member)
        if (!json_object_get(named, key))
            all = worse(all, fits(c, x, member));
    return all;
}

static enum fit check_prefix(struct check *c, const json_t *schema, const json_t *x, const json_t *v)
{
    (void)schema;
    enum fit all = YES;
    for (size_t i = 0; i < json_array_size(x) && i < json_array_size(v); i++)
        all = worse(all, fits(c, json_array_get(x, i), json_array_get(v, i)));
    return all;
}

static enum fit check_items(struct check *c, const json_t *schema, const json_t *x, const json_t *v)
{
    enum fit all = YES;
    if (json_is_array(x))
        return check_prefix(c, schema, x, v);
    for (size_t i = json_array_size(json_object_get(schema, "prefixItems")); i < json_array_size(v); i++)
        all = worse(all, fits(c, x, json_array_get(v, i)));
    return all;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum fit check_unique(struct check *c, const json_t *schema, const json_t *x, const json_t *v)
{
    (void)c, (void)schema;
    size_t n = json_is_true(x) ? json_array_size(v) : 0;
    char **s = xcalloc(n + 1, sizeof *s);
    bool unique = true;
    for (size_t i = 0; i < n; i++) {
        struct buf b = {0};
        json_canonical(&b, json_array_get(v, i));
        s[i] = b.s;
    }
    qsort(s, n, sizeof *s, by_text);
    for (size_t i = 1; i < n; i++)
        unique &= strcmp(s[i], s[i - 1]) != 0;
    for (size_t i = 0; i < n; i++)
        free(s[i]);
    free(s);
    return when(unique);
}

static enum fit check_any(struct check *c, const json_t *schema, const json_t *x, const json_t *v)
{
    (void)schema;
    enum fit best = NO;
    if (!json_is_array(x))
        return ignore(c, "anyOf");
    for (size_t i = 0; best != YES && i < json_array_size(x); i++) {
        enum fit f = fits(c, json_array_get(x, i), v);
        best = f > best ? f : best;
    }
    return best;
}

static enum fit check_one(struct check *c, const json_t *schema, const json_t *x, const json_t *v)
{
    (void)schema;
    size_t n[] = {[NO] = 0, [MAYBE] = 0, [YES] = 0};
    if (!json_is_array(x))
        return ignore(c, "oneOf");
    for (size_t i = 0; i < json_array_size(x); i++)
        n[fits(c, json_array_get(x, i), v)]++;
    if (n[YES] > 1 || n[YES] + n[MAYBE] == 0)
        return NO;
    return n[MAYBE] ? MAYBE : YES;
}

static enum fit check_all(struct check *c, const json_t *schema, const json_t *x, const json_t *v)
{
    (void)schema;
    enum fit all = YES;
    if (!json_is_array(x))
        return ignore(c, "allOf");
    for (size_t i = 0; i < json_array_size(x); i++)
        all = worse(all, fits(c, json_array_get(x, i), v));
    return all;
}

static enum fit check_not(struct check *c, const json_t *schema, const json_t *x, const json_t *v)
{
    (void)schema;
    enum fit f = fits(c, x, v);
    return f == MAYBE ? MAYBE : when(f == NO);
}

/* The numbers that a limit may be about; not a number: v is of another type. */
static double size_of(const json_t *v, bool chars, bool items, bool members)
{
    if (chars && json_is_string(v))
        return n_chars(v);
    if (items && json_is_array(v))
        return (double)json_array_size(v);
    if (members && json_is_object(v))
        return (double)json_object_size(v);
    return NAN;
}

static enum fit at_least(double size, const json_t *x)
{
    return when(isnan(size) || !json_is_number(x) || size >= json_number_value(x));
}

static enum fit at_most(double size, const json_t *x)
{
    return when(isnan(size) || !json_is_number(x) || size <= json_number_value(x));
}

#define SIZE_CHECK(name, limit, ...)                                                              \
    static enum fit name(struct check *c, const json_t *schema, const json_t *x, const json_t *v) \
    {                                                                                             \
        (void)c, (void)schema;                                                                    \
        return limit(size_of(v, __VA_ARGS__), x);                                                 \
    }
SIZE_CHECK(check_min_length, at_least, true, false, false)
SIZE_CHECK(check_max_length, at_most, true, false, false)
SIZE_CHECK(check_min_items, at_least, false, true, false)
SIZE_CHECK(check_max_items, at_most, false, true, false)
SIZE_CHECK(check_min_properties, at_least, false, false, true)
SIZE_CHECK(check_max_properties, at_most, false, false, true)

static enum fit check_minimum(struct check *c, const json_t *schema, const json_t *x, const json_t *v)
{
    (void)c;
    double limit = json_number_value(x), is = json_number_value(v);
    bool open = json_is_true(json_object_get(schema, "exclusiveMinimum")); /* draft 4 */
    return when(!json_is_number(v) || !json_is_number(x) || (open ? is > limit : is >= limit));
}

static enum fit check_maximum(struct check *c, const json_t *schema, const json_t *x, const json_t *v)
{
    (void)c;
    double limit = json_number_value(x), is = json_number_value(v);
    bool open = json_is_true(json_object_get(schema, "exclusiveMaximum"));
    return when(!json_is_number(v) || !json_is_number(x) || (open ? is < limit : is <= limit));
}

static enum fit check_above(struct check *c, const json_t *schema, const json_t *x, const json_t *v)
{
    (void)c, (void)schema;
    return when(!json_is_number(v) || !json_is_number(x) || json_number_value(v) > json_number_value(x));
}

static enum fit check_below(struct check *c, const json_t *schema, const json_t *x, const json_t *v)
{
    (void)c, (void)schema;
    return when(!json_is_number(v) || !json_is_number(x) || json_number_value(v) < json_number_value(x));
}

static enum fit check_multiple(struct check *c, const json_t *schema, const json_t *x, const json_t *v)
{
    (void)schema;
    double step = json_number_value(x), times = json_number_value(v) / step;
    if (!(step > 0))
        return ignore(c, "multipleOf");
    return when(!json_is_number(v) || fabs(times - round(times)) <= 1e-9 * fmax(1, fabs(times)));
}

/* A member's name in a pointer: ~1 is '/', ~0 is '~'. */
static const json_t *step_into(const json_t *at, const char *name, size_t n)
{
    struct buf b = {0};
    const json_t *to;
    buf_str(&b, "");
    for (size_t i = 0; i < n; i++) {
        bool code = name[i] == '~' && i + 1 < n && (name[i + 1] == '0' || name[i + 1] == '1');
        buf_char(&b, code ? (name[++i] == '0' ? '~' : '/') : name[i]);
    }
    uint64_t index;
    to = json_is_array(at) && parse_u64(b.s, &index) ? json_array_get(at, index) : json_object_get(at, b.s);
    buf_clear(&b);
    return to;
}

static enum fit check_ref(struct check *c, const json_t *schema, const json_t *x, const json_t *v)
{
    (void)schema;
    const char *p = json_string_value(x);
    const json_t *at = p && *p == '#' ? c->root : NULL;
    for (p = at ? p + 1 : ""; at && *p == '/';) {
        size_t n = strcspn(++p, "/");
        at = step_into(at, p, n);
        p += n;
    }
    return at && !*p ? fits(c, at, v) : ignore(c, "$ref");
}

/* fn NULL: it says something to people, or to the check of another keyword. */
static const struct keyword {
    const char *name;
    keyword_fn *fn;
} keywords[] = {
    {"type", check_type},
    {"properties", check_properties},
    {"required", check_required},
    {"description", NULL},
    {"title", NULL},
    {"default", NULL},
    {"enum", check_enum},
    {"const", check_const},
    {"items", check_items},
    {"prefixItems", check_prefix},
    {"additionalProperties", check_additional},
    {"anyOf", check_any},
    {"oneOf", check_one},
    {"allOf", check_all},
    {"not", check_not},
    {"$ref", check_ref},
    {"$defs", NULL},
    {"definitions", NULL},
    {"nullable", NULL},
    {"minimum", check_minimum},
    {"maximum", check_maximum},
    {"exclusiveMinimum", check_above},
    {"exclusiveMaximum", check_below},
    {"multipleOf", check_multiple},
    {"minLength", check_min_length},
    {"maxLength", check_max_length},
    {"minItems", check_min_items},
    {"maxItems", check_max_items},
    {"uniqueItems", check_unique},
    {"minProperties", check_min_properties},
    {"maxProperties", check_max_properties},
    {"examples", NULL},
    {"example", NULL},
    {"deprecated", NULL},
    {"readOnly", NULL},
    {"writeOnly", NULL},
    {"then", NULL}, /* parts of "if", which is counted */
    {"else", NULL},
    {"strict", NULL},
    {"$schema", NULL},
    {"$id", NULL},
    {"id", NULL},
    {"$comment", NULL},
};

static const struct keyword *find_keyword(const char *name)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (!strcmp(keywords[i].name, name))
            return &keywords[i];
    return NULL;
}

static enum fit check_keywords(struct check *c, const json_t *schema, const json_t *v)
{
    enum fit all = YES;
    const char *key;
    json_t *x;
    json_object_foreach ((json_t *)(uintptr_t)schema, key, x) {
        const struct keyword *k = find_keyword(key);
        if (c->steps++ >= MAX_STEPS)
            return worse(all, ignore(c, "(too large)"));
        if (!k)
            all = worse(all, ignore(c, key));
        else if (k->fn)
            all = worse(all, k->fn(c, schema, x, v));
    }
    return all;
}

static enum fit fits(struct check *c, const json_t *schema, const json_t *v)
{
    if (json_is_boolean(schema))
        return when(json_is_true(schema));
    if (!json_is_object(schema))
        return ignore(c, "(no schema)");
    if (c->depth == MAX_DEPTH)
        return ignore(c, "(too deep)");
    for (uint32_t i = 0; i < c->depth; i++)
        if (c->up[i].schema == schema && c->up[i].v == v) /* the answer would be its own reason */
            return ignore(c, "(endless)");
    c->up[c->depth].schema = schema;
    c->up[c->depth].v = v;
    c->depth++;
    enum fit f = check_keywords(c, schema, v);
    c->depth--;
    return f;
}

bool schema_check(const json_t *schema, const json_t *v, json_t *ignored)
{
    struct check c = {.root = schema, .ignored = ignored};
    return fits(&c, schema, v) != NO;
}
