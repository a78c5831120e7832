/* batch.c - see batch.h.
 *
 * Threads: each worker has a connection of its own and takes the next job; everything else (the list of
 * results, the file, messages) is touched with the lock held. */
#include "serve/batch.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sig.h"
#include "base/text.h"
#include "serve/answer.h"
#include "serve/client.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#define MAX_BODY      (64u << 20) /* an answer with all its framing */
#define MAX_STREAM    (1u << 30)  /* the same as a stream: some 300 bytes around each token */
#define MAX_WAIT      60.0        /* seconds between two attempts, when the server names none */
#define PROBE_TIMEOUT 60.0

struct job {
    const struct prompt *prompt;
    uint32_t repeat;
    json_t *messages;
    char *body;
    char key[65], sha256[65]; /* of the request, of the messages */
    json_t *result;           /* NULL until asked */
    bool kept;
};

struct run {
    const struct batch_opts *o;
    char *base, *url, *model;
    json_t *about; /* the model as the server describes it */
    bool tokenizes;
    struct job *jobs;
    uint64_t n_jobs, next, n_asked, n_ready;
    char started[32];
    struct batch_summary *sum;
    pthread_mutex_t lock;
    bool stop;
    struct err e; /* what stopped it */
};

void batch_defaults(struct batch_opts *o)
{
    *o = (struct batch_opts){.max_tokens = 1024,
                             .seed = 42,
                             .top_k = -1,
                             .top_p = -1,
                             .repeat = 1,
                             .parallel = 1,
                             .retries = 4,
                             .timeout = 1800,
                             .connect_timeout = 10,
                             .retry_wait = 1};
}

/* ---- requests, with retries ---- */

static bool is_stopped(struct run *r)
{
    pthread_mutex_lock(&r->lock);
    bool stop = r->stop;
    pthread_mutex_unlock(&r->lock);
    return stop || sig_pending();
}

static void sleep_secs(struct run *r, double s)
{
    for (double end = now_secs() + s; now_secs() < end && !is_stopped(r);)
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000000}, NULL);
}

static bool status_error(const struct http_response *x, struct err *e)
{
    struct buf b = {0};
    buf_str(&b, "");
    answer_error_text(&b, x->body.s, x->body.n);
    const char *hint = x->status == 401 || x->status == 403
                           ? (http_has_key() ? " (the key in REAP_API_KEY or OPENAI_API_KEY was sent)"
                                             : " (set REAP_API_KEY or OPENAI_API_KEY)")
                           : "";
    err_set(e, ERR_FAILED, "the server answers with status %ld%s%s%s", x->status, b.n ? ": " : "", b.s, hint);
    buf_clear(&b);
    return false;
}

static bool may_try_again(const struct http_response *x)
{
    if (x->fault == HTTP_NO_CONNECT || x->fault == HTTP_BROKEN)
        return true;
    return x->fault == HTTP_FINE &&
           (x->status == 429 || (x->status >= 500 && x->status != 501 && x->status != 505));
}

/* One attempt; a stream that ended without the end of the answer counts as broken. */
static bool attempt(struct http *h, const struct http_request *q, const struct answer *a,
                    struct http_response *x, struct err *e)
{
    if (!http_do(h, q, x, e))
        return false;
    if (x->status / 100 != 2)
        return status_error(x, e);
    if (x->is_stream && !a->done && !a->finish[0]) {
        x->fault = HTTP_BROKEN;
        return err_set(e, ERR_FAILED, "the stream ended before the answer was complete");
    }
    return true;
}

/* Seconds until the next attempt; false: longer than anybody would wait. */
static bool wait_of(const struct run *r, const struct http_response *x, uint32_t tries, double *wait,
                    struct err *e)
{
    *wait = r->o->retry_wait;
    for (uint32_t i = 1; i < tries && *wait < MAX_WAIT; i++)
        *wait *= 2;
    if (*wait > MAX_WAIT)
        *wait = MAX_WAIT;
    if (!x->retry_after)
        return true;
    *wait = (double)x->retry_after;
    return *wait <= r->o->timeout ||
           err_ctx(e, "it asks to wait %llu s, longer than --timeout", (unsigned long long)x->retry_after);
}

struct tries {
    uint32_t n;
    double began; /* the last one */
};

