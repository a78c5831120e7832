/* batch.c - see batch.h. */
#include "results/batch.h"
#include "base/hash.h"
#include "base/journal.h"
#include "base/log.h"
#include "base/mem.h"
#include "results/results_part.h"

#include <math.h>
#include <string.h>

#define SCHEMA  "reap.batch/1"
#define JOURNAL "reap.batch-journal/1"

/* ---- reading ---- */

static bool read_count(const json_t *o, const char *key, const char *where, int64_t *out, struct err *e)
{
    uint64_t n;
    bool ok = json_opt_u64(o, key, where, UINT64_MAX, &n, e);
    *out = (int64_t)n; /* UINT64_MAX: -1 */
    return ok;
}

static bool check_function(const json_t *o, const char *key, const char *where, struct err *e)
{
    json_t *f;
    const char *text;
    return json_need_obj(o, key, where, &f, e) && json_need_str(f, "name", where, &text, e) &&
           json_need_str(f, "arguments", where, &text, e);
}

static bool read_calls(const json_t *o, const char *where, struct batch_answer *a, struct err *e)
{
    json_t *list, *old;
    if (!json_opt_arr(o, "tool_calls", where, &list, e) || !json_opt_obj(o, "function_call", where, &old, e))
        return false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        char at[96];
        const json_t *x = json_array_get(list, i);
        snprintf(at, sizeof at, "%s: call %zu", where, i);
        if (!json_is_object(x))
            return err_set(e, ERR_INPUT, "%s is %s, expected an object", at, json_type_name(x));
        if (!check_function(x, "function", at, e))
            return false;
    }
    a->tool_calls = json_array_size(list) ? list : NULL;
    a->function_call = old;
    return !old || check_function(o, "function_call", where, e);
}

static bool read_replaced(const json_t *o, const char *where, struct batch_answer *a, struct err *e)
{
    json_t *r;
    return json_opt_obj(o, "replaced", where, &r, e) && json_opt_u64(r, "nul", where, 0, &a->n_nul, e) &&
           json_opt_u64(r, "invalid", where, 0, &a->n_invalid, e) &&
           json_opt_u64(r, "key", where, 0, &a->n_key, e);
}

static bool read_response(const json_t *o, const char *where, struct batch_answer *a, struct err *e)
{
    return json_need_str(o, "response", where, &a->response, e) &&
           json_need_str(o, "finish_reason", where, &a->finish, e) &&
           json_opt_str(o, "reasoning", where, &a->reasoning, e) &&
           json_opt_str(o, "refusal", where, &a->refusal, e) && read_calls(o, where, a, e) &&
           read_replaced(o, where, a, e) && read_count(o, "prompt_tokens", where, &a->prompt_tokens, e) &&
           read_count(o, "completion_tokens", where, &a->completion_tokens, e) &&
           read_count(o, "response_tokens", where, &a->response_tokens, e) &&
           json_opt_f64(o, "seconds", where, &a->seconds, e) &&
           json_opt_f64(o, "first_token_seconds", where, &a->first_token, e) &&
           json_opt_f64(o, "tokens_per_second", where, &a->tokens_per_second, e);
}

bool batch_answer_read(const json_t *o, size_t i, struct batch_answer *a, struct err *e)
{
    char where[64];
    const char *status;
    json_t *messages, *parameters;
    *a = (struct batch_answer){0};
    snprintf(where, sizeof where, "result %zu", i);
    if (!json_is_object(o))
        return err_set(e, ERR_INPUT, "%s is %s, expected an object", where, json_type_name(o));
    if (!json_need_str(o, "id", where, &a->id, e) || !json_need_str(o, "key", where, &a->key, e) ||
        !json_need_str(o, "prompt_sha256", where, &a->prompt_sha256, e) ||
        !json_need_u64(o, "repeat", where, &a->repeat, e) ||
        !json_need_arr(o, "messages", where, &messages, e) ||
        !json_need_str(o, "status", where, &status, e) ||
        !json_opt_str(o, "category", where, &a->category, e) ||
        !json_opt_obj(o, "parameters", where, &parameters, e) ||
        !json_opt_u64(o, "attempts", where, 0, &a->attempts, e))
        return false;
    a->messages = messages;
    a->parameters = parameters;
    a->ok = !strcmp(status, "ok");
    a->seconds = a->first_token = a->tokens_per_second = (double)NAN;
    a->prompt_tokens = a->completion_tokens = a->response_tokens = -1;
    return a->ok ? read_response(o, where, a, e) : json_opt_str(o, "error", where, &a->error, e);
}

