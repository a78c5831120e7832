/* batch_jobs.c - prompts and options of a batch as requests, each with the key that tells it from others. */
#include "base/hash.h"
#include "base/mem.h"
#include "base/text.h"
#include "serve/batch_part.h"
#include "serve/secret.h"

#include <string.h>

static bool has_system(const json_t *messages)
{
    const char *role = json_string_value(json_object_get(json_array_get(messages, 0), "role"));
    return role && (!strcmp(role, "system") || !strcmp(role, "developer"));
}

static json_t *job_messages(const struct batch_opts *o, const struct prompt *p)
{
    json_t *list = json_array();
    if (o->system && !has_system(p->messages)) {
        json_t *m = json_object();
        json_object_set_new(m, "role", json_string("system"));
        json_object_set_new(m, "content", json_string(o->system));
        json_array_append_new(list, m);
    }
    json_array_extend(list, p->messages);
    return list;
}

json_t *batch_parameters(const struct batch_opts *o)
{
    json_t *x = json_object();
    json_object_set_new(x, "max_tokens", json_integer(o->max_tokens));
    json_object_set_new(x, "temperature", json_real(o->temperature));
    if (o->top_p >= 0)
        json_object_set_new(x, "top_p", json_real(o->top_p));
    if (o->top_k >= 0)
        json_object_set_new(x, "top_k", json_integer(o->top_k));
    json_object_set_new(x, "seed", json_integer(o->seed));
    return x;
}

static json_t *request(const struct batch *r, const struct batch_job *j)
{
    json_t *q = json_object(), *common = batch_parameters(r->o), *options = json_object(), *seed;
    json_object_set_new(q, "model", json_string(r->model));
    if (r->o->completions)
        json_object_set_new(q, "prompt", json_string(prompt_text(j->prompt)));
    else
        json_object_set(q, "messages", j->messages);
    json_object_update(q, common);
    json_object_update(q, j->prompt->parameters);
    if (json_object_get(q, "max_completion_tokens") && !json_object_get(j->prompt->parameters, "max_tokens"))
        json_object_del(q, "max_tokens"); /* one limit, the row's */
    seed = json_object_get(q, "seed");
    if (json_is_integer(seed)) /* each repetition has its own */
        json_object_set_new(q, "seed", json_integer(json_integer_value(seed) + j->repeat));
    json_object_set_new(options, "include_usage", json_true());
    json_object_set_new(q, "stream", json_true());
    json_object_set_new(q, "stream_options", options);
    json_decref(common);
    return q;
}

static void hash_json(const json_t *v, const char *more, char hex[65])
{
    char *s = json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS), *all = xasprintf("%s\n%s", s, more);
    sha256_bytes(all, strlen(all), hex);
    free(s);
    free(all);
}

static void make_job(struct batch *r, struct batch_job *j, const struct prompt *p, uint32_t repeat)
{
    *j = (struct batch_job){.prompt = p, .repeat = repeat, .messages = job_messages(r->o, p)};
    json_t *q = request(r, j);
    char more[64];
    snprintf(more, sizeof more, "%s %u", r->o->completions ? "completions" : "chat", repeat);
    hash_json(q, more, j->key);
    hash_json(j->messages, "", j->sha256);
    j->body = json_dumps(q, JSON_COMPACT | JSON_REAL_PRECISION(15)); /* 0.7 as it was written */
    json_decref(q);
    json_t *messages = secret_hide_json(j->messages); /* from here on they are kept and shown */
    json_decref(j->messages);
    j->messages = messages;
}

bool batch_make_jobs(struct batch *r, const struct prompts *p, struct err *e)
{
    uint64_t n;
    if (!mul_u64(p->n, r->o->repeat, &n))
        return err_set(e, ERR_INPUT, "%llu prompts cannot be repeated %u times", (unsigned long long)p->n,
                       r->o->repeat);
    r->jobs = mem_try(n, sizeof *r->jobs, "the prompts", e);
    if (!r->jobs)
        return false;
    for (uint32_t k = 0; k < r->o->repeat; k++)
        for (uint64_t i = 0; i < p->n; i++)
            make_job(r, &r->jobs[r->n_jobs++], &p->v[i], k);
    return true;
}