/* what: for notes. */
static bool ask(struct run *r, struct http *h, const struct http_request *q, struct answer *a,
                struct http_response *x, struct tries *t, const char *what, struct err *e)
{
    for (t->n = 1;; t->n++) {
        struct err bad = {0};
        double wait;
        answer_clear(a);
        t->began = now_secs();
        if (attempt(h, q, a, x, &bad))
            return true;
        if (bad.code == ERR_INTERRUPTED || !may_try_again(x) || t->n > r->o->retries ||
            !wait_of(r, x, t->n, &wait, &bad))
            return err_set(e, bad.code, "%s", bad.msg);
        pthread_mutex_lock(&r->lock);
        log_note("%s: %s; again in %.3g s", what, bad.msg, wait);
        pthread_mutex_unlock(&r->lock);
        http_response_clear(x);
        sleep_secs(r, wait);
        if (!sig_check(e))
            return false;
        if (is_stopped(r))
            return err_set(e, ERR_FAILED, "%s", bad.msg);
    }
}

/* ---- the server ---- */

/* A short question about the server; its answer is small and soon there. */
static struct http_request probe(const struct run *r, char *url, char *body)
{
    return (struct http_request){.url = url,
                                 .body = body,
                                 .connect_timeout = r->o->connect_timeout,
                                 .timeout = r->o->timeout < PROBE_TIMEOUT ? r->o->timeout : PROBE_TIMEOUT,
                                 .max_bytes = MAX_BODY};
}

static json_t *get_json(struct run *r, struct http *h, const char *path, char *body, struct err *e)
{
    char *url = xasprintf("%s%s", r->base, path);
    struct http_request q = probe(r, url, body);
    struct http_response x;
    struct answer none = {0};
    struct tries tries;
    struct err bad = {0};
    json_t *v = NULL;
    if (ask(r, h, &q, &none, &x, &tries, r->base, &bad))
        v = json_parse(x.body.s ? x.body.s : "", x.body.n, &bad);
    if (!v) /* a server that is not there is no bad input, nor is one that talks nonsense */
        err_set(e, bad.code == ERR_INTERRUPTED ? bad.code : ERR_FAILED, "%s: %s", url, bad.msg);
    http_response_clear(&x);
    free(url);
    return v;
}

/* What tells two models of one name apart; the length of the context, for example, is the server's choice. */
static json_t *describe(const char *id, const json_t *entry)
{
    static const char *const keys[] = {"n_params", "size", "n_vocab", "ftype"};
    json_t *o = json_object();
    const json_t *meta = json_object_get(entry, "meta");
    json_object_set_new(o, "id", json_string(id));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *v = json_object_get(meta, keys[i]);
        if (json_is_integer(v) || json_is_string(v))
            json_object_set(o, keys[i], v);
    }
    return o;
}

static bool find_model(struct run *r, struct http *h, struct err *e)
{
    struct err bad = {0};
    json_t *v = get_json(r, h, "/v1/models", NULL, &bad), *list = json_object_get(v, "data"),
           *entry = json_array_size(list) == 1 || !r->o->model ? json_array_get(list, 0) : NULL;
    const char *id = r->o->model;
    for (size_t i = 0; id && i < json_array_size(list); i++) {
        const char *s = json_string_value(json_object_get(json_array_get(list, i), "id"));
        if (s && !strcmp(s, id))
            entry = json_array_get(list, i);
    }
    if (!id)
        id = json_string_value(json_object_get(entry, "id"));
    bool ok = true;
    if (bad.code != ERR_NONE && (!id || bad.code == ERR_INTERRUPTED))
        ok = err_set(e, bad.code, "%s", bad.msg);
    else if (!id || !*id)
        ok = err_set(e, ERR_FAILED, "%s/v1/models names no model; give --model NAME", r->base);
    if (ok) {
        r->model = xstrdup(id);
        r->about = describe(id, entry);
    }
    json_decref(v);
    return ok;
}

/* llama-server wants "content", vLLM and SGLang "prompt"; each ignores what it does not know. -1: it
 * cannot. */
