/* json.c - see json.h. */
#include "base/json.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/out.h"
#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define JSON_MAX_FILE (1ull << 30)
#define MARK          3 /* bytes that make a string of an odd number */

static bool not_json(const json_error_t *je, size_t column, bool is_row, struct err *e)
{
    if (!*je->text)
        return err_set(e, ERR_FAILED, "out of memory for JSON");
    return is_row && je->line == 1
               ? err_set(e, ERR_INPUT, "column %zu: not valid JSON: %s", column, je->text)
               : err_set(e, ERR_INPUT, "line %d, column %zu: not valid JSON: %s", je->line, column, je->text);
}

static json_t *load(const char *s, size_t n, json_error_t *je)
{
    return json_sure_load(s, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, je);
}

json_t *json_parse(const char *s, size_t n, struct err *e)
{
    json_error_t je;
    json_t *v = load(s, n, &je);
    if (!v)
        not_json(&je, (size_t)je.column, false, e);
    return v;
}

json_t *json_parse_row(const char *s, size_t n, struct err *e)
{
    json_error_t je;
    json_t *v = load(s, n, &je);
    if (!v)
        not_json(&je, (size_t)je.column, true, e);
    return v;
}

/* ---- rows: numbers that jansson does not take ---- */

/* s[0..n) is followed by what is in no number, or by a NUL. */
static bool is_odd_number(const char *s, size_t n)
{
    static const char *const words[] = {"NaN", "Infinity", "-Infinity"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (n == strlen(words[i]) && !memcmp(s, words[i], n))
            return true;
    size_t sign = *s == '-', digits = strspn(s + sign, "0123456789");
    if (!digits || (s[sign] == '0' && digits > 1) || strspn(s, "0123456789+-.eE") < n)
        return false;
    char *end;
    errno = 0;
    if (sign + digits == n)
        return (void)strtoll(s, &end, 10), errno == ERANGE;
    double d = strtod(s, &end);
    return end == s + n && !isfinite(d);
}

static bool in_number(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '+' || c == '.';
}

/* The text with odd numbers as strings; *marks gets their places in it. False: there are none. */
static bool mark_odd(const char *s, size_t n, struct buf *out, size_t **marks, size_t *n_marks)
{
    size_t cap = 0;
    for (size_t at = 0, end; at < n; at = end) {
        end = at + 1;
        if (s[at] == '"') {
            end = json_string_end(s, n, at);
        } else if (in_number(s[at])) {
            while (end < n && in_number(s[end]))
                end++;
            if (is_odd_number(s + at, end - at)) {
                GROW(*marks, *n_marks, cap);
                (*marks)[(*n_marks)++] = out->n;
                buf_str(out, "\"" JSON_ODD);
                buf_add(out, s + at, end - at);
                buf_char(out, '"');
                continue;
            }
        }
        buf_add(out, s + at, end - at);
    }
    return *n_marks > 0;
}

json_t *json_parse_data(const char *s, size_t n, bool *odd, struct err *e)
{
    json_error_t je;
    json_t *v = load(s, n, &je);
    if (v)
        return v;
    struct buf marked = {0}, copy = {0};
    size_t *marks = NULL, n_marks = 0, added = 0;
    buf_add(&copy, s, n); /* ends with a NUL, which strtod wants */
    if (mark_odd(copy.s, n, &marked, &marks, &n_marks)) {
        v = load(marked.s, marked.n, &je);
        for (size_t i = 0; !v && i < n_marks && marks[i] < (size_t)je.position; i++)
            added += MARK;
    }
    if (v && odd)
        *odd = true;
    if (!v)
        not_json(&je, added < (size_t)je.column ? (size_t)je.column - added : 1, true, e);
    free(marks);
    buf_clear(&marked);
    buf_clear(&copy);
    return v;
}

static const char *odd_spelling(const char *s)
{
    return strncmp(s, JSON_ODD, 1) ? NULL : s + 1;
}

const char *json_find_odd(const json_t *v)
{
    const char *found = NULL, *key;
    json_t *x;
    if (json_is_string(v))
        return odd_spelling(json_string_value(v));
    for (size_t i = 0; !found && i < json_array_size(v); i++)
        found = json_find_odd(json_array_get(v, i));
    json_object_foreach ((json_t *)(uintptr_t)v, key, x) {
        if (!found) /* {NaN: 1}: it may stand for a key, too */
            found = odd_spelling(key) ? odd_spelling(key) : json_find_odd(x);
    }
    return found;
}

json_t *json_parse_loose(const char *s, size_t n, bool *rounded)
{
    json_error_t je;
    size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
    json_t *v = json_sure_load(s, n, flags, &je);
    *rounded = !v;
    return v ? v : json_sure_load(s, n, flags | JSON_DECODE_INT_AS_REAL, &je);
}

json_t *json_read(const char *path, struct err *e)
{
    struct buf b = {0};
    json_t *v = NULL;
    if (file_read_all(path, JSON_MAX_FILE, &b, e)) {
        v = json_parse(b.s, b.n, e);
        if (!v)
            err_ctx(e, "%s", path);
    }
    buf_clear(&b);
    return v;
}

static bool is_scalar_list(const json_t *v)
{
    if (!json_is_array(v))
        return false;
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *x = json_array_get(v, i);
        if (json_is_object(x) || json_is_array(x))
            return false;
    }
    return true;
}