static bool read_file(struct batch_file *f, struct err *e)
{
    json_t *list, *model, *parameters;
    struct batch_head *h = &f->head;
    if (!json_is_object(f->doc))
        return err_set(e, ERR_INPUT, "is %s, expected an object", json_type_name(f->doc));
    if (!results_schema(f->doc, SCHEMA, e) || !json_opt_str(f->doc, "server", "file", &h->server, e) ||
        !json_opt_str(f->doc, "endpoint", "file", &h->endpoint, e) ||
        !json_opt_str(f->doc, "started", "file", &h->started, e) ||
        !json_opt_obj(f->doc, "model", "file", &model, e) ||
        !json_opt_obj(f->doc, "parameters", "file", &parameters, e) ||
        !json_opt_u64(f->doc, "n_prompts", "file", 0, &h->n_prompts, e) ||
        !json_need_arr(f->doc, "results", "file", &list, e) ||
        !(f->v = mem_try(json_array_size(list), sizeof *f->v, "the answers", e)))
        return false;
    h->model = model;
    h->parameters = parameters;
    f->n = json_array_size(list);
    for (size_t i = 0; i < f->n; i++) {
        if (!batch_answer_read(json_array_get(list, i), i, &f->v[i], e))
            return false;
    }
    return true;
}

/* Takes f->doc, NULL after an error of its reading. */
static bool checked(struct batch_file *f, struct err *e)
{
    if (f->doc && read_file(f, e))
        return true;
    batch_file_clear(f);
    return false;
}

bool batch_read(const char *path, struct batch_file *f, struct err *e)
{
    *f = (struct batch_file){.doc = json_read(path, e)};
    bool was_read = f->doc != NULL;
    return checked(f, e) || (was_read ? err_ctx(e, "%s", path) : false);
}

void batch_warn_unfinished(const char *path)
{
    if (journal_exists(path))
        log_warn("'%s' is not finished, answers stand beside it in '%s" OUT_JOURNAL
                 "': its run goes on, or was killed and "
                 "takes them in when the same command is run again",
                 path, path);
}

bool batch_parse(const char *s, size_t n, struct batch_file *f, struct err *e)
{
    *f = (struct batch_file){.doc = json_parse(s, n, e)};
    return checked(f, e);
}

/* The schema is written first. */
bool batch_is(const char *s, size_t n)
{
    static const char *const begins[] = {"{", "\"schema\"", ":", "\"reap.batch/"};
    size_t at = 0;
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
        size_t k = strlen(begins[i]);
        while (at < n && strchr(" \t\r\n", s[at]) && s[at])
            at++;
        if (n - at < k || memcmp(s + at, begins[i], k) != 0)
            return false;
        at += k;
    }
    return true;
}

/* ---- as text ---- */

static void put_borrowed(json_t *o, const char *key, const json_t *v)
{
    if (v)
        json_object_set(o, key, (json_t *)(uintptr_t)v);
}

static json_t *completed(const struct batch_answer *a)
{
    const json_t *prompt = json_object_get(json_array_get(a->messages, 0), "content");
    struct buf b = {0};
    buf_str(&b, json_is_string(prompt) ? json_string_value(prompt) : "");
    buf_str(&b, a->response);
    json_t *v = json_string(b.s);
    buf_clear(&b);
    return v;
}

