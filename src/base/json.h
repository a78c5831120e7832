/* json.h - reading and writing our JSON files; the only user of jansson. Values are jansson's json_t
 * (borrowed unless said). Reading is strict (duplicate keys refused) and says line and column. Writing keeps
 * the order of keys, prints doubles so that they come back equal, and puts arrays of scalars on one line:
 * readable, and a diff shows which layer changed. */
#ifndef REAP_BASE_JSON_H
#define REAP_BASE_JSON_H

#include "base/buf.h"
#include "base/err.h"
#include <jansson.h>
#include <stdint.h>

/* Without memory jansson returns NULL, or goes on without it: a file would lack a key. So a program gives it an allocator
 * that never fails (src/program.c), which a library may not do: it is the process's. */
/* What builds and prints values is sure everywhere, by these in the place of jansson's own: the process ends (mem.h). They return
 * NULL, or -1, for a value or a key that cannot be, as jansson's do. */
json_t *json_sure(json_t *v);
json_t *json_sure_string(const char *s);
json_t *json_sure_real(double d);
json_t *json_sure_copy(const json_t *v, json_t *made);
int json_sure_set(json_t *o, const char *key, json_t *v);
int json_sure_append(json_t *a, json_t *v);
int json_sure_extend(json_t *a, const json_t *more);
int json_sure_rc(int rc);
/* json_loadb; NULL with an empty text of the error: no memory. */
json_t *json_sure_load(const char *s, size_t n, size_t flags, json_error_t *je);
/* Real numbers with 17 digits, unless the flags ask for another number. */
char *json_sure_dumps(const json_t *v, size_t flags);
void json_sure_dump(const json_t *v, json_dump_callback_t f, void *ud, size_t flags);
/* Behind the string that begins at `at` of a text of n bytes; n where it does not end. */
size_t json_string_end(const char *s, size_t n, size_t at);
#define json_object()                     json_sure(json_object())
#define json_array()                      json_sure(json_array())
#define json_string(s)                    json_sure_string(s)
#define json_integer(i)                   json_sure(json_integer(i))
#define json_real(d)                      json_sure_real(d)
#define json_copy(v)                      json_sure_copy(v, json_copy(v))
#define json_deep_copy(v)                 json_sure_copy(v, json_deep_copy(v))
#define json_object_set_new(o, key, v)    json_sure_set(o, key, v)
#define json_object_set(o, key, v)        json_sure_set(o, key, json_incref(v))
#define json_array_append_new(a, v)       json_sure_append(a, v)
#define json_array_append(a, v)           json_sure_append(a, json_incref(v))
#define json_array_extend(a, more)        json_sure_extend(a, more)
#define json_dump_callback(v, f, ud, how) json_sure_dump(v, f, ud, how)
#define json_dumps(v, flags)              json_sure_dumps(v, flags)

/* New reference, or NULL with "line L, column C: ...". */
json_t *json_parse(const char *s, size_t n, struct err *e);
/* The same of a line of a file; which one it is, the caller knows: "column C: ...". */
json_t *json_parse_row(const char *s, size_t n, struct err *e);
/* The same of somebody's data. Numbers that no type here holds (Python's NaN and Infinity, an integer beyond
 * 64 bits, 1e999) do not refuse it: such a value becomes a string of JSON_ODD and its spelling, and *odd (may
 * be NULL) is set, never cleared. Whoever uses a value then asks json_find_odd first. */
#define JSON_ODD "\x7f"
json_t *json_parse_data(const char *s, size_t n, bool *odd, struct err *e);
/* The spelling of the first such number in a value, NULL without one; borrowed. */
const char *json_find_odd(const json_t *v);
/* JSON as most programs take it, for what a model wrote: of a key that stands twice the last one counts, U+0000
 * may stand in a string, an integer beyond 64 bits is a number (*rounded then). NULL: it is none. */
json_t *json_parse_loose(const char *s, size_t n, bool *rounded);
/* Adds v so that two values are the same exactly when their texts are: keys in order of their bytes, 1.0 and 1e0
 * as 1. */
void json_canonical(struct buf *b, const json_t *v);
/* A file, strictly (at most 1 GiB); the message names the file. */
json_t *json_read(const char *path, struct err *e);
/* Ends with a newline. What misleads a reader (text_misleads) is escaped, in strings and keys, so the text may go to
 * a terminal; the values are the same. */
void json_print(struct buf *b, const json_t *v);
void json_print_line(struct buf *b,
                     const json_t *v); /* an object or a list, without spaces; reals with 17 digits */
bool json_write(const char *path, const json_t *v, bool force, struct err *e); /* atomically */

/* Member access with a check of the type; `where` names the object in the message. Missing or wrong: false,
 * *e set. */
bool json_need_obj(const json_t *o, const char *key, const char *where, json_t **out, struct err *e);
bool json_need_arr(const json_t *o, const char *key, const char *where, json_t **out, struct err *e);
bool json_need_str(const json_t *o, const char *key, const char *where, const char **out, struct err *e);
/* 0..2^63-1 */
bool json_need_u64(const json_t *o, const char *key, const char *where, uint64_t *out, struct err *e);
/* An array of exactly n numbers, finite. out holds n doubles. */
bool json_need_f64s(const json_t *o, const char *key, const char *where, double *out, size_t n,
                    struct err *e);
/* The same of a member that may be absent, or null: then NULL, not a number, `otherwise`, false. */
bool json_opt_obj(const json_t *o, const char *key, const char *where, json_t **out, struct err *e);
bool json_opt_arr(const json_t *o, const char *key, const char *where, json_t **out, struct err *e);
bool json_opt_str(const json_t *o, const char *key, const char *where, const char **out, struct err *e);
bool json_opt_f64(const json_t *o, const char *key, const char *where, double *out, struct err *e);
bool json_opt_u64(const json_t *o, const char *key, const char *where, uint64_t otherwise, uint64_t *out,
                  struct err *e);
bool json_opt_bool(const json_t *o, const char *key, const char *where, bool *out, struct err *e);
/* The first key whose value is not the same in two objects, those that b alone has as well; NULL: they are equal. skip: a key
 * that does not count, or NULL. Borrowed of either. */
const char *json_difference(const json_t *a, const json_t *b, const char *skip);
/* For a message about two values: "found 3, expected 4"; "" where one of them is too long for a line. Returns dst. */
#define JSON_TWO 128
const char *json_two(char dst[JSON_TWO], const json_t *found, const json_t *expected);
const char *json_type_name(const json_t *v); /* "an object", ... for messages; NULL is "missing" */
/* A string value of any bytes: what is not valid UTF-8 (a path may be) becomes '?'. New reference. */
json_t *json_text(const char *s);
json_t *json_f64s(const double *v, size_t n); /* new reference */
json_t *json_finite(double v);                /* null where v is not a number */
/* Sets a member when there is something to say: a text, a count of 0 or more, a number; else it is left out. */
void json_put_text(json_t *o, const char *key, const char *s);
void json_put_count(json_t *o, const char *key, int64_t n);
void json_put_f64(json_t *o, const char *key, double v);

#endif