static int dump_cb(const char *s, size_t n, void *ud)
{
    buf_add(ud, s, n);
    return 0;
}

/* A string or another scalar, so that it may be printed: jansson escapes what is below U+0020 alone. */
static void print_scalar(struct buf *b, const json_t *v)
{
    struct buf raw = {0};
    json_dump_callback(v, dump_cb, &raw, JSON_ENCODE_ANY);
    buf_escape(b, raw.s, raw.n);
    buf_clear(&raw);
}

/* Shortest of 15, 16 and 17 digits that reads back equal, always with a point or an exponent (it is a real,
 * not an integer). */
static void print_real(struct buf *b, double d)
{
    char s[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(s, sizeof s, "%.*g", digits, d);
        if (strtod(s, NULL) == d)
            break;
    }
    buf_str(b, s);
    if (!strpbrk(s, ".e"))
        buf_str(b, ".0");
}

static void print_at(struct buf *b, const json_t *v, int depth)
{
    if (json_is_real(v)) {
        print_real(b, json_real_value(v));
    } else if (json_is_object(v) && json_object_size(v)) {
        const char *key;
        json_t *x;
        bool first = true;
        buf_char(b, '{');
        json_object_foreach ((json_t *)(uintptr_t)v, key, x) {
            buf_str(b, first ? "\n" : ",\n");
            first = false;
            buf_fmt(b, "%*s", depth + 1, "");
            json_t *k = json_string(key);
            print_scalar(b, k);
            json_decref(k);
            buf_str(b, ": ");
            print_at(b, x, depth + 1);
        }
        buf_fmt(b, "\n%*s}", depth, "");
    } else if (json_is_array(v) && json_array_size(v)) {
        bool flat = is_scalar_list(v);
        buf_char(b, '[');
        for (size_t i = 0; i < json_array_size(v); i++) {
            if (flat)
                buf_str(b, i ? ", " : "");
            else
                buf_fmt(b, "%s\n%*s", i ? "," : "", depth + 1, "");
            print_at(b, json_array_get(v, i), depth + 1);
        }
        if (flat)
            buf_char(b, ']');
        else
            buf_fmt(b, "\n%*s]", depth, "");
    } else {
        print_scalar(b, v);
    }
}

void json_print(struct buf *b, const json_t *v)
{
    print_at(b, v, 0);
    buf_char(b, '\n');
}