json_t *batch_answer_row(const struct batch_file *f, uint64_t i)
{
    static const char *const beside[] = {"tools", "functions", "documents", "chat_template_kwargs"};
    const struct batch_answer *a = &f->v[i];
    json_t *row = json_object();
    json_object_set_new(row, "id", json_string(a->id));
    if (f->head.endpoint && !strcmp(f->head.endpoint, "completions")) {
        json_object_set_new(row, "text", completed(a));
        return row;
    }
    json_t *messages = json_copy((json_t *)(uintptr_t)a->messages), *m = json_object();
    json_object_set_new(m, "role", json_string("assistant"));
    json_object_set_new(m, "content", json_string(a->refusal && !*a->response ? a->refusal : a->response));
    json_put_text(m, "reasoning_content", a->reasoning);
    put_borrowed(m, "tool_calls", a->tool_calls);
    put_borrowed(m, "function_call", a->function_call);
    json_array_append_new(messages, m);
    json_object_set_new(row, "messages", messages);
    for (size_t k = 0; k < sizeof beside / sizeof *beside; k++)
        put_borrowed(row, beside[k], json_object_get(a->parameters, beside[k]));
    return row;
}

bool batch_answer_lost_call(const struct batch_answer *a)
{
    return a->ok && !a->tool_calls && !a->function_call &&
           (!strcmp(a->finish, "tool_calls") || !strcmp(a->finish, "function_call"));
}

bool batch_answer_is_whole(const struct batch_answer *a)
{
    return a->ok && !batch_answer_lost_call(a) && strcmp(a->finish, BATCH_MALFORMED) != 0;
}

void batch_file_clear(struct batch_file *f)
{
    free(f->v);
    json_decref(f->doc);
    *f = (struct batch_file){0};
}

json_t *batch_file_answer(const struct batch_file *f, uint64_t i)
{
    return json_incref(json_array_get(json_object_get(f->doc, "results"), i));
}

/* ---- writing ---- */

static void put_replaced(json_t *o, const struct batch_answer *a)
{
    if (!a->n_nul && !a->n_invalid && !a->n_key)
        return;
    json_t *r = json_object();
    json_object_set_new(r, "nul", json_integer((json_int_t)a->n_nul));
    json_object_set_new(r, "invalid", json_integer((json_int_t)a->n_invalid));
    if (a->n_key)
        json_object_set_new(r, "key", json_integer((json_int_t)a->n_key));
    json_object_set_new(o, "replaced", r);
}

static void put_response(json_t *o, const struct batch_answer *a)
{
    json_object_set_new(o, "status", json_string("ok"));
    json_object_set_new(o, "response", json_text(a->response));
    json_put_text(o, "reasoning", a->reasoning);
    json_put_text(o, "refusal", a->refusal);
    put_borrowed(o, "tool_calls", a->tool_calls);
    put_borrowed(o, "function_call", a->function_call);
    put_replaced(o, a);
    json_object_set_new(o, "finish_reason", json_string(a->finish));
    json_put_count(o, "prompt_tokens", a->prompt_tokens);
    json_put_count(o, "completion_tokens", a->completion_tokens);
    json_put_count(o, "response_tokens", a->response_tokens);
    json_put_f64(o, "seconds", a->seconds);
    json_put_f64(o, "first_token_seconds", a->first_token);
    json_put_f64(o, "tokens_per_second", a->tokens_per_second);
}

json_t *batch_answer_json(const struct batch_answer *a)
{
    json_t *o = json_object();
    json_object_set_new(o, "id", json_text(a->id));
    json_object_set_new(o, "category", a->category ? json_text(a->category) : json_null());
    json_object_set_new(o, "repeat", json_integer((json_int_t)a->repeat));
    json_object_set_new(o, "key", json_string(a->key));
    json_object_set_new(o, "prompt_sha256", json_string(a->prompt_sha256));
    json_object_set(o, "messages", (json_t *)(uintptr_t)a->messages);
    put_borrowed(o, "parameters", a->parameters);
    if (a->ok) {
        put_response(o, a);
    } else {
        json_object_set_new(o, "status", json_string("failed"));
        json_object_set_new(o, "error", json_text(a->error));
    }
    json_object_set_new(o, "attempts", json_integer((json_int_t)a->attempts));
    return o;
}

/* Of all that stands in a file but its results, whoever printed it how. */
static void identify(const json_t *doc, char of[65])
{
    json_t *head = json_copy((json_t *)(uintptr_t)doc);
    json_object_del(head, "results");
    char *s = json_dumps(head, JSON_COMPACT | JSON_SORT_KEYS);
    sha256_bytes(s, strlen(s), of);
    free(s);
    json_decref(head);
}

