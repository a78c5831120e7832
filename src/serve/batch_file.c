/* batch_file.c - the file reap.batch/1: written, checked, gone on with. */
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "serve/batch_part.h"

#include <string.h>

static json_t *document(const struct run *r)
{
    json_t *o = json_object(), *list = json_array();
    json_object_set_new(o, "schema", json_string("reap.batch/1"));
    json_object_set_new(o, "version", json_string(REAP_VERSION));
    json_object_set_new(o, "server", json_text(r->base));
    json_object_set_new(o, "endpoint", json_string(r->o->completions ? "completions" : "chat"));
    json_object_set(o, "model", r->about);
    json_object_set_new(o, "parameters", batch_parameters(r->o));
    json_object_set_new(o, "started", json_string(r->started));
    json_object_set_new(o, "n_prompts", json_integer((json_int_t)r->n_jobs));
    for (uint64_t i = 0; i < r->n_jobs; i++)
        if (r->jobs[i].result)
            json_array_append(list, r->jobs[i].result);
    json_object_set_new(o, "results", list);
    return o;
}

bool batch_save(const struct run *r, struct err *e)
{
    json_t *o = document(r);
    bool ok = json_write(r->o->out, o, true, e);
    json_decref(o);
    return ok;
}

static bool check_result(const json_t *x, size_t i, struct err *e)
{
    char where[64];
    const char *s, *status;
    uint64_t n;
    json_t *list;
    snprintf(where, sizeof where, "result %zu", i);
    if (!json_is_object(x))
        return err_set(e, ERR_INPUT, "%s is %s, expected an object", where, json_type_name(x));
    if (!json_need_str(x, "id", where, &s, e) || !json_need_str(x, "key", where, &s, e) ||
        !json_need_str(x, "prompt_sha256", where, &s, e) || !json_need_u64(x, "repeat", where, &n, e) ||
        !json_need_arr(x, "messages", where, &list, e) || !json_need_str(x, "status", where, &status, e))
        return false;
    if (strcmp(status, "ok") != 0)
        return true;
    return json_need_str(x, "response", where, &s, e) && json_need_str(x, "finish_reason", where, &s, e);
}

json_t *batch_load(const char *path, struct err *e)
{
    json_t *o = json_read(path, e), *list;
    const char *schema;
    if (!o)
        return NULL;
    bool ok = json_is_object(o) || err_set(e, ERR_INPUT, "is %s, expected an object", json_type_name(o));
    ok = ok && json_need_str(o, "schema", "file", &schema, e) &&
         (!strcmp(schema, "reap.batch/1") ||
          err_set(e, ERR_INPUT, "the schema is '%s', expected 'reap.batch/1'", schema)) &&
         json_need_arr(o, "results", "file", &list, e);
    for (size_t i = 0; ok && i < json_array_size(list); i++)
        ok = check_result(json_array_get(list, i), i, e);
    if (ok)
        return o;
    err_ctx(e, "%s", path);
    json_decref(o);
    return NULL;
}

bool batch_is_ok(const json_t *result)
{
    const char *s = json_string_value(json_object_get(result, "status"));
    return s && !strcmp(s, "ok");
}

static int by_key(const void *a, const void *b)
{
    return strcmp((*(struct job *const *)a)->key, (*(struct job *const *)b)->key);
}

/* Gives the answers of the old file to their jobs; *lost counts those that have none. */
static void take_over(struct run *r, json_t *list, struct job **sorted, uint64_t *lost)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *x = json_array_get(list, i);
        struct job probe = {0}, *key = &probe;
        const char *s = json_string_value(json_object_get(x, "key"));
        if (!batch_is_ok(x))
            continue;
        snprintf(probe.key, sizeof probe.key, "%s", s);
        struct job **hit = bsearch(&key, sorted, r->n_jobs, sizeof *sorted, by_key);
        if (!hit || (*hit)->result) {
            ++*lost;
            continue;
        }
        (*hit)->result = json_incref(x);
        (*hit)->kept = true;
        r->sum->n_kept++;
    }
}

bool batch_resume(struct run *r, struct err *e)
{
    if (!file_exists(r->o->out))
        return true;
    struct err bad = {0};
    json_t *old = batch_load(r->o->out, &bad);
    if (!old)
        return r->o->force || err_set(e, bad.code, "%s", bad.msg);
    json_t *model = json_object_get(old, "model");
    const char *id = json_string_value(json_object_get(model, "id"));
    bool ok = true;
    uint64_t lost = 0;
    struct job **sorted = NULL;
    if (json_equal(model, r->about)) {
        sorted = mem_try(r->n_jobs, sizeof *sorted, "the prompts", e);
        for (uint64_t i = 0; sorted && i < r->n_jobs; i++)
            sorted[i] = &r->jobs[i];
        if (sorted) {
            qsort(sorted, r->n_jobs, sizeof *sorted, by_key);
            take_over(r, json_object_get(old, "results"), sorted, &lost);
        }
        ok = sorted != NULL;
        if (ok && lost && !r->o->force)
            ok = err_set(e, ERR_INPUT,
                         "'%s' holds %llu answers to other prompts or parameters, which would be lost; "
                         "choose another output, or --force",
                         r->o->out, (unsigned long long)lost);
    } else if (json_array_size(json_object_get(old, "results")) && !r->o->force) {
        ok = err_set(e, ERR_INPUT,
                     "'%s' holds answers of another model ('%s', the server has '%s'); choose another "
                     "output, or --force",
                     r->o->out, id ? id : "?", r->model);
    }
    free(sorted);
    json_decref(old);
    return ok;
}