void json_print_line(struct buf *b, const json_t *v)
{
    struct buf raw = {0};
    json_dump_callback(v, dump_cb, &raw, JSON_COMPACT);
    buf_escape(b, raw.s, raw.n); /* outside of strings there is nothing to escape */
    buf_char(b, '\n');
    buf_clear(&raw);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void canonical_object(struct buf *b, json_t *o)
{
    const char **keys = xcalloc(json_object_size(o) + 1, sizeof *keys), *key;
    size_t n = 0;
    json_t *x;
    json_object_foreach (o, key, x)
        keys[n++] = key;
    qsort(keys, n, sizeof *keys, by_bytes);
    buf_char(b, '{');
    for (size_t i = 0; i < n; i++) {
        json_t *k = json_string(keys[i]);
        buf_str(b, i ? ", " : "");
        json_dump_callback(k, dump_cb, b, JSON_ENCODE_ANY);
        json_decref(k);
        buf_str(b, ": ");
        json_canonical(b, json_object_get(o, keys[i]));
    }
    buf_char(b, '}');
    free(keys);
}

void json_canonical(struct buf *b, const json_t *v)
{
    double d = json_real_value(v);
    if (json_is_object(v)) {
        canonical_object(b, (json_t *)(uintptr_t)v);
    } else if (json_is_array(v)) {
        buf_char(b, '[');
        for (size_t i = 0; i < json_array_size(v); i++) {
            buf_str(b, i ? ", " : "");
            json_canonical(b, json_array_get(v, i));
        }
        buf_char(b, ']');
    } else if (json_is_real(v) && d > -0x1p63 && d < 0x1p63 && d == floor(d)) {
        buf_fmt(b, "%lld", (long long)d);
    } else if (json_is_real(v)) {
        print_real(b, d);
    } else {
        json_dump_callback(v, dump_cb, b, JSON_ENCODE_ANY);
    }
}

bool json_write(const char *path, const json_t *v, bool force, struct err *e)
{
    struct buf b = {0};
    json_print(&b, v);
    bool ok = file_write_atomic(path, b.s, b.n, force, e);
    buf_clear(&b);
    return ok;
}

const char *json_type_name(const json_t *v)
{
    static const char *const names[] = {"an object", "a list", "a string", "an integer",
                                        "a number",  "true",   "false",    "null"};
    return v ? names[json_typeof(v)] : "missing";
}

static bool wrong(const json_t *v, const char *key, const char *where, const char *expected, struct err *e)
{
    return err_set(e, ERR_INPUT, "%s: '%s' is %s, expected %s", where, key, json_type_name(v), expected);
}

bool json_need_obj(const json_t *o, const char *key, const char *where, json_t **out, struct err *e)
{
    *out = json_object_get(o, key);
    return json_is_object(*out) || wrong(*out, key, where, "an object", e);
}

bool json_need_arr(const json_t *o, const char *key, const char *where, json_t **out, struct err *e)
{
    *out = json_object_get(o, key);
    return json_is_array(*out) || wrong(*out, key, where, "a list", e);
}

bool json_need_str(const json_t *o, const char *key, const char *where, const char **out, struct err *e)
{
    json_t *v = json_object_get(o, key);
    *out = json_string_value(v);
    return *out || wrong(v, key, where, "a string", e);
}

bool json_need_u64(const json_t *o, const char *key, const char *where, uint64_t *out, struct err *e)
{
    json_t *v = json_object_get(o, key);
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return wrong(v, key, where, "an integer of 0 or more", e);
    *out = (uint64_t)json_integer_value(v);
    return true;
}

bool json_need_f64s(const json_t *o, const char *key, const char *where, double *out, size_t n, struct err *e)
{
    json_t *v;
    if (!json_need_arr(o, key, where, &v, e))
        return false;
    if (json_array_size(v) != n)
        return err_set(e, ERR_INPUT, "%s: '%s' has %zu entries, expected %zu", where, key, json_array_size(v),
                       n);
    for (size_t i = 0; i < n; i++) {
        json_t *x = json_array_get(v, i);
        if (!json_is_number(x) || !isfinite(json_number_value(x)))
            return err_set(e, ERR_INPUT, "%s: '%s' entry %zu is %s, expected a finite number", where, key, i,
                           json_type_name(x));
        out[i] = json_number_value(x);
    }
    return true;
}

static json_t *member(const json_t *o, const char *key)
{
    json_t *v = json_object_get(o, key);
    return json_is_null(v) ? NULL : v;
}

bool json_opt_obj(const json_t *o, const char *key, const char *where, json_t **out, struct err *e)
{
    *out = NULL;
    return !member(o, key) || json_need_obj(o, key, where, out, e);
}

bool json_opt_arr(const json_t *o, const char *key, const char *where, json_t **out, struct err *e)
{
    *out = NULL;
    return !member(o, key) || json_need_arr(o, key, where, out, e);
}

bool json_opt_str(const json_t *o, const char *key, const char *where, const char **out, struct err *e)
{
    *out = NULL;
    return !member(o, key) || json_need_str(o, key, where, out, e);
}

bool json_opt_f64(const json_t *o, const char *key, const char *where, double *out, struct err *e)
{
    const json_t *v = member(o, key);
    *out = v ? json_number_value(v) : (double)NAN;
    return !v || json_is_number(v) || wrong(v, key, where, "a number", e);
}

bool json_opt_u64(const json_t *o, const char *key, const char *where, uint64_t otherwise, uint64_t *out,
                  struct err *e)
{
    *out = otherwise;
    return !member(o, key) || json_need_u64(o, key, where, out, e);
}

bool json_opt_bool(const json_t *o, const char *key, const char *where, bool *out, struct err *e)
{
    const json_t *v = member(o, key);
    *out = json_is_true(v);
    return !v || json_is_boolean(v) || wrong(v, key, where, "true or false", e);
}

json_t *json_text(const char *s)
{
    if (utf8_valid(s, strlen(s)))
        return json_string(s);
    struct buf b = {0};
    buf_safe(&b, s, strlen(s));
    json_t *v = json_string(b.s);
    buf_clear(&b);
    return v;
}

static const char *lacking(const json_t *a, const json_t *b, const char *skip)
{
    const char *key;
    json_t *v;
    json_object_foreach ((json_t *)(uintptr_t)a, key, v)
        if (!(skip && !strcmp(key, skip)) && !json_equal(v, json_object_get(b, key)))
            return key;
    return NULL;
}

const char *json_difference(const json_t *a, const json_t *b, const char *skip)
{
    const char *key = lacking(a, b, skip);
    return key ? key : lacking(b, a, skip);
}

const char *json_two(char dst[JSON_TWO], const json_t *found, const json_t *expected)
{
    const json_t *const v[] = {found, expected};
    char *s[2];
    for (size_t i = 0; i < 2; i++)
        s[i] = v[i] ? json_dumps(v[i], JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII |
                                           JSON_REAL_PRECISION(15))
                    : xstrdup("none");
    int n = snprintf(dst, JSON_TWO, "found %s, expected %s", s[0], s[1]);
    if (n >= JSON_TWO)
        *dst = 0;
    free(s[0]);
    free(s[1]);
    return dst;
}

json_t *json_f64s(const double *v, size_t n)
{
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(a, json_real(v[i]));
    return a;
}

json_t *json_finite(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

void json_put_text(json_t *o, const char *key, const char *s)
{
    if (s)
        json_object_set_new(o, key, json_text(s));
}

void json_put_count(json_t *o, const char *key, int64_t n)
{
    if (n >= 0)
        json_object_set_new(o, key, json_integer(n));
}

void json_put_f64(json_t *o, const char *key, double v)
{
    if (!isnan(v))
        json_object_set_new(o, key, json_real(v));
}