static int64_t count_tokens(struct run *r, struct http *h, const char *text)
{
    json_t *o = json_object();
    json_object_set_new(o, "model", json_string(r->model));
    json_object_set_new(o, "content", json_string(text));
    json_object_set_new(o, "prompt", json_string(text));
    json_object_set_new(o, "add_special", json_false());
    json_object_set_new(o, "add_special_tokens", json_false());
    char *body = json_dumps(o, JSON_COMPACT), *url = xasprintf("%s/tokenize", r->base);
    struct http_request q = probe(r, url, body);
    struct http_response x;
    struct err ignored = {0};
    json_t *v = NULL;
    if (http_do(h, &q, &x, &ignored) && x.status == 200 && x.body.n)
        v = json_parse(x.body.s, x.body.n, &ignored);
    const json_t *tokens = json_object_get(v, "tokens");
    int64_t n = json_is_array(tokens) ? (int64_t)json_array_size(tokens) : -1;
    json_decref(v);
    json_decref(o);
    http_response_clear(&x);
    free(body);
    free(url);
    return n;
}

static bool meet_server(struct run *r, struct err *e)
{
    r->base = http_base_url(r->o->server, e);
    if (!r->base)
        return false;
    r->url = xasprintf("%s%s", r->base, r->o->completions ? "/v1/completions" : "/v1/chat/completions");
    if (http_has_key() && !http_is_local(r->base) && !strncmp(r->base, "http://", 7))
        log_warn("the key goes to %s without encryption", r->base);
    struct http *h = http_new();
    bool ok = find_model(r, h, e);
    if (ok)
        r->tokenizes = count_tokens(r, h, "a") > 0;
    http_free(h);
    return ok;
}

/* ---- jobs ---- */

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

/* The parameters that all prompts have in common. */
static json_t *parameters(const struct batch_opts *o)
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