bool batch_write(const char *path, const struct batch_head *h, json_t *results, char of[65], struct err *e)
{
    json_t *o = json_object();
    json_object_set_new(o, "schema", json_string(SCHEMA));
    json_object_set_new(o, "version", json_string(REAP_VERSION));
    json_object_set_new(o, "server", json_text(h->server));
    json_object_set_new(o, "endpoint", json_string(h->endpoint));
    json_object_set(o, "model", (json_t *)(uintptr_t)h->model);
    json_object_set(o, "parameters", (json_t *)(uintptr_t)h->parameters);
    json_object_set_new(o, "started", json_string(h->started));
    json_object_set_new(o, "n_prompts", json_integer((json_int_t)h->n_prompts));
    json_object_set(o, "results", results);
    identify(o, of);
    bool ok = json_write(path, o, true, e);
    json_decref(o);
    return ok;
}

/* ---- the journal ---- */

static void add_line(struct buf *b, const json_t *v)
{
    char *s = json_dumps(v, JSON_COMPACT);
    buf_str(b, s);
    buf_char(b, '\n');
    free(s);
}

void batch_journal_head(struct buf *b, const char *of)
{
    json_t *o = json_object();
    json_object_set_new(o, "schema", json_string(JOURNAL));
    json_object_set_new(o, "of", json_string(of));
    add_line(b, o);
    json_decref(o);
}

void batch_journal_line(struct buf *b, const json_t *result)
{
    add_line(b, result);
}

bool batch_journal_has_results(const char *s, size_t n)
{
    const char *end = n ? memchr(s, '\n', n) : NULL;
    return end && (size_t)(end - s) + 1 < n;
}

/* What one result is known by: ids are different in a batch, but a run may go on with others. */
static char *place_key(const json_t *result)
{
    return xasprintf("%s %s", json_string_value(json_object_get(result, "key")),
                     json_string_value(json_object_get(result, "id")));
}

static json_t *places_of(const json_t *results)
{
    json_t *places = json_object();
    for (size_t i = 0; i < json_array_size(results); i++) {
        char *key = place_key(json_array_get(results, i));
        json_object_set_new(places, key, json_integer((json_int_t)i));
        free(key);
    }
    return places;
}

static void put_result(json_t *results, json_t *places, json_t *o)
{
    char *key = place_key(o);
    const json_t *at = json_object_get(places, key);
    if (at) {
        json_array_set(results, (size_t)json_integer_value(at), o);
    } else {
        json_object_set_new(places, key, json_integer((json_int_t)json_array_size(results)));
        json_array_append(results, o);
    }
    free(key);
}

static bool check_journal_head(const struct batch_file *f, const json_t *o, struct err *e)
{
    char of[65];
    const char *says;
    if (!json_is_object(o))
        return err_set(e, ERR_INPUT, "is %s, expected an object", json_type_name(o));
    if (!results_schema(o, JOURNAL, e) || !json_need_str(o, "of", "the journal", &says, e))
        return false;
    identify(f->doc, of);
    return !strcmp(says, of) || err_set(e, ERR_INPUT, "belongs to another file of answers");
}

bool batch_journal_fold(struct batch_file *f, const char *s, size_t n, struct err *e)
{
    json_t *results = json_object_get(f->doc, "results"), *places = places_of(results);
    bool ok = true;
    for (size_t at = 0, line = 1, k; ok && at < n; at += k, line++) {
        const char *end = memchr(s + at, '\n', n - at);
        k = end ? (size_t)(end - s) + 1 - at : n - at;
        struct batch_answer a;
        json_t *o = json_parse_row(s + at, k, e);
        ok = o && (line == 1 ? check_journal_head(f, o, e) : batch_answer_read(o, line - 2, &a, e));
        if (ok && line > 1)
            put_result(results, places, o);
        else if (!ok)
            err_ctx(e, "line %zu", line);
        json_decref(o);
    }
    json_decref(places);
    free(f->v); /* they were of results that may have gone */
    f->v = NULL;
    f->n = 0;
    return ok;
}