static json_t *request(const struct run *r, const struct job *j)
{
    json_t *q = json_object(), *common = parameters(r->o), *options = json_object(), *seed;
    json_object_set_new(q, "model", json_string(r->model));
    if (r->o->completions)
        json_object_set_new(q, "prompt", json_string(prompt_text(j->prompt)));
    else
        json_object_set(q, "messages", j->messages);
    json_object_update(q, common);
    json_object_update(q, j->prompt->parameters);
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

static void make_job(struct run *r, struct job *j, const struct prompt *p, uint32_t repeat)
{
    *j = (struct job){.prompt = p, .repeat = repeat, .messages = job_messages(r->o, p)};
    json_t *q = request(r, j);
    char more[64];
    snprintf(more, sizeof more, "%s %u", r->o->completions ? "completions" : "chat", repeat);
    hash_json(q, more, j->key);
    hash_json(j->messages, "", j->sha256);
    j->body = json_dumps(q, JSON_COMPACT | JSON_REAL_PRECISION(15)); /* 0.7 as it was written */
    json_decref(q);
}

static bool make_jobs(struct run *r, const struct prompts *p, struct err *e)
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

static bool check_prompts(const struct batch_opts *o, const struct prompts *p, struct err *e)
{
    for (uint64_t i = 0; o->completions && i < p->n; i++)
        if (!p->v[i].is_text)
            return err_set(e, ERR_INPUT, "%s: messages cannot go to /v1/completions, only a bare 'prompt'",
                           p->v[i].id);
    if (o->completions && o->system)
        return err_set(e, ERR_INPUT, "--system cannot go to /v1/completions, which has no messages");
    return true;
}

/* ---- the file ---- */

static json_t *document(const struct run *r)
{
    json_t *o = json_object(), *list = json_array();
    json_object_set_new(o, "schema", json_string("reap.batch/1"));
    json_object_set_new(o, "version", json_string(REAP_VERSION));
    json_object_set_new(o, "server", json_text(r->base));
    json_object_set_new(o, "endpoint", json_string(r->o->completions ? "completions" : "chat"));
    json_object_set(o, "model", r->about);
    json_object_set_new(o, "parameters", parameters(r->o));
    json_object_set_new(o, "started", json_string(r->started));
    json_object_set_new(o, "n_prompts", json_integer((json_int_t)r->n_jobs));
    for (uint64_t i = 0; i < r->n_jobs; i++)
        if (r->jobs[i].result)
            json_array_append(list, r->jobs[i].result);
    json_object_set_new(o, "results", list);
    return o;
}

static bool save(const struct run *r, struct err *e)
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

static bool is_ok(const json_t *result)
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
        if (!is_ok(x))
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

static bool resume(struct run *r, struct err *e)
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

/* ---- one prompt ---- */

struct stream { /* a request in flight */
    struct answer answer;
    double first, last; /* when text came */
};

static bool on_event(void *ctx, const char *data, size_t n, struct err *e)
{
    struct stream *s = ctx;
    size_t before = s->answer.text.n + s->answer.reasoning.n;
    if (!answer_event(&s->answer, data, n, e))
        return false;
    if (s->answer.text.n + s->answer.reasoning.n > before) {
        s->last = now_secs();
        if (!before)
            s->first = s->last;
    }
    return true;
}

static json_t *new_result(const struct job *j)
{
    json_t *o = json_object();
    json_object_set_new(o, "id", json_text(j->prompt->id));
    json_object_set_new(o, "category", j->prompt->category ? json_text(j->prompt->category) : json_null());
    json_object_set_new(o, "repeat", json_integer(j->repeat));
    json_object_set_new(o, "key", json_string(j->key));
    json_object_set_new(o, "prompt_sha256", json_string(j->sha256));
    json_object_set(o, "messages", j->messages);
    if (json_object_size(j->prompt->parameters))
        json_object_set(o, "parameters", j->prompt->parameters);
    return o;
}

static const char *text_of(const struct buf *b)
{
    return b->s ? b->s : "";
}

static void put_answer(struct run *r, struct http *h, json_t *o, const struct stream *s, double start,
                       double end)
{
    const struct answer *a = &s->answer;
    json_object_set_new(o, "status", json_string("ok"));
    json_object_set_new(o, "response", json_text(text_of(&a->text)));
    if (a->reasoning.n)
        json_object_set_new(o, "reasoning", json_text(a->reasoning.s));
    json_object_set_new(o, "finish_reason", json_string(a->finish[0] ? a->finish : "unknown"));
    if (a->has_usage) {
        json_object_set_new(o, "prompt_tokens", json_integer((json_int_t)a->prompt_tokens));
        json_object_set_new(o, "completion_tokens", json_integer((json_int_t)a->completion_tokens));
    }
    int64_t n = r->tokenizes ? count_tokens(r, h, text_of(&a->text)) : -1;
    if (n >= 0)
        json_object_set_new(o, "response_tokens", json_integer(n));
    json_object_set_new(o, "seconds", json_real(end - start));
    if (s->first > 0)
        json_object_set_new(o, "first_token_seconds", json_real(s->first - start));
    double made = a->has_usage ? (double)a->completion_tokens : (double)n;
    if (made > 1 && s->last > s->first)
        json_object_set_new(o, "tokens_per_second", json_real((made - 1) / (s->last - s->first)));
}

/* The result of a job, failed or not; NULL when it was interrupted. */
static json_t *do_job(struct run *r, struct http *h, const struct job *j, bool *gone)
{
    struct stream s = {0};
    struct http_request q = {.url = r->url,
                             .body = j->body,
                             .connect_timeout = r->o->connect_timeout,
                             .timeout = r->o->timeout,
                             .max_bytes = MAX_BODY,
                             .max_stream = MAX_STREAM,
                             .on_event = on_event,
                             .ctx = &s};
    struct http_response x;
    struct err bad = {0};
    struct tries tries;
    bool ok = ask(r, h, &q, &s.answer, &x, &tries, j->prompt->id, &bad);
    double end = now_secs();
    json_t *o = NULL;
    if (ok && !x.is_stream)
        ok = answer_body(&s.answer, text_of(&x.body), x.body.n, &bad);
    *gone = !ok && x.fault == HTTP_NO_CONNECT;
    if (bad.code != ERR_INTERRUPTED) {
        o = new_result(j);
        if (ok) {
            put_answer(r, h, o, &s, tries.began, end);
        } else {
            json_object_set_new(o, "status", json_string("failed"));
            json_object_set_new(o, "error", json_text(bad.msg));
        }
        json_object_set_new(o, "attempts", json_integer(tries.n));
    }
    http_response_clear(&x);
    answer_clear(&s.answer);
    return o;
}

/* ---- the run ---- */

/* With the lock held. */
static void stop(struct run *r, enum err_code code, const char *msg)
{
    r->stop = true;
    err_set(&r->e, code, "%s", msg);
}

static void account(struct run *r, const json_t *o)
{
    if (is_ok(o)) {
        r->sum->n_answered++;
        r->sum->completion_tokens += (uint64_t)json_integer_value(json_object_get(o, "completion_tokens"));
    } else {
        r->sum->n_failed++;
    }
}

static void finish_job(struct run *r, struct job *j, json_t *o, bool gone)
{
    struct err e = {0};
    j->result = o;
    account(r, o);
    r->n_ready++;
    if (!save(r, &e) || (r->o->on_result && !r->o->on_result(r->o->ctx, r->n_ready, r->n_jobs, o, &e)))
        stop(r, e.code, e.msg);
    if (gone)
        stop(r, ERR_FAILED, json_string_value(json_object_get(o, "error")));
}

static void *worker(void *ctx)
{
    struct run *r = ctx;
    struct http *h = http_new();
    pthread_mutex_lock(&r->lock);
    while (!r->stop && !sig_pending() && r->next < r->n_jobs) {
        struct job *j = &r->jobs[r->next++];
        if (j->result)
            continue;
        pthread_mutex_unlock(&r->lock);
        bool gone;
        json_t *o = do_job(r, h, j, &gone);
        pthread_mutex_lock(&r->lock);
        if (o)
            finish_job(r, j, o, gone);
    }
    pthread_mutex_unlock(&r->lock);
    http_free(h);
    return NULL;
}

static void run_workers(struct run *r)
{
    uint64_t todo = r->n_jobs - r->sum->n_kept;
    uint32_t n = todo < r->o->parallel ? (uint32_t)todo : r->o->parallel, started = 0;
    pthread_t *t = xcalloc(n ? n : 1, sizeof *t);
    while (started < n && pthread_create(&t[started], NULL, worker, r) == 0)
        started++;
    if (!started && n)
        worker(r);
    for (uint32_t i = 0; i < started; i++)
        pthread_join(t[i], NULL);
    free(t);
}

static bool verdict(struct run *r, struct err *e)
{
    struct batch_summary *s = r->sum;
    unsigned long long left = s->n_left, failed = s->n_failed, all = s->n_prompts;
    if (!sig_check(&r->e) || r->e.code == ERR_INTERRUPTED)
        return err_set(e, ERR_INTERRUPTED,
                       "interrupted; %llu of %llu prompts are not answered yet, the same "
                       "command goes on",
                       left + failed, all);
    if (r->stop)
        return err_set(e, r->e.code, "%s; %llu of %llu prompts are not answered, the same command goes on",
                       r->e.msg, left + failed, all);
    if (failed)
        return err_set(e, ERR_FAILED,
                       "%llu of %llu prompts failed (see 'error' in '%s'); the same command "
                       "tries them again",
                       failed, all, r->o->out);
    return true;
}

static bool run_all(struct run *r, struct err *e)
{
    double start = now_secs();
    time_t now = time(NULL);
    struct tm tm;
    strftime(r->started, sizeof r->started, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
    r->sum->n_prompts = r->n_jobs;
    r->n_ready = r->sum->n_kept;
    if (r->sum->n_kept)
        log_note("%llu of %llu prompts are answered already", (unsigned long long)r->sum->n_kept,
                 (unsigned long long)r->n_jobs);
    if (!save(r, e)) /* before the server works for nothing */
        return false;
    run_workers(r);
    r->sum->n_left = r->n_jobs - r->sum->n_kept - r->sum->n_answered - r->sum->n_failed;
    r->sum->seconds = now_secs() - start;
    return verdict(r, e);
}

static bool check_output(const struct batch_opts *o, struct err *e)
{
    for (uint32_t i = 0; i < o->n_prompts; i++)
        if (file_would_destroy(o->out, o->prompts[i]))
            return err_set(e, ERR_INPUT, "the output '%s' is the file of prompts itself", o->out);
    return file_check_output(o->out, true, e);
}

static void run_free(struct run *r)
{
    for (uint64_t i = 0; i < r->n_jobs; i++) {
        json_decref(r->jobs[i].messages);
        json_decref(r->jobs[i].result);
        free(r->jobs[i].body);
    }
    free(r->jobs);
    free(r->base);
    free(r->url);
    free(r->model);
    json_decref(r->about);
}

bool batch_run(const struct batch_opts *o, struct batch_summary *s, struct err *e)
{
    struct prompts p = {0};
    struct run r = {.o = o, .sum = s};
    bool ok = check_output(o, e);
    *s = (struct batch_summary){0};
    for (uint32_t i = 0; ok && i < o->n_prompts; i++)
        ok = prompts_load(&p, o->prompts[i], e);
    pthread_mutex_init(&r.lock, NULL);
    ok = ok && prompts_check(&p, e) && check_prompts(o, &p, e) && meet_server(&r, e) &&
         make_jobs(&r, &p, e) && resume(&r, e) && run_all(&r, e);
    pthread_mutex_destroy(&r.lock);
    run_free(&r);
    prompts_free(&p);
    return ok;
}
